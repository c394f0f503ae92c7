"""compendium.pipeline.pipeline: rules for make, the strict runner, what is published."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from two_notebooks import TWO, write_notebook

from compendium.pipeline import pipeline
from compendium.pipeline.execute import NotebookError, parameters_of
from compendium.pipeline.graph import Notebook
from compendium.run import Run
from slamlib.errors import FileError, InputError
from slamlib.threads import n_cores, thread_environment

ROOT = Path(__file__).parents[2]

# --- rules ------------------------------------------------------------------------------


def stale(run, target="notebooks", graph=TWO):
    """Return what make would run, without running it."""
    rules = pipeline.plan(run, target, graph)
    command = ["make", "-n", "-f", str(rules), "all" if target != "notebooks" else target]
    done = subprocess.run(command, cwd=run.root, capture_output=True, text=True, check=True)
    words = [line.split("pipeline ")[1].split() for line in done.stdout.splitlines() if "pipeline " in line]
    return [word[1] if word[0] == "run" else word[0] for word in words]


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize(
    "touched, reruns",
    [
        (None, []),
        ("slamlib/used.py", ["01_train", "02_draw"]),
        ("compendium/draw.py", ["02_draw"]),
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
from slamlib.io import atomic
with atomic("data/products/quick-mock-embedded/training_LRS.npz") as half:
    half.write_text("half")
    Path("pid").write_text(str(os.getpid()))
    time.sleep(60)
"""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_an_interruption_stops_the_kernel_and_leaves_nothing_half_done(root, how):
    write_notebook(root / "notebooks/01_training_set.ipynb", SLEEPER)
    command = [sys.executable, "-m", "compendium.pipeline.pipeline", "run", "01_training_set"]
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
