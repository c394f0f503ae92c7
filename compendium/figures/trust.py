"""Figures of trust: calibration of errors, and where the information on each label lies."""

from itertools import chain

import numpy as np
from matplotlib.lines import Line2D

from slamlib.instruments import get_instrument
from slamlib.io import read_ecsv
from slamlib.labels import LABELS
from slamlib.style import (
    BLACK,
    BLUE,
    CYAN,
    GREY,
    INSTRUMENT_STYLE,
    PAGE,
    RED,
    apj_style,
    new_figure,
    note_simulated,
    plain_ticks,
    require_columns,
)

# The strongest lines, air wavelength [A], for the reader to find the way.
_LINES = {
    "H": (3970.1, 4101.7, 4340.5, 4861.3, 6562.8),
    "He I": (4026.2, 4471.5, 4921.9, 5015.7, 5875.6, 6678.2),
    "He II": (4541.6, 4685.7, 5411.5),
    "C, N, O, Mg, Si": (4267.1, 4481.2, 4552.6, 4649.1, 5001.4),
}
_LINE_COLORS = {"H": BLACK, "He I": BLUE, "He II": RED, "C, N, O, Mg, Si": "0.5"}


# What each row of the calibration shows; the second is drawn hollow.
_ROWS = (("pull_width", "pull_mean"), ("cover68", "cover95"), ("crb_ratio",))
_COVERAGE = {"cover68": 0.6827, "cover95": 0.95}
# Standard error of a statistic of n normal values, times sqrt(n) and over their spread: half the
# range of 16 to 84%, the mean, and the median absolute deviation.
_ERRORS = {"pull_width": 0.96, "pull_mean": 1.0, "crb_ratio": 1.17}
# Apart by this factor of SNR, so that error bars of two instruments do not cover each other.
_APART = {"LRS": 0.97, "MRS": 1.03}


@apj_style()
def fig_calibration(table):
    """Draw pulls, coverage and efficiency against SNR, as `compendium.trust.calibration` gives them.

    A column for each label; rows: width and mean of the pulls, coverage of the 68% and 95% intervals, scatter
    over the Cramer-Rao bound. Error bars are one standard error of n stars: of normal pulls, and for coverage
    of the share that is due.
    """
    require_columns(table, ("instrument", "snr", "label", "n", *chain(*_ROWS)), "the calibration")
    figure = new_figure(PAGE, 4.4)
    panels = figure.subplots(3, 4, sharex=True, sharey="row", gridspec_kw={"hspace": 0.02, "wspace": 0.02})
    ticks = sorted(set(table["snr"]))
    for column, label in zip(panels.T, LABELS, strict=True):
        for name, look in INSTRUMENT_STYLE.items():
            rows = table[(table["instrument"] == name) & (table["label"] == label.name)]
            snr = _APART[name] * np.asarray(rows["snr"], dtype=float)
            looks = look, look | {"markerfacecolor": "none", "ls": ":"}
            for axes, shown in zip(column, _ROWS, strict=True):
                for quantity, style in zip(shown, looks, strict=False):
                    error = _standard_error(rows, quantity)
                    axes.errorbar(snr, rows[quantity], error, elinewidth=0.7, **style)
        for due in (0, 1):
            column[0].axhline(due, color=BLACK, linewidth=0.6)
            column[0].axhspan(due - 0.1, due + 0.1, color=GREY, alpha=0.35, linewidth=0)
        for level in _COVERAGE.values():
            column[1].axhline(level, color=BLACK, linewidth=0.6)
        column[2].axhline(1, color=BLACK, linewidth=0.6)
        column[2].set(xscale="log", xlabel="SNR per pixel")
        column[2].margins(x=0.1)
        column[2].set_xticks(ticks, labels=[f"{snr:g}" for snr in ticks])
        column[2].tick_params(axis="x", which="minor", labelbottom=False)
        column[0].set_title(label.symbol, loc="left", fontsize=8)
    for panel, title in zip(panels[:, 0], ("pull", "coverage", "scatter / CR bound"), strict=True):
        panel.set_ylabel(title)
    panels[0, 0].set_ylim(-0.6, 1.6)
    panels[1, 0].set_ylim(0.2, 1.05)
    both = [Line2D([], [], ls="-", **look, label=name) for name, look in INSTRUMENT_STYLE.items()]
    both.append(Line2D([], [], ls="-", color=GREY, marker="o", label="width, 68%, ratio"))
    both.append(Line2D([], [], ls=":", color=GREY, marker="o", markerfacecolor="none", label="mean, 95%"))
    figure.legend(handles=both, loc="outside upper center", ncols=4)
    note_simulated(panels[0, -1])
    return figure


def _standard_error(rows, quantity):
    """One standard error of a column of the calibration, from the number of stars."""
    n = np.maximum(np.asarray(rows["n"], dtype=float), 1)
    if quantity in _COVERAGE:
        due = _COVERAGE[quantity]
        return np.sqrt(due * (1 - due) / n)
    scale = rows["pull_width"] if quantity == "pull_mean" else rows[quantity]
    return _ERRORS[quantity] * np.asarray(scale, dtype=float) / np.sqrt(n)


@apj_style()
def fig_ranks(ranks):
    """Draw the histogram of the ranks of the truth in its posterior, with the band of pure chance.

    `ranks`, (m, 4) for each instrument, are as `compendium.trust.ranks` gives them.
    """
    figure = new_figure(PAGE, 1.9)
    panels = figure.subplots(1, 4, sharey=True)
    bins = 10
    for i, (panel, label) in enumerate(zip(panels, LABELS, strict=True)):
        chance = 0.0
        for name, values in ranks.items():
            finite = values[np.isfinite(values[:, i]), i]
            share = np.histogram(finite, bins, (0, 1))[0] / max(finite.size, 1) * bins
            color = INSTRUMENT_STYLE[name]["color"]
            panel.stairs(share, np.linspace(0, 1, bins + 1), color=color, label=name)
            chance = max(chance, 2 * np.sqrt(bins / max(finite.size, 1)))
        panel.axhspan(1 - chance, 1 + chance, color=GREY, alpha=0.35, linewidth=0)
        panel.set(xlabel=f"rank of true {label.symbol}", ylim=(0, 2.2))
    panels[0].set_ylabel("density")
    panels[-1].legend(fontsize=7)
    note_simulated(panels[-1])
    return figure


# The steps of the ladder, for those who have not read `compendium.mismatch`.
_STEPS = {
    "+ interpolation": "+ other interpolation",
    "+ profile": "+ other line profile",
    "+ velocity": "+ measured velocity",
    "+ continuum": "+ fitted continuum",
    "matched continuum": "same continuum in models",
    "+ systematics": "+ errors pixels share",
}


@apj_style()
def fig_mismatches(table):
    """Draw how the errors of labels grow with every mismatch, and shrink again.

    A panel for each label: scatter (1.48 median absolute deviation) filled, size of the median error open,
    against the step. A line parts the steps that add a mismatch from those that undo it. `table` is as
    `compendium.mismatch.ladder` gives it.
    """
    require_columns(table, ("instrument", "step", "label", "scatter", "median"), "the ladder of mismatches")
    figure = new_figure(PAGE, 4.8)
    panels = figure.subplots(2, 2, sharex=True)
    for panel, label in zip(panels.flat, LABELS, strict=True):
        for name, look in INSTRUMENT_STYLE.items():
            rows = table[(table["instrument"] == name) & (table["label"] == label.name)]
            place = np.arange(len(rows))
            panel.plot(place, rows["scatter"], **look, label=f"{name} scatter (1.48 MAD)")
            hollow = look | {"markerfacecolor": "none"}
            panel.plot(place, np.abs(rows["median"]), **hollow, ls=":", label=f"{name} |median error|")
        panel.set(yscale="log", ylabel=f"Error of {label.axis}")
        plain_ticks(panel.yaxis)
        steps = [_STEPS.get(step, step) for step in rows["step"]]
        panel.set_xticks(np.arange(len(steps)), labels=steps, rotation=35, ha="right")
        panel.tick_params(axis="x", which="minor", bottom=False, top=False)
        if _STEPS["matched continuum"] in steps:
            panel.axvline(steps.index(_STEPS["matched continuum"]) - 0.5, color=GREY, linewidth=0.8)
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper left", ncols=4)
    note_simulated(panels[0, 1])
    return figure


@apj_style()
def fig_efficiency(table):
    """Draw the errors of labels and the least that noise allows, on the axes of Fig. 3.

    A panel for each label: typical error against SNR, filled for kernel ridge, open for support vectors, and
    the median Cramer-Rao bound as a thin line. `table` is as `slamlib.inference.validate.cross_validate`
    gives it, of "krr" and "svr".
    """
    require_columns(table, ("instrument", "regressor", "snr", "label", "mad", "bound"), "the efficiency")
    figure = new_figure(PAGE, 4.6)
    panels = figure.subplots(2, 2, sharex=True)
    for panel, label in zip(panels.flat, LABELS, strict=True):
        for name, look in INSTRUMENT_STYLE.items():
            rows = table[(table["instrument"] == name) & (table["label"] == label.name)]
            ours, theirs = (rows[rows["regressor"] == regressor] for regressor in ("krr", "svr"))
            panel.plot(ours["snr"], ours["mad"], **look, ls="", label=f"{name}, kernel ridge")
            hollow = look | {"markerfacecolor": "none"}
            panel.plot(theirs["snr"], theirs["mad"], **hollow, ls=":", label=f"{name}, support vectors")
            panel.plot(ours["snr"], ours["bound"], color=look["color"], label=f"{name}, Cramer-Rao bound")
        panel.set(yscale="log", ylabel=f"Error of {label.axis}")
        plain_ticks(panel.yaxis)
    for panel in panels[1]:
        panel.set_xlabel("SNR")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


@apj_style()
def fig_information(wave, derivative, labels, instrument):
    """Draw the Fisher information on each label against wavelength: which lines carry it.

    For each label the share of the information per pixel, other labels held fixed, and the running total.
    `derivative`, (4, n_pix), is that of the flux with respect to the `labels` (4,) of the star.
    """
    instrument = get_instrument(instrument)
    figure = new_figure(PAGE, 5.0)
    panels = figure.subplots(4, 1, sharex=True, gridspec_kw={"hspace": 0.04})
    for panel, label, slope in zip(panels, LABELS, derivative, strict=True):
        share = np.where(instrument.good, slope.astype(float) ** 2, 0)
        share /= share.sum()
        for arm in instrument.arm_slices:
            panel.plot(wave[arm], 100 * share[arm], color=BLACK, linewidth=0.6)
        panel.set_ylabel("% per pixel")
        total = panel.twinx()
        total.plot(wave, np.cumsum(share), color=CYAN)
        total.set(ylim=(0, 1.02), ylabel="total")
        panel.text(0.65, 0.55, label.symbol, transform=panel.transAxes, fontsize=8)
        for species, lines in _LINES.items():
            for line in lines:
                if any(first < line < last for first, last, _ in instrument.arms):
                    panel.axvline(line, color=_LINE_COLORS[species], linewidth=0.5, alpha=0.5)
    for k, (species, color) in enumerate(_LINE_COLORS.items()):
        panels[0].text(0.62 + 0.08 * k, 1.03, species, color=color, transform=panels[0].transAxes, fontsize=8)
    named = zip(LABELS, labels, strict=True)
    star = ", ".join(f"{label.symbol} = {value:g} {label.unit_text}" for label, value in named)
    panels[0].set_title(f"{instrument.name}: {star}", loc="left", fontsize=8)
    panels[-1].set_xlabel(r"wavelength in air [$\rm\AA$]")
    return figure


def calibration(run):
    """Draw the calibration of a run."""
    return fig_calibration(read_ecsv(run.tables / "calibration.ecsv"))


def ranks(run):
    """Draw the ranks of a run."""
    with np.load(run.products / "ranks.npz") as saved:
        return fig_ranks(dict(saved))


def mismatches(run):
    """Draw the mismatches of a run."""
    return fig_mismatches(read_ecsv(run.tables / "mismatches.ecsv"))


def efficiency(run):
    """Draw the efficiency of a run."""
    return fig_efficiency(read_ecsv(run.tables / "efficiency.ecsv"))


def information_lrs(run, name="LRS"):
    """Draw the information of LRS of a run."""
    with np.load(run.products / "information.npz") as saved:
        return fig_information(get_instrument(name).wave, saved[name], saved["star"], name)


def information_mrs(run):
    """Draw the information of MRS of a run."""
    return information_lrs(run, "MRS")
