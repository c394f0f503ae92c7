"""Rotation, instrument profile and rebinning of spectra on a log-wavelength grid.

On such a grid a velocity is a number of pixels, so that rotation, macroturbulence, an instrument profile of
constant resolving power and a Doppler shift are all products in Fourier space. Their transforms are known in
closed form: nothing is sampled, and the result is exact down to v sin i = 0.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy import fft
from scipy.sparse import csc_array
from scipy.special import j1

from slamlib.errors import InputError
from slamlib.instruments import C_KMS

LIMB_DARKENING = 0.6
# Gaussian transforms below this are zero in float32 next to the line depths they multiply.
_NEGLIGIBLE = 1e-9


def rotation_transform(u, limb_darkening=LIMB_DARKENING):
    """Fourier transform of Gray's rotation profile, of the shape of `u`.

    The profile is equation 18.14 of Gray (2005, The Observation and Analysis of Stellar Photospheres, 3rd
    ed.); its transform is the sum of a Bessel term (the uniform disc) and an elementary one (the limb
    darkening), equal to 1 at u = 0. `u` is 2 pi times frequency [s/km] times v sin i [km/s], `limb_darkening`
    the linear coefficient epsilon, 0 to 1.

    Examples
    --------
    >>> float(rotation_transform(0.0))
    1.0
    """
    u = np.asarray(u, dtype=float)
    small = np.abs(u) < 0.05
    safe = np.where(small, 1.0, u)
    disc = np.where(small, 0.5 - u**2 / 16 + u**4 / 384, j1(safe) / safe)
    limb = np.where(small, 1 / 3 - u**2 / 30 + u**4 / 840, (np.sin(safe) - safe * np.cos(safe)) / safe**3)
    return 2 * ((1 - limb_darkening) * disc + limb_darkening * limb) / (1 - limb_darkening / 3)


def instrument_sigma(resolution):
    """Gaussian sigma [km/s] of an instrument profile of resolving power lambda / FWHM."""
    return C_KMS / np.asarray(resolution, dtype=float) / np.sqrt(8 * np.log(2))


def broaden(
    flux: ArrayLike,
    dv: float,
    vsini: ArrayLike = 0.0,
    sigma: ArrayLike = 0.0,
    velocity: ArrayLike = 0.0,
    limb_darkening: float = LIMB_DARKENING,
) -> np.ndarray:
    """Rotate, smooth and shift normalised spectra on a log-wavelength grid.

    Parameters
    ----------
    flux : array_like, (n, n_pix)
        Normalised spectra; 1 is assumed beyond both ends.
    dv : float
        Pixel width [km/s].
    vsini, sigma, velocity : float or array_like, (n,)
        Projected rotation, Gaussian sigma and redshift of each spectrum [km/s].
    limb_darkening : float
        Linear coefficient epsilon of the rotation profile.

    Returns
    -------
    ndarray of float32, (n, n_pix)

    Raises
    ------
    InputError
        If a velocity is negative (save `velocity`), or anything is not finite.
    """
    flux = np.atleast_2d(np.asarray(flux, dtype=np.float32))
    n, n_pix = flux.shape
    vsini, sigma, velocity = (np.broadcast_to(np.asarray(v, float), n) for v in (vsini, sigma, velocity))
    for name, values in (("vsini", vsini), ("sigma", sigma)):
        if not (np.isfinite(values) & (values >= 0)).all():
            raise InputError(f"{name} must be finite and >= 0 km/s; got {values.min()} to {values.max()}")
    if not (np.isfinite(velocity).all() and np.isfinite(flux).all()):
        raise InputError("velocity or flux is not finite; mend the pixel, or it spoils its whole spectrum")
    reach = np.max(vsini + 6 * sigma + np.abs(velocity), initial=0.0)
    length = fft.next_fast_len(n_pix + int(np.ceil(reach / dv)) + 1, real=True)
    transform = fft.rfft(1 - flux, length, axis=1)
    # Above the highest frequency that any Gaussian passes there is nothing to compute.
    frequency = fft.rfftfreq(length, dv)
    highest = np.sqrt(-2 * np.log(_NEGLIGIBLE)) / (2 * np.pi * max(sigma.min(initial=np.inf), 1e-9))
    passed = frequency <= highest
    k = 2 * np.pi * frequency[passed]
    response = rotation_transform(k * vsini[:, None], limb_darkening)
    response = response * np.exp(-((k * sigma[:, None]) ** 2) / 2)
    if velocity.any():
        response = response * np.exp(-1j * k * velocity[:, None])
    transform[:, passed] *= response
    transform[:, ~passed] = 0
    return 1 - fft.irfft(transform, length, axis=1)[:, :n_pix].astype(np.float32, copy=False)


def pixel_edges(centres):
    """Edges of pixels half-way between their centres, (2, n_pix): lower, upper."""
    middle = (centres[1:] + centres[:-1]) / 2
    first, last = 2 * centres[0] - middle[0], 2 * centres[-1] - middle[-1]
    return np.stack([np.append(first, middle), np.append(middle, last)])


def rebin_matrix(edges_in, edges_out):
    """Flux-conserving rebinning as a sparse float32 matrix, (n_in, n_out): ``flux_out = flux_in @ matrix``.

    Each output pixel is the mean of the input flux density over its width, so that the sum of flux times
    width is conserved. Edges are lower and upper, (2, n); input pixels are contiguous and ascending, output
    pixels need not be. InputError if an output pixel reaches beyond the input.
    """
    lower, upper = edges_out
    if lower.min() < edges_in[0, 0] or upper.max() > edges_in[1, -1]:
        raise InputError(
            f"pixels from {lower.min():.1f} to {upper.max():.1f} A are wanted but the spectra cover "
            f"only {edges_in[0, 0]:.1f} to {edges_in[1, -1]:.1f} A; use a grid that covers the instrument"
        )
    first = np.searchsorted(edges_in[1], lower, side="right")
    last = np.searchsorted(edges_in[0], upper, side="left")
    count = last - first
    column = np.repeat(np.arange(lower.size), count)
    row = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)
    overlap = np.minimum(edges_in[1, row], upper[column]) - np.maximum(edges_in[0, row], lower[column])
    weight = (overlap / (upper - lower)[column]).astype(np.float32)
    return csc_array((weight, (row, column)), shape=(edges_in.shape[1], lower.size))
