"""Imports flow downwards only, as docs and DESIGN promise."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "slamlib"
ROOMS = ("synth", "slam", "survey", "fetch", "paper", "command", "cluster", "explore", "teach")
# The bridges between rooms: the simulated survey draws its stars from synth, and what is
# fetched is tried with the readers of synth and survey.
BRIDGES = {("survey/mock.py", "synth"), ("fetch/lamost.py", "survey"), ("fetch/__main__.py", "synth")}
# The door: `python -m slamlib`.
DOOR = "__main__.py"


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


GROUND = sorted(path for path in PACKAGE.glob("*.py") if path.name != DOOR)


@pytest.mark.parametrize("path", GROUND, ids=lambda path: path.name)
def test_the_ground_floor_knows_no_room(path):
    assert rooms_imported(path) == set()


@pytest.mark.parametrize("room", ["synth", "slam", "survey", "fetch"])
def test_rooms_do_not_know_each_other(room):
    for path in sorted((PACKAGE / room).rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        others = {(name, other) for other in rooms_imported(path) - {room}}
        assert others <= BRIDGES, f"{name} imports {sorted(other for _, other in others - BRIDGES)}"


def test_nothing_but_the_door_imports_the_command():
    assert users_of("command") == {DOOR}


@pytest.mark.parametrize("room", ["explore", "teach"])
def test_nothing_imports_what_is_for_people_alone(room):
    assert users_of(room) == set()


def users_of(room):
    """Modules outside a room that import it."""
    users = [path for path in PACKAGE.rglob("*.py") if room in rooms_imported(path)]
    return {path.relative_to(PACKAGE).as_posix() for path in users if path.parent.name != room}


def test_only_the_explorer_needs_widgets():
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.parent.name != "explore":
            assert "ipywidgets" not in path.read_text(encoding="utf-8"), path.name
