"""Kernel ridge regression: equal to scikit-learn's, leave-one-out equal to brute force; the kernel."""

import numpy as np
import pytest
from sklearn.kernel_ridge import KernelRidge

from slamlib.errors import InputError
from slamlib.regression.kernel import pivoted_cholesky, rbf
from slamlib.regression.krr import fit_krr

RIDGES = (1e-5, 1e-3, 1e-1)


@pytest.fixture(scope="module")
def problem(training):
    z = (training.labels - training.labels.mean(axis=0)) / training.labels.std(axis=0)
    flux = training.flux[:, 35::103].astype(float)
    flux = (flux - flux.mean(axis=0)) / flux.std(axis=0)
    return z[:60], flux[:60], z[60:100]


@pytest.mark.parametrize("ridge", RIDGES)
def test_predictions_equal_scikit_learn(problem, ridge):
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
