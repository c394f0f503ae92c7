"""Torture of the pipeline: disturbed again and again, does it end with the bytes of an undisturbed one?

    python -m benchmarks.torture --kills 30 --seed 1     after `make quick`, whose result is the reference

A copy of the compendium, with nothing computed, is built by `make paper PROFILE=quick`. At random times it is
disturbed: by SIGINT, SIGTERM or SIGKILL to make and its children, by SIGKILL to everything at once or to one
process (as the system does when memory is short), by a disk that fills up, or by too little memory from the
start. Then make is started again, until there were enough disturbances; at last it may finish. Zero kills is
a second build in another folder, and must give the same bytes too.
"""

import argparse
import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from compendium.pipeline import manifest
from compendium.pipeline.content import Content
from compendium.pipeline.graph import GRAPH
from compendium.run import Run

ROOT = Path(__file__).parents[1]
GROUP = {"SIGINT": signal.SIGINT, "SIGTERM": signal.SIGTERM, "SIGKILL": signal.SIGKILL}
WAYS = (*GROUP, "power cut", "one process killed", "disk full", "memory short")
_GB = 1 << 30


def copy_compendium(folder, finished=False):
    """Copy what git holds (and, if asked, what the quick run made) with its dates; share .venv."""
    names = ["Makefile", "pyproject.toml", "requirements.lock"]
    names += ["notebooks", "slamlib", "compendium", "data/embedded"]
    if finished:
        names += [f"build/{Run('quick').key}", f"data/products/{Run('quick').key}"]
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    for name in ("requirements.lock", "pyproject.toml"):
        os.utime(folder / name, (0, 0))  # .venv is as new as it should be


def made_by(names, run):
    """Return what some notebooks make, or all of the paper: files and folders."""
    chosen = [n for n in GRAPH if (n.name in names if names else not n.extra)]
    return [path for n in chosen for path in (*n.made(run), *n.published(run))]


def results(root, names=()):
    """Return path and sha256 of every output of notebooks in a quick build; None if absent."""
    with contextlib.chdir(root):
        content, paths = Content(root), made_by(names, Run("quick"))
    names = dict.fromkeys(map(content.name, paths))
    return {name: content.get_state(name)["sha256"] if content.exists(name) else None for name in names}


def forget(root, name):
    """Take away what one notebook of a quick build made."""
    with contextlib.chdir(root):
        for path in made_by([name], Run("quick")):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def finished(root):
    """Return what is recorded in a quick build: notebooks and figures."""
    with contextlib.chdir(root):
        return set(manifest.read(Run("quick")))


def start(root, targets, log, bytes_of_memory=None):
    """Start make in a session of its own."""

    def limit():
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background jobs would be deaf to it
        if bytes_of_memory:
            resource.setrlimit(resource.RLIMIT_AS, (bytes_of_memory, bytes_of_memory))

    command = ["make", "--no-print-directory", *targets, "PROFILE=quick"]
    # The options of a make that runs these tests are not for this one.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    options = {"cwd": root, "env": environment, "start_new_session": True, "preexec_fn": limit}
    return subprocess.Popen(command, **options, stdout=log, stderr=log, stdin=subprocess.DEVNULL)


def strike(process, way, rng):
    """Disturb a running make; return all processes it had."""
    try:
        family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    except psutil.NoSuchProcess:
        return []
    if way in GROUP:
        os.killpg(process.pid, GROUP[way])
    elif way == "one process killed":
        _kill([family[rng.integers(len(family))]])
    else:
        _kill(family)
    return family


def _kill(processes):
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


@contextlib.contextmanager
def full_disk(root, left):
    """Leave `left` bytes on the file system of `root`; it must be a small one."""
    ballast = root / "ballast"
    with ballast.open("wb") as file:
        free = shutil.disk_usage(root).free
        if free > left:
            os.posix_fallocate(file.fileno(), 0, free - left)
    try:
        yield
    finally:
        ballast.unlink()


@contextlib.contextmanager
def workshop(size="1g"):
    """Give a folder on a small disk of its own if this user may mount one, or else on the common disk."""
    with tempfile.TemporaryDirectory(prefix="slamlib torture ") as folder:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
        small = os.geteuid() == 0 and subprocess.run(mount, capture_output=True).returncode == 0
        try:
            yield Path(folder), small
        finally:
            if small:
                subprocess.run(["umount", "--lazy", folder], check=True)


def disturb(root, targets, kills, rng, ways, again, patience=15.0, say=print):
    """Build, disturbed `kills` times, then in peace; return how often it was disturbed, by way.

    When it finishes too early, one of the notebooks `again` is made anew.

    Raises
    ------
    RuntimeError
        If make fails while it is not disturbed, or a process outlives it by half a minute.
    """
    counts, family, base, done = dict.fromkeys(ways, 0), [], patience, None
    with tempfile.TemporaryFile() as log:
        while sum(counts.values()) < kills:
            way = ways[rng.integers(len(ways))]
            short = int(rng.uniform(0.8, 3) * _GB) if way == "memory short" else None
            process, wait = start(root, targets, log, short), rng.exponential(patience)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=wait)
            running = process.poll() is None
            if running and way == "disk full":
                with full_disk(root, int(10 ** rng.uniform(3, 7))):
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(timeout=patience)
                    family += strike(process, "power cut", rng)
            elif running:
                family += strike(process, way, rng)
            elif process.returncode == 0:
                forget(root, again[rng.integers(len(again))])
                continue
            elif way != "memory short":
                raise RuntimeError(f"make failed before it was disturbed:\n{_tail(log)}")
            if way == "one process killed":
                # Whoever misses it may tell, or go on without.
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=patience)
                _kill(family)
            _end(process)
            counts[way] += 1
            # Wait longer next time unless something was finished, so that blows fall everywhere.
            patience, done = (base if finished(root) != done else 1.2 * patience), finished(root)
            say(f"{sum(counts.values()):3} {way} after {wait:.1f} s; {len(done)} tasks done", flush=True)
        process = start(root, targets, log)
        if process.wait():
            raise RuntimeError(f"make failed undisturbed:\n{_tail(log)}")
    _, alive = psutil.wait_procs(family, timeout=30)
    if alive:
        raise RuntimeError(f"still running: {[process.cmdline() for process in alive]}")
    return counts


def _end(process):
    try:
        process.wait(timeout=120)
    except subprocess.TimeoutExpired:
        raise RuntimeError("make did not end within two minutes after it was disturbed") from None


def _tail(log):
    log.seek(0)
    return log.read()[-2000:].decode(errors="replace")


def main():
    """Run it; exit code 0 if the bytes are the same."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    os.chdir(ROOT)
    expected, began = results(ROOT), time.monotonic()
    with workshop() as (folder, small):
        root = folder / "another paper"
        copy_compendium(root)
        ways = WAYS if small else tuple(way for way in WAYS if way != "disk full")
        rng = np.random.default_rng(options.seed)
        again = [notebook.name for notebook in GRAPH if not notebook.extra]
        counts = disturb(root, ["paper"], options.kills, rng, ways, again)
        found = results(root)
    print(f"{sum(counts.values())} disturbances: {counts}; {time.monotonic() - began:.0f} s")
    for path, sha in expected.items():
        state = "missing" if found[path] is None else "identical" if found[path] == sha else "changed"
        print(f"{state:10}{path}")
    return int(found != expected)


if __name__ == "__main__":
    sys.exit(main())
