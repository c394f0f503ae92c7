"""Every output can be traced: what is recorded, what `make verify` says, what an archive reads."""

import hashlib
import json
import re
import shutil
from importlib import metadata
from pathlib import Path

import nbformat
import numpy as np
import pytest
from rocrate.rocrate import ROCrate

from compendium.pipeline import crate, manifest, pipeline, verify
from compendium.pipeline.graph import Notebook
from compendium.run import Run
from slamlib.errors import FileError, InputError

GRAPH = (
    Notebook("01_train", products=("model.npz", "survey/index.ecsv")),
    Notebook("02_draw", ("01_train",), figures=("fig03",), tables=("numbers.ecsv",)),
)
PARAMETERS = 'profile = "quick"\nsource = "mock"\ngrid = "embedded"\nseed = 257'
CODE = {
    "01_train": """
from pathlib import Path
made = Path("data/products/quick-mock-embedded")
(made / "model.npz").write_text("weights")
(made / "survey").mkdir(exist_ok=True)
(made / "survey/star.fits").write_text("flux")
(made / "survey/index.ecsv").write_text("star.fits")
""",
    "02_draw": """
from pathlib import Path
from slamlib import used
model = Path("data/products/quick-mock-embedded/model.npz").read_text()
build = Path("build/quick-mock-embedded")
for name in ("figures/fig03.png", "figures/fig03.pdf", "tables/numbers.ecsv"):
    (build / name).unlink(missing_ok=True)
    (build / name).write_text(model + name)
""",
}


def write_notebook(root, name, code):
    cells = [
        nbformat.v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(code),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), root / "notebooks" / f"{name}.ipynb")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A compendium of two notebooks, run."""
    root = tmp_path_factory.mktemp("made") / "my paper"
    for folder in ("notebooks", "slamlib", "data/embedded"):
        (root / folder).mkdir(parents=True)
    (root / "pyproject.toml").write_text("")
    for name in ("__init__", "used"):
        (root / "slamlib" / f"{name}.py").write_text("")
    (root / "data/embedded/tlusty_ob_grid.fits").write_text("grid")
    for name, code in CODE.items():
        write_notebook(root, name, code)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        for notebook in GRAPH:
            pipeline.run_notebook(Run(), notebook.name, GRAPH)
    return root


@pytest.fixture
def run(made, tmp_path, monkeypatch):
    """A copy of it, to be spoilt."""
    shutil.copytree(made, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return Run()


def verified(run, edit=lambda: None):
    """What `make verify` says: state by output, without the folders before its name."""
    verify.expect(run, GRAPH)
    edit()
    for notebook in GRAPH:
        if not manifest.stamp_of(notebook.name, run).exists():
            pipeline.run_notebook(run, notebook.name, GRAPH)
    return {Path(path).name: (state, maker) for state, path, maker in verify.verify(run, GRAPH)}


# --- the record


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_record_holds_notebook_parameters_code_versions_machine_and_time(run):
    record = manifest.read(run, GRAPH)["02_draw"]
    notebook = run.root / "notebooks/02_draw.ipynb"
    assert record["notebook"] == {
        "path": "notebooks/02_draw.ipynb",
        "sha256": sha256(notebook),
        "bytes": notebook.stat().st_size,
    }
    assert record["parameters"] == {"profile": "quick", "source": "mock", "grid": "embedded", "seed": 257}
    assert record["code"]["slamlib"] == metadata.version("slamlib")
    assert record["packages"]["numpy"] == np.__version__
    assert record["machine"]["cores"] >= 1 and record["machine"]["memory"] > 1e8
    assert record["began"] < record["ended"] and 0 < record["seconds"] < 100


def test_inputs_and_outputs_are_recorded_by_hash_and_meet_from_notebook_to_notebook(run):
    first, second = manifest.read(run, GRAPH).values()
    inputs = {entry["path"]: entry for entry in second["inputs"]}
    assert inputs["data/embedded/tlusty_ob_grid.fits"]["sha256"] == hashlib.sha256(b"grid").hexdigest()
    assert [inputs[output["path"]] for output in first["outputs"]] == first["outputs"]
    for output in second["outputs"]:
        assert output["sha256"] == sha256(run.root / output["path"])
    assert [Path(o["path"]).name for o in second["outputs"]] == ["fig03.pdf", "fig03.png", "numbers.ecsv"]


def test_the_code_is_that_which_the_notebook_imports(run):
    files = [run.root / "slamlib/__init__.py", run.root / "slamlib/used.py"]
    before = manifest.code(files, run)["sha256"]
    assert manifest.read(run, GRAPH)["02_draw"]["code"]["sha256"] == before
    files[1].write_text("x = 1")
    assert manifest.code(files, run)["sha256"] != before


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (lambda folder: (folder / ".recipe").write_text("of another version"), True),
        (lambda folder: (folder / "star.fits").write_text("fluy"), False),
        (lambda folder: (folder / "star.fits").rename(folder / "sun.fits"), False),
        (lambda folder: (folder / "another.fits").write_text(""), False),
    ],
)
def test_a_folder_is_known_by_all_its_files_but_the_hidden(run, change, same):
    folder = run.products / "survey"
    before = manifest.describe(folder, run)
    assert before in manifest.read(run, GRAPH)["01_train"]["outputs"]
    assert before["files"] == 2
    change(folder)
    assert (manifest.describe(folder, run)["sha256"] == before["sha256"]) is same


@pytest.mark.parametrize(
    ("text", "message"),
    [('{"format": 99}', "written by a newer slamlib"), ("{", "is not a record"), ("[]", "is not a record")],
)
def test_a_record_that_cannot_be_understood_is_refused_by_name(run, text, message):
    manifest.record_of("01_train", run).write_text(text)
    with pytest.raises(FileError, match=f"01_train.json .*{message}|01_train.json {message}"):
        manifest.read(run, GRAPH)


def test_nothing_is_stamped_whose_making_is_not_recorded(run, monkeypatch):
    monkeypatch.setattr(manifest, "finish", lambda *_: 1 / 0)
    manifest.stamp_of("02_draw", run).unlink()
    with pytest.raises(ZeroDivisionError):
        pipeline.run_notebook(run, "02_draw", GRAPH)
    assert not manifest.stamp_of("02_draw", run).exists()


# --- make verify


def test_what_nobody_touched_is_identical_and_not_made_again(run):
    states = verified(run)
    assert set(states) == {"model.npz", "survey", "fig03.pdf", "fig03.png", "numbers.ecsv"}
    assert set(states.values()) == {("identical", "01_train"), ("identical", "02_draw")}
    assert pipeline._tell([("identical", "fig03.png", "02_draw")]) == 0


@pytest.mark.parametrize("spoil", [lambda path: path.write_text("retouched"), lambda path: path.unlink()])
def test_an_output_that_was_edited_or_deleted_is_made_again_and_identical(run, spoil):
    spoil(run.figures / "fig03.png")
    states = verified(run)
    assert states["fig03.png"] == ("identical", "02_draw, made again")
    assert states["model.npz"] == ("identical", "01_train")


def test_an_output_that_comes_out_otherwise_is_changed_once(run):
    def edit():
        write_notebook(run.root, "02_draw", CODE["02_draw"].replace("model + name", "'paler' + name"))
        manifest.stamp_of("02_draw", run).unlink()

    assert verified(run, edit)["fig03.png"] == ("changed", "02_draw, made again")
    assert verified(run)["fig03.png"] == ("identical", "02_draw")


def test_an_output_that_is_gone_and_not_made_again_is_missing(run, capsys):
    verify.expect(run, GRAPH)
    (run.figures / "fig03.png").unlink()
    rows = verify.verify(run, GRAPH)
    assert ("missing", "build/quick-mock-embedded/figures/fig03.png", "02_draw") in rows
    assert pipeline._tell(rows) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "4 identical, 0 new, 0 changed, 1 missing"


def test_an_interrupted_verification_still_compares_with_what_was_first_recorded(run):
    verify.expect(run, GRAPH)
    record = manifest.record_of("02_draw", run)
    spoilt = json.loads(record.read_text())
    spoilt["outputs"][0]["sha256"] = "another"  # as if 02_draw had been made again, otherwise
    record.write_text(json.dumps(spoilt))
    verify.expect(run, GRAPH)
    before = {row[0] for row in verify.verify(run, GRAPH)}
    assert before == {"identical"}


def test_verify_before_anything_was_made_says_what_to_do(run):
    with pytest.raises(InputError, match=r"nothing is recorded in .*; run `make paper PROFILE=paper` first"):
        verify.expect(Run("paper"), GRAPH)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["verify"], "nothing to compare .* with"),
        (["expect", "--profile", "paper"], "nothing is recorded"),
        (["trace", "fig99"], "no record of 'fig99'"),
    ],
)
def test_the_command_line_tells_a_mistake_in_one_line(run, capsys, arguments, message):
    assert pipeline.main(arguments) == 1
    assert re.fullmatch(f"[^\n]*{message}[^\n]*\n", capsys.readouterr().err)


@pytest.mark.parametrize("recorded", [True, False])
def test_verify_makes_an_extra_notebook_only_if_it_was_made_before(run, recorded):
    extra = Notebook("02_draw", ("01_train",), figures=("fig03",), extra=True)
    if not recorded:
        manifest.record_of("02_draw", run).unlink()
    rules = pipeline.plan(run, "verify", (GRAPH[0], extra)).read_text()
    assert ("run 02_draw" in rules) is recorded
    assert "publish" not in rules


# --- make trace


@pytest.mark.parametrize("wanted", ["fig03", "fig03.png", "build/quick-mock-embedded/figures/fig03.png"])
def test_a_figure_is_traced_back_to_the_data(run, wanted):
    text = "\n".join(verify.trace(wanted, run, GRAPH))
    for part in ("figures/fig03.png", "seed=257", "model.npz", "made by 01_train", "01_train.ipynb"):
        assert part in text
    assert f"tlusty_ob_grid.fits  {hashlib.sha256(b'grid').hexdigest()[:12]}  given" in text


def test_a_trace_shows_an_input_that_is_not_what_its_maker_made(run):
    pipeline.run_notebook(run, "01_train", GRAPH)
    assert "is another now" not in "\n".join(verify.trace("fig03", run, GRAPH))
    write_notebook(run.root, "01_train", CODE["01_train"].replace("weights", "heavier"))
    pipeline.run_notebook(run, "01_train", GRAPH)
    assert "made by 01_train, but is another now" in "\n".join(verify.trace("fig03", run, GRAPH))


def test_a_trace_of_what_nobody_made_is_refused(run):
    with pytest.raises(InputError, match="no record of 'fig99'"):
        verify.trace("fig99", run, GRAPH)


# --- the archive


def test_an_archive_reads_the_build_folder(run):
    """rocrate warns, which is an error here, of parts that are not there."""
    read = ROCrate(run.build)
    parts = {entity.id for entity in read.data_entities}
    assert {"figures/fig03.png", "tables/numbers.ecsv", "notebooks/02_draw.ipynb"} <= parts
    assert all((run.build / part).is_file() for part in parts)
    assert "simulated stars" in read.root_dataset["description"]
    action = read.get("#run-02_draw")
    assert {result.id for result in action["result"]} == {
        "figures/fig03.pdf",
        "figures/fig03.png",
        "tables/numbers.ecsv",
    }
    assert "#data/products/quick-mock-embedded/model.npz" in {entity.id for entity in action["object"]}


def test_the_crate_refers_to_nothing_it_does_not_describe(run):
    entities = json.loads((run.build / crate.NAME).read_text())["@graph"]
    ids = [entity["@id"] for entity in entities]
    assert len(set(ids)) == len(ids)

    def references(value):
        if isinstance(value, dict):
            yield from [value["@id"]] if set(value) == {"@id"} else references(list(value.values()))
        elif isinstance(value, list):
            for one in value:
                yield from references(one)

    told = {crate.NAME, "./"}
    outside = {
        reference for reference in references(entities) if reference.startswith("https://w3id.org/ro/crate")
    }
    assert set(references(entities)) - outside <= set(ids) | told
