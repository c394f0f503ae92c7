"""The embedded grids joined: microturbulence as a label, and stars cooler than the paper's."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
from astropy.table import Table, vstack
from scipy.interpolate import CubicSpline

from slamlib.errors import FileError, InputError
from slamlib.grid.model_grid import ModelGrid
from slamlib.io import embedded
from slamlib.labels import LOGG, MH, TEFF, VTURB

EMBEDDED = "embedded"
# Step of log g that the late B stars are resampled to, that of the B stars: linear interpolation over
# their own steps of 0.5 errs by 0.3% of the continuum.
_STEP = 0.25
# The hottest late B stars are left out: BSTAR2006 has the same Teff [K].
_SEAM = 15_000.0


def paper_grid():
    """Return the embedded grid of the paper's stars: four labels, vturb 2 km/s for B and 10 for O stars."""
    return ModelGrid.read(embedded("tlusty_ob_grid.fits"))


def turbulent_grid():
    """Return the paper's stars with a fifth label, vturb: B stars of 2 and of 10 km/s.

    O stars, from 32,500 K, have models of 10 km/s alone, which stand for every vturb (`ModelGrid`): between
    30,000 and 32,500 K, vturb fades out of the spectra.
    """
    return join(paper_grid(), ModelGrid.read(embedded("tlusty_bstar_v10.fits")))


def extended_grid():
    """Return the grid of five labels and, joined to it at 15,000 K, that of late B and early A stars.

    Up to 14,000 K spectra are those of the LTE grid, whose vturb of 2 km/s stands for every vturb; from
    15,000 K those of BSTAR2006; between, linear.
    """
    core, late = turbulent_grid(), ModelGrid.read(embedded("late_b_grid.fits"))
    extended = join(core, resampled(late, late.nodes["teff"] < _SEAM))
    return replace(extended, core=core.edge)


def named_grid(grid):
    """Return the grid that stars are labelled with: the extended one for "embedded", or that of a file."""
    return extended_grid() if grid == EMBEDDED else ModelGrid.read(grid)


def digests(grid):
    """Return `ModelGrid.sha256` of a grid, by name or path; of "embedded" also those of its parts.

    Labellers of any of these serve. The first is that of `named_grid`. FileError if there is no such file.
    """
    names = ("tlusty_ob_grid", "tlusty_bstar_v10", "late_b_grid")
    paths = [embedded(f"{name}.fits") for name in names] if grid == EMBEDDED else [Path(grid)]
    if not all(path.is_file() for path in paths):
        raise FileError(f"no model grid at {paths[0]}; name a FITS file, or {EMBEDDED}")
    found = []
    for path in paths:
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        found.insert(0, _joined(found[0], sha256) if found else sha256)
    return found


def _joined(first, second):
    return hashlib.sha256(f"{first} {second}".encode()).hexdigest()


def join(first, second, axes=(TEFF, LOGG, MH, VTURB)):
    """Return a grid of the nodes of two, with a column for each of `axes`; their pixels must be the same."""
    if len({(grid.log_wave0, grid.dv, grid.flux.shape[1]) for grid in (first, second)}) != 1:
        raise InputError("grids that are joined must share their pixels")
    names = [*(label.name for label in axes), "source"]
    nodes = vstack([first.nodes[names], second.nodes[names]], metadata_conflicts="silent")
    for label in axes:
        nodes[label.name] = np.asarray(nodes[label.name], dtype=float)
    flux = np.concatenate([first.flux, second.flux])
    sha256 = _joined(first.sha256, second.sha256)
    notes = tuple(dict.fromkeys(first.notes + second.notes))
    return replace(first, nodes=nodes, flux=flux, sha256=sha256, axes=axes, notes=notes)


def resampled(grid, rows):
    """Return a grid of some rows whose columns of log g have steps of 0.25, by cubic splines.

    A (Teff, log g) that lacks a metallicity is left out, since a grid needs all.
    """
    nodes, flux = grid.nodes[rows], grid.flux[rows]
    parts, spectra = [], []
    for teff in np.unique(nodes["teff"]):
        columns = [np.flatnonzero((nodes["teff"] == teff) & (nodes["mh"] == mh)) for mh in grid.mh_values]
        common = set.intersection(*(set(nodes["logg"][column]) for column in columns))
        logg = np.arange(min(common), max(common) + _STEP / 2, _STEP)
        for column in columns:
            column = column[np.argsort(nodes["logg"][column])]
            spectra.append(CubicSpline(nodes["logg"][column], flux[column])(logg).astype(np.float32))
            part = Table(nodes[np.repeat(column[0], logg.size)])
            part["logg"] = logg
            parts.append(part)
    return replace(grid, nodes=vstack(parts), flux=np.concatenate(spectra))
