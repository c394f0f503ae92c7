"""Teaching notebooks: fill in the solutions, and run them."""

import os
import re
import time

import nbformat
from nbclient import NotebookClient

from compendium.pipeline.execute import OwnKernelManager
from compendium.run import find_root
from compendium.teaching.checks import LESSONS, STRICT_VARIABLE
from slamlib.errors import FileError, InputError
from slamlib.io import atomic

TAG = "exercise"
_TIMEOUT = 600


def folder():
    """Where the teaching notebooks are."""
    return find_root() / "notebooks" / "teaching"


def path_of(lesson):
    """Path of the notebook of a lesson such as "T1"."""
    found = sorted(folder().glob(f"{lesson}_*.ipynb")) if lesson in LESSONS else []
    if not found:
        raise InputError(f"no lesson {lesson!r} in {folder()}; there are {', '.join(LESSONS)}")
    return found[0]


def read_solutions(path):
    """Code of each exercise, by name, of a file whose parts begin with a line such as ``# %% T1.2``."""
    if not path.is_file():
        raise FileError(f"no solutions {path}; were they left out of this copy?")
    parts = re.split(r"^# %% (\S+)\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {name: code.strip() for name, code in zip(parts[1::2], parts[2::2], strict=True)}


def exercise_of(cell):
    """Name of the exercise that a cell is, or None."""
    tags = cell.metadata.get("tags", [])
    return next((tag for tag in tags if tag != TAG), None) if TAG in tags else None


def fill(notebook, solutions):
    """Put its solution into each cell of a notebook that is an exercise, in place.

    InputError if an exercise has no solution, or a solution no exercise.
    """
    cells = {name: cell for cell in notebook.cells if (name := exercise_of(cell))}
    if odd := sorted(set(cells) ^ set(solutions)):
        raise InputError(f"{', '.join(odd)}: exercises and solutions differ; each needs the other")
    for name, cell in cells.items():
        cell.source = solutions[name]
    return notebook


def solved(lesson):
    """Return the notebook of a lesson with its solutions filled in."""
    notebook = nbformat.read(path_of(lesson), as_version=4)
    return fill(notebook, read_solutions(folder() / "solutions" / f"{lesson}.py"))


def shown(lesson, folder):
    """Execute a lesson as a class finds it, exercises open, into a folder; not again if it is there.

    What is there counts if its cells are those of the lesson.
    """
    source, target = path_of(lesson), folder / path_of(lesson).name
    notebook = nbformat.read(source, as_version=4)
    if target.is_file():
        before = nbformat.read(target, as_version=4)
        if [cell.source for cell in before.cells] == [cell.source for cell in notebook.cells]:
            return
    run(notebook, strict=False)
    with atomic(target) as path:
        nbformat.write(notebook, path)


def run(notebook, strict=True):
    """Execute a notebook in place, each check strict or not; return the seconds it took."""
    place = {"metadata": {"path": str(folder())}}
    client = NotebookClient(notebook, resources=place, kernel_manager_class=OwnKernelManager)
    client.timeout = _TIMEOUT
    start = time.monotonic()
    client.execute(env=os.environ | {STRICT_VARIABLE: str(int(strict))})
    return time.monotonic() - start
