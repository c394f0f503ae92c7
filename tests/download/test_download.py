"""Whatever a server does, a file is whole or absent, nothing is fetched twice, each failure is one line."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from downloading import CONTENT, FIRST, ONCE, assert_only_whole_files, fetch, job
from serving import cut, silent, status

from slamlib.io import read_ecsv

PATH = "/data/file0.bin"


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
    assert len(fetch(*jobs).kept) == len(CONTENT)
    assert len(server.seen) == before


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
    assert len(fetch(job(server, folder)).fetched) == 1
    assert server.count() == 3
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
