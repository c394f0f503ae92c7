"""The embedded grids: joined, with microturbulence as a label and late stars, and as responses."""

import numpy as np
import pytest

from slamlib.grid.joined import extended_grid, turbulent_grid
from slamlib.grid.model_grid import ModelGrid
from slamlib.grid.training import draw_labels, synthesise
from slamlib.io import embedded
from slamlib.labelling.calibration import matched_spectra
from slamlib.labelling.labeller import Labeller
from slamlib.labelling.models import labeller_path
from slamlib.labelling.summary import verdict
from slamlib.mock.responses import responses


@pytest.fixture(scope="module")
def turbulent():
    return turbulent_grid()


@pytest.fixture(scope="module")
def extended():
    return extended_grid()


@pytest.fixture(scope="module")
def late(grid_path):
    return ModelGrid.read(grid_path.with_name("late_b_grid.fits"))


@pytest.mark.parametrize("vturb", [2.0, 10.0])
def test_models_of_each_microturbulence_are_returned_at_their_nodes(turbulent, grid, grid_path, vturb):
    source = grid if vturb == 2 else ModelGrid.read(grid_path.with_name("tlusty_bstar_v10.fits"))
    rows = np.arange(0, 376, 7)
    labels = np.column_stack([source.nodes[name][rows] for name in ("teff", "logg", "mh")])
    found = turbulent.spectra(np.column_stack([labels, np.full(len(rows), vturb)]))
    np.testing.assert_allclose(found, source.flux[rows], atol=1e-6)


def test_microturbulence_changes_b_stars_and_fades_to_o_stars(turbulent):
    def change(teff):
        stars = [[teff, 4.0, 0.0, vturb] for vturb in (2, 10)]
        return np.abs(np.diff(turbulent.spectra(stars), axis=0)).max()

    assert change(32_500) == change(45_000) == 0
    assert change(31_250) == pytest.approx(change(30_000) / 2, rel=1e-3)
    assert change(30_000) > 0.05


def test_late_stars_keep_their_models_and_meet_the_b_stars(extended, late):
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


def read(grid_path, name):
    return ModelGrid.read(grid_path.with_name(f"tlusty_bstar_{name}.fits"))


def labels_of(nodes):
    return np.column_stack([nodes[name] for name in ("teff", "logg", "mh")])


@pytest.mark.parametrize(("name", "vturb"), [("v10", 10.0), ("v20", 20.0)])
def test_at_a_node_microturbulence_is_that_of_its_model(grid, grid_path, name, vturb):
    other = read(grid_path, name)
    rows = np.arange(0, len(other.nodes), 9)
    twins = grid.weights(labels_of(other.nodes[rows])).argmax(axis=1)
    change = responses()(labels_of(other.nodes[rows]), np.full(len(rows), vturb), np.full(len(rows), 0.1))
    np.testing.assert_allclose(change, other.flux[rows] - grid.flux[np.ravel(twins)], atol=1e-4)


def test_at_a_node_helium_is_that_of_its_models(grid_path):
    helium = read(grid_path, "he")
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
