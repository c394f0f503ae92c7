"""The graph of notebooks and figures; runs; every output can be traced."""

import hashlib
from importlib import import_module, metadata
from pathlib import Path

import numpy as np
import pytest
from compendia import ROOT
from rocrate.rocrate import ROCrate
from two_notebooks import TWO, draw

from compendium.pipeline import build as pipeline
from compendium.pipeline import manifest, verify
from compendium.pipeline.graph import GRAPH, targets
from compendium.run import Run
from slamlib.errors import FileError, InputError


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


OUTPUTS = {"model.npz", "survey", "numbers.npz", "recovery.ecsv", "fig03.pdf", "fig03.png"}


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
