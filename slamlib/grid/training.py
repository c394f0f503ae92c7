"""Training sets: random labels inside the grid, and their spectra as an instrument sees them."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from slamlib.errors import InputError
from slamlib.grid.broaden import LIMB_DARKENING, broaden, instrument_sigma, pixel_edges, rebin_matrix
from slamlib.grid.model_grid import ModelGrid
from slamlib.instruments import Instrument, get_instrument
from slamlib.labels import LABELS, Label
from slamlib.npz import check_shapes, reading_npz, write_npz

FORMAT = 2
VSINI_MAX = 300.0
# Spectra in flight at once: 64 of them and their transforms stay within 100 MB.
_CHUNK = 64


@dataclass(frozen=True)
class TrainingSet:
    """Labels and the spectra that belong to them.

    Attributes
    ----------
    labels : ndarray, (n, d)
        Teff [K], log g, [M/H], v sin i [km/s], or those of `label_set`.
    flux : ndarray of float32, (n, n_pix)
        Normalised spectra on the instrument's pixels.
    instrument : Instrument
    seed : int
        What the labels were drawn from.
    label_set : tuple of Label, (d,)
    """

    labels: np.ndarray
    flux: np.ndarray
    instrument: Instrument
    seed: int
    label_set: tuple = LABELS

    def first(self, n: int) -> Self:
        """Return the first `n` of the spectra, which are as random as all of them."""
        return replace(self, labels=self.labels[:n], flux=self.flux[:n])

    def save(self, path: str | Path) -> None:
        """Write to an npz file, whole or not at all."""
        told = [label.plain() for label in self.label_set]
        params = {"instrument": self.instrument.name, "seed": self.seed, "labels": told}
        write_npz(path, FORMAT, params, {"labels": self.labels, "flux": self.flux})

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read what `save` wrote; FileError if it is missing, of another version or something else."""
        remedy = "run notebook 01_training_set"
        with reading_npz(path, FORMAT, "training set", remedy) as (params, arrays):
            label_set = tuple(map(Label.of, params["labels"]))
            check_shapes(arrays, labels=f"n{len(label_set)}", flux="np")
            instrument = get_instrument(params["instrument"])
            if arrays["flux"].shape[1] != instrument.wave.size:
                raise InputError(f"{arrays['flux'].shape[1]} pixels are not those of {instrument.name}")
            return cls(arrays["labels"], arrays["flux"], instrument, int(params["seed"]), label_set)


def draw_labels(grid, n, rng, vsini_max=VSINI_MAX):
    """Draw `ModelGrid.labels` (n, d) uniformly inside the grid's real boundary, v sin i to its maximum."""
    if n < 1:
        raise InputError(f"a training set needs at least one star; got n = {n}")
    accepted = np.empty((0, len(grid.axes)))
    while len(accepted) < n:
        drawn = rng.uniform(*grid.ranges, size=(2 * n, len(grid.axes)))
        accepted = np.concatenate([accepted, drawn[grid.contains(drawn)]])
    return grid.join(accepted[:n], rng.uniform(0, vsini_max, n))


def observe(spectra, grid, instrument, vsini, sigma=None, velocity=0.0, limb_darkening=LIMB_DARKENING):
    """Turn grid spectra into what an instrument records: broadened and rebinned.

    Parameters
    ----------
    spectra : ndarray, (n, grid n_pix)
        Normalised spectra on the pixels of `grid`.
    grid : ModelGrid
    instrument : Instrument or str
    vsini : array_like, (n,)
        [km/s].
    sigma : array_like, (n,), optional
        Gaussian broadening [km/s]; the instrument's profile by default.
    velocity : float or array_like, (n,)
        Redshift [km/s].
    limb_darkening : float

    Returns
    -------
    ndarray of float32, (n, n_pix)
    """
    instrument = get_instrument(instrument)
    fine = blurred(spectra, grid, instrument, vsini, sigma, velocity, limb_darkening)
    return fine @ rebin_matrix(pixel_edges(grid.wave), instrument.edges)


def blurred(spectra, grid, instrument, vsini, sigma=None, velocity=0.0, limb_darkening=LIMB_DARKENING):
    """Grid spectra as an instrument sees them, before its pixels: parameters as of `observe`.

    Where the resolving power changes along the spectrum, spectra of its profile at each wavelength
    of the table are mixed linearly, and with them the variance of the profile.
    """
    sigma = instrument_sigma(instrument.resolution) if sigma is None else np.asarray(sigma)
    if not instrument.profile:
        return broaden(spectra, grid.dv, vsini, sigma, velocity, limb_darkening)
    waves, powers = np.transpose(instrument.profile)
    mixed = np.zeros(np.shape(spectra), dtype=np.float32)
    for power, share in zip(powers, np.eye(len(waves)), strict=True):
        weight = np.interp(grid.wave, waves, share).astype(np.float32)
        if not weight.any():
            # It lies beyond the grid, as its neighbour does.
            continue
        scaled = sigma * instrument.resolution / power
        reach = np.max(vsini + 6 * scaled + np.abs(velocity)) / grid.dv
        first, last = np.flatnonzero(weight)[[0, -1]] + [-int(reach) - 1, int(reach) + 2]
        part = slice(max(first, 0), last)
        fine = broaden(spectra[:, part], grid.dv, vsini, scaled, velocity, limb_darkening)
        mixed[:, part] += weight[part] * fine
    return mixed


def synthesise(grid, labels, instrument, limb_darkening=LIMB_DARKENING):
    """Model spectra of labels inside the grid, as an instrument sees them: float32, (n, n_pix).

    `labels`, (n, d), are those of `ModelGrid.labels`. InputError if they lie outside the grid, v sin i is
    negative or the grid does not cover the instrument.
    """
    coordinates, vsini = grid.split(labels)
    weights = grid.weights(coordinates).astype(np.float32)
    flux = np.empty((len(vsini), get_instrument(instrument).wave.size), dtype=np.float32)
    for start in range(0, len(vsini), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        models = weights[chunk] @ grid.flux
        flux[chunk] = observe(models, grid, instrument, vsini[chunk], limb_darkening=limb_darkening)
    return flux


def training_set(grid: ModelGrid, instrument: Instrument | str, n: int, seed: int) -> TrainingSet:
    """Draw `n` labels inside the grid and synthesise their spectra.

    Parameters
    ----------
    grid : ModelGrid
    instrument : Instrument or str
    n : int
    seed : int

    Returns
    -------
    TrainingSet
    """
    instrument = get_instrument(instrument)
    labels = draw_labels(grid, n, np.random.default_rng(seed))
    return TrainingSet(labels, synthesise(grid, labels, instrument), instrument, seed, grid.labels)
