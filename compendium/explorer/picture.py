"""The two pictures of the explorer: a spectrum with its residuals and derivative, and the HR diagram."""

import numpy as np
from scipy.spatial import KDTree

from compendium.explorer.svg import INK, Panel, picture, reach, text_at
from compendium.explorer.words import step_text
from slamlib.instruments import C_KMS, get_instrument
from slamlib.spectra.drawing import spread_apart
from slamlib.style import BLUE, CYAN, RED, SIMULATED_NOTE

# Of the spectrum [0.1 px]: the whole, what frames the panels, the gap between arms.
WIDTH, HEIGHT = 10_000, 5_800
_LEFT, _RIGHT, _TOP, _GAP = 700, 9_820, 260, 650
# Top and height of the panels: spectrum, residuals, derivative.
_ROWS = ((_TOP, 2_750), (3_080, 800), (3_960, 1_400))
# Share of the first panel that the names of the lines take.
_HEADROOM = 0.3
# An arm of which less than this is in the window [A] is not drawn.
_LEAST = 5.0
# Of the HR diagram.
HR_WIDTH, HR_HEIGHT = 3_800, 3_300
_HR_BOX = (640, 200, 3_040, 2_600)
_HR_TICKS = (10, 15, 20, 30, 40, 50, 60)
_AGES = {6.0: ("1 Myr", CYAN), 7.0: ("10 Myr", RED), 8.0: ("100 Myr", INK)}


def spectrum(view, controls, window, star=None):
    """Draw a view as SVG text.

    Parameters
    ----------
    view : View
    controls : Controls
    window : tuple of float
        First and last wavelength shown [A]; each arm has panels of its own.
    star : Star, optional
    """
    instrument = get_instrument(controls.instrument)
    spans = [(max(first, window[0]), min(last, window[1])) for first, last, _ in instrument.arms]
    spans = [span for span in spans if span[1] - span[0] >= _LEAST] or [instrument.arms[0][:2]]
    width = (_RIGHT - _LEFT - _GAP * (len(spans) - 1)) / len(spans)
    parts = [_key(controls, star)]
    for column, span in enumerate(spans):
        left = _LEFT + column * (width + _GAP)
        boxes = [(left, top, width, height) for top, height in _ROWS]
        parts += _column(view, controls, instrument, span, boxes, labelled=column == 0)
    what = star.name if star else f"a simulated star at SNR {controls.snr:.0f}"
    description = f"{instrument.name} spectrum of {what}, the model, their residuals and the derivative"
    return picture(parts, WIDTH, HEIGHT, "slam-spectrum", description)


def _column(view, controls, instrument, span, boxes, labelled):
    """Draw the three panels of one arm."""
    here, there = _within(view.model_wave, span), _within(view.wave, span)
    floor = min(view.model[here].min(), np.nanmin(view.flux[there], initial=1.0))
    ceiling = max(view.model[here].max(), 1.0) + 3 * np.nanmedian(view.sigma)
    floor, ceiling = np.floor(floor / 0.05) * 0.05, np.ceil(ceiling / 0.05) * 0.05
    floor = max(floor, -0.5)
    deviation = _finite(view.residual[there])
    # Of the median, so that a cosmic ray does not set the scale.
    spread = max(1.5 * np.median(np.abs(deviation)), np.nanmedian(view.sigma)) if deviation.size else 0.01
    change = reach(max(100 * np.abs(view.slope[here]).max(), 0.01))
    top = ceiling + _HEADROOM / (1 - _HEADROOM) * (ceiling - floor)
    main, strip, slope = (
        Panel(box, span, limits)
        for box, limits in zip(
            boxes,
            ((floor, top), (-reach(300 * spread), reach(300 * spread)), (-change, 1.4 * change)),
            strict=True,
        )
    )
    parts = [panel.shade(*hole) for panel in (main, strip, slope) for hole in instrument.excluded]
    parts += [
        main.line(view.wave, view.flux, INK, 8),
        main.line(view.model_wave, view.model, RED, 13),
        strip.line(view.wave, 100 * view.residual, INK, 6),
        *(strip.line(view.wave, sign * 100 * view.sigma, CYAN, 10) for sign in (1, -1)),
        strip.line(np.array(span), np.zeros(2), RED, 8),
        slope.line(np.array(span), np.zeros(2), INK, 5),
        slope.line(view.model_wave, 100 * view.slope, BLUE, 11),
        _names(main, view, ceiling),
        main.frame(y_label="Normalised flux" if labelled else "", y_ticks=6),
        strip.frame(y_label="Residual [%]" if labelled else "", y_ticks=5),
        slope.frame("Wavelength in air [Å]", "Derivative [%]" if labelled else "", y_ticks=6),
    ]
    if labelled:
        told = f"change of flux per {step_text(controls.slope)}, % of the continuum"
        parts.append(text_at(slope.left + 80, slope.top + 150, told, "start", BLUE))
    return parts


def _names(panel, view, ceiling):
    """Name the strongest lines in the headroom, moved apart where they crowd."""
    places = [line.wave * (1 + view.velocity / C_KMS) for line in view.lines]
    shown = [
        (p, line.name) for p, line in zip(places, view.lines, strict=True) if min(panel.x) < p < max(panel.x)
    ]
    if not shown:
        return ""
    waves = np.array([place for place, _ in shown])
    gap = 135 / panel.width * (panel.x[1] - panel.x[0])
    foot, elbow, tip = panel.up(ceiling) - np.array([0, 90, 270])
    parts = []
    for (_, name), place, x in zip(
        shown, panel.across(spread_apart(waves, gap, panel.x)), panel.across(waves), strict=True
    ):
        parts.append(
            f'<path d="M{x:.0f} {foot:.0f}V{elbow:.0f}L{place:.0f} {tip:.0f}" stroke="{INK}" '
            'stroke-width="6" fill="none"/>'
        )
        parts.append(text_at(place + 40, tip - 40, name, "start", turned=True, style='class="slam-line"'))
    return "".join(parts)


def _key(controls, star):
    """Say above the first panel what the colours mean."""
    if star is None:
        black, note = f"simulated noise, SNR {controls.snr:.0f}", SIMULATED_NOTE
    else:
        black, note = star.name, SIMULATED_NOTE if star.simulated else ""
    entries = ((black, INK), ("SLAM model", RED), ("noise, ±1σ", CYAN))
    parts, x = [], _LEFT
    for text, color in entries:
        parts.append(f'<path d="M{x} 150h260" stroke="{color}" stroke-width="16"/>')
        parts.append(text_at(x + 320, 190, text, "start"))
        x += 560 + 68 * len(text)
    if note:
        parts.append(text_at(_RIGHT, 190, note, "end", BLUE, style='font-style="italic"'))
    return "".join(parts)


class HRDiagram:
    """The Kiel diagram that stars are chosen on: log g against log Teff, hot stars left.

    Parameters
    ----------
    grid : ModelGrid
    isochrones : Table
        PARSEC; solar metallicity is drawn.
    bounds : ndarray, (2, 4)
        Lowest and highest labels that a fit can find.
    simulated : bool
    """

    def __init__(self, grid, isochrones, bounds, simulated):
        teff, logg = np.log10(bounds[:, 0]), bounds[:, 1]
        self.panel = Panel(_HR_BOX, (teff[1], teff[0]), (logg[1], logg[0]))
        edge = np.concatenate([grid.boundary, grid.boundary[:1]])
        parts = [self.panel.line(np.log10(edge[:, 0]), edge[:, 1], INK, 10, dash="20 25")]
        for i, (age, (name, color)) in enumerate(_AGES.items()):
            rows = isochrones[np.isclose(isochrones["log_age"], age) & np.isclose(isochrones["mh"], 0)]
            track = rows[np.argsort(rows["initial_mass"], kind="stable")]
            parts.append(self.panel.line(np.array(track["log_teff"]), np.array(track["logg"]), color, 12))
            parts.append(text_at(_HR_BOX[0] + 60, _HR_BOX[1] + 150 + 140 * i, name, "start", color))
        parts.append(text_at(_HR_BOX[0] + 60, _HR_BOX[1] + 150 + 140 * 3, "· · model grid", "start"))
        ticks = {np.log10(1e3 * value): str(value) for value in _HR_TICKS}
        low, high = sorted(self.panel.x)
        ticks = {place: text for place, text in ticks.items() if low < place < high}
        parts.append(self.panel.frame("Teff [1000 K]", "log g [dex]", ticks, 6))
        if simulated:
            parts.append(
                text_at(
                    _HR_BOX[0] + _HR_BOX[2], 150, "simulated stars", "end", BLUE, style='font-style="italic"'
                )
            )
        self._axes = parts

    def draw(self, labels):
        """Draw the axes and, as a cross, where the sliders stand."""
        x, y = self.panel.across(np.log10(labels[0])), self.panel.up(labels[1])
        cross = (
            f'<path class="slam-here" d="M{x - 110:.0f} {y:.0f}h220M{x:.0f} {y - 110:.0f}v220" '
            f'stroke="{RED}" stroke-width="28"/>'
        )
        return picture(
            [*self._axes, cross],
            HR_WIDTH,
            HR_HEIGHT,
            "slam-hr",
            "HR diagram: log g against Teff, stars to choose",
        )

    def place(self, teff, logg):
        """Where stars lie on the picture, as fractions of its width and height from the upper left."""
        return self.panel.across(np.log10(teff)) / HR_WIDTH, self.panel.up(logg) / HR_HEIGHT


def thin(x, y, most, rng, apart=0.02):
    """Choose stars that do not cover one another on the diagram, at most so many of them.

    Parameters
    ----------
    x, y : ndarray, (n,)
        Places as fractions of the diagram's width and height.
    most : int
    rng : numpy.random.Generator
        Decides which of several neighbours stays.
    apart : float
        Least distance, as a fraction of the width; larger if that leaves too many.

    Returns
    -------
    ndarray of int
        Indices, ascending.

    Examples
    --------
    >>> thin(np.array([0.1, 0.101, 0.9]), np.full(3, 0.5), 300, np.random.default_rng(0)).size
    2
    """
    places = np.stack([x, y * HR_HEIGHT / HR_WIDTH], axis=1)
    tree, order = KDTree(places), rng.permutation(len(places))
    while True:
        free, kept = np.ones(len(places), dtype=bool), []
        for i in order:
            if free[i]:
                kept.append(i)
                free[tree.query_ball_point(places[i], apart)] = False
        if len(kept) <= most:
            return np.array(sorted(kept), dtype=int)
        apart *= 1.1


def _within(wave, span):
    return (wave >= span[0]) & (wave <= span[1])


def _finite(values):
    return values[np.isfinite(values)]
