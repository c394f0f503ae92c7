"""The wheel stands alone: away from the repository, with its data inside and nothing of the paper."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from compendia import ROOT


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


def python(installed, code):
    # The folder comes before the editable install of the environment that the tests run in.
    environment = os.environ | {"PYTHONPATH": str(installed)}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=installed.parent, env=environment, capture_output=True, text=True)


def test_the_wheel_holds_the_library_and_its_data_and_no_paper(installed):
    assert {path.name for path in installed.iterdir() if path.suffix != ".dist-info"} == {"slamlib"}
    data = {path.name for path in (installed / "slamlib/data").iterdir()}
    assert {path.name for path in (ROOT / "data/embedded").iterdir()} - {"__pycache__"} == data
    assert len(list((installed / "slamlib/data/models").iterdir())) == 2
    assert (installed / "slamlib/py.typed").is_file()


def test_it_works_from_any_folder(installed):
    code = (
        "import slamlib; from slamlib.grid.joined import named_grid; from slamlib.cli.main import main\n"
        "print(slamlib.__file__); print(named_grid('embedded').flux.shape[1]); main(['info'])\n"
        "print([getattr(slamlib, name).__name__ for name in ('label', 'Labeller', 'ModelGrid')])"
    )
    done = python(installed, code)
    assert done.returncode == 0, done.stderr
    first, n_pix, *_, names = done.stdout.splitlines()
    assert Path(first).is_relative_to(installed)
    assert int(n_pix) == 45340
    assert names == "['label', 'Labeller', 'ModelGrid']"
