"""slamlib.paper: the graph of notebooks, its rules for make, and the strict runner."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import numpy as np
import pytest
from threadpoolctl import threadpool_info

from slamlib.errors import FileError, InputError
from slamlib.paper import pipeline
from slamlib.paper.execute import NotebookError, parameters_of
from slamlib.paper.graph import GRAPH, Notebook, closure, targets
from slamlib.paper.imports import code_of
from slamlib.paper.run import Run
from slamlib.threads import blas_threads, n_cores, thread_environment

ROOT = Path(__file__).parents[1]
PARAMETERS = """profile: str = "quick"  # size
source: str = "mock"
grid: str = "embedded"
seed: int = 257
# not = a parameter
"""


def write_notebook(path, *cells, parameters=PARAMETERS):
    tagged = nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
    notebook = nbformat.v4.new_notebook(cells=[tagged, *map(nbformat.v4.new_code_cell, cells)])
    path.parent.mkdir(exist_ok=True)
    nbformat.write(notebook, path)


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A compendium of two notebooks, in a folder whose name has a space."""
    root = tmp_path / "my paper"
    for folder in ("notebooks", "slamlib/paper", "data/embedded"):
        (root / folder).mkdir(parents=True)
    for file in (
        "slamlib/__init__.py",
        "slamlib/paper/__init__.py",
        "slamlib/used.py",
        "slamlib/paper/draw.py",
    ):
        (root / file).write_text("")
    (root / "pyproject.toml").write_text("")
    (root / "data/embedded/tlusty_ob_grid.fits").write_text("grid")
    (root / "data/embedded/lamost_releases.ecsv").write_text("addresses")
    write_notebook(root / "notebooks/01_train.ipynb", "import slamlib.used")
    write_notebook(root / "notebooks/02_draw.ipynb", "from slamlib.paper import draw")
    monkeypatch.chdir(root)
    return root


TWO = (
    Notebook("01_train", products=("model.npz",)),
    Notebook("02_draw", ("01_train",), figures=("fig03",), mock_tables=("recovery.ecsv",)),
)


# --- the graph --------------------------------------------------------------------------


def test_the_graph_makes_ten_figures_two_tables_and_the_claims_once_each():
    made = [file for notebook in GRAPH for file in notebook.outputs(Run(profile="paper"))]
    assert len(made) == len(set(made))
    assert set(targets()) == {f"fig-{n}" for n in range(1, 11)} | {"table-1", "table-2"}
    assert {f"claims.{suffix}" for suffix in ("ecsv", "mrt", "tex")} <= {file.name for file in made}


def test_every_notebook_comes_after_what_it_needs():
    seen = set()
    for notebook in GRAPH:
        assert set(notebook.needs) <= seen, notebook.name
        seen.add(notebook.name)


def test_a_figure_needs_only_its_ancestors():
    assert closure("03_cross_validation") == ["01_training_set", "03_cross_validation"]
    assert closure("07_hr_diagram")[-2:] == ["06_lamost_labels", "07_hr_diagram"]


def test_the_graph_names_every_numbered_notebook_and_no_other():
    written = sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"))
    assert written == [notebook.name for notebook in GRAPH]


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_every_notebook_takes_the_four_parameters(path):
    assert parameters_of(path) == {"profile", "source", "grid", "seed"}


# --- the run ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"profile": "huge"}, "profile='huge' is unknown; use one of quick, paper"),
        ({"source": "sdss"}, "source='sdss' is unknown; use one of mock, lamost"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": 2.5}, "seed=2.5"),
        ({"grid": ""}, "grid=''"),
    ],
)
def test_a_run_refuses_unknown_values_by_name(wrong, message):
    with pytest.raises(InputError, match=message):
        Run(**wrong)


def test_a_missing_grid_is_named(root):
    with pytest.raises(FileError, match=r"no model grid at .*nowhere.fits"):
        _ = Run(grid="nowhere.fits").key


def test_the_official_grid_has_a_name_and_is_made_by_make_data(root):
    run = Run(grid="tlusty")
    assert run.key == "quick-mock-tlusty"
    with pytest.raises(FileError, match=r"no model grid at .*data/raw/tlusty_grid.fits; `make data`"):
        _ = run.grid_path
    (root / "data/raw").mkdir()
    (root / "data/raw/tlusty_grid.fits").write_text("grid")
    assert Run(grid="tlusty").grid_path == root / "data/raw/tlusty_grid.fits"


def test_runs_that_may_differ_never_share_a_folder(root):
    for folder in ("a", "b"):
        (root / folder).mkdir()
        (root / folder / "grid.fits").write_text(folder)
    runs = [
        Run(),
        Run(profile="paper"),
        Run(source="lamost"),
        Run(seed=3),
        Run(grid="a/grid.fits"),
        Run(grid="b/grid.fits"),
    ]
    assert len({run.products for run in runs}) == len(runs)
    assert Run(grid="a/grid.fits").key == Run(grid=str(root / "a/grid.fits")).key


def test_draws_are_reproducible_and_independent_from_name_to_name():
    first = Run().rng("training LRS").random(4)
    # Pinned: a change of this stream changes every published number.
    assert Run().rng("training LRS").random(4).tolist() == first.tolist()
    np.testing.assert_allclose(first[0], 0.6228902957407584, rtol=1e-12)
    others = [Run().rng("training MRS"), Run(seed=258).rng("training LRS")]
    assert all(other.random() != first[0] for other in others)


def test_the_compendium_is_found_from_below_and_missed_from_outside(root, tmp_path, monkeypatch):
    monkeypatch.chdir(root / "notebooks")
    assert Run().root == root
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileError, match="not inside the compendium"):
        _ = Run().root


# --- what a notebook reaches ------------------------------------------------------------


def test_imports_are_followed_through_modules_functions_and_relative_forms(tmp_path):
    package = tmp_path / "slamlib"
    (package / "paper").mkdir(parents=True)
    texts = {
        "__init__.py": "",
        "grid.py": "def f():\n    import slamlib.deep",
        "deep.py": "",
        "unused.py": "",
        "paper/__init__.py": "",
        "paper/draw.py": "from . import style\nfrom ..other import x",
        "paper/style.py": "import numpy",
        "other.py": "x = 1",
    }
    for name, text in texts.items():
        (package / name).write_text(text)
    write_notebook(
        tmp_path / "a.ipynb",
        "%matplotlib inline\nfrom slamlib.grid import f",
        "from slamlib.paper import draw",
    )
    reached = {str(path.relative_to(package)) for path in code_of(tmp_path / "a.ipynb", package)}
    assert reached == set(texts) - {"unused.py"}
    write_notebook(tmp_path / "b.ipynb", "this is no Python")
    assert len(code_of(tmp_path / "b.ipynb", package)) == len(texts)


# --- rules ------------------------------------------------------------------------------


def stale(run, target="notebooks", graph=TWO):
    """Return what make would run, without running it."""
    rules = pipeline.plan(run, target, graph)
    command = ["make", "-n", "-f", str(rules), "all" if target != "notebooks" else target]
    done = subprocess.run(command, cwd=run.root, capture_output=True, text=True, check=True)
    words = [line.split("pipeline ")[1].split() for line in done.stdout.splitlines() if "pipeline " in line]
    return [word[1] if word[0] == "run" else word[0] for word in words]


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


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize(
    "touched, reruns",
    [
        (None, []),
        ("slamlib/used.py", ["01_train", "02_draw"]),
        ("slamlib/paper/draw.py", ["02_draw"]),
        ("notebooks/02_draw.ipynb", ["02_draw"]),
        ("notebooks/01_train.ipynb", ["01_train", "02_draw"]),
        ("data/embedded/tlusty_ob_grid.fits", ["01_train", "02_draw"]),
        ("data/embedded/lamost_releases.ecsv", []),
        ("pyproject.toml", []),
    ],
)
def test_only_what_depends_on_a_change_is_run_again(root, built, touched, reruns):
    if touched:
        os.utime(root / touched)
    assert stale(built) == reruns


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_spectra_that_came_are_taken_up_where_they_are_read(root, built):
    graph = (TWO[0], Notebook("02_draw", ("01_train",), figures=("fig03",), lamost_reads=("raw/lrs",)))
    run = Run(source="lamost")
    shutil.copytree(built.build, run.build)
    shutil.copytree(built.products, run.products, dirs_exist_ok=True)
    assert stale(run, graph=graph) == []
    (root / "data/raw/lrs").mkdir(parents=True)
    assert stale(built, graph=graph) == []
    assert stale(run, graph=graph) == ["02_draw"]


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_a_promised_file_that_is_gone_is_made_again(root, built):
    (built.products / "model.npz").unlink()
    assert stale(built) == ["01_train", "02_draw"]


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_another_profile_has_everything_to_do_and_undoes_nothing(root, built):
    assert stale(Run(profile="paper"), "all") == ["01_train", "02_draw", "publish"]
    assert stale(built, "fig-3") == ["publish"]


def test_an_unknown_target_or_a_missing_notebook_is_named(root):
    with pytest.raises(InputError, match="no target 'fig-11'; use all, notebooks, fig-3"):
        pipeline.plan(Run(), "fig-11", TWO)
    (root / "notebooks/01_train.ipynb").unlink()
    with pytest.raises(FileError, match=r"01_train.ipynb is missing"):
        pipeline.plan(Run(), "all", TWO)


# --- running ----------------------------------------------------------------------------

WITNESS = """
import json, os, sys
from pathlib import Path
seen = dict(python=sys.executable, cwd=os.getcwd(), profile=profile, seed=seed, env=dict(os.environ))
Path("data/products/quick-mock-embedded-seed5/model.npz").write_text(json.dumps(seen))
"""


def test_a_notebook_runs_in_its_own_python_and_environment(root, monkeypatch, capsys):
    """A python3 kernel planted where Jupyter looks first must not be taken."""
    planted = root / "planted/kernels/python3"
    planted.mkdir(parents=True)
    (planted / "kernel.json").write_text(
        json.dumps({"argv": ["false"], "display_name": "x", "language": "python"})
    )
    monkeypatch.setenv("JUPYTER_PATH", str(root / "planted"))
    write_notebook(root / "notebooks/01_train.ipynb", WITNESS)
    run = Run(seed=5)
    began = time.time()
    pipeline.run_notebook(run, "01_train", TWO)
    seen = json.loads((run.products / "model.npz").read_text())
    assert (seen["python"], seen["cwd"]) == (sys.executable, str(root))
    assert (seen["profile"], seen["seed"]) == ("quick", 5)
    expected = {"PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": "0", **thread_environment(n_cores())}
    assert {name: seen["env"][name] for name in expected} == expected
    assert "PYTHONHASHSEED" not in os.environ or os.environ["PYTHONHASHSEED"] != "0"
    assert [path.name for path in (run.build / "notebooks").iterdir()] == ["01_train.ipynb"]
    stamp = pipeline.stamp_of("01_train", run)
    assert abs(stamp.stat().st_mtime - began) < 0.5, "the stamp bears the date of the beginning"
    out = capsys.readouterr().out
    assert out.startswith("[1/2] 01_train (quick-mock-embedded-seed5) ...\n[1/2] 01_train took")


def test_a_failure_names_cell_line_and_cause_and_keeps_the_notebook_aside(root, capsys):
    failing = "import numpy as np\ndef solve():\n    raise ValueError('flux of row 3 is NaN')\nsolve()"
    write_notebook(root / "notebooks/01_train.ipynb", failing)
    run = Run()
    executed = run.build / "notebooks/01_train.ipynb"
    executed.parent.mkdir(parents=True)
    executed.write_text("a former success")
    with pytest.raises(NotebookError) as caught:
        pipeline.run_notebook(run, "01_train", TWO)
    failed = executed.with_name("01_train.failed.ipynb")
    assert str(caught.value).splitlines() == [
        "01_train failed in cell 3, line 3:",
        "    raise ValueError('flux of row 3 is NaN')",
        "ValueError: flux of row 3 is NaN",
        f"As far as it got: {failed}",
    ]
    assert failed.exists() and executed.read_text() == "a former success"
    assert sorted(path.name for path in executed.parent.iterdir()) == [
        "01_train.failed.ipynb",
        "01_train.ipynb",
    ]
    assert not pipeline.stamp_of("01_train", run).exists()


def test_a_kernel_that_dies_is_told_without_a_traceback(root):
    write_notebook(
        root / "notebooks/01_train.ipynb", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    with pytest.raises(NotebookError, match="01_train failed: its kernel died"):
        pipeline.run_notebook(Run(), "01_train", TWO)
    assert [path.name for path in (Run().build / "notebooks").iterdir()] == ["01_train.failed.ipynb"]


def test_a_promise_not_kept_is_an_error_even_if_an_old_file_lies_there(root):
    run = Run()
    (run.products / "model.npz").write_text("of another day")
    with pytest.raises(NotebookError, match=r"01_train ran, but did not write what it promises: .*model.npz"):
        pipeline.run_notebook(run, "01_train", TWO)
    assert not pipeline.stamp_of("01_train", run).exists()


def test_a_parameter_the_notebook_lacks_is_refused_before_it_runs(root):
    write_notebook(root / "notebooks/01_train.ipynb", "1/0", parameters='profile = "quick"\nseed = 1')
    with pytest.raises(InputError, match="no parameter grid, source"):
        pipeline.run_notebook(Run(), "01_train", TWO)
    assert not (Run().build / "notebooks").exists()


def test_only_assignments_of_the_one_tagged_cell_are_parameters(root):
    path = root / "notebooks/01_train.ipynb"
    assert parameters_of(path) == {"profile", "source", "grid", "seed"}
    cell = nbformat.v4.new_code_cell("x == 1\ny: int = 2", metadata={"tags": ["parameters"]})
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    assert parameters_of(path) == {"y"}
    nbformat.write(nbformat.v4.new_notebook(cells=[cell, nbformat.from_dict({**cell, "id": "b"})]), path)
    with pytest.raises(InputError, match="2 cells tagged"):
        parameters_of(path)
    path.write_text("not a notebook")
    with pytest.raises(FileError, match="restore it from git"):
        parameters_of(path)


SLEEPER = """
import os, time
from pathlib import Path
from slamlib.files import atomic
with atomic("data/products/quick-mock-embedded/training_LRS.npz") as half:
    half.write_text("half")
    Path("pid").write_text(str(os.getpid()))
    time.sleep(60)
"""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_an_interruption_stops_the_kernel_and_leaves_nothing_half_done(root, how):
    write_notebook(root / "notebooks/01_training_set.ipynb", SLEEPER)
    command = [sys.executable, "-m", "slamlib.paper.pipeline", "run", "01_training_set"]
    process = subprocess.Popen(
        command,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 30
    while not (root / "pid").exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(how)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130 and "interrupted" in errors and "Traceback" not in errors
    with pytest.raises(ProcessLookupError):
        os.kill(int((root / "pid").read_text()), 0)
    left = [
        path for folder in ("build", "data/products") for path in (root / folder).rglob("*") if path.is_file()
    ]
    assert left == []


def test_the_command_line_tells_a_mistake_in_one_line(root, capsys):
    assert pipeline.main(["run", "99_nothing"]) == 1
    assert pipeline.main(["plan", "all", "--profile", "huge"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and "no notebook '99_nothing'" in lines[0] and "profile='huge'" in lines[1]


# --- publishing -------------------------------------------------------------------------


def test_publishing_copies_what_changed_and_leaves_the_rest_its_date(root, built):
    first = pipeline.publish(built, graph=TWO)
    assert [str(path.relative_to(root)) for path in first] == [
        "figures/fig03.pdf",
        "figures/fig03.png",
        "tables/recovery.ecsv",
    ]
    dates = {path: path.stat().st_mtime_ns for path in first}
    (built.figures / "fig03.png").write_text("redrawn")
    pipeline.publish(built, graph=TWO)
    changed = [path.name for path in first if path.stat().st_mtime_ns != dates[path]]
    assert changed == ["fig03.png"] and first[1].read_text() == "redrawn"
    assert pipeline.publish(built, "fig03", graph=TWO) == first[:2]


def test_extra_notebooks_are_published_only_if_they_were_run(root, built):
    graph = (*TWO, Notebook("12_more", figures=("more",), extra=True))
    assert pipeline.publish(built, graph=graph) == pipeline.publish(built, graph=TWO)
    for suffix in (".pdf", ".png"):
        (built.figures / f"more{suffix}").write_text("made")
    assert {path.stem for path in pipeline.publish(built, graph=graph)} == {"fig03", "recovery", "more"}


def test_publishing_real_spectra_removes_the_recovery_of_simulated_ones(root, built):
    pipeline.publish(built, graph=TWO)
    real = Run(source="lamost")
    for file in TWO[1].published(real):
        file.write_text("real")
    pipeline.publish(real, graph=TWO)
    assert not (root / "tables/recovery.ecsv").exists()
    assert (root / "figures/fig03.pdf").read_text() == "real"


# --- threads ----------------------------------------------------------------------------


def blas():
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def test_blas_threads_are_limited_inside_the_block_and_restored_after():
    before = blas()
    with blas_threads(1):
        assert blas() == [1] * len(before)
    assert blas() == before
    with pytest.raises(InputError, match="blas_threads"), blas_threads(0):
        pass


def test_the_number_of_cores_can_be_set_and_a_bad_number_is_named(monkeypatch):
    monkeypatch.setenv("SLAMLIB_CORES", "3")
    assert n_cores() == 3
    monkeypatch.setenv("SLAMLIB_CORES", "many")
    with pytest.raises(InputError, match="SLAMLIB_CORES='many'"):
        n_cores()
    monkeypatch.delenv("SLAMLIB_CORES")
    assert 1 <= n_cores() <= os.cpu_count()
