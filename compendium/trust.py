"""Do labels and errors hold? Pulls, coverage, failures and efficiency on simulated stars.

The stars are drawn and observed like those that the systematics were measured on, but they
are other stars (`slamlib.labelling.calibration`).
"""

from dataclasses import replace

import numpy as np
from astropy.stats import mad_std
from astropy.table import Table
from scipy.stats import multivariate_t
from tqdm import tqdm

from slamlib.grid.training import observe
from slamlib.inference.infer import infer
from slamlib.inference.posterior import LogPosterior
from slamlib.inference.validate import cramer_rao
from slamlib.labelling.calibration import mean_of_most, pulls_of, spread
from slamlib.labels import LABELS, NAMES, rotation_of

_VSINI = rotation_of(LABELS)

# Two chi-squares that differ by more are not of the same minimum.
_WORSE = 1.0
# A velocity further off than this many times the typical error has failed, or further than
# this [km/s], whatever the typical error.
_ASTRAY, _FAR = 5.0, 100.0
# Draws that the weights of a posterior must rest on.
_LEAST_DRAWS = 50


def observed_samples(observatory, snrs, n, seed, progress=True):
    """`n` simulated stars at each SNR, prepared: {snr: Observed}, and how many had no velocity."""
    samples, lost = {}, {}
    for snr in tqdm(snrs, desc=f"stars {observatory.instrument.name}", unit="SNR", disable=not progress):
        rows = observatory.draw(n, snr, seed)
        samples[snr] = observatory.observe(rows, seed)
        lost[snr] = len(rows) - len(samples[snr].labels)
    return samples, lost


def calibration(labeller, instrument, samples):
    """Measure pulls, coverage and efficiency of the labels of `samples`, `Observed` stars by SNR.

    Returns
    -------
    Table
        instrument, snr, label, n, scatter (1.48 median absolute deviation), bias (median), error (median of
        those quoted), pull_mean (of pulls within 5), pull_width (half the 16-84% range), cover68, cover95,
        crb_ratio (scatter over the median Cramer-Rao bound of photon noise) and outliers (fraction beyond 5
        sigma). v sin i: of stars fast enough to be measured.
    """
    rows = []
    for snr, stars in samples.items():
        found = labeller.fit(stars.flux, stars.ivar)
        bound = cramer_rao(labeller.slam, stars.labels, stars.ivar)
        pulls = pulls_of(found, stars, bound, labeller.systematics.blur)
        for i, label in enumerate(NAMES):
            kept = np.isfinite(pulls[:, i])
            pull, error = pulls[kept, i], (found.labels - stars.labels)[kept, i]
            scatter = mad_std(error)
            rows.append(
                {
                    "instrument": instrument,
                    "snr": snr,
                    "label": label,
                    "n": int(kept.sum()),
                    "scatter": scatter,
                    "bias": np.median(error),
                    "error": np.median(found.errors[kept, i]),
                    "pull_mean": mean_of_most(pull),
                    "pull_width": spread(pull),
                    "cover68": np.mean(np.abs(pull) < 1),
                    "cover95": np.mean(np.abs(pull) < 1.96),
                    "crb_ratio": scatter / np.median(bound[kept, i]),
                    "outliers": np.mean(np.abs(pull) > 5),
                }
            )
    return Table(rows)


def failures(labeller, instrument, samples, lost):
    """How often a fit ends in the wrong minimum, and a velocity astray, of samples as of `calibration`.

    `lost` has the stars without a velocity at each SNR.

    Returns
    -------
    Table
        instrument, snr, n, one_start (fraction of stars whose chi-square is larger if the search starts from
        the nearest model alone), multimodal and limits (fractions), limits_hold (fraction of the upper limits
        of v sin i that the truth is below), rv_scatter [km/s] and rv_failed (fraction).
    """
    rows = []
    for snr, stars in samples.items():
        alone, fit = (labeller.fit(stars.flux, stars.ivar, reject=None, starts=starts) for starts in (1, 2))
        worse = (alone.chi2 - fit.chi2) * (fit.n_pix - len(NAMES)) > _WORSE
        limited = np.isfinite(fit.vsini_limit)
        held = stars.labels[limited, _VSINI] <= fit.vsini_limit[limited]
        typical = spread(stars.rv_error)
        astray = (np.abs(stars.rv_error) > min(_ASTRAY * typical, _FAR)).sum() + lost[snr]
        rows.append(
            {
                "instrument": instrument,
                "snr": snr,
                "n": len(stars.labels),
                "one_start": np.mean(worse),
                "multimodal": np.mean(fit.status == "multimodal"),
                "limits": np.mean(limited),
                "limits_hold": np.mean(held) if limited.any() else np.nan,
                "rv_scatter": typical,
                "rv_failed": astray / (len(stars.labels) + lost[snr]),
            }
        )
    return Table(rows)


def velocity_effect(labeller, grid, labels, velocity):
    """How far each label moves when a spectrum is off by `velocity` [km/s]: median over stars, (d,).

    Noise-free model spectra, shifted and not, are labelled; `labels` (m, d) lie in the grid.
    """
    coordinates, vsini = grid.split(labels)
    flux = grid.weights(coordinates).astype(np.float32) @ grid.flux
    flux = np.concatenate(
        [observe(flux, grid, labeller.instrument, vsini, velocity=v) for v in (0.0, velocity)]
    )
    ivar = np.broadcast_to(np.float32(1e4) * labeller.instrument.good, flux.shape)
    rest, moved = np.split(labeller.fit(flux, ivar, reject=None).labels, 2)
    return np.median(np.abs(moved - rest), axis=0)


def ranks(labeller, samples, rng, n_draws=2000):
    """Rank of the truth among draws from the posterior, for every star and label, in 0..1.

    Simulation-based calibration (Talts et al. 2018, arXiv:1804.06788): uniform if posteriors mean what they
    say. The draws come from a t distribution (5 degrees of freedom) about the fit, weighted to the posterior
    of `LogPosterior`; a star whose weights rest on fewer than 50 draws is left out (NaN). Outlying pixels are
    kept, in fit and posterior. Returns ranks, (m, 4), and the standard deviation of the posterior over the
    error of the fit, (m, 4).
    """
    known = labeller.systematics
    blank = {name: np.zeros_like(getattr(known, name)) for name in ("offset", "blur")}
    raw = replace(known, inflation=np.ones_like(known.inflation), **blank)
    found, quoted = (infer(labeller.slam, samples.flux, samples.ivar, part) for part in (raw, known))
    result = np.full((2, *samples.labels.shape), np.nan)
    for star in tqdm(range(len(samples.labels)), desc="posteriors", unit="star"):
        if found.status[star] not in ("ok", "multimodal"):
            continue
        posterior = LogPosterior(labeller.slam, samples.flux[star], samples.ivar[star], systematics=known)
        around = multivariate_t(found.labels[star], found.covariance[star], df=5, allow_singular=True)
        draws = around.rvs(n_draws, random_state=rng)
        log_weight = posterior(draws) - around.logpdf(draws)
        weight = np.exp(log_weight - log_weight.max())
        weight /= weight.sum()
        if 1 / (weight**2).sum() < _LEAST_DRAWS:
            continue
        draws = rng.choice(draws, n_draws, p=weight)
        draws = known.widen(labeller.slam, draws, samples.ivar[[star]], posterior.bounds, rng)
        result[0, star] = np.mean(draws < samples.labels[star], axis=0)
        result[1, star] = draws.std(axis=0) / quoted.errors[star]
    return result
