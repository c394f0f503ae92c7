"""High-resolution spectra of any spectrograph: read them, degrade them."""

import math
import warnings

import numpy as np
from astropy import units as u
from astropy.io import fits
from scipy.ndimage import gaussian_filter1d

from slamlib.errors import FileError, InputError
from slamlib.instruments import get_instrument
from slamlib.survey.lamost import open_fits, read_bytes
from slamlib.survey.spectrum import Spectrum, air_from_vacuum, to_instrument

_FWHM = 2 * math.sqrt(2 * math.log(2))


def read_hires(path):
    """Read a one-dimensional spectrum: FITS with a wavelength axis or ESO's table, or text.

    FITS: the primary array with CRVAL1 and CDELT1 or CD1_1 (and CRPIX1, 1 by default),
    linear, or log10 when DC-FLAG = 1. CTYPE1 = WAVE means vacuum, AWAV or anything else
    air. CUNIT1 may be any unit of length, '0.1 nm' too; Angstrom by default. Or a binary
    table of one row with vectors WAVE and FLUX, as ESO's archive gives spectra (Science Data
    Products Standard, section SPECTRUM): in air where the UCD of WAVE has ``obs.atmos``,
    otherwise in vacuum. Text: air wavelength [A] and flux, separated by blanks or a comma,
    # before comments. Gzipped or not.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    wave : ndarray, (n,)
        Wavelengths in air [A], increasing.
    flux : ndarray, (n,)
        In the units of the file; nan where the file has none.

    Raises
    ------
    FileError
        If the file is missing, damaged, or holds no such spectrum.
    """
    content = read_bytes(path)
    if content[:9] == b"SIMPLE  =":
        with open_fits(path, content) as hdus:
            tables = [hdu for hdu in hdus[1:] if {"WAVE", "FLUX"} <= _columns(hdu)]
            wave, flux = _from_eso(tables[0]) if tables else _from_image(hdus[0])
    else:
        wave, flux = _from_text(path, content)
    if wave[0] > wave[-1]:
        wave, flux = wave[::-1], flux[::-1]
    if not (np.diff(wave) > 0).all():
        raise FileError(f"{path}: the wavelengths are not in order; sort them and drop repeated lines")
    if not np.isfinite(flux).any():
        raise FileError(f"{path}: no pixel has a finite flux; leave this file out")
    return wave, flux


def degrade(wave, flux, resolution_from, resolution_to):
    """Lower the resolving power of a spectrum by a Gaussian of constant width in velocity.

    Parameters
    ----------
    wave : array_like, (n,)
        Increasing [A].
    flux : array_like, (n,)
        A nan spreads to what the Gaussian reaches, 4 sigma.
    resolution_from, resolution_to : float
        Resolving power lambda / FWHM before and after.

    Returns
    -------
    wave, flux : ndarray, (m,)
        On a logarithmic grid as fine as the finest native pixel.

    Raises
    ------
    InputError
        If the resolution is not to be lowered.

    Notes
    -----
    Gaussians convolve to a Gaussian, so FWHM = c (R_to^-2 - R_from^-2)^(1/2) in velocity.
    """
    if not 0 < resolution_to < resolution_from:
        raise InputError(
            f"cannot degrade R = {resolution_from} to R = {resolution_to}; the second must be the lower one"
        )
    wave, flux = np.asarray(wave, dtype=float), np.asarray(flux, dtype=float)
    log_wave = np.log(wave)
    step = np.diff(log_wave).min()
    n = int((log_wave[-1] - log_wave[0]) / step) + 1
    grid = np.exp(log_wave[0] + step * np.arange(n))
    sigma = math.sqrt(resolution_to**-2 - resolution_from**-2) / _FWHM
    return grid, gaussian_filter1d(np.interp(grid, wave, flux), sigma / step, mode="nearest")


def to_lamost(wave, flux, resolution, instrument, snr, header=None):
    """Turn a high-resolution spectrum into one as LAMOST would have taken it, without its noise.

    Parameters
    ----------
    wave, flux : ndarray, (n,)
        In air [A]; nan where there is no flux.
    resolution : float
        Resolving power of the spectrum.
    instrument : Instrument or str
    snr : float
        Signal-to-noise ratio per pixel that the inverse variance claims.
    header : dict, optional
        Header of the result.

    Returns
    -------
    Spectrum
        On the instrument's pixels and a margin; pixels not covered are masked.
    """
    instrument = get_instrument(instrument)
    wide = instrument.widened()
    known = np.isfinite(flux)
    filled = np.interp(wave, wave[known], flux[known])
    fine, smooth = degrade(wave, filled, resolution, instrument.resolution)
    covered = np.interp(fine, wave, known.astype(float)) == 1
    flux, ivar = to_instrument(fine, smooth, covered.astype(float), wide)
    missing = ivar == 0
    ivar = np.where(missing, 0, (snr / np.maximum(flux, 1e-3 * np.median(flux))) ** 2)
    return Spectrum(wide.wave, flux, ivar, missing, dict(header or {}))


def _columns(hdu):
    return {name.upper() for name in getattr(hdu, "columns", fits.ColDefs([])).names}


def _from_eso(hdu):
    names = [name.upper() for name in hdu.columns.names]
    # ESO marks the main of several fluxes by meta.main, but names it FLUX all the same.
    wave, flux = (np.ravel(hdu.data.field(names.index(name))).astype(float) for name in ("WAVE", "FLUX"))
    if wave.size != flux.size:
        raise FileError(f"WAVE has {wave.size} pixels and FLUX {flux.size}; fetch it again")
    number = names.index("WAVE") + 1
    wave = wave * _to_angstrom(hdu.header.get(f"TUNIT{number}", ""))
    # The UCD tells, not the name: em.wl is vacuum, em.wl;obs.atmos air.
    return (wave if "obs.atmos" in hdu.header.get(f"TUCD{number}", "") else air_from_vacuum(wave)), flux


def _from_image(hdu):
    header = hdu.header
    if header.get("NAXIS") != 1 or "CRVAL1" not in header or not {"CDELT1", "CD1_1"} & set(header):
        raise FileError(
            "not a one-dimensional spectrum: the primary HDU needs one axis, CRVAL1 and CDELT1 (or CD1_1), "
            "or a table columns WAVE and FLUX"
        )
    flux = np.asarray(hdu.data, dtype=float)
    increment = float(header["CD1_1"] if "CD1_1" in header else header["CDELT1"])
    pixel = np.arange(flux.size) + 1 - float(header.get("CRPIX1", 1))
    wave = float(header["CRVAL1"]) + increment * pixel
    if header.get("DC-FLAG", 0) == 1:
        wave = 10.0**wave
    wave = wave * _to_angstrom(header.get("CUNIT1", ""))
    # AWAV is air, WAVE vacuum (FITS paper III, Greisen et al. 2006).
    return (air_from_vacuum(wave) if header.get("CTYPE1", "").strip() == "WAVE" else wave), flux


def _to_angstrom(unit):
    return u.Unit(unit.strip() or "Angstrom").to(u.AA)


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
    return wave, flux
