"""How good SLAM is on model spectra it was not trained on, against noise and sample size."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.table import Table, vstack
from numpy.typing import ArrayLike
from tqdm import tqdm

from slamlib.errors import InputError
from slamlib.grid.training import TrainingSet
from slamlib.inference.infer import infer
from slamlib.regression.search import folds
from slamlib.regression.slam import Slam

# Smallest eigenvalue of an information matrix, over the largest, that rounding does not make.
_SINGULAR = 1e-14


def scatter_and_bias(predicted, true):
    """Root mean square and mean of the label errors (n, d), both (d,); rows with NaN are left out.

    Equations 1 and 2 of Guo et al. 2021 (ApJS 257, 54), read as rms and mean.

    Examples
    --------
    >>> scatter_and_bias(np.array([[3.0], [1.0]]), np.array([[0.0], [0.0]]))
    (array([2.23606798]), array([2.]))
    """
    error = predicted - true
    error = error[np.isfinite(error).all(axis=1)]
    return np.sqrt(np.mean(error**2, axis=0)), np.mean(error, axis=0)


def noisy(flux, snr, good, rng):
    """Add Gaussian noise of the given SNR per pixel; return flux and ivar, 0 where not `good`."""
    noise = rng.normal(0, 1 / snr, flux.shape).astype(np.float32)
    return flux + noise, np.broadcast_to(np.float32(snr**2) * good, flux.shape)


@dataclass(frozen=True)
class HeldOut:
    """Models of a cross-validation, each with the spectra that it has not seen.

    `hyper` is the `Slam.hyper_` of all models; `tests` are which spectra of `training` each labels; `draws`
    are the seeds of the noise of each fold: what changes from SNR to SNR is not the luck of the draw.
    """

    training: Any
    regressor: str
    hyper: dict
    models: list
    tests: list
    draws: list

    def labels(self, *snrs, weigh=None):
        """Labels found at each SNR per pixel, (k, n, d); NaN for spectra that are not to be labelled.

        ``weigh(slam, ivar) -> slam, ivar`` tells what a fit of other weights uses.
        """
        found = np.full((len(snrs), *self.training.labels.shape), np.nan)
        # The paper's fit has one start.
        good, starts = self.training.instrument.good, 1 if self.regressor == "svr" else 2
        for slam, test, draw in zip(self.models, self.tests, self.draws, strict=True):
            seen = [noisy(self.training.flux[test], snr, good, np.random.default_rng(draw)) for snr in snrs]
            flux, ivar = map(np.concatenate, zip(*seen, strict=True))
            if weigh is not None:
                slam, ivar = weigh(slam, ivar)
            found[:, test] = infer(slam, flux, ivar, starts=starts).labels.reshape(len(snrs), len(test), -1)
        return found

    def bounds(self):
        """Cramer-Rao bound of each label at SNR = 1 a pixel, (n, d), NaN as in `labels`."""
        bound, good = np.full(self.training.labels.shape, np.nan), self.training.instrument.good
        for slam, test in zip(self.models, self.tests, strict=True):
            bound[test] = cramer_rao(slam, self.training.labels[test], good.astype(np.float32))
        return bound

    def table(self, snrs):
        """Table of `cross_validate`."""
        bound, found = self.bounds(), self.labels(*snrs)
        each = zip(snrs, found, strict=True)
        return vstack([_rows(self.training, self.regressor, snr, own, bound / snr) for snr, own in each])


def held_out(
    training, rng, regressor="svr", n_folds=5, max_stars=1000, seed=0, hyper=None, epsilon=0.05, progress=True
):
    """Train one model for each part of the training set, on the others: a `HeldOut`.

    Arguments are as of `cross_validate`; `hyper`, a `Slam.hyper_`, skips the search; `epsilon` is that of
    `Slam`.
    """
    labels, flux = training.labels, training.flux
    options = {"n_folds": n_folds, "seed": seed, "epsilon": epsilon, "labels": training.label_set}
    hyper = Slam(regressor, **options).choose(labels, flux) if hyper is None else hyper
    name = f"{training.instrument.name} {len(labels)} {regressor}"
    parts, models, squares = list(folds(len(labels), n_folds, seed)), [], np.zeros(flux.shape[1])
    for train, test in tqdm(parts, desc=name, unit="fold", disable=not progress):
        slam = Slam(regressor, **options).fit(labels[train], flux[train], hyper=hyper)
        squares += ((slam.predict(labels[test], extrapolate=True) - flux[test]) ** 2).sum(axis=0, dtype=float)
        # All kernels: those of support-vector regression are narrow, and few would not do.
        models.append(slam.compress(rank=None))
    for slam in models:
        slam.model_variance_ = (squares / len(labels)).astype(np.float32)
    tests = [test[: -(-max_stars // n_folds)] for _, test in parts]
    draws = [int(rng.integers(2**63)) for _ in parts]
    return HeldOut(training, regressor, hyper, models, tests, draws)


def cross_validate(
    training: TrainingSet,
    snrs: Iterable[float],
    rng: np.random.Generator,
    regressor: str = "svr",
    n_folds: int = 5,
    max_stars: int = 1000,
    seed: int = 0,
) -> Table:
    """Predict the labels of each spectrum with a SLAM that has not seen it.

    Hyper-parameters are chosen once on the whole set, as in the paper; the folds refit. The
    model variance is the mean squared error of all held-out spectra.

    Parameters
    ----------
    training : TrainingSet
    snrs : sequence of float
        Signal-to-noise ratios per pixel of the noise added to the held-out spectra.
    rng : numpy.random.Generator
        Draws the noise.
    regressor : {"svr", "krr"}
    n_folds, seed
        As in `Slam`.
    max_stars : int
        Label at most this many stars at each SNR, spread evenly over the folds.

    Returns
    -------
    Table
        One row for each SNR and label: instrument, n_train, regressor, snr, label, n, scatter, bias, mad
        (1.4826 times the median absolute error) and bound (the median Cramer-Rao bound of these stars).
    """
    return held_out(training, rng, regressor, n_folds, max_stars, seed).table(snrs)


def _rows(training, regressor, snr, predicted, bound):
    done = np.isfinite(predicted).all(axis=1)
    scatter, bias = scatter_and_bias(predicted[done], training.labels[done])
    mad = 1.4826 * np.median(np.abs(predicted[done] - training.labels[done]), axis=0)
    rows = Table()
    rows["instrument"] = [training.instrument.name] * len(training.label_set)
    rows["n_train"] = len(training.labels)
    rows["regressor"] = regressor
    rows["snr"] = float(snr)
    rows["label"] = [label.name for label in training.label_set]
    rows["n"] = int(done.sum())
    rows["scatter"], rows["bias"], rows["mad"] = scatter, bias, mad
    rows["bound"] = np.median(bound[done], axis=0)
    return rows


def cramer_rao(slam: Slam, labels: ArrayLike, ivar: ArrayLike) -> np.ndarray:
    """Cramer-Rao bound: the least standard error any unbiased method can reach.

    The inverse Fisher matrix of the model spectra for the given noise, without model
    variance (Kay 1993, Fundamentals of Statistical Signal Processing, chapter 3).

    Parameters
    ----------
    slam : Slam
    labels : array_like, (m, d)
    ivar : array_like, (n_pix,) or (m, n_pix)

    Returns
    -------
    ndarray, (m, d)

    Raises
    ------
    InputError
        If the pixels that count say nothing about some label.
    """
    # Scaled by the spread of the labels, or the matrix is too ill-conditioned to invert.
    slope = slam.jacobian(labels, extrapolate=True).astype(float) * slam.label_scale_[:, None]
    weighted = slope * np.broadcast_to(ivar, (len(slope), slope.shape[2]))[:, None, :]
    fisher = weighted @ slope.transpose(0, 2, 1)
    # Rounding hides that a matrix has no inverse.
    values = np.linalg.eigvalsh(fisher)
    if not (values[:, 0] > _SINGULAR * values[:, -1]).all():
        raise InputError("the pixels with ivar > 0 do not determine all labels; use more of them")
    variance = np.diagonal(np.linalg.inv(fisher), axis1=1, axis2=2)
    return np.sqrt(variance) * slam.label_scale_
