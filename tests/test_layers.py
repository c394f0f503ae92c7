"""Imports flow downwards only, and kept work depends on the code that it imports."""

import ast
import shutil

import pytest
from compendia import ROOT

from slamlib.identity import code_digest

# Rooms of one floor do not know each other; what lies directly in slamlib, and instruments, is the ground.
FLOORS = (("grid", "regression", "spectra"), ("inference", "mock"), ("labelling",), ("fetch",), ("cli",))
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS, 1) for room in rooms}
# `python -m slamlib` is the command; the public names are loaded when they are asked for.
DOORS = {"slamlib/__main__.py"}
MODULES = sorted((ROOT / "slamlib").rglob("*.py"))


def imported(path, root=ROOT):
    """Dotted names that a module imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = path.relative_to(root).parts[:-1]
            base = package[: len(package) + 1 - node.level] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


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


CATALOGUE, SURVEY = "slamlib.labelling.catalogue", "slamlib.mock.survey"


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
