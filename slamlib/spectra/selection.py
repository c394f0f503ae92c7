"""Equivalent widths of a few lines, and how they tell early-type stars from others.

Liu et al. 2019 (ApJS 241, 32) found their OB stars in LRS by the widths of H gamma, He I, Mg II,
Ca II K and others; Guo et al. 2021 (ApJS 257, 54, section 2) theirs in MRS by those of H alpha,
He I 6678 and the Mg I triplet, then looked at the spectra. Their cuts keep late B stars apart from
A stars. The one here need not, for a fit does: it tells the stars whose spectra the models
resemble by accident, F to M, by the lines that only they have.
"""

from typing import NamedTuple

import numpy as np
from astropy import units as u
from astropy.table import Column, Table

from slamlib.instruments import get_instrument

# How many standard errors a width must lie above its limit.
CLEARLY = 3.0
# A window with a smaller share of good pixels has no width.
_LEAST_COVERED = 0.7


class Line(NamedTuple):
    """A line, the first and last wavelength of its window in air [A], and its limit.

    The limit is a width [A] that no star above 9,500 K exceeds; infinite where early-type stars,
    or the gas before them, may have any width.
    """

    title: str
    first: float
    last: float
    limit: float = np.inf


# H gamma as H-gamma_A of Worthey & Ottaviani 1997 (ApJS 111, 377); the others as wide as the lines
# are at R = 1800. No side bands: spectra are divided by the survey's pseudo-continuum, which follows
# the wings of H gamma; by the true continuum those of late B stars would count in the G band.
# Ca II K is no criterion: reddened B stars have an interstellar one, as strong as that of A stars.
LINES = {
    "ca2k": Line("Ca II K", 3925, 3945),
    "gband": Line("G band of CH and Fe I", 4295, 4315, 1.0),
    "hgamma": Line("H gamma", 4319.75, 4363.5),
    "he4471": Line("He I 4471", 4465, 4477),
    "mg4481": Line("Mg II 4481", 4477, 4486),
    "mg5175": Line("Mg I 5167, 5173, 5184", 5164, 5187, 1.0),
    "he6678": Line("He I 6678", 6670, 6686),
    "halpha": Line("H alpha", 6540, 6585),
}


def line_widths(instrument, flux, ivar):
    """Measure equivalent widths, positive in absorption, and their errors by ivar: a Table.

    Parameters
    ----------
    instrument : Instrument or str
    flux, ivar : ndarray, (m, n_pix)
        Normalised, at rest, on the instrument's pixels; ivar = 0 where a pixel is bad.

    Returns
    -------
    Table
        ``ew_NAME`` and ``e_ew_NAME`` [A] of each of `LINES`: the mean depth of the good pixels times the
        width of the window. NaN where the instrument does not reach, or less than 70% of the pixels is good.
    """
    wave = get_instrument(instrument).wave
    flux, ivar = np.atleast_2d(flux), np.atleast_2d(ivar)
    table = Table()
    for name, line in LINES.items():
        within = np.flatnonzero((wave >= line.first) & (wave <= line.last))
        # Taken, each row lies in one piece, and its sum does not hang on how many there are.
        some, weight = flux.take(within, axis=1), ivar.take(within, axis=1)
        good = weight > 0
        n = good.sum(axis=1)
        measured = n >= max(_LEAST_COVERED * within.size, 1)
        factor = np.where(measured, line.last - line.first, np.nan) / np.maximum(n, 1)
        depth = np.where(good, 1.0 - some, 0).sum(axis=1)
        variance = np.where(good, 1.0 / np.where(good, weight, 1), 0).sum(axis=1)
        about = f"equivalent width of {line.title}, {line.first:g}-{line.last:g} A"
        table[f"ew_{name}"] = Column(factor * depth, unit=u.AA, description=about)
        about = f"standard error of ew_{name}"
        table[f"e_ew_{name}"] = Column(factor * np.sqrt(variance), unit=u.AA, description=about)
    return table


def excess(widths):
    """How far the lines of cool stars exceed what early-type stars can have, in standard errors: (m,).

    That of the line in `line_widths`' table that exceeds its limit most; above `CLEARLY` a star is no
    early-type star. NaN where no such line was measured.
    """
    judged = {name: line.limit for name, line in LINES.items() if np.isfinite(line.limit)}
    sigmas = [(widths[f"ew_{name}"] - limit) / widths[f"e_ew_{name}"] for name, limit in judged.items()]
    return np.fmax.reduce(np.array(sigmas))
