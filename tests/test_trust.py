"""What errors and statuses are worth: planted errors are found, strange stars told, single ones let alone."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.table import Table

from compendium import trust
from compendium.detection import CHANGES, changed
from compendium.forensics import forensics
from compendium.strangers import STRANGERS
from compendium.train import labelling_grid, read_labeller
from slamlib.inference.blocks import block_errors
from slamlib.inference.double import Pair, SecondStar
from slamlib.inference.fitted import at_fits
from slamlib.inference.infer import infer
from slamlib.inference.result import Inference
from slamlib.inference.validate import cross_validate, held_out, noisy
from slamlib.instruments import LRS, MRS
from slamlib.io import embedded
from slamlib.labelling.calibration import Observatory, Observed
from slamlib.labelling.emission import excess, lacks_h_alpha, without_lines
from slamlib.labelling.labeller import Labeller
from slamlib.labelling.worth import of_more_than_a_star
from slamlib.labels import NAMES

M = 2000
KEYS = {"instrument", "snr", "label", "scatter", "bias", "pull_mean", "pull_width", "cover68", "cover95"}
KEYS |= {"crb_ratio", "outliers"}
OPTIONS = {"n_folds": 3, "max_stars": 60, "progress": False}
STAR = np.array([[20_000.0, 4.0, -0.2, 60.0]])


@pytest.fixture(scope="module")
def stars(grid):
    rng = np.random.default_rng(3)
    labels = rng.uniform([18_000, 3.6, -0.5, 200], [30_000, 4.3, 0.2, 200], (M, 4))
    ivar = np.broadcast_to(np.float32(1e4) * LRS.good, (M, LRS.wave.size))
    return Observed(labels, np.ones_like(ivar), ivar, np.ones_like(ivar), rng.normal(0, 3, M))


def planted(slam, stars, quoted, offset=0.0, status="ok"):
    """A fit whose labels scatter by known errors about the truth, and quotes `quoted` times those."""
    rng = np.random.default_rng(4)
    error = np.array([200.0, 0.03, 0.05, 6.0])
    found = Inference(
        stars.labels + error * (rng.normal(size=stars.labels.shape) + offset),
        np.broadcast_to(np.diag((quoted * error) ** 2), (M, 4, 4)),
        np.ones(M),
        np.full(M, 3000),
        np.full(M, status),
        np.ones(M, bool),
        np.full(M, np.nan),
    )
    known = SimpleNamespace(blur=np.zeros(2))
    return SimpleNamespace(slam=slam, systematics=known, fit=lambda flux, ivar: found)


def test_honest_errors_have_unit_pulls_and_cover_what_they_say(krr_slam, stars):
    table = trust.calibration(planted(krr_slam, stars, 1.0), "LRS", {100: stars})
    np.testing.assert_allclose(table["pull_width"], 1, atol=0.06)
    np.testing.assert_allclose(table["pull_mean"], 0, atol=0.07)
    np.testing.assert_allclose(table["cover68"], 0.683, atol=0.04)
    np.testing.assert_allclose(table["cover95"], 0.95, atol=0.02)
    for column in ("scatter", "error"):
        np.testing.assert_allclose(table[column], [200, 0.03, 0.05, 6], rtol=0.08)
    assert (table["outliers"] == 0).all()


def test_errors_half_as_large_are_found_out(krr_slam, stars):
    table = trust.calibration(planted(krr_slam, stars, 0.5), "LRS", {100: stars})
    np.testing.assert_allclose(table["pull_width"], 2, atol=0.12)
    assert (table["cover68"] < 0.42).all() and (table["outliers"] > 0.005).all()


def test_the_notebook_writes_every_number_for_machines_and_people(quick_run):
    path = quick_run.root / "build/calibration.json"
    if not path.exists():
        pytest.skip("no calibration: `make calibration PROFILE=quick` first")
    rows = json.loads(path.read_text())
    assert all(row.keys() >= KEYS for row in rows)
    every = {(name, label) for name in ("LRS", "MRS") for label in NAMES}
    assert {(row["instrument"], row["label"]) for row in rows} == every
    table = Table.read(quick_run.tables / "calibration.ecsv")
    assert table.meta["simulated"] and (np.asarray(table["pull_width"]) < 2.0).all()


@pytest.fixture(scope="module")
def held(training):
    few = replace(training, labels=training.labels[:90], flux=training.flux[:90])
    return {name: held_out(few, np.random.default_rng(3), name, **OPTIONS) for name in ("svr", "krr")}


@pytest.fixture(scope="module")
def rows(held):
    return {row["row"]: row for row in forensics(held["svr"], held["krr"])[0]}


def rms(rows, name):
    return np.array([rows[name][label] for label in NAMES])


def test_rows_of_the_regressions_are_those_of_cross_validation(held, rows):
    for name, regressor in (("SVR", "svr"), ("KRR", "krr")):
        table = cross_validate(held[regressor].training, (100.0,), np.random.default_rng(3), regressor, 3, 60)
        np.testing.assert_allclose(rms(rows, name), table["scatter"], rtol=1e-6)
        assert rows[name]["n"] == 60


def test_a_model_labels_its_own_training_spectra_better(rows):
    assert (rms(rows, "SVR, own training spectra") < rms(rows, "SVR")).all()


def test_more_starts_do_no_harm_to_the_papers_regression(rows):
    assert rms(rows, "SVR, all starts") == pytest.approx(rms(rows, "SVR"), rel=0.1)
    assert rows["SVR, all starts"]["n"] == 60


@pytest.fixture(scope="module", params=["LRS", "MRS"])
def trained(request, quick_run):
    """The labeller of the quick run, and who observes for it."""
    labeller = read_labeller(quick_run, request.param)
    return labeller, Observatory.of(labelling_grid(quick_run), request.param, labeller.templates)


@pytest.fixture(scope="module")
def pair(krr_slam):
    return Pair(krr_slam, LRS)


def two(krr_slam, share=0.3, apart=250.0):
    """Parameters of a `Pair`: the second star is cooler, and recedes."""
    z = krr_slam.to_standard(np.vstack([STAR, STAR * [0.85, 1, 1, 1]]))
    return np.r_[z[0], z[1], 0.0, apart / (299_792.458 / LRS.resolution), share][None]


def test_derivatives_of_two_stars_are_those_by_differences(krr_slam, pair):
    z = two(krr_slam)
    slope = pair.predict_standardised(z, gradient=True)[1][0]
    for i, analytic in enumerate(slope):
        step = np.zeros_like(z)
        step[0, i] = 0.02
        ends = [pair.predict_standardised(z + sign * step)[0][0].astype(float) for sign in (1, -1)]
        numeric = (ends[0] - ends[1]) / 0.04
        # Between pixels spectra are straight lines, whose slope jumps.
        assert np.corrcoef(numeric, analytic)[0, 1] > 0.97
        assert np.linalg.norm(analytic) == pytest.approx(np.linalg.norm(numeric), rel=0.1)


def test_a_planted_companion_is_found_with_its_light_and_velocity(krr_slam, pair):
    z = two(krr_slam)
    flux = pair.predict_standardised(z)[0] * krr_slam.flux_scale_ + krr_slam.flux_mean_
    single = krr_slam.predict(STAR)
    spectra = noisy(np.vstack([flux, single, single]), 150, LRS.good, np.random.default_rng(2))
    labels = infer(krr_slam, *spectra).labels
    found = at_fits([SecondStar(krr_slam, LRS)], krr_slam, *spectra, labels)[0]
    status = of_more_than_a_star(LRS, np.ones(3), np.full(3, 3000), found)[0]["double"]
    assert status.tolist() == [True, False, False]
    assert found[0, 1] == pytest.approx(0.3 / 0.7, abs=0.15)
    assert found[0, 3] - found[0, 2] == pytest.approx(250, abs=40)


def test_two_like_stars_are_not_taken_for_one_that_rotates_faster(krr_slam, pair):
    z = np.tile(krr_slam.to_standard(STAR)[0], 2)
    unit = 299_792.458 / LRS.resolution
    z = np.r_[z, np.array([-110, 110]) / unit, 0.47][None]
    flux = pair.predict_standardised(z)[0] * krr_slam.flux_scale_ + krr_slam.flux_mean_
    spectra = noisy(np.repeat(flux, 20, axis=0), 150, LRS.good, np.random.default_rng(2))
    fit = infer(krr_slam, *spectra)
    assert np.median(fit.labels[:, 3]) > 2 * STAR[0, 3]
    found = at_fits([SecondStar(krr_slam, LRS)], krr_slam, *spectra, fit.labels)[0]
    assert of_more_than_a_star(LRS, fit.chi2, fit.n_pix, found)[0]["double"].mean() > 0.9
    assert np.median(np.abs(found[:, 3] - found[:, 2])) == pytest.approx(220, abs=20)


def test_a_second_star_must_gain_more_than_a_share_of_what_two_do_not_describe():
    second = np.array([[60.0, 0.5, 0.0, 200.0, np.nan, np.nan]] * 2)
    found, _ = of_more_than_a_star(LRS, np.array([1.0, 1.7]), np.full(2, 3000), second)
    assert found["double"].tolist() == [True, False]


def test_measures_at_the_same_fits_do_not_know_each_other(krr_slam):
    flux, ivar = noisy(np.repeat(krr_slam.predict(STAR), 3, axis=0), 60, LRS.good, np.random.default_rng(3))
    labels = infer(krr_slam, flux, ivar).labels
    measure = SecondStar(krr_slam, LRS)
    every = at_fits([measure], krr_slam, flux, ivar, labels)[0]
    one = at_fits([measure], krr_slam, flux[1:2], ivar[1:2], labels[1:2])[0]
    np.testing.assert_array_equal(every[1:2], one)
    assert np.isnan(at_fits([measure], krr_slam, flux, 0 * ivar, labels)[0]).all()
    assert np.isfinite(block_errors(krr_slam, LRS.wave, flux, ivar, labels)).all()


@pytest.mark.parametrize(("height", "told"), [(0.0, False), (0.06, True), (1.0, True), (-0.06, False)])
def test_filled_cores_are_told_from_deep_ones_and_cosmic_rays(height, told):
    model = np.ones((1, LRS.wave.size))
    flux = model + height * np.exp(-0.5 * ((LRS.wave - 6562.8) / 4) ** 2)
    flux[0, np.abs(LRS.wave - 6563).argmin()] += 5
    ivar = np.full_like(flux, 1e4)
    assert excess(LRS, flux, ivar, model)[1].tolist() == [told]
    unseen = without_lines(LRS, ivar)
    assert np.isnan(excess(LRS, flux, unseen, model)[0]).all() and lacks_h_alpha(LRS, unseen).all()


@pytest.mark.parametrize(
    ("change", "least"),
    [
        ("companion, flux ratio 0.2-0.5", 0.7),
        ("companion, flux ratio 0.5-1", 0.7),
        ("H alpha emission of 5-30%", 0.9),
        ("arms 40 km/s apart", 0.85),
    ],
)
def test_changed_stars_have_the_status_made_for_them(trained, change, least):
    labeller, observatory = trained
    if "arms" in change and labeller.instrument.name == "LRS":
        pytest.skip("one arm")
    flux, ivar = changed(observatory, change, 24, 100, 9)
    table = labeller.label(flux, ivar, np.ones(len(flux), bool), np.full(len(flux), 100.0))
    assert np.mean(table["status"] == CHANGES[change]) >= least
    if "emission" in change:
        refused = np.isnan(table["logg"]) & np.isfinite(table["teff"])
        emission = (table["status"] == "emission") & (labeller.instrument.name == "MRS")
        assert (refused == emission).mean() > 0.9


def test_a_dwarf_with_broad_emission_is_not_taken_for_a_supergiant():
    """At MRS H alpha alone tells gravity: filled, it is fitted well at a log g below 2."""
    labeller = Labeller.read(embedded("models/krr_MRS.npz"))
    filled = 0.24 * np.exp(-0.5 * ((MRS.wave - 6562.8) / 4.7) ** 2)
    flux = np.repeat(labeller.predict([[18_500, 4.2, 0.0, 130.0, 3.0]]) + filled, 12, axis=0)
    spectra = noisy(flux.astype(np.float32), 100, MRS.good, np.random.default_rng(4))
    fit = labeller.fit(*spectra)
    assert (np.median(fit.labels[:, 1]) < 2.5) and (fit.status == "ok").any()
    table = labeller.label(*spectra, np.ones(12, bool), np.full(12, 100.0))
    assert (table["status"] == "emission").mean() > 0.8 and np.isnan(table["logg"]).mean() > 0.8
    assert np.median(table["teff"]) == pytest.approx(18_500, rel=0.07)


def test_single_stars_are_not_taken_for_others(trained):
    labeller, observatory = trained
    flux, ivar = changed(observatory, "none: single stars", 50, 100, 9)
    table = labeller.label(flux, ivar, np.ones(len(flux), bool), np.full(len(flux), 100.0))
    assert np.isin(table["status"], ("double", "emission", "arms apart")).sum() <= 3
    assert np.isfinite(table["logg"]).all()


def test_gravity_is_refused_where_mrs_lacks_h_alpha(trained):
    labeller, observatory = trained
    flux, ivar = changed(observatory, "none: single stars", 3, 100, 9)
    table = labeller.label(flux, without_lines(labeller.instrument, ivar), [True] * 3, [100.0] * 3)
    mrs = labeller.instrument.name == MRS.name
    assert np.isnan(table["logg"]).all() == np.isnan(table["e_logg"]).all() == mrs
    assert np.isfinite(table["teff"]).all()
    if mrs:
        assert set(table["status"]) <= {"incomplete", "edge", "unconstrained", "multimodal"}


def test_at_most_one_of_many_strange_things_passes_for_an_ob_star(quick_run):
    """As notebook 12 found them: noise, ramps, galaxies, quasars, white dwarfs and cool stars."""
    path = quick_run.tables / "detection.ecsv"
    if not path.exists():
        pytest.skip("no calibration: `make calibration PROFILE=quick` first")
    table = Table.read(path)
    strange = table[np.isin(table["what"], list(STRANGERS))]
    assert set(strange["what"]) == set(STRANGERS) and strange["n"].sum() >= 40
    assert np.sum(strange["n"] * strange["believed"]) <= 1.01
