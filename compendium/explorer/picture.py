"""The two pictures of the explorer: a spectrum with its residuals and derivative, and the HR diagram."""

import numpy as np

from compendium.explorer.svg import INK, Panel, picture, reach, text_at
from compendium.explorer.words import step_text
from slamlib.instruments import C_KMS, get_instrument
from slamlib.spectra.drawing import spread_apart
from slamlib.style import BLUE, CYAN, RED

# Of the spectrum [0.1 px]: the whole, what frames the panels, the gap between arms.
WIDTH, HEIGHT = 10_000, 5_800
_LEFT, _RIGHT, _TOP, _GAP = 700, 9_820, 260, 650
# Top and height of the panels: spectrum, residuals, derivative.
_ROWS = ((_TOP, 2_750), (3_080, 800), (3_960, 1_400))
# Share of the first panel that the names of the lines take.
_HEADROOM = 0.3
# An arm of which less than this is in the window [A] is not drawn.
_LEAST = 5.0
SECOND = "#009988"  # of the star that is kept: teal of the same scheme
# Of the HR diagram.
HR_WIDTH, HR_HEIGHT = 3_800, 3_300
_HR_BOX = (640, 200, 3_040, 2_600)
_HR_TICKS = (10, 15, 20, 30, 40, 50, 60)
_AGES = {6.0: ("1 Myr", CYAN), 7.0: ("10 Myr", RED), 8.0: ("100 Myr", INK)}


def spectrum(view, window):
    """Draw a view as SVG text.

    Parameters
    ----------
    view : View
    window : tuple of float
        First and last wavelength shown [A]; each arm has panels of its own.
    """
    instrument = get_instrument(view.controls.instrument)
    spans = [(max(first, window[0]), min(last, window[1])) for first, last, _ in instrument.arms]
    spans = [span for span in spans if span[1] - span[0] >= _LEAST] or [instrument.arms[0][:2]]
    width = (_RIGHT - _LEFT - _GAP * (len(spans) - 1)) / len(spans)
    parts = [_key(view)]
    for column, span in enumerate(spans):
        left = _LEFT + column * (width + _GAP)
        boxes = [(left, top, width, height) for top, height in _ROWS]
        parts += _column(view, instrument, span, boxes, labelled=column == 0)
    what = f"{instrument.name} spectrum of {view.star.name}, the model, their residuals and the derivative"
    return picture(parts, WIDTH, HEIGHT, "slam-spectrum", what)


def _column(view, instrument, span, boxes, labelled):
    """Draw the three panels of one arm."""
    star, kept = view.star, view.kept
    here, there = _within(view.model_wave, span), _within(star.wave, span)
    floor = min(view.model[here].min(), np.nanmin(star.flux[there], initial=1.0))
    ceiling = max(view.model[here].max(), 1.0) + 3 * np.nanmedian(star.sigma)
    floor, ceiling = max(np.floor(floor / 0.05) * 0.05, -0.5), np.ceil(ceiling / 0.05) * 0.05
    deviation = np.abs(star.residual[there])
    # Of the median, so that a cosmic ray does not set the scale.
    known = np.isfinite(deviation).any()
    spread = max(1.5 * np.nanmedian(deviation), np.nanmedian(star.sigma)) if known else 0.01
    change = reach(max(100 * np.abs(view.slope[here]).max(), 0.01))
    top = ceiling + _HEADROOM / (1 - _HEADROOM) * (ceiling - floor)
    limits = ((floor, top), (-reach(300 * spread), reach(300 * spread)), (-change, 1.4 * change))
    main, strip, slope = (Panel(box, span, some) for box, some in zip(boxes, limits, strict=True))
    parts = [panel.shade(*hole) for panel in (main, strip, slope) for hole in instrument.excluded]
    others = [] if kept is None else [(main, kept.wave, kept.flux), (strip, kept.wave, 100 * kept.residual)]
    flat = np.array(span), np.zeros(2)
    lines = [
        *((panel, wave, values, SECOND, 8) for panel, wave, values in others),
        (main, star.wave, star.flux, INK, 8),
        (main, view.model_wave, view.model, RED, 13),
        (strip, star.wave, 100 * star.residual, INK, 6),
        *((strip, star.wave, sign * 100 * star.sigma, CYAN, 10) for sign in (1, -1)),
        (strip, *flat, RED, 8),
        (slope, *flat, INK, 5),
        (slope, view.model_wave, 100 * view.slope, BLUE, 11),
    ]
    parts += [panel.line(wave, values, color, width) for panel, wave, values, color, width in lines]
    titles = ("Normalised flux", "Residual [%]", "Derivative [%]") if labelled else ("", "", "")
    parts += [
        _names(main, view, ceiling),
        main.frame(y_label=titles[0], y_ticks=6),
        strip.frame(y_label=titles[1], y_ticks=5),
        slope.frame("Wavelength in air [Å]", titles[2], y_ticks=6),
    ]
    if labelled:
        told = f"change of flux per {step_text(view.controls.slope)}, % of the continuum"
        parts.append(text_at(slope.left + 80, slope.top + 150, told, "start", BLUE))
    return parts


def _names(panel, view, ceiling):
    """Name the strongest lines in the headroom, moved apart where they crowd; wavelengths as tooltips."""
    shift = 1 + view.controls.velocity / C_KMS
    shown = [line for line in view.lines if panel.x[0] < line.wave * shift < panel.x[1]]
    if not shown:
        return ""
    waves = np.array([line.wave * shift for line in shown])
    places = panel.across(spread_apart(waves, 135 / panel.width * (panel.x[1] - panel.x[0]), panel.x))
    foot, elbow, tip = panel.up(ceiling) - np.array([0, 90, 270])
    parts = []
    for line, place, x in zip(shown, places, panel.across(waves), strict=True):
        parts.append(
            f'<path d="M{x:.0f} {foot:.0f}V{elbow:.0f}L{place:.0f} {tip:.0f}" stroke="{INK}" '
            f'stroke-width="6" fill="none"/><g class="slam-line"><title>{line.name} {line.wave:.1f} Å</title>'
        )
        parts.append(text_at(place + 40, tip - 40, line.name, "start", turned=True) + "</g>")
    return "".join(parts)


def _key(view):
    """Say above the first panel what the colours mean."""
    entries = [(view.star.name, INK), ("SLAM model", RED), ("noise, ±1σ", CYAN)]
    entries += [] if view.kept is None else [(view.kept.name, SECOND)]
    parts, x = [], _LEFT
    for text, color in entries:
        parts.append(f'<path d="M{x} 150h260" stroke="{color}" stroke-width="16"/>')
        parts.append(text_at(x + 320, 190, text, "start"))
        x += 560 + 68 * len(text)
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
            parts.append(text_at(_HR_BOX[0] + _HR_BOX[2], 150, "simulated stars", "end", BLUE))
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


def thin(x, y, apart=0.02, most=300):
    """Choose stars that do not hide one another on the diagram, the first ones first.

    Parameters
    ----------
    x, y : ndarray, (n,)
        Places as fractions of the diagram's width and height.
    apart : float
        Least distance, as a fraction of the width; larger while more than `most` would stay.

    Returns
    -------
    list of int
        Indices, ascending.

    Examples
    --------
    >>> thin(np.array([0.1, 0.101, 0.9]), np.full(3, 0.5))
    [0, 2]
    """
    places, kept = np.stack([x, y * HR_HEIGHT / HR_WIDTH], axis=1), []
    for i, place in enumerate(places):
        if (((places[kept] - place) ** 2).sum(axis=1) > apart**2).all():
            kept.append(i)
    return kept if len(kept) <= most else thin(x, y, 1.1 * apart, most)


def _within(wave, span):
    return (wave >= span[0]) & (wave <= span[1])
