"""Servers are asked as seldom as promised, and tokens are told to nobody."""

import logging
import threading
import time

import numpy as np
import pytest
from downloading import CONTENT, FAST, fetch, job
from serving import cut, page, silent, status

from slamlib.errors import FileError, InputError
from slamlib.fetch.download import Job, Manners, download
from slamlib.fetch.polite import Pace, Stopped, redact, retry_after


def test_no_more_workers_than_allowed_ask_at_a_time_and_not_faster_than_the_rate(server, folder):
    pace, turns = Pace(0.02), []
    threads = [
        threading.Thread(target=lambda: (pace.wait_turn(server.base), turns.append(time.monotonic())))
        for _ in range(5)
    ]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(turns) - began >= 4 * 0.02
    pace.wait_turn("http://elsewhere.org/")
    active, most = [], []

    def watch(handler, content):
        active.append(1)
        most.append(len(active))
        threading.Event().wait(0.02)
        active.pop()
        handler.answer(200, content)

    server.tricks = {f"/data/{name}": [watch] for name in CONTENT}
    fetch(*(job(server, folder, name) for name in CONTENT), manners=Manners(workers=2, interval=0))
    assert max(most) == 2


def test_back_off_doubles_and_its_jitter_follows_the_seed():
    pauses = [Manners(backoff=1).pause(k, np.random.default_rng(3)) for k in range(4)]
    assert pauses == [Manners(backoff=1).pause(k, np.random.default_rng(3)) for k in range(4)]
    np.testing.assert_allclose(np.divide(pauses[1:], pauses[:-1]), 2)
    assert 1 <= pauses[0] <= 1.5
    assert Manners(backoff=1, longest_wait=30).pause(20, np.random.default_rng(3)) == 30


def test_a_stopped_pace_lets_nobody_pass():
    pace = Pace(0)
    pace.stop()
    with pytest.raises(Stopped):
        pace.wait_turn("http://a.org")


@pytest.mark.parametrize("changes", [{"workers": 0}, {"attempts": 0}, {"interval": -1}, {"timeout": 0}])
def test_senseless_manners_are_refused(changes):
    with pytest.raises(InputError, match=next(iter(changes))):
        Manners(**changes)


def test_unreadable_retry_after_is_ignored():
    assert retry_after("soon") is None
    assert retry_after(None) is None


@pytest.mark.parametrize("trick", [None, status(403), status(404), status(503), cut(0.1), silent, page])
def test_a_token_is_nowhere_to_be_seen(server, folder, caplog, capfd, trick):
    def check(path):
        if path.read_bytes().startswith(b"<"):
            raise FileError("a page")

    server.tricks["/data/file0.bin"] = [trick] * 3 if trick else []
    secret = Job(f"{server.base}/data/file0.bin?x=1&token=S3CRET", folder / "file0.bin", check=check)
    lines = []
    with caplog.at_level(logging.DEBUG):
        report = download([secret], FAST, say=lines.append)
    assert "token=S3CRET" in server.seen[0][0]
    captured = capfd.readouterr()
    written = "".join(path.read_text("latin-1") for path in folder.rglob("*") if path.is_file())
    everything = caplog.text + captured.out + captured.err + written + str(report) + str(lines)
    # Of a server that never answers, nothing is logged at all.
    assert ("token=***" in everything) == (trick is not silent)
    assert "S3CRET" not in everything + repr(report) + repr(secret)
    assert "S3CRET" not in str(sorted(folder.rglob("*")))


def test_redaction_leaves_the_rest_of_an_address_alone():
    assert redact("http://a.org/x?obsid=5&api_key=abc&y=2") == "http://a.org/x?obsid=5&api_key=***&y=2"
