"""Figures about models: the training set (2), cross-validation (3) and sample size (4)."""

import numpy as np
from matplotlib.lines import Line2D

from slamlib.errors import InputError
from slamlib.instruments import get_instrument
from slamlib.labels import LABELS, LOGG, MH, TEFF, VSINI, as_labels
from slamlib.paper.style import (
    BLACK,
    BLUE,
    COLUMN,
    GREY,
    INSTRUMENT_STYLE,
    PAGE,
    RED,
    apj_style,
    new_figure,
    require_columns,
)

_CV_COLUMNS = ("instrument", "n_train", "regressor", "snr", "label", "scatter", "bias")
# Fig. 4 of the paper: colour and line by the rank of the sample size. The white face sets the
# second curve apart without colour.
_RANK_STYLES = {
    "LRS": (
        {"color": RED, "linestyle": "-"},
        {"color": BLUE, "linestyle": "--", "markerfacecolor": "white"},
        {"color": BLACK, "linestyle": ":"},
    ),
    "MRS": (
        {"color": RED, "linestyle": "-"},
        {"color": BLUE, "linestyle": "-", "markerfacecolor": "white"},
        {"color": BLACK, "linestyle": "-"},
    ),
}


@apj_style()
def fig02_training_set(nodes, labels, boundary):
    """Draw the nodes of the model grids and the training sets drawn between them (Fig. 2).

    Parameters
    ----------
    nodes : Table
        Columns grid (a name that begins with OSTAR2002 or BSTAR2006), teff [K], logg.
    labels : dict of str to ndarray, (n, 4)
        Training labels of each instrument.
    boundary : array_like, (k, 2)
        Corners (Teff [K], log g) of the region the training labels fill.

    Returns
    -------
    matplotlib.figure.Figure
        Left: Teff and log g; right: [M/H] and v sin i.

    Raises
    ------
    InputError
        If a column is missing, a grid or an instrument is unknown.
    """
    require_columns(nodes, ("grid", "teff", "logg"), "the table of grid nodes")
    grid = np.asarray(nodes["grid"], dtype=str)
    figure = new_figure(PAGE, 3.3)
    plane, rest = figure.subplots(1, 2, width_ratios=(3, 2))
    handles = []
    # The larger sample first: the smaller one lies on top of it, with larger dots.
    for rank, name in enumerate(sorted(labels, key=lambda name: -len(labels[name]))):
        sample, color = as_labels(labels[name]), INSTRUMENT_STYLE[get_instrument(name).name]["color"]
        dots: dict = {"linestyle": "none", "marker": ".", "markeredgewidth": 0, "color": color}
        look = dots | {"markersize": 1.8 + 0.8 * rank, "rasterized": True}
        plane.plot(sample[:, 0] / 1e3, sample[:, 1], **look)
        rest.plot(sample[:, 3], sample[:, 2], **look)
        handles.append(Line2D([], [], **dots, markersize=6, label=f"{name} training set ({len(sample):,})"))
    for prefix, marker, size in (("BSTAR2006", "o", 5.0), ("OSTAR2002", "x", 4.0)):
        row = np.char.startswith(grid, prefix)
        if not row.any():
            raise InputError(f"no node of {prefix} among the grid nodes; their grids are {sorted(set(grid))}")
        look = {"marker": marker, "markersize": size, "markeredgewidth": 0.8, "markerfacecolor": "none"}
        look |= {"color": BLACK, "linestyle": "none", "label": prefix}
        handles += plane.plot(nodes["teff"][row] / 1e3, nodes["logg"][row], **look)
    closed = np.concatenate([boundary, np.asarray(boundary)[:1]])
    edge = {"color": BLACK, "linewidth": 0.8, "label": "edge of the training sets"}
    handles += plane.plot(closed[:, 0] / 1e3, closed[:, 1], **edge)
    plane.set(xlabel=rf"{TEFF.symbol} [$10^3$ K]", ylabel=LOGG.axis)
    plane.invert_xaxis()
    plane.invert_yaxis()
    plane.legend(handles=handles, loc="upper left")
    rest.set(xlabel=VSINI.axis, ylabel=MH.axis)
    return figure


@apj_style()
def fig03_cross_validation(table):
    """Draw cross-validated scatter and bias of each label against SNR (Fig. 3).

    Parameters
    ----------
    table : Table
        Columns instrument, n_train, regressor, snr, label, scatter, bias; one regressor and one
        n_train an instrument. Scatter is the rms (paper eq. 1), bias the mean (eq. 2) of SLAM
        minus true label.

    Returns
    -------
    matplotlib.figure.Figure
        Four panels; scatter solid, bias dashed, LRS red squares, MRS blue stars.

    Raises
    ------
    InputError
        If a column or a label is missing, or an instrument has several curves.
    """
    require_columns(table, _CV_COLUMNS, "the cross-validation table")
    figure = new_figure(PAGE, 4.6)
    panels = figure.subplots(2, 2, sharex=True).ravel()
    for name in _instruments(table):
        rows = table[np.asarray(table["instrument"]) == name]
        n_train = _only(rows, "n_train")
        _only(rows, "regressor")
        for label, axes in zip(LABELS, panels, strict=True):
            snr, scatter, bias = _curve(rows, label)
            look = INSTRUMENT_STYLE[name]
            axes.plot(snr, scatter, linestyle="-", label=f"{name} scatter ({n_train:,} models)", **look)
            axes.plot(snr, bias, linestyle="--", label=f"{name} bias", **look, markerfacecolor="white")
    for label, axes in zip(LABELS, panels, strict=True):
        axes.axhline(0, color=GREY, linewidth=0.8, zorder=0)
        axes.set_ylabel(f"Error of {label.axis}")
    for axes in panels[2:]:
        axes.set_xlabel("SNR")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure


@apj_style()
def fig04_sample_size(table):
    """Draw the scatter of each label against SNR for training sets of several sizes (Fig. 4).

    Parameters
    ----------
    table : Table
        As for Fig. 3, with up to three n_train an instrument and one regressor.

    Returns
    -------
    matplotlib.figure.Figure
        Rows are labels, columns instruments. From the smallest training set to the largest: LRS
        squares, solid red, dashed blue; MRS stars, solid red, blue, black.

    Raises
    ------
    InputError
        If a column or a label is missing, or an instrument has over three sizes.
    """
    require_columns(table, _CV_COLUMNS, "the sample-size table")
    names = _instruments(table)
    _only(table, "regressor")
    figure = new_figure(COLUMN if len(names) == 1 else 5.2, 7.4)
    panels = figure.subplots(len(LABELS), len(names), sharex=True, sharey="row", squeeze=False)
    for column, name in zip(panels.T, names, strict=True):
        rows = table[np.asarray(table["instrument"]) == name]
        sizes = np.unique(rows["n_train"])
        if len(sizes) > len(_RANK_STYLES[name]):
            raise InputError(f"{name} has {len(sizes)} sample sizes, {sizes}; Fig. 4 shows at most three")
        for size, rank_style in zip(sizes, _RANK_STYLES[name], strict=False):
            look = INSTRUMENT_STYLE[name] | rank_style | {"label": f"{size:,}"}
            for label, axes in zip(LABELS, column, strict=True):
                snr, scatter, _ = _curve(rows[rows["n_train"] == size], label)
                axes.plot(snr, scatter, **look)
        column[0].legend(
            title=f"{name}, models",
            loc="lower center",
            bbox_to_anchor=(0.5, 1.0),
            ncols=len(sizes),
            columnspacing=0.9,
            handlelength=1.8,
        )
        column[-1].set_xlabel("SNR")
    for label, axes in zip(LABELS, panels[:, 0], strict=True):
        axes.margins(y=0.1)
        axes.set_ylim(bottom=0)
        axes.set_ylabel(f"Scatter of {label.axis}")
    return figure


def _instruments(table):
    """Names of the instruments in the table, LRS first."""
    found = set(np.asarray(table["instrument"], dtype=str))
    unknown = found - set(INSTRUMENT_STYLE)
    if unknown:
        raise InputError(f"unknown instrument {sorted(unknown)}; use one of {', '.join(INSTRUMENT_STYLE)}")
    return [name for name in INSTRUMENT_STYLE if name in found]


def _only(rows, column):
    """Return the single value of a column: two values would be two curves drawn as one."""
    values = np.unique(rows[column])
    if len(values) != 1:
        raise InputError(f"column {column} has the values {', '.join(map(str, values))}; select one to draw")
    return values[0]


def _curve(rows, label):
    """SNR, scatter and bias of one label, by ascending SNR."""
    rows = rows[np.asarray(rows["label"], dtype=str) == label.name]
    if len(rows) == 0:
        raise InputError(f"the table has no rows of label {label.name}; compute it before drawing")
    order = np.argsort(rows["snr"])
    return tuple(np.asarray(rows[name], dtype=float)[order] for name in ("snr", "scatter", "bias"))
