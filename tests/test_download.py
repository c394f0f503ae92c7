"""Whatever server or machine do, files are whole or absent, asked for as promised, failures one line."""

import errno
import hashlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import numpy as np
import pytest
import serving
from serving import cut, echo, interrupting, page, redirect, silent, status

from slamlib.errors import FileError
from slamlib.fetch import transfer as transfer_module
from slamlib.fetch.download import Job, RequestPolicy, download
from slamlib.fetch.manifest import Manifest
from slamlib.fetch.policy import RateLimiter
from slamlib.io import read_ecsv

FAST = RequestPolicy(interval=0, backoff=0.001, attempts=3, timeout=5)
ONCE = RequestPolicy(workers=1, interval=0, backoff=0, attempts=1, timeout=5)
RNG = np.random.default_rng(1)
CONTENT = {f"file{i}.bin": RNG.bytes(300_000 + i) for i in range(6)}
FIRST = CONTENT["file0.bin"]
PATH = "/data/file0.bin"
CHILD = """
import sys
from pathlib import Path
from slamlib.fetch.download import Job, RequestPolicy, download
jobs = [Job(f"{sys.argv[1]}/data/file{i}.bin", Path(sys.argv[2]) / f"file{i}.bin") for i in range(6)]
download(jobs, RequestPolicy(workers=1, interval=0), progress=False)
"""
TOKEN = "S3/CRET+ word"


def job(server, folder, name="file0.bin", **more):
    return Job(f"{server.base}/data/{name}", folder / name, **more)


def fetch(*jobs, policy=FAST, lines=None):
    return download(jobs, policy, say=None if lines is None else lines.append, progress=False)


def assert_only_whole_files(folder):
    """What lies in the folder under its own name is listed in the manifest and is the right content."""
    there = {path.name for path in folder.iterdir() if path.is_file()} - {"manifest.ecsv"}
    manifest = Manifest(folder)
    for name in there:
        assert (folder / name).read_bytes() == CONTENT[name] and manifest.holds(folder / name)
    assert all(path.name.endswith(".part") for path in folder.glob("partial/*"))
    return there


@pytest.fixture
def server(tmp_path):
    with serving.serving(tmp_path / "server") as running:
        for name, content in CONTENT.items():
            running.put(f"data/{name}", content)
        yield running


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "here"


def test_files_arrive_whole_with_a_manifest_and_are_not_asked_for_again(server, folder):
    jobs = [job(server, folder, name) for name in CONTENT]
    assert [path.name for path in fetch(*jobs).fetched] == list(CONTENT)
    assert assert_only_whole_files(folder) == set(CONTENT)
    table = read_ecsv(folder / "manifest.ecsv")
    assert table.colnames == ["name", "url", "size", "sha256", "date"]
    row = table[table["name"] == "file3.bin"][0]
    assert (row["size"], row["url"]) == (300_003, f"{server.base}/data/file3.bin")
    assert row["sha256"] == hashlib.sha256(CONTENT["file3.bin"]).hexdigest()
    assert abs(datetime.fromisoformat(row["date"]) - datetime.now(UTC)) < timedelta(minutes=1)
    assert server.seen[0][1]["User-Agent"].startswith("slamlib/")
    before = len(server.seen)
    assert len(fetch(*jobs).kept) == len(CONTENT) and len(server.seen) == before


@pytest.mark.parametrize("left", [None, FIRST[:-1], b"?" + FIRST[1:]])
@pytest.mark.parametrize("known", [True, False])
def test_a_file_that_is_not_what_the_manifest_says_is_fetched_again(server, folder, left, known):
    folder.mkdir()
    if known:
        fetch(job(server, folder))
        (folder / "file0.bin").unlink()
    if left is not None:
        (folder / "file0.bin").write_bytes(left)
    assert len(fetch(job(server, folder)).fetched) == 1
    assert assert_only_whole_files(folder) == {"file0.bin"}


@pytest.mark.parametrize(
    ("code", "text"),
    [(404, "not on the server"), (403, "ask the keeper"), (401, "ask the keeper"), (418, "418")],
)
def test_a_final_refusal_is_one_line_asked_once_and_the_rest_goes_on(server, folder, code, text):
    server.tricks[PATH] = [status(code)] * 9
    lines = []
    report = fetch(*(job(server, folder, name, remedy="ask the keeper") for name in CONTENT), lines=lines)
    assert server.count("file0") == 1
    [line] = lines
    assert line.startswith("file0.bin: ") and text in line and "\n" not in line
    assert len(report.fetched) == len(CONTENT) - 1
    assert "file0.bin" not in assert_only_whole_files(folder)


@pytest.mark.parametrize("trick", [*map(status, (429, 500, 502, 503, 504)), silent])
def test_a_passing_failure_is_tried_again_and_given_up_after_the_attempts(server, folder, trick):
    server.tricks[PATH] = [trick] * 2
    assert len(fetch(job(server, folder)).fetched) == 1 and server.count() == 3
    (folder / "file0.bin").unlink()
    server.tricks[PATH] = [trick] * 9
    [(_, reason)] = fetch(job(server, folder)).failed
    assert "tried 3 times" in reason or "closed the connection without an answer" in reason
    assert server.count() == 6


def test_a_cut_connection_is_taken_up_where_it_ended_by_this_run_or_the_next(server, folder):
    server.tricks[PATH] = [cut(0.5)]
    assert len(fetch(job(server, folder)).fetched) == 1
    assert server.seen[1][1]["Range"] == f"bytes={len(FIRST) // 2}-"
    (folder / "file0.bin").unlink()
    server.tricks[PATH] = [cut(0.3)]
    [(_, reason)] = fetch(job(server, folder), policy=ONCE).failed
    assert "connection cut after 90,000 of 300,000 bytes" in reason
    assert not (folder / "file0.bin").exists()
    assert fetch(job(server, folder)).failed == []
    assert server.sent[PATH] == 2 * len(FIRST)
    assert assert_only_whole_files(folder) == {"file0.bin"}


@pytest.mark.parametrize("careless", [True, False])
def test_parts_of_two_versions_are_never_joined(server, folder, careless):
    def ignores_the_version(handler, content):
        span = {"Content-Range": f"bytes 75000-{len(FIRST) - 1}/{len(FIRST)}"}
        handler.answer(206, FIRST[75000:], span, of=FIRST)

    server.put("data/file0.bin", b"old" * 50_000)
    server.tricks[PATH] = [cut(0.5)]
    fetch(job(server, folder), policy=ONCE)
    server.put("data/file0.bin", FIRST)
    server.tricks[PATH] = [ignores_the_version] if careless else []
    assert fetch(job(server, folder)).failed == []
    assert assert_only_whole_files(folder) == {"file0.bin"}


def full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_leaves_parts_and_a_manifest_to_go_on_from(server, folder, monkeypatch):
    write, left = transfer_module._write, [500_000]

    def limited(file, piece):
        left[0] -= len(piece)
        full() if left[0] < 0 else write(file, piece)

    lines, jobs = [], [job(server, folder, name) for name in CONTENT]
    with monkeypatch.context() as patch:
        patch.setattr(transfer_module, "_write", limited)
        report = fetch(*jobs, policy=ONCE, lines=lines)
    assert len(report.fetched) == 1
    assert lines == [
        "file1.bin: the disk is full; free some space and run this again",
        "4 more of these files: not tried: the disk is full; free some space and run this again",
    ]
    assert assert_only_whole_files(folder) == {"file0.bin"}
    report = fetch(*jobs)
    assert (len(report.kept), len(report.fetched)) == (1, 5)
    assert server.count("file0") == 1
    assert assert_only_whole_files(folder) == set(CONTENT)


def test_a_restart_finishes_and_downloads_nothing_twice(server, folder):
    """After kill -9, of another process."""
    waiting = threading.Event()
    server.tricks["/data/file3.bin"] = [interrupting(waiting.set)]
    child = subprocess.Popen([sys.executable, "-c", CHILD, server.base, str(folder)])
    assert waiting.wait(60)
    while not list(folder.glob("partial/file3.bin.part")):
        threading.Event().wait(0.01)
    threading.Event().wait(0.1)
    child.kill()
    assert child.wait() == -signal.SIGKILL
    assert assert_only_whole_files(folder) == {"file0.bin", "file1.bin", "file2.bin"}
    report = fetch(*(job(server, folder, name) for name in CONTENT))
    assert (len(report.kept), len(report.fetched)) == (3, 3)
    assert assert_only_whole_files(folder) == set(CONTENT)
    assert [server.count(name) for name in CONTENT] == [1, 1, 1, 2, 1, 1]
    resumed = [headers for path, headers in server.seen if "file3" in path][1]
    assert int(resumed["Range"].removeprefix("bytes=").removesuffix("-")) >= 1 << 14


def test_no_more_workers_than_allowed_ask_at_a_time_and_not_faster_than_the_rate(server, folder):
    active, most, turns = [], [], []

    def watch(handler, content):
        turns.append(time.monotonic())
        active.append(1)
        most.append(len(active))
        threading.Event().wait(0.1)
        active.pop()
        handler.answer(200, content)

    server.tricks = {f"/data/{name}": [watch] for name in CONTENT}
    fetch(*(job(server, folder, name) for name in CONTENT), policy=RequestPolicy(workers=2, interval=0.02))
    assert max(most) == 2 and max(turns) - min(turns) >= 4 * 0.02


@pytest.mark.parametrize(("code", "form"), [(429, "seconds"), (503, "date")])
def test_retry_after_is_obeyed_by_every_worker(server, folder, code, form):
    # A date has whole seconds: two seconds ahead is between one and two.
    later = datetime.now(UTC) + timedelta(seconds=2)
    value = "1" if form == "seconds" else format_datetime(later, usegmt=True)
    server.tricks[PATH] = [status(code, Retry_After=value)]
    began = time.monotonic()
    report = fetch(job(server, folder), policy=RequestPolicy(interval=0, backoff=0, attempts=2))
    assert len(report.fetched) == 1 and time.monotonic() - began >= 0.9
    limiter = RateLimiter(0)
    limiter.hold(0.05)
    began = time.monotonic()
    limiter.wait_turn()
    assert time.monotonic() - began >= 0.045


@pytest.mark.parametrize(
    "trick",
    [None, status(403), status(404), status(503), echo(403), echo(418), echo(503), cut(0.1), silent, page],
)
def test_a_token_is_nowhere_to_be_seen(server, folder, caplog, capfd, trick):
    def check(path):
        if path.read_bytes().startswith(b"<"):
            raise FileError(f"a page for {TOKEN}")

    server.tricks[PATH] = [trick] * 3 if trick else []
    secret, lines = job(server, folder, token=TOKEN, check=check), []
    with caplog.at_level(logging.DEBUG):
        report = download([secret], FAST, say=lines.append)
    assert "token=S3%2FCRET%2B+word" in server.seen[0][0]
    captured = capfd.readouterr()
    written = "".join(path.read_text("latin-1") for path in folder.rglob("*") if path.is_file())
    everything = caplog.text + captured.out + captured.err + written + str(report) + str(lines)
    everything += repr(report) + repr(secret) + str(sorted(folder.rglob("*")))
    assert not [part for part in ("CRET", "word") if part in everything]


@pytest.mark.parametrize("hop", [False, True])
def test_a_redirect_to_another_server_carries_no_token(server, folder, tmp_path, hop):
    """Nor does one that first leads within the server and gives the token another name."""

    def within(handler, content):
        handler.answer(302, b"", {"Location": f"/hop{handler.path.replace('token=', 't=')}"})

    name = f"{'/hop' * hop}{PATH}"
    with serving.serving(tmp_path / "other") as other:
        other.put(name, FIRST)
        server.tricks |= {PATH: [within]} if hop else {}
        server.tricks[name] = [redirect(other.base)]
        assert len(fetch(job(server, folder, token=TOKEN)).fetched) == 1
        assert all("S3" in path for path, _ in server.seen)
        [(path, headers)] = other.seen
        assert "S3" not in path + str(headers) and "CRET" not in path + str(headers)
