"""Wavelength, flux and error of any one-dimensional spectrum: tables, images, IRAF's bands, DESI's, text."""

import warnings
from typing import NamedTuple

import numpy as np
from astropy.io import fits

from slamlib.errors import FileError
from slamlib.spectra.dispersion import OPTICAL, check_optical, in_angstrom, wavelengths

# Names of columns, the first that is there counts; of logarithms of the wavelength; of errors as
# (name, power): the inverse variance is the error to that power.
_WAVES = ("WAVE", "WAVELENGTH", "LAMBDA", "LAM", "LOGLAM", "LOGLAMBDA")
_FLUXES = ("FLUX", "FLUX_REDUCED", "SPEC", "SPECTRUM")
_ERRORS = (
    *(("IVAR", 1), ("STAT", -1), ("VAR", -1), ("VARIANCE", -1), ("ERR", -2), ("ERRS", -2), ("ERROR", -2)),
    *(("SIGMA", -2), ("ERR_REDUCED", -2), ("FLUX_ERR", -2), ("FLUX_ERROR", -2), ("STATERROR", -2)),
)
# A million lines of text [bytes].
_MOST_TEXT = 32 << 20
# Masks, 0 where a pixel is good.
_MASKS = ("AND_MASK", "MASK", "QUAL")
# DESI's cameras, and where one hands over to the next [A].
_CAMERAS, _HANDOVER = ("B", "R", "Z"), (5790.0, 7560.0)


class Columns(NamedTuple):
    """What a file has of a spectrum.

    Attributes
    ----------
    wave : ndarray, (n,)
        [A], in air or vacuum.
    flux : ndarray, (n,)
        nan where the file calls a pixel bad, if ivar does not.
    ivar : ndarray, (n,) or None
        None if the file has no errors.
    in_air : bool or None
        None if the file does not tell.
    headers : list of astropy.io.fits.Header
    instrument : str
        Of a layout that only one spectrograph has; else empty.
    """

    wave: np.ndarray
    flux: np.ndarray
    ivar: np.ndarray | None
    in_air: bool | None
    headers: list
    instrument: str = ""


def from_fits(hdus, unit=None):
    """Find the spectrum of a FITS file: its `Columns`; FileError if there is none, or more than one.

    A table with columns of wavelength (or its log10) and flux, as ESO's archive, SDSS, CALSPEC and many
    others have; DESI's images by camera; or the first image: of one axis, of IRAF's bands, or of rows of
    wavelength, flux and error. `unit` of the wavelengths counts, whatever the file says.
    """
    if "B_WAVELENGTH" in hdus and "FIBERMAP" in hdus:
        return _from_desi(hdus)
    for hdu in hdus[1:]:
        names = [name.upper() for name in hdu.columns.names] if hasattr(hdu, "columns") else []
        wave, flux = ([name for name in some if name in names] for some in (_WAVES, _FLUXES))
        if wave and flux:
            return _from_table(hdu, names, wave[0], flux[0], hdus[0].header, unit)
    images = [hdu for hdu in hdus if hdu.is_image and hdu.header.get("NAXIS")]
    return _from_image(images[0] if images else hdus[0], hdus, unit)


def _from_table(hdu, names, wave_name, flux_name, primary, unit):
    def column(name):
        return np.ravel(hdu.data.field(names.index(name))).astype(float)

    wave, flux = column(wave_name), column(flux_name)
    if wave.size != flux.size:
        raise FileError(
            f"{wave_name} has {wave.size} pixels and {flux_name} {flux.size}: the file is damaged, fetch it "
            "again"
        )
    number = names.index(wave_name) + 1
    if wave_name.startswith("LOG"):
        with np.errstate(over="ignore"):
            wave = 10.0**wave * in_angstrom(unit or "")
    else:
        wave = wave * in_angstrom(unit or hdu.header.get(f"TUNIT{number}", ""))
    ivar = None
    for name, power in _ERRORS:
        if name in names:
            ivar = inverse_variance(column(name), power)
            break
    # A pixel is bad whether or not the file has errors.
    for name in set(_MASKS) & set(names):
        flux = np.where(column(name) == 0, flux, np.nan)
    # The UCD tells, not the name.
    ucd = str(hdu.header.get(f"TUCD{number}", "")).lower()
    in_air = "obs.atmos" in ucd if "em.wl" in ucd else None
    sdss = {"LOGLAM", "AND_MASK"} <= set(names)
    return Columns(wave, flux, ivar, False if sdss else in_air, [primary, hdu.header], "BOSS" * sdss)


def _from_desi(hdus):
    n = len(hdus["FIBERMAP"].data)
    if n != 1:
        raise FileError(f"spectra of {n} stars in one file; write that of one star, with its row of FIBERMAP")
    parts, low = [], 0.0
    for camera, high in zip(_CAMERAS, (*_HANDOVER, np.inf), strict=True):
        if f"{camera}_WAVELENGTH" not in hdus:
            continue
        wave, flux, ivar = (np.ravel(hdus[f"{camera}_{k}"].data) for k in ("WAVELENGTH", "FLUX", "IVAR"))
        if f"{camera}_MASK" in hdus:
            ivar = np.where(np.ravel(hdus[f"{camera}_MASK"].data) == 0, ivar, 0)
        here = (wave >= low) & (wave < high)
        parts.append(np.stack([wave, flux, ivar]).astype(float)[:, here])
        low = high
    star = hdus["FIBERMAP"].data[0]
    told = {"OBSID": "TARGETID", "RA": "TARGET_RA", "DEC": "TARGET_DEC", "MJD": "MEAN_MJD"}
    known = fits.Header({key: star[name].item() for key, name in told.items() if name in star.array.names})
    wave, flux, ivar = np.concatenate(parts, axis=1)
    return Columns(wave, flux, ivar, False, [hdus[0].header, known], "DESI")


def _from_image(hdu, hdus, unit):
    flux = np.squeeze(np.asarray(hdu.data, dtype=float)) if hdu.header.get("NAXIS") else np.zeros(0)
    headers, ivar = [hdus[0].header, hdu.header], None
    if flux.ndim == 2 and "BANDID1" in hdu.header:
        # IRAF's apall: optimal extraction, plain extraction, sky, sigma.
        bands = [str(hdu.header.get(f"BANDID{band + 1}", "")).lower() for band in range(len(flux))]
        errors = [band for band, name in zip(flux, bands, strict=True) if "sigma" in name]
        flux, ivar = flux[0], inverse_variance(errors[0], -2) if errors else None
    elif flux.ndim == 2:
        rows = flux if len(flux) < 4 else flux.T
        if len(rows) in (2, 3) and "CRVAL1" not in hdu.header and (np.diff(rows[0]) > 0).all():
            return Columns(rows[0] * in_angstrom(unit or ""), rows[1], _third(rows), None, headers)
    if flux.ndim != 1 or flux.size < 2:
        raise FileError(
            "not a one-dimensional spectrum: an image needs one axis, or rows of wavelength, flux and "
            "error, a table columns WAVE and FLUX; merge the orders of an echelle spectrum first"
        )
    beside = {other.name: other for other in hdus[::-1] if other.is_image and other.shape == flux.shape}
    for name, power in _ERRORS if ivar is None else ():
        if name in beside:
            ivar = inverse_variance(np.asarray(beside[name].data, dtype=float), power)
            break
    for name in set(_MASKS) & set(beside):
        flux = np.where(beside[name].data == 0, flux, np.nan)
    wave, in_air = wavelengths(hdu.header, flux.size, unit)
    return Columns(wave, flux, ivar, in_air, headers)


def from_text(content, unit=None):
    """Read `Columns` of wavelength, flux and, if there are three, error, of bytes; FileError if it has none.

    Lines before the numbers are skipped. Wavelengths without a `unit` are in Angstrom.
    """
    if len(content) > _MOST_TEXT:
        raise FileError(f"more than {_MOST_TEXT >> 20} MB of text, which no spectrum has")
    try:
        lines = content.decode("utf-8-sig").replace(",", " ").replace(";", " ").splitlines()
        first = next((i for i, line in enumerate(lines) if _is_number(line)), 0)
        with warnings.catch_warnings():
            # That there are no data is told below.
            warnings.simplefilter("ignore", UserWarning)
            rows = np.loadtxt(lines[first:], unpack=True, ndmin=2)
        if len(rows) < 2:
            raise ValueError("one column")
    except (UnicodeDecodeError, ValueError, IndexError) as error:
        told = f"neither FITS nor two columns of wavelength and flux ({error}); convert it first"
        raise FileError(told) from error
    if len(rows) > 3:
        raise FileError(
            f"text of {len(rows)} columns: which is the error, if any, cannot be told; keep wavelength, flux "
            "and error, with points for decimals"
        )
    if not np.isfinite(rows[0]).all():
        raise FileError("a wavelength is not finite; check the file")
    return Columns(rows[0] * in_angstrom(unit or ""), rows[1], _third(rows), None, [])


def optical(columns):
    """Return `Columns` in the order of the wavelength, without what lies beyond the optical.

    FileError, with the likely reason, if the wavelengths cannot be right.
    """
    wave = columns.wave
    if wave.size < 2:
        raise FileError("a spectrum needs at least two pixels; leave this one out")
    inside = (wave >= OPTICAL[0]) & (wave <= OPTICAL[1])
    if inside.sum() < max(2, wave.size / 2):
        check_optical(wave)
    if wave[0] > wave[-1]:
        inside = np.flatnonzero(inside)[::-1]
    wave, flux, ivar = (None if part is None else part[inside] for part in columns[:3])
    if not (np.diff(wave) > 0).all():
        raise FileError("the wavelengths are not in order; sort them and drop repeated lines")
    return columns._replace(wave=wave, flux=flux, ivar=ivar)


def _third(rows):
    return inverse_variance(rows[2], -2) if len(rows) == 3 else None


def inverse_variance(error, power):
    """Inverse variance of errors that are its power; None if they tell nothing.

    An inverse variance of 0, or an infinite error, says that a pixel is bad, even if all are; an error of 0
    that nobody measured it.
    """
    good = np.isfinite(error) & (error > 0)
    ivar = np.where(good, np.where(good, error, 1) ** power, 0)
    told = good.any() or (error == (0 if power == 1 else np.inf)).any()
    return ivar if told else None


def _is_number(line):
    try:
        float(line.split()[0])
    except (ValueError, IndexError):
        return False
    return True
