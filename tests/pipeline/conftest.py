"""The compendium of `two_notebooks`, in a folder whose name has a space."""

import contextlib
import shutil

import nbformat
import pytest
from two_notebooks import CELLS, TWO, draw, write_notebook

from compendium.pipeline import build as pipeline
from compendium.run import Run


@pytest.fixture
def root(tmp_path, monkeypatch):
    """The compendium, with nothing made."""
    root = tmp_path / "my paper"
    for folder in ("notebooks", "slamlib", "compendium/figures", "data/embedded"):
        (root / folder).mkdir(parents=True)
    code = ("slamlib/__init__", "slamlib/used", "compendium/__init__", "compendium/used")
    for file in (*code, "compendium/figures/draw"):
        (root / f"{file}.py").write_text("")
    (root / "compendium/figures/__init__.py").write_text("from compendium.figures import draw")
    (root / "pyproject.toml").write_text("")
    (root / "data/embedded/tlusty_ob_grid.fits").write_text("grid")
    (root / "data/embedded/lamost_releases.ecsv").write_text("addresses")
    for name, cell in CELLS.items():
        write_notebook(root / f"notebooks/{name}.ipynb", cell)
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def ran(root, monkeypatch):
    """What was run and drawn, in order; notebooks run in this process, which is quick."""
    ran = []

    def execute(notebook, parameters, output, cwd):
        ran.append(notebook.stem)
        for cell in nbformat.read(notebook, as_version=4).cells[1:]:
            skipped = ("import s", "from comp")
            lines = [line for line in cell.source.splitlines() if not line.startswith(skipped)]
            with contextlib.chdir(cwd):
                exec("\n".join(lines), dict(parameters))
        output.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(notebook, output)

    monkeypatch.setattr(pipeline, "execute", execute)
    return ran


@pytest.fixture
def make(ran):
    """A function that makes a target and returns what was run and drawn on the way."""

    def noted(name, run):
        ran.append(name)
        draw(name, run)

    def make(target="notebooks", run=None, graph=TWO):
        ran.clear()
        pipeline.build(run or Run(), target, graph, noted)
        return list(ran)

    return make
