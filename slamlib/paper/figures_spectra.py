"""Figures about spectra: from a LAMOST file to a normalised spectrum (1), and SLAM's fit (5, 6)."""

from itertools import pairwise

import numpy as np
from matplotlib.ticker import MaxNLocator
from scipy.optimize import isotonic_regression

from slamlib.errors import InputError
from slamlib.instruments import get_instrument
from slamlib.labels import LABELS, as_labels
from slamlib.paper.style import (
    BLACK,
    CYAN,
    GREY,
    PAGE,
    RED,
    SMALL,
    apj_style,
    new_figure,
    note_simulated,
    require_columns,
)

# Strong lines of OB stars: air wavelengths [A] from the NIST Atomic Spectra Database; blends
# and multiplets that share a name on the figure stand together.
LINES = (
    (r"H$\epsilon$", (3970.07,)),
    ("He I", (4026.19,)),
    (r"H$\delta$", (4101.73,)),
    ("He I", (4143.76,)),
    ("He II", (4199.83,)),
    (r"H$\gamma$", (4340.46,)),
    ("He I", (4387.93,)),
    ("He I", (4471.48,)),
    ("Mg II", (4481.2,)),
    ("He II", (4541.59,)),
    ("Si III", (4552.62, 4567.84, 4574.76)),
    ("He II", (4685.7,)),
    ("He I", (4713.15,)),
    (r"H$\beta$", (4861.33,)),
    ("He I", (4921.93,)),
    ("He I", (5015.68,)),
    ("He I", (5047.74,)),
    ("He II", (5411.52,)),
    ("He I", (5875.62,)),
    ("Si II", (6347.11,)),
    ("Si II", (6371.37,)),
    (r"H$\alpha$", (6562.8,)),
    ("He I", (6678.15,)),
)
_EXAMPLE = ("instrument", "wave", "flux", "continuum", "normalised", "ivar", "text")
_LRS_ROWS = 3
_WAVELENGTH = r"Wavelength [$\rm\AA$]"
# Width of the axes over that of the page, for one and two panels side by side.
_PANEL_WIDTH = {1: 0.92, 2: 0.44}


@apj_style()
def fig01_spectra(examples, simulated):
    """Draw the way from a LAMOST spectrum through its pseudo-continuum to the normalised one (Fig. 1).

    Parameters
    ----------
    examples : list of dict
        One a star: instrument ("LRS" or "MRS"), text (what to call it), and arrays of (n_pix,):
        wave in air at rest [A], flux (raw), continuum (raw units), normalised, ivar (of the
        normalised flux; 0 hides the pixel there).
    simulated : bool
        Whether any of the spectra is simulated; the figure then says so.

    Returns
    -------
    matplotlib.figure.Figure
        Two rows a star; an MRS star has a column for each arm.

    Raises
    ------
    InputError
        If an entry is missing or arrays differ in length.
    """
    if not examples:
        raise InputError("no example spectra; Fig. 1 needs at least one")
    figure = new_figure(PAGE, 3.6 * len(examples))
    subfigures = figure.subfigures(len(examples), 1, squeeze=False)[:, 0]
    for subfigure, example in zip(subfigures, examples, strict=True):
        require_columns(example, _EXAMPLE, f"example spectrum {example.get('text', '')!r}")
        _same_length(example, ("wave", "flux", "continuum", "normalised", "ivar"))
        instrument = get_instrument(example["instrument"])
        windows = [(first, last) for first, last, _ in instrument.arms]
        panels = subfigure.subplots(2, len(windows), sharex="col", squeeze=False, gridspec_kw={"hspace": 0})
        for column, window in zip(panels.T, windows, strict=True):
            raw, divided = column
            _draw_example(raw, divided, example, instrument, window, len(windows))
        panels[0, 0].set_title(f"{instrument.name}: {example['text']}", loc="left")
        panels[0, 0].set_ylabel("Relative flux")
        panels[1, 0].set_ylabel("Normalised flux")
        # Cosmic rays shall not cross it.
        box = {"frameon": True, "framealpha": 1, "edgecolor": "none"}
        panels[0, 0].legend(loc="upper right", ncols=2, **box)
        subfigure.align_ylabels(panels[:, 0])
        if simulated:
            note_simulated(panels[0, -1])
    return figure


@apj_style()
def fig_fit(wave, flux, ivar, model, instrument, labels, errors, text, simulated):
    """Draw an observed normalised spectrum, SLAM's model of it and the residuals (Figs 5 and 6).

    Parameters
    ----------
    wave : ndarray, (n_pix,)
        Air wavelength at rest [A].
    flux, ivar, model : ndarray, (n_pix,)
        Normalised flux, its inverse variance (0 hides a pixel) and SLAM's prediction.
    instrument : str or Instrument
    labels, errors : array_like, (4,)
        Labels of the model and their one-sigma errors.
    text : str
        What to call the star.
    simulated : bool
        Whether the spectrum is simulated; the figure then says so.

    Returns
    -------
    matplotlib.figure.Figure
        LRS: three rows of wavelength; MRS: one column an arm. Under each, the residuals with the
        noise of one sigma on both sides of zero.

    Raises
    ------
    InputError
        If arrays differ in length or a label is not finite.
    """
    instrument = get_instrument(instrument)
    spectrum = {"wave": wave, "flux": flux, "ivar": ivar, "model": model}
    _same_length(spectrum, tuple(spectrum))
    if len(instrument.arms) == 1:
        first, last, _ = instrument.arms[0]
        windows = list(pairwise(np.linspace(first, last, _LRS_ROWS + 1)))
        figure, n_rows, n_columns = new_figure(PAGE, 7.4), _LRS_ROWS, 1
    else:
        windows = [(first, last) for first, last, _ in instrument.arms]
        figure, n_rows, n_columns = new_figure(PAGE, 3.6), 1, len(windows)
    ratios = {"height_ratios": (3, 1) * n_rows, "hspace": 0}
    panels = figure.subplots(2 * n_rows, n_columns, squeeze=False, gridspec_kw=ratios)
    mains, strips = panels[::2], panels[1::2]
    for main, strip, window in zip(mains.flat, strips.flat, windows, strict=True):
        draw_fit(main, strip, spectrum, instrument, window, n_columns)
    for main, strip in zip(mains[:, 0], strips[:, 0], strict=True):
        main.set_ylabel("Normalised flux")
        strip.set_ylabel("Residual")
    for strip in strips[-1]:
        strip.set_xlabel(_WAVELENGTH)
    figure.align_ylabels(panels[:, 0])
    quantities = (
        _quantity(*row) for row in zip(LABELS, as_labels(labels)[0], as_labels(errors)[0], strict=True)
    )
    figure.suptitle(f"{instrument.name}: {text}\n" + ",   ".join(quantities), x=0.01, ha="left", fontsize=9)
    handles = [*mains[0, 0].get_legend_handles_labels()[0], strips[0, 0].get_legend_handles_labels()[0][0]]
    figure.legend(handles=handles, loc="upper right", ncols=3, borderaxespad=0.2)
    if simulated:
        note_simulated(mains[0, -1])
    return figure


def _draw_example(raw, normalised, example, instrument, window, n_columns):
    """One window of one star: raw flux with the continuum above, normalised flux below."""
    wave, show = _inside(example["wave"], window, f"example spectrum {example['text']!r}")
    flux, continuum, divided, ivar = (
        np.asarray(example[name], dtype=float)[show] for name in ("flux", "continuum", "normalised", "ivar")
    )
    scale = np.nanmedian(np.asarray(example["continuum"], dtype=float))
    raw.plot(wave, flux / scale, color=BLACK, linewidth=0.5, label="spectrum")
    raw.plot(wave, continuum / scale, color=RED, linewidth=1.2, linestyle="--", label="pseudo-continuum")
    good = (ivar > 0) & np.isfinite(flux)
    # A wild pixel must not squeeze the spectrum: the continuum and the good pixels set the range.
    low, high = np.percentile(flux[good], (0.5, 99.5)) if good.any() else (0, 0)
    raw.set_ylim(0.7 * max(low, 0) / scale, 1.25 * max(high, np.nanmax(continuum)) / scale)
    normalised.axhline(1, color=RED, linewidth=0.8, linestyle="--")
    normalised.plot(wave, np.where(good, divided, np.nan), color=BLACK, linewidth=0.5)
    low = np.percentile(divided[good], 0.1) if good.any() else 0.5
    normalised.set(xlabel=_WAVELENGTH, xlim=window)
    _name_lines(normalised, window, min(low, 0.9) - 0.05, 1.1, n_columns)
    _shade_excluded((raw, normalised), instrument, window)


def draw_fit(main, strip, spectrum, instrument, window, n_columns):
    """Draw one window of a fit: spectrum and model in `main`, residuals and noise in `strip`."""
    wave, show = _inside(spectrum["wave"], window, "the fitted spectrum")
    flux, ivar, model = (np.asarray(spectrum[name], dtype=float)[show] for name in ("flux", "ivar", "model"))
    good = (ivar > 0) & np.isfinite(flux)
    sigma = np.where(good, 1 / np.sqrt(np.where(good, ivar, 1)), np.nan)
    main.plot(wave, np.where(good, flux, np.nan), color=BLACK, linewidth=0.6, label="observed")
    main.plot(wave, model, color=RED, linewidth=0.9, linestyle=(0, (4, 1)), label="SLAM model")
    _name_lines(main, window, min(model.min(), 0.92) - 0.08, max(model.max(), 1.04) + 0.04, n_columns)
    residual = np.where(good, flux - model, np.nan)
    strip.plot(wave, residual, color=BLACK, linewidth=0.4)
    strip.axhline(0, color=RED, linewidth=0.6)
    for sign in (1, -1):
        strip.plot(wave, sign * sigma, color=CYAN, linewidth=0.9, label=r"noise, $\pm1\sigma$")
    reach = 3.5 * max(np.nanmedian(sigma), np.nanstd(residual)) if good.any() else 0.1
    main.set(xlim=window)
    main.tick_params(labelbottom=False)
    strip.set(xlim=window, ylim=(-reach, reach))
    strip.yaxis.set_major_locator(MaxNLocator(4, prune="both"))
    _shade_excluded((main, strip), instrument, window)


def _name_lines(axes, window, low, high, n_columns):
    """Name the strong lines in the headroom above `high`, moved apart where they crowd."""
    headroom = 0.42 * (high - low) / (1 - 0.42)
    axes.set_ylim(low, high + headroom)
    inside = [(name, waves) for name, waves in LINES if window[0] < min(waves) and max(waves) < window[1]]
    if not inside:
        return
    width = PAGE * _PANEL_WIDTH[n_columns]
    gap = 1.15 * SMALL / 72 / width * (window[1] - window[0])
    centres = np.array([np.mean(waves) for _, waves in inside])
    for (name, waves), place in zip(inside, spread_apart(centres, gap, window), strict=True):
        for wave in waves:
            elbow = high + headroom * np.array([0.0, 0.15, 0.35])
            axes.plot([wave, wave, place], elbow, color=BLACK, linewidth=0.4)
        text = {"rotation": 90, "ha": "center", "va": "bottom", "fontsize": SMALL}
        axes.text(place, high + 0.4 * headroom, name, **text)


def spread_apart(places, gap, window):
    """Least-squares nearest places that are at least `gap` apart and inside the window.

    Without the gaps the problem is a monotone regression (Barlow et al. 1972).
    """
    gaps = gap * np.arange(len(places))
    monotone = isotonic_regression(places - gaps).x
    return np.clip(monotone, window[0] + 0.6 * gap, window[1] - 0.6 * gap - gaps[-1]) + gaps


def _shade_excluded(panels, instrument, window):
    """Shade the ranges that carry no weight."""
    for first, last in instrument.excluded:
        if last > window[0] and first < window[1]:
            for axes in panels:
                axes.axvspan(max(first, window[0]), min(last, window[1]), color=GREY, alpha=0.45, linewidth=0)


def _inside(wave, window, what):
    wave = np.asarray(wave, dtype=float)
    show = (wave >= window[0]) & (wave <= window[1])
    if not show.any():
        raise InputError(
            f"{what} has no pixel in {window[0]:.0f}-{window[1]:.0f} A; is its wavelength in Angstrom?"
        )
    return wave[show], show


def _same_length(arrays, names):
    shapes = {name: np.shape(arrays[name]) for name in names}
    if len(set(shapes.values())) != 1 or len(shapes[names[0]]) != 1:
        raise InputError(f"arrays must be one-dimensional and of one length; got {shapes}")


def _quantity(label, value, error):
    unit = label.axis.rpartition("[")[2].rstrip("]")
    return rf"{label.symbol} $= {value:.{label.decimals}f} \pm {error:.{label.decimals}f}$ {unit}"
