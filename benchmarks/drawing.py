"""The benchmark's figure: time against training spectra, pixels and stars."""

import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from scipy.optimize import nnls

from slamlib.paper.style import BLACK, BLUE, CYAN, GREY, PAGE, RED, apj_style, new_figure

_STYLES = {
    "scikit-learn": (BLACK, "o"),
    "svr exhaustive": (GREY, "D"),
    "svr screened": (RED, "s"),
    "krr": (BLUE, "*"),
    "low-rank": (CYAN, "^"),
}


def exponent(points):
    """Slope of log time against log size; `points` are (size, seconds)."""
    size, seconds = np.log(np.array(points, dtype=float)).T
    return float(np.polyfit(size, seconds, 1)[0])


def straight(points):
    """Fit seconds = fixed + slope size, neither negative, to (size, seconds): fixed, slope, worst misfit."""
    size, seconds = np.array(points, dtype=float).T
    parts = np.stack([np.ones_like(size), size], axis=1)
    (fixed, slope), _ = nnls(parts / seconds[:, None], np.ones_like(seconds))
    return fixed, slope, float(np.abs((fixed + slope * size) / seconds - 1).max())


@apj_style()
def draw(rows, scaling):
    """Draw time against training spectra (MRS), pixels and stars, log-log.

    Dotted: slope one beside the first, and the `straight` law of each series in the others.
    """
    figure = new_figure(PAGE, 2.6)
    by_n, by_pixel, by_star = figure.subplots(1, 3)
    for method, (color, marker) in _STYLES.items():
        points = [(r["n"], r["seconds"]) for r in rows if r["method"] == method and r["instrument"] == "MRS"]
        if points and method != "low-rank":
            _series(by_n, points, color, marker, method)
    for what, label, color, marker, axes in (
        ("pixels, svr", "svr screened", RED, "s", by_pixel),
        ("pixels, krr", "krr", BLUE, "*", by_pixel),
    ):
        _straight(axes, [point[2:] for point in scaling if point[0] == what], color, marker, label)
    for name, color, marker in (("LRS", RED, "s"), ("MRS", BLUE, "*")):
        points = [point[2:] for point in scaling if point[:2] == ("stars", name)]
        _straight(by_star, points, color, marker, f"low-rank, {name}")
    n = min(r["n"] for r in rows if r["instrument"] == "MRS" and r["work"] == "train")
    for axes, what in (
        (by_n, "training spectra, MRS"),
        (by_pixel, f"pixels, MRS, {n:,} spectra"),
        (by_star, "stars"),
    ):
        axes.set(xscale="log", yscale="log", xlabel=f"number of {what}", ylabel="time [s]")
        sizes = sorted(
            {size for line in axes.lines if line.get_label()[0] != "_" for size in line.get_xdata()}
        )
        axes.set_xticks(sizes, labels=[f"{size:g}" for size in sizes])
        axes.tick_params(axis="x", which="minor", labelbottom=False)
        axes.yaxis.set_major_formatter(FuncFormatter(_plain))
        axes.yaxis.set_minor_formatter(FuncFormatter(_plain) if axes is not by_n else NullFormatter())
        axes.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
        if axes is by_n:
            low, high = axes.get_xlim()
            bottom = axes.get_ylim()[0]
            axes.plot([low, high], [bottom, bottom * high / low], ":", color=BLACK, linewidth=0.6)
            axes.set_ylim(top=10 * axes.get_ylim()[1])  # room for the legend
        axes.plot(
            [], [], ":", color=BLACK, linewidth=0.6, label="linear" if axes is by_n else "fixed + linear"
        )
        axes.legend(fontsize=7)
    return figure


def _plain(value, _):
    return f"{value:,.10g}"


def _straight(axes, points, color, marker, label):
    if points:
        fixed, slope, _ = straight(points)
        sizes = np.geomspace(*sorted(size for size, _ in points)[:: len(points) - 1], 50)
        axes.plot(sizes, fixed + slope * sizes, ":", color=color, linewidth=0.6)
    _series(axes, points, color, marker, label, line="none")


def _series(axes, points, color, marker, label, line="-"):
    if points:
        axes.plot(*zip(*sorted(points), strict=True), linestyle=line, color=color, marker=marker, label=label)
