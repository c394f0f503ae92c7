"""Telluric lines of water about H alpha: found in a spectrum, and left out.

They deepen the wings of H alpha, and so raise log g at MRS. Their velocity, that of the Earth in a
heliocentric spectrum, is measured, since few files tell it. A spectrum that was corrected for them, or
was taken in dry air, stays as it is.
"""

import numpy as np
from scipy.ndimage import gaussian_filter1d, median_filter

from slamlib.instruments import C_KMS

# Wavelength in air [A] and depth, measured in the ELODIE spectrum of gamma Peg (R = 42,000), whose
# wavelengths are those at the telescope.
LINES = np.array(
    [
        *[(6515.85, 0.11), (6516.58, 0.43), (6517.09, 0.13), (6518.02, 0.12), (6519.47, 0.20)],
        *[(6523.83, 0.20), (6530.59, 0.06), (6532.36, 0.24), (6534.01, 0.11), (6536.72, 0.08)],
        *[(6542.31, 0.11), (6543.91, 0.32), (6547.70, 0.14), (6548.62, 0.24), (6552.63, 0.28)],
        *[(6553.78, 0.09), (6557.18, 0.15), (6558.15, 0.05), (6560.50, 0.07), (6564.20, 0.18)],
        *[(6568.80, 0.07), (6572.09, 0.22), (6574.86, 0.29), (6580.80, 0.10), (6586.54, 0.12)],
        *[(6594.37, 0.06), (6599.32, 0.02)],
    ]
)
# Lower resolving powers blend the lines with those of the star.
_LEAST_RESOLUTION = 3600.0
# Velocities tried and the largest of the Earth [km/s]; structure wider than this [A] is the star's.
_TRIED, _EARTH, _WIDE = 50.0, 32.0, 6.0
# Water is found if the lines together are as strong as this, in standard errors, and this many times
# stronger than at any velocity further away than this [km/s], where lines of the star may pass for them.
_CLEARLY, _ABOVE, _APART = 4.0, 1.4, 20.0
_FWHM = 2.3548


def velocity_of_water(wave, flux, ivar, resolution):
    """Measure the velocity of the lines of water, NaN where there are none.

    Parameters
    ----------
    wave : ndarray, (n,)
        Air, increasing, as observed [A].
    flux, ivar : ndarray, (n,)
        Normalised.
    resolution : float
        Resolving power.

    Returns
    -------
    float
        [km/s], by the strength of all lines together.
    """
    near = np.flatnonzero((wave > LINES[0, 0] - _WIDE) & (wave < LINES[-1, 0] + _WIDE))
    if resolution < _LEAST_RESOLUTION or (ivar[near] > 0).sum() < LINES.size:
        return np.nan
    wave, flux, ivar = wave[near], flux[near], ivar[near]
    step = np.median(np.diff(wave))
    depth = median_filter(flux, 2 * int(_WIDE / 2 / step) + 1) - flux
    depth -= np.average(depth, weights=ivar)
    sigma = wave.mean() / resolution / _FWHM / step
    # A matched filter: a line at each pixel, weighed by ivar, and its inverse variance.
    seen = gaussian_filter1d(ivar * depth, sigma)
    known = gaussian_filter1d(ivar, sigma / np.sqrt(2)) / (2 * np.sqrt(np.pi) * sigma)
    velocities = np.arange(-_TRIED, _TRIED + 1, C_KMS / resolution / 16)
    at = LINES[:, 0] * (1 + velocities[:, None] / C_KMS)
    error = np.sqrt((LINES[:, 1] ** 2 * np.interp(at, wave, known, 0, 0)).sum(axis=1))
    each = LINES[:, 1] * np.interp(at, wave, seen, 0, 0) / np.maximum(error, np.finfo(float).tiny)[:, None]
    best = each.sum(axis=1).argmax()
    # Without the line that tells most: it may be one of the star.
    strength = each.sum(axis=1) - each.max(axis=1)
    others = strength[np.abs(velocities - velocities[best]) > _APART].max()
    found = abs(velocities[best]) < _EARTH and strength[best] > max(_CLEARLY, _ABOVE * others)
    return float(velocities[best]) if found else np.nan


def without_water(wave, flux, ivar, resolution):
    """Return ivar that is 0 in the lines of water, if there are any: arguments as `velocity_of_water`."""
    velocity = velocity_of_water(wave, flux, ivar, resolution)
    if np.isnan(velocity):
        return ivar
    half = LINES[:, 0] / resolution / 2
    at = LINES[:, 0] * (1 + velocity / C_KMS)
    return np.where((np.abs(wave[:, None] - at) < half).any(axis=1), 0.0, ivar)
