"""Files are whole or absent, messages one line, public names typed; imports flow downwards only."""

import inspect
import shutil

import numpy as np
import pytest
from astropy.table import Table
from compendia import ROOT, imported
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

import slamlib
from slamlib.errors import FileError, printable
from slamlib.identity import code_digest
from slamlib.io import atomic, read_ecsv, write_ecsv

# Rooms of one floor do not know each other; what lies directly in slamlib, and instruments, is the ground.
FLOORS = (("grid", "regression", "spectra"), ("inference", "mock"), ("labelling",), ("fetch",), ("cli",))
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS, 1) for room in rooms}
# `python -m slamlib` is the command; the public names are loaded when they are asked for.
DOORS = {"slamlib/__main__.py"}
MODULES = sorted((ROOT / "slamlib").rglob("*.py"))
CATALOGUE, SURVEY = "slamlib.labelling.catalogue", "slamlib.mock.survey"


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_beside_it(tmp_path):
    target = tmp_path / "labels.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError, match="power cut"), atomic(target) as temporary:
        temporary.write_text("half of the n")
        raise RuntimeError("power cut")
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]


def test_tables_survive_the_disk_with_units_and_empty_text(tmp_path):
    table = Table({"teff": [20000.0, float("nan")], "flag": ["I", ""]}, units={"teff": "K"})
    write_ecsv(table, tmp_path / "new" / "labels.ecsv")
    again = read_ecsv(tmp_path / "new" / "labels.ecsv")
    assert again["teff"].unit == "K" and again["flag"].tolist() == ["I", ""]
    assert not again.has_masked_columns


def test_what_is_no_table_is_refused_and_named(tmp_path):
    (tmp_path / "notes.ecsv").write_text("no table\nat all, really\n")
    with pytest.raises(FileError, match=r"notes\.ecsv is not a readable ECSV table"):
        read_ecsv(tmp_path / "notes.ecsv")
    with pytest.raises(FileError, match=r"no table .*absent\.ecsv"):
        read_ecsv(tmp_path / "absent.ecsv")


def test_a_table_of_a_newer_slamlib_is_refused_politely(tmp_path):
    path = tmp_path / "labels.ecsv"
    write_ecsv(Table({"teff": [20000.0, 21000.0]}), path)
    assert "format: 1" in path.read_text()
    path.write_text(path.read_text().replace("format: 1", "format: 7"))
    with pytest.raises(FileError, match=r"labels\.ecsv was written by a newer .*format 7.*upgrade slamlib"):
        read_ecsv(path)


@settings(deadline=None, derandomize=True)
@given(st.text(st.characters()))
def test_a_message_is_one_line_and_what_can_be_read_stays(text):
    assert printable(text).isprintable()
    assert printable(printable(text)) == printable(text) == str(FileError(text))
    if text.isprintable():
        assert printable(text) == text


@pytest.mark.parametrize("name", [name for name in slamlib.PUBLIC if callable(getattr(slamlib, name))])
def test_public_names_have_type_hints(name):
    public = getattr(slamlib, name)
    if inspect.isclass(public) and issubclass(public, Exception):
        return
    signature = inspect.signature(public)
    untyped = [key for key, one in signature.parameters.items() if one.annotation is one.empty]
    assert untyped == []
    assert inspect.isclass(public) or signature.return_annotation is not signature.empty


def test_a_spectrum_draws_its_good_pixels_and_says_that_it_is_simulated():
    wave, mask = np.arange(4000.0, 4010.0), np.arange(10) == 4
    header = {"file": "a$b.fits", "simulated": True}
    spectrum = slamlib.Spectrum(wave, wave**2, np.ones(10), mask, header)
    axes = spectrum.plot(Figure().subplots(), color="red")
    (line,) = axes.lines
    np.testing.assert_array_equal(line.get_xdata(), wave)
    np.testing.assert_array_equal(line.get_ydata(), np.where(mask, np.nan, wave**2))
    assert line.get_color() == "red" and axes.get_title() == r"a\$b.fits (simulated)"
    assert "AA" in axes.get_xlabel()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_run_downwards(path):
    name = path.relative_to(ROOT)
    room = name.parts[1] if len(name.parts) > 2 else None
    floor = FLOOR_OF.get(room, 0)
    rooms = {part for one in imported(path) if one.startswith("slamlib.") for part in one.split(".")[1:2]}
    above = {other for other in (rooms & FLOOR_OF.keys()) - {room} if FLOOR_OF[other] >= floor}
    assert not above or name.as_posix() in DOORS, f"{name} imports {sorted(above)}"


def test_the_library_knows_no_paper():
    users = {path for path in MODULES if any(name.startswith("compendium") for name in imported(path))}
    assert users == set()


@pytest.mark.parametrize("part", ["explorer", "teaching", "site"])
def test_nothing_imports_what_is_for_people_alone(part):
    paths = [path for path in (ROOT / "compendium").rglob("*.py") if path.parts[-2] != part]
    users = [path.name for path in paths if any(f"compendium.{part}" in name for name in imported(path))]
    assert users == []


@pytest.fixture
def digest(tmp_path):
    """Give the digest of a module after a comment was added to some files of slamlib."""

    def of(module, *files):
        copy = tmp_path / str(len(list(tmp_path.iterdir()))) / "slamlib"
        shutil.copytree(ROOT / "slamlib", copy, ignore=shutil.ignore_patterns("__pycache__"))
        for file in files:
            assert (copy / file).is_file()
            with (copy / file).open("a") as stream:
                stream.write("# another comment\n")
        return code_digest(module, copy)

    return of


@pytest.mark.parametrize(
    ("module", "files"),
    [
        (CATALOGUE, ["inference/infer.py", "regression/rows.py", "spectra/continuum.py", "labels.py"]),
        (SURVEY, ["mock/population.py", "grid/broaden.py", "mock/lamost_write.py", "labels.py"]),
    ],
)
def test_what_matters_changes_the_identity(module, files, digest):
    plain = digest(module)
    assert len({plain, *(digest(module, file) for file in files)}) == len(files) + 1


def test_a_comment_elsewhere_does_not(digest):
    others = ["cli/pages.py", "style.py", "fetch/lamost.py", "labelling/cluster/run.py"]
    for module in (CATALOGUE, SURVEY):
        assert digest(module, *others) == digest(module)
    assert digest(SURVEY, "inference/infer.py") == digest(SURVEY)
