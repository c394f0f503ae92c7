"""Errors of labels that no model of the noise foresees: how far single lines pull them.

The models of a real star are wrong from line to line: abundances, microturbulence, levels in
LTE, the continuum. Such errors are in no covariance measured on simulated stars, but they show
when the parts of a spectrum disagree on the labels more than their noise lets them.
"""

import numpy as np

from slamlib.inference.fitted import at_fits
from slamlib.inference.solve import LEAST_INFORMATION

# Wider than a Balmer line's core and its nearest neighbours, so that blocks err apart.
BLOCK = 60.0
# Fewer blocks tell nothing of how they differ.
_LEAST_BLOCKS = 3
# Least share of what is known that is left without a block; none would be infinite leverage.
_LEAST_LEFT = 1e-4


def block_errors(slam, wave, flux, ivar, labels, systematics=None, reject=None, width=BLOCK):
    """Find the errors of labels (m, d) from the disagreement of blocks of wavelengths, `width` [A] wide.

    `wave` (n_pix,) are the model's pixels [A]; `labels` are what `slamlib.inference.infer.infer` found for
    these spectra (m, n_pix) with these `systematics` and `reject`. NaN for a star without labels, or whose
    good pixels fill fewer than three blocks; InputError as `infer`.

    Notes
    -----
    With gradient u_b and Hessian H_b of half the chi-square that block b adds, at the fit, the
    covariance is the sandwich H^-1 (sum_b v_b v_b') H^-1 (Huber 1967), where v_b is u_b made as
    large as it would be had the fit not followed the block: R^-1 (1 - R H_b R)^-1/2 R u_b with
    R = H^-1/2 (CR2 of Bell & McCaffrey 2002, Survey Methodology 28, 169). So noise alone gives
    the errors of the fit even where one block knows nearly all, as H-alpha does of log g in
    MRS. To leave out that block, the jackknife, would overrate it there.
    """
    return at_fits([BlockErrors(slam, wave, width)], slam, flux, ivar, labels, systematics, reject)[0]


class BlockErrors:
    """The measure behind `block_errors`, for `slamlib.inference.fitted.at_fits`."""

    def __init__(self, slam, wave, width=BLOCK):
        number = np.floor(np.asarray(wave) / width)
        self.firsts = np.flatnonzero(np.diff(number, prepend=-np.inf))
        self.width, self.scale = len(slam.names), slam.label_scale_

    def __call__(self, likelihood, z):
        """Return the errors (m, d) at standardised labels."""
        return _sandwich(*likelihood.without_each(z, self.firsts)) * self.scale


def _sandwich(gradient, hessian, used):
    """Errors (m, d) from what `Likelihood.without_each` gives."""
    all_gradient, all_hessian = gradient[:, :1], hessian[:, :1]
    root = _inverse_root(all_hessian, LEAST_INFORMATION)
    # Seen from the minimum, where labels that were corrected afterwards are not.
    step = root @ root @ all_gradient[..., None]
    pull = root @ (gradient[:, 1:, :, None] - hessian[:, 1:] @ step)
    pull = root @ (_inverse_root(root @ hessian[:, 1:] @ root, _LEAST_LEFT) @ pull)
    errors = np.sqrt((pull[..., 0] ** 2).sum(axis=1))
    return np.where(used.sum(axis=1)[:, None] < _LEAST_BLOCKS, np.nan, errors)


def _inverse_root(matrices, least):
    values, vectors = np.linalg.eigh(matrices)
    return (vectors / np.sqrt(np.maximum(values, least))[..., None, :]) @ vectors.swapaxes(-1, -2)
