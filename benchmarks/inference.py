"""Inference: how long labels take, and what the low-rank form costs in labels."""

import time

import numpy as np

from benchmarks.peers import label_one_star
from benchmarks.training import spectra
from slamlib.inference.infer import infer
from slamlib.inference.validate import noisy
from slamlib.regression.slam import Slam

SNR = 100


def observed(path, n_stars):
    """Return noisy spectra of `n_stars` unseen stars, repeated with new noise if there are fewer."""
    unseen = spectra(path, None)
    flux = unseen.flux[np.arange(n_stars) % len(unseen.flux)]
    return noisy(flux, SNR, unseen.instrument.good, np.random.default_rng(0))


def batches(model_path, unseen_path, n_stars, low_rank):
    """Label `n_stars` with slamlib: the low-rank or the exact form of a saved model."""
    slam = Slam.read(model_path)
    slam = slam.compress() if low_rank else slam
    flux, ivar = observed(unseen_path, n_stars)
    infer(slam, flux[:2], ivar[:2])
    started = time.perf_counter()
    found = infer(slam, flux, ivar)
    return {"seconds": time.perf_counter() - started, "labels": found.labels, "errors": found.errors}


def one_by_one(model_path, unseen_path, n_stars):
    """Label `n_stars` with scipy's least squares, star by star and pixel by pixel."""
    slam = Slam.read(model_path)
    flux, ivar = observed(unseen_path, n_stars)
    templates = slam.predict(slam.training_labels_)
    started = time.perf_counter()
    labels = [label_one_star(slam, templates, *star) for star in zip(flux, ivar, strict=True)]
    return {"seconds": time.perf_counter() - started, "labels": np.array(labels)}
