"""A small grid of official files, and what builds a model grid of them."""

import numpy as np
import pytest
from astropy.table import Table
from tlusty_files import N_PIX, files_of, models

from slamlib.grid.tlusty.merge import write_grid
from slamlib.grid.tlusty.read import build_grid


@pytest.fixture(scope="module")
def content():
    return files_of(models())


@pytest.fixture
def reference(tmp_path):
    path = tmp_path / "reference.fits"
    nodes = Table({"teff": [2e4], "logg": [4.0], "mh": [0.0]})
    write_grid(path, nodes, 4000.0, 4.0, np.ones((1, N_PIX)))
    return path


@pytest.fixture
def build(tmp_path, reference):
    """Build a grid of the files in a folder; give the report and the grid's path."""

    def run(folder, name="grid.fits", **options):
        path = tmp_path / name
        report = build_grid(folder, path, reference=reference, progress=False, **options)
        return report, path

    return run
