"""Whatever a server does, a file is whole or absent, nothing is fetched twice, each failure is one line."""

import hashlib
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from downloading import CONTENT, assert_only_whole_files, fetch, job
from serving import closed_port, cut, page, short, silent, stalled, status, wrong

from slamlib.errors import FileError
from slamlib.fetch import transfer as transfer_module
from slamlib.fetch.download import Job, Manners
from slamlib.fetch.polite import Pace
from slamlib.io import read_ecsv


def test_files_arrive_whole_with_a_manifest_of_size_checksum_and_date(server, folder):
    report = fetch(*(job(server, folder, name) for name in CONTENT))
    assert [path.name for path in report.fetched] == list(CONTENT)
    assert assert_only_whole_files(folder) == set(CONTENT)
    table = read_ecsv(folder / "manifest.ecsv")
    assert table.colnames == ["name", "url", "size", "sha256", "date"]
    row = table[table["name"] == "file3.bin"][0]
    assert (row["size"], row["url"]) == (300_003, f"{server.base}/data/file3.bin")
    assert row["sha256"] == hashlib.sha256(CONTENT["file3.bin"]).hexdigest()
    assert abs(datetime.fromisoformat(row["date"]) - datetime.now(UTC)) < timedelta(minutes=1)


def test_what_is_whole_is_not_asked_for_again(server, folder):
    fetch(*(job(server, folder, name) for name in CONTENT))
    before = len(server.seen)
    report = fetch(*(job(server, folder, name) for name in CONTENT))
    assert len(report.kept) == len(CONTENT)
    assert len(server.seen) == before


def test_the_project_introduces_itself(server, folder):
    fetch(job(server, folder))
    assert server.seen[0][1]["User-Agent"].startswith("slamlib/")


@pytest.mark.parametrize("change", ["deleted", "shortened", "altered"])
def test_a_file_that_is_not_what_the_manifest_says_is_fetched_again(server, folder, change):
    fetch(job(server, folder))
    path, content = folder / "file0.bin", CONTENT["file0.bin"]
    path.unlink()
    if change != "deleted":
        path.write_bytes(content[:-1] if change == "shortened" else b"?" + content[1:])
    assert len(fetch(job(server, folder)).fetched) == 1
    assert path.read_bytes() == content


def test_a_file_of_unknown_origin_is_not_trusted(server, folder):
    folder.mkdir()
    (folder / "file0.bin").write_bytes(b"?" * len(CONTENT["file0.bin"]))
    fetch(job(server, folder))
    assert assert_only_whole_files(folder) == {"file0.bin"}


def test_a_file_put_there_by_hand_is_taken_if_its_checksum_is_known_and_right(server, folder):
    folder.mkdir()
    (folder / "file0.bin").write_bytes(CONTENT["file0.bin"])
    proven = job(server, folder, sha256=hashlib.sha256(CONTENT["file0.bin"]).hexdigest())
    assert len(fetch(proven).kept) == 1
    assert server.seen == []
    assert assert_only_whole_files(folder) == {"file0.bin"}


@pytest.mark.parametrize(
    ("code", "text"),
    [(404, "not on the server"), (403, "ask the keeper"), (401, "ask the keeper"), (418, "418")],
)
def test_a_final_refusal_is_one_line_asked_once_and_the_rest_goes_on(server, folder, code, text):
    server.tricks["/data/file0.bin"] = [status(code)] * 9
    lines = []
    report = fetch(*(job(server, folder, name, remedy="ask the keeper") for name in CONTENT), lines=lines)
    assert server.count("file0") == 1
    assert len(lines) == 1
    assert "\n" not in lines[0]
    assert lines[0].startswith("file0.bin: ")
    assert text in lines[0]
    assert len(report.fetched) == len(CONTENT) - 1
    assert "file0.bin" not in assert_only_whole_files(folder)


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_a_passing_failure_is_tried_again(server, folder, code):
    server.tricks["/data/file0.bin"] = [status(code), status(code)]
    assert len(fetch(job(server, folder)).fetched) == 1
    assert server.count() == 3


def test_a_failure_that_does_not_pass_is_given_up_after_the_attempts(server, folder):
    server.tricks["/data/file0.bin"] = [status(503)] * 9
    assert fetch(job(server, folder)).failed == [
        ("file0.bin", "the server cannot serve now (503 Service Unavailable) (tried 3 times)")
    ]
    assert server.count() == 3


@pytest.mark.parametrize(("code", "form"), [(429, "seconds"), (503, "date")])
def test_retry_after_is_obeyed_for_the_whole_host(server, folder, code, form):
    # A date has whole seconds: two seconds ahead is between one and two.
    value = (
        "1" if form == "seconds" else format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    )
    server.tricks["/data/file0.bin"] = [status(code, Retry_After=value)]
    began = time.monotonic()
    report = fetch(job(server, folder), manners=Manners(interval=0, backoff=0, attempts=2, longest_wait=5))
    assert len(report.fetched) == 1
    assert time.monotonic() - began >= 0.9
    pace = Pace(0)
    pace.hold(f"{server.base}/any", 0.05)
    began = time.monotonic()
    pace.wait_turn(f"{server.base}/other")
    assert time.monotonic() - began >= 0.045


def test_a_server_that_asks_for_too_long_a_wait_is_given_up(server, folder):
    server.tricks["/data/file0.bin"] = [status(503, Retry_After="4000")]
    [(_, reason)] = fetch(job(server, folder)).failed
    assert "come back in 4000 s" in reason
    assert server.count() == 1


def test_a_cut_connection_is_taken_up_where_it_ended(server, folder):
    server.tricks["/data/file0.bin"] = [cut(0.5)]
    assert len(fetch(job(server, folder)).fetched) == 1
    assert server.seen[1][1]["Range"] == f"bytes={len(CONTENT['file0.bin']) // 2}-"
    assert server.sent["/data/file0.bin"] == len(CONTENT["file0.bin"])
    assert_only_whole_files(folder)


def test_a_cut_connection_leaves_a_part_that_the_next_run_takes_up(server, folder):
    server.tricks["/data/file0.bin"] = [cut(0.3)]
    [(_, reason)] = fetch(job(server, folder), manners=Manners(interval=0, attempts=1)).failed
    assert "connection cut after 90,000 of 300,000 bytes" in reason
    assert not (folder / "file0.bin").exists()
    assert fetch(job(server, folder)).failed == []
    assert server.sent["/data/file0.bin"] == len(CONTENT["file0.bin"])
    assert assert_only_whole_files(folder) == {"file0.bin"}


@pytest.mark.parametrize("lack", ["ranges", "validators"])
def test_without_ranges_or_versions_the_file_is_begun_afresh(server, folder, lack):
    setattr(server, lack, False)
    server.tricks["/data/file0.bin"] = [cut(0.5)]
    assert len(fetch(job(server, folder)).fetched) == 1
    assert_only_whole_files(folder)
    assert server.sent["/data/file0.bin"] > len(CONTENT["file0.bin"])


def test_parts_of_two_versions_are_never_joined(server, folder):
    server.put("data/file0.bin", b"old" * 50_000)
    server.tricks["/data/file0.bin"] = [cut(0.5)]
    fetch(job(server, folder), manners=Manners(interval=0, attempts=1))
    server.put("data/file0.bin", CONTENT["file0.bin"])
    assert fetch(job(server, folder)).failed == []
    assert (folder / "file0.bin").read_bytes() == CONTENT["file0.bin"]


def test_a_server_that_ignores_the_version_is_found_out(server, folder):
    server.put("data/file0.bin", b"old" * 50_000)
    server.tricks["/data/file0.bin"] = [cut(0.5)]
    fetch(job(server, folder), manners=Manners(interval=0, attempts=1))
    new = CONTENT["file0.bin"]
    server.put("data/file0.bin", new)

    def careless(handler, content):
        span = {"Content-Range": f"bytes 75000-{len(new) - 1}/{len(new)}"}
        handler.answer(206, new[75000:], span, of=new)

    server.tricks["/data/file0.bin"] = [careless]
    assert fetch(job(server, folder)).failed == []
    assert (folder / "file0.bin").read_bytes() == new


def test_a_part_that_is_whole_already_costs_no_byte(server, folder):
    fetch(job(server, folder))
    sent = server.sent["/data/file0.bin"]
    part = transfer_module.part_of(folder / "file0.bin")
    (folder / "file0.bin").rename(part)
    note = part.with_name("file0.bin.source.part")
    etag = hashlib.sha256(CONTENT["file0.bin"]).hexdigest()[:16]
    note.write_text(f'{{"url": "{server.base}/data/file0.bin", "validator": "\\"{etag}\\""}}')
    assert len(fetch(job(server, folder)).fetched) == 1
    assert server.sent["/data/file0.bin"] == sent
    assert assert_only_whole_files(folder) == {"file0.bin"}


@pytest.mark.parametrize("trick", [short(0.5), wrong, page], ids=["truncated", "wrong bytes", "web page"])
def test_content_that_breaks_its_checksum_is_set_aside_in_one_line(server, folder, trick):
    server.tricks["/data/file0.bin"] = [trick]
    asked = job(server, folder, sha256=hashlib.sha256(CONTENT["file0.bin"]).hexdigest())
    lines = []
    assert len(fetch(asked, lines=lines).failed) == 1
    assert len(lines) == 1
    assert "sha256" in lines[0]
    assert (folder / "rejected" / "file0.bin.rejected").exists()
    assert assert_only_whole_files(folder) == set()
    assert len(fetch(asked).fetched) == 1


def test_a_wrong_size_is_refused_before_it_is_downloaded(server, folder):
    [(_, reason)] = fetch(job(server, folder, size=5)).failed
    assert reason == "the server offers 300,000 bytes where 5 are expected"
    assert not (folder / "file0.bin").exists()


def test_an_empty_file_and_one_that_its_check_refuses_are_set_aside(server, folder):
    server.put("data/empty.bin", b"")

    def check(path):
        raise FileError(f"{path} is no spectrum")

    report = fetch(job(server, folder, "empty.bin"), job(server, folder, check=check))
    assert report.failed == [
        ("empty.bin", "what arrived is empty; set aside as rejected/empty.bin.rejected"),
        ("file0.bin", "file0.bin is no spectrum; set aside as rejected/file0.bin.rejected"),
    ]
    assert assert_only_whole_files(folder) == set()


def test_silence_and_a_closed_connection_are_told_apart(server, folder):
    released = threading.Event()
    server.tricks["/data/file0.bin"] = [stalled(released)] * 2
    server.tricks["/data/file1.bin"] = [silent] * 2
    manners = Manners(interval=0, backoff=0, attempts=1, timeout=0.2)
    report = fetch(job(server, folder), job(server, folder, "file1.bin"), manners=manners)
    released.set()
    (_, stall), (_, closed) = report.failed
    assert "stalled for 0.2 s after 147,456 of 300,000 bytes" in stall
    assert "closed the connection without an answer" in closed


def test_a_host_out_of_reach_is_not_asked_for_every_file(folder):
    base, lines = closed_port(), []
    jobs = [Job(f"{base}/{i}", folder / str(i)) for i in range(50)]
    manners = Manners(workers=1, interval=0, backoff=0.001, attempts=2)
    report = fetch(*jobs, manners=manners, lines=lines)
    assert len(report.failed) == 50
    assert len(lines) == 2
    assert "cannot be reached" in lines[0]
    assert lines[1].startswith("49 more")


def test_an_address_that_is_none_is_one_line(folder):
    [(_, reason)] = fetch(Job("nonsense", folder / "a")).failed
    assert "cannot be fetched" in reason
