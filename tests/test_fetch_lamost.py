"""LAMOST spectra come from the addresses of each release, and only readable ones count."""

import gzip
import json

import numpy as np
import pytest
import serving
from astropy.io import fits
from astropy.table import Table

from slamlib.errors import FileError, InputError
from slamlib.fetch.download import Manners
from slamlib.fetch.lamost import FOLDERS, fetch, find_token, jobs, targets
from slamlib.fetch.options import ROOT
from slamlib.io import read_ecsv
from slamlib.mock.lamost_write import write_lrs, write_mrs
from slamlib.spectra.lamost import read
from slamlib.spectra.spectrum import Spectrum, air_from_vacuum

RELEASES_PATH = ROOT / "data/embedded/lamost_releases.ecsv"
RELEASES = read_ecsv(RELEASES_PATH)
FAST = Manners(interval=0, backoff=0.001, attempts=2, timeout=5)
PLAN = {"obsid": 251401075, "lmjd": 56608, "planid": "GAC116N20B1", "spid": 15, "fiberid": 92}


@pytest.fixture(autouse=True)
def no_token(monkeypatch, tmp_path):
    monkeypatch.delenv("LAMOST_TOKEN", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def server(tmp_path):
    with serving.serving(tmp_path / "server") as running:
        yield running


def content(tmp_path, obsid, instrument="LRS"):
    """Bytes of a spectrum as LAMOST serves it."""
    edges = {"LRS": ((3.5682, 3.95, 1e-4),), "MRS": ((3.690, 3.731, 1e-5), (3.798, 3.836, 1e-5))}[instrument]
    wave = np.concatenate([air_from_vacuum(10 ** np.arange(*edge)) for edge in edges])
    ones = np.ones(wave.size)
    spectrum = Spectrum(wave, ones, ones, np.zeros(wave.size, bool), {"obsid": obsid, "snr_b": 9, "snr_r": 9})
    path = tmp_path / f"{obsid}.fits.gz"
    {"LRS": write_lrs, "MRS": write_mrs}[instrument](path, spectrum)
    return path.read_bytes()


def urls(release, instrument, table, **more):
    return [job.url for job in jobs(table, RELEASES, release, instrument, "x", **more)]


def fetch_here(server, folder, wanted, release="dr7", instrument="LRS", lines=None):
    return fetch(
        wanted,
        RELEASES_PATH,
        release,
        instrument,
        folder,
        FAST,
        base=server.base,
        say=None if lines is None else lines.append,
        progress=False,
    )


def test_the_archive_of_dr5_is_addressed_by_night_plan_spectrograph_and_fibre():
    # An address in the lists of RCSED: the folder is the evening, the name has the next day.
    assert urls("dr5", "LRS", Table([PLAN])) == [
        "http://dr5.lamost.org/v3/sas/fits/20131111/GAC116N20B1/spec-56608-GAC116N20B1_sp15-092.fits.gz"
    ]


@pytest.mark.parametrize(
    ("release", "instrument", "url"),
    [
        ("dr5", "LRS", "http://dr5.lamost.org/spectrum/fits/7"),
        ("dr7", "LRS", "https://www.lamost.org/dr7/v2.0/spectrum/fits/7"),
        ("dr7", "MRS", "https://www.lamost.org/dr7/v2.0/medspectrum/fits/7"),
        ("dr11", "LRS", "https://www.lamost.org/openapi/dr11/v2.0/lrs/spectrum/fits?obsid=7"),
        ("dr11", "MRS", "https://www.lamost.org/openapi/dr11/v2.0/mrs/spectrum/fits?obsid=7"),
    ],
)
def test_later_releases_are_addressed_by_obsid(release, instrument, url):
    table = targets([7])
    assert urls(release, instrument, table) == [url]
    joint = "&" if "?" in url else "?"
    assert urls(release, instrument, table, token="a b") == [f"{url}{joint}token=a+b"]


def test_a_token_is_not_sent_where_none_is_wanted():
    assert "token" not in urls("dr5", "LRS", Table([PLAN]), token="T")[0]


def test_another_base_address_keeps_the_pattern():
    assert urls("dr7", "LRS", targets([7]), base="http://mirror.org/dr7/") == [
        "http://mirror.org/dr7/spectrum/fits/7"
    ]


def test_unknown_releases_and_missing_columns_are_named():
    with pytest.raises(InputError, match=r"no release 'dr99'.*dr5"):
        urls("dr99", "LRS", targets([7]))
    with pytest.raises(InputError, match="no release 'dr5' with MRS"):
        urls("dr5", "MRS", targets([7]))
    with pytest.raises(InputError, match="fiberid"):
        jobs(targets([7]), RELEASES[:1], "dr5", "LRS", "x")


@pytest.mark.parametrize("suffix", ["csv", "ecsv", "fits"])
def test_tables_of_every_kind_are_read_whatever_the_case_of_their_columns(tmp_path, suffix):
    rows = [PLAN, {**PLAN, "obsid": 251401076, "fiberid": 93}]
    table = Table(rows)
    table.rename_columns(table.colnames, ["ObsID", "LMJD", "PlanID", "SpID", "FiberID"])
    table["other"] = 1.5
    table.write(tmp_path / f"t.{suffix}")
    read_back = targets([tmp_path / f"t.{suffix}"])
    assert [dict(zip(read_back.colnames, row, strict=True)) for row in read_back] == rows


def test_obsids_and_tables_mix_and_each_spectrum_is_asked_for_once(tmp_path):
    Table({"obsid": [5, 7], "lmjd": [1, 2]}).write(tmp_path / "a.csv")
    Table({"ObsID": [7, 9]}).write(tmp_path / "b.csv")
    table = targets(["7", 3, tmp_path / "a.csv", tmp_path / "b.csv"])
    assert list(table["obsid"]) == [3, 5, 7, 9]
    assert table.colnames == ["obsid"]


def test_tables_that_cannot_be_used_are_named(tmp_path):
    (tmp_path / "bad.fits").write_text("no table")
    Table({"name": ["a"]}).write(tmp_path / "names.csv")
    Table({"obsid": ["12", "x3"]}).write(tmp_path / "words.csv")
    (tmp_path / "holes.csv").write_text("obsid,lmjd\n5,\n6,7\n")
    for name, error, message in [
        ("absent.csv", FileError, "neither an OBSID nor a file"),
        ("bad.fits", FileError, "not a table"),
        ("names.csv", InputError, "no column obsid; it has name"),
        ("words.csv", InputError, "column obsid is not made of whole numbers"),
        ("holes.csv", InputError, "column lmjd is not made of whole numbers"),
    ]:
        with pytest.raises(error, match=message) as caught:
            targets([tmp_path / name])
        assert name in str(caught.value)
    with pytest.raises(InputError, match="nothing to fetch"):
        targets([])


def test_the_token_comes_from_the_environment_before_the_file(tmp_path):
    path = tmp_path / "token"
    assert find_token({}, path) == ""
    path.write_text("FROMFILE\nmore\n")
    assert find_token({}, path) == "FROMFILE"
    assert find_token({"LAMOST_TOKEN": " FROMENV "}, path) == "FROMENV"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FileError, match="token"):
        find_token({}, path)


def test_spectra_arrive_where_source_lamost_reads_them(server, tmp_path):
    """Notebook 05 takes every *.fits* directly in data/raw/lamost_lrs and data/raw/lamost_mrs."""
    notebook = json.loads((ROOT / "notebooks/05_lamost_spectra.ipynb").read_text(encoding="utf-8"))
    code = "".join("".join(cell["source"]) for cell in notebook["cells"])
    assert '(folder / f"lamost_{name.lower()}").glob("*.fits*")' in code
    for instrument, arm in (("LRS", ""), ("MRS", "med")):
        folder = tmp_path / FOLDERS[instrument]
        assert folder.as_posix().endswith(f"data/raw/lamost_{instrument.lower()}")
        server.put(f"{arm}spectrum/fits/7", content(tmp_path, 7, instrument))
        server.tricks[f"/{arm}spectrum/fits/8"] = [serving.page] * 2
        server.put(f"{arm}spectrum/fits/9", content(tmp_path, 9, instrument))
        server.tricks[f"/{arm}spectrum/fits/9"] = [serving.cut(0.5)] * 2
        fetch_here(server, folder, [7, 8, 9], instrument=instrument)
        [path] = folder.glob("*.fits*")
        header = read(path).header
        assert (path.name, header["obsid"], header["instrument"]) == ("dr7-7.fits.gz", 7, instrument)


def test_the_dr5_archive_layout_is_fetched(server, tmp_path):
    path = "v3/sas/fits/20131111/GAC116N20B1/spec-56608-GAC116N20B1_sp15-092.fits.gz"
    server.put(path, content(tmp_path, PLAN["obsid"]))
    Table([PLAN]).write(tmp_path / "liu.csv")
    report = fetch_here(server, tmp_path / "x", [tmp_path / "liu.csv"], release="dr5")
    assert [path.name for path in report.fetched] == ["dr5-251401075.fits.gz"]


def test_the_openapi_wants_its_token_and_says_where_to_put_it(server, tmp_path, monkeypatch):
    path = "openapi/dr12/v1.1/lrs/spectrum/fits"
    server.put(f"{path}/7", content(tmp_path, 7))
    server.private, server.token = "/openapi", "S3CRET"
    lines = []
    report = fetch_here(server, tmp_path / "x", [7], release="dr12", lines=lines)
    assert report.failed
    assert "403" in lines[0]
    assert "LAMOST_TOKEN" in lines[0]
    monkeypatch.setenv("LAMOST_TOKEN", "S3CRET")
    assert len(fetch_here(server, tmp_path / "x", [7], release="dr12").fetched) == 1
    assert "S3CRET" not in (tmp_path / "x" / "manifest.ecsv").read_text()


def unpacked(packed):
    return gzip.decompress(packed)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda made: b"<html>please log in</html>", "web page"),
        (lambda made: b'{"error": "no such spectrum"}', "web page"),
        (lambda made: made[: len(made) // 2], "truncated"),
        (lambda made: unpacked(made)[:5000], "damaged"),
        (lambda made: bytes(255 - byte for byte in made), "not a FITS file"),
    ],
    ids=["page", "json", "half a gzip", "half a FITS", "wrong bytes"],
)
def test_what_is_no_spectrum_is_set_aside_although_the_server_says_200(server, tmp_path, change, reason):
    server.put("spectrum/fits/7", change(content(tmp_path, 7)))
    folder, lines = tmp_path / "here", []
    report = fetch_here(server, folder, [7], lines=lines)
    assert report.fetched == []
    assert len(lines) == 1
    assert reason in lines[0]
    assert ".part" not in lines[0]
    assert [path.name for path in folder.glob("rejected/*")] == ["dr7-7.fits.gz.rejected"]
    assert list(folder.glob("*.fits*")) == []


def test_another_spectrum_than_the_one_asked_for_is_refused(server, tmp_path):
    server.put("spectrum/fits/7", content(tmp_path, 8))
    server.put("spectrum/fits/9", content(tmp_path, 9, "MRS"))
    reasons = [reason for _, reason in fetch_here(server, tmp_path / "here", [7, 9]).failed]
    assert "holds OBSID 8 instead" in reasons[0]
    assert "MRS spectrum, LRS was asked for" in reasons[1]


def test_a_spectrum_packed_or_not_is_taken_as_it_comes(server, tmp_path):
    plain = unpacked(content(tmp_path, 7))
    server.put("spectrum/fits/7", plain)
    fetch_here(server, tmp_path / "here", [7])
    path = tmp_path / "here" / "dr7-7.fits.gz"
    assert path.read_bytes() == plain
    assert read(path).header["obsid"] == 7
    assert fits.getheader(tmp_path / "7.fits.gz")["OBSID"] == 7


def test_bytes_are_kept_as_sent_even_if_called_packed_for_the_journey(server, tmp_path):
    packed = content(tmp_path, 7)
    server.put("spectrum/fits/7", packed)
    server.tricks["/spectrum/fits/7"] = [
        lambda handler, made: handler.answer(200, made, {"Content-Encoding": "gzip"})
    ]
    assert len(fetch_here(server, tmp_path / "here", [7]).fetched) == 1
    assert (tmp_path / "here" / "dr7-7.fits.gz").read_bytes() == packed


def test_one_star_is_not_fetched_from_two_releases(server, tmp_path):
    for path in ("spectrum/fits/7", "openapi/dr10/v2.0/lrs/spectrum/fits/7"):
        server.put(path, content(tmp_path, 7))
    fetch_here(server, tmp_path / "here", [7])
    lines = []
    report = fetch_here(server, tmp_path / "here", [7], release="dr10", lines=lines)
    assert len(report.failed) == len(lines) == 1
    assert "dr7-7.fits.gz is the same OBSID" in lines[0]
    (tmp_path / "here" / "dr7-7.fits.gz").unlink()
    assert len(fetch_here(server, tmp_path / "here", [7], release="dr10").fetched) == 1
