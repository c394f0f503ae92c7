"""What a spectrum is labelled as: its instrument, its pixels, the noise that a file does not tell."""

import math

import numpy as np

from slamlib.errors import InputError
from slamlib.instruments import INSTRUMENTS, get_instrument, instrument_of_range, known_instruments
from slamlib.spectra.reading import LEAST_RESOLUTION, MOST_RESOLUTION, Hints, as_spectrum
from slamlib.spectra.spectrum import Spectrum, rebin

# From this resolving power on all are labelled as `_HERMES` is; two pixels are never wider than it.
_HIGH, _HERMES = 30_000.0, "HERMES"
_FINE = "R above 30,000 by its pixels"
# Two pixels of a spectrum resolve so many times more than its instrument does: hardly one of that instrument.
_SHARPER = 5.0
_NO_ERRORS = "no errors in the file: those of the scatter"
# A gap wider than this ends a range [A]; the range of a spectrum beyond an arm that is kept [A].
_GAP, _BEYOND = 30.0, 60.0
# Pixels whose scatter tells the noise of those in the midst of them, and the least noise.
_BLOCK, _LEAST_NOISE = 100, 0.002
# The inverse variance of a fainter flux, in any unit, would overflow.
_FAINTEST = 1e-100


def recognise(given, hints=None):
    """Find out what a file or object is: an instrument, and the spectrum as it is labelled.

    The instrument is LAMOST's by the file; else what `hints` say, or the layout, or the resolving power in
    the header. All of R > 30,000 are labelled as HERMES. Of the `Spectrum`, pixels finer than the
    instrument's are put together; errors that the file lacks are made from the scatter of neighbouring
    pixels. `given` is as `as_spectrum` takes it. FileError or InputError if it cannot be read, or nothing
    tells its resolving power.
    """
    hints = hints or Hints()
    spectrum = as_spectrum(given, hints)
    name = spectrum.header.get("instrument", "")
    if name in INSTRUMENTS:
        return get_instrument(name), spectrum
    try:
        instrument, assumed = _instrument(spectrum, name, hints)
        return instrument, _coarsened(spectrum, instrument, assumed)
    except InputError as error:
        raise InputError(f"{spectrum.header.get('file', 'spectrum')}: {error}") from None


def _instrument(spectrum, name, hints):
    """Return the instrument, and what was assumed to find it."""
    if hints.instrument is not None:
        instrument = get_instrument(hints.instrument)
        sharper = 0.5 / _pixel(spectrum.wave) > _SHARPER * instrument.effective_resolution
        told = f"pixels far finer than {instrument.name} resolves: if lines are sharper too, labels are off"
        return instrument, told * bool(sharper)
    resolution = hints.resolution
    if resolution is None and name:
        return get_instrument(name), ""
    if resolution is None:
        resolution = spectrum.header.get("resolution", math.nan)
    if _HIGH <= resolution <= MOST_RESOLUTION:
        return get_instrument(_HERMES), ""
    if math.isnan(resolution) and _pixel(spectrum.wave) < 0.5 / _HIGH:
        return get_instrument(_HERMES), _FINE
    if not LEAST_RESOLUTION <= resolution <= MOST_RESOLUTION:
        told = "the file does not tell its resolving power" if math.isnan(resolution) else f"R = {resolution}"
        raise InputError(
            f"{told}; name the instrument (--instrument {', '.join(known_instruments())}) or give "
            "--resolution R"
        )
    wave = spectrum.wave[~spectrum.mask]
    ends = np.flatnonzero(np.diff(wave) > _GAP)
    ranges = zip(wave[[0, *(ends + 1)]], wave[[*ends, -1]], strict=True)
    return instrument_of_range(resolution, list(ranges)), ""


def _pixel(wave):
    return np.median(np.diff(np.log(wave)))


def _coarsened(spectrum, instrument, assumed):
    """Put pixels together that are finer than the instrument's, and find errors if there are none."""
    wave, flux, ivar = spectrum.wave, spectrum.flux, spectrum.ivar
    near = (wave > instrument.wave[0] - _BEYOND) & (wave < instrument.wave[-1] + _BEYOND)
    if near.sum() < 2:
        raise InputError(
            f"flux from {wave[0]:.0f} to {wave[-1]:.0f} A, none where {instrument.name} observes; "
            "name another instrument"
        )
    wave, flux, ivar = wave[near], flux[near], ivar[near]
    if (pixel := _pixel(wave)) > 1 / instrument.effective_resolution:
        raise InputError(
            f"pixels of {pixel * wave.mean():.2g} A are wider than what {instrument.name} resolves; give the "
            "resolving power that the file has"
        )
    if pixel < 0.8 * instrument.native_step:
        log_edges = np.arange(np.log(wave[0]), np.log(wave[-1]), instrument.native_step)
        edges = np.exp(log_edges)
        flux, ivar = rebin(wave, flux, ivar, edges)
        wave = (edges[1:] + edges[:-1]) / 2
    header, notes = spectrum.header, [spectrum.header.get("assumed"), assumed]
    if not header.get("errors", True):
        noise = _noise(flux, ivar > 0)
        ivar = np.where(ivar > 0, noise**-2, 0)
        notes.append(_NO_ERRORS)
    good = ivar > 0
    if not good.any():
        raise InputError(f"no good pixel where {instrument.name} observes; leave this spectrum out")
    snr = float(np.median(flux[good] * np.sqrt(ivar[good])))
    told = {"instrument": instrument.name, "snr": snr, "assumed": "; ".join(filter(None, notes))}
    return Spectrum(wave, flux, ivar, ~good, header | told)


def _noise(flux, good):
    """Return the standard deviation of single pixels, (n,), where neighbours differ from a straight line.

    DER_SNR (Stoehr et al. 2008, ASP Conf. 394, 505) in blocks of pixels, linear between; at
    least 0.2% of the median flux.
    """
    size = flux.size
    second = np.abs(2 * flux[2:-2] - flux[:-4] - flux[4:]) * 1.482602 / math.sqrt(6)
    whole = good[2:-2] & good[:-4] & good[4:]
    if not whole.any():
        raise InputError("no five good pixels side by side; leave this spectrum out")
    places, values = np.flatnonzero(whole) + 2, second[whole]
    blocks = [slice(start, start + _BLOCK) for start in range(0, places.size, _BLOCK)]
    centres, widths = ([np.median(part[block]) for block in blocks] for part in (places, values))
    typical = abs(np.median(flux[good]))
    if typical < _FAINTEST:
        raise InputError(f"a median flux of {typical:.2g} tells no noise; leave this spectrum out")
    return np.maximum(np.interp(np.arange(size), centres, widths), _LEAST_NOISE * typical)
