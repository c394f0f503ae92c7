"""LAMOST FITS files of every data release, LRS and MRS, into one Spectrum type."""

import io
import math
import warnings
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning

from slamlib.cards import check_cards
from slamlib.errors import FileError, SlamlibError, printable
from slamlib.instruments import C_KMS
from slamlib.io import DAMAGED, unpacked, up_to_max
from slamlib.spectra.spectrum import Spectrum, air_from_vacuum

# What LAMOST writes for a number it does not know.
MISSING = -9999.0
# Beyond these a number of the header is absurd.
_LAST_MJD, _MAX_SNR = 1e6, 1e5
_MJD_EPOCH = datetime(1858, 11, 17, tzinfo=UTC)
# Wavelengths beyond these [A] mean that a file does not hold what its layout promises.
_WAVE_RANGE = (3000.0, 12000.0)
# A step this many times the median of its arm means that pixels were lost.
_GAP_STEPS = 1.5


def read(path):
    """Read a LAMOST spectrum, whatever its release, gzipped or not.

    The layout is told from the content, not from the name: LRS as one image of five rows (up to DR8; those of
    2013 hold no wavelengths but their coefficients) or as a COADD table (from DR9); MRS with COADD_B and
    COADD_R tables, or, where a coadd is missing, the single exposure of that arm with the highest SNR
    (``header["source_b"]``, ``header["source_r"]`` say which was taken).

    Returns
    -------
    Spectrum
        In air, heliocentric, not normalised. The header holds obsid (0 if absent), ra, dec [deg], mjd
        [d, from DATE-OBS], rv and e_rv [km/s] (the pipeline's, LRS only; nan if absent), snr (SNRG of
        LRS, the lower arm of MRS), snr_b, snr_r, subclass, release, instrument, file and simulated. A
        number that is missing or absurd is nan.

    Raises
    ------
    FileError
        If the file is missing, empty, truncated, not FITS, FITS of another kind, has no usable pixel
        or wavelengths out of order.
    """
    path = Path(path)
    with open_fits(path, read_bytes(path)) as hdus:
        return read_hdus(hdus, path.name)


def is_lamost(hdus):
    """Tell whether FITS HDUs are laid out as one of LAMOST's files."""
    primary, names = hdus[0].header, [hdu.name for hdu in hdus[1:]]
    if primary.get("NAXIS") == 2 and hdus[0].shape[0] >= 5:
        return not str(primary.get("CTYPE1", "")).startswith("MULTI")
    if "COADD" in names:
        # SDSS calls its table so, too.
        return "AND_MASK" not in {name.upper() for name in hdus["COADD"].columns.names}
    return any(name.startswith(("COADD_B", "COADD_R", "B-", "R-")) for name in names)


def read_hdus(hdus, name):
    """Read the HDUs of a LAMOST file of that name, as `read` does."""
    spectrum = _read_hdus(hdus, name)
    if spectrum.mask.all():
        raise FileError("every pixel is masked or has no inverse variance; leave this file out")
    return spectrum


def read_bytes(path):
    """Content of a file, unpacked if it is packed by gzip, bzip2, xz or zip.

    FileError if it is missing, unreadable, empty, larger than any spectrum, or packed and not whole.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        # A folder, or a device or pipe, which might never end.
        raise FileError(f"cannot read {path}, which is no file; name the files in it")
    try:
        with path.open("rb") as stream:
            content = up_to_max(stream)
        content = unpacked(content)
    except FileNotFoundError:
        raise FileError(f"no file {path}; check the path or fetch it first") from None
    except DAMAGED as error:
        raise FileError(f"{path} is a truncated or damaged packed file ({error}); fetch it again") from error
    except OSError as error:
        raise FileError(f"cannot read {path} ({error}); check that it is a file you may read") from error
    if not content:
        raise FileError(f"{path} is empty; fetch it again")
    return content


@contextmanager
def open_fits(path, content):
    """Yield the HDUs of a FITS file; whatever goes wrong inside becomes a FileError that names `path`.

    `content` is what `read_bytes` returns of it.
    """
    if content[:9] != b"SIMPLE  =":
        raise FileError(f"{path} is not a FITS file; check what was downloaded")
    try:
        content = check_cards(content)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            # Odd cards are common in survey headers and harm nothing that is read here.
            warnings.simplefilter("ignore", AstropyWarning)
            with fits.open(io.BytesIO(content), memmap=False) as hdus:
                # A primary image that is compressed by tiles stands in the first extension.
                packed = len(hdus) > 1 and isinstance(hdus[1], fits.CompImageHDU)
                yield hdus[1:] if packed and not hdus[0].header.get("NAXIS") else hdus
    except SlamlibError as error:
        raise FileError(f"{path}: {error}") from None
    except Exception as error:  # a damaged file can raise nearly anything
        raise FileError(f"{path} is damaged or not laid out as expected ({error}); fetch it again") from error


def _read_hdus(hdus, name):
    primary = hdus[0].header
    header = common_header(primary, name)
    if primary.get("NAXIS") == 2 and hdus[0].shape[0] >= 5:
        flux, ivar, wave, andmask = np.asarray(hdus[0].data[:4], dtype=float)
        if "subcontinuum" in str(primary.get("EXTEN0")).lower():
            # The earliest layout has flux without its continuum where later ones have wavelengths.
            wave = 10.0 ** (primary["COEFF0"] + primary["COEFF1"] * np.arange(wave.size))
        return _lrs((wave, flux, ivar, andmask), primary, header)
    names = [hdu.name for hdu in hdus[1:3]]
    if "COADD" in names:
        return _lrs(_vectors(hdus["COADD"].data), primary, header)
    if not {"COADD_B", "COADD_R"} <= set(names):
        names = [hdu.name for hdu in hdus[1:]]
    if any(name.startswith(("COADD_B", "COADD_R", "B-", "R-")) for name in names):
        return _mrs(hdus, names, primary, header)
    raise FileError(
        "not a LAMOST spectrum: expected a primary image of 5 rows, or a HDU COADD, COADD_B or COADD_R; "
        f"found {', '.join(hdu.name or 'unnamed' for hdu in hdus)}"
    )


def _lrs(vectors, primary, header):
    z, z_err = _number(primary, "Z"), _number(primary, "Z_ERR")
    header.update(
        instrument="LRS",
        snr=_number(primary, "SNRG" if "SNRG" in primary else "SN_G", -_MAX_SNR, _MAX_SNR),
        snr_b=math.nan,
        snr_r=math.nan,
        rv=z * C_KMS if abs(z) < 1 else math.nan,
        e_rv=z_err * C_KMS if 0 < z_err < 1 else math.nan,
        subclass=str(primary.get("SUBCLASS", "")).strip(),
    )
    wave, flux, ivar, mask = _pixels(vectors, primary)
    return Spectrum(wave, flux, ivar, mask, header)


def _mrs(hdus, names, primary, header):
    arms = []
    for arm in ("B", "R"):
        coadd = f"COADD_{arm}"
        exposures = [name for name in names if name.startswith(f"{arm}-")]
        if coadd in names:
            source = coadd
        elif exposures:
            source = max(exposures, key=lambda name: np.nan_to_num(_number(hdus[name].header, "SNR"), nan=-1))
        else:
            source = ""
        header[f"source_{arm.lower()}"] = source
        header[f"snr_{arm.lower()}"] = (
            _number(hdus[source].header, "SNR", -_MAX_SNR, _MAX_SNR) if source else math.nan
        )
        if source:
            arms.append(_pixels(_vectors(hdus[source].data), primary))
    header.update(
        instrument="MRS",
        snr=float(np.fmin(header["snr_b"], header["snr_r"])),
        rv=math.nan,
        e_rv=math.nan,
        subclass="",
    )
    wave, flux, ivar, mask = (np.concatenate(columns) for columns in zip(*arms, strict=True))
    return Spectrum(wave, flux, ivar, mask, header)


def _vectors(table):
    """Wave, flux, ivar and mask of a table with one pixel a row or one row of vectors."""
    names = {name.upper() for name in table.names}
    wave = np.ravel(table["WAVELENGTH"] if "WAVELENGTH" in names else table["LOGLAM"]).astype(float)
    mask = np.ravel(table["ANDMASK" if "ANDMASK" in names else "PIXMASK"])
    flux, ivar = (np.ravel(table[name]).astype(float) for name in ("FLUX", "IVAR"))
    return wave if "WAVELENGTH" in names else 10.0**wave, flux, ivar, mask


def _pixels(vectors, primary):
    """Wave in air and increasing, flux, ivar and mask, with every bad pixel weightless."""
    wave, flux, ivar, mask = vectors
    if wave.size and wave[0] > wave[-1]:
        wave, flux, ivar, mask = wave[::-1], flux[::-1], ivar[::-1], mask[::-1]
    if wave.size == 0 or not (np.isfinite(wave).all() and (np.diff(wave) > 0).all()):
        raise FileError("the wavelengths are not in order; fetch the file again")
    if wave[0] < _WAVE_RANGE[0] or wave[-1] > _WAVE_RANGE[1]:
        told = f"wavelengths from {wave[0]:.6g} to {wave[-1]:.6g} A are not LAMOST's"
        raise FileError(f"{told}; check where it came from")
    step = np.diff(np.log(wave))
    if step.size and step.max() > _GAP_STEPS * np.median(step):
        raise FileError(f"pixels are missing after {wave[step.argmax()]:.2f} A; fetch the file again")
    if primary.get("VACUUM", True) not in (False, "F"):
        wave = air_from_vacuum(wave)
    # ANDMASK marks pixels bad in every exposure. ORMASK marks those bad in at least one:
    # the coadd has already left that exposure out, and dropping the pixel as well would
    # lose good data, so it is not used. PIXMASK is the mask of a single exposure. No count
    # with sky subtracted is exactly 0: that is where nothing was measured.
    bad = (mask != 0) | ~np.isfinite(flux) | (flux == 0) | ~np.isfinite(ivar) | (ivar <= 0)
    return wave, np.where(np.isfinite(flux), flux, 0.0), np.where(bad, 0.0, ivar), bad


def common_header(primary, name):
    """Return what a Spectrum's header has of any file: a header, or a mapping like one, and the name."""
    obsid = _number(primary, "OBSID", 0, 2**53)
    return {
        "file": printable(name),
        "obsid": 0 if math.isnan(obsid) else int(obsid),
        "ra": _number(primary, "RA", 0, 360),
        "dec": _number(primary, "DEC", -90, 90),
        "mjd": _mjd(primary),
        "release": str(primary.get("DATA_V", "")).strip(),
        "simulated": primary.get("SIMULATE", False) is True,
    }


def _mjd(primary):
    """Time of the observation, of LAMOST its middle; MJD, and DATE-OBS without hours, are only the day."""
    times = [_number(primary, key, 0, _LAST_MJD) for key in ("MJD-OBS", "MJD")]
    with suppress(KeyError, ValueError, fits.VerifyError):
        date = str(primary["DATE-OBS"])
        moment = datetime.fromisoformat(date)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        times.insert(0 if ":" in date else 2, (moment - _MJD_EPOCH).total_seconds() / 86400)
    return next(filter(math.isfinite, times), math.nan)


def _number(header, key, low=-math.inf, high=math.inf):
    """Return the number of a header key, or nan where it is missing, damaged, no number or absurd."""
    try:
        value = float(header[key])
    except (KeyError, TypeError, ValueError, fits.VerifyError):
        return math.nan
    return value if math.isfinite(value) and low <= value <= high and value != MISSING else math.nan
