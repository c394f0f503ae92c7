"""The same continuum on both sides: model spectra divided as observed ones are.

The clipped spline of the survey runs below the true continuum wherever wide lines leave it no pixel to hold
on to; it eats the wings of the Balmer lines. A model trained on true continua then finds log g too low.
Trained on spectra that went through the same division, it does not.
"""

import numpy as np
from joblib import Parallel, delayed
from tqdm import tqdm

from slamlib.errors import InputError
from slamlib.instruments import get_instrument
from slamlib.spectra.prepare import normalise
from slamlib.threads import blas_threads, n_cores

# Spectra handed to a process at once.
_CHUNK = 64


def match_continuum(flux, instrument, snr, rng, draws=3, progress=False):
    """Divide noise-free model spectra by the pseudo-continuum they would have when observed.

    The continuum is fitted to the spectrum with a realistic slope and noise, since its clipping depends on
    the noise; the flux divided by it stays free of noise.

    Parameters
    ----------
    flux : ndarray, (n, n_wide)
        Spectra divided by their true continuum, on the pixels of ``instrument.widened()``; else InputError.
    instrument : Instrument or str
    snr : float
        Signal-to-noise ratio per pixel during the fit.
    rng : numpy.random.Generator
    draws : int
        Spectra of different noise and slope whose divided fluxes are averaged, since one fit wanders with
        its noise.
    progress : bool

    Returns
    -------
    ndarray of float32, (n, n_pix)
        On the pixels of `instrument`.
    """
    instrument = get_instrument(instrument)
    wide = instrument.widened()
    if flux.ndim != 2 or flux.shape[1] != wide.wave.size:
        told = f"flux {flux.shape} must be (n, {wide.wave.size})"
        raise InputError(f"{told}: synthesise it for instrument.widened()")
    inner = np.concatenate(
        [
            np.arange(outer.start, outer.stop)[_within(wide.wave[outer], instrument.wave[arm])]
            for outer, arm in zip(wide.arm_slices, instrument.arm_slices, strict=True)
        ]
    )
    parts = [flux[start : start + _CHUNK] for start in range(0, len(flux), _CHUNK)]
    bar = tqdm(total=len(flux), disable=not progress, desc=f"continuum {instrument.name}", unit="spectrum")
    matched = []
    # A stream for each part: the same numbers on any number of cores.
    jobs = zip(parts, rng.spawn(len(parts)), strict=True)
    with blas_threads(1), bar:
        pool = Parallel(n_jobs=min(n_cores(), len(parts)) or 1, return_as="generator")
        calls = (delayed(_corrected)(part, instrument, snr, stream, draws) for part, stream in jobs)
        for corrected in pool(calls):
            matched.append(corrected[:, inner].astype(np.float32))
            bar.update(len(corrected))
    return np.concatenate(matched) if matched else np.empty((0, inner.size), np.float32)


def _corrected(flux, instrument, snr, rng, draws):
    wide = instrument.widened()
    ivar = np.full(wide.wave.size, float(snr) ** 2)
    corrected = np.zeros_like(flux, dtype=float)
    for spectrum, result in zip(flux, corrected, strict=True):
        for _ in range(draws):
            # The slope of a hot star under the dust of a random amount, blue to red.
            slope = (wide.wave / wide.wave.mean()) ** rng.uniform(-4.0, 1.0)
            observed = slope * (spectrum + rng.normal(0, 1 / snr, wide.wave.size))
            divided, _ = normalise(wide.wave, observed, ivar, instrument)
            result += spectrum * slope * divided / observed / draws
    return corrected


def _within(outer, inner):
    half = (inner[1] - inner[0]) / 2
    return (outer > inner[0] - half) & (outer < inner[-1] + half)
