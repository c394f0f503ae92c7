"""What the explorer says: quantities, warnings and the state of a fit, as plain or HTML text."""

import base64
from html import escape
from io import StringIO

import numpy as np
from astropy.table import Table

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


def describe(row):
    """Name a star of a catalogue."""
    return f"obsid {row['obsid']}: {quantity('teff', row['teff'])}, {quantity('logg', row['logg'])}"


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
    return (
        f'<p role="alert"><b>Outside the model grid.</b> {which}. There the regression extrapolates, '
        "and what is drawn is no model star.</p>"
    )


def told(view, star):
    """Say as HTML which star is shown, what was found for it, and how well the model fits."""
    if star is None:
        limits = _list(
            f"{SYMBOLS[name]} ± {number(name, error)} {UNITS[name]}"
            for name, error in zip(NAMES, view.bound, strict=True)
        )
        return (
            f"<b>No star chosen: simulated noise, SNR {view.controls.snr:.0f}.</b> Its photon noise alone, "
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


def download(view, star):
    """Return a link, as HTML, to what is shown as an ECSV table: model, star and the labels of both."""
    table = Table(
        {"model_wave": view.model_wave, "model": view.model, "derivative": view.slope}
        | {name: getattr(view.star, name) for name in ("wave", "flux", "sigma", "residual")}
    )
    controls = view.controls
    table.meta = {
        "spectrum": view.star.name,
        "instrument": controls.instrument,
        "model_labels": dict(zip(NAMES, controls.labels, strict=True)) | {"rv": controls.velocity},
        "derivative_by": {controls.slope: STEPS[controls.slope]},
    }
    if star is not None:
        table.meta["fit"] = dict(zip(NAMES, star.labels.tolist(), strict=True))
        table.meta["fit_errors"] = dict(zip(NAMES, star.errors.tolist(), strict=True))
    text = StringIO()
    table.write(text, format="ascii.ecsv")
    return _link(f"slamlib_{controls.instrument}.ecsv", text.getvalue(), "save table")


def save_picture(svg):
    """Return a link, as HTML, to a picture."""
    return _link("slamlib.svg", svg, "save picture")


def _link(name, text, what):
    data = base64.b64encode(text.encode()).decode()
    return f'<a download="{name}" href="data:application/octet-stream;base64,{data}">{what}</a>'


def _list(quantities):
    """Join quantities; no line breaks within one."""
    return "; ".join(text.replace(" ", "&nbsp;") for text in quantities)
