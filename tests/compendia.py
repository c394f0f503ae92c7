"""Where things are, what a module imports, what a command said, and what a machine lacks."""

import ast
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EMBEDDED = ROOT / "data" / "embedded"
SAMPLES = ROOT.parent / "shared" / "samples"


def lines(text):
    return text.rstrip("\n").split("\n")


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


def absent(what):
    """A reason not to test: fatal in CI, where all of it must be there."""
    pytest.fail(what) if os.environ.get("CI", "").lower() == "true" else pytest.skip(what)
