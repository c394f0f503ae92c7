"""What is stale, by content; what is recorded, published and refused."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from compendia import ROOT
from two_notebooks import CELLS, TWO, write_notebook

from compendium.pipeline import build as pipeline
from compendium.pipeline.content import code_of
from compendium.pipeline.execute import NotebookError
from compendium.pipeline.graph import GRAPH
from compendium.run import Run
from slamlib.errors import FileError, InputError

ALL = ["01_train", "02_draw", "fig03"]


def append(path, text="\n# retouched"):
    path.write_text(path.read_text() + text)


@pytest.mark.parametrize(
    ("edited", "again"),
    [
        ("compendium/figures/draw.py", ["fig03"]),
        ("compendium/figures/__init__.py", []),
        ("compendium/used.py", ["02_draw"]),
        ("slamlib/used.py", ["01_train"]),
        ("data/embedded/tlusty_ob_grid.fits", ALL),
        ("data/embedded/lamost_releases.ecsv", []),
        ("pyproject.toml", []),
        ("data/products/quick-mock-embedded/survey/star.fits", ["01_train"]),
        ("build/quick-mock-embedded/figures/fig03.png", ["fig03"]),
    ],
)
def test_only_what_depends_on_an_edit_is_made_again_and_nothing_after_a_touch(root, make, edited, again):
    """What comes out with the same content as before makes nothing else stale."""
    assert make() == ALL
    os.utime(root / edited)
    assert make() == []
    append(root / edited)
    assert make() == again and make() == []


def test_an_edit_of_a_product_or_a_notebook_reaches_what_reads_it(root, make):
    make()
    other = CELLS["01_train"] + "(made / 'model.npz').write_text('other')"
    write_notebook(root / "notebooks/01_train.ipynb", other)
    assert make() == ALL
    (Run().products / "numbers.npz").unlink()
    assert make() == ["02_draw"], "made again, with the same content"


def test_metadata_of_a_notebook_do_not_count(root, make):
    make()
    path = root / "notebooks/01_train.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata["kernelspec"] = {"display_name": "x", "language": "python", "name": "python3"}
    nbformat.write(notebook, path)
    assert make() == []


def test_imports_are_followed_but_not_those_of_what_draws(root):
    (root / "compendium/figures/draw.py").write_text("from slamlib import used\nfrom ..used import x")

    def reached(name):
        return {path.relative_to(root).as_posix() for path in code_of(root / name, root)}

    assert reached("notebooks/02_draw.ipynb") == {"compendium/__init__.py", "compendium/used.py"}
    packages = {"slamlib/__init__.py", "compendium/__init__.py"}
    drawing = {"compendium/figures/draw.py", "compendium/used.py", "slamlib/used.py"}
    assert reached("compendium/figures/draw.py") == packages | drawing
    write_notebook(root / "notebooks/02_draw.ipynb", "%matplotlib inline\nimport slamlib.used")
    assert reached("notebooks/02_draw.ipynb") == {"slamlib/__init__.py", "slamlib/used.py"}
    write_notebook(root / "notebooks/02_draw.ipynb", "this is no Python")
    assert len(reached("notebooks/02_draw.ipynb")) == len(list(root.rglob("*.py")))


@pytest.fixture
def paper(tmp_path, monkeypatch):
    """The compendium itself, where notebooks and figures write a word instead of what they make."""
    root = tmp_path / "paper"
    for name in ("slamlib", "compendium", "notebooks"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "data").mkdir()
    (root / "data/embedded").symlink_to(ROOT / "data/embedded")
    (root / "pyproject.toml").touch()
    monkeypatch.chdir(root)
    run = Run(profile="paper")
    ran = []

    def execute(notebook, parameters, output, cwd):
        ran.append(notebook.stem)
        for path in (*next(n for n in GRAPH if n.name == notebook.stem).outputs(run), output):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(notebook.stem)

    def write(name, run):
        ran.append(name)
        for suffix in (".pdf", ".png"):
            (run.figures / f"{name}{suffix}").write_text(name)

    def make(target="notebooks"):
        ran.clear()
        pipeline.build(run, target, GRAPH, write)
        return set(ran)

    monkeypatch.setattr(pipeline, "execute", execute)
    assert {f"fig{n:02d}" for n in range(1, 11)} | {n.name for n in GRAPH} <= make()
    return make


def test_at_paper_size_an_edit_to_a_figure_costs_that_figure(paper):
    made_again = {
        "compendium/figures/spectra.py": {"fig05", "fig06"},
        "compendium/figures/sky.py": {"fig01"},
        "compendium/figures/captions.py": set(),
        "compendium/pipeline/graph.py": set(),
        "compendium/mismatch.py": {"11_claims"},
    }
    for path in made_again:
        os.utime(path)
    assert paper() == set()
    for path, expected in made_again.items():
        append(Path(path))
        assert paper() == expected, path
    append(Path("slamlib/grid/training.py"))
    assert paper() >= {"01_training_set", "02_train_slam", "04_sample_size"}


def test_what_is_unknown_or_missing_is_named_before_anything_runs(root, make):
    with pytest.raises(InputError, match="no target 'fig-11'; use all, notebooks, fig-3 or"):
        make("fig-11")
    (root / "notebooks/02_draw.ipynb").unlink()
    with pytest.raises(FileError, match=r"02_draw.ipynb is missing; restore it from git"):
        make()
    assert not (Run().products / "model.npz").exists()


def test_a_promise_not_kept_is_an_error_even_if_an_old_file_lies_there(root, make):
    write_notebook(root / "notebooks/01_train.ipynb", CELLS["01_train"].replace(', "model.npz"', ""))
    (Run().products / "model.npz").write_text("of another day")
    os.utime(Run().products / "model.npz", (0, 0))
    for _ in range(2):
        with pytest.raises(NotebookError, match=r"01_train ran, but did not write .*model.npz"):
            make()


def test_a_second_build_in_the_same_folder_names_the_first(root, make):
    code = "import time; from compendium.pipeline.build import locked; from compendium.run import Run\n"
    code += "with locked(Run()):\n    print('locked', flush=True); time.sleep(60)"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"}
    with subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout.readline() == b"locked\n"
            told = f"process {other.pid} is building in .*; wait for it, or end it"
            with pytest.raises(InputError, match=told):
                make()
            assert pipeline.Build(Run(profile="paper"), TWO).stale(["01_train"])
        finally:
            other.kill()
    assert make() == ALL, "the lock of a killed process is free"


def test_values_of_make_never_reach_a_shell(tmp_path):
    odd = "a b:#;=|\nc$x'\"; touch F; `touch F` $(shell touch F)"
    rule = 'odd:\n\t@printf %s "$$MAKE_GRID"\n'
    (tmp_path / "Makefile").write_text(f"include {ROOT}/Makefile\n{rule}")
    command = ["make", "--no-print-directory", "odd", f"GRID={odd}"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert said == odd
    assert [path.name for path in tmp_path.iterdir()] == ["Makefile"]


def test_publishing_copies_what_changed_and_leaves_the_rest_its_date(root, make):
    make("all")
    first = {path: path.stat().st_mtime_ns for path in pipeline.publish(Run(), graph=TWO)}
    figures = ["figures/fig03.pdf", "figures/fig03.png"]
    assert [path.relative_to(root).as_posix() for path in first] == [*figures, "tables/recovery.ecsv"]
    append(root / "compendium/figures/draw.py")
    make("fig-3")
    changed = [path for path, date in first.items() if path.stat().st_mtime_ns != date]
    assert changed == list(first)[:2]
    assert pipeline.publish(Run(), "fig03", graph=TWO) == list(first)[:2]
