"""Whatever happens on this machine, a restart goes on from what is whole."""

import errno
import os
import threading

import pytest
from downloading import CONTENT, assert_only_whole_files, ctrl_c, fetch, job
from serving import interrupting

from slamlib.errors import FileError, InputError
from slamlib.fetch import transfer as transfer_module
from slamlib.fetch.download import Manners
from slamlib.io import read_ecsv


def test_a_full_disk_leaves_parts_and_a_manifest_to_go_on_from(server, folder, monkeypatch):
    write, left = transfer_module._write, [500_000]

    def limited(file, piece):
        left[0] -= len(piece)
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(file, piece)

    monkeypatch.setattr(transfer_module, "_write", limited)
    lines, jobs = [], [job(server, folder, name) for name in CONTENT]
    report = fetch(*jobs, manners=Manners(workers=1, interval=0), lines=lines)
    assert len(report.fetched) == 1
    assert lines == [
        "file1.bin: the disk is full; free some space and run this again",
        "4 more of these files: not tried: the disk is full",
    ]
    assert assert_only_whole_files(folder) == {"file0.bin"}
    monkeypatch.setattr(transfer_module, "_write", write)
    report = fetch(*jobs)
    assert (len(report.kept), len(report.fetched)) == (1, 5)
    assert server.count("file0") == 1
    assert assert_only_whole_files(folder) == set(CONTENT)


def test_a_full_disk_at_the_manifest_loses_nothing(server, folder, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("slamlib.fetch.manifest._append", full)
        [(_, reason)] = fetch(job(server, folder)).failed
    assert "disk is full" in reason
    assert not (folder / "file0.bin").exists()
    assert len(fetch(job(server, folder)).fetched) == 1
    assert server.sent["/data/file0.bin"] == len(CONTENT["file0.bin"])


def test_a_folder_that_cannot_be_written_is_one_line(server, folder):
    folder.mkdir()
    (folder / "partial").write_text("in the way")
    [(_, reason)] = fetch(job(server, folder)).failed
    assert "cannot write" in reason


def test_after_ctrl_c_a_restart_finishes_and_downloads_nothing_twice(server, folder):
    server.tricks["/data/file3.bin"] = [interrupting(ctrl_c)]
    jobs = [job(server, folder, name) for name in CONTENT]
    with pytest.raises(KeyboardInterrupt):
        fetch(*jobs, manners=Manners(workers=1, interval=0, timeout=5))
    finished = assert_only_whole_files(folder)
    assert finished == {"file0.bin", "file1.bin", "file2.bin"}
    assert [thread for thread in threading.enumerate() if thread.name.startswith("download")] == []
    report = fetch(*jobs)
    assert (len(report.kept), len(report.fetched)) == (3, 3)
    assert assert_only_whole_files(folder) == set(CONTENT)
    for name in CONTENT:
        assert server.count(name) == (2 if name == "file3.bin" else 1)
    resumed = [headers for path, headers in server.seen if "file3" in path][1]
    assert int(resumed["Range"].removeprefix("bytes=").removesuffix("-")) >= 1 << 14


def test_a_torn_last_line_of_the_manifest_costs_only_its_file(server, folder):
    jobs = [job(server, folder, name) for name in ("file0.bin", "file1.bin")]
    fetch(*jobs, manners=Manners(workers=1, interval=0))
    path = folder / "manifest.ecsv"
    path.write_bytes(path.read_bytes()[:-30])
    report = fetch(*jobs)
    assert (len(report.kept), len(report.fetched)) == (1, 1)
    assert list(read_ecsv(path)["name"]) == ["file0.bin", "file1.bin"]


@pytest.mark.parametrize("content", ["", "# %ECSV 1.0\n# ---\n", "hello\n1\n"])
def test_a_manifest_that_is_none_is_named(server, folder, content):
    folder.mkdir()
    (folder / "manifest.ecsv").write_text(content)
    with pytest.raises(FileError, match=r"manifest\.ecsv"):
        fetch(job(server, folder))


def test_another_download_of_the_same_file_is_left_alone(server, folder):
    part = transfer_module.part_of(folder / "file0.bin")
    with transfer_module._opened(part):
        assert fetch(job(server, folder)).failed == [("file0.bin", "another download is fetching it")]


def test_two_jobs_may_not_have_one_destination(server, folder):
    with pytest.raises(InputError, match="same destination"):
        fetch(job(server, folder), job(server, folder))
