"""Choose the hyper-parameters of every pixel, fit them, and say how well they predict."""

from dataclasses import dataclass

import numpy as np

from slamlib.errors import InputError
from slamlib.regression.kernel import rbf
from slamlib.regression.krr import fit_krr
from slamlib.regression.svr.fit import fit_svr

REGRESSORS = ("svr", "krr")
SEARCHES = ("screened", "exhaustive")
# Spectra that hyper-parameters are chosen on, unless told otherwise.
N_SEARCH = {"svr": 1500, "krr": 600}
# A screened search tries every C and gamma on every 20th pixel, drops those that are best in
# less than 1% of them, and judges the others on at least 150 spectra: on 500 the flux of unseen
# spectra is 0.5% nearer, in four times the time.
_SCREENED, _RARE, _JUDGES = 20, 0.01, 150
# Tolerance of fits that only choose, in widths of half the tube: it changes their errors by less than 0.1%,
# in half the time.
_ROUGH = 0.2
# Where the search for the stretch of the labels in "krr" starts, in standard deviations: flux bends most with
# Teff, least with [M/H] and what else there is. Its factor per step, and the pixels it looks at.
_STRETCH, _OTHER, _FACTOR, _PIXELS = (1.5, 1.0, 0.3, 0.4), 0.3, 1.4, 200


@dataclass(frozen=True)
class PixelFit:
    """Fitted pixels: what was chosen, the expansions, and their cross-validated error.

    `groups` holds (gamma, pixels, dual (n, n_group)); `error` is the mean squared error of
    each pixel on spectra it was not trained on, in standardised flux.
    """

    hyper: dict
    groups: list
    intercept: np.ndarray
    error: np.ndarray


def folds(n, n_folds, seed):
    """Yield (train, test) indices of `n_folds` random parts of `n` samples.

    Examples
    --------
    >>> [test.size for train, test in folds(10, 5, seed=0)]
    [2, 2, 2, 2, 2]
    """
    shuffled = np.random.default_rng(seed).permutation(n)
    for test in np.array_split(shuffled, n_folds):
        yield np.setdiff1d(np.arange(n), test), np.sort(test)


def choose(z, targets, *, regressor, search, C, gamma, epsilon, ridge, n_folds, n_search, seed):
    """Hyper-parameters of all pixels, for standardised labels (n, d) and flux (n, n_pix).

    The other arguments are those of `slamlib.regression.slam.Slam`. Returns a dict: C and gamma of each pixel
    and their cross-validated mean squared error, or the ridge; and the stretch of each label.
    """
    if regressor not in REGRESSORS:
        raise InputError(f"unknown regressor {regressor!r}; use one of {', '.join(REGRESSORS)}")
    if search not in SEARCHES:
        raise InputError(f"unknown search {search!r}; use one of {', '.join(SEARCHES)}")
    pairs = [(c, g) for g in gamma for c in C]
    if regressor == "svr" and search == "exhaustive":
        return _best(z, targets, pairs, epsilon, list(folds(len(z), n_folds, seed)))
    few = slice(n_search or N_SEARCH[regressor])
    z, targets = z[few], targets[few]
    if regressor == "krr":
        return _search_krr(z, targets, ridge)
    judges = list(folds(len(z), n_folds, seed))[: -(-_JUDGES * n_folds // len(z))]
    screened = _best(z, targets[:, ::_SCREENED], pairs, epsilon, judges)
    winners, wins = np.unique(
        np.stack([screened["C"], screened["gamma"]], axis=1), axis=0, return_counts=True
    )
    winners = winners[wins >= _RARE * wins.sum()]
    return _best(z, targets, [tuple(pair) for pair in winners], epsilon, judges)


def fit_pixels(z, targets, hyper=None, **params):
    """Fit all pixels, with `hyper` or what `choose` finds: a `PixelFit`; `params` are those of `choose`.

    The expansions found are in terms of ``z * hyper["stretch"]``.
    """
    regressor, epsilon = params["regressor"], params["epsilon"]
    chosen = choose(z, targets, **params) if hyper is None else hyper
    if regressor == "krr":
        return _krr(z, targets.astype(float), chosen)
    searched = len(z) if params["search"] == "exhaustive" else params["n_search"] or N_SEARCH["svr"]
    if hyper is None and searched < len(z):
        # The error falls with n, so that of the search is too large.
        parts = next(folds(len(z), params["n_folds"], params["seed"]))
        chosen = chosen | {"error": _held_out_error(z, targets, chosen, epsilon, *parts)}
    groups, intercept = _fit_svr_groups(z, targets, chosen, epsilon)
    return PixelFit(chosen, groups, intercept, chosen["error"])


def _krr(z, targets, hyper):
    stretched = z * hyper["stretch"]
    dual, residuals = fit_krr(rbf(stretched, stretched, 1.0), targets, float(hyper["ridge"]))
    groups = [(1.0, np.arange(targets.shape[1]), dual)]
    return PixelFit(hyper, groups, np.zeros(targets.shape[1], np.float32), (residuals**2).mean(axis=0))


def _search_krr(z, targets, ridges):
    """Stretch of each label and ridge of least leave-one-out error, by coordinate descent."""
    some, ridges = targets[:, :: max(1, targets.shape[1] // _PIXELS)].astype(float), np.sort(ridges)

    def score(stretch, place):
        _, residuals = fit_krr(rbf(z * stretch, z * stretch, 1.0), some, ridges[place])
        return (residuals**2).mean()

    found = np.array([*_STRETCH, *[_OTHER] * z.shape[1]][: z.shape[1]]), len(ridges) // 2
    factors = [_FACTOR ** (sign * unit) for unit in np.eye(z.shape[1]) for sign in (1, -1)]
    best, improved = score(*found), True
    while improved:
        improved = False
        for factor, step in [*((factor, 0) for factor in factors), (1, 1), (1, -1)]:
            trial = found[0] * factor, min(max(found[1] + step, 0), len(ridges) - 1)
            error = score(*trial)
            if error < 0.99 * best:
                found, best, improved = trial, error, True
    return {"stretch": found[0], "ridge": np.array(ridges[found[1]])}


def _best(z, targets, pairs, epsilon, parts):
    errors = pair_errors(z, targets, pairs, epsilon, parts)
    chosen = np.array(pairs)[errors.argmin(axis=0)]
    return {
        "C": chosen[:, 0],
        "gamma": chosen[:, 1],
        "stretch": np.ones(z.shape[1]),
        "error": errors.min(axis=0),
    }


def pair_errors(z, targets, pairs, epsilon, parts):
    """Mean squared error of held-out spectra for each (C, gamma) and pixel: (n_pairs, n_pix).

    `z` and `targets` are as in `choose`; `parts` are indices of samples, (train, test), as `folds` gives
    them.
    """
    errors = np.zeros((len(pairs), targets.shape[1]))
    kernels = {gamma: rbf(z, z, gamma).astype(np.float32) for _, gamma in pairs}
    for row, (C, gamma) in enumerate(pairs):
        for train, test in parts:
            shared = kernels[gamma][np.ix_(train, train)]
            dual, intercept = fit_svr(shared, targets[train], C, epsilon, max(_ROUGH * epsilon, 1e-3))
            predicted = kernels[gamma][np.ix_(test, train)] @ dual + intercept
            errors[row] += ((predicted - targets[test]) ** 2).sum(axis=0)
    return errors / sum(len(test) for _, test in parts)


def _held_out_error(z, targets, hyper, epsilon, train, test):
    groups, intercept = _fit_svr_groups(z[train], targets[train], hyper, epsilon)
    predicted = np.empty((len(test), intercept.size), np.float32)
    for gamma, pixels, dual in groups:
        predicted[:, pixels] = rbf(z[test], z[train], gamma).astype(np.float32) @ dual
    return ((predicted + intercept - targets[test]) ** 2).mean(axis=0)


def _fit_svr_groups(z, targets, hyper, epsilon):
    intercept = np.empty(targets.shape[1], np.float32)
    groups = []
    for gamma in np.unique(hyper["gamma"]):
        kernel = rbf(z, z, gamma).astype(np.float32)
        pixels = np.flatnonzero(hyper["gamma"] == gamma)
        dual = np.empty((len(z), pixels.size), np.float32)
        for C in np.unique(hyper["C"][pixels]):
            these = hyper["C"][pixels] == C
            dual[:, these], intercept[pixels[these]] = fit_svr(kernel, targets[:, pixels[these]], C, epsilon)
        groups.append((float(gamma), pixels, dual))
    return groups, intercept
