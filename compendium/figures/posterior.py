"""The posterior of one star's labels (10)."""

import corner
import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from scipy.interpolate import interpn
from scipy.ndimage import gaussian_filter

from slamlib.errors import InputError
from slamlib.io import read_ecsv
from slamlib.labels import LABELS, NAMES, VSINI
from slamlib.style import (
    BLACK,
    BLUE,
    PAGE,
    apj_style,
    note_simulated,
)

_CREDIBLE = (0.68, 0.95, 0.99)
_CREDIBLE_LINES = ("-", "--", ":")
_CREDIBLE_FILLS = (0.75, 0.45, 0.2)
# Quantiles that the histograms mark.
_QUANTILES = (0.16, 0.5, 0.84)
_QUANTILE_STYLE: dict = {"color": "0.6", "linewidth": 0.9, "zorder": 0}
# Bins of the histograms across an axis, and the smoothing of the density in bins.
_BINS, _SMOOTHING = 50, 1.2
# Enough for the 99% contour to be a curve and not noise.
_LEAST_SAMPLES = 500


@apj_style()
def fig10_corner(samples, simulated, truth=None):
    """Draw the posterior of the four labels of one star (Fig. 10).

    Parameters
    ----------
    samples : array_like, (n, 4)
        Draws from the posterior, the burn-in removed.
    simulated : bool
        Whether the star's spectrum is simulated; the figure then says so.
    truth : array_like, (4,), optional
        True labels, drawn as dotted lines.

    Returns
    -------
    matplotlib.figure.Figure
        Contours enclose 68, 95 and 99% of the probability in each plane; grey lines in the histograms mark
        the 16th, 50th and 84th percentile.

    Raises
    ------
    InputError
        If the samples have the wrong shape, are too few, not finite, or a label does not vary.
    """
    samples = np.asarray(samples, dtype=float)
    if samples.ndim != 2 or samples.shape[1] != len(LABELS) or len(samples) < _LEAST_SAMPLES:
        raise InputError(
            f"samples of shape {samples.shape}; expected (n, 4) with n at least {_LEAST_SAMPLES}"
        )
    if not np.isfinite(samples).all():
        raise InputError("samples are not all finite; remove the walkers that left the prior")
    for label, values in zip(LABELS, samples.T, strict=True):
        if np.ptp(values) == 0:
            raise InputError(f"all samples have the same {label.name}, {values[0]}; did the walkers move?")
    figure = Figure(figsize=(PAGE, PAGE))
    corner.corner(
        samples,
        fig=figure,
        bins=_BINS,
        range=_wide_ranges(samples),
        labels=[label.axis for label in LABELS],
        color=BLUE,
        # The contours are ours: corner's levels ignore that smoothing widens a narrow ridge.
        plot_datapoints=False,
        plot_density=False,
        plot_contours=False,
        hist_kwargs={"linewidth": 1.0},
    )
    panels = np.reshape(figure.axes, (len(LABELS), len(LABELS)))
    for label, axes, values in zip(LABELS, np.diag(panels), samples.T, strict=True):
        low, middle, high = (f"{value:.{label.decimals}f}" for value in _median_and_errors(values))
        title = rf"{label.symbol} = ${middle}_{{-{low}}}^{{+{high}}}$ {label.unit_text}"
        axes.set_title(title, fontsize=9)
        for quantile in np.quantile(values, _QUANTILES):
            axes.axvline(quantile, **_QUANTILE_STYLE)
    for row, column in zip(*np.tril_indices(len(LABELS)), strict=True):
        axes = panels[row, column]
        axes.tick_params(labelrotation=0)
        axes.set_xticks(_inner_ticks(*axes.get_xlim()))
        if row != column:
            axes.set_yticks(_inner_ticks(*axes.get_ylim()))
            _draw_credible_regions(axes, samples[:, column], samples[:, row])
    for axes in panels[-1]:
        axes.xaxis.set_label_coords(0.5, -0.2)
    pairs = zip(_CREDIBLE, _CREDIBLE_LINES, strict=True)
    handles = [Line2D([], [], color=BLUE, linestyle=ls, label=f"{level:.0%} region") for level, ls in pairs]
    handles.append(Line2D([], [], **_QUANTILE_STYLE, label="16, 50 and 84%"))
    if truth is not None:
        style = {"color": BLACK, "linestyle": ":", "linewidth": 1.2}
        corner.overplot_lines(figure, np.asarray(truth, dtype=float), **style)
        handles.append(Line2D([], [], color=BLACK, linestyle=":", linewidth=1.2, label="true labels"))
    figure.legend(handles=handles, loc="upper right", bbox_to_anchor=(0.95, 0.9), fontsize=9)
    if simulated:
        note_simulated(panels[0, -1])
    return figure


def _wide_ranges(samples):
    """Ranges that hold the 99% contours with room to close; no rotation is slower than none."""
    low, high = np.quantile(samples, (0.0005, 0.9995), axis=0)
    margin = 0.15 * (high - low)
    low, high = low - margin, high + margin
    low[LABELS.index(VSINI)] = max(low[LABELS.index(VSINI)], 0)
    return list(zip(low, high, strict=True))


def _inner_ticks(low, high):
    """Round values off the ends of an axis, where numbers would touch those of the next panel."""
    inset = 0.12 * (high - low)
    ticks = MaxNLocator(3).tick_values(low + inset, high - inset)
    return ticks[(ticks > low + inset) & (ticks < high - inset)]


def _draw_credible_regions(axes, x, y):
    """Draw the regions of highest density that hold 68, 95 and 99% of the samples."""
    bounds = (axes.get_xlim(), axes.get_ylim())
    counts, *edges = np.histogram2d(x, y, bins=_BINS, range=bounds)
    # Mirrored at the bound of a label, where there may be samples; elsewhere the border is empty.
    density = np.pad(gaussian_filter(counts, _SMOOTHING, mode="reflect"), 1, mode="edge")
    centres = [np.concatenate([edge[:1], (edge[1:] + edge[:-1]) / 2, edge[-1:]]) for edge in edges]
    at_samples = interpn(centres, density, np.stack([x, y], axis=1), bounds_error=False, fill_value=0)
    # The highest level is the smallest region; the 99% level stays above the empty background.
    levels = np.maximum(np.quantile(at_samples, 1 - np.array(_CREDIBLE[::-1])), density.max() * 1e-6)
    fills = [to_rgba(BLUE, alpha) for alpha in _CREDIBLE_FILLS[::-1]]
    axes.contourf(*centres, density.T, [*levels, 1.01 * density.max()], colors=fills)
    style = {"colors": BLUE, "linewidths": 0.9, "linestyles": list(_CREDIBLE_LINES[::-1])}
    axes.contour(*centres, density.T, levels, **style)


def _median_and_errors(values):
    low, middle, high = np.quantile(values, _QUANTILES)
    return middle - low, middle, high - middle


def fig10(run):
    """Draw Fig. 10 from the products of a run, with the true labels of a simulated star."""
    truth = None
    with np.load(run.products / "posterior.npz") as saved:
        samples, obsid = saved["samples"], saved["obsid"]
    if run.simulated:
        stars = read_ecsv(run.products / "survey/truth.ecsv")
        truth = [float(stars[label][stars["obsid"] == obsid][0]) for label in NAMES]
    return fig10_corner(samples, run.simulated, truth=truth)
