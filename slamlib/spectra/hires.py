"""High-resolution spectra of any spectrograph, read from FITS or text."""

import math
import warnings
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from astropy.io import fits

from slamlib.errors import FileError
from slamlib.spectra.dispersion import check_optical, in_angstrom, wavelengths
from slamlib.spectra.lamost import open_fits, read_bytes
from slamlib.spectra.spectrum import air_from_vacuum

# Where headers give the resolving power: ESO (Science Data Products Standard), the Virtual
# Observatory (Spectrum Data Model), BeSS (Be stars); the last two are used here and there.
_RESOLVING_POWER = ("SPEC_RES", "SPEC_RP", "SPE_RPOW", "BSS_ITRP", "SPECRES", "RESOLUTN")
# A smaller number under these names is a width in some unit, or no high resolution.
_LEAST_RESOLUTION, _MOST_RESOLUTION = 1e3, 1e6
ASSUMED_AIR = "wavelengths taken to be in air: the file does not tell"


@dataclass(frozen=True)
class HighResolution:
    """A one-dimensional spectrum at high resolution.

    Attributes
    ----------
    wave : ndarray, (n,)
        Wavelengths in air [A], increasing.
    flux : ndarray, (n,)
        In the units of the file; nan where there is none.
    resolution : float
        Resolving power lambda / FWHM by the header; nan if it gives none.
    assumed : str
        What the file does not tell and was assumed; empty if nothing was.
    """

    wave: np.ndarray
    flux: np.ndarray
    resolution: float = math.nan
    assumed: str = ""


def read_hires(path):
    """Read a one-dimensional spectrum: FITS with a wavelength axis or ESO's table, or text.

    FITS: an image of one spectrum, its wavelengths as `slamlib.spectra.dispersion.wavelengths`
    reads them. Or a table of vectors WAVE and FLUX, as ESO's archive gives spectra (Science
    Data Products Standard, section SPECTRUM), whose UCD of WAVE is ``em.wl`` in vacuum and
    ``em.wl;obs.atmos`` in air. Where neither CTYPE1 nor UCD tells air from vacuum, VACUUM (T or
    F) or AIRORVAC does; without them it is taken for air. Text: air wavelength [A] and flux,
    separated by blanks or a comma, # before comments. Gzipped or not.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    HighResolution
        A flux of exactly 0 counts as missing: pipelines fill gaps with it, and no count with
        background subtracted is 0.

    Raises
    ------
    FileError
        If the file is missing, damaged, or holds no optical spectrum.
    """
    content = read_bytes(path)
    resolution, in_air = math.nan, True
    if content[:9] == b"SIMPLE  =":
        with open_fits(path, content) as hdus:
            tables = [hdu for hdu in hdus[1:] if {"WAVE", "FLUX"} <= _columns(hdu)]
            wave, flux, in_air = _from_eso(tables[0]) if tables else _from_image(hdus[0])
            headers = [hdus[0].header, *(table.header for table in tables[:1])]
            resolution = _resolution(headers, np.mean(wave))
            if in_air is None:
                in_air = _medium(headers)
    else:
        wave, flux = _from_text(path, content)
    if wave[0] > wave[-1]:
        wave, flux = wave[::-1], flux[::-1]
    if not (np.diff(wave) > 0).all():
        raise FileError(f"{path}: the wavelengths are not in order; sort them and drop repeated lines")
    flux = np.where((flux == 0) | ~np.isfinite(flux), np.nan, flux)
    if np.isnan(flux).all():
        raise FileError(f"{path}: no pixel has a flux that is finite and not 0; leave this file out")
    if in_air is False:
        wave = air_from_vacuum(wave)
    return HighResolution(wave, flux, resolution, ASSUMED_AIR if in_air is None else "")


def _columns(hdu):
    return {name.upper() for name in getattr(hdu, "columns", fits.ColDefs([])).names}


def _from_eso(hdu):
    names = [name.upper() for name in hdu.columns.names]
    # ESO marks the main of several fluxes by meta.main, but names it FLUX all the same.
    wave, flux = (np.ravel(hdu.data.field(names.index(name))).astype(float) for name in ("WAVE", "FLUX"))
    if wave.size != flux.size:
        raise FileError(f"WAVE has {wave.size} pixels and FLUX {flux.size}; fetch it again")
    number = names.index("WAVE") + 1
    wave = wave * in_angstrom(hdu.header.get(f"TUNIT{number}", ""))
    check_optical(wave)
    # The UCD tells, not the name.
    ucd = str(hdu.header.get(f"TUCD{number}", "")).lower()
    return wave, flux, "obs.atmos" in ucd if "em.wl" in ucd else None


def _from_image(hdu):
    flux = np.squeeze(np.asarray(hdu.data, dtype=float)) if hdu.header.get("NAXIS") else np.zeros(0)
    if flux.ndim != 1 or flux.size < 2:
        raise FileError(
            "not a one-dimensional spectrum: the primary HDU needs one axis, or a table columns WAVE and "
            "FLUX; merge the orders of an echelle spectrum first"
        )
    wave, in_air = wavelengths(hdu.header, flux.size)
    return wave, flux, in_air


def _medium(headers):
    """Tell air (True) from vacuum (False); None where keywords tell neither."""
    for header in headers:
        vacuum = {"T": True, "F": False, "True": True, "False": False}.get(str(header.get("VACUUM", "")))
        medium = str(header.get("AIRORVAC", "")).lower()[:3]
        if vacuum is not None or medium in ("air", "vac"):
            return medium == "air" if vacuum is None else not vacuum
    return None


def _resolution(headers, wave):
    """Find the resolving power, or the FWHM [A] that the archives of ELODIE and SOPHIE give instead."""
    for header in headers:
        powers = [header.get(key) for key in _RESOLVING_POWER]
        with suppress(TypeError, ValueError, ZeroDivisionError):
            powers.append(wave / float(header.get("H_WRESOL", math.nan)))
        for power in powers:
            with suppress(TypeError, ValueError):
                if _LEAST_RESOLUTION <= float(power) <= _MOST_RESOLUTION:
                    return float(power)
    return math.nan


def _from_text(path, content):
    try:
        lines = content.decode("utf-8").replace(",", " ").splitlines()
        with warnings.catch_warnings():
            # That there are no data is told below.
            warnings.simplefilter("ignore", UserWarning)
            wave, flux = np.loadtxt(lines, usecols=(0, 1), unpack=True, ndmin=2)
    except (UnicodeDecodeError, ValueError, IndexError) as error:
        raise FileError(
            f"{path} is neither FITS nor two columns of wavelength and flux ({error}); convert it first"
        ) from error
    if wave.size < 2 or not np.isfinite(wave).all():
        raise FileError(f"{path}: a spectrum needs at least two finite wavelengths; check the file")
    try:
        check_optical(wave)
    except FileError as error:
        raise FileError(f"{path}: {error}") from None
    return wave, flux
