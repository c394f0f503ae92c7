"""Regressions equal scikit-learn's: KRR, which leaves one out exactly, and SVR, optimal by its conditions."""

import numpy as np
import pytest
from sklearn.kernel_ridge import KernelRidge
from sklearn.svm import SVR

from slamlib.errors import InputError
from slamlib.regression.kernel import pivoted_cholesky, rbf
from slamlib.regression.krr import fit_krr
from slamlib.regression.svr.fit import fit_svr

RIDGES = (1e-5, 1e-3, 1e-1)


@pytest.fixture(scope="module")
def standard(training):
    """Labels and 30 pixels of 300 spectra, standardised."""
    z, flux = training.labels, training.flux[:, 35::103].astype(float)
    return (z - z.mean(axis=0)) / z.std(axis=0), (flux - flux.mean(axis=0)) / flux.std(axis=0)


@pytest.fixture(scope="module")
def problem(standard):
    z, flux = standard
    return z[:60], flux[:60], z[60:100]


@pytest.mark.parametrize("ridge", RIDGES)
def test_predictions_of_krr_equal_scikit_learn(problem, ridge):
    z, flux, other = problem
    dual, _ = fit_krr(rbf(z, z, 0.3), flux, ridge)
    reference = KernelRidge(kernel="rbf", gamma=0.3, alpha=ridge).fit(z, flux)
    np.testing.assert_allclose(rbf(other, z, 0.3) @ dual, reference.predict(other), atol=1e-8)


@pytest.mark.parametrize("ridge", RIDGES)
def test_leave_one_out_equals_leaving_each_one_out(problem, ridge):
    z, flux, _ = problem
    _, residuals = fit_krr(rbf(z, z, 0.3), flux, ridge)
    brute = np.empty_like(flux)
    for i in range(len(z)):
        others = np.arange(len(z)) != i
        model = KernelRidge(kernel="rbf", gamma=0.3, alpha=ridge).fit(z[others], flux[others])
        brute[i] = flux[i] - model.predict(z[i : i + 1])[0]
    np.testing.assert_allclose(residuals, brute, rtol=1e-6, atol=1e-7)


def test_a_kernel_that_is_not_positive_definite_is_refused():
    with pytest.raises(InputError, match="not positive definite; use a larger ridge"):
        fit_krr(-np.eye(3), np.zeros((3, 2)), 1e-3)


def test_pivoted_cholesky_approaches_the_kernel_and_is_exact_at_its_pivots(problem):
    z = problem[0]
    kernel = rbf(z, z, 0.3)
    errors = []
    for rank in (5, 20, 60):
        pivots, factor = pivoted_cholesky(kernel.__getitem__, len(z), rank, tolerance=1e-12)
        assert factor.shape == (60, len(pivots))
        assert np.unique(pivots).size == len(pivots) <= rank
        product = factor @ factor.T
        np.testing.assert_allclose(product[pivots], kernel[pivots], atol=1e-9)
        errors.append(np.abs(product - kernel).max())
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-9


EPSILON = 0.05
PAIRS = [(C, gamma) for gamma in (0.1, 1.0) for C in (0.1, 1.0, 10.0)]


@pytest.fixture(scope="module")
def solutions(standard):
    z, flux = (part[:200] for part in standard)
    return {pair: fit_svr(rbf(z, z, pair[1]), flux, pair[0], EPSILON) for pair in PAIRS}


@pytest.mark.parametrize(("C", "gamma"), PAIRS)
def test_predictions_of_svr_equal_scikit_learn(standard, solutions, C, gamma):
    (z, held_out), flux = np.split(standard[0], [200]), standard[1][:200]
    beta, intercept = solutions[C, gamma]
    predicted = rbf(held_out, z, gamma) @ beta + intercept
    kernel, between = rbf(z, z, gamma), rbf(held_out, z, gamma)
    # At its default tolerance scikit-learn itself is up to 6e-4 rms from its own limit.
    reference = [SVR(kernel="precomputed", C=C, epsilon=EPSILON, tol=1e-4).fit(kernel, y) for y in flux.T]
    difference = predicted - np.stack([svr.predict(between) for svr in reference], axis=1)
    assert np.sqrt(np.mean(difference**2)) <= 5e-4
    assert np.abs(difference).max() <= 5e-3


@pytest.mark.parametrize(("C", "gamma"), PAIRS)
def test_solutions_satisfy_the_optimality_conditions(standard, solutions, C, gamma):
    """Karush-Kuhn-Tucker, written per sample: which residuals go with which multiplier."""
    z, flux = (part[:200] for part in standard)
    beta, intercept = (np.asarray(part, dtype=float) for part in solutions[C, gamma])
    residual = flux - rbf(z, z, gamma) @ beta - intercept
    tight = 1e-6 * C
    violation = np.where(np.abs(beta) <= tight, np.abs(residual) - EPSILON, 0)
    inside = (np.abs(beta) > tight) & (np.abs(beta) < C - tight)
    violation = np.where(inside, np.abs(residual - EPSILON * np.sign(beta)), violation)
    bound = np.abs(beta) >= C - tight
    violation = np.where(bound, EPSILON - residual * np.sign(beta), violation)
    # The stopping rule bounds the distance of any two conditions by 1e-3; the intercept lies in the middle.
    assert violation.max() <= 0.5e-3 + 2e-5
    assert inside.any()
    assert (np.abs(beta) <= tight).any()


@pytest.mark.parametrize(("C", "gamma"), PAIRS)
def test_a_masked_sample_is_as_if_it_were_absent(standard, C, gamma):
    """Each pixel lacks other samples; each equals a regression on the samples it has."""
    (z, held_out), flux = np.split(standard[0], [200]), standard[1][:200, :6].copy()
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
