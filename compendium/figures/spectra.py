"""Figures about spectra: observed, divided by the pseudo-continuum, fitted by SLAM (5, 6)."""

from itertools import pairwise

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from scipy.optimize import isotonic_regression

from slamlib.errors import InputError
from slamlib.instruments import get_instrument
from slamlib.labels import LABELS, VSINI
from slamlib.npz import reading_npz
from slamlib.style import (
    BLACK,
    BLUE,
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
_FITTED = ("wave", "flux", "ivar", "model", "rejected")
_OBSERVED = ("wave", "flux", "ivar", "continuum")
_LRS_ROWS = 3
_WAVELENGTH = r"Wavelength [$\rm\AA$]"
# Width of the axes over that of the page, for one and two panels side by side.
_PANEL_WIDTH = {1: 0.92, 2: 0.44}
# A line is named if the model is deeper in its core, within `_CORE` [A], by this part of the
# continuum than on both sides, within `_SIDES` [A]. He II 4542 is from 29,000 K on (log g 4).
_LEAST_DEPTH, _CORE, _SIDES = 0.01, 1.5, 8.0
_REJECTED: dict = {
    "color": BLUE,
    "linestyle": "none",
    "marker": "x",
    "markersize": 3.5,
    "label": "rejected by the fit",
}


@apj_style()
def fig_fit(spectrum, observed, instrument, fit, text, simulated):
    """Draw a spectrum with its pseudo-continuum, divided by it with SLAM's model, and residuals (Figs 5, 6).

    Parameters
    ----------
    spectrum : dict of ndarray, (n_pix,)
        wave in air at rest [A]; normalised flux; ivar, its inverse variance (0 hides a pixel);
        model, SLAM's prediction; rejected, whether the fit gave a pixel no weight.
    observed : dict of ndarray, (n,)
        The same star as its file has it: wave in air, shifted to rest [A]; flux and continuum
        in the same units; ivar (0 where a pixel is masked).
    instrument : str or Instrument
    fit : mapping
        The labels, their errors (e_teff, ...) and vsini_limit [km/s], NaN where v sin i is measured.
    text : str
        What to call the star.
    simulated : bool
        Whether the spectrum is simulated; the figure then says so.

    Returns
    -------
    matplotlib.figure.Figure
        A column an arm. Above, the observed spectrum; below, the normalised one, of LRS in three
        rows of wavelength; under each row the residuals, with the noise of one sigma on both
        sides of zero. Rejected pixels are crosses, at the edge of the panel if they lie beyond.

    Raises
    ------
    InputError
        If an array is missing or arrays differ in length.
    """
    instrument = get_instrument(instrument)
    for arrays, names in ((spectrum, _FITTED), (observed, _OBSERVED)):
        require_columns(arrays, names, f"the spectrum of {text}")
        _same_length(arrays, names)
    arms = [(first, last) for first, last, _ in instrument.arms]
    if len(arms) == 1:
        windows, height = list(pairwise(np.linspace(*arms[0], _LRS_ROWS + 1))), 8.9
    else:
        windows, height = arms, 5.4
    n_columns = len(arms)
    n_rows = len(windows) // n_columns
    figure = new_figure(PAGE, height)
    ratios = {"height_ratios": (2.4, *(3, 1) * n_rows), "hspace": 0}
    panels = figure.subplots(1 + 2 * n_rows, n_columns, squeeze=False, gridspec_kw=ratios)
    raws, mains, strips = panels[0], panels[1::2], panels[2::2]
    for raw, arm in zip(raws, arms, strict=True):
        _draw_observed(raw, observed, spectrum, instrument, arm)
        raw.tick_params(labelbottom=n_rows > 1)
    for main, strip, window in zip(mains.flat, strips.flat, windows, strict=True):
        draw_fit(main, strip, spectrum, instrument, window, n_columns)
    raws[0].set_ylabel("Relative flux")
    for main, strip in zip(mains[:, 0], strips[:, 0], strict=True):
        main.set_ylabel("Normalised flux")
        strip.set_ylabel("Residual")
    for strip in strips[-1]:
        strip.set_xlabel(_WAVELENGTH)
    figure.align_ylabels(panels[:, 0])
    quantities = ",   ".join(_quantity(label, fit) for label in LABELS)
    figure.suptitle(f"{instrument.name}: {text}\n{quantities}", x=0.01, ha="left", fontsize=9)
    handles = [line for axes in (raws[0], mains[0, 0], strips[0, 0]) for line in axes.get_lines()]
    named = {line.get_label(): line for line in handles if not line.get_label().startswith("_")}
    named[_REJECTED["label"]] = Line2D([], [], **_REJECTED)
    figure.legend(handles=named.values(), loc="outside lower left", ncols=len(named), columnspacing=1.2)
    if simulated:
        note_simulated(raws[-1])
    return figure


def _draw_observed(axes, observed, spectrum, instrument, window):
    """One arm as observed, with its pseudo-continuum; pixels that no fit saw are pale."""
    wave, show = _inside(observed["wave"], window, "the observed spectrum")
    flux, ivar, continuum = (
        np.asarray(observed[name], dtype=float)[show] for name in ("flux", "ivar", "continuum")
    )
    # A pixel of the file is rejected if one of the fit's next to it is.
    rejected = np.interp(wave, spectrum["wave"], np.asarray(spectrum["rejected"], dtype=float)) > 0
    seen = (ivar > 0) & np.isfinite(flux) & ~rejected
    scale = np.nanmedian(np.asarray(observed["continuum"], dtype=float))
    axes.plot(wave, flux / scale, color=GREY, linewidth=0.5, label="masked or rejected")
    axes.plot(wave, np.where(seen, flux, np.nan) / scale, color=BLACK, linewidth=0.6, label="observed")
    axes.plot(wave, continuum / scale, color=CYAN, linewidth=1.2, label="pseudo-continuum")
    # A wild pixel must not squeeze the spectrum: the continuum and the good pixels set the range.
    low, high = np.percentile(flux[seen], (0.5, 99.5)) if seen.any() else (0, 0)
    axes.set_ylim(0.7 * max(low, 0) / scale, 1.1 * max(high, np.nanmax(continuum)) / scale)
    axes.set_xlim(window)
    _shade_excluded((axes,), instrument, window)


def draw_fit(main, strip, spectrum, instrument, window, n_columns):
    """Draw one window of a fit: spectrum and model in `main`, residuals and noise in `strip`."""
    wave, show = _inside(spectrum["wave"], window, "the fitted spectrum")
    flux, ivar, model = (np.asarray(spectrum[name], dtype=float)[show] for name in ("flux", "ivar", "model"))
    good = (ivar > 0) & np.isfinite(flux)
    rejected = good & np.asarray(spectrum["rejected"])[show]
    seen = good & ~rejected
    sigma = np.where(good, 1 / np.sqrt(np.where(good, ivar, 1)), np.nan)
    main.plot(wave, np.where(seen, flux, np.nan), color=BLACK, linewidth=0.6, label="observed")
    main.plot(wave, model, color=RED, linewidth=0.9, linestyle=(0, (4, 1)), label="SLAM model")
    deepest, highest = np.percentile(flux[seen], (0.5, 99.5)) if seen.any() else (1, 1)
    low, high = min(model.min(), deepest, 0.92) - 0.08, max(model.max(), highest, 1.04) + 0.04
    _name_lines(main, wave, model, window, low, high, n_columns)
    residual = flux - model
    strip.plot(wave, np.where(seen, residual, np.nan), color=BLACK, linewidth=0.4)
    strip.axhline(0, color=RED, linewidth=0.6)
    for sign in (1, -1):
        strip.plot(wave, sign * sigma, color=CYAN, linewidth=0.9, label=r"noise, $\pm1\sigma$")
    reach = 3.5 * max(np.median(sigma[seen]), np.std(residual[seen])) if seen.any() else 0.1
    main.set(xlim=window)
    main.tick_params(labelbottom=False)
    strip.set(xlim=window, ylim=(-reach, reach))
    strip.yaxis.set_major_locator(MaxNLocator(4, prune="both"))
    for axes, values in ((main, flux), (strip, residual)):
        margin = 0.03 * np.ptp(axes.get_ylim())
        shown = np.clip(values[rejected], axes.get_ylim()[0] + margin, axes.get_ylim()[1] - margin)
        axes.plot(wave[rejected], shown, **_REJECTED | {"label": None})
    _shade_excluded((main, strip), instrument, window)


def line_depth(centre, wave, model):
    """Depth of a line at `centre` [A]: how far the model's core lies below the tops on both its sides.

    Examples
    --------
    >>> wave = np.arange(4450.0, 4500.0)
    >>> model = 1 - 0.3 * np.exp(-0.5 * ((wave - 4471.5) / 2) ** 2)
    >>> round(float(line_depth(4471.5, wave, model)), 2), round(float(line_depth(4481.2, wave, model)), 2)
    (0.29, 0.0)
    """
    offset = wave - centre
    sides = [model[(offset * sign > 0) & (offset * sign < _SIDES)].max(initial=0) for sign in (1, -1)]
    return min(sides) - model[np.abs(offset) < _CORE].min(initial=np.inf)


def _name_lines(axes, wave, model, window, low, high, n_columns):
    """Name the lines that the model has in the headroom above `high`, moved apart where they crowd."""
    headroom = 0.42 * (high - low) / (1 - 0.42)
    axes.set_ylim(low, high + headroom)
    inside = []
    for name, centres in LINES:
        seen = [line for line in centres if line_depth(line, wave, model) > _LEAST_DEPTH]
        if seen:
            inside.append((name, seen))
    if not inside:
        return
    width = PAGE * _PANEL_WIDTH[n_columns]
    gap = 1.15 * SMALL / 72 / width * (window[1] - window[0])
    centres = np.array([np.mean(waves) for _, waves in inside])
    for (name, waves), place in zip(inside, spread_apart(centres, gap, window), strict=True):
        for centre in waves:
            elbow = high + headroom * np.array([0.0, 0.15, 0.35])
            axes.plot([centre, centre, place], elbow, color=BLACK, linewidth=0.4)
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


def _quantity(label, fit):
    if label is VSINI and np.isfinite(fit["vsini_limit"]):
        return f"{label.symbol} $< {fit['vsini_limit']:.{label.decimals}f}$ {label.unit_text} (95%)"
    value, error = (f"{fit[prefix + label.name]:z.{label.decimals}f}" for prefix in ("", "e_"))
    return rf"{label.symbol} $= {value} \pm {error}$ {label.unit_text}"


def fig05(run):
    """Draw Fig. 5 from the products of a run."""
    return _fitted("MRS", run)


def fig06(run):
    """Draw Fig. 6 from the products of a run."""
    return _fitted("LRS", run)


def _fitted(name, run):
    path = run.products / f"fit_{name}.npz"
    with reading_npz(path, 1, "fit of a spectrum", "run notebook 05") as (fit, arrays):
        spectrum = {part: arrays[part] for part in _FITTED}
        observed = {part: arrays[f"observed_{part}"] for part in _OBSERVED}
    return fig_fit(spectrum, observed, name, fit, fit["text"], run.simulated)
