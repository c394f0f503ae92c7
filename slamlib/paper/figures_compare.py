"""Figures that compare labels: SLAM with high-resolution spectra (8), LRS with MRS (9)."""

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from slamlib.errors import InputError
from slamlib.labels import LABELS, LOGG, TEFF, VSINI
from slamlib.paper.style import (
    BLACK,
    BLUE,
    GREY,
    PAGE,
    RED,
    SMALL,
    apj_style,
    new_figure,
    note_simulated,
    require_columns,
)

# The paper's symbols of Fig. 8.
_HRS_STYLE = {"LRS": {"color": RED, "marker": "o"}, "MRS": {"color": BLUE, "marker": "s"}}
# Stars of Fig. 9 that do not count.
_PALE: dict = {
    "marker": "o",
    "color": GREY,
    "markersize": 2.5,
    "markerfacecolor": "white",
    "linestyle": "none",
}
# Length of the arrow of an upper limit [km/s].
_ARROW = 8.0
# Fewer stars have no scatter worth printing.
_LEAST_STARS = 3


@apj_style()
def fig08_hrs(table):
    """Compare SLAM's labels with those of high-resolution spectra (Fig. 8).

    Parameters
    ----------
    table : Table
        One row a star and instrument: columns star, instrument, origin ("simulated" or "real"
        spectrum), flag ("I" inside the grid), and for x = teff, logg, vsini the columns x, e_x
        (SLAM), x_hrs, e_x_hrs; vsini_limit [km/s] where v sin i is only that. Rows without
        finite labels are left out.

    Returns
    -------
    matplotlib.figure.Figure
        A panel for each label, the differences below it. HRS-LRS red circles, HRS-MRS blue
        squares; open if the spectrum is simulated, filled with a black edge if it is real,
        crossed if the labels lie outside the grid; an arrow hangs from an upper limit. The
        numbers are the scatter, the rms of SLAM - HRS (paper eq. 1), over n stars, and how
        many upper limits lie above the value of HRS.

    Raises
    ------
    InputError
        If a column is missing, an origin is neither simulated nor real, or no star has finite
        values of a label.
    """
    trio = (TEFF, LOGG, VSINI)
    needed = [f"{prefix}{label.name}{end}" for label in trio for end in ("", "_hrs") for prefix in ("", "e_")]
    require_columns(table, ("star", "instrument", "origin", "flag", "vsini_limit", *needed), "the HRS table")
    instrument, origin, flag = (
        np.asarray(table[name], dtype=str) for name in ("instrument", "origin", "flag")
    )
    if set(origin) - {"simulated", "real"}:
        raise InputError(
            f"origin must be simulated or real; the HRS table has {', '.join(sorted(set(origin)))}"
        )
    figure = new_figure(PAGE, 3.7)
    panels = figure.subplots(2, 3, height_ratios=(2.6, 1), sharex="col", gridspec_kw={"hspace": 0})
    for label, (main, strip) in zip(trio, panels.T, strict=True):
        hrs, slam = _pair(table, label, "_hrs", "")
        limit = _floats(table, "vsini_limit") if label is VSINI else np.full(len(table), np.nan)
        limited = np.isfinite(limit)
        slam[:, limited] = limit[limited], np.full(limited.sum(), _ARROW)
        shown = np.isfinite(hrs[0]) & np.isfinite(slam[0])
        if not shown.any():
            raise InputError(f"no star of the HRS table has finite {label.name} from both SLAM and HRS")
        scatters = []
        for name, look in _HRS_STYLE.items():
            for kind in ("simulated", "real"):
                row = shown & (instrument == name) & (origin == kind)
                style = look | _origin_style(kind, look["color"]) | {"label": f"HRS-{name}, {kind} spectra"}
                _draw(main, strip, hrs[:, row], slam[:, row], style | {"uplims": limited[row]})
            row = shown & (instrument == name)
            measured = row & ~limited
            if measured.sum() >= _LEAST_STARS:
                _, rms = _bias_and_scatter(slam[0, measured] - hrs[0, measured])
                scatters.append(rf"{name}: $\sigma$ = {rms:.{label.decimals}f} (n = {measured.sum()})")
            elif measured.any():
                scatters.append(f"{name}: n = {measured.sum()}, too few for a scatter")
            if (row & limited).any():
                above = (hrs[0] <= limit)[row & limited]
                scatters.append(f"{name}: {above.sum()} of {above.size} limits hold")
        outside = shown & (flag != "I")
        cross = {
            "marker": "x",
            "color": BLACK,
            "markersize": 3.5,
            "label": "outside the grid",
            "zorder": 5,
            "elinewidth": 0,
        }
        _draw(main, strip, hrs[:, outside], slam[:, outside], cross)
        _finish(main, strip, label, ("HRS", "SLAM"), headroom=0.12 * len(scatters))
        main.text(0.04, 0.96, "\n".join(scatters), va="top", fontsize=SMALL, transform=main.transAxes)
    figure.align_ylabels(panels)
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper left", ncols=3)
    if "simulated" in origin:
        note_simulated(panels[0, 2])
    return figure


@apj_style()
def fig09_lrs_vs_mrs(common, ranges, simulated):
    """Compare the labels of stars that both instruments observed (Fig. 9).

    Parameters
    ----------
    common : Table
        One row a star: snr_lrs, flag_lrs, flag_mrs ("I" inside the grid), vsini_limit_lrs and
        vsini_limit_mrs [km/s, NaN where v sin i is measured], and for each label x the columns
        x_lrs, e_x_lrs, x_mrs, e_x_mrs. Stars without finite labels are left out.
    ranges : array_like, (2, 4)
        Least and greatest label of the grid.
    simulated : bool
        Whether the stars are simulated; the figure then says so.

    Returns
    -------
    matplotlib.figure.Figure
        A panel for each label, the differences below it; the ranges of the grid are grey.
        Colour is the SNR of LRS; stars outside the grid by either instrument, and those of
        which one has but an upper limit of v sin i in that panel, are open and pale. The numbers
        are of the others: bias, the mean of MRS - LRS, and scatter, its rms (paper eqs 2 and 1).

    Raises
    ------
    InputError
        If a column is missing, or no star has finite values of a label.
    """
    ends = [
        f"{prefix}{label.name}{end}" for label in LABELS for end in ("_lrs", "_mrs") for prefix in ("", "e_")
    ]
    others = [f"{name}{end}" for name in ("flag", "vsini_limit") for end in ("_lrs", "_mrs")]
    require_columns(common, ("snr_lrs", *others, *ends), "the table of common stars")
    snr = _floats(common, "snr_lrs")
    if not np.isfinite(snr).any():
        raise InputError("snr_lrs of the common stars is nowhere finite; it colours the points")
    snr_range = Normalize(np.nanmin(snr), np.nanmax(snr))
    inside = np.all([np.asarray(common[f"flag{end}"], dtype=str) == "I" for end in ("_lrs", "_mrs")], axis=0)
    limited = np.isfinite([_floats(common, f"vsini_limit{end}") for end in ("_lrs", "_mrs")]).any(axis=0)
    figure = new_figure(PAGE, 7.6)
    panels = figure.subplots(4, 2, gridspec_kw={"height_ratios": (3, 1) * 2, "hspace": 0})
    for label, low, high, main, strip in zip(
        LABELS, *ranges, panels[::2].flat, panels[1::2].flat, strict=True
    ):
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


def _floats(table, name):
    return np.ma.filled(np.ma.asarray(table[name], dtype=float), np.nan)


def _pair(table, label, first, second):
    """Values and errors of one label from two sources, each (2, n)."""
    return tuple(
        np.stack([_floats(table, f"{prefix}{label.name}{end}") for prefix in ("", "e_")])
        for end in (first, second)
    )


def _bias_and_scatter(difference):
    """Mean and rms (paper eqs 2 and 1)."""
    return np.mean(difference), np.sqrt(np.mean(difference**2))


def _origin_style(kind, color):
    if kind == "simulated":
        return {"markersize": 4.5, "markeredgecolor": color, "markerfacecolor": "white", "zorder": 3}
    return {"markersize": 6.5, "markeredgecolor": BLACK, "markerfacecolor": color, "zorder": 4}


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
