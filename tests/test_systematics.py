"""Errors that pixels share, and causes of wide lines beside v sin i: what they do to labels and errors."""

from copy import copy
from dataclasses import replace

import numpy as np
import pytest

from slamlib.grid.training import draw_labels
from slamlib.inference.infer import infer
from slamlib.inference.systematics import Systematics
from slamlib.inference.validate import noisy
from slamlib.inference.vsini import measured_blur, remove_extra_broadening
from slamlib.labelling.calibration import _by_teff, _width_and_mean, spread
from slamlib.labels import LABELS, rotation_of

GOOD = np.array(1.0)
N_PIX = 80
X = np.linspace(-1, 1, N_PIX)
MEAN = 0.02 * np.cos(4 * X)
SHARED = np.stack([0.03 * np.ones(N_PIX), 0.02 * X, 0.04 * np.exp(-((X - 0.5) ** 2) / 0.02)])
ALONE = 0.005 * (2 + X)
SNR = 200.0
VSINI = rotation_of(LABELS)
BLUR = np.array([190.0, 170.0])


def draws(n, seed):
    """Residuals with the mean, the shared errors and the errors of each pixel above."""
    rng = np.random.default_rng(seed)
    return MEAN + rng.normal(0, 1, (n, len(SHARED))) @ SHARED + rng.normal(0, 1, (n, N_PIX)) * ALONE


def covariance(systematics, node=0):
    components = systematics.components[node].astype(float)
    return components.T @ components + np.diag(systematics.variance[node].astype(float))


def test_planted_mean_and_shared_errors_are_recovered():
    n = 800
    found = Systematics.measure([100.0], [draws(n, seed=1)], rank=len(SHARED))
    true = SHARED.T @ SHARED
    error = np.sqrt(np.diagonal(true) + ALONE**2) / np.sqrt(n)
    assert np.abs((found.mean[0] - MEAN) / error).max() < 4
    # Wishart: an element of the sample covariance has this standard error.
    total = true + np.diag(ALONE**2)
    size = np.sqrt((total**2 + np.outer(np.diagonal(total), np.diagonal(total))) / n)
    assert np.abs((covariance(found) - total) / size).max() < 4.5
    assert found.components.shape == (1, len(SHARED), N_PIX)


def wandering(n, n_pix, rng):
    """A continuum that wanders: draws of errors of 1%, shared by neighbouring pixels, around a mean."""
    x = np.linspace(-1, 1, n_pix)
    waves, alone = 0.005 * np.polynomial.legendre.legvander(x, 5).T, rng.normal(0, 0.002, (n, n_pix))
    return 0.01 * np.sin(3 * x) + rng.normal(0, 1, (n, len(waves))) @ waves + alone


def widths(result, stars):
    return np.array([spread(column) for column in ((result.labels - stars) / result.errors).T])


def test_errors_are_right_only_if_shared_errors_are_known(thin_slam, grid):
    """Pulls of 200 stars: with systematics of width one and centred, without them far too wide."""
    perfect, n_pix = copy(thin_slam), thin_slam.flux_mean_.size
    perfect.model_variance_ = np.zeros_like(thin_slam.model_variance_)
    # Measured on other stars, at two SNR of which the second is that of the spectra.
    rng = np.random.default_rng(21)
    residuals = [3 * wandering(300, n_pix, rng), wandering(300, n_pix, rng)]
    known = Systematics.measure([20.0, SNR], residuals, rank=8)
    # Stars for which the flux is no even function of v sin i, and no second minimum competes.
    stars = draw_labels(grid, 400, np.random.default_rng(22))
    stars, rng = stars[(stars[:, 3] > 40) & (stars[:, 0] < 45000)][:200], np.random.default_rng(23)
    observed = noisy(perfect.predict(stars) + wandering(200, n_pix, rng), SNR, GOOD, rng)
    with_them = infer(perfect, *observed, known)
    assert len(stars) == 200 and (with_them.status == "ok").mean() > 0.95
    assert np.abs(widths(with_them, stars) - 1).max() < 0.15
    pulls = (with_them.labels - stars) / with_them.errors
    assert np.abs(np.median(pulls, axis=0)).max() < 0.3
    without = infer(perfect, *observed)
    assert widths(without, stars).min() > 1.3
    # Knowing what is shared makes labels better, too, not only their errors larger.
    scatter = [np.median(np.abs(result.labels - stars), axis=0) for result in (with_them, without)]
    assert (scatter[0] < scatter[1]).all()


def test_the_mean_follows_the_noise_between_nodes():
    """At the nodes it is theirs; half-way in 1 / SNR it is half of each; beyond them it stays."""
    residuals = [np.full((4, 3), value) for value in (4.0, 2.0, 1.0)]
    known = Systematics.measure([10, 20, 40], residuals, rank=1)
    snr = np.array([10, 20, 40, 1 / (0.5 / 10 + 0.5 / 20), 5, 100])
    ivar = np.repeat(snr[:, None] ** 2, 3, axis=1)
    np.testing.assert_allclose(known.mean_at(ivar)[:, 0], [4, 2, 1, 3, 4, 1], rtol=1e-5)


def test_corrections_follow_the_logarithms_of_noise_and_teff_between_nodes():
    three_nodes = Systematics.measure([20.0, 80.0, 320.0], [draws(10, seed) for seed in (1, 2, 3)], rank=2)
    width = np.array([1.0, 2.0, 4.0])[:, None, None] * np.array([1.0, 3.0])[:, None] * np.ones(4)
    known = replace(three_nodes, teff=np.array([1e4, 4e4]), inflation=width, offset=width - 1)
    low, high = known.snr[:2]
    snr = np.array([low, np.sqrt(low * high), high, low / 9, high, high, high])
    teff = np.array([1e4, 1e4, 1e4, 1e4, 2e4, 4e4, 9e4])
    inflation, offset = known.corrections(np.repeat(snr[:, None] ** 2, 5, axis=1), teff)
    np.testing.assert_allclose(inflation[:, 0], [1, 1.5, 2, 1, 4, 6, 6])
    np.testing.assert_allclose(offset, inflation - 1)


def fits(true, error, rng):
    """Speeds as fitted: their squares hold the blur, and the noise of the fit."""
    square = true**2 + rng.normal(*BLUR, true.size) + 2 * true * rng.normal(0, error, true.size)
    return np.sqrt(np.maximum(square, 0))


def test_the_blur_of_known_stars_is_found_again():
    rng = np.random.default_rng(0)
    true, error = rng.uniform(25, 45, 4000), np.full(4000, 1.5)
    np.testing.assert_allclose(measured_blur(fits(true, error, rng), error, true), BLUR, rtol=0.1)
    # Lines that are too narrow: a star without rotation stays without.
    narrow = measured_blur(np.sqrt(fits(true, error, rng) ** 2 * 0.5), error, true)
    assert narrow[0] == 0 and remove_extra_broadening(np.zeros(1), np.ones(1), narrow)[0] == 0


def test_calibration_stars_of_each_snr_are_divided_alike_by_teff():
    groups, medians = _by_teff([np.array([9e3, 20e3, 30e3]), np.array([31e3, 10e3, 21e3])], 3)
    assert [group.tolist() for group in groups] == [[0, 1, 2], [2, 0, 1]]
    np.testing.assert_array_equal(medians, [9500, 20500, 30500])
    # At a low resolving power no v sin i is fast enough to be measured.
    pulls = np.column_stack([np.linspace(-2, 2, 9), np.r_[5.0, np.full(8, np.nan)]])
    np.testing.assert_allclose(_width_and_mean(pulls)[:, 1], [1, 0])


@pytest.mark.parametrize("speed", [25.0, 40.0, 100.0, 250.0])
def test_freed_speeds_have_the_truth_within_their_errors(speed):
    true, error = np.full(4000, speed), np.full(4000, 1.0)
    freed, widened = remove_extra_broadening(fits(true, error, np.random.default_rng(2)), error, BLUR)
    pulls = (freed - true) / widened
    assert np.median(pulls) == pytest.approx(0, abs=0.05)
    assert pulls.std() == pytest.approx(1, abs=0.12)


def test_slow_rotation_in_the_blur_is_a_limit_and_fast_rotation_is_not(krr_slam):
    """Noise so small that the blur alone hides rotation."""
    nothing = Systematics.measure([500.0], [np.zeros((3, krr_slam.flux_mean_.size))], rank=1)
    known = replace(nothing, blur=BLUR)
    labels = np.array([[20_000, 4.0, -0.2, speed] for speed in (15.0, 150.0)])
    spectra = noisy(krr_slam.predict(labels), 500, np.array(1.0), np.random.default_rng(3))
    plain, blurred = infer(krr_slam, *spectra, nothing), infer(krr_slam, *spectra, known)
    assert np.sqrt(1.645 * BLUR[1]) < blurred.vsini_limit[0] < 60
    assert np.isnan(blurred.vsini_limit[1])
    assert blurred.labels[1, VSINI] == pytest.approx(np.sqrt(plain.labels[1, VSINI] ** 2 - BLUR[0]))
    np.testing.assert_array_equal(blurred.labels[:, :VSINI], plain.labels[:, :VSINI])


def test_errors_of_real_stars_are_at_least_what_the_likelihood_says(krr_slam):
    nothing = Systematics.measure([100.0], [np.zeros((3, krr_slam.flux_mean_.size))], rank=1)
    known = replace(nothing, inflation=np.array([[[0.5, 1.0, 2.0, 0.9]]]))
    ivar = np.full((2, krr_slam.flux_mean_.size), 1e4)
    for part, width in ((known, [0.5, 1, 2, 0.9]), (known.of_real_stars(), [1, 1, 2, 1])):
        np.testing.assert_allclose(part.corrections(ivar, np.array([2e4, 3e4]))[0], [width, width])
