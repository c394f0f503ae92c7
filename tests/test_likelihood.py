"""Chi-square with errors that pixels share is the dense formula, slopes too; its minimum is that of scipy."""

import numpy as np
import pytest
from scipy.optimize import least_squares

from slamlib.errors import InputError
from slamlib.inference.infer import checked, default_bounds, infer
from slamlib.inference.likelihood import Joint, Likelihood, rejected_pixels
from slamlib.inference.minimise import minimise
from slamlib.inference.systematics import Systematics
from slamlib.inference.validate import noisy
from slamlib.regression.slam import Slam

N = 12
GOOD = np.array(1.0)


def shared_draws(n_pix, n, rng):
    """Errors as a continuum that wanders makes them, a mean, and a little that each pixel has alone."""
    x = np.linspace(-1, 1, n_pix)
    waves = np.stack([0.02 * x, 0.015 * np.cos(3 * x), 0.03 * np.exp(-((x - 0.3) ** 2) / 0.01)])
    alone = rng.normal(0, 0.003 * (1.5 + x), (n, n_pix))
    return 0.01 * np.sin(5 * x) + rng.normal(0, 1, (n, len(waves))) @ waves + alone


@pytest.fixture(scope="module")
def known(thin_slam):
    """Systematics at two SNR, the second three times smaller."""
    rng = np.random.default_rng(11)
    n_pix = thin_slam.flux_mean_.size
    residuals = [shared_draws(n_pix, 100, rng), shared_draws(n_pix, 100, rng) / 3]
    return Systematics.measure([50, 200], residuals, rank=5)


@pytest.fixture(scope="module")
def spectra(thin_slam, unseen):
    """N spectra at SNR 50 that suffer from shared errors, each with pixels of no weight."""
    rng = np.random.default_rng(12)
    flux = unseen.flux[:N, ::10] + shared_draws(thin_slam.flux_mean_.size, N, rng)
    flux, ivar = noisy(flux, 50, GOOD, rng)
    ivar = ivar * rng.uniform(0.5, 2, ivar.shape)
    ivar[rng.random(ivar.shape) < 0.1] = 0
    return checked(thin_slam, flux, ivar)


@pytest.fixture(scope="module")
def z(thin_slam, unseen):
    """Labels in the neighbourhood of the true ones."""
    return thin_slam.to_standard(unseen.labels[:N]) + np.random.default_rng(13).normal(0, 0.1, (N, 4))


def mean_and_covariance(slam, ivar, systematics, node):
    """Mean of the errors of one star in all pixels, and their covariance in those that it has."""
    used, mean, covariance = ivar > 0, 0.0, np.diag(slam.model_variance_.astype(float))
    if systematics is not None:
        mean, components = systematics.mean_at(ivar[None])[0], systematics.components[node].astype(float)
        covariance = np.diag(systematics.variance[node].astype(float)) + components.T @ components
    return mean, covariance[np.ix_(used, used)] + np.diag(1 / ivar[used].astype(float))


def dense(slam, flux, ivar, systematics, node, labels, unit):
    """Chi-square, half its negative gradient and Hessian of one star, from the inverse of the covariance.

    The slopes are those for labels in steps of `unit`.
    """
    used, (mean, covariance) = ivar > 0, mean_and_covariance(slam, ivar, systematics, node)
    inverse = np.linalg.inv(covariance)
    residual = (flux - mean - slam.predict(labels, extrapolate=True)[0])[used].astype(float)
    slope = (slam.jacobian(labels, extrapolate=True)[0] * unit[:, None])[:, used].astype(float)
    return residual @ inverse @ residual, slope @ inverse @ residual, slope @ inverse @ slope.T


def assert_same(found, expected):
    """Chi-square to single precision; slopes to that in units of the standard errors."""
    size = np.sqrt(np.diagonal(expected[2], axis1=1, axis2=2))
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-4)
    root_chi2 = np.sqrt(expected[0])[:, None]
    np.testing.assert_allclose(found[1] / size / root_chi2, expected[1] / size / root_chi2, atol=1e-4)
    square = size[:, :, None] * size[:, None, :]
    np.testing.assert_allclose(found[2] / square, expected[2] / square, atol=1e-4)


@pytest.mark.parametrize("node", [None, 0, 1])
def test_chi_square_and_its_slopes_are_those_of_the_dense_covariance(thin_slam, spectra, known, z, node):
    systematics = None if node is None else known
    found = Likelihood(thin_slam, *spectra, systematics, node or 0).evaluate(z)
    labels = thin_slam.label_mean_ + z * thin_slam.label_scale_
    stars = (
        dense(thin_slam, flux, ivar, systematics, node or 0, one, thin_slam.label_scale_)
        for flux, ivar, one in zip(*spectra, labels, strict=True)
    )
    assert_same(found, [np.array(part) for part in zip(*stars, strict=True)])


@pytest.mark.parametrize("shared", [False, True])
def test_the_reduced_likelihood_is_the_whole_one_near_where_it_was_made(thin_slam, spectra, known, z, shared):
    compressed = thin_slam.compress(None, 60)
    whole = Likelihood(compressed, *spectra, known if shared else None)
    reduced = whole.reduced(z)
    near = z + 0.02 * np.random.default_rng(4).normal(size=z.shape)
    for point in (z, near):
        assert_same(reduced.evaluate(point), whole.evaluate(point))
    assert_same(reduced[[5, 2]].evaluate(near[[5, 2]]), whole[[5, 2]].evaluate(near[[5, 2]]))
    one = Likelihood(thin_slam, *spectra)
    assert one.reduced(z).evaluate(z)[0] == pytest.approx(one.evaluate(z)[0])


def rejected(likelihood, z):
    """Number of pixels of each star that lie further than five sigma from the model at `z`."""
    return likelihood.n_pix - likelihood.rejecting(z, 5.0).n_pix


def test_a_cosmic_ray_is_rejected_and_nothing_else(thin_slam, known, z):
    """Spectra that are the model at `z`, shared errors of six sigma and noise of SNR 50."""
    rng = np.random.default_rng(14)
    flux = thin_slam.predict(thin_slam.label_mean_ + z * thin_slam.label_scale_) + known.mean[0]
    flux = flux + 6 * known.components[0][0] + rng.normal(0, 1, flux.shape) * np.sqrt(known.variance[0])
    own = checked(thin_slam, *noisy(flux, 50, GOOD, rng))
    flux, ivar = own[0].copy(), own[1]
    flux[2, 77] += 0.5
    flux[5, 200] -= 0.5
    likelihood = Likelihood(thin_slam, flux, ivar, known).rejecting(z, 5.0)
    assert np.argwhere(likelihood.weight == 0).tolist() == [[2, 77], [5, 200]]
    masked = ivar.copy()
    masked[2, 77] = masked[5, 200] = 0
    expected = Likelihood(thin_slam, *own, known).evaluate(z)
    found, without = likelihood.evaluate(z), Likelihood(thin_slam, flux, masked, known).evaluate(z)
    for a, b in zip(found, without, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6 * np.abs(b).max())
    np.testing.assert_allclose(found[0], expected[0], atol=10)
    assert not rejected(likelihood, z).any()
    whole = Likelihood(thin_slam, flux, ivar, known)
    assert (whole.capped(z, 5.0) - likelihood.capped(z, 5.0))[[2, 5]].min() > 20


@pytest.fixture(scope="module")
def other_slam(training):
    """Another instrument, trained on hot stars alone: other pixels, other label scales."""
    hot = training.labels[:, 0] > np.median(training.labels[:, 0])
    return Slam("krr").fit(training.labels[hot], training.flux[hot, 5::10])


@pytest.fixture(scope="module")
def other_spectra(other_slam, unseen):
    flux, ivar = noisy(unseen.flux[:N, 5::10], 80, GOOD, np.random.default_rng(15))
    ivar = np.array(ivar)
    ivar[:, 20:40] = 0
    return checked(other_slam, flux, ivar)


@pytest.fixture
def parts(thin_slam, spectra, known, other_slam, other_spectra):
    return [Likelihood(thin_slam, *spectra, known), Likelihood(other_slam, *other_spectra)]


def test_several_instruments_add_up_in_the_units_of_the_first(
    thin_slam, spectra, known, other_slam, other_spectra, parts, z
):
    ratio = thin_slam.label_scale_ / other_slam.label_scale_
    assert (np.abs(np.log(ratio)) > 0.1).any()
    unit = thin_slam.label_scale_
    labels = thin_slam.label_mean_ + z * unit
    expected = [0.0, 0.0, 0.0]
    for slam, own, systematics in ((thin_slam, spectra, known), (other_slam, other_spectra, None)):
        stars = [dense(slam, f, i, systematics, 0, one, unit) for f, i, one in zip(*own, labels, strict=True)]
        parts_of_it = (np.array(part) for part in zip(*stars, strict=True))
        expected = [total + part for total, part in zip(expected, parts_of_it, strict=True)]
    joint = Joint(parts)
    assert_same(joint.evaluate(z), expected)
    rows = [4, 1]
    assert len(joint[rows]) == 2
    assert_same(joint[rows].evaluate(z[rows]), [values[rows] for values in expected])


def test_rejected_pixels_are_those_that_the_fit_did_not_count(thin_slam, known, spectra):
    flux, ivar = (array.copy() for array in spectra)
    spikes = np.flatnonzero(ivar[0] > 0)[[3, 40, 90]]
    flux[0, spikes] += 0.8
    found = infer(thin_slam, flux, ivar, known, reject=5.0)
    rejected = rejected_pixels(thin_slam, flux[0], ivar[0], found.labels[0], known, 5.0)
    assert rejected[spikes].all() and not rejected[ivar[0] == 0].any()
    assert rejected.sum() == (ivar[0] > 0).sum() - found.n_pix[0]


def test_instruments_that_observed_different_numbers_of_stars_are_refused(parts):
    with pytest.raises(InputError, match=r"spectra of \[12, 3\] stars; give each star one of each"):
        Joint([parts[0], parts[1][[0, 1, 2]]])


@pytest.fixture(params=["independent", "shared"])
def systematics(request, known):
    return known if request.param == "shared" else None


@pytest.fixture
def likelihood(thin_slam, spectra, systematics):
    return Likelihood(thin_slam, *spectra, systematics)


@pytest.fixture(scope="module")
def bounds(thin_slam):
    return thin_slam.to_standard(default_bounds(thin_slam))


def by_scipy(slam, systematics, bounds, flux, ivar, start):
    """Labels and chi-square of one star by scipy, whitened with the Cholesky factor of the covariance."""
    used, (mean, covariance) = ivar > 0, mean_and_covariance(slam, ivar, systematics, 0)
    root = np.linalg.cholesky(covariance)

    def residual(z):
        predicted = slam.predict(slam.label_mean_ + z * slam.label_scale_, extrapolate=True)[0]
        return np.linalg.solve(root, (flux - mean - predicted)[used])

    def slope(z):
        jacobian = slam.jacobian(slam.label_mean_ + z * slam.label_scale_, extrapolate=True)[0]
        return -np.linalg.solve(root, (jacobian * slam.label_scale_[:, None]).T[used].astype(float))

    inner = np.clip(start, bounds[0] + 1e-3, bounds[1] - 1e-3)
    fit = least_squares(residual, inner, slope, bounds=bounds, xtol=1e-10, ftol=1e-12, gtol=1e-12)
    return fit.x, 2 * fit.cost


def distance(a, b, hessian):
    """In standard deviations."""
    return np.sqrt(np.einsum("md,mde,me->m", a - b, hessian, a - b))


def test_minimum_is_that_of_scipy(thin_slam, spectra, systematics, likelihood, z, bounds):
    start = np.clip(z, *bounds)
    found = minimise(likelihood, start, bounds, 200)
    theirs = [by_scipy(thin_slam, systematics, bounds, *star) for star in zip(*spectra, start, strict=True)]
    minima, chi2 = (np.array(part) for part in zip(*theirs, strict=True))
    assert found.converged.all() and not found.rival.any()
    assert distance(start, minima, found.hessian).min() > 0.3
    assert distance(found.z, minima, found.hessian).max() < 0.05
    np.testing.assert_allclose(found.chi2, chi2, rtol=1e-4)


def test_minimum_in_a_narrow_box_is_that_of_scipy(thin_slam, spectra, systematics, likelihood, z, bounds):
    """The box is half of what the solutions span: most of them end on a wall."""
    free = minimise(likelihood, np.clip(z, *bounds), bounds, 200).z
    box = np.stack([np.percentile(free, 25, axis=0), np.percentile(free, 75, axis=0)])
    inside = np.clip(z, *box)
    found = minimise(likelihood, inside, box, 500)
    assert found.converged.all() and (found.z >= box[0]).all() and (found.z <= box[1]).all()
    walled = ((found.z == box[0]) | (found.z == box[1])).any(axis=1)
    assert walled.sum() > N / 2
    theirs = [by_scipy(thin_slam, systematics, box, *star) for star in zip(*spectra, inside, strict=True)]
    np.testing.assert_allclose(found.chi2, [chi2 for _, chi2 in theirs], rtol=1e-3, atol=0.1)
