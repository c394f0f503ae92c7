"""Every output can be traced: what is recorded, what `make verify` says, what an archive reads."""

import hashlib
import json
import os
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from rocrate.rocrate import ROCrate
from two_notebooks import CELLS, TWO, draw, write_notebook

from compendium.pipeline import build as pipeline
from compendium.pipeline import crate, manifest, verify
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


def test_inputs_and_outputs_are_recorded_by_hash_and_meet_from_task_to_task(made):
    records = manifest.read(made, TWO)
    assert list(records) == ["01_train", "02_draw", "fig03"]
    for first, second in (("01_train", "02_draw"), ("02_draw", "fig03")):
        inputs = {entry["path"]: entry for entry in records[second]["inputs"]}
        assert inputs["data/embedded/tlusty_ob_grid.fits"]["sha256"] == hashlib.sha256(b"grid").hexdigest()
        assert [inputs[output["path"]] for output in records[first]["outputs"]] == records[first]["outputs"]
    outputs = {output["path"]: output for record in records.values() for output in record["outputs"]}
    assert {Path(path).name for path in outputs} == OUTPUTS
    assert outputs.pop("data/products/quick-mock-embedded/survey")["files"] == 2
    assert all(output["sha256"] == sha256(made.root / path) for path, output in outputs.items())


def test_a_killed_build_loses_only_what_was_running(root, make):
    write_notebook(root / "notebooks/02_draw.ipynb", CELLS["02_draw"] + "raise SystemExit")
    with pytest.raises(SystemExit):
        make()
    assert list(manifest.read(Run(), TWO)) == ["01_train"]
    write_notebook(root / "notebooks/02_draw.ipynb", CELLS["02_draw"])
    assert make() == ["02_draw", "fig03"]


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


def test_an_output_edited_without_a_trace_in_its_date_is_found(made):
    path = made.figures / "fig03.png"
    before = path.stat()
    path.write_text(path.read_text().swapcase())
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert verified(made)["fig03.png"] == ("identical", "fig03, made again")


def test_an_output_that_comes_out_otherwise_is_changed_once(made):
    (made.root / "compendium/figures/draw.py").write_text("# paler")
    assert verified(made)["fig03.png"] == ("changed", "fig03, made again")
    assert verified(made)["fig03.png"] == ("identical", "fig03")


def test_an_interrupted_verification_still_compares_with_what_was_first_recorded(made, monkeypatch):
    (made.root / "compendium/figures/draw.py").write_text("# paler")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(pipeline.Build, "records", interrupting(pipeline.Build.records))
        verify.verify(work(made))
    assert verified(made)["fig03.png"][0] == "changed"


def interrupting(records):
    """The same function, interrupted when it is called for the second time."""
    called = []

    def interrupted(self):
        called.append(1)
        if len(called) > 1:
            raise KeyboardInterrupt
        return records(self)

    return interrupted


def test_the_command_ends_with_the_sum_and_fails_if_something_changed(made, capsys, monkeypatch):
    monkeypatch.setattr(verify, "verify", lambda build: [("identical", "a", "n"), ("missing", "b", "n")])
    assert pipeline.main(["verify"]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "1 identical, 0 new, 0 changed, 1 missing"
    monkeypatch.setattr(verify, "verify", lambda build: [("identical", "a", "n"), ("new", "b", "n")])
    assert pipeline.main(["verify"]) == 0


# --- make trace


@pytest.mark.parametrize("wanted", ["fig03", "fig03.png", "build/quick-mock-embedded/figures/fig03.png"])
def test_a_figure_is_traced_back_to_the_data(made, wanted):
    text = "\n".join(verify.trace(wanted, work(made)))
    made_by = ("numbers.npz", "made by 02_draw", "model.npz", "made by 01_train", "01_train.ipynb")
    for part in ("figures/fig03.png", "identical", "seed=257", *made_by):
        assert part in text
    assert f"tlusty_ob_grid.fits  {hashlib.sha256(b'grid').hexdigest()[:12]}  given" in text


def test_a_trace_shows_an_input_that_is_not_what_its_maker_made(made):
    assert "is another now" not in "\n".join(verify.trace("fig03", work(made)))
    write_notebook(
        made.root / "notebooks/01_train.ipynb",
        CELLS["01_train"] + "(made / 'model.npz').write_text('heavier')",
    )
    work(made).make(["01_train"])
    assert "made by 01_train, but is another now" in "\n".join(verify.trace("fig03", work(made)))


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


def test_the_crate_refers_to_nothing_it_does_not_describe(made):
    entities = json.loads((made.build / crate.NAME).read_text())["@graph"]
    ids = [entity["@id"] for entity in entities]
    assert len(set(ids)) == len(ids)

    def references(value):
        if isinstance(value, dict):
            yield from [value["@id"]] if set(value) == {"@id"} else references(list(value.values()))
        elif isinstance(value, list):
            for one in value:
                yield from references(one)

    outside = {name for name in references(entities) if name.startswith("https://w3id.org/ro/crate")}
    assert set(references(entities)) - outside <= {*ids, crate.NAME, "./"}
