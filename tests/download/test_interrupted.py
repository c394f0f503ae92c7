"""Whatever happens on this machine, a restart goes on from what is whole."""

import errno
import os
import signal
import subprocess
import sys
import threading

from downloading import CONTENT, ONCE, assert_only_whole_files, fetch, job
from serving import interrupting

from slamlib.fetch import transfer as transfer_module

CHILD = """
import sys
from pathlib import Path
from slamlib.fetch.download import Job, RequestPolicy, download
jobs = [Job(f"{sys.argv[1]}/data/file{i}.bin", Path(sys.argv[2]) / f"file{i}.bin") for i in range(6)]
download(jobs, RequestPolicy(workers=1, interval=0), progress=False)
"""


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


def killed(server, folder):
    """kill -9, of another process."""
    waiting = threading.Event()
    server.tricks["/data/file3.bin"] = [interrupting(waiting.set)]
    child = subprocess.Popen([sys.executable, "-c", CHILD, server.base, str(folder)])
    assert waiting.wait(60)
    while not list(folder.glob("partial/file3.bin.part")):
        threading.Event().wait(0.01)
    threading.Event().wait(0.1)
    child.kill()
    assert child.wait() == -signal.SIGKILL


def test_a_restart_finishes_and_downloads_nothing_twice(server, folder):
    killed(server, folder)
    assert assert_only_whole_files(folder) == {"file0.bin", "file1.bin", "file2.bin"}
    report = fetch(*(job(server, folder, name) for name in CONTENT))
    assert (len(report.kept), len(report.fetched)) == (3, 3)
    assert assert_only_whole_files(folder) == set(CONTENT)
    assert [server.count(name) for name in CONTENT] == [1, 1, 1, 2, 1, 1]
    resumed = [headers for path, headers in server.seen if "file3" in path][1]
    assert int(resumed["Range"].removeprefix("bytes=").removesuffix("-")) >= 1 << 14
