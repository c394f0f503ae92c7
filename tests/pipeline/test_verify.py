"""Every output can be traced: what is recorded, what `make verify` says, what an archive reads."""

import hashlib
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from rocrate.rocrate import ROCrate
from two_notebooks import TWO, draw

from compendium.pipeline import build as pipeline
from compendium.pipeline import manifest, verify
from compendium.run import Run

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


# --- make verify


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


# --- make trace


@pytest.mark.parametrize("wanted", ["fig03", "fig03.png", "build/quick-mock-embedded/figures/fig03.png"])
def test_a_figure_is_traced_back_to_the_data(made, wanted):
    text = "\n".join(verify.trace(wanted, work(made)))
    made_by = ("numbers.npz", "made by 02_draw", "model.npz", "made by 01_train", "01_train.ipynb")
    for part in ("figures/fig03.png", "identical", "seed=257", *made_by):
        assert part in text
    assert f"tlusty_ob_grid.fits  {hashlib.sha256(b'grid').hexdigest()[:12]}  given" in text


# --- the archive


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
