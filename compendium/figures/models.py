"""Figures about models: the training set (2), cross-validation (3) and sample size (4)."""

import numpy as np
from matplotlib.lines import Line2D

from slamlib.errors import InputError
from slamlib.grid.joined import EMBEDDED
from slamlib.grid.training import TrainingSet
from slamlib.instruments import INSTRUMENTS, get_instrument
from slamlib.io import read_ecsv
from slamlib.labels import LABELS, LOGG, MH, TEFF, VSINI, as_labels
from slamlib.style import (
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
def fig02_training_set(nodes, official, labels, boundary):
    """Draw the nodes of the model grid and the training sets drawn between them (Fig. 2).

    Left: Teff and log g, the region of interpolation grey, published nodes faint; right: [M/H] and v sin i,
    the metallicities of the nodes as lines. The legend gives the steps and the microturbulence of the nodes.

    Parameters
    ----------
    nodes : Table
        Of the grid in use: teff [K], logg, mh; vturb [km/s] and source, if the grid has them.
    official : Table
        Of the published grids: grid ("OSTAR2002" or "BSTAR2006"), teff [K], logg.
    labels : dict of str to ndarray, (n, 4)
        Training labels of each instrument.
    boundary : array_like, (k, 2)
        Corners (Teff [K], log g) of the region the training labels fill.
    """
    require_columns(nodes, ("teff", "logg", "mh"), "the table of grid nodes")
    require_columns(official, ("grid", "teff", "logg"), "the table of published nodes")
    figure = new_figure(PAGE, 4.2)
    plane, rest = figure.subplots(1, 2, width_ratios=(3, 2))
    region = np.asarray(boundary) / (1e3, 1)
    filled = plane.fill(*region.T, facecolor="0.9", edgecolor="0.6", label="region of interpolation")
    faint, used, sets = [], [], []
    for name, rows in _by(official, "grid"):
        look = _node_style(name) | {"color": "0.7", "markersize": 6, "markeredgewidth": 0.6}
        label = f"{name.partition('_')[0]}, published ({len(rows)})"
        faint += plane.plot(rows["teff"] / 1e3, rows["logg"], **look, label=label)
    for name, rows in _by(nodes, "source"):
        look = _node_style(name) | {"color": BLACK, "markersize": 3.5, "markeredgewidth": 0.9, "zorder": 3}
        used += plane.plot(rows["teff"] / 1e3, rows["logg"], **look, label=_in_words(name, rows))
    # The larger sample first: the smaller one lies on top of it, with larger dots.
    for rank, name in enumerate(sorted(labels, key=lambda name: -len(labels[name]))):
        sample, color = as_labels(labels[name]), INSTRUMENT_STYLE[get_instrument(name).name]["color"]
        dots: dict = {"linestyle": "none", "marker": ".", "markeredgewidth": 0, "color": color}
        look = dots | {"markersize": 1.8 + 0.8 * rank, "rasterized": True}
        plane.plot(sample[:, 0] / 1e3, sample[:, 1], **look)
        rest.plot(sample[:, 3], sample[:, 2], **look)
        sets.append(Line2D([], [], **dots, markersize=6, label=f"{name} training set ({len(sample):,})"))
    metallicities = np.unique(nodes["mh"])
    for mh in metallicities:
        line = rest.axhline(mh, color="0.6", linewidth=0.8, zorder=0)
    line.set_label("[M/H] of the nodes: " + ", ".join(f"${mh:g}$" for mh in metallicities))
    plane.set(xlabel=rf"{TEFF.symbol} [$10^3$ K]", ylabel=LOGG.axis)
    plane.invert_xaxis()
    plane.invert_yaxis()
    rest.set(xlabel=VSINI.axis, ylabel=MH.axis)
    figure.legend(handles=[*used, line, *filled, *faint, *sets], loc="outside upper left", ncols=2)
    return figure


@apj_style()
def fig03_cross_validation(table):
    """Draw cross-validated scatter and bias of each label against SNR (Fig. 3).

    Panels (a) to (d), to which the paper's text refers; scatter, the rms (paper eq. 1), solid, bias, the mean
    (eq. 2) of SLAM minus true label, dashed; LRS red squares, MRS blue stars. InputError if a column or a
    label is missing, or `table` has more than one regressor or n_train of an instrument.
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
    for letter, label, axes in zip("abcd", LABELS, panels, strict=True):
        axes.text(0.97, 0.95, f"({letter})", ha="right", va="top", transform=axes.transAxes)
        axes.axhline(0, color=GREY, linewidth=0.8, zorder=0)
        axes.set_ylabel(f"Error of {label.axis}")
    for axes in panels[2:]:
        axes.set_xlabel("SNR")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure


@apj_style()
def fig04_sample_size(table):
    """Draw the scatter of each label against SNR for training sets of several sizes (Fig. 4).

    Rows are labels, columns instruments. From the smallest training set to the largest: LRS squares, solid
    red, dashed blue; MRS stars, solid red, blue, black. `table` is as for Fig. 3, with one regressor and up
    to three n_train an instrument, or InputError.
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
            title=f"{name}, colour by training spectra",
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


def _by(table, column):
    """Split a table by the values of a column; all is "model grid" if it has no such column."""
    if column not in table.colnames:
        return [("model grid", table)]
    names = np.asarray(table[column], dtype=str)
    return [(name, table[names == name]) for name in np.unique(names)]


def _node_style(source):
    """Circles for B stars, crosses for all else, as in the paper."""
    marker = "o" if source.startswith("BSTAR2006") else "x"
    return {"linestyle": "none", "marker": marker, "markerfacecolor": "none"}


def _in_words(source, nodes):
    """Range and steps of nodes [kK, dex], with their microturbulence if it is known."""
    columns = [np.unique(nodes["logg"][nodes["teff"] == teff]) for teff in np.unique(nodes["teff"])]
    teff, gravity_steps = np.unique(nodes["teff"]) / 1e3, np.concatenate([*map(np.diff, columns)])
    text = f"{source} ({sum(map(len, columns))}): {_range(teff)} kK, "
    text += f"steps of {_range(np.diff(teff))} kK and {_range(gravity_steps)} dex"
    if "vturb" in nodes.colnames:
        text += rf", $\xi$ = {_range(np.asarray(nodes['vturb'], dtype=float))} km s$^{{-1}}$"
    return text


def _range(values):
    """Join the least and the greatest value by a hyphen, or give the only one."""
    ends = (values.min(), values.max()) if values.size else ()
    return "-".join(dict.fromkeys(f"{value:g}" for value in ends))


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


def fig02(run):
    """Draw Fig. 2 from the products of a run."""
    models, nodes = run.models, run.models.nodes.copy()
    if run.grid == EMBEDDED:
        # Another grid may give the same source to other stars.
        own = nodes["source"] == "TLUSTY"
        nodes["source"] = np.where(own, "O stars, computed here", nodes["source"])
    labels = {
        name: TrainingSet.read(run.products / f"training_{name}.npz").labels[: run.sizes.n_train[name]]
        for name in INSTRUMENTS
    }
    published = read_ecsv(run.root / "data/embedded/tlusty_nodes.ecsv")
    return fig02_training_set(nodes, published, labels, models.boundary)


def fig03(run):
    """Draw Fig. 3 from the products of a run: the paper's regression."""
    cv = read_ecsv(run.products / "cv.ecsv")
    return fig03_cross_validation(cv[cv["regressor"] == "svr"])


def fig04(run):
    """Draw Fig. 4 from the products of a run."""
    return fig04_sample_size(read_ecsv(run.products / "sample_size.ecsv"))
