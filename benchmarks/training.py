"""Training: seconds, errors of unseen spectra, scatter of labels, loss of the search."""

import time
from dataclasses import replace

import numpy as np

from benchmarks.peers import train_per_pixel
from slamlib.grid.training import TrainingSet
from slamlib.inference.infer import infer
from slamlib.inference.validate import cramer_rao, noisy
from slamlib.regression.search import folds, pair_errors
from slamlib.regression.slam import Slam
from slamlib.regression.svr.fit import fit_svr

SNRS = (50, 100)


def spectra(path, n, pixels=None):
    """Return the first `n` spectra of a saved training set, only some `pixels` if given."""
    full = TrainingSet.read(path)
    flux = full.flux[:n] if pixels is None else full.flux[:n, pixels]
    return replace(full, labels=full.labels[:n], flux=np.ascontiguousarray(flux))


def sample(n_pix, size):
    """Return indices of a random sample of pixels; all of them if `size` is None or more."""
    if size is None or size >= n_pix:
        return np.arange(n_pix)
    return np.sort(np.random.default_rng(0).choice(n_pix, size, replace=False))


def standardised(training):
    """Return labels (n, 4) and flux (n, n_pix) in standard deviations, and those of the flux."""
    scale = training.flux.std(axis=0, dtype=float)
    # As in Slam: what hardly varies is continuum, and not blown up.
    scale = np.where(scale > 1e-5, scale, 1)
    z = (training.labels - training.labels.mean(axis=0)) / training.labels.std(axis=0)
    return z, ((training.flux - training.flux.mean(axis=0, dtype=float)) / scale).astype(np.float32), scale


def ours(path, unseen_path, n, regressor, search, n_sample=None, save=None):
    """Train with slamlib, on a random sample of pixels if `n_sample` is given."""
    full = spectra(path, n)
    pixels = sample(full.flux.shape[1], n_sample)
    flux = full.flux[:, pixels]
    # Compiled, or read from the cache, before the clock starts.
    fit_svr(np.eye(4), np.zeros((4, 2)), 1.0, 0.1)
    started = np.array([time.perf_counter(), time.process_time()])
    slam = Slam(regressor, search=search, labels=full.label_set).fit(full.labels, flux)
    seconds, cpu = np.array([time.perf_counter(), time.process_time()]) - started
    unseen = spectra(unseen_path, None)
    error = (slam.predict(unseen.labels) - unseen.flux[:, pixels]) / slam.flux_scale_
    if save:
        slam.save(save)
    scatter = [] if n_sample else label_scatter(slam, unseen)
    times = {"seconds": float(seconds), "cpu": float(cpu)}
    return times | {"timed": pixels.size, "flux_rms": _rms(error), "scatter": scatter}


def peer(path, unseen_path, n, n_sample):
    """Train a random sample of pixels with scikit-learn."""
    pixels = sample(TrainingSet.read(path).flux.shape[1], n_sample)
    training, unseen = spectra(path, n, pixels), spectra(unseen_path, None, pixels)
    z, targets, scale = standardised(training)
    train_per_pixel(z[:20], targets[:20, :2])  # starts the processes before the clock does
    started = time.perf_counter()
    fits = train_per_pixel(z, targets)
    seconds = time.perf_counter() - started
    unseen_z = (unseen.labels - training.labels.mean(axis=0)) / training.labels.std(axis=0)
    predicted = np.stack([fit.predict(unseen_z) for fit in fits], axis=1)
    error = predicted - (unseen.flux - training.flux.mean(axis=0, dtype=float)) / scale
    return {"seconds": seconds, "timed": pixels.size, "flux_rms": _rms(error), "scatter": []}


def label_scatter(slam, unseen):
    """Scatter of the labels of unseen noisy spectra and their Cramer-Rao bound, for each SNR."""
    rows = []
    low_rank = slam.compress(rank=None)
    for snr in SNRS:
        flux, ivar = noisy(unseen.flux, snr, unseen.instrument.good, np.random.default_rng(snr))
        error = infer(low_rank, flux, ivar).labels - unseen.labels
        scatter = 1.4826 * np.nanmedian(np.abs(error), axis=0)
        bound = np.median(cramer_rao(low_rank, unseen.labels, ivar), axis=0)
        rows.append((snr, scatter.tolist(), bound.tolist()))
    return rows


def search_loss(path, n, n_sample):
    """Rise of the cross-validated error by the screened search, as a fraction of the least one.

    Every C and gamma on every fold, in a random sample of pixels, tells what each choice costs.
    """
    full = spectra(path, n)
    slam = Slam("svr")
    chosen = slam.choose(full.labels, full.flux)
    pixels = sample(full.flux.shape[1], n_sample)
    pairs = [(C, gamma) for gamma in slam.gamma for C in slam.C]
    z, targets, _ = standardised(spectra(path, n, pixels))
    errors = pair_errors(z, targets, pairs, slam.epsilon, list(folds(len(z), slam.n_folds, slam.seed)))
    choice = [pairs.index((chosen["C"][p], chosen["gamma"][p])) for p in pixels]
    return float(errors[choice, np.arange(pixels.size)].sum() / errors.min(axis=0).sum() - 1)


def _rms(error):
    return float(np.sqrt(np.mean(error**2)))
