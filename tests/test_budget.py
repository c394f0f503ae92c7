"""What one file may cost: a process with limits of memory and time reads hostile files, every one."""

import json
import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hostile import of_structure, spoilt, whole_files

SEED = int(os.environ.get("FUZZ_SEED", "257"))
# Memory beyond what the process has before it reads anything [MB], time of processor for one file [s].
MEMORY, SECONDS = 1000, 10
CHILD = """
import json, resource, signal, sys, time, warnings
from pathlib import Path
from slamlib.errors import FileError
from slamlib.labelling.files import Hints, recognised
from slamlib.spectra.hires import read_hires
pages = int(Path("/proc/self/statm").read_text().split()[0])
most = pages * resource.getpagesize() + (int(sys.argv[2]) << 20)
resource.setrlimit(resource.RLIMIT_AS, (most, most))
warnings.simplefilter("error")
for path in sorted(Path(sys.argv[1]).iterdir()):
    began = time.process_time()
    signal.alarm(60)
    found = recognised(path, Hints(resolution=5000.0))
    outcome = "read" if found.spectrum is not None else "reason"
    if not (found.reason.isprintable() and (path.name in found.reason or not found.reason)):
        outcome = "unclear"
    try:
        read_hires(path)
    except FileError:
        pass
    signal.alarm(0)
    print(json.dumps([path.name, outcome, time.process_time() - began, found.reason]), flush=True)
"""


def read_in_a_child(contents, folder):
    """Return [name, outcome, seconds, reason] of each file; fails if the process does."""
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    given = [sys.executable, "-c", CHILD, str(folder), str(MEMORY)]
    done = subprocess.run(given, capture_output=True, text=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    # Left for whoever looks: the file after the last that was read.
    assert done.returncode == 0, f"after {rows[-1:]}: {done.stderr[-2000:]}"
    assert [row[0] for row in rows] == sorted(contents)
    return rows


def of_headers(n):
    rng, whole = np.random.default_rng([SEED, 18]), whole_files()
    return {f"{i:04}-{kind}.fits": spoilt(whole[kind], rng) for i, kind in enumerate(list(whole) * (n // 4))}


def test_whole_files_are_read(tmp_path):
    rows = read_in_a_child({f"{name}.fits": content for name, content in whole_files().items()}, tmp_path)
    assert {row[0]: row[1] for row in rows} == dict.fromkeys((row[0] for row in rows), "read")


def test_files_that_are_too_much_of_something_end_in_a_reason(tmp_path):
    names = {name: f"{name}.txt" if name == "text" else f"{name}.fits" for name in of_structure()}
    rows = read_in_a_child({names[name]: content for name, content in of_structure().items()}, tmp_path)
    assert {row[1] for row in rows} == {"reason"}, rows
    assert max(row[2] for row in rows) < SECONDS


@pytest.mark.parametrize("n", [200, pytest.param(1200, marks=pytest.mark.fuzz)])
def test_hostile_headers_cost_neither_time_nor_memory(n, tmp_path, capsys):
    rows = read_in_a_child(of_headers(n), tmp_path)
    counts = Counter((row[0].split("-")[1], row[1]) for row in rows)
    with capsys.disabled():
        if n > 200:
            print(f"\n\n{n} hostile headers, at most {MEMORY} MB more memory and {SECONDS} s a file")
            print(
                *(f"{kind:20} {outcome:10} {m:5}" for (kind, outcome), m in sorted(counts.items())), sep="\n"
            )
    assert not [row for row in rows if row[1] == "unclear"]
    assert max(row[2] for row in rows) < SECONDS
    assert {row[1] for row in rows} == {"read", "reason"}
