"""The model grid: linear, exact at its nodes, and honest about its edge."""

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from slamlib.errors import FileError, InputError
from slamlib.grid.model_grid import ModelGrid
from slamlib.grid.tlusty.merge import write_grid

unit = st.floats(0, 1)


def node_labels(grid):
    return np.column_stack([grid.nodes[name] for name in ("teff", "logg", "mh")])


def lowest_and_highest(grid, teff):
    """Edge of the grid: straight lines between the outermost nodes of neighbouring columns."""
    labels = node_labels(grid)
    columns = np.unique(labels[:, 0])
    low = [labels[labels[:, 0] == t, 1].min() for t in columns]
    high = [labels[labels[:, 0] == t, 1].max() for t in columns]
    return np.interp(teff, columns, low), np.interp(teff, columns, high)


def test_models_are_returned_at_the_nodes(grid):
    rows = np.arange(0, len(grid.nodes), 5)
    np.testing.assert_allclose(grid.spectra(node_labels(grid)[rows]), grid.flux[rows], atol=1e-6)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(unit, unit, unit)
def test_weights_are_a_partition_that_reproduces_the_labels(grid, a, b, c):
    """Linear interpolation of the labels themselves must give the labels back."""
    teff = 15000 + 40000 * a
    low, high = lowest_and_highest(grid, teff)
    labels = np.array([[teff, low + (high - low) * b, -1 + 1.3 * c]])
    weights = grid.weights(labels)
    assert weights.data.min() >= 0
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(weights @ node_labels(grid), labels, rtol=2e-6, atol=2e-6)


def test_the_grid_is_neither_its_box_nor_its_convex_hull(grid):
    # Lowest log g: 1.75 at 15,000 K, 2.00 at 16,000 and at 18,000 K. The hull of the outer
    # two passes below 2.00 at 16,000 K.
    assert grid.columns[16000.0][0] > np.interp(16000, [15000, 18000], [1.75, 2.0]) + 0.1
    assert grid.contains([[16000, 2.0, 0], [16000, 1.95, 0], [50000, 3.0, 0]]).tolist() == [
        True,
        False,
        False,
    ]


def test_labels_outside_are_refused_and_named(grid):
    with pytest.raises(InputError, match=r"1 of 3 labels lie outside the grid, first row 2.*50000"):
        grid.spectra([[20000, 4, 0], [30000, 4, 0], [50000, 2, 0]])


def grid_file(path, drop="nothing", column="logg", rows=3):
    primary = fits.PrimaryHDU()
    primary.header["WAVE0"], primary.header["DV"], primary.header["FSCALE"] = 4000.0, 4.0, 30000
    columns = [fits.Column(name, "E", array=np.zeros(2)) for name in ("teff", column, "mh")]
    nodes = fits.BinTableHDU.from_columns(columns, name="NODES")
    flux = fits.ImageHDU(np.ones((rows, 5), np.int16), name="FLUX")
    hdus = [hdu for hdu in (primary, nodes, flux) if hdu.name != drop]
    primary.header.remove(drop, ignore_missing=True)
    fits.HDUList(hdus).writeto(path)


@pytest.mark.parametrize(
    "wrong", [{"drop": "NODES"}, {"drop": "FLUX"}, {"drop": "WAVE0"}, {"drop": "FSCALE"}, {"column": "g"}, {}]
)
def test_fits_of_another_kind_is_refused(tmp_path, wrong):
    """The last case has all that is needed, but three spectra for two nodes."""
    path = tmp_path / "other.fits"
    grid_file(path, **wrong)
    with pytest.raises(FileError, match=r"other\.fits"):
        ModelGrid.read(path)


@pytest.mark.parametrize(
    ("card", "value", "message"),
    [("WAVE0", 4001.0, "not what was written"), ("GRIDFMT", 9, r"newer slamlib \(format 9\); upgrade")],
)
def test_a_grid_that_is_not_what_was_written_is_refused(grid, tmp_path, card, value, message):
    path = tmp_path / "small.fits"
    write_grid(path, grid.nodes[::60], 4000.0, 4.0, grid.flux[::60, :200])
    np.testing.assert_allclose(ModelGrid.read(path).flux, grid.flux[::60, :200], atol=1e-4)
    with fits.open(path, mode="update") as hdus:
        hdus[0].header[card] = value
    with pytest.raises(FileError, match=rf"small\.fits.*{message}"):
        ModelGrid.read(path)
