"""What the explorer says: quantities, warnings and the state of a fit, as plain or HTML text."""

from html import escape

import numpy as np

from slamlib.labels import NAMES

# Steps of the labels that a derivative is quoted for: about what OB spectra can tell apart.
STEPS = {"teff": 1000.0, "logg": 0.1, "mh": 0.1, "vsini": 10.0}
SYMBOLS = {"teff": "Teff", "logg": "log g", "mh": "[M/H]", "vsini": "v sin i"}
UNITS = {"teff": "K", "logg": "dex", "mh": "dex", "vsini": "km/s"}
FORMATS = {"teff": ",.0f", "logg": ".2f", "mh": ".2f", "vsini": ".0f"}


def number(name, value):
    """Write the value of a label without its unit.

    Examples
    --------
    >>> number("teff", 22000), number("mh", -0.3)
    ('22,000', '−0.30')
    """
    return format(value, FORMATS[name]).replace("-", "−")


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


def warning(outside):
    """Say as HTML what lies outside the model grid; nothing if nothing does."""
    if not outside:
        return ""
    which = "; ".join(escape(text) for text in outside)
    told = "the regression extrapolates, and what is drawn is no model star"
    return f'<p role="alert"><b>Outside the model grid.</b> {which}. There {told}.</p>'


def told(view, controls, star):
    """Say as HTML which star is shown, what was found for it, and how well the model fits."""
    if star is None:
        limits = _list(
            f"{SYMBOLS[name]} ± {number(name, error)} {UNITS[name]}"
            for name, error in zip(NAMES, view.bound, strict=True)
        )
        return (
            f"<b>No star chosen: simulated noise, SNR {controls.snr:.0f}.</b> Its photon noise alone, "
            f"if nothing else were wrong, would allow {limits} (Cramér-Rao bound)."
        )
    fit = _list(map(quantity, NAMES, star.labels, star.errors))
    notes = "".join(f" <b>{escape(note)}</b>;" for note in star.notes)
    snr = f"SNR {star.snr:.0f}, " if np.isfinite(star.snr) else ""
    kind = "simulated star, " if star.simulated else ""
    velocity = format(star.rv, ".0f").replace("-", "−")
    return (
        f"<b>{escape(star.name)}</b> ({kind}{star.instrument}, {snr}{velocity} km/s). Its fit: {fit};{notes} "
        f"the model drawn leaves residuals of {view.misfit:.1f} σ typically."
    )


def _list(quantities):
    """Join quantities; no line breaks within one."""
    return "; ".join(text.replace(" ", "&nbsp;") for text in quantities)
