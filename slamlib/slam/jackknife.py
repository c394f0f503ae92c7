"""Errors of labels that no model of the noise foresees: what single lines do to them.

The models of a real star are wrong from line to line: abundances, microturbulence, levels in
LTE, the continuum. Such errors are in no covariance measured on simulated stars, but they show
when the labels change as a line is left out.
"""

import numpy as np

from slamlib.errors import InputError
from slamlib.slam.infer import checked, default_bounds
from slamlib.slam.likelihood import Likelihood
from slamlib.slam.solve import inverse

# Wider than a Balmer line's core and its nearest neighbours, so that blocks err apart.
BLOCK = 60.0
# Fewer blocks tell nothing of how they differ.
_LEAST_BLOCKS = 3
# Stars in flight at once.
_CHUNK = 64


def block_errors(slam, wave, flux, ivar, labels, systematics=None, reject=None, width=BLOCK):
    """Find the errors of labels by leaving out one block of wavelengths after another.

    Parameters
    ----------
    slam : Slam
    wave : ndarray, (n_pix,)
        Of the model's pixels [A], increasing.
    flux, ivar : array_like, (m, n_pix)
    labels : ndarray, (m, 4)
        What `slamlib.slam.infer.infer` found for these spectra with these `systematics` and
        `reject`.
    systematics : Systematics, optional
    reject : float, optional
    width : float
        Of a block [A].

    Returns
    -------
    ndarray, (m, 4)
        NaN for a star without labels, or whose good pixels fill fewer than three blocks.

    Raises
    ------
    InputError
        As `infer`, or if there is no room for three blocks.

    Notes
    -----
    The jackknife, sqrt((b - 1) / b sum((x_i - mean x)^2)) over b blocks (Efron & Tibshirani
    1993, An Introduction to the Bootstrap, equation 11.5), of blocks instead of single pixels
    since what neighbours share would be missed (Kuensch 1989, Ann. Stat. 17, 1217). The fit
    without a block is one Gauss-Newton step away from the fit with it.
    """
    flux, ivar = checked(slam, flux, ivar)
    number = np.floor(np.asarray(wave) / width)
    firsts = np.flatnonzero(np.diff(number, prepend=-np.inf))
    if firsts.size < _LEAST_BLOCKS:
        raise InputError(f"{firsts.size} blocks of {width} A cover these pixels; use narrower ones")
    z_bounds = slam.standardise(default_bounds(slam))
    errors = np.full((len(flux), 4), np.nan)
    known = np.isfinite(labels).all(axis=1) & (ivar > 0).any(axis=1)
    nodes = np.zeros(len(flux), int) if systematics is None else systematics.nearest(ivar)
    for node in np.unique(nodes[known]):
        group = np.flatnonzero(known & (nodes == node))
        for stars in np.array_split(group, -(-group.size // _CHUNK)):
            likelihood = Likelihood(slam, flux[stars], ivar[stars], systematics, node)
            z = slam.standardise(labels[stars])
            if reject is not None:
                likelihood.reject(z, reject)
            gradient, hessian, used = likelihood.without_each(z, firsts)
            step = np.einsum("mbij,mbj->mbi", _inverses(hessian), gradient)
            errors[stars] = _spread(np.clip(z[:, None] + step, *z_bounds), used) * slam.label_scale_
    return errors


def _inverses(hessian):
    return inverse(hessian.reshape(-1, 4, 4)).reshape(hessian.shape)


def _spread(z, used):
    """Jackknife error (m, 4) of labels (m, b, 4) without each block, of the blocks that were used (m, b)."""
    n = used.sum(axis=1)
    enough = n >= _LEAST_BLOCKS
    errors = np.full((len(z), 4), np.nan)
    mean = np.einsum("mbi,mb->mi", z, used)[enough] / n[enough, None]
    squares = np.einsum("mbi,mb->mi", (z[enough] - mean[:, None]) ** 2, used[enough])
    errors[enough] = np.sqrt((n[enough, None] - 1) / n[enough, None] * squares)
    return errors
