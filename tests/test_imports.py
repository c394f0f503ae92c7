"""Kept work depends on the code that made it, and on no other code."""

import shutil
from pathlib import Path

import pytest

from slamlib.identity import code_digest

PACKAGE = Path(__file__).parents[1] / "slamlib"
CATALOGUE, SURVEY = "slamlib.labelling.catalogue", "slamlib.mock.survey"


@pytest.fixture
def digest(tmp_path):
    """Give the digest of a module after a comment was added to some files of slamlib."""

    def of(module, *files):
        copy = tmp_path / str(len(list(tmp_path.iterdir()))) / "slamlib"
        shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
        for file in files:
            assert (copy / file).is_file()
            with (copy / file).open("a") as stream:
                stream.write("# another comment\n")
        return code_digest(module, copy)

    return of


@pytest.mark.parametrize(
    ("module", "files"),
    [
        (
            CATALOGUE,
            ["inference/infer.py", "regression/rows.py", "spectra/continuum.py", "labels.py"],
        ),
        (
            SURVEY,
            ["mock/population.py", "grid/broaden.py", "mock/lamost_write.py", "instruments/__init__.py"],
        ),
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
