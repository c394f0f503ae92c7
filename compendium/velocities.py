"""Radial velocities of a catalogue, as the paper takes them: Zhang et al. 2021, or a simulated one."""

import numpy as np
from astropy.table import Table

from slamlib.errors import FileError
from slamlib.fetch.catalogues import read_first
from slamlib.io import read_ecsv

CATALOGUE = "zhang2021"
# Scatter of the simulated catalogue [km/s]: for MRS what Zhang et al. 2021 (ApJS 256, 14) find at
# SNR 5 to 10, for LRS a few times that.
_SCATTER = {"LRS": 5.0, "MRS": 2.0}


def simulated_catalogue(truth, rng):
    """Return a Table of obsid and rv [km/s] of simulated spectra: the true velocities with errors."""
    scatter = np.array([_SCATTER[name] for name in truth["instrument"]])
    table = Table({"obsid": truth["obsid"], "rv": truth["rv"] + rng.normal(0, scatter)})
    table["rv"].unit = "km / s"
    table.meta["simulated"] = True
    return table


def catalogue_velocities(run):
    """Return the velocities [km/s] of the run's catalogue by obsid, a dict.

    That of a simulated survey is what notebook 05 wrote; of LAMOST's stars it is Zhang et al. (2021), of MRS,
    in ``data/raw/catalogues``. Several velocities of one obsid are averaged. FileError if the catalogue is
    not there, InputError if it lacks the columns.
    """
    if run.simulated:
        table = read_ecsv(run.products / "survey/velocities.ecsv")
    else:
        folder = run.root / "data/raw/catalogues" / CATALOGUE
        paths = sorted(folder.glob("[!m]*.ecsv"))
        if not paths:
            raise FileError(
                f"no catalogue of velocities in {folder}; fetch it with "
                f"`slamlib fetch catalogues {CATALOGUE}`, or use RV=measured"
            )
        table = read_first(paths, read_ecsv(run.root / "data/embedded/vizier_columns.ecsv"), CATALOGUE)
    obsid, rv = np.asarray(table["obsid"]), np.ma.filled(np.ma.asarray(table["rv"], dtype=float), np.nan)
    known = np.isfinite(rv)
    stars, row = np.unique(obsid[known], return_inverse=True)
    mean = np.bincount(row, rv[known]) / np.bincount(row) if row.size else rv[known]
    return dict(zip(stars.tolist(), mean.tolist(), strict=True))
