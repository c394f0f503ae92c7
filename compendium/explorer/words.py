"""What the explorer says: quantities, the state of a fit, and tables to save."""

from io import StringIO

import numpy as np
from astropy.table import Table

from slamlib.errors import InputError
from slamlib.instruments import get_instrument, known_instruments
from slamlib.labels import NAMES
from slamlib.spectra.reading import Hints

# Steps of the labels that a derivative is quoted for: about what OB spectra can tell apart.
STEPS = {"teff": 1000.0, "logg": 0.1, "mh": 0.1, "vsini": 10.0}
SYMBOLS = {"teff": "Teff", "logg": "log g", "mh": "[M/H]", "vsini": "v sin i"}
UNITS = {"teff": "K", "logg": "dex", "mh": "dex", "vsini": "km/s"}
DIGITS = {"teff": 0, "logg": 2, "mh": 2, "vsini": 0}


def number(name, value):
    """Write the value of a label without its unit.

    Examples
    --------
    >>> number("teff", 22000), number("mh", -0.3)
    ('22,000', '−0.30')
    """
    return f"{value:,.{DIGITS[name]}f}".replace("-", "−")


def quantity(name, value, error=None):
    """Write a label with symbol and unit, and its error if it has one.

    Examples
    --------
    >>> quantity("teff", 22000), quantity("logg", 4, 0.05)
    ('Teff 22,000 K', 'log g 4.00 ± 0.05 dex')
    """
    tolerance = "" if error is None else f" ± {number(name, error)}"
    return f"{SYMBOLS[name]} {number(name, value)}{tolerance} {UNITS[name]}"


def step_text(name):
    """Write the step of a label.

    Examples
    --------
    >>> [step_text(name) for name in NAMES]
    ['1,000 K of Teff', '0.1 dex of log g', '0.1 dex of [M/H]', '10 km/s of v sin i']
    """
    return f"{STEPS[name]:,g} {UNITS[name]} of {SYMBOLS[name]}"


def hints_of(text):
    """Return the `Hints` that words give: an instrument or a resolving power, a unit, vacuum or air.

    InputError if a word is none of these.

    Examples
    --------
    >>> hints_of("5400 nm vacuum")
    Hints(instrument=None, resolution=5400.0, unit='nm', vacuum=True)
    """
    found = {}
    for word in text.replace(",", " ").split():
        if word in ("nm", "um", "Angstrom"):
            found["unit"] = word
        elif word in ("vacuum", "air"):
            found["vacuum"] = word == "vacuum"
        elif word in known_instruments():
            found["instrument"] = word
        elif word.isdecimal():
            found["resolution"] = float(word)
        else:
            raise InputError(
                f"{word!r} says nothing of a spectrum; give a resolving power, such as 5000, or one of "
                f"{', '.join(known_instruments())}; nm, um or Angstrom; vacuum or air"
            )
    return Hints(**found)


def told(view, shown, star):
    """Say which star an `Overlay` shows, what was found for it, and how well the model fits."""
    if star is None:
        limits = "; ".join(
            f"{SYMBOLS[name]} ± {number(name, error)} {UNITS[name]}"
            for name, error in zip(NAMES, view.bound, strict=True)
        )
        return (
            f"No star chosen: simulated noise, SNR {view.controls.snr:.0f}. Its photon noise alone, "
            f"if nothing else were wrong, would allow {limits} (Cramér-Rao bound)."
        )
    fit = "; ".join(map(quantity, NAMES, star.labels, star.errors))
    notes = "".join(f" {note};" for note in star.notes)
    snr = f"SNR {star.snr:.0f}, " if np.isfinite(star.snr) else ""
    kind = "simulated star, " if star.simulated else ""
    velocity = f"{star.rv:.0f}".replace("-", "−")
    return (
        f"{star.name} ({kind}{star.instrument}, {snr}{velocity} km/s). Its fit: {fit};{notes} "
        f"the model drawn leaves residuals of {shown.misfit:.1f} σ typically."
    )


def table_of(view, star, kept, what):
    """Write as ECSV the labels of all that is shown, or model and spectrum with the labels above them."""
    controls = view.controls
    rows = [["model drawn", *controls.labels, controls.velocity, *[np.nan] * len(NAMES)]]
    rows += [[some.name, *some.labels, some.rv, *some.errors] for some in (star, kept) if some is not None]
    names = ["name", *NAMES, "rv", *(f"e_{name}" for name in NAMES)]
    meta = {"instrument": get_instrument(controls.instrument).name, "spectrum": view.star.name}
    if what == "labels":
        units = {prefix + name: UNITS[name] for name in NAMES for prefix in ("", "e_")} | {"rv": "km/s"}
        table = Table(rows=rows, names=names, units=units, meta=meta)
    else:
        table = Table(
            {"model_wave": view.model_wave, "model": view.model, "derivative": view.slope}
            | {name: getattr(view.star, name) for name in ("wave", "flux", "sigma", "residual")},
            units={"model_wave": "Angstrom", "wave": "Angstrom"},
            meta=meta | {"derivative_by": {controls.slope: STEPS[controls.slope]}},
        )
        table.meta["labels"] = [dict(zip(names, map(_plain, row), strict=True)) for row in rows]
    text = StringIO()
    table.write(text, format="ascii.ecsv")
    return text.getvalue()


def _plain(value):
    return value if isinstance(value, str) else float(value)
