"""Pseudo-continuum by a clipped smoothing spline."""

import numpy as np
from scipy.linalg import solveh_banded

from slamlib.errors import InputError

# Fewest good pixels that a continuum may rest on.
MIN_PIXELS = 50
# Least sigma that clips, in units of the median flux. Without it a model spectrum, whose
# line-free windows have no scatter, loses whole windows to the global median residual.
_MIN_SIGMA = 0.002
# Pixels this many times brighter than the median are accidents, and spoil the first fit.
_MAX_FLUX = 100.0


def smoothing_spline(x, y, smoothing, x_new):
    """Natural cubic smoothing spline through (x, y), evaluated at `x_new`.

    It minimises sum (y - f)^2 + smoothing * integral f''^2: 0 interpolates, large values tend to the straight
    line of least squares. In the csaps convention that the reference code uses (p sum (y - f)^2 + (1 - p)
    integral f''^2) smoothing = (1 - p) / p. `x` (n,) increases strictly, n >= 4; beyond its ends the spline
    goes on as a straight line.

    Reinsch's algorithm (Green & Silverman 1994, Nonparametric Regression and Generalized Linear Models,
    sections 2.3.3 and 2.4.2): one pentadiagonal system for the second derivatives.
    """
    h = np.diff(x)
    # Columns of Q hold 1/h_(i-1), -(1/h_(i-1) + 1/h_i), 1/h_i; R is tridiagonal.
    left, right = 1 / h[:-1], 1 / h[1:]
    middle = -(left + right)
    system = np.zeros((3, x.size - 2))
    system[2] = (h[:-1] + h[1:]) / 3 + smoothing * (left**2 + middle**2 + right**2)
    system[1, 1:] = h[1:-1] / 6 + smoothing * (middle[:-1] * left[1:] + right[:-1] * middle[1:])
    system[0, 2:] = smoothing * right[:-2] * left[2:]
    curvature = np.zeros(x.size)
    curvature[1:-1] = solveh_banded(system, np.diff(np.diff(y) / h), check_finite=False)
    # f = y - smoothing Q curvature
    fitted = y - smoothing * np.diff(np.diff(curvature) / h, prepend=0.0, append=0.0)
    return _evaluate(x, fitted, curvature, h, x_new)


def _evaluate(x, value, curvature, h, x_new):
    k = np.clip(np.searchsorted(x, x_new, side="right") - 1, 0, x.size - 2)
    before, after = x_new - x[k], x[k + 1] - x_new
    straight = (before * value[k + 1] + after * value[k]) / h[k]
    bend = (1 + before / h[k]) * curvature[k + 1] + (1 + after / h[k]) * curvature[k]
    inside = straight - before * after * bend / 6
    slope_first = (value[1] - value[0]) / h[0] - h[0] * curvature[1] / 6
    slope_last = (value[-1] - value[-2]) / h[-1] + h[-1] * curvature[-2] / 6
    low, high = value[0] + slope_first * (x_new - x[0]), value[-1] + slope_last * (x_new - x[-1])
    outside = np.where(x_new < x[0], low, high)
    return np.where((x_new < x[0]) | (x_new > x[-1]), outside, inside)


def pseudo_continuum(wave, flux, ivar, smoothing=1e6, clip=(-1.0, 3.0), n_iter=3, half_window=30.0):
    """Pseudo-continuum of an absorption spectrum, as footnote 9 of Guo et al. 2021.

    Fit a smoothing spline to the good pixels; drop those whose residual lies more than 1 sigma below or 3
    sigma above the median residual; three times; then fit once more. Every good pixel weighs the same, as in
    the reference code (laspec, `normalize_spectrum_spline`, p = 1e-6): weights from ivar would pull the
    continuum down to the bottoms of lines, where photon noise is least.

    Parameters
    ----------
    wave : array_like, (n,)
        One arm, increasing [A]. Treat arms with a gap between them one by one.
    flux : array_like, (n,)
        Not nan where ivar > 0.
    ivar : array_like, (n,)
        Pixels with ivar = 0 are ignored, and so are those 100 times the median flux.
    smoothing : float
        Stiffness [A^3 per pixel]; (1 - p) / p of csaps. Structure narrower than about
        2 pi (smoothing * pixel)^(1/4) is taken for lines. A sum over pixels is balanced
        against an integral over A, so a grid k times finer needs k times the smoothing.
    clip : (float, float)
        Kept residuals, in sigma about the median.
    n_iter : int
        Number of clips.
    half_window : float
        Sigma is the standard deviation of the good residuals within this distance [A], and
        at least 0.2% of the median flux.

    Returns
    -------
    ndarray, (n,)
        The continuum at every pixel, good or bad, in the units of the flux.

    Raises
    ------
    InputError
        If flux is nan at a good pixel, fewer than 50 good pixels are left, or their
        median flux is not positive.

    Notes
    -----
    The lopsided clip lifts the continuum of a noisy spectrum: for models of B stars by
    0.8% at SNR = 30, 0.2% at 100 and 0.05% at 300, against the continuum of the same
    spectrum without noise.
    """
    wave, flux, ivar = (np.asarray(array, dtype=float) for array in (wave, flux, ivar))
    good = ivar > 0
    if not np.isfinite(flux[good]).all():
        raise InputError("the flux is not finite at pixels of positive ivar; set their ivar to 0")
    _require_enough(good)
    # In units of the median flux the outcome cannot depend on the flux unit by rounding.
    scale = np.median(flux[good])
    if scale <= 0:
        told = f"the median flux is {scale:.3g}: no continuum to divide by"
        raise InputError(f"{told}; leave this spectrum out")
    good = good & (np.abs(flux) < _MAX_FLUX * scale)
    _require_enough(good)
    scaled = np.where(good, flux / scale, 0.0)
    nodes = np.linspace(wave[0], wave[-1], int(np.ceil((wave[-1] - wave[0]) / half_window)) + 1)
    usable = good
    for _ in range(n_iter):
        residual = scaled - smoothing_spline(wave[good], scaled[good], smoothing, wave)
        local = _local_sigma(wave, residual, good, nodes, half_window)
        sigma = np.maximum(np.interp(wave, nodes, local), _MIN_SIGMA)
        excess = residual - np.median(residual[usable])
        good = good & (excess > clip[0] * sigma) & (excess < clip[1] * sigma)
        _require_enough(good)
    return scale * smoothing_spline(wave[good], scaled[good], smoothing, wave)


def _require_enough(good):
    if good.sum() < MIN_PIXELS:
        raise InputError(
            f"only {good.sum()} good pixels for the continuum, at least {MIN_PIXELS} are needed; "
            "leave this spectrum or arm out"
        )


def _local_sigma(wave, residual, good, nodes, half_window):
    """Return the standard deviation of the good residuals around each node."""
    first = np.searchsorted(wave[good], nodes - half_window, side="left")
    last = np.searchsorted(wave[good], nodes + half_window, side="right")
    sums = [np.concatenate([[0.0], np.cumsum(residual[good] ** power)]) for power in (1, 2)]
    count = np.maximum(last - first, 1)
    mean, square = ((total[last] - total[first]) / count for total in sums)
    sigma = np.sqrt(np.maximum(square - mean**2, 0.0))
    # A window with no good pixel learns its scatter from its neighbours.
    filled = last - first > 1
    return np.interp(nodes, nodes[filled], sigma[filled])
