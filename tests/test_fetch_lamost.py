"""LAMOST spectra come from the addresses of each release, and only readable ones count."""

import gzip

import pytest
import serving

from slamlib.errors import FileError
from slamlib.fetch.download import RequestPolicy
from slamlib.fetch.lamost import fetch, find_token, jobs, targets
from slamlib.io import embedded, read_ecsv

RELEASES_PATH = embedded("lamost_releases.ecsv")
RELEASES = read_ecsv(RELEASES_PATH)
FAST = RequestPolicy(interval=0, backoff=0.001, attempts=2, timeout=5)


@pytest.fixture(autouse=True)
def no_token(monkeypatch, tmp_path):
    monkeypatch.delenv("LAMOST_TOKEN", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def server(tmp_path):
    with serving.serving(tmp_path / "server") as running:
        yield running


def content(tmp_path, obsid, instrument="LRS"):
    return serving.spectrum(tmp_path / f"{obsid}.fits.gz", obsid, instrument)


def fetch_here(server, folder, wanted, release="dr7", instrument="LRS", lines=None, **more):
    say = None if lines is None else lines.append
    about = {"base": server.base, "say": say, "progress": False, **more}
    return fetch(wanted, RELEASES_PATH, release, instrument, folder, FAST, **about)


@pytest.mark.parametrize(
    ("release", "instrument", "url"),
    [
        ("dr5", "LRS", "https://dr5.lamost.org/spectrum/fits/7"),
        ("dr7", "MRS", "https://www.lamost.org/dr7/v2.0/medspectrum/fits/7"),
        ("dr11", "LRS", "https://www.lamost.org/openapi/dr11/v2.0/lrs/spectrum/fits?obsid=7"),
    ],
)
def test_releases_are_addressed_by_obsid_with_a_token_over_https_alone(release, instrument, url):
    table = targets([7])
    [job] = jobs(table, RELEASES, release, instrument, "x", token="T")
    assert (job.url, job.token) == (url, "T")
    base = "http://mirror.org/dr7/"
    for allowed in (False, True):
        about = {"base": base, "token": "T", "token_over_http": allowed}
        [job] = jobs(table, RELEASES, release, instrument, "x", **about)
        assert job.url.startswith("http://mirror.org/dr7/") and job.url.endswith(url.split("/")[-1])
        assert job.token == ("T" if allowed else "")
        assert ("--token-over-http" in job.remedy) != allowed


def test_the_token_comes_from_the_environment_before_the_file(tmp_path, monkeypatch):
    path = tmp_path / "token"
    assert find_token(path) == ""
    path.write_text("FROMFILE\nmore\n")
    assert find_token(path) == "FROMFILE"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FileError, match="token"):
        find_token(path)
    monkeypatch.setenv("LAMOST_TOKEN", " FROMENV ")
    assert find_token(path) == "FROMENV"


def test_the_openapi_wants_its_token_and_says_where_to_put_it(server, tmp_path, monkeypatch):
    server.put("openapi/dr12/v1.1/lrs/spectrum/fits/7", content(tmp_path, 7))
    server.private, server.token = "/openapi", "S3CRET"
    lines, about = [], {"release": "dr12", "wanted": [7]}
    assert fetch_here(server, tmp_path / "x", lines=lines, **about).failed
    assert "403" in lines[0] and "put your LAMOST token into LAMOST_TOKEN" in lines[0]
    monkeypatch.setenv("LAMOST_TOKEN", "S3CRET")
    assert fetch_here(server, tmp_path / "x", lines=lines, **about).failed
    assert "403" in lines[1] and "--token-over-http" in lines[1]
    assert [path for path, _ in server.seen if "S3CRET" in path] == []
    assert len(fetch_here(server, tmp_path / "x", token_over_http=True, **about).fetched) == 1
    assert "S3CRET" not in (tmp_path / "x" / "manifest.ecsv").read_text()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda made: b"<html>please log in</html>", "web page"),
        (lambda made: b'{"error": "no such spectrum"}', "web page"),
        (lambda made: made[: len(made) // 2], "truncated"),
        (lambda made: gzip.decompress(made)[:5000], "damaged"),
        (lambda made: bytes(255 - byte for byte in made), "not a FITS file"),
    ],
    ids=["page", "json", "half a gzip", "half a FITS", "wrong bytes"],
)
def test_what_is_no_spectrum_is_set_aside_although_the_server_says_200(server, tmp_path, change, reason):
    server.put("spectrum/fits/7", change(content(tmp_path, 7)))
    folder, lines = tmp_path / "here", []
    assert fetch_here(server, folder, [7], lines=lines).fetched == []
    [line] = lines
    assert reason in line and ".part" not in line
    assert [path.name for path in folder.glob("rejected/*")] == ["dr7-7.fits.gz.rejected"]
    assert list(folder.glob("*.fits*")) == []


def test_another_spectrum_than_the_one_asked_for_is_refused(server, tmp_path):
    server.put("spectrum/fits/7", content(tmp_path, 8))
    server.put("spectrum/fits/9", content(tmp_path, 9, "MRS"))
    reasons = [reason for _, reason in fetch_here(server, tmp_path / "here", [7, 9]).failed]
    assert "holds OBSID 8 instead" in reasons[0]
    assert "MRS spectrum, LRS was asked for" in reasons[1]


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
