"""What is installed: every import is declared, labelling needs only the core, the pins can be judged."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, requires, version
from pathlib import Path
from types import SimpleNamespace

import pytest
from test_project import LOCK, locked

from compendium import supply

ROOT = Path(__file__).parents[1]
OWN = {"slamlib", "compendium", "benchmarks"}


def declared(path, *extras):
    """Normalised names of the distributions that a pyproject.toml names."""
    project = tomllib.loads((ROOT / path).read_text(encoding="utf-8"))["project"]
    lines = [
        *project["dependencies"],
        *(line for extra in extras for line in project["optional-dependencies"][extra]),
    ]
    return {normal(re.match(r"[\w.-]+", line).group()) for line in lines}


def imported(folder):
    """Top-level names that the modules of a folder import from outside the standard library and ours."""
    names = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - OWN


def normal(name):
    return name.lower().replace("_", "-")


def is_there(name):
    try:
        return bool(version(name))
    except PackageNotFoundError:  # as of another system
        return False


CORE = declared("pyproject.toml")
LIBRARY = declared("pyproject.toml", "cluster", "fetch", "gaia", "posterior")
PAPER = LIBRARY | declared("compendium/pyproject.toml")


@pytest.mark.parametrize(
    ("folder", "allowed"),
    [
        ("slamlib", LIBRARY),
        ("compendium", PAPER),
        ("benchmarks", PAPER | declared("compendium/pyproject.toml", "dev")),
    ],
)
def test_no_package_is_imported_that_pyproject_does_not_name(folder, allowed):
    of = packages_distributions()
    found = {name: {normal(each) for each in of.get(name, [name])} for name in imported(folder)}
    assert {name: dists for name, dists in found.items() if not dists & allowed} == {}


def test_labelling_needs_nothing_beyond_the_core():
    """All that `pip install slamlib` would not bring is hidden, and the command still has all it imports."""
    core, new = set(), set(CORE)
    while new:
        core |= new
        needs = [line for name in new for line in requires(name) or () if "extra ==" not in line]
        new = {normal(re.match(r"[\w.-]+", line).group()) for line in needs} - core
        new = {name for name in new if is_there(name)}
    of = packages_distributions().items()
    hidden = [name for name, dists in of if name not in OWN and not {normal(each) for each in dists} & core]
    assert {"distributed", "requests", "emcee", "sphinx"} <= set(hidden)
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({hidden!r}))\n"
        "import slamlib.labelling.files, slamlib.cli.main, slamlib.cli.pages, slamlib.cli.output"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_bill_names_every_pinned_package():
    bill = json.loads(json.dumps(supply.bill_of_materials(LOCK)))
    assert {part["name"] for part in bill["components"]} >= locked()
    assert all(
        f"{part['name']}" in part["purl"] and part["version"] in part["purl"] for part in bill["components"]
    )
    assert bill["bomFormat"] == "CycloneDX"


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        ("", 2, "no index of advisories answers; nothing was checked: no route"),
        (
            {"dependencies": [{"name": "a", "version": "1", "vulns": []}]},
            0,
            "1 packages checked, 0 known faults",
        ),
        (
            {
                "dependencies": [
                    {"name": "a", "version": "1", "vulns": [{"id": "X-1", "fix_versions": ["2"]}]}
                ]
            },
            1,
            "a 1: X-1, mended in 2",
        ),
        (
            {"dependencies": [{"name": "a", "skip_reason": "not found"}]},
            2,
            "no index of advisories answers; nothing was checked: not found",
        ),
        (
            {"dependencies": [{"name": "a", "skip_reason": "not found"}, {"name": "b", "vulns": []}]},
            0,
            "a was not checked: not found",
        ),
    ],
)
def test_an_audit_says_what_it_found_and_when_it_found_nobody_to_ask(
    answer, status, words, monkeypatch, tmp_path
):
    def run(command, **options):
        out = json.dumps(answer) if "pip_audit" in command and answer else ""
        return SimpleNamespace(returncode=0, stdout=out, stderr="trace\nno route\n")

    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").touch()
    monkeypatch.setattr(subprocess, "run", run)
    lines, found = supply.audit(tool=tmp_path)
    assert int(found) == status
    assert words in "\n".join(lines)
