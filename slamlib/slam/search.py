"""Choose the hyper-parameters of every pixel, fit them, and say how well they predict."""

from dataclasses import dataclass

import numpy as np

from slamlib.errors import InputError
from slamlib.slam.kernel import rbf
from slamlib.slam.krr import fit_krr, loo_error
from slamlib.slam.svr import fit_svr

REGRESSORS = ("svr", "krr")
# Where the search for the stretch of the labels in "krr" starts, in standard deviations:
# flux bends most with Teff, least with [M/H]. Its factor per step, and the pixels it looks at.
_STRETCH, _FACTOR, _PIXELS = (1.5, 1.0, 0.3, 0.4), 1.4, 200


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


def fit_pixels(z, targets, *, hyper, regressor, C, gamma, epsilon, ridge, n_folds, n_search, seed):
    """Search (unless `hyper` is given) and fit all pixels.

    Parameters
    ----------
    z : ndarray, (n, d)
        Standardised labels; the expansions found are in terms of these times
        ``hyper["stretch"]``.
    targets : ndarray, (n, n_pix)
        Standardised flux.
    hyper : dict or None
        What to use for each pixel; searched on the first `n_search` samples when None.
    regressor, C, gamma, epsilon, ridge, n_folds, n_search, seed
        As in `slamlib.slam.model.Slam`.

    Returns
    -------
    PixelFit
    """
    if regressor not in REGRESSORS:
        raise InputError(f"unknown regressor {regressor!r}; use one of {', '.join(REGRESSORS)}")
    if regressor == "krr":
        return _krr(z, targets.astype(float), hyper or _search_krr(z[:n_search], targets[:n_search], ridge))
    if hyper is None:
        hyper = _search_svr(z[:n_search], targets[:n_search], C, gamma, epsilon, n_folds, seed)
        if len(z) > n_search:
            # The error falls with n, so that of the search is too large.
            del hyper["error"]
    if "error" not in hyper:
        hyper = hyper | {"error": _held_out_error(z, targets, hyper, epsilon, n_folds, seed)}
    groups, intercept = _fit_svr_groups(z, targets, hyper, epsilon)
    return PixelFit(hyper, groups, intercept, hyper["error"])


def _krr(z, targets, hyper):
    stretched = z * hyper["stretch"]
    dual, residuals = fit_krr(rbf(stretched, stretched, 1.0), targets, float(hyper["ridge"]))
    groups = [(1.0, np.arange(targets.shape[1]), dual)]
    return PixelFit(hyper, groups, np.zeros(targets.shape[1], np.float32), (residuals**2).mean(axis=0))


def _search_krr(z, targets, ridges):
    """Stretch of each label and ridge of least leave-one-out error, by coordinate descent."""
    some = targets[:, :: max(1, targets.shape[1] // _PIXELS)].astype(float)

    def score(stretch):
        errors = loo_error(rbf(z * stretch, z * stretch, 1.0), some, ridges).mean(axis=1)
        return errors.min(), ridges[errors.argmin()]

    stretch = np.array(_STRETCH[: z.shape[1]])
    best, ridge = score(stretch)
    improved = True
    while improved:
        improved = False
        for label in range(len(stretch)):
            for factor in (_FACTOR, 1 / _FACTOR):
                trial = stretch.copy()
                trial[label] *= factor
                error, trial_ridge = score(trial)
                if error < 0.99 * best:
                    stretch, best, ridge, improved = trial, error, trial_ridge, True
    return {"stretch": stretch, "ridge": np.array(ridge)}


def _search_svr(z, targets, Cs, gammas, epsilon, n_folds, seed):
    """Best C and gamma of every pixel by exhaustive cross-validation, and their error."""
    pairs = [(C, gamma) for gamma in gammas for C in Cs]
    errors = np.zeros((len(pairs), targets.shape[1]))
    parts = list(folds(len(z), n_folds, seed))
    kernels = {gamma: rbf(z, z, gamma).astype(np.float32) for gamma in gammas}
    for row, (C, gamma) in enumerate(pairs):
        for train, test in parts:
            dual, intercept = fit_svr(kernels[gamma][np.ix_(train, train)], targets[train], C, epsilon)
            predicted = kernels[gamma][np.ix_(test, train)] @ dual + intercept
            errors[row] += ((predicted - targets[test]) ** 2).sum(axis=0)
    best = errors.argmin(axis=0)
    chosen = np.array(pairs)[best]
    error = errors.min(axis=0) / len(z)
    return {"C": chosen[:, 0], "gamma": chosen[:, 1], "stretch": np.ones(z.shape[1]), "error": error}


def _held_out_error(z, targets, hyper, epsilon, n_folds, seed):
    """Mean squared error of each pixel on one fold, trained on the others."""
    train, test = next(folds(len(z), n_folds, seed))
    groups, intercept = _fit_svr_groups(z[train], targets[train], hyper, epsilon)
    return ((_predict(z[test], z[train], groups, intercept) - targets[test]) ** 2).mean(axis=0)


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


def _predict(z, centres, groups, intercept):
    predicted = np.empty((len(z), intercept.size), np.float32)
    for gamma, pixels, dual in groups:
        predicted[:, pixels] = rbf(z, centres, gamma).astype(np.float32) @ dual
    return predicted + intercept
