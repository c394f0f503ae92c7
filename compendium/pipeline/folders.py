"""The folders of a build: held by one process, cleared of what a killed one left, published."""

import fcntl
import filecmp
import os
import shutil
from contextlib import contextmanager

import psutil

from compendium.pipeline.graph import GRAPH
from slamlib.errors import InputError
from slamlib.io import atomic


@contextmanager
def locked(run):
    """Hold the build folder of a run until the process ends; InputError if another one holds it."""
    run.build.mkdir(parents=True, exist_ok=True)
    with (run.build / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            told = f"process {file.read()} is building in {run.build}; wait for it, or end it"
            raise InputError(told) from None
        file.truncate(0)
        print(os.getpid(), end="", file=file, flush=True)
        yield


def publish(run, name=None, graph=GRAPH):
    """Copy figures and tables of a run, all or one by name, to `figures/` and `tables/` at the top level.

    A file that is already the same is left alone, date and all. A file that this run cannot
    make but another could (such as the recovery of simulated labels) is removed when
    everything is published, lest it be taken for this run's. Return the published files.
    """
    # What is no part of the paper is published if it was made.
    files = [file for n in graph for file in n.published(run) if not n.extra or file.is_file()]
    if name is not None:
        files = [file for file in files if file.stem == name]
    elif not run.simulated:
        for table in (table for notebook in graph for table in notebook.mock_tables):
            (run.root / "tables" / table).unlink(missing_ok=True)
    published = [run.root / file.parent.name / file.name for file in files]
    for file, target in zip(files, published, strict=True):
        if not (target.is_file() and filecmp.cmp(file, target, shallow=False)):
            with atomic(target) as temporary:
                shutil.copyfile(file, temporary)
    return sorted(published)


def sweep(run):
    """Remove the temporary files of `atomic` whose writer was killed."""
    for folder in (run.products, run.build, run.root / "figures", run.root / "tables"):
        for path in folder.rglob(".[0-9]*.*"):
            pid = path.name.split(".")[1]
            if pid.isdigit() and not psutil.pid_exists(int(pid)):
                path.unlink(missing_ok=True)
