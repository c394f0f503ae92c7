"""The figure of the sample selection: widths of lines, and the cut."""

import numpy as np

from slamlib.instruments import INSTRUMENTS
from slamlib.io import read_ecsv
from slamlib.spectra.selection import CLEARLY, LINES
from slamlib.style import (
    BLACK,
    GREY,
    INSTRUMENT_STYLE,
    PAGE,
    apj_style,
    new_figure,
    note_simulated,
    require_columns,
)

# What is drawn against what, for each instrument.
_AXES = {"LRS": ("mg5175", "gband"), "MRS": ("mg5175", "halpha")}
# No width reaches this [A].
_WIDEST, _UNIT = 1e3, r"[$\rm\AA$]"


@apj_style()
def fig_selection(widths, simulated, cool=None):
    """Draw the widths of lines of a survey's stars, and where stars are no early-type stars.

    `widths` are as `slamlib.spectra.selection.line_widths` gives them, by instrument; `cool` are the same of
    stars of the MILES library.
    """
    figure = new_figure(PAGE, 2.8)
    for panel, (name, (x, y)) in zip(figure.subplots(1, 2), _AXES.items(), strict=True):
        require_columns(widths[name], (f"ew_{x}", f"ew_{y}"), f"the widths of {name}")
        shown = [(cool[name], BLACK, "MILES library, O to M")] if cool else []
        shown.append((widths[name], str(INSTRUMENT_STYLE[name]["color"]), f"{name} stars"))
        for table, color, label in shown:
            panel.plot(table[f"ew_{x}"], table[f"ew_{y}"], ".", color=color, markersize=3, label=label)
        for limit, line, band in (
            (LINES[x].limit, panel.axvline, panel.axvspan),
            (LINES[y].limit, panel.axhline, panel.axhspan),
        ):
            if np.isfinite(limit):
                line(limit, color=BLACK, linewidth=0.6)
                band(limit, _WIDEST, color=GREY, alpha=0.2, linewidth=0)
        panel.set(xlabel=f"EW {LINES[x].title} {_UNIT}", ylabel=f"EW {LINES[y].title} {_UNIT}")
        panel.set_xlim(-1, max(3, *(np.nanmax(table[f"ew_{x}"]) + 1 for table, *_ in shown)))
        panel.set_ylim(-2, max(3, *(np.nanmax(table[f"ew_{y}"]) + 1 for table, *_ in shown)))
        title = f"shaded: not early-type,\nif beyond the line by ${CLEARLY:g}\\sigma$"
        panel.legend(loc="upper right", fontsize=7, title=title, title_fontsize=7)
    if simulated:
        note_simulated(panel)
    return figure


def selection(run):
    """Draw the sample selection from the products of a run."""
    table = read_ecsv(run.products / "widths.ecsv")
    of = {
        sample: {n: table[(table["sample"] == sample) & (table["instrument"] == n)] for n in INSTRUMENTS}
        for sample in ("survey", "MILES")
    }
    return fig_selection(of["survey"], run.simulated, of["MILES"] if "MILES" in table["sample"] else None)
