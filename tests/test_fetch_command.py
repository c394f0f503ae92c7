"""The command line fetches a served copy of the official sites, and says in one line what failed."""

import gzip
import io
import re
import signal
import tarfile
import threading
from functools import partial

import numpy as np
import pytest
import serving
from astropy.table import Table
from serving import closed_port, interrupting, page, short, status

from slamlib.fetch import __main__ as command
from slamlib.fetch.manifest import Manifest
from slamlib.fetch.options import ROOT
from slamlib.grid.model_grid import ModelGrid
from slamlib.grid.tlusty.merge import Model, write_grid
from slamlib.grid.tlusty.write import spectrum_files
from slamlib.io import read_ecsv
from slamlib.mock.lamost_write import write_lrs, write_mrs
from slamlib.spectra.lamost import read
from slamlib.spectra.spectrum import Spectrum, air_from_vacuum

WAVE = 4000 * np.exp(np.arange(300) * 4.0 / 299792.458)
MODELS = {
    "BGvispec_v2.tar": [Model("BG", t, g, 2) for t in (20000, 25000) for g in (3.5, 4.0)],
    "BLvispec_v2.tar": [Model("BL", t, g, 2) for t in (20000, 25000) for g in (3.5, 4.0)],
    "Gvispec.tar": [Model("G", t, g, 10) for t in (32500, 35000) for g in (3.5, 4.0)],
    "Lvispec.tar": [Model("L", t, g, 10) for t in (32500, 35000) for g in (3.5, 4.0)],
}
QUICK = ["--rate", "1e6", "--backoff", "0.001", "--attempts", "2", "--quiet"]
CHOICE = ["--composition", "BG", "BL", "G", "L", "--vturb", "2"]


def archive(models):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for model in models:
            depth = 0.2 + 0.1 * (model.logg - 3) + (model.teff - 20000) / 1e5
            means = 1 - depth * np.exp(-(((np.arange(WAVE.size) - 150) / 5) ** 2))
            for name, content in spectrum_files(model, WAVE, means).items():
                member = tarfile.TarInfo(f"folder/{name}.gz")
                packed = gzip.compress(content, 1, mtime=0)
                member.size = len(packed)
                tar.addfile(member, io.BytesIO(packed))
    return stream.getvalue()


@pytest.fixture(scope="module")
def archives():
    return {name: archive(models) for name, models in MODELS.items()}


def spectrum(path, obsid, edges, write):
    wave = np.concatenate([air_from_vacuum(10 ** np.arange(*edge)) for edge in edges])
    ones = np.ones(wave.size)
    header = {"obsid": obsid, "snr_b": 9, "snr_r": 9}
    write(path, Spectrum(wave, ones, ones, np.zeros(wave.size, bool), header))
    return path.read_bytes()


@pytest.fixture
def server(tmp_path, archives, monkeypatch):
    monkeypatch.delenv("LAMOST_TOKEN", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    reference = tmp_path / "reference.fits"
    write_grid(
        reference, Table({"teff": [2e4], "logg": [4.0], "mh": [0.0]}), 4000.0, 4.0, np.ones((1, WAVE.size))
    )
    monkeypatch.setattr(command, "build_grid", partial(command.build_grid, reference=reference))
    labels = read_ecsv(ROOT / "data/embedded/hrs_labels.ecsv")
    columns = {"star": "Name", "teff": "Teff", "logg": "log(g)", "vsini": "vsini"}
    nieva = Table({theirs: labels[ours] for ours, theirs in columns.items()})
    nieva["Teff"][0] += 500
    with serving.serving(tmp_path / "server") as running:
        for name, content in archives.items():
            running.put(f"database/{name}", content)
        for obsid in (11, 12):
            lrs = spectrum(tmp_path / "a.fits.gz", obsid, [(3.5682, 3.95, 1e-4)], write_lrs)
            running.put(f"spectrum/fits/{obsid}", lrs)
        mrs = spectrum(tmp_path / "b.fits.gz", 13, [(3.690, 3.731, 1e-5), (3.798, 3.836, 1e-5)], write_mrs)
        running.put("medspectrum/fits/13", mrs)
        running.catalogues = {
            "J/ApJS/241/32": {"table3": Table({"ObsID": [11, 12]})},
            "J/ApJS/257/54": {"table1": Table({"ObsID": [11]}), "table2": Table({"ObsID": [13]})},
            "J/A+A/539/A143": {"table2": nieva},
            "J/A+A/532/A2": {"table1": nieva},
        }
        yield running


def run(name, *options):
    return command.main([name, *QUICK, *map(str, options)])


def run_all(server, folder, *options):
    base = getattr(server, "base", server)
    bases = ["--base-lamost", base, "--base-vizier", base, "--base-tlusty", f"{base}/database/"]
    grid = folder / "grid.fits"
    return run("all", *bases, *CHOICE, "--build", "--output", grid, "--to", folder, *options)


def test_everything_comes_by_one_command_and_a_second_run_asks_for_nothing(server, tmp_path, capsys):
    folder = tmp_path / "raw"
    assert run_all(server, folder) == 0
    captured = capsys.readouterr()
    assert "11 fetched, 0 already there, 0 failed" not in captured.err.splitlines()[0:0]
    assert sorted(path.name for path in folder.glob("lamost_lrs/*.fits*")) == [
        "dr5-11.fits.gz",
        "dr5-12.fits.gz",
    ]
    assert read(folder / "lamost_mrs/dr7-13.fits.gz").header["instrument"] == "MRS"
    assert sorted(Manifest(folder / "tlusty").names()) == sorted(MODELS)
    assert len(ModelGrid.read(folder / "grid.fits").nodes) == 16
    assert [path.name for path in sorted(folder.glob("catalogues/*/table*.ecsv"))] == [
        "table1.ecsv",
        "table2.ecsv",
        "table3.ecsv",
        "table1.ecsv",
        "table2.ecsv",
    ]
    before = len(server.seen)
    assert run_all(server, folder) == 0
    assert len(server.seen) == before
    assert "1 fetched, 11 already there, 0 failed" in capsys.readouterr().err


def test_differences_of_the_embedded_labels_are_printed_and_written(server, tmp_path, capsys):
    assert run("catalogues", "nieva2012", "--base", server.base, "--to", tmp_path / "c") == 0
    printed = capsys.readouterr().out
    assert "Nieva & Przybilla 2012: 20 stars checked, 1 differences" in printed
    assert "HD36591: teff 27000 here, 27500 there" in printed
    assert len(read_ecsv(tmp_path / "c/differences_nieva2012.ecsv")) == 1


def test_without_a_network_each_thing_is_one_clear_line(tmp_path, capsys):
    assert run_all(closed_port(), tmp_path / "raw") == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" ")[0].rstrip(":") for line in lines[:4]] == [
        "guo2021",
        "liu2019",
        "nieva2012",
        "nieva2011",
    ]
    assert all("cannot be reached" in line for line in lines[:4])
    assert lines[4].startswith("LAMOST LRS: ")
    assert lines[5].startswith("LAMOST MRS: ")
    assert any("tar: 127.0.0.1 cannot be reached" in line for line in lines[6:])
    assert re.fullmatch(r"grid: not made, .*", lines[-2])
    assert lines[-1] == "0 fetched, 0 already there, 11 failed"
    assert not any("Traceback" in line for line in lines)


def test_what_fails_does_not_keep_the_rest_from_coming(server, tmp_path, capsys):
    server.tricks = {
        "/database/Gvispec.tar": [status(404)],
        "/spectrum/fits/11": [page],
        "/spectrum/fits/12": [status(503)] * 2,
    }
    folder = tmp_path / "raw"
    assert run_all(server, folder) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "dr5-11.fits.gz",
        "dr5-12.fits.gz",
        "Gvispec.tar",
        "grid",
        "8 fetched, 0 already there, 4 failed",
    ]
    assert not (folder / "grid.fits").exists()
    assert run_all(server, folder) == 0
    assert (folder / "grid.fits").exists()
    assert server.count("BGvispec") == 1


@pytest.mark.parametrize(("trick", "reason"), [(page, "web page"), (short(0.4), "it is cut, damaged or")])
def test_what_is_no_whole_archive_is_set_aside_and_never_built_of(server, tmp_path, capsys, trick, reason):
    server.tricks["/database/BGvispec_v2.tar"] = [trick]
    base = ["--base", f"{server.base}/database", "--to", tmp_path / "t", "--output", tmp_path / "g.fits"]
    assert run("tlusty", *base, *CHOICE, "--build") == 1
    assert reason in capsys.readouterr().err.splitlines()[0]
    assert not (tmp_path / "g.fits").exists()
    assert run("tlusty", *base, *CHOICE, "--build") == 0
    assert server.count("/database/Lvispec") == 1


def test_an_archive_cut_between_two_members_is_not_taken_for_whole(server, archives, tmp_path, capsys):
    whole = archives["BGvispec_v2.tar"]
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        boundary = tar.getmembers()[3].offset
    server.put("database/BGvispec_v2.tar", whole[:boundary])
    options = ["--base", f"{server.base}/database", "--to", tmp_path / "t", "--composition", "BG"]
    assert run("tlusty", *options, "--vturb", "2") == 1
    assert "BGvispec_v2.tar: it is cut" in capsys.readouterr().err


def test_a_grid_is_made_of_archives_got_by_hand_without_a_request(server, archives, tmp_path, capsys):
    for name, content in archives.items():
        (tmp_path / name).write_bytes(content)
    options = ["--to", tmp_path, "--output", tmp_path / "g.fits", "--base", closed_port()]
    assert run("tlusty", "--build-only", *options) == 0
    assert server.seen == []
    assert len(ModelGrid.read(tmp_path / "g.fits").nodes) == 16
    assert run("tlusty", "--build-only", "--to", tmp_path / "empty", "--output", tmp_path / "h.fits") == 1
    assert capsys.readouterr().err.splitlines()[-2].startswith("grid: no folder")


def test_checksums_in_the_table_of_archives_are_checked(server, tmp_path, capsys):
    table = read_ecsv(ROOT / "data/embedded/tlusty_archives.ecsv")
    table["sha256"] = ["0" * 64 if name == "Gvispec.tar" else "" for name in table["archive"]]
    table.write(tmp_path / "archives.ecsv")
    options = ["--archives", tmp_path / "archives.ecsv", "--base", f"{server.base}/database"]
    assert run("tlusty", *options, *CHOICE, "--to", tmp_path / "t") == 1
    assert "Gvispec.tar: its sha256 is" in capsys.readouterr().err
    assert len(Manifest(tmp_path / "t").names()) == 3


def test_ctrl_c_says_how_to_go_on(server, tmp_path, capsys):
    main_thread = threading.main_thread().ident
    server.tricks["/spectrum/fits/12"] = [
        interrupting(partial(signal.pthread_kill, main_thread, signal.SIGINT))
    ]
    options = ["--workers", 1, "--base", server.base, "--to", tmp_path / "l", 11, 12]
    assert run("lamost", *options) == 130
    assert "run the same command to go on" in capsys.readouterr().err
    assert run("lamost", *options) == 0
    assert server.count("fits/11") == 1


def test_wrong_choices_are_one_line(tmp_path, capsys):
    for options, message in [
        (["lamost", "7", "--release", "dr99"], "no release 'dr99'"),
        (["lamost", str(tmp_path / "absent.csv")], "neither an OBSID nor a file"),
        (["catalogues", "guo"], "no catalogue guo"),
        (["tlusty", "--composition", "XX"], "no composition XX"),
        (["tlusty", "--vturb", "7", "--composition", "BG"], "no archive of BG with vturb 7"),
        (["tlusty", "--rate", "0"], "rate=0.0 must be positive"),
        (["isochrones", str(tmp_path / "absent.dat")], "absent.dat"),
        (["tlusty", "--archives", str(tmp_path / "absent.ecsv")], "absent.ecsv"),
    ]:
        to = [] if options[0] == "isochrones" else ["--to", str(tmp_path / "x")]
        assert command.main([*options, *to]) == 1
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        assert message in lines[0]


def test_isochrones_are_converted(tmp_path, capsys):
    export = tmp_path / "cmd.dat"
    export.write_text(
        "# Zini MH logAge Mini int_IMF Mass logL logTe logg label\n0.0152 0 6.6 2 1 2 1.2 4.0 4.2 1\n"
    )
    assert command.main(["isochrones", str(export), "--output", str(tmp_path / "i.ecsv")]) == 0
    assert "1 rows, log age 6.60" in capsys.readouterr().out


def test_help_names_files_environment_and_exit_status(capsys):
    with pytest.raises(SystemExit) as left:
        command.main(["--help"])
    assert left.value.code == 0
    text = capsys.readouterr().out
    for word in ("tlusty", "lamost", "catalogues", "all", "LAMOST_TOKEN", "manifest.ecsv", "exit status"):
        assert word in text
    for name in ("tlusty", "lamost", "catalogues", "all"):
        with pytest.raises(SystemExit):
            command.main([name, "--help"])
        text = capsys.readouterr().out
        for option in ("--to", "--workers", "--rate", "--base"):
            assert option in text


def test_by_default_files_go_where_the_notebooks_look(server, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "ROOT", tmp_path / "compendium")
    assert run("lamost", "--base", server.base, "--release", "dr7", 11) == 0
    assert (tmp_path / "compendium/data/raw/lamost_lrs/dr7-11.fits.gz").is_file()


def test_make_data_calls_the_command():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(
        r"^data: \$\(READY\) ## .+\n\t@\$\(PY\) -m slamlib\.fetch all --build", text, re.MULTILINE
    )
