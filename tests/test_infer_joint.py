"""Labels from two instruments at once, upper limits, more than one start; the posterior of one star."""

import logging
from copy import copy
from dataclasses import replace

import numpy as np
import pytest

from slamlib.errors import InputError
from slamlib.grid.training import draw_labels, synthesise
from slamlib.inference.infer import default_bounds, infer, infer_joint
from slamlib.inference.posterior import LogPosterior, sample_posterior
from slamlib.inference.systematics import Systematics
from slamlib.inference.validate import noisy
from slamlib.regression.slam import Slam

GOOD = np.array(1.0)
SNR = {"LRS": 100, "MRS": 60}
LABELS = np.array([24000.0, 4.0, -0.3, 150.0])


@pytest.fixture(scope="module")
def slams(grid):
    """The same stars seen by both instruments, every tenth pixel; declared free of model errors."""
    labels = draw_labels(grid, 200, np.random.default_rng(41))
    result = {}
    for name in SNR:
        slam = result[name] = Slam("krr").fit(labels, synthesise(grid, labels, name)[:, ::10])
        slam.model_variance_ = np.zeros_like(slam.model_variance_)
    return result


@pytest.fixture(scope="module")
def stars(grid):
    """Stars for which flux is no even function of v sin i, away from rivals at the hot end."""
    labels = draw_labels(grid, 240, np.random.default_rng(42))
    return labels[(labels[:, 3] > 40) & (labels[:, 0] < 40000)]


@pytest.fixture(scope="module")
def observed(slams, stars):
    rng = np.random.default_rng(43)
    return {name: noisy(slams[name].predict(stars), snr, GOOD, rng) for name, snr in SNR.items()}


@pytest.fixture(scope="module")
def joint(slams, observed):
    return infer_joint([(slams[name], *observed[name], None) for name in SNR])


def test_information_of_two_instruments_adds_up(slams, stars):
    """Without noise all solutions are the truth, and the inverse covariances add exactly."""
    flux = {name: slams[name].predict(stars) for name in SNR}
    spectra = {name: (flux[name], np.full(flux[name].shape, float(snr) ** 2)) for name, snr in SNR.items()}
    joint = infer_joint([(slams[name], *spectra[name], None) for name in SNR])
    single = [infer(slams[name], *spectra[name]) for name in SNR]
    exactly = np.ones(len(stars), dtype=bool)
    for result in (joint, *single):
        exactly &= np.abs((result.labels - stars) / result.errors).max(axis=1) < 0.05
    assert exactly.mean() > 0.9
    unit = slams["LRS"].training_labels_.std(axis=0)
    scale = np.outer(unit, unit)
    information = sum(np.linalg.inv(result.covariance[exactly] / scale) for result in single)
    expected = np.sqrt(np.diagonal(np.linalg.inv(information), axis1=1, axis2=2)) * unit
    np.testing.assert_allclose(joint.errors[exactly], expected, rtol=0.02)
    for result in single:
        assert (joint.errors[exactly] <= result.errors[exactly] * 1.01).all()
    np.testing.assert_array_equal(joint.n_pix, sum(result.n_pix for result in single))


def test_joint_errors_are_those_of_the_labels(joint, stars):
    """Pulls of width one: the weights and units of both instruments are right."""
    pulls = ((joint.labels - stars) / joint.errors)[joint.status == "ok"]
    n = len(pulls)
    assert n > 100
    assert np.abs(pulls.mean(axis=0)).max() < 4 / np.sqrt(n)
    assert np.abs(pulls.std(axis=0) - 1).max() < 4 / np.sqrt(2 * n)
    assert np.median(joint.chi2) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("missing", SNR)
def test_a_star_one_instrument_missed_gets_the_labels_of_the_other(slams, observed, joint, missing):
    """In one batch with stars that both observed, which it does not disturb."""
    (other,) = set(SNR) - {missing}
    lacking = np.arange(12) % 3 == 0
    spectra = {name: [np.array(array[:12]) for array in observed[name]] for name in SNR}
    spectra[missing][0][lacking] = np.nan
    spectra[missing][1][lacking] = 0
    result = infer_joint([(slams[name], *spectra[name], None) for name in SNR])
    alone = infer(slams[other], *observed[other])
    for rows, expected in ((lacking, alone), (~lacking, joint)):
        difference = (result.labels - expected.labels[:12]) / expected.errors[:12]
        assert np.abs(difference[rows]).max() < 0.05
        np.testing.assert_allclose(result.errors[rows], expected.errors[:12][rows], rtol=0.02)
        np.testing.assert_array_equal(result.n_pix[rows], expected.n_pix[:12][rows])
        np.testing.assert_allclose(result.chi2[rows], expected.chi2[:12][rows], rtol=1e-3)


@pytest.mark.parametrize(("name", "snr"), [("LRS", 60), ("MRS", 30)])
def test_slow_rotation_gets_a_limit_above_the_truth_and_fast_rotation_is_measured(slams, name, snr):
    """100 draws of noise on a star of each speed."""
    slow, fast = (
        infer(slams[name], *noisy(slams[name].predict([[22000, 4.0, -0.3, v]] * 100), snr, GOOD, rng))
        for v, rng in ((5.0, np.random.default_rng(51)), (250.0, np.random.default_rng(52)))
    )
    assert (slow.vsini_limit > 5.0).mean() >= 0.9
    # A limit that says nothing would cover, too.
    assert np.nanmedian(slow.vsini_limit) < 150
    assert np.isnan(fast.vsini_limit).all()
    assert np.median(fast.labels[:, 3]) == pytest.approx(250, abs=15)


@pytest.mark.parametrize("snr", [15, 30, 100])
def test_more_starts_make_no_fit_worse_but_one_in_a_hundred_of_faint_stars(thin_slam, unseen, snr):
    spectra = noisy(unseen.flux[:, ::10], snr, GOOD, np.random.default_rng(0))
    one, two = (infer(thin_slam, *spectra, starts=starts) for starts in (1, 2))
    # A solution that was not reached may be given up for one that was.
    reached = one.status != "unconverged"
    assert reached.mean() > 0.9
    worse = (two.chi2 > one.chi2 * (1 + 1e-5))[reached]
    # Where minima are many, no more than three are refined.
    assert worse.mean() < (0.01 if snr < 20 else 1e-9)
    assert (two.chi2 < one.chi2 - 1e-4).any()


@pytest.mark.parametrize(("difference", "status"), [(5, "multimodal"), (8, "multimodal"), (12, "ok")])
def test_a_second_solution_within_three_sigma_is_a_rival(thin_slam, difference, status):
    """A spectrum half-way between a hot and a cool star, as precise as makes chi-squares differ so."""
    planted = copy(thin_slam)
    planted.model_variance_ = np.zeros_like(thin_slam.model_variance_)
    solutions = np.array([[34_000, 4.0, -0.3, 150], [17_000, 4.0, -0.3, 150]], dtype=float)
    hot, cool = planted.predict(solutions)
    flux, degrees = (hot + cool) / 2, hot.size - 4

    def fit(ivar, start=slice(None), starts=1):
        started = copy(planted)
        started.training_labels_ = solutions[start]
        options = {"bounds": default_bounds(planted), "starts": starts}
        return infer(started, flux, np.full(flux.shape, ivar), **options)

    one, other = (fit(1e4, slice(i, i + 1)) for i in range(2))
    assert one.labels[0, 0] > 1.2 * other.labels[0, 0]
    apart = abs(one.chi2[0] - other.chi2[0]) * degrees / 1e4
    assert fit(difference / apart, starts=2).status[0] == status


def test_emission_does_not_choose_the_minimum(thin_slam, unseen):
    """A few bright pixels, as of emission, are rejected before minima are compared."""
    flux, ivar = noisy(thin_slam.predict(unseen.labels), 100, GOOD, np.random.default_rng(8))
    clean = infer(thin_slam, flux, ivar, reject=5.0)
    deepest = np.argsort(thin_slam.flux_mean_)[:2]
    flux[:, deepest] += 0.5
    found = infer(thin_slam, flux, ivar, reject=5.0)
    off = np.abs(found.labels[:, 0] / clean.labels[:, 0] - 1) > 0.2
    assert off.mean() < 0.15
    # Whoever starts from the spectrum that resembles the emission most goes astray more often.
    alone = infer(thin_slam, flux, ivar, reject=5.0, starts=1)
    assert (np.abs(alone.labels[:, 0] / clean.labels[:, 0] - 1) > 0.2).mean() > 2 * off.mean()


@pytest.fixture(scope="module")
def star(thin_slam):
    """One star in the middle of the grid at SNR 300, as the model itself predicts it."""
    flux, ivar = noisy(thin_slam.predict(LABELS), 300, np.array(1.0), np.random.default_rng(8))
    return flux[0], np.array(ivar[0])


@pytest.fixture(autouse=True)
def short_chains_may_be_short(caplog):
    """Tests of anything but the width need no long chain; emcee's advice would only be noise."""
    caplog.set_level(logging.ERROR)


def test_samples_agree_with_the_covariance_of_the_fit(thin_slam, star):
    """At high SNR the posterior is Gaussian: same mean, same covariance, within sampling error."""
    samples, best, autocorrelation = sample_posterior(thin_slam, *star, seed=5, n_steps=1500, n_burn=300)
    n = len(samples) / autocorrelation.max()
    assert n > 800
    spread = np.sqrt(np.diagonal(best.covariance[0]))
    mean = (samples.mean(axis=0) - best.labels[0]) / spread
    # The curvature of the model adds a little to the sampling error of 1 / sqrt(n).
    assert np.abs(mean).max() < 4 / np.sqrt(n) + 0.1
    scaled = np.cov((samples / spread).T)
    expected = best.covariance[0] / np.outer(spread, spread)
    np.testing.assert_allclose(scaled, expected, atol=4 * np.sqrt(2 / n) + 0.1)
    assert np.abs(expected - np.eye(4)).max() > 0.3


def test_same_seed_same_samples(thin_slam, star):
    made = []
    for state, seed in ((1, 1), (2, 1), (2, 2)):
        np.random.seed(state)  # noqa: NPY002 - the global state must not matter
        made.append(sample_posterior(thin_slam, *star, seed=seed, n_steps=20, n_burn=5)[0])
    first, again, other = made
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other) and first.shape == (20 * 32, 4)
    assert len(sample_posterior(thin_slam, *star, seed=1, n_steps=20, n_burn=0)[0]) == 20 * 32
    with pytest.raises(InputError, match="emcee needs 8 walkers or more"):
        sample_posterior(thin_slam, *star, seed=1, n_walkers=4)


def test_probability_is_zero_outside_the_bounds(thin_slam, star):
    bounds = default_bounds(thin_slam)
    posterior = LogPosterior(thin_slam, *star)
    for side, label in ((0, 0), (0, 3), (1, 1), (1, 2)):
        outside = LABELS.copy()
        outside[label] = bounds[side, label] + (1e-6 if side else -1e-6)
        assert posterior([outside, LABELS])[0] == -np.inf
        assert np.isfinite(posterior([outside, LABELS])[1])
    assert posterior([[np.nan, 4, 0, 10]])[0] == -np.inf


def test_wider_errors_widen_the_samples_and_pile_none_up_at_no_rotation(thin_slam):
    flux, ivar = noisy(thin_slam.predict([*LABELS[:3], 10]), 60, np.array(1.0), np.random.default_rng(9))
    nothing = Systematics.measure([60.0], [np.zeros((3, flux.shape[1]))], rank=1)
    wider = replace(nothing, inflation=np.full((1, 1, 4), 1.5), offset=np.full((1, 1, 4), 0.5))
    narrow, wide = (
        sample_posterior(thin_slam, flux[0], ivar[0], seed=2, systematics=known, n_steps=300, n_burn=200)[0]
        for known in (nothing, wider)
    )
    # Two chains: their walkers start as wide as the errors of the fit.
    np.testing.assert_allclose(wide[:, :3].std(axis=0), 1.5 * narrow[:, :3].std(axis=0), rtol=0.15)
    assert (wide[:, 3] > 0).all()
    # No denser next to the bound than a little further away.
    counts = np.histogram(wide[:, 3], 4, (0, wide[:, 3].std()))[0]
    assert counts[0] < 1.2 * counts[1]


def test_corrections_are_those_of_the_instruments_that_observed_a_star(thin_slam):
    labels = np.array([[20_000, 4.0, 0.0, 25.0], [24_000, 3.8, -0.2, 15.0]])
    flux, ivar = noisy(thin_slam.predict(labels), 100, np.array(1.0), np.random.default_rng(4))
    nothing = Systematics.measure([100.0], [np.zeros((3, flux.shape[1]))], rank=1)
    own = replace(nothing, inflation=np.full((1, 1, 4), 1.5), blur=np.array([400.0, 300.0]))
    # It scatters less, and knows less of rotation.
    other = replace(nothing, inflation=np.full((1, 1, 4), 3.0), blur=np.array([-900.0, 0.0]))
    alone = infer(thin_slam, flux, ivar, own)
    for part, factor in ((0, 1), (1e-4, 1.5)):
        both = infer_joint([(thin_slam, flux, ivar, own), (thin_slam, flux, part * ivar, other)])
        np.testing.assert_allclose(both.labels[:, 3], alone.labels[:, 3], atol=0.2)
        np.testing.assert_allclose(both.errors[:, :3], factor * alone.errors[:, :3], rtol=0.02)


@pytest.mark.parametrize("teff", [(19_500, 20_500), (9_000, 14_000)])
def test_bounds_of_teff_may_be_narrow_or_without_a_training_spectrum(thin_slam, teff):
    flux = thin_slam.predict([[20_000, 4.0, 0.0, 80.0]])
    bounds = default_bounds(thin_slam)
    bounds[:, 0] = teff
    found = infer(thin_slam, flux, np.full_like(flux, 1e4), bounds=bounds)
    assert found.labels[0, 0] == pytest.approx(np.clip(20_000, *teff), rel=0.01)
    with pytest.raises(InputError, match="least Teff is -5 K"):
        infer(thin_slam, flux, np.full_like(flux, 1e4), bounds=np.where(bounds == teff[0], -5, bounds))


def test_bounds_of_a_grid_that_reaches_far_down_are_positive(thin_slam):
    cool = copy(thin_slam)
    cool.training_labels_ = thin_slam.training_labels_.copy()
    cool.training_labels_[0, 0] = 3_000
    assert default_bounds(cool)[0, 0] == 1000
