"""Observed spectra of cool stars, the MILES library, as simulated LAMOST spectra.

The models hold no star cooler than those of type B. What becomes of the others is tried on
spectra of real ones, sent through the instrument, the dust and the noise of the simulated survey.
"""

from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table
from scipy.interpolate import CubicSpline

from slamlib.errors import FileError
from slamlib.mock.survey import expose, native_pixels
from slamlib.spectra.velocity import shift_to_rest

# Where in data/ the library lies: its FITS files and MILES_params.db, as sdss-mangadap has them.
FOLDER = Path("raw/miles")
_UNKNOWN = 9999
# The slope that `expose` gives to every star is that of a hot one; SNR counts in the g band.
_HOT_SLOPE, _G_BAND = -4, (4000.0, 5500.0)


def read_miles(folder):
    """Read the MILES library (Sanchez-Blazquez et al. 2006, MNRAS 371, 703) in a folder.

    Returns
    -------
    table : Table
        name (such as "m0100"), teff [K], logg and feh [dex] of the stars whose Teff and log g are known, by
        Cenarro et al. 2007, MNRAS 374, 664; feh may be NaN.
    wave : ndarray, (n_pix,)
        In air [A], at rest; 2.5 A FWHM.
    flux : ndarray, (n, n_pix)
        Free of dust, in units that differ from star to star.

    Raises
    ------
    FileError
        If the library is not there or not whole.
    """
    try:
        rows = [line.split() for line in (folder / "MILES_params.db").read_text().splitlines()]
        rows = [(f"m{name}", *map(float, rest)) for name, *rest in rows if name.isdigit()]
        table = Table(rows=rows, names=("name", "teff", "logg", "feh"))
        table = table[(table["teff"] < 10 * _UNKNOWN) & (table["logg"] < _UNKNOWN)]
        table["feh"][table["feh"] >= _UNKNOWN] = np.nan
        table = table[[(folder / _file(name)).is_file() for name in table["name"]]]
        table.sort("name")
        flux = np.array([fits.getdata(folder / _file(name)) for name in table["name"]], dtype=float)
        header = fits.getheader(folder / _file(table["name"][0]))
        wave = header["CRVAL1"] + header["CDELT1"] * np.arange(flux.shape[1])
    except (OSError, ValueError, KeyError, IndexError) as error:
        told = f"no whole MILES library in {folder} ({error})"
        raise FileError(f"{told}; data/DATASETS.md says where it comes from") from None
    return table, wave, flux


def _file(name):
    return f"MILES_res2.50_star_{name}V.fits"


def observe_miles(wave, flux, row, instrument, rng):
    """Return a star of the library as the simulated survey would observe it: a `Spectrum`.

    The library is less sharp than MRS and no sharper than LRS in the blue; nothing is done about it. `row`,
    with rv [km/s], is as `expose` takes it.
    """
    spline, arms = CubicSpline(wave, flux), []
    for native in native_pixels(instrument):
        star = spline(shift_to_rest(native, row["rv"]))
        within = (native > _G_BAND[0]) & (native < _G_BAND[1])
        star /= np.median(star[within] if within.any() else star)
        arms.append((native, star / (native / np.median(native)) ** _HOT_SLOPE))
    return expose(arms, row, instrument, rng)
