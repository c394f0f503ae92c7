"""The compiled SVR: equal to scikit-learn's, optimal by its own conditions, on real pixels."""

import numpy as np
import pytest
from sklearn.svm import SVR

from slamlib.errors import InputError
from slamlib.regression.kernel import rbf
from slamlib.regression.svr.fit import fit_svr

EPSILON = 0.05
PAIRS = [(C, gamma) for gamma in (0.1, 1.0) for C in (0.1, 1.0, 10.0)]


@pytest.fixture(scope="module")
def problem(training):
    """Standardised labels of 200 training and 100 held-out spectra, and 30 pixels of both."""
    z = (training.labels - training.labels.mean(axis=0)) / training.labels.std(axis=0)
    flux = training.flux[:, 35::103]
    flux = (flux - flux.mean(axis=0)) / flux.std(axis=0)
    return z[:200], flux[:200], z[200:], flux[200:]


@pytest.fixture(scope="module")
def solutions(problem):
    z, flux = problem[:2]
    return {pair: fit_svr(rbf(z, z, pair[1]), flux, pair[0], EPSILON) for pair in PAIRS}


@pytest.mark.parametrize(("C", "gamma"), PAIRS)
def test_predictions_equal_scikit_learn(problem, solutions, C, gamma):
    z, flux, held_out, _ = problem
    beta, intercept = solutions[C, gamma]
    predicted = rbf(held_out, z, gamma) @ beta + intercept
    kernel, between = rbf(z, z, gamma), rbf(held_out, z, gamma)
    # At its default tolerance scikit-learn itself is up to 6e-4 rms from its own limit.
    reference = [SVR(kernel="precomputed", C=C, epsilon=EPSILON, tol=1e-4).fit(kernel, y) for y in flux.T]
    difference = predicted - np.stack([svr.predict(between) for svr in reference], axis=1)
    assert np.sqrt(np.mean(difference**2)) <= 5e-4
    assert np.abs(difference).max() <= 5e-3


@pytest.mark.parametrize(("C", "gamma"), PAIRS)
def test_solutions_satisfy_the_optimality_conditions(problem, solutions, C, gamma):
    """Karush-Kuhn-Tucker, written per sample: which residuals go with which multiplier."""
    z, flux = problem[:2]
    beta, intercept = (np.asarray(part, dtype=float) for part in solutions[C, gamma])
    residual = flux - rbf(z, z, gamma) @ beta - intercept
    tight = 1e-6 * C
    violation = np.where(np.abs(beta) <= tight, np.abs(residual) - EPSILON, 0)
    inside = (np.abs(beta) > tight) & (np.abs(beta) < C - tight)
    violation = np.where(inside, np.abs(residual - EPSILON * np.sign(beta)), violation)
    bound = np.abs(beta) >= C - tight
    violation = np.where(bound, EPSILON - residual * np.sign(beta), violation)
    # The stopping rule bounds the distance of any two conditions by 1e-3; the intercept
    # lies in the middle.
    assert violation.max() <= 0.5e-3 + 2e-5
    assert inside.any()
    assert (np.abs(beta) <= tight).any()


@pytest.mark.parametrize(("C", "gamma"), PAIRS)
def test_a_masked_sample_is_as_if_it_were_absent(problem, C, gamma):
    """Each pixel lacks other samples; each equals a regression on the samples it has."""
    z, flux, held_out, _ = problem
    flux = flux[:, :6].copy()
    masked = np.random.default_rng(5).random(flux.shape) < 0.2
    flux[masked] = np.nan
    beta, intercept = fit_svr(rbf(z, z, gamma), flux, C, EPSILON, tol=1e-4)
    assert not beta[masked].any()
    predicted = rbf(held_out, z, gamma) @ beta + intercept
    for pixel, kept in enumerate(~masked.T):
        few = z[kept]
        alone, shift = fit_svr(rbf(few, few, gamma), flux[kept, pixel : pixel + 1], C, EPSILON, tol=1e-4)
        difference = predicted[:, pixel] - (rbf(held_out, few, gamma) @ alone + shift)[:, 0]
        assert np.sqrt(np.mean(difference**2)) <= 5e-4
        assert np.abs(difference).max() <= 5e-3


def test_values_that_are_not_finite_are_refused():
    kernel, targets = np.eye(4), np.zeros((4, 2))
    spoiled = targets.copy()
    spoiled[2, 1] = np.inf
    with pytest.raises(InputError, match="not finite"):
        fit_svr(kernel, spoiled, 1.0, EPSILON)
    with pytest.raises(InputError, match="not finite"):
        fit_svr(kernel * np.nan, targets, 1.0, EPSILON)
