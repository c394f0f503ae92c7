"""T4, degeneracy: chi-square surfaces, chains, and a cool star that fits as a hot one."""

from functools import cache

import emcee
import numpy as np
from scipy.stats import chi2 as chi2_distribution

from compendium.teaching.checks import call, exercise, judge
from compendium.teaching.classroom import trained, training
from slamlib.inference.infer import default_bounds, infer
from slamlib.inference.posterior import LogPosterior
from slamlib.inference.validate import noisy
from slamlib.instruments import LRS

# The star of this lesson: one that no training has seen, at an SNR where two solutions compete.
SNR, DECISIVE = 8.0, 9.0
_ROW, _SEED = 30, 1
# Two temperatures [K] that compete: near the truth, and too hot.
COOL, HOT = 21_000.0, 30_000.0
_N_WALKERS, _N_STEPS, _N_BURN = 40, 500, 150


def truth():
    """Labels that the star was made with, (4,)."""
    return training(200, 2).labels[_ROW]


def star(snr=SNR):
    """Flux and inverse variance of the star, (n_pix,); with None, noise of `SNR` that is not there."""
    exact = training(200, 2).flux
    flux, ivar = noisy(exact, snr or SNR, LRS.good, np.random.default_rng(_SEED))
    return (exact if snr is None else flux)[_ROW], ivar[_ROW]


@cache
def posterior():
    """Return the `LogPosterior` of the star's labels, uniform prior over the training labels."""
    known = trained().training_labels_
    flux, ivar = star()
    return LogPosterior(trained(), flux, ivar, np.stack([known.min(axis=0), known.max(axis=0)]))


def profile(teffs, flux, ivar):
    """Least chi-square (k,) at each Teff [K], all other labels free, and the labels (k, 4)."""
    bounds = default_bounds(trained())
    found = []
    for teff in teffs:
        bounds[:, 0] = teff - 0.5, teff + 0.5
        found.append(infer(trained(), flux, ivar, bounds=bounds, starts=1))
    chi2 = np.concatenate([fit.chi2 * (fit.n_pix - 4) for fit in found])
    return chi2, np.concatenate([fit.labels for fit in found])


@cache
def solutions(snr=SNR):
    """Return the best chi-square (2,) and labels (2, 4) of the star at `COOL` and at `HOT`."""
    return profile((COOL, HOT), *star(snr))


@cache
def chain(seed=0):
    """Labels of a chain of emcee, (n, 4), its walkers started around both solutions."""
    target = posterior()
    rng = np.random.default_rng(seed)
    near = np.repeat(solutions()[1], _N_WALKERS // 2, axis=0)
    start = near + 0.1 * trained().training_labels_.std(axis=0) * rng.normal(size=near.shape)
    inset = 1e-3 * (target.bounds[1] - target.bounds[0]) * rng.random(start.shape)
    start = np.clip(start, target.bounds[0] + inset, target.bounds[1] - inset)
    sampler = emcee.EnsembleSampler(_N_WALKERS, 4, target, vectorize=True)
    state = emcee.State(start, random_state=np.random.RandomState(seed).get_state())
    sampler.run_mcmc(state, _N_BURN + _N_STEPS)
    return sampler.get_chain(discard=_N_BURN, flat=True)


@exercise("T4.1")
def _chi2(answer):
    rng = np.random.default_rng(2)
    model, ivar = rng.uniform(0.5, 1, 40), rng.uniform(0, 900, 40)
    flux = model + rng.normal(0, 0.05, 40)
    residual = flux - model
    truth = np.sum(ivar * residual**2)
    usual = [
        (np.sum(residual**2), "the noise is missing: weigh each square by ivar"),
        (np.sum(np.sqrt(ivar) * residual**2), "ivar is 1 / sigma squared; use it whole"),
        (np.mean(ivar * residual**2), "the sum, not the mean"),
        (-truth / 2, "that is the logarithm of the likelihood; chi-square is -2 times that"),
    ]
    judge(call(answer, flux, ivar, model), truth, usual, rtol=1e-6, hint="sum of ivar * (flux - model)^2")
    return "pixels with ivar = 0 drop out by themselves."


@exercise("T4.2")
def _threshold(answer):
    share = chi2_distribution.cdf(1, 1)
    truth = chi2_distribution.ppf(share, 2)
    usual = [
        (1.0, "that holds 68% of one label; of two together it holds only 39%"),
        (chi2_distribution.ppf(share, 3), "that is for three labels; the map has two"),
        (share, "that is the probability itself; ask which chi-square has it (ppf)"),
        (chi2_distribution.ppf(0.95, 2), "that holds 95%"),
    ]
    judge(answer, truth, usual, rtol=0.01, hint="scipy.stats.chi2.ppf(probability, number of labels)")
    return "the contour of two labels is wider than one label's error bar."


@exercise("T4.3")
def _odds(answer):
    gap = np.diff(solutions()[0])[0]
    truth = np.exp(-gap / 2)
    usual = [
        (1 / truth, "upside down: hot over cool"),
        (np.exp(-gap), "half of chi-square: likelihood = exp(-chi2 / 2)"),
        (np.divide(*solutions()[0]), "a ratio of chi-squares means nothing; take their difference"),
    ]
    judge(answer, truth, usual, rtol=0.02, hint="exp(-(chi2 of hot - chi2 of cool) / 2)")
    return "noise has turned the scales: the star was made cool." if truth > 1 else "not enough to decide."


@exercise("T4.4")
def _accept(answer):
    for old, new in ((-10.0, -12.0), (-12.0, -10.0), (-5.0, -5.1)):
        truth = min(1.0, np.exp(new - old))
        usual = [
            (min(1.0, np.exp(old - new)), "new minus old: better places are always accepted"),
            (np.exp(new - old), "a probability is at most 1"),
            (min(1.0, np.exp((new - old) / 2)), "the half is already in the log-posterior"),
            (float(new > old), "worse places must sometimes be accepted, or the chain only climbs"),
        ]
        judge(call(answer, old, new), truth, usual, rtol=1e-6, atol=1e-12, hint="min(1, ratio of posteriors)")
    return "so a chain stays at each place in proportion to its probability."


@exercise("T4.5")
def _correlation(answer):
    teff, logg = chain()[:, :2].T
    truth = np.corrcoef(teff, logg)[0, 1]
    usual = [
        (np.cov(teff, logg)[0, 1], "that is the covariance; divide by both standard deviations"),
        (-truth, "the sign is the other way round"),
    ]
    judge(answer, truth, usual, rtol=0.01, hint="np.corrcoef of the first two columns")
    return "an error in Teff brings one in log g."


@exercise("T4.6")
def _decisive(answer):
    gap = np.diff(solutions(None)[0])[0]
    truth = SNR * np.sqrt(DECISIVE / gap)
    usual = [(SNR * DECISIVE / gap, "chi-square grows with the square of SNR")]
    judge(answer, truth, usual, rtol=0.02, hint="chi-square differences grow as SNR squared")
    return f"at SNR {truth:.0f} the hot solution would be out by 3 sigma."
