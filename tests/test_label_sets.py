"""Grids of other label sets: they say what they have, and training and labelling follow."""

from dataclasses import replace

import numpy as np
import pytest
from astropy import units as u
from astropy.table import vstack

from slamlib.grid.model_grid import ModelGrid
from slamlib.grid.training import draw_labels, synthesise, training_set
from slamlib.inference.infer import infer
from slamlib.inference.validate import noisy
from slamlib.labelling.labeller import Labeller
from slamlib.labels import LOGG, MH, TEFF, VSINI, VTURB, Label
from slamlib.regression.slam import Slam

HE = Label("he", u.dimensionless_unscaled, "He/H", "helium to hydrogen by number", 2)
HELIUM = {"HEx0.5": 0.05, "BSTAR2006": 0.10, "HEx2.0": 0.20}


@pytest.fixture(scope="module")
def helium(grid, grid_path):
    """Solar metallicity, three abundances of helium: labels teff, logg, vsini and he."""
    other = ModelGrid.read(grid_path.with_name("tlusty_bstar_he.fits"))
    twins = np.isin(
        [f"{t} {g} {m}" for t, g, m in grid.nodes["teff", "logg", "mh"].iterrows()],
        [f"{t} {g} {m}" for t, g, m in other.nodes["teff", "logg", "mh"].iterrows()],
    )
    nodes = vstack([other.nodes, grid.nodes[twins]])
    nodes["he"] = [HELIUM[source] for source in nodes["source"]]
    flux = np.concatenate([other.flux, grid.flux[twins]])
    return replace(grid, nodes=nodes, flux=flux, axes=(TEFF, LOGG, HE), notes=())


@pytest.fixture(scope="module")
def labelled(helium):
    training = training_set(helium, "LRS", 400, seed=3)
    return Labeller.learn(helium, "LRS", training.labels, training.flux, continuum="true")


def test_a_grid_says_which_labels_it_has(helium, grid):
    assert helium.labels == (TEFF, LOGG, VSINI, HE)
    assert grid.labels == (TEFF, LOGG, MH, VSINI)
    drawn = draw_labels(helium, 50, np.random.default_rng(1))
    coordinates, vsini = helium.split(drawn)
    assert helium.contains(coordinates).all()
    np.testing.assert_array_equal(helium.join(coordinates, vsini), drawn)
    assert helium.at(teff=20_000, logg=4.0, mh=0.3).tolist() == [[20_000, 4.0, 0.0, 0.125]]


def test_helium_is_trained_and_labelled_as_any_label(helium, labelled, tmp_path):
    """A label the library does not know: it is recovered, with errors that hold, in every step."""
    labelled.save(tmp_path / "krr_LRS.npz")
    read = Labeller.read(tmp_path / "krr_LRS.npz")
    assert read.slam.label_set == helium.labels
    truth = draw_labels(helium, 120, np.random.default_rng(5))
    truth = truth[truth[:, 2] > 30]
    flux, ivar = noisy(synthesise(helium, truth, "LRS"), 40, np.array(1.0), np.random.default_rng(6))
    table = read.label(flux, ivar, [True] * len(truth))
    assert {f"e_{name}" for name in read.slam.names} <= set(table.colnames)
    assert "mh" not in table.colnames
    assert table["he"].description == HE.description
    assert (table["flag"] == "I").mean() > 0.75
    found = np.stack([table[name] for name in read.slam.names], axis=1)
    pulls = (found - truth) / np.stack([table[f"e_{name}"] for name in read.slam.names], axis=1)
    assert (np.abs(np.median(pulls, axis=0)) < 0.35).all()
    assert ((np.abs(pulls) < 1).mean(axis=0) > 0.55).all()
    assert np.median(np.abs(table["he"] - truth[:, 3])) < 0.02


@pytest.fixture(scope="module")
def toy():
    """Lines of flux that grow with each label; of vturb the first half of the pixels alone knows."""
    labels = (TEFF, LOGG, MH, VSINI, VTURB)
    rng = np.random.default_rng(3)
    low, high = np.array([15e3, 3, -1, 0, 2]), np.array([30e3, 4.75, 0.3, 300, 10])
    drawn = rng.uniform(low, high, (400, 5))
    response = rng.normal(0, 0.05, (5, 60))
    response[4, 30:] = 0
    flux = 1 + (drawn - low) / (high - low) @ response
    return Slam("krr", labels=labels).fit(drawn, flux), (low + high) / 2, (high - low)


@pytest.mark.parametrize("informed", [True, False])
def test_a_nuisance_without_information_has_its_prior_and_widens_no_more(toy, informed):
    slam, middle, span = toy
    ivar = np.full((1, 60), 1e4)
    ivar[0, :30] *= informed
    found = infer(slam, slam.predict(middle), ivar, starts=1)
    prior = span[4] / np.sqrt(12)
    assert found.labels[0, 4] == pytest.approx(middle[4], abs=0.3)
    assert (
        found.errors[0, 4] == pytest.approx(prior, rel=0.03)
        if not informed
        else (found.errors[0, 4] < 0.5 * prior)
    )
    # The linear Gaussian case by hand: information of the pixels and of the prior add.
    slope = slam.jacobian(middle)[0].astype(float)
    variance = 1 / np.maximum(ivar[0], 1e-12) + slam.model_variance_
    fisher = (slope / variance) @ slope.T + np.diag([0, 0, 0, 0, 1 / prior**2])
    np.testing.assert_allclose(found.errors[0], np.sqrt(np.diag(np.linalg.inv(fisher))), rtol=0.1)
