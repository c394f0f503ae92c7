"""The minimiser: it finds what scipy finds, stays in its box, and weighs one solution against another."""

import numpy as np
import pytest
from scipy.optimize import least_squares

from slamlib.inference.infer import checked, default_bounds
from slamlib.inference.likelihood import Likelihood
from slamlib.inference.minimise import minimise
from slamlib.inference.systematics import Systematics
from slamlib.inference.validate import noisy

N = 12
GOOD = np.array(1.0)


@pytest.fixture(scope="module")
def known(thin_slam):
    """A continuum that wanders by 1%."""
    rng = np.random.default_rng(31)
    x = np.linspace(-1, 1, thin_slam.flux_mean_.size)
    waves = 0.01 * np.polynomial.legendre.legvander(x, 3).T
    draws = rng.normal(0, 1, (60, len(waves))) @ waves + rng.normal(0, 0.003, (60, x.size))
    return Systematics.measure([100.0], [draws], rank=4)


@pytest.fixture(scope="module")
def spectra(thin_slam, unseen):
    return checked(thin_slam, *noisy(unseen.flux[:N, ::10], 100, GOOD, np.random.default_rng(32)))


@pytest.fixture(params=["independent", "shared"])
def systematics(request, known):
    return known if request.param == "shared" else None


@pytest.fixture
def likelihood(thin_slam, spectra, systematics):
    return Likelihood(thin_slam, *spectra, systematics)


@pytest.fixture(scope="module")
def bounds(thin_slam):
    return thin_slam.to_standard(default_bounds(thin_slam))


@pytest.fixture(scope="module")
def start(thin_slam, unseen, bounds):
    off = np.random.default_rng(33).normal(0, 0.1, (N, 4))
    return np.clip(thin_slam.to_standard(unseen.labels[:N]) + off, *bounds)


def scipys(slam, flux, ivar, systematics, start, bounds):
    """Labels and chi-square of one star by scipy, whitened with the Cholesky factor of the covariance."""
    mean, covariance = 0.0, np.diag(slam.model_variance_.astype(float))
    if systematics is not None:
        mean, components = systematics.mean[0], systematics.components[0].astype(float)
        covariance = np.diag(systematics.variance[0].astype(float)) + components.T @ components
    root = np.linalg.cholesky(covariance + np.diag(1 / ivar.astype(float)))

    def residual(z):
        predicted = slam.predict(slam.label_mean_ + z * slam.label_scale_, extrapolate=True)[0]
        return np.linalg.solve(root, flux - mean - predicted)

    def slope(z):
        jacobian = slam.jacobian(slam.label_mean_ + z * slam.label_scale_, extrapolate=True)[0]
        return -np.linalg.solve(root, (jacobian * slam.label_scale_[:, None]).T.astype(float))

    inner = np.clip(start, bounds[0] + 1e-3, bounds[1] - 1e-3)
    fit = least_squares(residual, inner, slope, bounds=bounds, xtol=1e-10, ftol=1e-12, gtol=1e-12)
    return fit.x, 2 * fit.cost


def distance(a, b, hessian):
    """In standard deviations."""
    return np.sqrt(np.einsum("md,mde,me->m", a - b, hessian, a - b))


def by_scipy(slam, spectra, systematics, start, bounds):
    fits = [scipys(slam, f, i, systematics, z, bounds) for f, i, z in zip(*spectra, start, strict=True)]
    return (np.array(part) for part in zip(*fits, strict=True))


def test_minimum_is_that_of_scipy(thin_slam, spectra, systematics, likelihood, start, bounds):
    found = minimise(likelihood, start, bounds, 200)
    z, chi2 = by_scipy(thin_slam, spectra, systematics, start, bounds)
    assert found.converged.all()
    assert not found.rival.any()
    assert distance(start, z, found.hessian).min() > 0.3
    assert distance(found.z, z, found.hessian).max() < 0.05
    np.testing.assert_allclose(found.chi2, chi2, rtol=1e-4)


def test_minimum_in_a_narrow_box_is_that_of_scipy(thin_slam, spectra, systematics, likelihood, start, bounds):
    """The box is half of what the solutions span: most of them end on a wall."""
    free = minimise(likelihood, start, bounds, 200).z
    box = np.stack([np.percentile(free, 25, axis=0), np.percentile(free, 75, axis=0)])
    inside = np.clip(start, *box)
    found = minimise(likelihood, inside, box, 500)
    assert found.converged.all()
    assert (found.z >= box[0]).all()
    assert (found.z <= box[1]).all()
    walled = ((found.z == box[0]) | (found.z == box[1])).any(axis=1)
    assert walled.sum() > N / 2
    _, chi2 = by_scipy(thin_slam, spectra, systematics, inside, box)
    np.testing.assert_allclose(found.chi2, chi2, rtol=1e-3, atol=0.1)
