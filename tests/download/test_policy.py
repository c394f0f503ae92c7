"""Servers are asked as seldom as promised, and tokens are told to nobody."""

import logging
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import serving
from downloading import CONTENT, FAST, FIRST, fetch, job
from serving import cut, echo, page, redirect, silent, status

from slamlib.errors import FileError
from slamlib.fetch.download import RequestPolicy, download
from slamlib.fetch.policy import RateLimiter

PATH, TOKEN = "/data/file0.bin", "S3/CRET+ word"


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
    assert max(most) == 2
    assert max(turns) - min(turns) >= 4 * 0.02


@pytest.mark.parametrize(("code", "form"), [(429, "seconds"), (503, "date")])
def test_retry_after_is_obeyed_by_every_worker(server, folder, code, form):
    # A date has whole seconds: two seconds ahead is between one and two.
    value = (
        "1" if form == "seconds" else format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    )
    server.tricks[PATH] = [status(code, Retry_After=value)]
    began = time.monotonic()
    report = fetch(job(server, folder), policy=RequestPolicy(interval=0, backoff=0, attempts=2))
    assert len(report.fetched) == 1
    assert time.monotonic() - began >= 0.9
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
