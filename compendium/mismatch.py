"""What makes labels of stars scatter more than those of models: one mismatch after another.

The same simulated stars are labelled again and again. At first they differ from the training spectra by noise
alone; each step adds one thing that real observations have, up to all that the simulated survey has. The last
two steps undo what can be undone. What real stars have beyond the simulation it cannot show.
"""

import numpy as np
from astropy.stats import mad_std
from astropy.table import Table

from slamlib.grid.training import observe
from slamlib.inference.infer import infer
from slamlib.inference.validate import noisy, scatter_and_bias
from slamlib.instruments import get_instrument
from slamlib.labelling.calibration import REJECT
from slamlib.labels import NAMES
from slamlib.mock.survey import surface

STEPS = ["noise alone", "+ interpolation", "+ profile", "+ velocity", "+ continuum"]
STEPS += ["matched continuum", "+ systematics"]


def ladder(observatory, exact, labeller, n, snr, seed):
    """Label `n` simulated stars with one mismatch more at each step.

    "+ interpolation": between nodes spectra are blended otherwise than for training, and microturbulence and
    helium are the star's own. "+ profile": macroturbulence, and a resolution that varies from star to star.
    "+ velocity": the measured one. "+ continuum": dust, the slope of the instrument, cosmic rays and the
    pseudo-continuum, at last.

    Parameters
    ----------
    observatory : Observatory
    exact : Slam
        Trained on model spectra divided by their true continuum. The paper does not tell how it
        divided its own.
    labeller : Labeller
        Trained on spectra of matched continuum, with systematics.
    n, snr, seed
        Stars, and signal-to-noise ratio per pixel of the files.

    Returns
    -------
    Table
        instrument, step (of `STEPS`), label, n, rms and bias (mean) of found minus true labels,
        scatter (1.48 median absolute deviation) and median.
    """
    rows = observatory.draw(n, snr, seed)
    stars = observatory.observe(rows, seed)
    rows = rows[np.isin(rows["teff"], stars.labels[:, 0])]  # those with a velocity
    spectra = _without_continuum(observatory, rows, stars, seed)
    fits = [infer(exact, *spectrum, reject=REJECT) for spectrum in spectra]
    fits.append(infer(exact, stars.flux, stars.ivar, reject=REJECT))
    fits.append(infer(labeller.slam, stars.flux, stars.ivar, reject=REJECT))
    fits.append(labeller.fit(stars.flux, stars.ivar))
    parts = []
    for step, fit in zip(STEPS, fits, strict=True):
        found = np.isin(fit.status, ("ok", "multimodal"))
        # The labeller may have nuisances beyond the paper's labels.
        labels, true = fit.labels[found, : len(NAMES)], stars.labels[found, : len(NAMES)]
        error = labels - true
        rms, bias = scatter_and_bias(labels, true)
        scatter, median = mad_std(error, axis=0), np.median(error, axis=0)
        columns = (NAMES, rms, bias, scatter, median)
        for label, *values in zip(*columns, strict=True):
            parts.append((observatory.instrument.name, step, label, int(found.sum()), *values))
    names = ("instrument", "step", "label", "n", "rms", "bias", "scatter", "median")
    return Table(rows=parts, names=names, meta={"simulated": True})


def _without_continuum(observatory, rows, stars, seed):
    """Spectra of the first four steps and their ivar, all with the same noise."""
    grid, instrument = observatory.grid, get_instrument(observatory.instrument)
    snr, vsini = float(rows["snr"][0]), stars.labels[:, 3]
    linear = grid.weights(stars.labels[:, :3]).astype(np.float32) @ grid.flux
    smooth = surface(rows, observatory.library, grid)
    sigma = np.asarray(rows["sigma"])
    spectra = (
        observe(linear, grid, instrument, vsini),
        observe(smooth, grid, instrument, vsini),
        observe(smooth, grid, instrument, vsini, sigma),
        # Shifted to rest by a velocity too large, lines lie too far in the blue.
        observe(smooth, grid, instrument, vsini, sigma, -stars.rv_error),
    )
    return [noisy(flux, snr, instrument.good, np.random.default_rng(seed)) for flux in spectra]
