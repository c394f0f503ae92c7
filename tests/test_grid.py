"""The model grid: linear, exact at its nodes, honest about its edge; the embedded grids, joined."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from slamlib.errors import FileError, InputError
from slamlib.grid.joined import extended_grid, turbulent_grid
from slamlib.grid.model_grid import ModelGrid, axes_of
from slamlib.grid.tlusty.merge import write_grid
from slamlib.grid.training import draw_labels, synthesise
from slamlib.io import embedded
from slamlib.labelling.calibration import matched_spectra
from slamlib.labelling.labeller import Labeller
from slamlib.labelling.models import labeller_path
from slamlib.labelling.summary import verdict
from slamlib.labels import NAMES
from slamlib.mock.responses import responses

unit = st.floats(0, 1)


def of_b_stars(grid_path, name):
    return ModelGrid.read(grid_path.with_name(f"tlusty_bstar_{name}.fits"))


def labels_of(nodes):
    return np.column_stack([nodes[name] for name in ("teff", "logg", "mh")])


def test_models_are_returned_at_the_nodes(grid):
    rows = np.arange(0, len(grid.nodes), 5)
    np.testing.assert_allclose(grid.spectra(labels_of(grid.nodes[rows])), grid.flux[rows], atol=1e-6)


def test_labels_of_a_file_are_put_in_order_and_need_two_values(grid):
    axes = axes_of({"LABELS": '["vturb", "mh", "logg", "teff"]'})
    assert [label.name for label in axes] == [*NAMES[:3], "vturb"]
    solar = grid.nodes["mh"] == 0
    one = replace(grid, nodes=grid.nodes[solar], flux=grid.flux[solar])
    with pytest.raises(InputError, match="all nodes have mh = 0; give models of two values"):
        one.spectra([[20_000, 4.0, 0.0]])


@settings(deadline=None, derandomize=True, max_examples=100)
@given(unit, unit, unit)
def test_weights_are_a_partition_that_reproduces_the_labels(grid, a, b, c):
    """Linear interpolation of the labels themselves must give the labels back."""
    teff = 15000 + 40000 * a
    # Edge of the grid: straight lines between the outermost nodes of neighbouring columns.
    columns = {t: grid.nodes["logg"][grid.nodes["teff"] == t] for t in np.unique(grid.nodes["teff"])}
    low, high = (np.interp(teff, list(columns), [*map(end, columns.values())]) for end in (np.min, np.max))
    labels = np.array([[teff, low + (high - low) * b, -1 + 1.3 * c]])
    weights = grid.weights(labels)
    assert weights.data.min() >= 0 and weights.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(weights @ labels_of(grid.nodes), labels, rtol=2e-6, atol=2e-6)


def test_the_grid_is_neither_its_box_nor_its_convex_hull(grid):
    # Lowest log g: 1.75 at 15,000 K, 2.00 at 16,000 and at 18,000 K. The hull of the outer
    # two passes below 2.00 at 16,000 K.
    assert grid.columns[16000.0][0] > np.interp(16000, [15000, 18000], [1.75, 2.0]) + 0.1
    found = grid.contains([[16000, 2.0, 0], [16000, 1.95, 0], [50000, 3.0, 0]])
    assert found.tolist() == [True, False, False]


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


@pytest.fixture(scope="module")
def turbulent():
    return turbulent_grid()


@pytest.fixture(scope="module")
def extended():
    return extended_grid()


@pytest.mark.parametrize("vturb", [2.0, 10.0])
def test_models_of_each_microturbulence_are_returned_at_their_nodes(turbulent, grid, grid_path, vturb):
    source = grid if vturb == 2 else of_b_stars(grid_path, "v10")
    rows = np.arange(0, 376, 7)
    found = turbulent.spectra(np.column_stack([labels_of(source.nodes[rows]), np.full(len(rows), vturb)]))
    np.testing.assert_allclose(found, source.flux[rows], atol=1e-6)


def test_microturbulence_changes_b_stars_and_fades_to_o_stars(turbulent):
    def change(teff):
        stars = [[teff, 4.0, 0.0, vturb] for vturb in (2, 10)]
        return np.abs(np.diff(turbulent.spectra(stars), axis=0)).max()

    assert change(32_500) == change(45_000) == 0
    assert change(31_250) == pytest.approx(change(30_000) / 2, rel=1e-3)
    assert change(30_000) > 0.05


def test_late_stars_keep_their_models_and_meet_the_b_stars(extended, grid_path):
    late = ModelGrid.read(grid_path.with_name("late_b_grid.fits"))
    rows = np.flatnonzero((late.nodes["teff"] == 12_000) & (late.nodes["logg"] > 2) & (late.nodes["mh"] == 0))
    stars = [[12_000, logg, 0.0, 5.0] for logg in late.nodes["logg"][rows]]
    np.testing.assert_allclose(extended.spectra(stars), late.flux[rows], atol=1e-5)
    below, above = extended.spectra([[15_000 - 0.01, 4.0, 0.0, 2.0], [15_000 + 0.01, 4.0, 0.0, 2.0]])
    np.testing.assert_allclose(below, above, atol=1e-5)
    assert extended.core.contains([[14_990, 4.0], [15_010, 4.0]]).tolist() == [False, True]


def test_a_star_of_the_extension_is_flagged_so(extended, tmp_path):
    labels = draw_labels(extended, 250, np.random.default_rng(1))
    made = Labeller.learn(extended, "LRS", labels, synthesise(extended, labels, "LRS"), continuum="true")
    made.save(tmp_path / "krr_LRS.npz")
    read = Labeller.read(tmp_path / "krr_LRS.npz")
    stars = extended.at(teff=[11_000, 20_000, 40_000], logg=4.0, vsini=100, vturb=4)
    flux = synthesise(extended, stars, "LRS")
    ivar = np.full(flux.shape, 1e4, np.float32)
    table = read.label(flux, ivar, [True] * 3)
    assert table["flag"].tolist() == ["X", "I", "I"]
    assert [note != "" for note in table["note"]] == [False, False, True]
    assert "extension" in verdict(table[0] if "snr" in table.colnames else dict(table[0]) | {"snr": 100})
    np.testing.assert_allclose(table["teff"], stars[:, 0], rtol=0.05)


@pytest.mark.parametrize(("name", "vturb"), [("v10", 10.0), ("v20", 20.0)])
def test_at_a_node_microturbulence_is_that_of_its_model(grid, grid_path, name, vturb):
    other = of_b_stars(grid_path, name)
    rows = np.arange(0, len(other.nodes), 9)
    twins = grid.weights(labels_of(other.nodes[rows])).argmax(axis=1)
    change = responses()(labels_of(other.nodes[rows]), np.full(len(rows), vturb), np.full(len(rows), 0.1))
    np.testing.assert_allclose(change, other.flux[rows] - grid.flux[np.ravel(twins)], atol=1e-4)


def test_at_a_node_helium_is_that_of_its_models(grid_path):
    helium = of_b_stars(grid_path, "he")
    rich = helium.nodes["source"] == "HEx2.0"
    stars = labels_of(helium.nodes[rich])
    slow = np.full(len(stars), 2.0)
    change = responses()(stars, slow, slow / 10) - responses()(stars, slow, slow / 40)
    np.testing.assert_allclose(change, helium.flux[rich] - helium.flux[~rich], atol=1e-4)


def test_metal_lines_of_the_older_computation_take_its_stars_above_15000_k_in_mrs(extended, extension):
    """Its hydrogen and helium, with metals of the extension, do not: why late B stars are misread there."""
    labeller = Labeller.read(labeller_path(embedded("models"), "MRS"))
    shown = []
    for grid in (extension, extended):
        stars = grid.at(teff=[12_000, 12_400], logg=4.0, mh=-0.25, vsini=[100, 200], vturb=4)
        shown.append(matched_spectra(grid, "MRS", stars, np.random.default_rng(1)))
    wave = labeller.instrument.wave
    lines = [(6562.8, 60), (6678.2, 5), (5015.7, 2), (5047.7, 3)]
    light = np.any([abs(wave - centre) < half for centre, half in lines], axis=0)
    mixed = [np.where(light, *shown), np.where(light, *shown[::-1])]
    ivar = np.full(shown[0].shape, 1e4, np.float32) * labeller.instrument.good
    off = [labeller.fit(part, ivar).labels[:, 0] - stars[:, 0] for part in mixed]
    assert np.all(np.abs(off[0]) < 1100) and np.all(off[1] > 2000)
