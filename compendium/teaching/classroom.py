"""What every lesson works with: the models, a small trained SLAM, figures for a projector."""

from contextlib import ExitStack
from functools import cache

import numpy as np
from matplotlib import pyplot as plt

from compendium.run import Run
from slamlib.grid.broaden import broaden
from slamlib.grid.training import training_set
from slamlib.regression.slam import Slam
from slamlib.style import PAGE, apj_style, note_simulated

# Training spectra: enough to learn from, few enough for any laptop.
N_TRAIN = 400
_DPI = 110
_STYLE = ExitStack()


@cache
def models():
    """Return the embedded grid of model spectra."""
    return Run().models


def stars(teff=20_000.0, logg=4.0, mh=0.0, vsini=0.0):
    """Wavelength in air [A] and normalised flux (n, n_pix) of model stars, at 4 km/s a pixel.

    Each label is a number or an array (n,).
    """
    labels = np.stack(np.broadcast_arrays(*np.atleast_1d(teff, logg, mh, vsini)), axis=1).astype(float)
    grid = models()
    return grid.wave, broaden(grid.spectra(labels[:, :3]), grid.dv, labels[:, 3])


@cache
def training(n=N_TRAIN, seed=1):
    """LRS training spectra; another seed gives spectra that a model has not seen."""
    return training_set(models(), "LRS", n, seed)


@cache
def trained():
    """Kernel ridge on the training spectra, as principal components: exact and quick."""
    known = training()
    return Slam("krr").fit(known.labels, known.flux).compress(rank=None)


def figure(rows=1, columns=1, height=2.6, **options):
    """Figure and axes as wide as a page, which say that what they show is simulated."""
    _set_style()
    options |= {"figsize": (PAGE, height), "layout": "constrained", "dpi": _DPI}
    figure, axes = plt.subplots(rows, columns, **options)
    note_simulated(figure.axes[columns - 1])
    return figure, axes


@cache
def _set_style():
    # For good, since axes go on being filled after `figure` has returned.
    _STYLE.enter_context(apj_style())
