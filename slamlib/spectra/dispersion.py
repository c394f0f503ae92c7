"""Wavelengths of a one-dimensional spectrum in FITS: linear, logarithmic, or as IRAF writes them."""

import re

import numpy as np

from slamlib.errors import FileError

# Wavelengths of optical spectra [A]: what is read as others was not meant so.
OPTICAL = (2000.0, 30000.0)
# Angstrom in each unit; case, blanks and a plural s do not matter. FITS knows A as ampere.
_UNITS = dict.fromkeys(("", "a", "aa", "ang", "angstrom", "0.1nm", "10**-10m"), 1.0)
_UNITS |= {"nm": 10.0, "nanometer": 10.0, "nanometre": 10.0}
_UNITS |= {"um": 1e4, "micron": 1e4, "micrometer": 1e4, "micrometre": 1e4}
_UNITS |= {"m": 1e10, "meter": 1e10, "metre": 1e10}
# Axes of FITS paper III that are no wavelength.
_OTHER_AXES = ("FREQ", "ENER", "WAVN", "VRAD", "VOPT", "ZOPT", "VELO", "BETA")


def in_angstrom(unit):
    """How many Angstrom a unit of wavelength is; no unit means Angstrom; FileError if no spectrum has it.

    Examples
    --------
    >>> in_angstrom("Angstroms"), in_angstrom("0.1 nm"), in_angstrom("nm")
    (1.0, 1.0, 10.0)
    """
    name = "".join(str(unit).lower().split())
    factor = _UNITS.get(name, _UNITS.get(name.rstrip("s")))
    if factor is None:
        raise FileError(f"the wavelengths have the unit {unit!r}; use Angstrom, nm, um or m")
    return factor


def check_optical(wave):
    """Refuse wavelengths [A] that are not all within `OPTICAL`; the FileError has the likely reason."""
    if not _is_optical(wave):
        low, high = np.min(wave), np.max(wave)
        with np.errstate(over="ignore"):
            why = _why(wave)
        raise FileError(f"wavelengths from {low:.6g} to {high:.6g} A are no optical spectrum's; {why}")


def wavelengths(header, n, unit=None):
    """Wavelengths of the `n` pixels of a one-dimensional image: [A] as the file gives them, and if in air.

    The latter is None where CTYPE1 does not tell. `unit` counts, whatever the header says. FileError if the
    header defines no wavelengths, or none of an optical spectrum.

    Notes
    -----
    The step is CD1_1, or CDELT1 times PC1_1 (FITS paper I, Greisen & Calabretta 2002). CTYPE1
    = WAVE-LOG or AWAV-LOG is lambda_r exp(w / lambda_r) (paper III, Greisen et al. 2006,
    equation 5), WAVE vacuum and AWAV air (table 1). DC-FLAG = 1 is IRAF's sign of log10, its
    MULTISPE has the solution in WAT2 (Valdes 1993, *The IRAF/NOAO Spectral World Coordinate
    Systems*). Headers often name logarithms otherwise, or not at all; but 3.3 to 4.5 can only
    be log10 of Angstrom, and 7.6 to 10.3 only the natural logarithm.
    """
    ctype = str(header.get("CTYPE1", "")).strip().upper()
    if ctype.startswith("MULTISPE"):
        axis, is_log = _multispec(header, n)
    else:
        axis, is_log = _axis(header, n), "LOG" in ctype or _is_one(header.get("DC-FLAG", 0))
    with np.errstate(over="ignore"):
        readings = [10.0**axis, np.exp(axis)]
    if ctype in ("WAVE-LOG", "AWAV-LOG"):
        reference = float(header["CRVAL1"])
        readings.insert(0, reference * np.exp((axis - reference) / reference))
    elif ctype.startswith(_OTHER_AXES) or ctype[:5] in ("WAVE-", "AWAV-"):
        raise FileError(f"CTYPE1 = {ctype!r} is not read; write the spectrum on equal steps of wavelength")
    elif not is_log:
        readings.insert(0, axis)
    unit = unit or header.get("CUNIT1", "") or _attribute(header, "units")
    # Without CUNIT1 the unit of WAVE and AWAV is the metre, but few who leave it out mean it.
    metres = not unit and ctype[:4] in ("WAVE", "AWAV") and np.max(axis) < 1e-4
    factor = in_angstrom("m" if metres else unit)
    for wave in readings:
        if _is_optical(wave * factor):
            return wave * factor, {"AWAV": True, "WAVE": False}.get(ctype.removesuffix("-LOG"))
    if is_log:
        raise FileError(f"{axis.min():.6g} to {axis.max():.6g} are no logarithms of optical wavelengths")
    check_optical(readings[0] * factor)
    return None


def _axis(header, n):
    if "CRVAL1" not in header or not {"CDELT1", "CD1_1", "PC1_1"} & set(header):
        raise FileError("no wavelengths: the header needs CRVAL1 and CDELT1 (or CD1_1)")
    scaled = float(header.get("CDELT1", 1)) * float(header.get("PC1_1", 1))
    step = float(header.get("CD1_1", scaled))
    return float(header["CRVAL1"]) + step * (np.arange(1, n + 1) - float(header.get("CRPIX1", 1)))


def _multispec(header, n):
    """Axis, and whether it is log10, of the one spectrum that WAT2 describes."""
    solutions = re.findall(r'spec\d+\s*=\s*"([^"]*)"', _attributes(header, 2))
    if len(solutions) != 1:
        raise FileError(f"WAT2 is of {len(solutions)} spectra, not of one; extract one with IRAF's scopy")
    _, _, kind, first, step, _, z = map(float, solutions[0].split()[:7])
    if kind not in (0, 1) or (kind == 1 and z != 0):
        raise FileError(
            f"WAT2 gives wavelengths of IRAF's type {kind:.0f}, neither linear nor log-linear at rest; "
            "make it linear with IRAF's dispcor"
        )
    physical = (np.arange(1, n + 1) - float(header.get("LTV1", 0))) / float(header.get("LTM1_1", 1))
    return (first + step * (physical - 1)) / (1 + z), kind == 1


def _attributes(header, axis):
    """IRAF's text of an axis, spread over cards that lost the blanks at their ends."""
    cards = sorted(key for key in header if re.fullmatch(rf"WAT{axis}_\d+", key))
    return "".join(str(header[key]).ljust(68) for key in cards)


def _attribute(header, name):
    found = re.search(rf"\b{name}\s*=\s*\"?([\w.*-]+)", _attributes(header, 1))
    return found.group(1) if found else ""


def _is_one(flag):
    return str(flag).strip() in ("1", "1.0", "T", "True")


def _is_optical(wave):
    return bool(np.isfinite(wave).all() and wave.min() >= OPTICAL[0] and wave.max() <= OPTICAL[1])


def _why(wave):
    if wave.min() < 2 and abs(np.ptp(wave) - wave.size + 1) < 0.5:
        return "they look like pixel numbers: calibrate the spectrum first"
    for unit in ("nm", "um", "m"):
        if _is_optical(wave * _UNITS[unit]):
            return f"they look like {unit}: give the unit, or convert them"
    if _is_optical(10.0**wave) or _is_optical(np.exp(wave)):
        return "they look like logarithms: convert them"
    return f"give Angstrom, from {OPTICAL[0]:.0f} to {OPTICAL[1]:.0f}"
