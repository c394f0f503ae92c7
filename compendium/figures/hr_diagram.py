"""The HR diagram of the catalogues (7), and its companion with late B and early A stars."""

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedLocator, NullFormatter, ScalarFormatter

from slamlib.errors import InputError
from slamlib.instruments import INSTRUMENTS
from slamlib.io import read_ecsv
from slamlib.labelling.labeller import Labeller
from slamlib.labelling.models import labeller_path
from slamlib.labels import LOGG, TEFF
from slamlib.style import (
    BLACK,
    COLUMN,
    CYAN,
    GREY,
    RED,
    apj_style,
    new_figure,
    note_simulated,
    require_columns,
)

_AGES = {6.0: ("1 Myr", CYAN), 7.0: ("10 Myr", RED), 8.0: ("100 Myr", BLACK)}
_METALLICITIES = {0.0: ("-", 1.1), -1.0: ("--", 0.7)}
# Between neighbouring masses in a larger ratio an isochrone is a guess, and drawn pale.
_LEAST_RATIO, _PALE = 1.1, 0.4
_GRID_STYLE: dict = {"color": BLACK, "linestyle": (0, (1, 1)), "linewidth": 1.2}
_EXTENSION_STYLE = _GRID_STYLE | {"color": GREY}


@apj_style()
def fig07_hr_diagram(catalogues, isochrones, boundary, simulated, extension=None):
    """Draw the density of stars in Teff and log g, with isochrones and the grid's edge (Fig. 7).

    Parameters
    ----------
    catalogues : dict of str to Table
        "LRS" (drawn above) and "MRS" (below) with columns teff [K], logg and flag ("I" inside the
        grid). Stars without finite labels are left out.
    isochrones : Table
        PARSEC: columns mh, log_age, initial_mass, log_teff, logg; 1, 10 and 100 Myr at [M/H] = -1
        and 0 are drawn, pale between masses more than 10% apart.
    boundary : array_like, (k, 2)
        Corners (Teff [K], log g) of the training grid.
    simulated : bool
        Whether the stars are simulated; the figure then says so.
    extension : array_like, (k, 2), optional
        Corners of the grid with its extension: stars in that, of flag "X", are counted in the figure.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If a column or an isochrone is missing, or a catalogue has no star with labels.
    """
    require_columns(catalogues, ("LRS", "MRS"), "the dict of catalogues")
    require_columns(isochrones, ("mh", "log_age", "initial_mass", "log_teff", "logg"), "the isochrone table")
    stars = {name: _finite_stars(catalogues[name], name) for name in ("LRS", "MRS")}
    edges = [(extension, _EXTENSION_STYLE), (boundary, _GRID_STYLE)][extension is None :]
    edges = [(np.concatenate([edge, np.asarray(edge)[:1]]), style) for edge, style in edges]
    bins = _shared_bins(stars, edges[0][0])
    counts = {name: np.histogram2d(teff / 1e3, logg, bins=bins)[0] for name, (teff, logg, _) in stars.items()}
    scale = LogNorm(1, max(10, *(count.max() for count in counts.values())))
    figure = new_figure(COLUMN, 6.4)
    panels = figure.subplots(2, 1, sharex=True, sharey=True)
    for axes, (name, count) in zip(panels, counts.items(), strict=True):
        shown = np.ma.masked_equal(count.T, 0)
        mesh = axes.pcolormesh(*bins, shown, norm=scale, cmap="cividis", rasterized=True)
        _draw_isochrones(axes, isochrones)
        for corners, style in edges:
            axes.plot(corners[:, 0] / 1e3, corners[:, 1], **style)
        flag = stars[name][-1]
        text = f"{name}: {len(flag):,} stars,\n{np.sum(flag == 'I'):,} in the grid"
        if extension is not None:
            text += f",\n{np.sum(flag == 'X'):,} in its extension"
        axes.text(0.03, 0.96, text, ha="left", va="top", fontsize=8, transform=axes.transAxes)
        axes.set_ylabel(LOGG.axis)
    _hr_axes(panels[1], bins)
    key = _isochrone_key(extension is not None)
    figure.legend(handles=key, loc="outside upper center", ncols=3, columnspacing=1.0)
    figure.colorbar(mesh, ax=panels, label="Stars per bin", location="bottom", aspect=40, pad=0.02)
    if simulated:
        note_simulated(panels[0])
    return figure


def _finite_stars(table, name):
    """Teff [K], log g and flag of the stars of a catalogue that have labels."""
    require_columns(table, ("teff", "logg", "flag"), f"the {name} catalogue")
    teff, logg = (
        np.ma.filled(np.ma.asarray(table[column], dtype=float), np.nan) for column in ("teff", "logg")
    )
    finite = np.isfinite(teff) & np.isfinite(logg) & (teff > 0)
    if not finite.any():
        raise InputError(f"the {name} catalogue has no star with finite teff and logg")
    return teff[finite], logg[finite], np.asarray(table["flag"], dtype=str)[finite]


def _shared_bins(stars, corners):
    """Edges of the bins in Teff [10^3 K], equal in the logarithm, and log g; they hold every star."""
    log_teff = np.log10(np.concatenate([*(star[0] for star in stars.values()), corners[:, 0]]) / 1e3)
    logg = np.concatenate([*(star[1] for star in stars.values()), corners[:, 1]])
    # Finer bins for larger samples, so that neither is empty nor coarse.
    most = max(len(star[0]) for star in stars.values())
    n_bins = int(np.clip(2 * np.sqrt(most), 50, 110))
    edges = []
    for values in (log_teff, logg):
        margin = 0.04 * np.ptp(values)
        edges.append(np.linspace(values.min() - margin, values.max() + margin, n_bins + 1))
    return 10 ** edges[0], edges[1]


def _draw_isochrones(axes, isochrones):
    for age, (_, color) in _AGES.items():
        for mh, (line, width) in _METALLICITIES.items():
            row = np.isclose(isochrones["log_age"], age) & np.isclose(isochrones["mh"], mh)
            if not row.any():
                raise InputError(
                    f"the isochrone table has no log_age = {age} with mh = {mh}; export those too"
                )
            track = isochrones[row]
            track = track[np.argsort(track["initial_mass"], kind="stable")]
            style = {"color": color, "linestyle": line, "linewidth": width}
            style["path_effects"] = [withStroke(linewidth=width + 0.8, foreground="white")]
            mass, log_teff, logg = (
                np.asarray(track[name], dtype=float) for name in ("initial_mass", "log_teff", "logg")
            )
            apart = mass[1:] > _LEAST_RATIO * mass[:-1]
            for piece in np.split(np.arange(apart.size), np.flatnonzero(np.diff(apart)) + 1):
                ends = slice(piece[0], piece[-1] + 2)
                alpha = _PALE if apart[piece[0]] else 1
                axes.plot(10 ** log_teff[ends] / 1e3, logg[ends], alpha=alpha, **style)


def _isochrone_key(extended):
    """Entries of the legend: colour is age, line style is metallicity."""
    ages = [Line2D([], [], color=color, label=age) for age, color in _AGES.values()]
    others = [
        Line2D([], [], color="0.5", linestyle=line, linewidth=width, label=f"[M/H] = ${mh:.0f}$")
        for mh, (line, width) in _METALLICITIES.items()
    ]
    others.append(Line2D([], [], **_GRID_STYLE, label="model grid"))
    # A legend fills its columns first: this puts the ages in one row.
    keys = [key for column in zip(ages, others, strict=True) for key in column]
    pale = Line2D([], [], color=CYAN, alpha=_PALE, label="masses > 10% apart")
    if extended:
        keys.insert(4, Line2D([], [], **_EXTENSION_STYLE, label="its extension"))
    return [*keys[:2], pale, *keys[2:]]


def _hr_axes(axes, bins):
    """Hot stars left, giants above, labelled ticks at round temperatures."""
    axes.set(xscale="log", xlim=bins[0][[-1, 0]], ylim=bins[1][[-1, 0]])
    axes.set_xlabel(rf"{TEFF.symbol} [$10^3$ K]")
    axes.xaxis.set_major_locator(FixedLocator([5, 7, 10, 15, 20, 30, 40, 50, 70]))
    axes.xaxis.set_minor_locator(FixedLocator([*range(4, 20), *range(20, 80, 2)]))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())


def fig07(run):
    """Draw Fig. 7 from the products of a run, with isochrones of data/raw if there are any."""
    return _hr_diagram(run, "labels", run.models.boundary)


def hr_extended(run):
    """Draw the companion of Fig. 7: stars labelled by the models that come with slamlib."""
    models = Labeller.read(labeller_path(run.root / "data/embedded/models", "LRS"))
    return _hr_diagram(run, "extended", models.edge.boundary, (models.extension or models.edge).boundary)


def _hr_diagram(run, product, boundary, extension=None):
    exported = run.root / "data/raw/isochrones.ecsv"
    isochrones = exported if exported.is_file() else run.root / "data/embedded/parsec_isochrones.ecsv"
    catalogues = {name: read_ecsv(run.products / f"{product}_{name}.ecsv") for name in INSTRUMENTS}
    return fig07_hr_diagram(catalogues, read_ecsv(isochrones), boundary, run.simulated, extension)
