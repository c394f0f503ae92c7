"""Radial velocity by cross-correlation with template spectra; shift to the rest frame."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import fft

from slamlib.errors import InputError
from slamlib.instruments import C_KMS


class Velocity(NamedTuple):
    """Radial velocity and its error [km/s], the template that correlates best, and the coefficient."""

    rv: float
    e_rv: float
    template: int
    peak: float


class KnownVelocities(NamedTuple):
    """Heliocentric velocities of a catalogue [km/s] by obsid; of stars that it lacks they are measured."""

    catalogue: Mapping
    templates: "VelocityTemplates"


def shift_to_rest(wave, rv):
    """Rest wavelengths of light received at `wave` from a source receding at `rv` [km/s].

    Examples
    --------
    >>> float(shift_to_rest(5000.0, 0.0))
    5000.0
    """
    return np.asarray(wave, dtype=float) / (1 + rv / C_KMS)


def radial_velocity(
    wave: ArrayLike,
    flux: ArrayLike,
    ivar: ArrayLike,
    template_wave: ArrayLike,
    template_flux: ArrayLike,
    max_velocity: float = 600.0,
    step: float = 10.0,
) -> Velocity:
    """Radial velocity of one normalised spectrum; see `VelocityTemplates` for many.

    Parameters
    ----------
    wave, flux, ivar : array_like, (n,)
        As `VelocityTemplates.measure` takes them.
    template_wave, template_flux, max_velocity, step
        As `VelocityTemplates` takes them.

    Returns
    -------
    Velocity
        (rv, e_rv, template, peak)
    """
    return VelocityTemplates(template_wave, template_flux, max_velocity, step).measure(wave, flux, ivar)


class VelocityTemplates:
    """Template spectra on a log-wavelength grid, ready to be correlated with many spectra.

    Parameters
    ----------
    wave : array_like, (n,)
        Rest wavelengths in air [A], increasing and without a gap.
    flux : array_like, (n_templates, n) or (n,)
        Normalised model spectra at the resolution of the instrument.
    max_velocity : float
        Velocities between minus and plus this are searched [km/s].
    step : float
        Step of the grid [km/s]: about an eighth of the instrument's resolution element or
        less (20 for LRS, 5 for MRS), for a parabola to fit the peak.

    Raises
    ------
    InputError
        If shapes differ, the flux is not finite or the search range holds too few steps.

    Notes
    -----
    Line depths d of the observed pixels are compared with template depths t shifted by v
    through the weighted correlation coefficient C(v), the weights being ivar: every
    amplitude and offset of the template is allowed, so that neither the depth of the
    lines nor an error of the continuum matters. Since chi2(v) = S_dd (1 - C^2), the
    largest C is the best fit. The error is that of Zucker 2003, MNRAS 342, 1291,

        sigma^2 = - [N (C''/C) C^2 / (1 - C^2)]^-1,

    N the number of pixels; what the template fails to fit counts as noise, taken to be
    independent from pixel to pixel. On simulated OB stars that holds for LRS (SNR 30 to
    300) and for MRS at SNR = 30; at MRS and SNR >= 100 the misfit of a coarse set of
    templates dominates, 1 to 2 km/s, and the error is too small by 2 to 3. Rotated
    templates (0, 60, 120, 180 km/s) halve the misfit.

    The observed pixels are not resampled, which would correlate their noise. Each lies between two points of
    the template grid and is shared between them, so that the sums, taken for all shifts by FFT, are those
    over observed pixels against the linearly interpolated template.
    """

    def __init__(self, wave, flux, max_velocity=600.0, step=10.0):
        wave, flux = np.asarray(wave, dtype=float), np.atleast_2d(np.asarray(flux, dtype=float))
        if wave.ndim != 1 or flux.ndim != 2 or flux.shape[1] != wave.size or not (np.diff(wave) > 0).all():
            raise InputError(
                f"templates of shape {flux.shape} on {wave.shape} wavelengths; expected "
                "(n_templates, n) on n increasing wavelengths"
            )
        if not np.isfinite(flux).all():
            raise InputError("a template holds flux that is not finite; remove that template")
        self.wave, self.flux, self.max_velocity, self.step = wave, flux, max_velocity, step
        self._n_lags = int(max_velocity / step)
        if self._n_lags < 2:
            raise InputError(f"a search of +-{max_velocity} km/s in steps of {step} km/s has too few steps")
        self._step = step / C_KMS
        self._start = np.log(wave[0])
        self._size = int((np.log(wave[-1]) - self._start) / self._step) + 1
        self._length = fft.next_fast_len(self._size + 2 * self._n_lags + 2, real=True)
        grid = np.exp(self._start + self._step * np.arange(self._size))
        depth = np.array([1 - np.interp(grid, wave, spectrum) for spectrum in flux])
        self._depth = fft.rfft(depth, self._length).conj()
        self._square = fft.rfft(depth**2, self._length).conj()
        self._product = fft.rfft(depth[:, :-1] * depth[:, 1:], self._length).conj()

    def measure(self, wave, flux, ivar):
        """Radial velocity of one spectrum, a `Velocity`.

        Parameters
        ----------
        wave : array_like, (n,)
            Observed wavelengths in air [A], any order and sampling.
        flux, ivar : array_like, (n,)
            Normalised flux; ivar is 0 where a pixel is to be ignored.

        Raises
        ------
        InputError
            If fewer than 10 good pixels lie where the templates reach at every velocity,
            the spectrum is flat, or it resembles no template at any velocity within the range.
        """
        position, depth, weight = self._observed(wave, flux, ivar)
        n, sum_w = weight.size, weight.sum()
        mean = np.sum(weight * depth) / sum_w
        variance = np.sum(weight * (depth - mean) ** 2)
        if variance <= 0:
            raise InputError("a spectrum without lines or noise has no radial velocity")
        # Between grid points the template is (1 - a) t_j + a t_(j+1).
        j = position.astype(int)
        a = position - j
        weighted = weight * (depth - mean)
        covariance = self._lags(self._put(j, weighted * (1 - a), weighted * a) * self._depth)
        sum_t = self._lags(self._put(j, weight * (1 - a), weight * a) * self._depth)
        squares = self._put(j, weight * (1 - a) ** 2, weight * a**2) * self._square
        sum_tt = self._lags(squares + self._put(j, 2 * weight * a * (1 - a), 0 * a) * self._product)
        power = np.maximum(sum_tt - sum_t**2 / sum_w, 1e-12 * sum_w) * variance
        lag, template, curvature, height = _peak(covariance / np.sqrt(power))
        rv = C_KMS * np.expm1((lag - self._n_lags) * self._step)
        noise = max(1 - height**2, np.finfo(float).eps)
        e_rv = C_KMS * self._step * np.sqrt(noise / (n * height * curvature))
        return Velocity(float(rv), float(e_rv), int(template), float(height))

    def _observed(self, wave, flux, ivar):
        """Grid positions, depths and weights of the pixels that every shift keeps on the grid."""
        wave, flux, ivar = (np.asarray(array, dtype=float) for array in (wave, flux, ivar))
        position = (np.log(wave) - self._start) / self._step
        margin = self._n_lags + 1
        good = (ivar > 0) & (position > margin) & (position < self._size - 1 - margin)
        if good.sum() < 10:
            told = f"only {good.sum()} good pixels within reach of the templates"
            raise InputError(f"{told}; a velocity needs at least 10")
        if not np.isfinite(flux[good]).all():
            raise InputError("the flux is not finite at pixels of positive ivar; set their ivar to 0")
        return position[good], 1 - flux[good], ivar[good]

    def _put(self, j, here, next_):
        """Transform of values put at grid points j and j + 1."""
        grid = np.bincount(j, here, minlength=self._length)
        return fft.rfft(grid + np.bincount(j + 1, next_, minlength=self._length))

    def _lags(self, transform):
        """Correlation at lags -n_lags ... n_lags, (n_templates, 2 n_lags + 1)."""
        lags = np.arange(-self._n_lags, self._n_lags + 1)
        return fft.irfft(transform, self._length)[:, lags]


def _peak(correlation):
    """Position, template, curvature and height of the highest local maximum, by a parabola."""
    inner = correlation[:, 1:-1]
    is_peak = (inner > correlation[:, :-2]) & (inner >= correlation[:, 2:]) & (inner > 0)
    if not is_peak.any():
        raise InputError("no lines of hot stars were found, at any velocity; leave this spectrum out")
    template, lag = np.unravel_index(np.argmax(np.where(is_peak, inner, -np.inf)), inner.shape)
    before, top, after = correlation[template, lag : lag + 3]
    curvature = 2 * top - before - after
    shift = 0.5 * (after - before) / curvature
    return lag + 1 + shift, template, curvature, top + 0.25 * (after - before) * shift
