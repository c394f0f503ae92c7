"""Figures that compare labels: SLAM with high-resolution spectra (8), LRS with MRS (9)."""

import math

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator

from compendium.hrs import floats, hrs_errors, trusted, unit_of
from compendium.hrs_stars import LIBRARY, ORIGINS, REAL, SIMULATED, SPUN
from slamlib.errors import InputError
from slamlib.grid.training import VSINI_MAX
from slamlib.io import read_ecsv
from slamlib.labels import LABELS, LOGG, TEFF, VSINI
from slamlib.style import (
    BLACK,
    BLUE,
    GREY,
    PAGE,
    RED,
    SMALL,
    apj_style,
    fig_no_data,
    new_figure,
    note_simulated,
    require_columns,
)

# The paper's symbols of Fig. 8.
_HRS_STYLE = {"LRS": {"color": RED, "marker": "o"}, "MRS": {"color": BLUE, "marker": "s"}}
_ORIGIN_STYLE = {
    SIMULATED: {"markersize": 4.5, "markerfacecolor": "white", "zorder": 3},
    SPUN: {"markersize": 2.5, "markerfacecolor": "white", "markeredgewidth": 0.6, "alpha": 0.7, "zorder": 2},
    LIBRARY: {"markersize": 3.5, "markeredgecolor": BLACK, "markeredgewidth": 0.4, "zorder": 4},
    REAL: {"markersize": 6.5, "markeredgecolor": BLACK, "zorder": 4},
}
# Decimals of a scatter.
_DECIMALS = {"teff": 0, "logg": 3, "vsini": 1}
# Columns of the numbers below a panel, the least number of their lines, and the height of one [inch].
_COLUMNS, _LEAST_LINES, _LINE = {"LRS": 0.39, "MRS": 0.7}, 5, 0.12
# Stars of Fig. 9 that do not count.
_PALE: dict = {
    "marker": "o",
    "color": GREY,
    "markersize": 2.5,
    "markerfacecolor": "white",
    "linestyle": "none",
}
# An arrow that hangs from a bar at the upper limit, in front of the circles and squares around it.
_ARROW = Path(
    [(-0.2, 0), (0.2, 0), (0, 0), (0, -1), (-0.2, -0.7), (0, -1), (0.2, -0.7)],
    [Path.MOVETO, Path.LINETO] * 2 + [Path.MOVETO, Path.LINETO, Path.LINETO],
)
_LIMIT_STYLE: dict = {"marker": _ARROW, "markersize": 16, "markeredgewidth": 0.6, "markerfacecolor": "none"}
# In the legend it stands in the middle of its line.
_LIMIT_KEY = _LIMIT_STYLE | {"marker": Path(np.add(_ARROW.vertices, (0, 0.5)), _ARROW.codes), "markersize": 8}


@apj_style()
def fig08_hrs(table):
    """Compare SLAM's labels with those of high-resolution spectra (Fig. 8).

    A panel for each label, the differences below it. HRS-LRS red circles, HRS-MRS blue squares; open if the
    spectrum is simulated, small if the star was spun as well, filled with a black edge if it is real (small:
    a library), crossed if the labels are outside the grid or not ok; an arrow alone hangs from an upper
    limit. The numbers are those of `hrs_errors`: the rms of SLAM - HRS (paper eq. 1), which contains the
    bias, over the n stars that are neither crossed nor limits; below it how many upper limits hold, that is,
    are not below the value of HRS.

    Parameters
    ----------
    table : Table
        One row a star and instrument, as `compendium.hrs.label_stars` gives it; rows without finite labels
        from both are left out. InputError if a column is missing, an origin is unknown, or no star has
        finite values of a label.
    """
    trio = (TEFF, LOGG, VSINI)
    needed = [f"{prefix}{label.name}{end}" for label in trio for end in ("", "_hrs") for prefix in ("", "e_")]
    columns = ("star", "instrument", "origin", "flag", "status", "vsini_limit", *needed)
    require_columns(table, columns, "the HRS table")
    instrument, origin = (np.asarray(table[name], dtype=str) for name in ("instrument", "origin"))
    if unknown := set(origin) - set(ORIGINS):
        raise InputError(f"origin must be one of {ORIGINS}; the HRS table has {', '.join(sorted(unknown))}")
    errors = hrs_errors(table)
    lines = {label: _numbers_in_lines(label, errors[errors["label"] == label.name]) for label in trio}
    n_lines = max(_LEAST_LINES, *map(len, lines.values()))
    figure = new_figure(PAGE, 3.5 + _LINE * n_lines)
    heights = (2.6, 1, 0.15 * n_lines)
    panels = figure.subplots(3, 3, height_ratios=heights, gridspec_kw={"hspace": 0})
    limits = False
    for label, (main, strip, numbers) in zip(trio, panels.T, strict=True):
        hrs, slam = _pair(table, label, "_hrs", "")
        limit = floats(table, "vsini_limit") if label is VSINI else np.full(len(table), np.nan)
        limited = np.isfinite(limit)
        slam[:, limited] = limit[limited], np.zeros(limited.sum())
        # Errors of stars that do not count would stretch the axes.
        slam[1, ~trusted(table) & ~limited] = 0
        shown = np.isfinite(hrs[0]) & np.isfinite(slam[0])
        limits |= (shown & limited).any()
        if not shown.any():
            raise InputError(f"no star of the HRS table has finite {label.name} from both SLAM and HRS")
        for kind in ORIGINS:
            for name, look in _HRS_STYLE.items():
                style = look | _ORIGIN_STYLE[kind] | {"label": f"HRS-{name}, {kind}"}
                row = shown & (instrument == name) & (origin == kind)
                _draw(main, strip, hrs[:, row & ~limited], slam[:, row & ~limited], style)
                arrow = _LIMIT_STYLE | {"color": look["color"], "elinewidth": 0, "zorder": 6}
                _draw(main, strip, hrs[:, row & limited], slam[:, row & limited], arrow)
        crossed = shown & ~trusted(table)
        cross = {"marker": "x", "color": BLACK, "markersize": 3.5, "zorder": 5, "elinewidth": 0}
        cross["label"] = "outside the grid, or not ok"
        _draw(main, strip, hrs[:, crossed], slam[:, crossed], cross)
        _finish(main, strip, label, ("HRS", "SLAM"), headroom=0)
        _write_lines(numbers, lines[label], n_lines)
    figure.align_ylabels(panels[:2])
    drawn = {}
    for axes in panels[0]:
        drawn |= {name: handle for handle, name in zip(*axes.get_legend_handles_labels(), strict=True)}
    if limits:
        drawn["upper limit (95%)"] = Line2D([], [], linestyle="none", color=BLACK, **_LIMIT_KEY)
    # More columns than four are wider than the page.
    n_columns = min(4, math.ceil(len(drawn) / 2))
    figure.legend(drawn.values(), drawn, loc="outside upper left", ncols=n_columns)
    if set(origin) & {SIMULATED, SPUN}:
        note_simulated(panels[0, 2])
    return figure


def _numbers_in_lines(label, errors):
    """Return the lines below a panel: what each is about, and the text of each instrument."""
    lines = [(f"rms [{unit_of(label)}] (n)", {}), ("", {name: f"HRS-{name}" for name in _HRS_STYLE})]
    for kind in dict.fromkeys(errors["origin"]):
        rows = {row["instrument"]: row for row in errors if row["origin"] == kind}
        rms = {
            name: f"{row['scatter']:.{_DECIMALS[label.name]}f}" if np.isfinite(row["scatter"]) else "–"
            for name, row in rows.items()
        }
        lines.append((kind, {name: f"{rms[name]} ({row['n']})" for name, row in rows.items()}))
        held = {n: f"{row['limits_hold']} of {row['n_limits']}" for n, row in rows.items() if row["n_limits"]}
        if held:
            lines.append(("  limits that hold", dict.fromkeys(rows, "–") | held))
    return lines


def _write_lines(axes, lines, n_lines):
    """Write what `_numbers_in_lines` gave into a panel with room for n lines."""
    axes.axis("off")
    write = {"transform": axes.transAxes, "fontsize": SMALL, "va": "top"}
    for k, (about, cells) in enumerate(lines):
        y = 1 - k / n_lines
        axes.text(0, y, about, **write)
        for name, text in cells.items():
            color = BLACK if about else _HRS_STYLE[name]["color"]
            axes.text(_COLUMNS[name], y, text, color=color, **write)


@apj_style()
def fig09_lrs_vs_mrs(common, ranges, simulated):
    """Compare the labels of stars that both instruments observed (Fig. 9).

    A panel for each label, the differences below it; the ranges of the grid are grey. Colour is the SNR of
    LRS; stars outside the grid by either instrument, and those of which one has but an upper limit of v sin i
    in that panel, are open and pale. The numbers are of the others: bias, the mean of MRS - LRS, and scatter,
    its rms (paper eqs 2 and 1).

    Parameters
    ----------
    common : Table
        One row a star: snr_lrs, and of both instruments, ending in _lrs and _mrs, flag, vsini_limit [km/s,
        NaN where v sin i is measured], labels and errors. Stars without finite labels are left out.
    ranges : array_like, (2, 4)
        Least and greatest label of the grid.
    simulated : bool
        Whether the stars are simulated; the figure then says so.
    """
    sides = [f"{label.name}{end}" for label in LABELS for end in ("_lrs", "_mrs")]
    ends = [f"{prefix}{side}" for side in sides for prefix in ("", "e_")]
    others = [f"{name}{end}" for name in ("flag", "vsini_limit") for end in ("_lrs", "_mrs")]
    require_columns(common, ("snr_lrs", *others, *ends), "the table of common stars")
    snr = floats(common, "snr_lrs")
    if not np.isfinite(snr).any():
        raise InputError("snr_lrs of the common stars is nowhere finite; it colours the points")
    snr_range = Normalize(np.nanmin(snr), np.nanmax(snr))
    inside = np.all([np.asarray(common[f"flag{end}"], dtype=str) == "I" for end in ("_lrs", "_mrs")], axis=0)
    limited = np.isfinite([floats(common, f"vsini_limit{end}") for end in ("_lrs", "_mrs")]).any(axis=0)
    figure = new_figure(PAGE, 7.6)
    panels = figure.subplots(4, 2, gridspec_kw={"height_ratios": (3, 1) * 2, "hspace": 0})
    rows = zip(LABELS, *ranges, panels[::2].flat, panels[1::2].flat, strict=True)
    for label, low, high, main, strip in rows:
        lrs, mrs = _pair(common, label, "_lrs", "_mrs")
        row = np.isfinite(lrs[0]) & np.isfinite(mrs[0]) & np.isfinite(snr)
        if not row.any():
            raise InputError(f"no common star has finite {label.name} from both instruments")
        counted = row & inside & ~(limited & (label is VSINI))
        pale = row & ~counted
        bars = {"marker": "none", "color": GREY, "elinewidth": 0.5, "zorder": 1}
        _draw(main, strip, lrs[:, counted], mrs[:, counted], bars)
        _draw(main, strip, lrs[:, pale], mrs[:, pale], _PALE | {"elinewidth": 0.3, "zorder": 1})
        difference = mrs[0, counted] - lrs[0, counted]
        dots = {"c": snr[counted], "cmap": "cividis", "norm": snr_range, "s": 9, "linewidth": 0, "zorder": 2}
        dots_drawn = main.scatter(lrs[0, counted], mrs[0, counted], **dots)
        strip.scatter(lrs[0, counted], difference, **dots)
        _finish(main, strip, label, ("LRS", "MRS"))
        ground = {"color": "0.93", "linewidth": 0, "zorder": -1}
        main.fill_between((low, high), low, high, **ground)
        strip.axvspan(low, high, **ground)
        text = f"MRS $-$ LRS, n = {counted.sum()} ({pale.sum()} pale)"
        if counted.any():
            bias, rms = (f"{value:z.{label.decimals}f}" for value in _bias_and_scatter(difference))
            text += f"\nbias = ${bias}$ {label.unit_text}, $\\sigma$ = {rms} {label.unit_text}"
        main.text(0.04, 0.96, text, va="top", fontsize=8, transform=main.transAxes)
    figure.align_ylabels(panels[:, 0])
    figure.align_ylabels(panels[:, 1])
    handles = [
        Patch(color=ground["color"], label="range of the grid"),
        Line2D([], [], **_PALE, label=r"pale: outside the grid, or $v\,\sin i$ only a limit"),
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=2)
    figure.colorbar(dots_drawn, ax=panels, label="SNR of LRS", location="bottom", aspect=60, pad=0.02)
    if simulated:
        note_simulated(panels[0, 1])
    return figure


def _pair(table, label, first, second):
    """Values and errors of one label from two sources, each (2, n)."""
    return tuple(
        np.stack([floats(table, f"{prefix}{label.name}{end}") for prefix in ("", "e_")])
        for end in (first, second)
    )


def _bias_and_scatter(difference):
    """Mean and rms (paper eqs 2 and 1)."""
    return np.mean(difference), np.sqrt(np.mean(difference**2))


def _draw(main, strip, x, y, style):
    """Draw values and errors above, differences below; nothing when there is no star."""
    if x.shape[1] == 0:
        return
    style = {"linestyle": "none", "elinewidth": 0.7} | style
    main.errorbar(x[0], y[0], xerr=x[1], yerr=y[1], **style)
    strip.errorbar(x[0], y[0] - x[0], yerr=np.hypot(x[1], y[1]), **style)


def _finish(main, strip, label, names, headroom=0.2):
    """One-to-one and zero lines, equal ranges, names of the axes."""
    low = min(main.get_xlim()[0], main.get_ylim()[0])
    high = max(main.get_xlim()[1], main.get_ylim()[1])
    main.plot([low, high], [low, high], color=BLACK, linewidth=0.8, zorder=0)
    main.set(xlim=(low, high), ylim=(low, high + headroom * (high - low)), ylabel=f"{names[1]} {label.axis}")
    strip.axhline(0, color=BLACK, linewidth=0.8, zorder=0)
    reach = max(map(abs, strip.get_ylim()))
    strip.set(xlim=(low, high), ylim=(-reach, reach), xlabel=f"{names[0]} {label.axis}")
    strip.set_ylabel(rf"{names[1]} $-$ {names[0]}", fontsize=8)
    strip.yaxis.set_major_locator(MaxNLocator(4, prune="both"))
    main.tick_params(labelbottom=False)


def fig08(run):
    """Draw Fig. 8 from the products of a run."""
    return fig08_hrs(read_ecsv(run.products / "hrs.ecsv"))


def fig09(run):
    """Draw Fig. 9 from the products of a run: stars at SNR > 100 in both, or else whatever there is."""
    common = read_ecsv(run.products / "common.ecsv")
    bright = common[(common["snr_lrs"] > 100) & (common["snr_mrs"] > 100)]
    shown = bright if len(bright) else common
    if not len(shown):
        return fig_no_data("no star was observed by both LRS and MRS")
    ranges = np.column_stack([run.models.ranges, (0, VSINI_MAX)])
    return fig09_lrs_vs_mrs(shown, ranges, run.simulated)
