"""The project: what is installed is declared and pinned, the wheel stands alone, pages do what they say."""

import contextlib
import doctest
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import PackageNotFoundError, packages_distributions, requires, version
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
from compendia import ROOT, imported
from written import LABELS, RV, Star, image, sdss, text

from compendium import supply
from slamlib.grid.training import blurred
from slamlib.instruments import get_instrument
from slamlib.io import read_ecsv
from slamlib.labelling.models import SHIPPED
from slamlib.labels import NAMES
from slamlib.spectra.spectrum import air_from_vacuum

LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
OWN = {"slamlib", "compendium", "benchmarks"}
SOUND = {"name": "a", "version": "1", "vulns": []}
UNKNOWN = {"name": "b", "skip_reason": "not found"}


def project(path):
    return tomllib.loads((ROOT / path).read_text(encoding="utf-8"))["project"]


def locked():
    return set(re.findall(r"^([a-z0-9][a-z0-9._-]*)(?:\[.+\])?==", LOCK, re.MULTILINE))


def declared(path, *extras):
    """Normalised names of the distributions that a pyproject.toml names."""
    of = project(path)
    lines = sum((of["optional-dependencies"][extra] for extra in extras), of["dependencies"])
    return {normal(re.match(r"[\w.-]+", line).group()) for line in lines}


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
DEVELOPERS = PAPER | declared("compendium/pyproject.toml", "dev")


@pytest.mark.parametrize(
    ("folder", "allowed"), [("slamlib", LIBRARY), ("compendium", PAPER), ("benchmarks", DEVELOPERS)]
)
def test_no_package_is_imported_that_pyproject_does_not_name(folder, allowed):
    of, modules = packages_distributions(), (ROOT / folder).rglob("*.py")
    names = {name.split(".")[0] for path in modules for name in imported(path)}
    names -= OWN | set(sys.stdlib_module_names)
    found = {name: {normal(each) for each in of.get(name, [name])} for name in names}
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
    code = f"import sys; sys.modules.update(dict.fromkeys({hidden!r}))\n"
    code += "import slamlib.labelling.files, slamlib.cli.main, slamlib.cli.pages, slamlib.cli.output"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_bill_names_every_pinned_package():
    bill = json.loads(json.dumps(supply.bill_of_materials(LOCK)))
    assert {part["name"] for part in bill["components"]} >= locked()
    assert all(f"{part['name']}@{part['version']}" in part["purl"] for part in bill["components"])
    assert bill["bomFormat"] == "CycloneDX"


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        ([], 2, "no index of advisories answers; nothing was checked: no route"),
        ([SOUND], 0, "1 packages checked, 0 known faults"),
        ([SOUND | {"vulns": [{"id": "X-1", "fix_versions": ["2"]}]}], 1, "a 1: X-1, mended in 2"),
        ([UNKNOWN], 2, "no index of advisories answers; nothing was checked: not found"),
        ([UNKNOWN, SOUND], 0, "b was not checked: not found"),
    ],
)
def test_an_audit_says_what_it_found_or_that_nobody_answers(answer, status, words, monkeypatch, tmp_path):
    def run(command, **options):
        out = json.dumps({"dependencies": answer}) if "pip_audit" in command and answer else ""
        return SimpleNamespace(returncode=0, stdout=out, stderr="trace\nno route\n")

    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").touch()
    monkeypatch.setattr(subprocess, "run", run)
    lines, found = supply.audit(tool=tmp_path)
    assert int(found) == status
    assert words in "\n".join(lines)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder that holds what the wheel installs."""
    folder = tmp_path_factory.mktemp("wheel")
    # From a copy: setuptools builds beside the sources, and would take up again what lies there.
    for name in ("slamlib", "data/embedded"):
        shutil.copytree(ROOT / name, folder / "source" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "source")
    options = ["--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--quiet"]
    command = [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", folder, folder / "source"]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = folder.glob("slamlib-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def python(installed, *arguments, cwd):
    # The folder comes before the editable install of the environment that the tests run in.
    environment = os.environ | {"PYTHONPATH": str(installed), "SLAMLIB_HOME": str(cwd / "home")}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


def test_the_wheel_holds_the_library_and_its_data_and_no_paper(installed):
    assert {path.name for path in installed.iterdir() if path.suffix != ".dist-info"} == {"slamlib"}
    data = {path.name for path in (installed / "slamlib/data").iterdir()}
    assert {path.name for path in (ROOT / "data/embedded").iterdir()} - {"__pycache__"} == data
    models = (installed / "slamlib/data/models").iterdir()
    assert {path.stem for path in models} == {f"krr_{name}" for name in SHIPPED}
    assert (installed / "slamlib/py.typed").is_file()


def test_it_works_from_any_folder(installed):
    code = (
        "import slamlib; from slamlib.grid.joined import named_grid; from slamlib.cli.main import main\n"
        "print(slamlib.__file__); print(named_grid('embedded').flux.shape[1]); main(['info'])\n"
        "print([getattr(slamlib, name).__name__ for name in ('label', 'Labeller', 'ModelGrid')])"
    )
    done = python(installed, "-c", code, cwd=installed.parent)
    assert done.returncode == 0, done.stderr
    first, n_pix, *_, names = done.stdout.splitlines()
    assert Path(first).is_relative_to(installed) and int(n_pix) == 45340
    assert names == "['label', 'Labeller', 'ModelGrid']"


def test_a_star_seen_by_three_spectrographs_is_the_same_star_without_training(installed, grid, tmp_path):
    """A file of LAMOST, one like those of HERMES, and one of BOSS, in another folder than slamlib's."""
    vacuum = 10 ** np.arange(3.5864, 3.8474, 1e-4)
    flux, error = Star(grid, 1800, 60, seed=1)(air_from_vacuum(vacuum))
    # Of five rows, as in DR5: flux, ivar, wavelength in vacuum, masks.
    rows = np.stack([1e16 * flux, (1e16 * error) ** -2.0, vacuum, 0 * vacuum, 0 * vacuum])
    image(tmp_path / "spec-55859.fits", rows, SNRG=100.0)
    text(tmp_path / "fine.txt", Star(grid, 50_000, 60, seed=1), np.arange(3880, 6840, 0.03))
    # The resolving power of BOSS changes with the wavelength.
    boss = Star(grid, 2000, 60, seed=2)
    boss.fine = blurred(grid.spectra([LABELS[:3]]), grid, get_instrument("BOSS"), [LABELS[3]], None, RV)
    sdss(tmp_path / "spec.fits", boss, vacuum)
    files = ["spec-55859.fits", "fine.txt", "spec.fits"]
    done = python(installed, "-m", "slamlib", "label", *files, "-o", "out.ecsv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "no trained model" not in done.stderr and "not used" not in done.stderr
    table = read_ecsv(tmp_path / "out.ecsv")
    assert list(table["instrument"]) == ["LRS", "HERMES", "BOSS"]
    assert list(table["status"]) == ["ok"] * 3
    for label, true in zip(NAMES, LABELS, strict=True):
        found, error = table[label].data, table[f"e_{label}"].data
        assert (np.abs(found - true) < 3 * error).all(), table[label, f"e_{label}"]
        assert (np.abs(found - found[:, None]) <= 3 * np.hypot(error, error[:, None])).all()
    assert table["rv"] == pytest.approx([RV] * 3, abs=8)


def test_the_lock_pins_every_declared_dependency_with_hashes():
    paths = ("pyproject.toml", "compendium/pyproject.toml")
    names = set().union(*(declared(path, *project(path)["optional-dependencies"]) for path in paths))
    names -= {"slamlib"}
    assert names <= locked()
    entries = re.split(r"^(?=[a-z0-9])", LOCK, flags=re.MULTILINE)[1:]
    assert len(entries) >= len(names)
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_the_lock_names_no_index_and_no_folder():
    assert not re.search(r"://|--(extra-)?index|--find-links|file:|/(tmp|home|root)/", LOCK)


def test_conda_users_get_the_same_pins():
    """environment.yml takes the lock itself, and adds a Python that pyproject.toml allows."""
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    entries = [line.strip()[2:] for line in text.splitlines() if line.strip().startswith("- ")]
    python, *others = entries[entries.index("conda-forge") + 1 :]
    assert others == ["pip", "pip:", "-r requirements.lock"]
    found = re.fullmatch(r"python=3\.(\d+)", python)
    least = re.fullmatch(r">=3\.(\d+)", project("pyproject.toml")["requires-python"])
    assert int(found.group(1)) >= int(least.group(1))


def test_the_data_page_describes_every_embedded_file_by_its_hash():
    page = (ROOT / "data" / "DATASETS.md").read_text(encoding="utf-8")
    described = dict(re.findall(r"^\| `(\S+)` \| .+ \| `([0-9a-f]{64})` \|$", page, re.MULTILINE))
    embedded = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (ROOT / "data" / "embedded").iterdir()
        if path.suffix in (".ecsv", ".fits")
    }
    assert described == embedded
    headings = " ".join(re.findall(r"^## (.+)$", page, re.MULTILINE))
    assert [name for name in embedded if name not in headings] == []


def git(*arguments):
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_no_notebook_is_committed_with_outputs():
    """What git holds counts, not the working copy that somebody is running."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git clone")
    for path in git("ls-files", "*.ipynb").split("\n")[:-1]:
        for cell in nbformat.reads(git("show", f":{path}"), as_version=4).cells:
            assert cell.get("outputs", []) == [] and cell.get("execution_count") is None, (path, cell.source)


@pytest.mark.parametrize("page", ["howto_grid", "howto_instrument", "howto_new_label"])
def test_the_code_of_a_page_does_what_the_page_says(page, tmp_path):
    (tmp_path / "data").symlink_to(ROOT / "data")
    (tmp_path / "build").mkdir()
    path = str(ROOT / "docs" / f"{page}.md")
    with contextlib.chdir(tmp_path):
        failed, tried = doctest.testfile(path, module_relative=False, encoding="utf-8")
    assert tried and failed == 0
