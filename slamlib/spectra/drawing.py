"""A spectrum, its fit and the names of its lines, drawn into axes."""

import numpy as np
from matplotlib.ticker import MaxNLocator
from scipy.optimize import isotonic_regression

from slamlib.errors import InputError
from slamlib.spectra.lines import LINES
from slamlib.style import BLACK, BLUE, CYAN, GREY, PAGE, RED, SMALL

# Width of the axes over that of the page, for one to three panels side by side.
_PANEL_WIDTH = {1: 0.92, 2: 0.44, 3: 0.28}
# A line is named if the model is deeper in its core, within `_CORE` [A], by this part of the
# continuum than on both sides, within `_SIDES` [A]. He II 4542 is from 29,000 K on (log g 4).
_LEAST_DEPTH, _CORE, _SIDES = 0.01, 1.5, 8.0
REJECTED: dict = {
    "color": BLUE,
    "linestyle": "none",
    "marker": "x",
    "markersize": 3.5,
    "label": "rejected by the fit",
}


def draw_fit(main, strip, spectrum, instrument, window, n_columns):
    """Draw one window of a fit: spectrum and model in `main`, residuals and noise in `strip`."""
    wave, show = inside(spectrum["wave"], window, "the fitted spectrum")
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
        axes.plot(wave[rejected], shown, **REJECTED | {"label": None})
    shade_excluded((main, strip), instrument, window)


def shade_excluded(panels, instrument, window):
    """Shade the ranges of an instrument that carry no weight."""
    for first, last in instrument.excluded:
        if last > window[0] and first < window[1]:
            for axes in panels:
                axes.axvspan(max(first, window[0]), min(last, window[1]), color=GREY, alpha=0.45, linewidth=0)


def inside(wave, window, what):
    """Return the wavelengths in a window [A] and which they are; InputError, naming `what`, if none."""
    wave = np.asarray(wave, dtype=float)
    show = (wave >= window[0]) & (wave <= window[1])
    if not show.any():
        told = f"{what} has no pixel in {window[0]:.0f}-{window[1]:.0f} A"
        raise InputError(f"{told}; is its wavelength in Angstrom?")
    return wave[show], show


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
