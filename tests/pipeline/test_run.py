"""The graph; runs; notebooks run strictly, as a whole or not at all; every output can be traced."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from importlib import import_module, metadata
from pathlib import Path

import numpy as np
import pytest
from compendia import ROOT
from rocrate.rocrate import ROCrate
from two_notebooks import TWO, draw, write_notebook

from compendium.pipeline import build as pipeline
from compendium.pipeline import manifest, verify
from compendium.pipeline.execute import NotebookError, execute, kernels
from compendium.pipeline.graph import GRAPH, Notebook, targets
from compendium.run import Run
from slamlib.errors import FileError, InputError
from slamlib.threads import CORES_VARIABLE, thread_environment

OUTPUTS = {"model.npz", "survey", "numbers.npz", "recovery.ecsv", "fig03.pdf", "fig03.png"}
ODD = "a'b\"c:#;=|\n$d"
PARAMETERS = Run().parameters | {"grid": ODD, "seed": 5}
WITNESS = """
import json, os, sys
from pathlib import Path
seen = dict(python=sys.executable, cwd=os.getcwd(), grid=grid, seed=seed, env=dict(os.environ))
Path("seen.json").write_text(json.dumps(seen))
"""


def test_the_graph_makes_ten_figures_two_tables_and_the_claims_once_each():
    files = [file for notebook in GRAPH for file in notebook.published(Run(profile="paper"))]
    made = [*files, *(product for notebook in GRAPH for product in notebook.products)]
    assert len(made) == len(set(made))
    assert set(targets()) == {f"fig-{n}" for n in range(1, 11)} | {"table-1", "table-2"}
    assert {f"claims.{suffix}" for suffix in ("ecsv", "mrt", "tex")} <= {file.name for file in files}


def test_the_graph_names_every_numbered_notebook_in_order_and_a_function_for_every_figure():
    assert sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9]*.ipynb")) == [n.name for n in GRAPH]
    for place, notebook in enumerate(GRAPH):
        assert set(notebook.needs) <= {earlier.name for earlier in GRAPH[:place]}
        for name, module in notebook.figures.items():
            assert callable(getattr(import_module(f"compendium.figures.{module}"), name.lower()))


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"profile": "huge"}, "profile='huge' is unknown; use one of quick, paper"),
        ({"source": "sdss"}, "source='sdss' is unknown; use one of mock, lamost"),
        ({"rv": "guessed"}, "rv='guessed' is unknown; use one of measured, catalogue"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": 2.5}, "seed=2.5"),
        ({"grid": ""}, "grid=''"),
    ],
)
def test_a_run_refuses_unknown_values_by_name(wrong, message):
    with pytest.raises(InputError, match=message):
        Run(**wrong)


def test_a_missing_grid_is_named_and_the_official_one_is_made_by_make_data(root):
    with pytest.raises(FileError, match=r"no model grid at .*nowhere.fits"):
        _ = Run(grid="nowhere.fits").key
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
    runs = [Run(), Run("paper"), Run(source="lamost"), Run(seed=3), Run(rv="catalogue")]
    runs += [Run(grid="a/grid.fits"), Run(grid="b/grid.fits")]
    assert len({run.products for run in runs}) == len(runs)
    assert Run(grid="a/grid.fits").key == Run(grid=str(root / "a/grid.fits")).key


def test_draws_are_reproducible_and_independent_from_name_to_name():
    first = Run().rng("training LRS").random(4)
    # Pinned: a change of this stream changes every published number.
    assert Run().rng("training LRS").random(4).tolist() == first.tolist()
    np.testing.assert_allclose(first[0], 0.6228902957407584, rtol=1e-12)
    others = [Run().rng("training MRS"), Run(seed=258).rng("training LRS")]
    assert all(other.random() != first[0] for other in others)


@pytest.fixture
def made(make):
    """A run that was made."""
    make("all")
    return Run()


def work(run):
    return pipeline.Build(run, TWO, draw)


def verified(run):
    """What `make verify` says: state by output, without the folders before its name."""
    return {Path(path).name: (state, maker) for state, path, maker in verify.verify(work(run))}


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_record_holds_source_parameters_code_versions_machine_and_time(made):
    record = manifest.read(made, TWO)["02_draw"]
    assert record["source"]["path"] == "notebooks/02_draw.ipynb"
    assert record["parameters"] == made.parameters
    assert record["code"]["slamlib"] == metadata.version("slamlib")
    assert record["packages"]["numpy"] == np.__version__
    assert record["machine"]["cores"] >= 1 and record["machine"]["memory"] > 1e8
    assert record["began"] <= record["ended"] and 0 <= record["seconds"] < 100
    before = record["code"]["sha256"]
    (made.root / "compendium/used.py").write_text("x = 1")
    work(made).make(["fig03"])
    assert manifest.read(made, TWO)["02_draw"]["code"]["sha256"] != before


def test_what_nobody_touched_is_identical_and_not_made_again(made):
    states = verified(made)
    assert set(states) == OUTPUTS
    assert set(states.values()) == {("identical", name) for name in ("01_train", "02_draw", "fig03")}


@pytest.mark.parametrize("spoil", [lambda path: path.write_text("retouched"), lambda path: path.unlink()])
def test_an_output_that_was_edited_or_deleted_is_made_again_and_identical(made, spoil):
    spoil(made.figures / "fig03.png")
    states = verified(made)
    assert states["fig03.png"] == ("identical", "fig03, made again")
    assert states["model.npz"] == ("identical", "01_train")


def test_an_output_that_comes_out_otherwise_is_changed_once(made):
    (made.root / "compendium/figures/draw.py").write_text("# paler")
    assert verified(made)["fig03.png"] == ("changed", "fig03, made again")
    assert verified(made)["fig03.png"] == ("identical", "fig03")


@pytest.mark.parametrize("wanted", ["fig03", "fig03.png", "build/quick-mock-embedded/figures/fig03.png"])
def test_a_figure_is_traced_back_to_the_data(made, wanted):
    text = "\n".join(verify.trace(wanted, work(made)))
    made_by = ("numbers.npz", "made by 02_draw", "model.npz", "made by 01_train", "01_train.ipynb")
    for part in ("figures/fig03.png", "identical", "seed=257", *made_by):
        assert part in text
    assert f"tlusty_ob_grid.fits  {hashlib.sha256(b'grid').hexdigest()[:12]}  given" in text


def test_an_archive_reads_the_build_folder(made):
    """rocrate warns, which is an error here, of parts that are not there."""
    read = ROCrate(made.build)
    parts = {entity.id for entity in read.data_entities}
    assert {"figures/fig03.png", "tables/recovery.ecsv", "notebooks/02_draw.ipynb"} <= parts
    assert all((made.build / part).is_file() for part in parts)
    assert "simulated stars" in read.root_dataset["description"]
    action = read.get("#run-fig03")
    assert {result.id for result in action["result"]} == {"figures/fig03.pdf", "figures/fig03.png"}
    assert "#data/products/quick-mock-embedded/numbers.npz" in {entity.id for entity in action["object"]}


def run(root, *cells, **changed):
    """Run a notebook of these cells; return where it shall be kept."""
    write_notebook(root / "notebooks/01_train.ipynb", *cells)
    output = root / "build/01_train.ipynb"
    with kernels():
        execute(root / "notebooks/01_train.ipynb", PARAMETERS | changed, output, cwd=root)
    return output


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
    expected = {"PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": "0", **thread_environment(1)}
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


HASTY = """import time
from pathlib import Path
while not Path("pid").exists():
    time.sleep(0.02)
raise ValueError("no stars")"""


def test_notebooks_that_do_not_need_each_other_run_at_once_and_end_with_the_one_that_fails(root, monkeypatch):
    monkeypatch.setenv(CORES_VARIABLE, "2")
    write_notebook(root / "notebooks/01_hasty.ipynb", HASTY)
    write_notebook(root / "notebooks/02_slow.ipynb", SLEEPER)
    with pytest.raises(NotebookError, match="01_hasty failed in cell 3, line 5:"):
        build = pipeline.Build(Run(), (Notebook("01_hasty"), Notebook("02_slow")))
        build.make(["01_hasty", "02_slow"])
    with pytest.raises(ProcessLookupError):
        os.kill(int((root / "pid").read_text()), 0)
    assert [path.name for path in Run().products.iterdir()] == []
    assert [path.name for path in (Run().build / "notebooks").iterdir()] == ["01_hasty.failed.ipynb"]
