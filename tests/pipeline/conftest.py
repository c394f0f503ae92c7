"""A compendium of two notebooks, fresh and finished."""

import os
import time

import pytest
from two_notebooks import TWO, write_notebook

from compendium.pipeline import pipeline
from compendium.run import Run


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A compendium of two notebooks, in a folder whose name has a space."""
    root = tmp_path / "my paper"
    for folder in ("notebooks", "slamlib", "compendium", "data/embedded"):
        (root / folder).mkdir(parents=True)
    for file in (
        "slamlib/__init__.py",
        "compendium/__init__.py",
        "slamlib/used.py",
        "compendium/draw.py",
    ):
        (root / file).write_text("")
    (root / "pyproject.toml").write_text("")
    (root / "data/embedded/tlusty_ob_grid.fits").write_text("grid")
    (root / "data/embedded/lamost_releases.ecsv").write_text("addresses")
    write_notebook(root / "notebooks/01_train.ipynb", "import slamlib.used")
    write_notebook(root / "notebooks/02_draw.ipynb", "from compendium import draw")
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def built(root):
    """A run whose notebooks seem finished, in order, a while ago."""
    run = Run()
    past = time.time() - 1000
    for path in (path for path in root.rglob("*") if path.is_file()):
        os.utime(path, (past, past))
    for step, notebook in enumerate(TWO):
        for path in [*notebook.outputs(run), pipeline.stamp_of(notebook.name, run)]:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(notebook.name)
            os.utime(path, (past + 10 + step,) * 2)
    return run
