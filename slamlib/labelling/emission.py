"""Emission in H alpha and H beta, and what is left of a spectrum without these lines."""

import numpy as np

# Centres in air [A], and what is left out about them where there is emission [A].
LINES, REACH = (6562.8, 4861.3), 20.0
# The excess is the median over these half-widths [A], the larger one: of a filled core, or of two peaks.
_CORES = (3.0, 6.0)
# Excess in units of the continuum, and in standard errors of a median, that counts. Simulated stars
# without emission stay below 0.02 at SNR 100; lines of B dwarfs are rather deeper than the models'.
LEAST, CLEARLY = 0.03, 4.0
# Without this share of the pixels within REACH of H alpha, there is no H alpha to tell gravity.
_LEAST_COVERED = 0.5


def excess(instrument, flux, ivar, model):
    """Flux above the model in the core of H alpha, or of H beta where H alpha is not seen, (m,).

    Discs, winds and nebulae fill H alpha more than H beta: where H alpha is as the model has it, a residual
    in H beta is the model's. Flux, ivar and model (m, n_pix) are normalised; pixels that a fit rejects count
    too. The excess is in units of the continuum, NaN where neither line is seen; it is emission, a second
    array, above `LEAST` and above `CLEARLY` standard errors.
    """
    largest, clear = np.full(len(flux), np.nan), np.zeros(len(flux), dtype=bool)
    for centre in LINES:
        unseen = np.isnan(largest)
        for half in _CORES:
            core = np.abs(instrument.wave - centre) < half
            good = ivar[:, core] > 0
            seen = np.flatnonzero(unseen & (good.sum(axis=1) > _LEAST_COVERED * max(core.sum(), 1)))
            good, residual = good[seen], (flux - model)[seen][:, core]
            above = np.ma.median(np.ma.array(residual, mask=~good), axis=1).filled(np.nan)
            variance = np.where(good, 1 / np.where(good, ivar[seen][:, core], 1), 0).sum(axis=1)
            error = np.sqrt(np.pi / 2 * variance) / np.maximum(good.sum(axis=1), 1)
            largest[seen] = np.fmax(largest[seen], above)
            clear[seen] |= above > np.maximum(LEAST, CLEARLY * error)
    return largest, clear


def without_lines(instrument, ivar):
    """Ivar (m, n_pix) that is 0 within `REACH` of H alpha and H beta."""
    return np.where(_within(instrument, LINES), 0, ivar)


def lacks_h_alpha(instrument, ivar):
    """Tell which spectra (m, n_pix) have less than half of the pixels about H alpha, (m,)."""
    line = _within(instrument, LINES[:1])
    return (ivar[:, line] > 0).sum(axis=1) < _LEAST_COVERED * max(line.sum(), 1)


def _within(instrument, centres):
    return (np.abs(instrument.wave[:, None] - centres) < REACH).any(axis=1)
