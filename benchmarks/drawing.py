"""The benchmark's figure: time against training spectra, pixels and stars."""

import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from scipy.optimize import nnls

from slamlib.style import BLACK, BLUE, CYAN, GREY, PAGE, RED, apj_style, new_figure

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
    trained = [row for row in rows if (row["work"], row["instrument"]) == ("train", "MRS")]
    for method, (color, marker) in _STYLES.items():
        points = sorted((row["n"], row["seconds"]) for row in trained if row["method"] == method)
        if points:
            by_n.plot(*zip(*points, strict=True), color=color, marker=marker, label=method)
    for (what, name), label, color, marker, axes in (
        (("pixels, svr", "MRS"), "svr screened", RED, "s", by_pixel),
        (("pixels, krr", "MRS"), "krr", BLUE, "*", by_pixel),
        (("stars", "LRS"), "low-rank, LRS", RED, "s", by_star),
        (("stars", "MRS"), "low-rank, MRS", BLUE, "*", by_star),
    ):
        _series(axes, [point[2:] for point in scaling if point[:2] == (what, name)], color, marker, label)
    fewest = "".join(f", {n:,} spectra" for n in sorted({row["n"] for row in trained})[:1])
    for axes, what, law in (
        (by_n, "training spectra, MRS", "linear"),
        (by_pixel, f"pixels, MRS{fewest}", "fixed + linear"),
        (by_star, "stars", "fixed + linear"),
    ):
        axes.set(xscale="log", yscale="log", xlabel=f"number of {what}", ylabel="time [s]")
        sizes = sorted(
            {size for line in axes.lines for size in line.get_xdata() if line.get_marker() != "None"}
        )
        axes.set_xticks(sizes, labels=[f"{size:g}" for size in sizes])
        axes.tick_params(axis="x", which="minor", labelbottom=False)
        axes.yaxis.set_major_formatter(FuncFormatter(_plain))
        axes.yaxis.set_minor_formatter(FuncFormatter(_plain) if axes is not by_n else NullFormatter())
        axes.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
        axes.plot([], [], ":", color=BLACK, linewidth=0.6, label=law)
    low, high = by_n.get_xlim()
    bottom, top = by_n.get_ylim()
    by_n.plot([low, high], [bottom, bottom * high / low], ":", color=BLACK, linewidth=0.6)
    by_n.set_ylim(top=10 * top)  # room for the legend
    for axes in (by_n, by_pixel, by_star):
        axes.legend(fontsize=7)
    return figure


def _plain(value, _):
    return f"{value:,.10g}"


def _series(axes, points, color, marker, label):
    """Points, and their straight law."""
    if points:
        size, seconds = zip(*points, strict=True)
        fixed, slope, _ = straight(points)
        between = np.geomspace(min(size), max(size), 50)
        axes.plot(between, fixed + slope * between, ":", color=color, linewidth=0.6)
        axes.plot(size, seconds, linestyle="none", color=color, marker=marker, label=label)
