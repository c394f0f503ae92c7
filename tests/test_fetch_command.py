"""The command line fetches a served copy of the official sites, and says in one line what failed."""

import io
import re
import signal
import sys
import tarfile
import threading
from functools import partial

import numpy as np
import pytest
import serving
from astropy.table import Table
from serving import interrupting, page, short
from tlusty_files import files_of, models, tar_bytes

from slamlib.cli.main import main
from slamlib.fetch.manifest import Manifest
from slamlib.grid.model_grid import ModelGrid
from slamlib.grid.tlusty import read as tlusty
from slamlib.grid.tlusty.merge import write_grid
from slamlib.io import embedded, read_ecsv
from slamlib.spectra.lamost import read

ARCHIVES = {
    "BGvispec_v2.tar": models(letters="G", teff_o=()),
    "BLvispec_v2.tar": models(letters="L", teff_o=()),
    "Gvispec.tar": models(letters="G", teff_b=()),
    "Lvispec.tar": models(letters="L", teff_b=()),
}
QUICK = ["--rate", "1e6", "--backoff", "0.001", "--attempts", "2", "--quiet"]
CHOICE = ["--composition", "BG", "BL", "G", "L", "--vturb", "2"]


@pytest.fixture(scope="module")
def archives():
    return {name: tar_bytes(files_of(found), packed=True) for name, found in ARCHIVES.items()}


@pytest.fixture
def server(tmp_path, archives, monkeypatch):
    monkeypatch.delenv("LAMOST_TOKEN", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    reference = tmp_path / "reference.fits"
    write_grid(reference, Table({"teff": [2e4], "logg": [4.0], "mh": [0.0]}), 4000.0, 4.0, np.ones((1, 300)))
    monkeypatch.setattr(tlusty, "build_grid", partial(tlusty.build_grid, reference=reference))
    labels = read_ecsv(embedded("hrs_labels.ecsv"))
    columns = {"star": "Name", "teff": "Teff", "logg": "logg", "vsini": "vsini"}
    nieva = Table({theirs: np.asarray(labels[ours]) for ours, theirs in columns.items()})
    nieva["Teff"][0] += 500
    with serving.serving(tmp_path / "server") as running:
        for name, content in archives.items():
            running.put(f"database/{name}", content)
        for obsid, arm, instrument in ((11, "", "LRS"), (12, "", "LRS"), (13, "med", "MRS")):
            content = serving.spectrum(tmp_path / f"{obsid}.fits.gz", obsid, instrument)
            running.put(f"{arm}spectrum/fits/{obsid}", content)
        running.catalogues = {
            "J/ApJS/241/32": {"table3": Table({"ObsID": [11, 12]})},
            "J/ApJS/257/54": {"table1": Table({"ObsID": [11]}), "table2": Table({"ObsID": [13]})},
            "J/A+A/539/A143": {"table2": nieva},
            "J/A+A/532/A2": {"table1": nieva},
        }
        yield running


def run(name, *options):
    return main(["fetch", name, *QUICK, *map(str, options)])


def run_all(server, folder, *options):
    base = getattr(server, "base", server)
    bases = ["--base-lamost", base, "--base-vizier", base, "--base-tlusty", f"{base}/database/"]
    return run("all", *bases, *CHOICE, "--build", "--to", folder, *options)


def test_everything_comes_by_one_command_and_a_second_run_asks_for_nothing(server, tmp_path, capsys):
    folder = tmp_path / "raw"
    assert run_all(server, folder) == 0
    errors = capsys.readouterr().err
    assert "12 fetched, 0 already there, 0 failed" in errors
    spectra = sorted(path.name for path in folder.glob("lamost_lrs/*.fits*"))
    assert spectra == ["dr5-11.fits.gz", "dr5-12.fits.gz"]
    assert read(folder / "lamost_mrs/dr7-13.fits.gz").header["instrument"] == "MRS"
    rows = Manifest(folder / "tlusty").rows
    assert sorted(rows) == sorted(ARCHIVES)
    for name, row in rows.items():
        assert f"{name}: the site gives no checksum, so what came first is trusted" in errors
        assert row["sha256"] in errors
    assert len(ModelGrid.read(folder / "tlusty_grid.fits").nodes) == 12
    tables = sorted(f"{path.parent.name}/{path.stem}" for path in folder.glob("catalogues/*/table*.ecsv"))
    there = ["guo2021/table1", "guo2021/table2", "liu2019/table3", "nieva2011/table1", "nieva2012/table2"]
    assert tables == there
    before = len(server.seen)
    assert run_all(server, folder) == 0
    assert len(server.seen) == before
    assert capsys.readouterr().err == "1 fetched, 11 already there, 0 failed\n"


@pytest.mark.parametrize(
    ("trick", "reason"),
    [(page, "web page"), (short(0.4), "is damaged or cut short"), ("members", "its end is missing")],
)
def test_what_is_no_whole_archive_is_set_aside(server, archives, tmp_path, capsys, trick, reason):
    if trick == "members":
        whole = archives["BGvispec_v2.tar"]
        with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
            boundary = tar.getmembers()[3].offset
        trick = short(boundary / len(whole))
    server.tricks["/database/BGvispec_v2.tar"] = [trick]
    options = ["--base-tlusty", f"{server.base}/database", "--to", tmp_path, *CHOICE, "--build"]
    assert run("tlusty", *options) == 1
    [line] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("BGvispec")]
    assert reason in line
    assert not (tmp_path / "tlusty_grid.fits").exists()
    assert run("tlusty", *options) == 0 and server.count("/database/Lvispec") == 1


@pytest.mark.parametrize("recorded", ["first use", "table"])
def test_an_archive_must_have_the_checksum_on_record(server, archives, tmp_path, capsys, recorded):
    options = ["--base-tlusty", f"{server.base}/database", *CHOICE, "--to", tmp_path]
    if recorded == "table":
        table = read_ecsv(embedded("tlusty_archives.ecsv"))
        table["sha256"] = ["0" * 64 if name == "Gvispec.tar" else "" for name in table["archive"]]
        table.write(tmp_path / "tlusty_archives.ecsv")
        options += ["--tables", tmp_path]
    else:
        assert run("tlusty", *options) == 0
        (tmp_path / "tlusty/Gvispec.tar").unlink()
        server.put("database/Gvispec.tar", archives["Lvispec.tar"])
    capsys.readouterr()
    assert run("tlusty", *options) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if "trusted" not in line]
    assert re.match("Gvispec.tar: its sha256 is [0-9a-f]{64}, but [0-9a-f]{64} is on record", lines[0])
    assert not (tmp_path / "tlusty/Gvispec.tar").exists()
    server.put("database/Gvispec.tar", archives["Gvispec.tar"])
    assert run("tlusty", *options) == (1 if recorded == "table" else 0)


def test_ctrl_c_says_how_to_go_on(server, tmp_path, capsys):
    kill = partial(signal.pthread_kill, threading.main_thread().ident, signal.SIGINT)
    server.tricks["/spectrum/fits/12"] = [interrupting(kill)]
    options = ["--workers", 1, "--base-lamost", server.base, "--to", tmp_path, 11, 12]
    assert run("lamost", *options) == 130
    assert "the same command goes on from there" in capsys.readouterr().err
    assert run("lamost", *options) == 0 and server.count("fits/11") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["lamost", "7", "--release", "dr99"], "no release 'dr99'"),
        (["lamost", "absent.csv"], "neither an OBSID nor a file"),
        (["catalogues", "guo"], "no catalogue guo"),
        (["tlusty", "--composition", "XX"], "no composition XX"),
        (["tlusty", "--vturb", "7", "--composition", "BG"], "no archive of BG with vturb 7"),
        (["tlusty", "--rate", "0"], "rate=0.0 must be positive"),
        (["isochrones", "absent.dat"], "absent.dat"),
    ],
)
def test_wrong_choices_are_one_line(tmp_path, monkeypatch, capsys, options, message):
    monkeypatch.chdir(tmp_path)
    assert main(["fetch", *options]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert message in line
    assert list(tmp_path.iterdir()) == []


def test_without_requests_the_command_says_what_to_install(tmp_path, monkeypatch, capsys):
    for name in [name for name in sys.modules if name.startswith("slamlib.fetch.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "requests", None)
    monkeypatch.chdir(tmp_path)
    assert main(["fetch", "lamost", "7"]) == 1
    assert capsys.readouterr().err == "slamlib: requests is not installed: pip install 'slamlib[fetch]'\n"
    columns = "# Zini MH logAge Mini int_IMF Mass logL logTe logg label"
    (tmp_path / "cmd.dat").write_text(f"{columns}\n0.0152 0 6.6 2 1 2 1.2 4.0 4.2 1\n")
    assert main(["fetch", "isochrones", "cmd.dat"]) == 0
    assert "data/raw/isochrones.ecsv: 1 rows, log age 6.60" in capsys.readouterr().out
