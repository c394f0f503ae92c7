"""High-resolution spectra of any spectrograph, read from FITS or text."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from slamlib.spectra.reading import read


@dataclass(frozen=True)
class HighResolution:
    """A one-dimensional spectrum at high resolution.

    Attributes
    ----------
    wave, flux : ndarray, (n,)
        Wavelengths in air [A], increasing; flux in the units of the file, nan where there is none.
    resolution : float
        Resolving power lambda / FWHM by the header; nan if it gives none.
    assumed : str
        What the file does not tell and was assumed; empty if nothing was.
    """

    wave: np.ndarray
    flux: np.ndarray
    resolution: float = math.nan
    assumed: str = ""


def read_hires(path: str | Path) -> HighResolution:
    """Read a one-dimensional spectrum as `slamlib.read` does, for what needs no errors.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    FileError
        If the file is missing, damaged, or holds no optical spectrum.
    """
    spectrum = read(path)
    header = spectrum.header
    flux = np.where(spectrum.flux == 0, np.nan, spectrum.flux)
    # A file of LAMOST tells neither.
    return HighResolution(spectrum.wave, flux, header.get("resolution", math.nan), header.get("assumed", ""))
