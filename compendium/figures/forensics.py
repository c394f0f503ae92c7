"""The figure of `compendium.forensics`: what makes the errors of labels of model spectra."""

import numpy as np
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D

from slamlib.instruments import INSTRUMENTS
from slamlib.io import read_ecsv
from slamlib.labels import LOGG, NAMES, TEFF, VSINI
from slamlib.style import (
    BLACK,
    GREY,
    INSTRUMENT_STYLE,
    PAGE,
    apj_style,
    new_figure,
    plain_ticks,
    require_columns,
)

_SHOWN = (TEFF, LOGG, VSINI)


@apj_style()
def fig_forensics(rows, by_teff, paper):
    """Draw the error of Teff against Teff, and the errors that each experiment leaves.

    Above, a panel an instrument: both regressions and the Cramer-Rao bound. Below, a panel a label, a line a
    row of `rows`. `rows` and `by_teff` are as `compendium.forensics.forensics` gives them, of one or both
    instruments; `paper`, dashed, is its error at SNR = 100 of each (instrument, label) that it states.
    """
    require_columns(rows, ("instrument", "row", "teff", "logg", "vsini"), "the forensics")
    require_columns(by_teff, ("instrument", "teff", "svr", "krr", "bound"), "the errors by temperature")
    figure = new_figure(PAGE, 6.6)
    above, below = figure.subfigures(2, 1, height_ratios=(2, 3))
    curves = [
        _against_teff(panel, by_teff[by_teff["instrument"] == name], name, paper)
        for panel, name in zip(above.subplots(1, 2, sharey=True), INSTRUMENT_STYLE, strict=True)
    ]
    dashed = Line2D([], [], color=BLACK, linestyle="--", linewidth=0.9, label="the paper, SNR = 100")
    svr, krr, (bound, *_) = zip(*curves, strict=True)
    told = ("support vectors", "kernel ridge", "Cramer-Rao bound", dashed.get_label())
    both = {tuple: HandlerTuple(ndivide=None)}
    above.legend((svr, krr, bound, dashed), told, loc="outside upper center", ncols=4, handler_map=both)
    # The instrument with the most experiments has all of them.
    names = max((list(rows["row"][rows["instrument"] == name]) for name in INSTRUMENT_STYLE), key=len)
    panels = below.subplots(1, len(_SHOWN), sharey=True)
    for panel, label in zip(panels, _SHOWN, strict=True):
        for name, look in INSTRUMENT_STYLE.items():
            some = rows[rows["instrument"] == name]
            place = [names.index(row) for row in some["row"]]
            panel.plot(some[label.name], place, **look, linestyle="none")
            if (name, label.name) in paper:
                panel.axvline(paper[name, label.name], color=look["color"], linestyle="--", linewidth=0.9)
        panel.set(xscale="log", xlabel=f"rms error of {label.axis}")
        plain_ticks(panel.xaxis)
        panel.grid(axis="y", color=GREY, linewidth=0.4)
        panel.tick_params(axis="y", which="minor", left=False, right=False)
    panels[0].set_yticks(np.arange(len(names)), labels=names)
    panels[0].invert_yaxis()
    handles = [
        Line2D([], [], linestyle="none", **look, label=name) for name, look in INSTRUMENT_STYLE.items()
    ]
    below.legend(handles=[*handles, dashed], loc="outside upper center", ncols=3)
    return figure


def _against_teff(panel, rows, name, paper):
    """Draw the errors of Teff of an instrument; return the three curves."""
    teff, look = np.asarray(rows["teff"]) / 1e3, INSTRUMENT_STYLE[name]
    curves = [
        *panel.plot(teff, rows["svr"], **look),
        *panel.plot(teff, rows["krr"], **look | {"markerfacecolor": "white"}),
        *panel.plot(teff, rows["bound"], color=BLACK),
    ]
    if (name, "teff") in paper:
        panel.axhline(paper[name, "teff"], color=look["color"], linestyle="--", linewidth=0.9)
    panel.set(yscale="log", xlabel=rf"{TEFF.symbol} [$10^3$ K]", ylabel=f"rms error of {TEFF.axis}")
    plain_ticks(panel.yaxis)
    panel.set_title(f"{name}, model spectra, SNR = 100", loc="left")
    panel.label_outer()
    return curves


def forensics(run):
    """Draw what the errors are made of from the products of a run, beside the paper's numbers."""
    claims = read_ecsv(run.root / "data/embedded/paper_claims.ecsv")
    stated = dict(zip(claims["key"], claims["value"], strict=True))
    keys = {(name, label): f"sigma_{label}_{name.lower()}_snr100" for name in INSTRUMENTS for label in NAMES}
    paper = {about: stated[key] for about, key in keys.items() if key in stated}
    rows, by_teff = run.tables / "forensics.ecsv", run.products / "forensics_teff.ecsv"
    return fig_forensics(read_ecsv(rows), read_ecsv(by_teff), paper)
