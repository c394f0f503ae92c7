"""From a file to what SLAM takes: normalised flux at rest on the instrument's pixels."""

import hashlib
import math
from collections.abc import Mapping
from numbers import Real
from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy import units as u
from astropy.table import Table
from joblib import delayed
from numpy.typing import ArrayLike
from tqdm import tqdm

from slamlib.errors import InputError, SlamlibError, printable
from slamlib.instruments import Instrument, get_instrument
from slamlib.spectra.continuum import pseudo_continuum
from slamlib.spectra.reading import Hints
from slamlib.spectra.recognise import recognise
from slamlib.spectra.spectrum import Spectrum, to_instrument
from slamlib.spectra.velocity import KnownVelocities, VelocityTemplates, shift_to_rest
from slamlib.spectra.water import without_water
from slamlib.threads import in_processes

# The continuum is fitted this far beyond an arm [A], so that 600 km/s shift no pixel out
# of it and the ends of the spline lie outside.
MARGIN = 50.0
# Beyond these, flux in units of the continuum and SNR of a pixel are accidents: emission lines of
# hot stars reach ten, no spectrograph's pixel 10,000.
_MAX_FLUX, _MAX_SNR = 100.0, 1e5
# Files handed to a process at once.
_CHUNK = 32

_COLUMNS = {
    "file": (str, None, "file name"),
    "simulated": (bool, None, "the file says that it is simulated"),
    "obsid": (int, None, "unique number of the spectrum"),
    "ra": (float, u.deg, "right ascension"),
    "dec": (float, u.deg, "declination"),
    "mjd": (float, u.d, "modified Julian date of the observation"),
    "snr": (float, None, "signal to noise ratio: g band of LRS, lower arm of MRS"),
    "snr_b": (float, None, "signal to noise ratio of the blue MRS arm"),
    "snr_r": (float, None, "signal to noise ratio of the red MRS arm"),
    "rv": (float, u.km / u.s, "radial velocity used: heliocentric, unless assumed says otherwise"),
    "e_rv": (float, u.km / u.s, "standard error of rv, nan if it was given"),
    "subclass": (str, None, "spectral class by the LAMOST pipeline"),
    "assumed": (str, None, "what the file does not tell and was assumed"),
    "reason": (str, None, "why there is no spectrum; empty when there is one"),
}


def normalise(
    wave: ArrayLike, flux: ArrayLike, ivar: ArrayLike, instrument: Instrument | str
) -> tuple[np.ndarray, np.ndarray]:
    """Divide each arm by its pseudo-continuum.

    Model spectra put through the same division carry the same bias as the observed ones. The stiffness of the
    spline is that of the instrument for its files' own pixels; for others it is scaled so that structure of
    the same width [A] counts as continuum.

    Parameters
    ----------
    wave, flux, ivar : array_like, (n,)
        In air, increasing [A]; ivar = 0 where a pixel is bad.
    instrument : Instrument or str

    Returns
    -------
    flux, ivar : ndarray, (n,)
        Flux in units of the continuum and its ivar. Beyond 50 A around the arms, where the continuum is not
        positive and where no spectrum can be that bright or that precise, flux = 1 and ivar = 0.

    Raises
    ------
    InputError
        If an arm has too few good pixels or no positive continuum.
    """
    instrument = get_instrument(instrument)
    wave, flux, ivar = (np.asarray(array, dtype=float) for array in (wave, flux, ivar))
    out_flux, out_ivar = np.ones(wave.size), np.zeros(wave.size)
    for first, last, _ in instrument.arms:
        arm = np.flatnonzero((wave > first - MARGIN) & (wave < last + MARGIN))
        within = (wave[arm] >= first) & (wave[arm] <= last)
        good = ivar[arm] > 0
        if not (within & good).any():
            raise InputError(f"no good pixel from {first:.0f} to {last:.0f} A; leave this spectrum out")
        coarseness = np.median(np.diff(np.log(wave[arm]))) / instrument.native_step
        continuum = pseudo_continuum(wave[arm], flux[arm], ivar[arm], instrument.stiffness / coarseness)
        positive = good & (continuum > 0)
        if positive.sum() < good.sum() / 2:
            told = f"the continuum from {first:.0f} to {last:.0f} A is negative"
            raise InputError(f"{told}; leave this spectrum out")
        arm, continuum = arm[positive], continuum[positive]
        ratio, snr = flux[arm] / continuum, np.sqrt(ivar[arm]) * continuum
        sane = (np.abs(ratio) < _MAX_FLUX) & (snr < _MAX_SNR)
        if sane.sum() < good.sum() / 2:
            raise InputError(
                f"SNR of {np.median(snr):.2g} a pixel from {first:.0f} to {last:.0f} A: flux and ivar are "
                "not in the same units; leave this spectrum out"
            )
        out_flux[arm[sane]], out_ivar[arm[sane]] = ratio[sane], snr[sane] ** 2
    return out_flux, out_ivar


def prepare_with_velocity(spectrum, instrument, rv=None):
    """Normalise a spectrum, shift it to rest and rebin it onto the instrument's pixels.

    Parameters
    ----------
    spectrum : Spectrum
    instrument : Instrument or str
    rv : float, mapping, VelocityTemplates, KnownVelocities or None
        As `read_many` takes it; by default the velocity of ``spectrum.header``.

    Returns
    -------
    flux, ivar : ndarray, (n_pix,)
        As `slamlib.spectra.spectrum.to_instrument` gives them.
    velocity : dict
        rv and e_rv [km/s] of the shift.

    Raises
    ------
    InputError
        With the file's name, if the velocity is unknown, or an arm is not covered or has no continuum.
    """
    (rest, flux, ivar), velocity = _at_rest(spectrum, instrument, rv)
    return *to_instrument(rest, flux, ivar, instrument), velocity


def prepare_pair(spectrum, other, instrument, rv=None):
    """Prepare a spectrum as `prepare_with_velocity` does, and another by its continuum and velocity.

    `other`, (n,), is flux of the same star at the same pixels, such as one without noise: prepared like this,
    (n_pix,), it shows what preparation does to a star, apart from its noise.
    """
    (rest, flux, ivar), velocity = _at_rest(spectrum, instrument, rv)
    used = (ivar > 0) & (spectrum.flux != 0)
    divided = np.where(used, other * flux / np.where(used, spectrum.flux, 1), 1)
    other = to_instrument(rest, divided, np.where(used, ivar, 0), instrument)[0]
    return *to_instrument(rest, flux, ivar, instrument), velocity, other


def _at_rest(spectrum, instrument, rv):
    """Wavelengths at rest, normalised flux and ivar, and the velocity; an error names the file."""
    instrument = get_instrument(instrument)
    try:
        flux, ivar = normalise(spectrum.wave, spectrum.flux, spectrum.ivar, instrument)
        ivar = without_water(spectrum.wave, flux, ivar, instrument.resolution)
        velocity = _velocity(spectrum, flux, ivar, instrument, rv)
    except InputError as error:
        raise InputError(f"{spectrum.header.get('file', 'spectrum')}: {error}") from None
    return (shift_to_rest(spectrum.wave, velocity["rv"]), flux, ivar), velocity


class Recognised(NamedTuple):
    """What a file or object is, read once; without instrument and spectrum, the reason why.

    `digest` is a hash of name and spectrum: of all that labels depend on.
    """

    name: str
    digest: str = ""
    instrument: Instrument | None = None
    spectrum: Spectrum | None = None
    reason: str = ""


def recognised(one, hints):
    """Read a file, or what else `recognise` takes, and say what it is: a `Recognised`."""
    name = printable(one.name) if isinstance(one, Path) else "spectrum"
    try:
        instrument, spectrum = recognise(one, hints)
    except SlamlibError as error:
        # Only the name of the file: a catalogue must not depend on where the files lie.
        return Recognised(name, reason=str(error).replace(printable(one), name))
    digest = hashlib.sha256(repr((name, spectrum.header)).encode())
    for array in (spectrum.wave, spectrum.flux, spectrum.ivar, spectrum.mask):
        digest.update(np.ascontiguousarray(array))
    return Recognised(name, digest.hexdigest(), instrument, spectrum)


def read_many(given, instrument, rv=None, n_jobs=1, progress=True, hints=None):
    """Read and prepare many spectra; a bad one costs its row, never the run.

    Parameters
    ----------
    given : sequence
        Files, what else `slamlib.spectra.reading.as_spectrum` takes, or `Recognised`.
    instrument : Instrument or str
    rv : float, mapping, VelocityTemplates, KnownVelocities or None
        Where the velocities come from: None, the header (the LAMOST pipeline's, whose templates suit OB stars
        badly); a number [km/s], for all; a mapping of obsid to km/s; templates, by cross-correlation;
        `KnownVelocities`, a catalogue's where it has the star, else by cross-correlation.
    n_jobs, progress : int, bool
        Number of processes, and whether to show a progress bar.
    hints : Hints, optional
        What files do not tell; by default, that they are of this instrument.

    Returns
    -------
    flux, ivar : ndarray of float32, (m, n_pix)
        In the order of `given`; a row without a spectrum has flux 1 and ivar 0.
    table : Table
        One row each: file, simulated, obsid, ra, dec, mjd, snr, snr_b, snr_r, rv, e_rv,
        subclass, assumed and reason, which is empty where all went well.
    """
    instrument = get_instrument(instrument)
    given = [Path(one) if isinstance(one, str) else one for one in given]
    hints = hints or Hints(instrument=instrument)
    _check_rv(rv)
    flux = np.ones((len(given), instrument.wave.size), dtype=np.float32)
    ivar = np.zeros_like(flux)
    rows = []
    chunks = [given[start : start + _CHUNK] for start in range(0, len(given), _CHUNK)]
    calls = (delayed(_read_chunk)(chunk, instrument, rv, hints) for chunk in chunks)
    jobs = in_processes(min(n_jobs, max(len(chunks), 1)), calls)
    with tqdm(total=len(given), unit="spectrum", disable=not progress) as done:
        for chunk_flux, chunk_ivar, chunk_rows in jobs:
            here = slice(len(rows), len(rows) + len(chunk_rows))
            flux[here], ivar[here] = chunk_flux, chunk_ivar
            rows += chunk_rows
            done.update(len(chunk_rows))
    return flux, ivar, _table(rows)


def _velocity(spectrum, flux, ivar, instrument, rv):
    if isinstance(rv, KnownVelocities):
        known = rv.catalogue.get(spectrum.header.get("obsid", 0), math.nan)
        rv = float(known) if math.isfinite(known) else rv.templates
    if isinstance(rv, VelocityTemplates):
        # Interstellar bands and the gap do not move with the star.
        for first, last in instrument.excluded:
            ivar = np.where((spectrum.wave >= first) & (spectrum.wave <= last), 0.0, ivar)
        measured = rv.measure(spectrum.wave, flux, ivar)
        return {"rv": measured.rv, "e_rv": measured.e_rv}
    if rv is None:
        velocity = {key: spectrum.header.get(key, math.nan) for key in ("rv", "e_rv")}
        source = "in its header; give rv or templates"
    elif isinstance(rv, Mapping):
        obsid = spectrum.header.get("obsid", 0)
        velocity = {"rv": float(rv.get(obsid, math.nan)), "e_rv": math.nan}
        source = f"for obsid {obsid} in the catalogue; add it or use templates"
    else:
        velocity = {"rv": float(rv), "e_rv": math.nan}
        source = f"in rv = {rv}; give a number in km/s"
    if not math.isfinite(velocity["rv"]):
        raise InputError(f"no radial velocity {source}")
    return velocity


def _check_rv(rv):
    """Refuse at once what would otherwise cost every row."""
    if rv is None or isinstance(rv, (Mapping, VelocityTemplates, KnownVelocities)):
        return
    if not (isinstance(rv, Real) and math.isfinite(rv)):
        raise InputError(f"rv = {rv!r}; give None, km/s, a mapping of obsid to km/s, or velocity templates")


def _read_chunk(given, instrument, rv, hints):
    flux = np.ones((len(given), instrument.wave.size), dtype=np.float32)
    ivar = np.zeros_like(flux)
    rows = []
    for i, one in enumerate(given):
        one = one if isinstance(one, Recognised) else recognised(one, hints)
        row = {"file": one.name, "reason": one.reason}
        rows.append(row)
        if one.spectrum is None or one.instrument is None:
            continue
        # The pipeline's velocity shall not stand for one that was not used.
        row |= one.spectrum.header | {"rv": math.nan, "e_rv": math.nan}
        try:
            if one.instrument.name != instrument.name:
                other = one.instrument.name
                raise InputError(f"{one.name} is of {other}, not {instrument.name}; read it apart")
            flux[i], ivar[i], velocity = prepare_with_velocity(one.spectrum, instrument, rv)
            row |= velocity
        except SlamlibError as error:
            row["reason"] = str(error)
    return flux, ivar, rows


def _table(rows):
    empty = {str: "", int: 0, float: math.nan, bool: False}
    table = Table()
    for name, (kind, unit, description) in _COLUMNS.items():
        values = [row.get(name, empty[kind]) for row in rows]
        table[name] = np.array(values, dtype=kind)
        table[name].unit, table[name].description = unit, description
    return table
