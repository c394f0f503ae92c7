"""The same continuum on both sides: model spectra divided as observed ones are.

The clipped spline of the survey runs below the true continuum wherever wide lines leave it
no pixel to hold on to; it eats the wings of the Balmer lines. A model trained on true
continua then finds log g too low. Trained on spectra that went through the same division,
it does not.
"""

import numpy as np
from tqdm import tqdm

from slamlib.errors import InputError
from slamlib.instruments import get_instrument
from slamlib.survey.prepare import normalise


def match_continuum(flux, instrument, snr, rng, draws=3, progress=False):
    """Divide noise-free model spectra by the pseudo-continuum they would have when observed.

    The continuum is fitted to the spectrum with a realistic slope and noise, since its
    clipping depends on the noise; the flux divided by it stays free of noise.

    Parameters
    ----------
    flux : ndarray, (n, n_wide)
        Spectra divided by their true continuum, on the pixels of ``instrument.widened()``.
    instrument : Instrument or str
    snr : float
        Signal-to-noise ratio per pixel during the fit.
    rng : numpy.random.Generator
    draws : int
        Spectra of different noise and slope whose divided fluxes are averaged, since one
        fit wanders with its noise.
    progress : bool

    Returns
    -------
    ndarray of float32, (n, n_pix)
        On the pixels of `instrument`.

    Raises
    ------
    InputError
        If `flux` is not on the widened pixels.
    """
    instrument = get_instrument(instrument)
    wide = instrument.widened()
    if flux.ndim != 2 or flux.shape[1] != wide.wave.size:
        raise InputError(
            f"flux {flux.shape} must be (n, {wide.wave.size}): synthesise it for instrument.widened()"
        )
    inner = np.concatenate(
        [
            np.arange(outer.start, outer.stop)[_within(wide.wave[outer], instrument.wave[arm])]
            for outer, arm in zip(wide.arm_slices, instrument.arm_slices, strict=True)
        ]
    )
    ivar = np.full(wide.wave.size, float(snr) ** 2)
    matched = np.empty((len(flux), inner.size), dtype=np.float32)
    for i in tqdm(
        range(len(flux)), disable=not progress, desc=f"continuum {instrument.name}", unit="spectrum"
    ):
        correction = np.zeros(wide.wave.size)
        for _ in range(draws):
            # The slope of a hot star under the dust of a random amount, blue to red.
            slope = (wide.wave / wide.wave.mean()) ** rng.uniform(-4.0, 1.0)
            observed = slope * (flux[i] + rng.normal(0, 1 / snr, wide.wave.size))
            divided, _ = normalise(wide.wave, observed, ivar, instrument)
            correction += slope * divided / observed / draws
        matched[i] = (flux[i] * correction)[inner]
    return matched


def _within(outer, inner):
    half = (inner[1] - inner[0]) / 2
    return (outer > inner[0] - half) & (outer < inner[-1] + half)
