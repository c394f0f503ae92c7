"""Why the labels of model spectra scatter as they do: one cause taken away after another.

The paper's errors at SNR = 100 are 327 K (LRS) and 562 K (MRS), those of its regression on
our models larger. The rows of `forensics` say what the spectra allow, what the regression
adds, which stars do, and what a choice left open changes.
"""

from copy import copy
from dataclasses import replace

import numpy as np
from astropy.table import Table

from slamlib.inference.validate import HeldOut, held_out
from slamlib.labels import NAMES
from slamlib.regression.slam import Slam

# Of the paper's comparison, of little noise, and of noise far below the regression's own error.
SNR, _QUIET, _NO_NOISE = 100.0, 300.0, 1e5
COOL, HOT = 30_000.0, 45_000.0
# Choices that the paper leaves open, and what they are here: options and hyper-parameters.
_CHOICES = (
    ("epsilon = 0.005", {"epsilon": 0.005}, {}),
    ("C = 30", {}, {"C": 30.0}),
    ("gamma = 0.1", {}, {"gamma": 0.1}),
    ("gamma = 1", {}, {"gamma": 1.0}),
)
_BIN = 5_000.0


def forensics(svr, krr, choices=True):
    """Errors of labels of model spectra, and what makes them.

    Parameters
    ----------
    svr, krr : HeldOut
        The paper's regression and kernel ridge, of the same spectra.
    choices : bool
        Also train with other choices, which takes as long as cross-validating several times.

    Returns
    -------
    rows : Table
        instrument; row, which names the experiment; n, the stars; rms error of teff, logg, mh and vsini;
        hot_stars and hot, the share of stars above 45,000 K and their share of the squared error of Teff. SNR
        = 100 unless the row says another. "Cramer-Rao bound" is the rms over the stars, with the derivatives
        of kernel ridge; "own training spectra" are labelled by a model that has seen them.
    by_teff : Table
        Rms error of Teff in bins of 5,000 K: instrument, teff (middle), n, svr, krr and bound.
    """
    true = svr.training.labels
    cool, not_hot = true[:, 0] < COOL, true[:, 0] <= HOT
    bound = krr.bounds() / SNR
    errors = [
        ("Cramer-Rao bound", bound),
        ("Cramer-Rao bound, median star", np.nanmedian(bound, axis=0)[None]),
        ("Cramer-Rao bound, below 30,000 K", bound[cool]),
    ]
    found, quiet, noiseless = svr.labels(SNR, _QUIET, _NO_NOISE) - true
    # Only of the paper's regression `HeldOut` searches from one start alone.
    from_all = replace(svr, regressor="krr").labels(SNR)[0] - true
    seen = _seen(svr).labels(SNR)[0] - true
    errors += [
        ("SVR", found),
        ("SVR, below 30,000 K", found[cool]),
        ("SVR, all starts", from_all),
        (f"SVR, SNR = {_QUIET:.0f}", quiet),
        ("SVR, no noise", noiseless),
        ("SVR, own training spectra", seen),
        ("SVR, own training spectra, up to 45,000 K", seen[not_hot]),
        ("SVR, astroslam's weights", svr.labels(SNR, weigh=astroslam_weights)[0] - true),
    ]
    for name, held in _other_choices(svr) if choices else ():
        errors.append((f"SVR, {name}", held.labels(SNR)[0] - held.training.labels))
    ridge, ridge_noiseless = krr.labels(SNR, _NO_NOISE) - true
    errors += [
        ("KRR", ridge),
        ("KRR, below 30,000 K", ridge[cool]),
        ("KRR, no noise", ridge_noiseless),
    ]
    instrument = svr.training.instrument.name
    rows = [(instrument, name, *_summary(error, true[:, 0] > HOT)) for name, error in errors]
    rows = Table(rows=rows, names=("instrument", "row", "n", *NAMES, "hot_stars", "hot"))
    return rows, _by_teff(instrument, true[:, 0], np.stack([found, ridge, bound])[..., 0])


def share_of_largest_c(svr):
    """Share of the pixels of a `HeldOut` that choose the largest C offered."""
    return float(np.mean(svr.hyper["C"] == max(svr.models[0].C)))


def astroslam_weights(slam, ivar):
    """Return what astroslam fits with (1.2022.1228.1, `Slam3.predict_labels_multi`).

    Pixels whose noise exceeds the spread of their training flux are left out, and to the
    variance of the others is added the square of the regression's mean squared error, in
    units of that spread. Its robust loss (soft L1) is not applied.
    """
    scale = slam.flux_scale_**2
    other = copy(slam)
    other.model_variance_ = slam.model_variance_**2 / scale
    return other, np.where(ivar * scale >= 1, ivar, 0)


def _seen(svr):
    """One model trained on all spectra, which labels some of them."""
    training, first = svr.training, svr.models[0]
    slam = Slam(**first.get_params()).fit(training.labels, training.flux, hyper=svr.hyper).compress(rank=None)
    tests = [np.concatenate(svr.tests)]
    return HeldOut(training, svr.regressor, svr.hyper, [slam], tests, svr.draws[:1])


def _other_choices(svr):
    """Yield the name and `HeldOut` of each: the cool stars alone, then `_CHOICES`."""
    n_folds, seed = len(svr.models), svr.models[0].seed
    same = {"n_folds": n_folds, "max_stars": sum(map(len, svr.tests)), "seed": seed, "progress": False}
    cool = svr.training.labels[:, 0] < COOL
    few = replace(svr.training, labels=svr.training.labels[cool], flux=svr.training.flux[cool])
    yield "trained below 30,000 K", held_out(few, np.random.default_rng(seed), hyper=svr.hyper, **same)
    for name, options, chosen in _CHOICES:
        hyper = svr.hyper | {key: np.full_like(svr.hyper[key], value) for key, value in chosen.items()}
        held = held_out(svr.training, np.random.default_rng(seed), hyper=hyper, **options, **same)
        yield name, replace(held, tests=svr.tests, draws=svr.draws)


def _summary(error, hot):
    done = np.isfinite(error).all(axis=1)
    rms = np.sqrt(np.mean(error[done] ** 2, axis=0))
    shares = np.nan, np.nan
    if len(error) == len(hot):
        squared = error[done, 0] ** 2
        shares = float(hot[done].mean()), float(squared[hot[done]].sum() / squared.sum())
    return int(done.sum()), *rms.tolist(), *shares


def _by_teff(instrument, teff, errors):
    done = np.isfinite(errors).all(axis=0)
    rows = []
    for low in np.arange(15_000.0, 55_000.0, _BIN):
        some = done & (teff >= low) & (teff < low + _BIN)
        if some.any():
            rms = np.sqrt(np.mean(errors[:, some] ** 2, axis=1))
            rows.append((instrument, low + _BIN / 2, int(some.sum()), *rms.tolist()))
    return Table(rows=rows, names=("instrument", "teff", "n", "svr", "krr", "bound"))
