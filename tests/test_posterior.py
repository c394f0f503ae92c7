"""The posterior of one star: where it peaks, how wide it is, where it ends."""

import logging
from dataclasses import replace

import numpy as np
import pytest

from slamlib.inference.infer import default_bounds
from slamlib.inference.posterior import LogPosterior, sample_posterior
from slamlib.inference.systematics import Systematics
from slamlib.inference.validate import noisy

LABELS = np.array([24000.0, 4.0, -0.3, 150.0])


@pytest.fixture(scope="module")
def star(thin_slam):
    """One star in the middle of the grid at SNR 300, as the model itself predicts it."""
    flux, ivar = noisy(thin_slam.predict(LABELS), 300, np.array(1.0), np.random.default_rng(8))
    return flux[0], np.array(ivar[0])


@pytest.fixture(scope="module")
def sampled(thin_slam, star):
    return sample_posterior(thin_slam, *star, seed=5, n_steps=1500, n_burn=300)


@pytest.fixture(autouse=True)
def short_chains_may_be_short(caplog):
    """Tests of anything but the width need no long chain; emcee's advice would only be noise."""
    caplog.set_level(logging.ERROR)


def test_samples_agree_with_the_covariance_of_the_fit(thin_slam, sampled):
    """At high SNR the posterior is Gaussian: same mean, same covariance, within sampling error."""
    samples, best, autocorrelation = sampled
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
    np.random.seed(1)  # noqa: NPY002 - the global state must not matter
    first = sample_posterior(thin_slam, *star, seed=1, n_steps=20, n_burn=5)[0]
    np.random.seed(2)  # noqa: NPY002
    again = sample_posterior(thin_slam, *star, seed=1, n_steps=20, n_burn=5)[0]
    other = sample_posterior(thin_slam, *star, seed=2, n_steps=20, n_burn=5)[0]
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.shape == (20 * 32, 4)


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
    wider = replace(nothing, inflation=np.full((1, 4), 1.5), offset=np.full((1, 4), 0.5))
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
