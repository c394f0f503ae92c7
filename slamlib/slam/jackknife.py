"""Errors of labels that no model of the noise foresees: what single lines do to them.

The models of a real star are wrong from line to line: abundances, microturbulence, levels in
LTE, the continuum. Such errors are in no covariance measured on simulated stars, but they show
when the labels change as a line is left out.
"""

import numpy as np

from slamlib.errors import InputError

# Wider than a Balmer line's core and its nearest neighbours, so that blocks err apart.
BLOCK = 60.0


def block_errors(fit, wave, flux, ivar, width=BLOCK):
    """Find the errors of one star's labels by leaving out one block of wavelengths after another.

    Parameters
    ----------
    fit : callable
        ``fit(flux, ivar) -> Inference`` of many spectra (m, n_pix), such as `Trained.infer`.
    wave, flux, ivar : ndarray, (n_pix,)
        Wavelengths [A]; one prepared spectrum.
    width : float
        Of a block [A].

    Returns
    -------
    ndarray, (4,)

    Raises
    ------
    InputError
        If the pixels that count fill fewer than three blocks.

    Notes
    -----
    The jackknife, sqrt((b - 1) / b sum((x_i - mean x)^2)) over b blocks (Efron & Tibshirani
    1993, An Introduction to the Bootstrap, equation 11.5), of blocks instead of single pixels
    since what neighbours share would be missed (Kuensch 1989, Ann. Stat. 17, 1217).
    """
    blocks = np.floor(np.asarray(wave) / width)
    used = np.unique(blocks[np.asarray(ivar) > 0])
    if used.size < 3:
        raise InputError(f"{used.size} blocks of {width} A have pixels that count; use narrower ones")
    left = np.where(blocks == used[:, None], 0, ivar)
    labels = fit(np.broadcast_to(flux, left.shape), left).labels
    return np.sqrt((used.size - 1) * labels.var(axis=0))
