"""The shell of the project: pins, pages, and a repository without notebook outputs."""

import contextlib
import doctest
import hashlib
import re
import subprocess
import tomllib

import nbformat
import pytest
from compendia import ROOT

LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")


def locked():
    return set(re.findall(r"^([a-z0-9][a-z0-9._-]*)==", LOCK, re.MULTILINE))


def test_the_lock_pins_every_declared_dependency_with_hashes():
    declared: list[str] = []
    for path in (ROOT / "pyproject.toml", ROOT / "compendium/pyproject.toml"):
        project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        declared += sum(project["optional-dependencies"].values(), project["dependencies"])
    names = {re.match(r"[A-Za-z0-9._-]+", line).group().lower() for line in declared} - {"slamlib"}
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
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    version = re.fullmatch(r"python=3\.(\d+)", python)
    least = re.fullmatch(r">=3\.(\d+)", project["requires-python"])
    assert int(version.group(1)) >= int(least.group(1))


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


def outputs_of(text):
    cells = [cell for cell in nbformat.reads(text, as_version=4).cells if cell.cell_type == "code"]
    return [cell.source for cell in cells if cell.outputs or cell.execution_count is not None]


def test_no_notebook_is_committed_with_outputs():
    """What git holds counts, not the working copy that somebody is running."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git clone")
    paths = git("ls-files", "*.ipynb").split("\n")[:-1]
    assert {path: found for path in paths if (found := outputs_of(git("show", f":{path}")))} == {}


@pytest.mark.parametrize("page", ["howto_grid", "howto_instrument", "howto_new_label"])
def test_the_code_of_a_page_does_what_the_page_says(page, tmp_path):
    (tmp_path / "data").symlink_to(ROOT / "data")
    (tmp_path / "build").mkdir()
    path = str(ROOT / "docs" / f"{page}.md")
    with contextlib.chdir(tmp_path):
        failed, tried = doctest.testfile(path, module_relative=False, encoding="utf-8")
    assert tried
    assert failed == 0
