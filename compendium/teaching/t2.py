"""T2, learning a spectrum: support vectors and kernel ridge in one pixel, then in many."""

from functools import cache

import numpy as np
from sklearn.model_selection import KFold, cross_val_score
from sklearn.svm import SVR

from compendium.teaching.checks import call, exercise, judge
from compendium.teaching.classroom import models, training
from slamlib.grid.training import synthesise
from slamlib.instruments import LRS
from slamlib.regression.kernel import rbf
from slamlib.regression.krr import fit_krr
from slamlib.regression.slam import Slam

WAVE = 4471.0
# The tube of the pictures; libsvm's tolerance, so that support vectors are told by their residuals.
EPSILON, TOLERANCE = 0.1, 1e-6
CS, GAMMAS = (0.1, 1.0, 10.0), (0.1, 1.0, 10.0, 100.0)
FOLDS = KFold(5, shuffle=True, random_state=0)
RIDGE = 1e-4
SIZES = (50, 100, 200, 400)
_N, _SEED = 24, 3
# Every so many pixels of LRS make the lesson quick.
_EVERY = 100


def flux_at(teff):
    """Flux of the core of He I 4471 in LRS models of log g = 4, solar metals, 50 km/s, (n,)."""
    labels = np.column_stack([teff, *(np.full(len(teff), value) for value in (4.0, 0.0, 50.0))])
    return synthesise(models(), labels, "LRS")[:, np.abs(LRS.wave - WAVE).argmin()].astype(float)


@cache
def pixel():
    """One pixel to learn: x, y, x_new, y_new, standardised Teff and flux of 24 models and 300 between."""
    teff = np.sort(np.random.default_rng(_SEED).uniform(15_000, 50_000, _N))
    teff_new = np.linspace(teff[0], teff[-1], 300)
    flux, flux_new = flux_at(teff), flux_at(teff_new)
    x, x_new = ((t - teff.mean()) / teff.std() for t in (teff, teff_new))
    y, y_new = ((f - flux.mean()) / flux.std() for f in (flux, flux_new))
    return x, y, x_new, y_new


def machine(C=10.0, gamma=1.0, epsilon=EPSILON):
    """Return scikit-learn's support-vector regression of the pixel, fitted."""
    x, y, *_ = pixel()
    return SVR(C=C, gamma=gamma, epsilon=epsilon, tol=TOLERANCE).fit(x[:, None], y)


@cache
def learning_curve():
    """Rms error of unseen flux, in standard deviations of a pixel, at each of `SIZES`: "krr" and "svr"."""
    known, unseen = training(), training(200, 2)
    flux, new = known.flux[:, ::_EVERY], unseen.flux[:, ::_EVERY]
    scale = flux.std(axis=0)
    errors = {}
    for name in ("krr", "svr"):
        fits = [Slam(name, search="exhaustive").fit(known.labels[:n], flux[:n]) for n in SIZES]
        off = ((fit.predict(unseen.labels) - new) / scale for fit in fits)
        errors[name] = np.array([np.sqrt(np.mean(part**2)) for part in off])
    return errors


@exercise("T2.1")
def _kernel(answer):
    a, b = np.array([0.0, 0.5, 2.0]), np.array([0.1, 1.5])
    for gamma in (0.3, 2.0):
        truth = rbf(a[:, None], b[:, None], gamma)
        apart = np.abs(a[:, None] - b)
        usual = [
            (np.exp(gamma * apart**2), "it grows with distance; a minus is missing in the exponent"),
            (np.exp(-gamma * apart), "square the distance"),
            (np.exp(-(apart**2) / (2 * gamma**2)), "here gamma multiplies; it is no width"),
        ]
        judge(call(answer, a, b, gamma), truth, usual, rtol=1e-6, hint="exp(-gamma (a - b)^2), one row per a")
    return "a bump of height 1 whose width is 1 / sqrt(2 gamma)."


@exercise("T2.2")
def _loss(answer):
    residual, epsilon = np.array([-0.3, -0.02, 0.0, 0.04, 0.25]), 0.05
    size = np.abs(residual)
    usual = [
        (size, "inside the tube errors are free"),
        (size - epsilon, "inside the tube you pay back: the least loss is 0"),
        (residual**2, "that is least squares; here the loss grows with the distance from the tube itself"),
        (np.maximum(residual - epsilon, 0), "too low counts as well as too high: take the absolute value"),
    ]
    truth = np.maximum(size - epsilon, 0)
    judge(call(answer, residual, epsilon), truth, usual, rtol=1e-6, atol=1e-9)
    return f"of five errors {np.sum(truth == 0)} cost nothing."


@exercise("T2.3")
def _supports(answer):
    x, y, *_ = pixel()
    fit = machine()
    truth = np.isin(np.arange(x.size), fit.support_)
    residual = y - fit.predict(x[:, None])
    usual = [
        (~truth, "those lie inside the tube, where the fit does not feel them"),
        (truth & (residual > 0), "points below the tube hold it too"),
    ]
    hint = "a support vector lies on the edge of the tube or outside: |residual| >= epsilon, up to rounding"
    judge(answer, truth, usual, rtol=0, hint=hint)
    return f"{truth.sum()} of {truth.size} models hold the curve; scikit-learn names the same ones."


@exercise("T2.4")
def _choice(answer):
    x, y, *_ = pixel()
    pairs = [(C, gamma) for C in CS for gamma in GAMMAS]
    machines = [SVR(C=C, gamma=gamma, epsilon=0.05, tol=TOLERANCE) for C, gamma in pairs]
    about = {"cv": FOLDS, "scoring": "neg_mean_squared_error"}
    score = [cross_val_score(machine, x[:, None], y, **about).mean() for machine in machines]
    truth, worst = pairs[int(np.argmax(score))], pairs[int(np.argmin(score))]
    usual = [
        (worst, "that is the worst pair; the score is minus the error, so that the largest is best"),
        (truth[::-1], "C first, then gamma"),
    ]
    judge(answer, truth, usual, rtol=1e-6, hint="give (C, gamma) of the largest mean score over the folds")
    return f"rms error {np.sqrt(-max(score)):.2f} against {np.sqrt(-min(score)):.2f} of the worst pair."


@exercise("T2.5")
def _ridge(answer):
    x, y, *_ = pixel()
    kernel = rbf(x[:, None], x[:, None], 1.0)
    truth, _ = fit_krr(kernel, y[:, None], RIDGE)
    unit = np.eye(x.size)
    usual = [
        (kernel @ y, "that multiplies by the kernel; solve for the weights instead"),
        (np.linalg.solve(kernel + RIDGE, y), "add the ridge to the diagonal only: RIDGE * np.eye(n)"),
        (np.linalg.solve(kernel - RIDGE * unit, y), "the ridge is added, not taken away"),
    ]
    judge(answer, truth[:, 0], usual, rtol=1e-3, hint="np.linalg.solve(kernel + RIDGE * np.eye(n), y)")
    return "one linear system, and it serves every pixel: only the right-hand side changes."


@exercise("T2.6")
def _fewer(answer):
    error = learning_curve()
    target = np.log(error["svr"][-1])
    truth = np.exp(np.interp(-target, -np.log(error["krr"]), np.log(SIZES)))
    usual = [
        (error["svr"][-1] / error["krr"][-1], "that is the ratio of errors at equal size"),
        (SIZES[-1], "that is the size of the SVR's training set; kernel ridge needs fewer"),
    ]
    judge(answer, truth, usual, rtol=0.2, hint="find where krr's curve passes the last point of svr's")
    return f"about {truth:.0f} against {SIZES[-1]}."
