"""The figure of the sky: where the stars of both samples are (1)."""

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from matplotlib.lines import Line2D

from slamlib.instruments import INSTRUMENTS
from slamlib.io import read_ecsv
from slamlib.style import (
    BLACK,
    PAGE,
    RED,
    SMALL,
    apj_style,
    new_figure,
    note_simulated,
    require_columns,
)

# The paper's colours; the smaller sample lies on top.
_COLORS = {"LRS": "0.6", "MRS": RED}
# LAMOST observes north of this declination [deg].
_SOUTHERN_LIMIT = -10
_MERIDIANS, _PARALLELS = (60, 120, 180, 240, 300), (-60, -30, 0, 30, 60)
# Galactic latitude [deg] of the names of the meridians, off the disk, where the stars are.
_NAMES_AT = -35


@apj_style()
def fig01_sky(stars, simulated):
    """Draw where the stars of both samples are on the sky (Fig. 1).

    Galactic coordinates in Mollweide's equal-area projection, the anticentre in the middle, longitude
    increasing to the left. LRS grey, MRS red; the dashed line is LAMOST's southern limit. The legend counts
    the stars drawn, and those without a position. `stars` has tables of "LRS" and "MRS" with ra and dec
    [deg], NaN where a file does not tell them, a row a spectrum.
    """
    require_columns(stars, _COLORS, "the dict of stars")
    figure = new_figure(PAGE, 3.6)
    axes = figure.add_subplot(projection="mollweide")
    handles = []
    for name, color in _COLORS.items():
        require_columns(stars[name], ("ra", "dec"), f"the table of {name} stars")
        places = [np.ma.filled(np.ma.asarray(stars[name][c], dtype=float), np.nan) for c in ("ra", "dec")]
        known = np.isfinite(places).all(axis=0)
        look: dict = {"color": color, "linestyle": "none", "marker": "o", "markeredgewidth": 0}
        # Smaller dots for larger samples, so that they do not hide one another.
        size = np.clip(50 / np.sqrt(known.size), 0.6, 3)
        axes.plot(*_on_map(*(place[known] for place in places)), **look, markersize=size, rasterized=True)
        unknown = "" if known.all() else f"; {(~known).sum():,} without a position"
        handles.append(Line2D([], [], **look, markersize=4, label=f"{name} ({known.sum():,}{unknown})"))
    x, y = _on_map(np.linspace(0, 360, 721), np.full(721, _SOUTHERN_LIMIT))
    # Where it leaves the map on one side it enters on the other.
    y[np.abs(np.diff(x, prepend=x[0])) > np.pi] = np.nan
    label = rf"$\delta = {_SOUTHERN_LIMIT}^\circ$"
    handles += axes.plot(x, y, color=BLACK, linewidth=0.8, linestyle="--", label=label)
    axes.grid(color="0.85", linewidth=0.4)
    axes.set_xticks(np.radians(180 - np.array(_MERIDIANS)), labels=[""] * len(_MERIDIANS))
    axes.set_yticks(np.radians(_PARALLELS), labels=[rf"${b}^\circ$" for b in _PARALLELS])
    ground = {"color": "white", "pad": 0.5}
    for longitude in _MERIDIANS:
        x, y = np.radians([180 - longitude, _NAMES_AT])
        axes.text(x, y, rf"$l = {longitude}^\circ$", ha="center", va="center", fontsize=SMALL, bbox=ground)
    axes.set_ylabel("Galactic latitude $b$")
    figure.legend(handles=handles, loc="upper left")
    if simulated:
        note_simulated(axes)
    return figure


def _on_map(ra, dec):
    """Coordinates of the projection [rad] of ra and dec [deg]: the anticentre at 0, longitude to the left."""
    place = SkyCoord(ra, dec, unit=u.deg).galactic
    return np.pi - place.l.rad, place.b.rad


def fig01(run):
    """Draw Fig. 1 from the products of a run."""
    places = read_ecsv(run.products / "places.ecsv")
    stars = {name: places[places["instrument"] == name] for name in INSTRUMENTS}
    return fig01_sky(stars, run.simulated)
