"""Write spectra as LAMOST FITS files in the layout of DR7, so that simulations use the real reader."""

import gzip
import io
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from astropy.io import fits

from slamlib.errors import InputError
from slamlib.instruments import C_KMS
from slamlib.io import atomic
from slamlib.spectra.lamost import MISSING
from slamlib.spectra.spectrum import vacuum_from_air

_MJD_EPOCH = datetime(1858, 11, 17, tzinfo=UTC)
# No pixel of the blue MRS arm lies redward of this, none of the red arm blueward [A].
_ARM_SPLIT = 5800.0


def write_lrs(path, spectrum):
    """Write a spectrum in air as an LRS file of DR7: one image of flux, ivar, wavelength and two masks.

    Gzipped if the name ends in .gz; the same spectrum and name give the same bytes. The file holds vacuum
    wavelengths as float32, good to 5e-4 A. Of the header, obsid, ra, dec, mjd, snr, rv, e_rv, subclass,
    release and simulated are written where present.
    """
    header = _primary_header(path, spectrum)
    header["EXTNAME"] = ("Flux", "The extension name")
    header["EXTEN0"] = "Flux, Inverse, Wavelength, Andmask, Ormask"
    wave = vacuum_from_air(spectrum.wave)
    log_step = np.diff(np.log10(wave))
    if np.ptp(log_step) < 1e-3 * log_step.mean():
        header["NWORDER"] = (2, "Number of linear-log10 coefficients")
        header["WFITTYPE"] = ("LOG-LINEAR", "Linear-log10 dispersion")
        for first, step in (("COEFF0", "COEFF1"), ("CRVAL1", "CD1_1")):
            header[first] = (round(math.log10(wave[0]), 7), "Central wavelength (log10) of first pixel")
            header[step] = (round(log_step.mean(), 10), "Log10 dispersion per pixel")
        header["CRPIX1"] = (1, "Starting pixel (1-indexed)")
        header["DC-FLAG"] = (1, "Log-linear flag")
    header["CLASS"] = ("STAR", "Class of object")
    header["SUBCLASS"] = (spectrum.header.get("subclass", ""), "Subclass of object")
    header["Z"] = (_known(spectrum, "rv", C_KMS), "Redshift of object")
    header["Z_ERR"] = (_known(spectrum, "e_rv", C_KMS), "Redshift error of object")
    header["SNRG"] = (_known(spectrum, "snr"), "SNR of g filter")
    mask = spectrum.mask
    image = np.stack([spectrum.flux, spectrum.ivar, wave, mask, mask]).astype(np.float32)
    _write(path, [fits.PrimaryHDU(image, header)])


def write_mrs(path, spectrum):
    """Write a spectrum as an MRS file of DR7, as `write_lrs`: tables COADD_B and COADD_R, no exposures.

    The file holds log10 of the vacuum wavelength as float32, good to 2e-3 A, and instead of snr, rv and
    subclass of the header snr_b and snr_r. An arm without pixels is left out.
    """
    header = _primary_header(path, spectrum)
    header["EXTNAME"] = ("Information", "The extension name")
    red = spectrum.wave > _ARM_SPLIT
    hdus = [fits.PrimaryHDU(header=header)]
    for arm, pixels in (("B", ~red), ("R", red)):
        if not pixels.any():
            continue
        mask = spectrum.mask[pixels]
        columns = [
            fits.Column("FLUX", "E", array=spectrum.flux[pixels]),
            fits.Column("IVAR", "E", array=spectrum.ivar[pixels]),
            fits.Column("LOGLAM", "E", array=np.log10(vacuum_from_air(spectrum.wave[pixels]))),
            fits.Column("ANDMASK", "I", array=mask),
            fits.Column("ORMASK", "I", array=mask),
        ]
        table = fits.BinTableHDU.from_columns(columns, name=f"COADD_{arm}")
        table.header["SNR"] = (_known(spectrum, f"snr_{arm.lower()}"), "Signal to noise ratio")
        hdus.append(table)
    _write(path, hdus)


def _primary_header(path, spectrum):
    if spectrum.mask.all():
        raise InputError(f"{path}: every pixel of the spectrum to write is masked; no reader would take it")
    known = spectrum.header
    header = fits.Header()
    header["FILENAME"] = Path(path).name.removesuffix(".gz")
    header["OBSID"] = (int(known.get("obsid", 0)), "Unique number ID of this spectrum")
    header["AUTHOR"] = ("slamlib", "Who compiled the information")
    header["DATA_V"] = (known.get("release", ""), "Data release version")
    if known.get("simulated", False):
        header["SIMULATE"] = (True, "Simulated: not an observation")
    mjd = float(known.get("mjd", math.nan))
    if math.isfinite(mjd):
        moment = _MJD_EPOCH + timedelta(seconds=round(mjd * 86400, 3))
        header["DATE-OBS"] = (moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3], "The observation median UTC")
        # LAMOST numbers its nights by the day on which they end.
        header["LMJD"] = (math.floor(mjd) + 1, "Local Modified Julian Day")
        header["MJD"] = (math.floor(mjd), "Modified Julian Day")
    header["RA"] = (_known(spectrum, "ra"), "[deg] Right ascension of object")
    header["DEC"] = (_known(spectrum, "dec"), "[deg] Declination of object")
    header["OBJTYPE"] = ("Star", "Object type from input catalog")
    header["HELIO"] = (True, "Heliocentric correction")
    header["VACUUM"] = (True, "Wavelengths are in vacuum")
    return header


def _known(spectrum, key, unit=1.0):
    """Return the header's number in `unit`; -9999, as LAMOST has it, where it is not known."""
    value = float(spectrum.header.get(key, math.nan)) / unit
    return value if math.isfinite(value) else MISSING


def _write(path, hdus):
    stream = io.BytesIO()
    fits.HDUList(hdus).writeto(stream)
    content = stream.getvalue()
    if Path(path).suffix == ".gz":
        # No time stamp in the gzip header: the same spectrum gives the same bytes.
        content = gzip.compress(content, compresslevel=6, mtime=0)
    with atomic(path) as temporary:
        temporary.write_bytes(content)
