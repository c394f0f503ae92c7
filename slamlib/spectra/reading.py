"""Any file or object of a spectrum into one `Spectrum`."""

import math
from collections import ChainMap
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.nddata import StdDevUncertainty
from astropy.utils.masked import Masked

from slamlib.errors import FileError, InputError, SlamlibError
from slamlib.spectra import lamost
from slamlib.spectra.columns import Columns, from_fits, from_text, inverse_variance, optical
from slamlib.spectra.dispersion import in_angstrom
from slamlib.spectra.spectrum import Spectrum, air_from_vacuum

# Where headers give the resolving power: ESO (Science Data Products Standard), the Virtual
# Observatory (Spectrum Data Model), BeSS (Be stars); the last two are used here and there.
_RESOLVING_POWER = ("SPEC_RES", "SPEC_RP", "SPE_RPOW", "BSS_ITRP", "SPECRES", "RESOLUTN")
# A smaller number under these names is a width in some unit.
LEAST_RESOLUTION, MOST_RESOLUTION = 400.0, 1e6
# A flux beyond this, in any unit, was not measured, and its square would overflow.
_LARGEST = 1e100
ASSUMED_AIR = "wavelengths taken to be in air: the file does not tell"
TOPOCENTRIC = "velocity not heliocentric: the file is topocentric"
UNKNOWN_FRAME = "velocity maybe not heliocentric: the file has BERV, but no SPECSYS"


@dataclass(frozen=True)
class Hints:
    """What a file may not tell of itself.

    Attributes
    ----------
    instrument : Instrument, str or None
        A name, or a TOML file; LAMOST's files are known by themselves.
    resolution : float, optional
        Resolving power, if the instrument is none of slamlib's.
    unit : str, optional
        Of the wavelengths: "nm", "um" or "Angstrom"; not of LAMOST's and DESI's files.
    vacuum : bool, optional
        Wavelengths are in vacuum (True) or air (False); not of LAMOST's files.
    """

    instrument: object = None
    resolution: float | None = None
    unit: str | None = None
    vacuum: bool | None = None


def read(path: str | Path, unit: str | None = None, vacuum: bool | None = None) -> Spectrum:
    """Read a one-dimensional spectrum: LAMOST's of every release, and most others.

    FITS: tables of wavelength and flux (ESO's archive, SDSS, CALSPEC), DESI's of one star, images
    of one spectrum with a linear or logarithmic axis, IRAF's four bands, rows of wavelength, flux
    and error. Text: two or three columns. Gzipped or not.

    Parameters
    ----------
    path : str or Path
    unit : str, optional
        Of the wavelengths, whatever the file says, unless it is LAMOST's or DESI's.
    vacuum : bool, optional
        Wavelengths are in vacuum, or in air, whatever the file says, unless it is LAMOST's. By default
        CTYPE1, the UCD of a table, VACUUM (T or F) or AIRORVAC tells; without them it is taken for air.

    Returns
    -------
    Spectrum
        In air, not normalised. A flux of exactly 0 counts as missing: pipelines fill gaps with it.
        The header is that of `slamlib.spectra.lamost.read`; of other files it has the name of the
        instrument only if the layout tells it, ``resolution`` (nan if unknown), ``errors`` (whether
        ivar is more than a mask) and what was ``assumed``.

    Raises
    ------
    FileError
        If the file is missing, damaged, or holds no optical spectrum.
    """
    path = Path(path)
    content = lamost.read_bytes(path)
    # What is named FITS and is not was badly downloaded: no text to be read.
    if content[:9] != b"SIMPLE  =" and ".fit" not in path.name.lower():
        try:
            return _spectrum(from_text(content, unit), vacuum, path.name)
        except SlamlibError as error:
            raise FileError(f"{path}: {error}") from None
    with lamost.open_fits(path, content) as hdus:
        if lamost.is_lamost(hdus):
            return lamost.read_hdus(hdus, path.name)
        return _spectrum(from_fits(hdus, unit), vacuum, path.name)


def as_spectrum(given, hints=None):
    """Return the `Spectrum` that an object holds; InputError or FileError if it holds none.

    Parameters
    ----------
    given : str, Path, Spectrum, tuple, or an object of specutils
        (wave, flux) or (wave, flux, error), with units of astropy or in Angstrom, masked or not; an error of
        None is none. Or what has a ``spectral_axis``, ``flux``, ``uncertainty`` and ``mask``, as
        specutils' Spectrum has.
    hints : Hints, optional
    """
    hints = hints or Hints()
    if isinstance(given, Spectrum):
        return given
    if isinstance(given, (str, Path)):
        return read(given, hints.unit, hints.vacuum)
    if not (hasattr(given, "spectral_axis") or (isinstance(given, tuple) and len(given) in (2, 3))):
        raise InputError(
            f"{type(given).__name__} is no spectrum; give files, (wave, flux, error), a slamlib.Spectrum or "
            "a Spectrum of specutils"
        )
    try:
        with np.errstate(all="ignore"):
            return _spectrum(_columns(given, hints.unit), hints.vacuum, "spectrum")
    except SlamlibError:
        raise
    except Exception as error:  # what others made can raise nearly anything
        told = "give vectors of numbers, wave in Angstrom or with its unit, flux and error in one unit"
        raise InputError(f"wave, flux and error cannot be used ({error}); {told}") from None


def _columns(given, unit):
    """Return the `Columns` of a tuple, or of an object like specutils'; `unit` as `Hints` has it."""
    if hasattr(given, "spectral_axis"):
        wave, flux, error = given.spectral_axis, given.flux, getattr(given, "uncertainty", None)
        if error is not None:
            error = error.represent_as(StdDevUncertainty)
            error = error.array if error.unit is None else error.quantity
    else:
        wave, flux, error = (*given, None)[:3]
    scale = getattr(flux, "unit", None) or u.dimensionless_unscaled
    flux, ivar = _numbers(flux, scale), None
    if getattr(given, "mask", None) is not None:
        flux = np.where(given.mask, np.nan, flux)
    if error is not None:
        ivar = inverse_variance(_numbers(error, scale), -2)
    factor = in_angstrom(unit or "") if getattr(wave, "unit", None) is None else 1.0
    wave = _numbers(wave, u.AA) * factor
    shapes = [part.shape for part in (wave, flux, ivar) if part is not None]
    if set(shapes) != {(wave.size,)}:
        raise InputError(f"shapes {shapes} are not vectors of one length")
    return Columns(wave, flux, ivar, None, [])


def _numbers(part, unit):
    """Return the numbers of an array in a unit, which is also that of one without; nan where it is masked."""
    values = u.Quantity(part, getattr(part, "unit", None) or unit).to_value(unit, u.spectral())
    # Not all that have it mean such a mask: that of pandas is a method.
    mask = part.mask if isinstance(part, (np.ma.MaskedArray, Masked)) else False
    return np.where(mask, np.nan, np.asarray(getattr(values, "unmasked", values), dtype=float))


def _spectrum(columns, vacuum, name):
    """Make a Spectrum in air of columns; `name` is the file's."""
    wave, flux, ivar, in_air, headers, instrument = optical(columns)
    in_air = _medium(headers) if in_air is None else in_air
    in_air = in_air if vacuum is None else not vacuum
    if in_air is False:
        wave = air_from_vacuum(wave)
    told = ChainMap(*headers)
    notes = [ASSUMED_AIR] if in_air is None and headers else []
    frame = str(told.get("SPECSYS", "")).strip().upper()
    if frame.startswith("TOPO"):
        notes.append(TOPOCENTRIC)
    elif not frame and "BERV" in told:
        # As in ELODIE's archive, whose spectra were not corrected for it.
        notes.append(UNKNOWN_FRAME)
    # SDSS calls the place of the star so; RA and DEC are those of the plate.
    star = {key: told[f"PLUG_{key}"] for key in ("RA", "DEC") if f"PLUG_{key}" in told}
    header = lamost.common_header(ChainMap(star, *headers), name) | {
        "instrument": instrument,
        "resolution": _resolution(headers, np.mean(wave)),
        "errors": ivar is not None,
        "assumed": "; ".join(notes),
        "rv": math.nan,
        "e_rv": math.nan,
    }
    ivar = np.ones(flux.size) if ivar is None else ivar
    bad = ~(np.abs(flux) < _LARGEST) | (flux == 0) | ~(ivar < _LARGEST**2) | (ivar <= 0)
    if bad.all():
        raise FileError("every pixel is masked, or has no flux or no inverse variance; leave this file out")
    return Spectrum(wave, np.where(np.abs(flux) < _LARGEST, flux, 0.0), np.where(bad, 0.0, ivar), bad, header)


def _medium(headers):
    """Tell air (True) from vacuum (False); None where keywords tell neither."""
    for header in headers:
        vacuum = {"T": True, "F": False, "True": True, "False": False}.get(str(header.get("VACUUM", "")))
        medium = str(header.get("AIRORVAC", "")).lower()[:3]
        if vacuum is not None or medium in ("air", "vac"):
            return medium == "air" if vacuum is None else not vacuum
        if str(header.get("TELESCOP", "")).startswith("HST"):
            return False
    return None


def _resolution(headers, wave):
    """Find the resolving power, or the FWHM [A] that the archives of ELODIE and SOPHIE give instead."""
    for header in headers:
        powers = [header.get(key) for key in _RESOLVING_POWER]
        with suppress(TypeError, ValueError, ZeroDivisionError):
            powers.append(wave / float(header.get("H_WRESOL", math.nan)))
        for power in powers:
            with suppress(TypeError, ValueError):
                if LEAST_RESOLUTION <= float(power) <= MOST_RESOLUTION:
                    return float(power)
    return math.nan
