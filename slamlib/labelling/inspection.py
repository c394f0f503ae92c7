"""Which stars of a catalogue need a look most, their fits, and the solution that came second."""

from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from slamlib.errors import SlamlibError
from slamlib.inference.infer import default_bounds
from slamlib.inference.likelihood import rejected_pixels
from slamlib.instruments import Instrument
from slamlib.labelling.files import usable
from slamlib.spectra.prepare import prepare_with_velocity
from slamlib.spectra.recognise import recognise

# Where a spectrum differs from the models, or a label is at its bound, labels are off by so many errors.
_STRANGE = ("emission", "edge", "outliers", "poor fit", "multimodal", "unconverged", "arms apart")
_ERRORS = 5.0
# Places of a label between the ends of the grid that are tried.
_PLACES = 40
# The runner-up differs in Teff by more than so many errors, and by more than this share.
_APART, _SHARE = 5.0, 0.1


def need(table, models):
    """Tell how much each row needs a look: by how many errors its labels are likely to be off, (m,).

    The root of the summed squares of how far one label must move, in its errors, for all to lie in the model
    grid; of the gain of a second star where there are two; and of 5 where the spectrum differs from the
    models in another way, or a label is at its bound. -inf for a row without labels.
    """
    squares, known = np.zeros(len(table)), usable(table)
    status = np.asarray(table["status"])
    for name in np.unique(np.asarray(table["instrument"])[known]):
        rows = np.flatnonzero(known & (np.asarray(table["instrument"]) == name))
        # An instrument made for a file is not known by its name; a folder may lack a model.
        with suppress(SlamlibError):
            squares[rows] = outside(table[rows], models.labeller(str(name))) ** 2
    if "gain_2" in table.colnames:
        gain = np.asarray(table["gain_2"] / np.fmax(table["chi2"], 1), dtype=float)
        squares += np.where(status == "double", np.nan_to_num(np.maximum(gain, 0)), 0)
    squares += np.where(np.isin(status, _STRANGE), _ERRORS**2, 0)
    return np.where(known, np.sqrt(squares), -np.inf)


def worst_first(table, models):
    """Return the rows that have labels, those most in need of a look first: indices."""
    score = need(table, models)
    return np.argsort(-score, kind="stable")[: np.isfinite(score).sum()]


def outside(table, labeller):
    """By how many errors one label of each row must move for all to lie in the model grid, (m,).

    Labels beyond the range of the grid are first taken to its ends; what that costs counts as well.
    """
    slam, edge = labeller.slam, labeller.extension or labeller.edge
    of_grid = np.array([not label.broadening for label in slam.label_set])
    names = np.array(slam.names)[of_grid]
    values, errors = (
        np.stack([np.asarray(table[prefix + name], dtype=float) for name in names], axis=1)
        for prefix in ("", "e_")
    )
    low, high = (part(slam.training_labels_[:, of_grid], axis=0) for part in (np.min, np.max))
    # A log g that was refused may have any value.
    refused = ~(np.isfinite(values) & (errors > 0))
    values, errors = np.where(refused, (low + high) / 2, values), np.where(refused, np.inf, errors)
    near = np.clip(values, low, high)
    beyond = (np.abs(near - values) / errors).max(axis=1)
    rows = np.flatnonzero(~edge.contains(values))
    least = np.full(rows.size, np.inf)
    for k in np.flatnonzero(~slam.nuisances[of_grid]):
        for place in np.linspace(low[k], high[k], _PLACES):
            moved = near[rows].copy()
            moved[:, k] = place
            steps = np.abs(place - values[rows, k]) / errors[rows, k]
            least = np.where(edge.contains(moved), np.minimum(steps, least), least)
    beyond[rows] = np.maximum(beyond[rows], np.where(np.isfinite(least), least, 0))
    return beyond


@dataclass(frozen=True)
class Fit:
    """A prepared spectrum and what fits it.

    Attributes
    ----------
    instrument : Instrument
    flux, ivar, model : ndarray, (n_pix,)
    rejected : ndarray of bool, (n_pix,)
        Pixels that did not count.
    other : ndarray, (n_pix,), or None
        The model of the solution that came second.
    words : str
        That solution in words; empty if there is none.
    """

    instrument: Instrument
    flux: np.ndarray
    ivar: np.ndarray
    model: np.ndarray
    rejected: np.ndarray
    other: np.ndarray | None = None
    words: str = ""


def fit_of(row, given, models, hints=None, second=False):
    """Return the `Fit` of a row of labels.

    `given` is the file, or whatever else was labelled, with these `hints`; `second` asks for the solution
    that came second too.
    """
    instrument, spectrum = recognise(given, hints)
    flux, ivar, _ = prepare_with_velocity(spectrum, instrument, row["rv"])
    labeller = models.labeller(instrument)
    labels = np.array([row[name] for name in labeller.slam.names])
    known = np.isfinite(labels)
    # Log g that was refused is drawn in the middle of the grid.
    labels = np.where(known, labels, labeller.slam.training_labels_.mean(axis=0))
    rejected = rejected_pixels(labeller.slam, flux, ivar, labels, labeller.systematics)
    model = labeller.predict([labels], extrapolate=True)[0]
    fit = Fit(instrument, flux, ivar, model, rejected)
    found = _second(labeller, flux, ivar, row) if second else None
    if found is None:
        return fit
    labels, chi2 = found
    names = labeller.slam.names
    words = ", ".join(
        f"{label.name} {labels[names.index(label.name)]:.{label.decimals}f}"
        for label in labeller.slam.label_set
        if not label.nuisance
    )
    other = labeller.predict([labels], extrapolate=True)[0]
    return Fit(instrument, flux, ivar, model, rejected, other, f"{words}, chi2 {chi2:.2f}")


def _second(labeller, flux, ivar, row):
    """Labels and chi-square of the best minimum of another Teff, or None."""
    column, bounds = labeller.slam.names.index("teff"), default_bounds(labeller.slam)
    apart = np.fmax(_APART * row["e_teff"], _SHARE * row["teff"])
    best = None
    for side, end in ((1, row["teff"] - apart), (0, row["teff"] + apart)):
        own = bounds.copy()
        own[side, column] = end
        if own[0, column] >= own[1, column]:
            continue
        found = labeller.fit(flux[None], ivar[None], bounds=own)
        teff, chi2 = found.labels[0, column], found.chi2[0]
        # The end of the range is no minimum.
        if abs(teff - end) < 1e-3 * end or not np.isfinite(chi2):
            continue
        if best is None or chi2 < best[1]:
            best = found.labels[0], chi2
    return best
