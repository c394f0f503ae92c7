"""Axes and lines as SVG text, which the browser draws: a new picture costs milliseconds.

matplotlib, which draws every figure of the paper, takes too long to follow a slider. Lengths
are in tenths of a pixel, so that coordinates are whole numbers.
"""

from html import escape

import numpy as np
from matplotlib.ticker import MaxNLocator

INK, PALE = "#222222", "#E8E8E8"
_TICK, _FONT = 50, 120


class Panel:
    """One pair of axes; every method returns SVG text.

    Parameters
    ----------
    box : tuple of float
        Left, top, width and height [0.1 px].
    x, y : tuple of float
        Values at the left and right, at the bottom and top edge.
    """

    def __init__(self, box, x, y):
        self.left, self.top, self.width, self.height = box
        self.x, self.y = x, y

    def across(self, x):
        """Horizontal place [0.1 px] of values."""
        return self.left + self.width * (np.asarray(x) - self.x[0]) / (self.x[1] - self.x[0])

    def up(self, y):
        """Vertical place [0.1 px] of values."""
        return self.top + self.height * (self.y[1] - np.asarray(y)) / (self.y[1] - self.y[0])

    def line(self, x, y, color, width=10, dash=""):
        """Draw a line, broken where `y` is nan; what leaves the panel is cut."""
        shown = np.isfinite(y) & (x >= min(self.x)) & (x <= max(self.x))
        places = np.stack([self.across(x[shown]), self.up(y[shown])], axis=1)
        # A wild pixel must not become a number that SVG cannot hold.
        places = np.clip(np.rint(places), -1e5, 1e5).astype(int)
        breaks = np.flatnonzero(np.diff(np.flatnonzero(shown)) > 1) + 1
        # As many points as pixels of the screen can show, lest the browser is slow.
        size = int(np.ceil(10 * len(places) / self.width))
        path = "".join(_path(thinned(run, size)) for run in np.split(places, breaks) if len(run))
        style = f'stroke="{color}" stroke-width="{width}"' + (f' stroke-dasharray="{dash}"' if dash else "")
        return f'<path d="{path}" {style} fill="none" clip-path="url(#{self.name})"/>'

    def shade(self, first, last):
        """Shade a range of x from edge to edge."""
        first, last = np.clip([first, last], *sorted(self.x))
        if first == last:
            return ""
        left, right = sorted(self.across([first, last]))
        return (
            f'<rect x="{left:.0f}" y="{self.top:.0f}" width="{right - left:.0f}" '
            f'height="{self.height:.0f}" fill="{PALE}"/>'
        )

    @property
    def name(self):
        """The name of the panel's clipping path, the same for the same box."""
        return f"slam-{self.left:.0f}-{self.top:.0f}-{self.width:.0f}-{self.height:.0f}"

    def frame(self, x_label="", y_label="", x_ticks=None, y_ticks=4):
        """Draw the frame with its ticks, and the clipping path of its lines.

        Parameters
        ----------
        x_label, y_label : str
            Without `x_label` the ticks of x bear no numbers.
        x_ticks : dict of float to str, optional
            Places and texts; round numbers otherwise.
        y_ticks : int
            How many intervals at most.
        """
        box = f'x="{self.left}" y="{self.top}" width="{self.width}" height="{self.height}"'
        parts = [f'<clipPath id="{self.name}"><rect {box}/></clipPath>']
        parts.append(f'<rect {box} fill="none" stroke="{INK}" stroke-width="8"/>')
        bottom, right = self.top + self.height, self.left + self.width
        if x_ticks is None:
            x_ticks = _round(self.x, max(2, int(self.width / 800)))
        for value, text in x_ticks.items():
            place = self.across(value)
            parts.append(_tick(place, bottom, 0, -_TICK) + _tick(place, self.top, 0, _TICK))
            if x_label:
                parts.append(text_at(place, bottom + 160, text))
        for value, text in _round(self.y, y_ticks).items():
            place = self.up(value)
            if not self.top + _FONT / 2 < place < bottom - _FONT / 2:
                continue  # its number would touch that of the next panel
            parts.append(_tick(self.left, place, _TICK, 0) + _tick(right, place, -_TICK, 0))
            parts.append(text_at(self.left - 40, place + 40, text, anchor="end"))
        if x_label:
            parts.append(text_at(self.left + self.width / 2, bottom + 330, x_label))
        if y_label:
            middle = self.top + self.height / 2
            parts.append(text_at(self.left - 480, middle, y_label, turned=True))
        return "".join(parts)


def text_at(x, y, text, anchor="middle", color=INK, size=_FONT, turned=False):
    """Write text at a place [0.1 px]; `turned` reads upwards."""
    turn = f' transform="rotate(-90 {x:.0f} {y:.0f})"' if turned else ""
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" fill="{color}" font-size="{size}"{turn}>'
        f"{escape(text)}</text>"
    )


def picture(parts, width, height, name, description):
    """Join what the panels drew into one picture, as wide as its place allows.

    Parameters
    ----------
    parts : list of str
    width, height : float
        [0.1 px]
    name : str
        Class of the element, for style sheets and tests.
    description : str
        Read to those who do not see it.
    """
    return (
        f'<svg class="{name}" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(description)}" '
        f'font-family="Helvetica, Arial, sans-serif" xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )


def reach(value):
    """Return the least of 1, 2, 5 times a power of ten that is not below `value`.

    Examples
    --------
    >>> [reach(value) for value in (0.012, 0.3, 5.0)]
    [0.02, 0.5, 5.0]
    """
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(step for step in (1, 2, 5, 10) if step * power >= value * (1 - 1e-9)) * power)


def _round(span, n):
    low, high = sorted(span)
    values = MaxNLocator(n, steps=(1, 2, 5, 10)).tick_values(low, high)
    decimals = max(0, int(np.ceil(-np.log10(np.diff(values[:2])[0]) - 1e-9)))
    return {
        float(value): f"{value + 0.0:.{decimals}f}".replace("-", "−")
        for value in np.round(values, 10)
        if low <= value <= high
    }


def thinned(run, size):
    """Keep of every `size` points of a line (n, 2) the lowest and the highest, and its ends.

    Examples
    --------
    >>> thinned(np.array([[0, 5], [1, 9], [2, 6], [3, 5], [4, 1], [5, 7]]), 3)[:, 1].tolist()
    [5, 5, 9, 1, 7, 7]
    """
    whole = len(run) // size * size if size > 2 else 0
    if not whole:
        return run
    y, first = run[:whole, 1].reshape(-1, size), np.arange(0, whole, size)
    kept = np.sort([first + y.argmin(axis=1), first + y.argmax(axis=1)], axis=0)
    return np.concatenate([run[:1], run[kept.T.ravel()], run[-1:]])


def _path(places):
    """Write one unbroken run: the first place, then steps, which are short numbers."""
    steps = " ".join(map(str, np.diff(places, axis=0).ravel().tolist()))
    return f"M{places[0, 0]} {places[0, 1]}l{steps or '0 0'}"


def _tick(x, y, dx, dy):
    return f'<path d="M{x:.0f} {y:.0f}l{dx} {dy}" stroke="{INK}" stroke-width="8"/>'
