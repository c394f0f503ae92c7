"""What a `Slam` refuses to learn from, and to predict."""

import numpy as np

from slamlib.errors import InputError
from slamlib.labels import as_labels

# Labels drawn at random seldom reach the ends of their range: a tenth of it more is no extrapolation.
_SLACK = 0.1


def training_pairs(labels, flux, names, n_folds):
    """Return labels (n, d) and float32 flux (n, n_pix) to train on, or say what is wrong with them."""
    labels = as_labels(labels, names)
    flux = np.asarray(flux, dtype=np.float32)
    if flux.ndim != 2 or len(flux) != len(labels):
        raise InputError(f"{len(labels)} labels but flux of shape {flux.shape}; expected one row a star")
    if not np.isfinite(flux).all():
        row = int(np.flatnonzero(~np.isfinite(flux).all(axis=1))[0])
        raise InputError(f"the flux of training spectrum {row} is not finite; remove that spectrum")
    if len(labels) < 2 * n_folds:
        raise InputError(f"{len(labels)} training spectra are too few for {n_folds} folds")
    if not (labels.std(axis=0) > 0).all():
        raise InputError("one of the labels is the same for every training spectrum; it cannot be learned")
    return labels, flux


def same_pixels(wave, trained):
    """Refuse wavelengths [A] that are off those of the training spectra by over a hundredth of a pixel."""
    if wave.shape != trained.shape:
        raise InputError(f"spectra of {wave.size} pixels for a model of {trained.size}; rebin them")
    off = np.abs(wave - trained)
    if off.max() > 0.01 * np.diff(trained).min():
        raise InputError(
            f"the spectra's pixels are up to {off.max():.3g} A from those the model was trained on "
            f"({trained[0]:.6g} to {trained[-1]:.6g} A); rebin them onto slam.wave_"
        )


def within(labels, trained, names):
    """Refuse labels (m, d) beyond the range of the training labels (n, d)."""
    low, high = trained.min(axis=0), trained.max(axis=0)
    outside = np.abs(labels - (low + high) / 2) > (0.5 + _SLACK) * (high - low)
    if outside.any():
        row, i = np.argwhere(outside)[0]
        raise InputError(
            f"{names[i]} = {labels[row, i]:.6g} lies outside the training range, {low[i]:.6g} to "
            f"{high[i]:.6g}, where the model knows nothing; extrapolate=True predicts all the same"
        )
