"""The labels of a few stars: several starts, without outlying pixels."""

import numpy as np

from slamlib.inference.minimise import minimise

# An error of 10,000 standard deviations of the training labels means "unknown".
LEAST_INFORMATION = 1e-8
# A second start differs from the first by this factor in Teff: hot and cool solutions compete.
_APART = 1.2
# Two minima are rivals if their chi-squares differ by less and they lie further apart [sigma^2].
_RIVAL = 9.0
# Times that pixels far from the fit are rejected and the fit taken up again.
_REJECTIONS = 2
# A fit without more than this share of the pixels is no fit; ordinary spectra lose up to 0.04.
_MOST_REJECTED = 0.1


def solve(likelihood, near, start_labels, bounds, max_steps, starts, reject=None):
    """Find the best of the minima from several starts, without outlying pixels.

    Parameters
    ----------
    likelihood : Likelihood or Joint
        Of m stars; outlying pixels lose their weight in it.
    near : ndarray, (m, k)
        Chi-square of k templates, up to a constant.
    start_labels : ndarray, (k, 4)
        Their labels. A star starts from the nearest, then from the nearest of those much
        hotter or cooler than all before.
    bounds : ndarray, (2, 4)
        Of the standardised labels.
    max_steps, starts : int
    reject : float, optional
        Pixels further than this many standard deviations from the fit are outlying.

    Returns
    -------
    Minimum
    """
    slam = likelihood.slam
    nearest = near.argmin(axis=1)
    start = np.clip(slam.standardise(start_labels[nearest]), *bounds)
    best = minimise(likelihood, start, bounds, max_steps)
    near = near.copy()
    for _ in range(starts - 1):
        ratio = start_labels[:, 0] / start_labels[nearest, :1]
        near[(ratio < _APART) & (ratio > 1 / _APART)] = np.inf
        rows = np.flatnonzero(np.isfinite(near).any(axis=1))
        if not rows.size:
            break
        nearest = near.argmin(axis=1)
        start = np.clip(slam.standardise(start_labels[nearest[rows]]), *bounds)
        best.compare(rows, minimise(likelihood[rows], start, bounds, max_steps), _RIVAL)
    for _ in range(_REJECTIONS if reject else 0):
        rows = np.flatnonzero(likelihood.reject(best.z, reject))
        if rows.size:
            best.replace(rows, minimise(likelihood[rows], best.z[rows], bounds, max_steps))
    return best


def at_edge(z, bounds, slam):
    """Tell which labels lie at a bound: (m, d).

    No rotation is a bound of nature, not of the grid: v sin i = 0 is an upper limit. A nuisance is held
    within its bounds on purpose.
    """
    edge = ((z <= bounds[0]) | (z >= bounds[1])) & ~slam.nuisances
    if slam.rotation is not None:
        edge[:, slam.rotation] &= z[:, slam.rotation] > bounds[0, slam.rotation]
    return edge


def status(found, edge, rejected, incomplete):
    """Say how a fit ended that `rejected` a share of the pixels of spectra, some `incomplete`: str, (m,)."""
    reasons = [~found.converged, rejected > _MOST_REJECTED, edge.any(axis=1), found.rival, incomplete]
    return np.select(reasons, ["unconverged", "outliers", "edge", "multimodal", "incomplete"], "ok")


def inverse(fisher):
    """Invert Fisher matrices (m, 4, 4); what the data say nothing about gets a huge variance, not 0."""
    values, vectors = np.linalg.eigh(fisher)
    return (vectors / np.maximum(values, LEAST_INFORMATION)[:, None, :]) @ vectors.transpose(0, 2, 1)
