"""The figure of luminosities: by parallax against by labels, and what companions do."""

import numpy as np

from slamlib.io import read_ecsv
from slamlib.style import (
    BLACK,
    BLUE,
    GREY,
    PAGE,
    RED,
    apj_style,
    fig_no_data,
    new_figure,
    note_simulated,
    require_columns,
)

# A companion of more light over the star's is drawn apart.
BRIGHT = 0.5
_BINS = np.arange(-6, 8.1, 0.5)


@apj_style()
def fig_luminosity(table):
    """Draw luminosities by parallax against those of the labels, and their tension.

    `table` is as `slamlib.labelling.luminosity.luminosities` gives it; of simulated stars also ``ratio``.
    """
    require_columns(table, ("log_l", "e_log_l", "log_l_plx", "e_log_l_plx", "tension"), "the luminosities")
    known = np.isfinite(np.asarray(table["tension"], dtype=float))
    if not known.any():
        return fig_no_data("no star has a luminosity by its labels and by its parallax")
    table = table[known]
    simulated = "ratio" in table.colnames
    ratio = np.asarray(table["ratio"]) if simulated else np.zeros(len(table))
    groups = (
        (ratio == 0, BLACK, "single" if simulated else "all stars"),
        ((ratio > 0) & (ratio <= BRIGHT), BLUE, f"companion of up to {BRIGHT:g} of its light"),
        (ratio > BRIGHT, RED, "brighter companion"),
    )
    figure = new_figure(PAGE, 3.1)
    left, right = figure.subplots(1, 2)
    for rows, color, name in groups:
        if rows.any():
            some = table[rows]
            errors = {"xerr": some["e_log_l"], "yerr": some["e_log_l_plx"]}
            style = {"fmt": "o", "markersize": 2, "elinewidth": 0.4, "color": color}
            left.errorbar(some["log_l"], some["log_l_plx"], **errors, **style)
            right.hist(some["tension"], _BINS, histtype="step", density=True, color=color, label=name)
    ends = np.array(left.get_xlim())
    left.plot(ends, ends, color=GREY, zorder=0)
    left.plot(ends, ends + np.log10(2), color=GREY, linestyle="--", zorder=0)
    left.set(xlim=ends, xlabel=r"$\log L/L_\odot$ by labels", ylabel=r"$\log L/L_\odot$ by parallax")
    grid = np.linspace(_BINS[0], _BINS[-1], 200)
    right.plot(grid, np.exp(-(grid**2) / 2) / np.sqrt(2 * np.pi), color=GREY, zorder=0)
    for limit in (-3, 3):
        right.axvline(limit, ymax=0.68, color=GREY, linestyle=":", linewidth=0.8)
    right.set(xlim=(_BINS[0], _BINS[-1]), xlabel="difference in standard errors", ylabel="density")
    right.set_ylim(top=1.45 * right.get_ylim()[1])
    right.legend(loc="upper left")
    if simulated:
        note_simulated(right)
    return figure


def luminosity(run):
    """Draw the luminosities of a run."""
    table = read_ecsv(run.products / "luminosity.ecsv")
    return fig_luminosity(table) if len(table) else fig_no_data("no entries of Gaia: data/raw/gaia.ecsv")
