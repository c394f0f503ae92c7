"""One file that says what it is, for grids of any labels: read back whole, refused where it does not fit."""

from dataclasses import replace

import numpy as np
import pytest
from astropy import units as u
from astropy.table import vstack
from threadpoolctl import threadpool_info

from slamlib.errors import FileError, InputError
from slamlib.grid.model_grid import ModelGrid
from slamlib.grid.training import draw_labels, synthesise, training_set
from slamlib.inference.infer import infer
from slamlib.inference.systematics import Systematics
from slamlib.inference.validate import noisy
from slamlib.instruments import LRS, MRS
from slamlib.labelling import label_table
from slamlib.labelling.calibration import Observatory
from slamlib.labelling.labeller import Labeller
from slamlib.labels import LOGG, MH, TEFF, VSINI, VTURB, Label
from slamlib.regression.slam import Slam
from slamlib.threads import blas_threads

HE = Label("he", u.dimensionless_unscaled, "He/H", "helium to hydrogen by number", 2)
HELIUM = {"HEx0.5": 0.05, "BSTAR2006": 0.10, "HEx2.0": 0.20}


@pytest.fixture(scope="module")
def made(training, labeller):
    """A labeller that knows its wavelengths, with systematics measured for its model."""
    slam = Slam("krr", n_search=200).fit(training.labels, training.flux, wave=LRS.wave).compress()
    residuals = np.random.default_rng(6).normal(0, 0.003, (20, LRS.wave.size))
    known = Systematics.measure([50.0], [residuals], rank=3)
    return labeller(slam, LRS, replace(known, model=slam.digest()))


@pytest.fixture(scope="module")
def star(made):
    return noisy(made.predict([[22_000.0, 3.9, -0.1, 90.0]]), 100, LRS.good, np.random.default_rng(1))


def test_a_labeller_that_was_read_gives_the_same_labels_and_says_what_it_is(made, star, grid, tmp_path):
    made.save(tmp_path / "a.npz")
    read = Labeller.read(tmp_path / "a.npz", "LRS", regressor="krr", continuum="matched")
    assert read.instrument == LRS and read.about == made.about
    assert read.about["grid"] == grid.sha256 and read.about["n_train"] == 300
    assert read.about["labels"]["teff"] == pytest.approx([15_000, 55_000], abs=1500)
    first, again = (one.label(*star, [False]) for one in (made, read))
    for name, values in first.items():
        np.testing.assert_array_equal(again[name], values)
    drawn = np.random.default_rng(3).uniform([14_000, 2, -1.1], [57_000, 5, 0.4], (500, 3))
    np.testing.assert_array_equal(read.edge.contains(drawn), grid.contains(drawn))
    velocities = [one.templates.measure(LRS.wave, *(part[0] for part in star)) for one in (made, read)]
    assert velocities[0] == velocities[1]
    read.save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_the_last_bits_of_a_table_do_not_depend_on_threads(made, star, monkeypatch):
    original, seen = label_table.judged, set()

    def noted(*arguments):
        seen.update(one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas")
        return original(*arguments)

    monkeypatch.setattr(label_table, "judged", noted)
    with blas_threads(2):
        made.label(*star, [False])
    assert seen == {1}


def test_what_was_not_asked_for_is_refused(made, tmp_path):
    made.save(tmp_path / "a.npz")
    for expected, words in ((("MRS",), "instrument: LRS, not MRS"), ((), "regressor: krr, not svr")):
        with pytest.raises(FileError, match=words):
            Labeller.read(tmp_path / "a.npz", *expected, regressor="svr")
    with pytest.raises(FileError, match=r"no labeller .*none\.npz; train again first"):
        Labeller.read(tmp_path / "none.npz")


def test_spectra_on_other_pixels_are_refused(made, star):
    made.fit(*star, wave=LRS.wave)
    with pytest.raises(InputError, match="up to 5 A from those the model was trained on"):
        made.fit(*star, wave=LRS.wave + 5)
    with pytest.raises(InputError, match="4502 pixels for a model of 3101"):
        made.fit(*star, wave=MRS.wave)
    with pytest.raises(InputError, match="snr has 3 values for 1 spectra; give one for each"):
        made.label(*star, snr=[50.0, 50.0, 50.0])


def test_parts_of_different_labellers_are_refused(made, training, star, tmp_path):
    other = Slam("krr", n_search=100).fit(training.labels[:200], training.flux[:200], wave=LRS.wave)
    with pytest.raises(InputError, match="measured with another model"):
        replace(made, slam=other).fit(*star)
    replace(made, slam=other).save(tmp_path / "mixed.npz")
    with pytest.raises(FileError, match=r"mixed\.npz is not a readable labeller .*another model"):
        Labeller.read(tmp_path / "mixed.npz")
    shifted = replace(LRS, arms=((3905.0, 7005.0, 1.0),))
    replace(made, instrument=shifted).save(tmp_path / "shifted.npz")
    with pytest.raises(FileError, match=r"shifted\.npz .*5 A from those the model was trained on"):
        Labeller.read(tmp_path / "shifted.npz")


@pytest.fixture(scope="module")
def helium(grid, grid_path):
    """Solar metallicity, three abundances of helium: labels teff, logg, vsini and he."""
    other = ModelGrid.read(grid_path.with_name("tlusty_bstar_he.fits"))
    theirs = {*other.nodes["teff", "logg", "mh"].iterrows()}
    twins = [star in theirs for star in grid.nodes["teff", "logg", "mh"].iterrows()]
    nodes = vstack([other.nodes, grid.nodes[twins]])
    nodes["he"] = [HELIUM[source] for source in nodes["source"]]
    flux = np.concatenate([other.flux, grid.flux[twins]])
    return replace(grid, nodes=nodes, flux=flux, axes=(TEFF, LOGG, HE), notes=())


def test_a_grid_says_which_labels_it_has(helium, grid):
    assert helium.labels == (TEFF, LOGG, VSINI, HE) and grid.labels == (TEFF, LOGG, MH, VSINI)
    drawn = draw_labels(helium, 50, np.random.default_rng(1))
    coordinates, vsini = helium.split(drawn)
    assert helium.contains(coordinates).all()
    np.testing.assert_array_equal(helium.join(coordinates, vsini), drawn)
    assert helium.at(teff=20_000, logg=4.0, mh=0.3).tolist() == [[20_000, 4.0, 0.0, 0.125]]


def test_helium_is_trained_and_labelled_as_any_label(helium, tmp_path):
    """A label the library does not know: it is recovered, with errors that hold, in every step."""
    training = training_set(helium, "LRS", 400, seed=3)
    labelled = Labeller.learn(helium, "LRS", training.labels, training.flux, continuum="true")
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


def test_errors_of_helium_are_measured_on_stars_that_have_it(helium):
    """`train` draws its calibration stars over the range of a label that the survey does not vary."""
    about = {"n": 200, "n_calibration": 30, "snrs": (60,), "progress": False}
    labeller = Labeller.train(helium, "LRS", **about)
    observatory = Observatory.of(helium, "LRS", labeller.templates)
    stars = observatory.observe(observatory.draw(60, 60, seed=3), seed=3)
    assert np.ptp(stars.labels[:, 3]) > 0.12
    table = labeller.label(stars.flux, stars.ivar, True, np.full(len(stars.flux), 60.0))
    pulls = (table["he"] - stars.labels[:, 3]) / table["e_he"]
    assert np.median(np.abs(table["he"] - stars.labels[:, 3])) < 0.02
    assert abs(np.nanmedian(pulls)) < 0.6 and np.nanmean(np.abs(pulls) < 1) > 0.5


@pytest.mark.parametrize("informed", [True, False])
def test_a_nuisance_without_information_has_its_prior_and_widens_no_more(informed):
    """Lines of flux that grow with each label; of vturb the first half of the pixels alone knows."""
    labels = (TEFF, LOGG, MH, VSINI, VTURB)
    rng = np.random.default_rng(3)
    low, high = np.array([15e3, 3, -1, 0, 2]), np.array([30e3, 4.75, 0.3, 300, 10])
    drawn = rng.uniform(low, high, (400, 5))
    response = rng.normal(0, 0.05, (5, 60))
    response[4, 30:] = 0
    flux = 1 + (drawn - low) / (high - low) @ response
    slam, middle = Slam("krr", labels=labels).fit(drawn, flux), (low + high) / 2
    ivar = np.full((1, 60), 1e4)
    ivar[0, :30] *= informed
    found = infer(slam, slam.predict(middle), ivar, starts=1)
    prior = (high - low)[4] / np.sqrt(12)
    assert found.labels[0, 4] == pytest.approx(middle[4], abs=0.3)
    if informed:
        assert found.errors[0, 4] < 0.5 * prior
    else:
        assert found.errors[0, 4] == pytest.approx(prior, rel=0.03)
    # The linear Gaussian case by hand: information of the pixels and of the prior add.
    slope = slam.jacobian(middle)[0].astype(float)
    variance = 1 / np.maximum(ivar[0], 1e-12) + slam.model_variance_
    fisher = (slope / variance) @ slope.T + np.diag([0, 0, 0, 0, 1 / prior**2])
    np.testing.assert_allclose(found.errors[0], np.sqrt(np.diag(np.linalg.inv(fisher))), rtol=0.1)
