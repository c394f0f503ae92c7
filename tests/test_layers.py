"""Imports flow downwards only, as docs and DESIGN promise."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "slamlib"
ROOMS = ("synth", "slam", "survey", "fetch", "paper", "teach")
# The bridges between rooms: the simulated survey draws its stars from synth, and what is
# fetched is tried with the readers of synth and survey.
BRIDGES = {("survey/mock.py", "synth"), ("fetch/lamost.py", "survey"), ("fetch/__main__.py", "synth")}


def rooms_imported(path, root=PACKAGE):
    """Rooms that a module imports, wherever in it the import stands."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = ["slamlib", *path.relative_to(root).parts[:-1]]
            base = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names |= {f"{module}.{alias.name}" for alias in node.names}
    parts = (name.split(".") for name in names)
    return {part[1] for part in parts if part[0] == "slamlib" and len(part) > 1 and part[1] in ROOMS}


def test_the_check_sees_every_kind_of_import(tmp_path):
    module = tmp_path / "survey" / "mock.py"
    module.parent.mkdir()
    module.write_text(
        "import slamlib.synth.grid\nfrom slamlib import slam\ndef f():\n    from ..paper import style\n"
    )
    assert rooms_imported(module, tmp_path) == {"synth", "slam", "paper"}


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.name)
def test_the_ground_floor_knows_no_room(path):
    assert rooms_imported(path) == set()


@pytest.mark.parametrize("room", ["synth", "slam", "survey", "fetch"])
def test_rooms_do_not_know_each_other(room):
    for path in sorted((PACKAGE / room).rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        others = {(name, other) for other in rooms_imported(path) - {room}}
        assert others <= BRIDGES, f"{name} imports {sorted(other for _, other in others - BRIDGES)}"


def test_nobody_leans_on_the_lessons():
    paths = [path for path in PACKAGE.rglob("*.py") if path.parent.name != "teach"]
    assert [path for path in paths if "teach" in rooms_imported(path)] == []
