"""A notebook runs strictly: in its own Python, as a whole or not at all, and says why it failed."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from compendia import ROOT
from two_notebooks import write_notebook

from compendium.pipeline.execute import NotebookError, execute
from compendium.run import Run
from slamlib.errors import InputError
from slamlib.threads import n_cores, thread_environment

ODD = "a'b\"c:#;=|\n$d"
PARAMETERS = Run().parameters | {"grid": ODD, "seed": 5}


def run(root, *cells, **changed):
    """Run a notebook of these cells; return where it shall be kept."""
    write_notebook(root / "notebooks/01_train.ipynb", *cells)
    output = root / "build/01_train.ipynb"
    execute(root / "notebooks/01_train.ipynb", PARAMETERS | changed, output, cwd=root)
    return output


WITNESS = """
import json, os, sys
from pathlib import Path
seen = dict(python=sys.executable, cwd=os.getcwd(), grid=grid, seed=seed, env=dict(os.environ))
Path("seen.json").write_text(json.dumps(seen))
"""


def test_a_notebook_runs_in_its_own_python_and_environment(root, monkeypatch):
    """A python3 kernel planted where Jupyter looks first must not be taken."""
    planted = root / "planted/kernels/python3"
    planted.mkdir(parents=True)
    kernel = {"argv": ["false"], "display_name": "x", "language": "python"}
    (planted / "kernel.json").write_text(json.dumps(kernel))
    monkeypatch.setenv("JUPYTER_PATH", str(root / "planted"))
    output = run(root, WITNESS)
    seen = json.loads((root / "seen.json").read_text())
    assert (seen["python"], seen["cwd"]) == (sys.executable, str(root))
    assert (seen["grid"], seen["seed"]) == (ODD, 5)
    expected = {"PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": "0", **thread_environment(n_cores())}
    assert {name: seen["env"][name] for name in expected} == expected
    assert os.environ.get("PYTHONHASHSEED") != "0"
    assert list(output.parent.iterdir()) == [output]


def test_a_failure_names_cell_line_and_cause_and_keeps_the_notebook_aside(root):
    (root / "build").mkdir()
    (root / "build/01_train.ipynb").write_text("a former success")
    with pytest.raises(NotebookError) as caught:
        run(root, "import numpy as np\ndef solve():\n    raise ValueError('flux of row 3 is NaN')\nsolve()")
    assert str(caught.value).splitlines() == [
        "01_train failed in cell 3, line 3:",
        "    raise ValueError('flux of row 3 is NaN')",
        "ValueError: flux of row 3 is NaN",
        f"As far as it got: {root / 'build/01_train.failed.ipynb'}",
    ]
    assert (root / "build/01_train.ipynb").read_text() == "a former success"
    assert {path.name for path in (root / "build").iterdir()} == {"01_train.failed.ipynb", "01_train.ipynb"}


def test_a_kernel_that_dies_is_told_without_a_traceback(root):
    with pytest.raises(NotebookError, match="01_train failed: its kernel died"):
        run(root, "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    assert [path.name for path in (root / "build").iterdir()] == ["01_train.failed.ipynb"]


def test_a_parameter_the_notebook_lacks_is_refused_before_it_runs(root):
    with pytest.raises(InputError, match="no parameter colour, size; add it"):
        run(root, "1/0", colour="red", size=3)
    assert not (root / "build").exists()


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
    command = [sys.executable, "-m", "compendium.pipeline.build", "01_training_set"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"}
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, env=environment, **pipes)
    until = time.monotonic() + 60
    while not (root / "pid").exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(how)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130 and "interrupted" in errors and "Traceback" not in errors
    with pytest.raises(ProcessLookupError):
        os.kill(int((root / "pid").read_text()), 0)
    left = [path for folder in ("build", "data/products") for path in (root / folder).rglob("*")]
    assert {path.name for path in left if path.is_file()} == {"lock", "records.json"}
