"""High-resolution spectra as a survey's spectrograph would have taken them."""

import math
from dataclasses import replace

import numpy as np
from scipy.ndimage import gaussian_filter1d

from slamlib.errors import InputError
from slamlib.instruments import TELLURIC, get_instrument
from slamlib.spectra.prepare import prepare_with_velocity
from slamlib.spectra.spectrum import Spectrum, to_instrument

_FWHM = 2 * math.sqrt(2 * math.log(2))
# Steps of the output in a sigma of the Gaussian, and the least Gaussian in units of the final one.
_STEPS, _LEAST_SIGMA = 5, 0.1
# A pixel this many times wider than the median spans a gap.
_GAP_WIDTHS = 3.0
# Share of what the Gaussian reaches that must hold flux.
_COVERED = 0.9


def degrade(wave, flux, resolution_from, resolution_to):
    """Lower the resolving power of a spectrum by a Gaussian of constant width in velocity.

    Parameters
    ----------
    wave : array_like, (n,)
        Increasing [A], of any sampling, also that of merged echelle orders.
    flux : array_like, (n,)
        nan where there is none.
    resolution_from, resolution_to : float
        Resolving power lambda / FWHM before and after.

    Returns
    -------
    wave, flux : ndarray, (m,)
        On equal steps of log wavelength, five in a sigma of the Gaussian. The flux is nan where
        more than a tenth of what the Gaussian reaches is missing: there, and at the ends.

    Raises
    ------
    InputError
        If the resolution is not to be lowered, or if the pixels are too coarse for it.

    Notes
    -----
    Gaussians convolve to a Gaussian, so FWHM = c (R_to^-2 - R_from^-2)^(1/2) in velocity. The
    flux is the mean of the pixels' weighted by their width times the Gaussian. Pixels are put
    on the output steps first, each shared between two: that widens by 1/6 of a squared step,
    which is taken off the Gaussian.
    """
    if not 0 < resolution_to < resolution_from:
        raise InputError(f"cannot degrade R = {resolution_from} to R = {resolution_to}, which must be lower")
    log_wave, flux = np.log(np.asarray(wave, dtype=float)), np.asarray(flux, dtype=float)
    width = np.gradient(log_wave)
    pixel = np.median(width)
    sigma = math.sqrt(resolution_to**-2 - resolution_from**-2) / _FWHM
    if pixel > 2 * sigma:
        raise InputError(
            f"pixels of {pixel * np.median(wave):.2g} A are too coarse to degrade R = {resolution_from:.0f} "
            f"to R = {resolution_to:.0f}; leave this spectrum out"
        )
    step = max(sigma, _LEAST_SIGMA / (_FWHM * resolution_to)) / _STEPS
    known = np.isfinite(flux)
    weight = np.where(known, np.minimum(width, _GAP_WIDTHS * pixel), 0.0)
    place = (log_wave - log_wave[0]) / step
    before = place.astype(int)
    after = place - before
    size = before[-1] + 2
    smooth = []
    for values in (weight, weight * np.where(known, flux, 0.0)):
        low, high = values * (1 - after), values * after
        on_steps = np.bincount(before, low, size) + np.bincount(before + 1, high, size)
        blur = math.sqrt(max((sigma / step) ** 2 - 1 / 6, 0.0))
        smooth.append(gaussian_filter1d(on_steps, blur, mode="constant") / step)
    covered = smooth[0] > _COVERED
    out = np.divide(smooth[1], smooth[0], out=np.full(size, np.nan), where=covered)
    return np.exp(log_wave[0] + step * np.arange(size)), out


def without_telluric(wave, flux):
    """Return the flux of a spectrum from the ground, nan within `TELLURIC`."""
    bands = [(wave >= first) & (wave <= last) for first, last in TELLURIC]
    return np.where(np.any(bands, axis=0), np.nan, flux)


def to_lamost(wave, flux, resolution, instrument, snr, header=None, rng=None):
    """Turn a high-resolution spectrum in air [A], nan where there is no flux, into a `Spectrum` of LAMOST.

    It has the instrument's pixels and a margin; pixels not covered are masked. Its ivar claims `snr` per
    pixel; `rng`, if given, draws that noise. InputError if no pixel is covered.
    """
    instrument = get_instrument(instrument)
    wide = instrument.widened()
    fine, smooth = degrade(wave, flux, resolution, instrument.resolution)
    flux, ivar = to_instrument(fine, smooth, np.isfinite(smooth).astype(float), wide)
    missing = ivar == 0
    if missing.all():
        raise InputError(f"no flux where {instrument.name} observes; leave this spectrum out")
    sigma = np.maximum(flux, 1e-3 * np.median(flux[~missing])) / snr
    if rng is not None:
        flux = flux + sigma * rng.normal(size=flux.size)
    return Spectrum(wide.wave, flux, np.where(missing, 0, sigma**-2), missing, dict(header or {}))


def prepare_hires(wave, flux, resolution, instrument, snr, templates, header=None, rng=None):
    """Send a high-resolution spectrum down the path of survey spectra; an arm may be missing.

    Parameters are those of `to_lamost`, and the `VelocityTemplates`. Returns flux and ivar (n_pix,),
    normalised and at rest, flux = 1 and ivar = 0 in arms that the spectrum covers less than half, and the
    velocity as `slamlib.spectra.prepare.prepare_with_velocity` gives it. InputError if no arm is covered, or
    the spectrum cannot be prepared.
    """
    instrument = get_instrument(instrument)
    spectrum = to_lamost(wave, flux, resolution, instrument, snr, header, rng)
    covered = ~np.interp(instrument.wave, spectrum.wave, spectrum.mask).astype(bool)
    arms = [i for i, arm in enumerate(instrument.arm_slices) if covered[arm].mean() > 0.5]
    if not arms:
        raise InputError(f"less than half of each arm of {instrument.name} has flux; leave this spectrum out")
    part = replace(instrument, arms=tuple(instrument.arms[i] for i in arms))
    pixels = np.isin(instrument.wave, part.wave)
    out_flux, out_ivar = np.ones(instrument.wave.size), np.zeros(instrument.wave.size)
    out_flux[pixels], out_ivar[pixels], velocity = prepare_with_velocity(spectrum, part, templates)
    return out_flux, out_ivar, velocity
