"""Where models of B stars meet those of O stars: lines against Teff, for two microturbulences."""

import numpy as np

from slamlib.grid.joined import turbulent_grid
from slamlib.labels import TEFF
from slamlib.style import BLACK, BLUE, PAGE, RED, apj_style, new_figure

# Name, air wavelength [A], and half of the window that its equivalent width is measured in [A].
LINES = (
    (r"H$\beta$", 4861.3, 20.0),
    ("He I 4471", 4471.5, 6.0),
    ("He I 6678", 6678.2, 6.0),
    ("He II 4542", 4541.6, 6.0),
    ("He II 4686", 4685.7, 6.0),
    ("Mg II 4481", 4481.2, 2.5),
    ("C II 4267", 4267.2, 2.5),
    ("N II 3995", 3995.0, 2.0),
    ("O II 4649", 4649.9, 3.0),
    ("Si III 4553", 4552.6, 2.0),
)
# Teff [K] of the figure, and of the seam: from there on only O stars have models, with one microturbulence.
_RANGE, SEAM = (20_000.0, 42_000.0), (30_000.0, 32_500.0)
_STYLES = {2.0: {"color": BLUE, "linestyle": "-"}, 10.0: {"color": RED, "linestyle": "--"}}


def equivalent_widths(wave, flux):
    """Equivalent widths of `LINES` [A] in normalised spectra (n, n_pix): (n, 10)."""
    widths = []
    for _, centre, half in LINES:
        near = np.abs(wave - centre) < half
        widths.append(np.trapezoid(1 - flux[:, near], wave[near], axis=1))
    return np.stack(widths, axis=1)


@apj_style()
def fig_seam(grid, logg=4.0):
    """Draw equivalent widths of ten lines against Teff through the seam, [M/H] = 0.

    `grid` has the labels teff, logg, mh and vturb (`slamlib.grid.joined.turbulent_grid`).
    """
    nodes = np.array([teff for teff in grid.columns if _RANGE[0] <= teff <= _RANGE[1]])
    figure = new_figure(PAGE, 7.2)
    panels = figure.subplots(5, 2, sharex=True)
    for vturb, style in _STYLES.items():
        constant = (np.full_like(nodes, value) for value in (logg, 0.0, vturb))
        stars = np.column_stack([nodes, *constant])
        widths = equivalent_widths(grid.wave, grid.spectra(stars))
        for axes, width in zip(panels.flat, widths.T, strict=True):
            line = style | {"marker": "o", "markersize": 3, "linewidth": 1, "label": f"{vturb:.0f}"}
            axes.plot(nodes / 1e3, width, **line)
    for axes, (name, _, _) in zip(panels.flat, LINES, strict=True):
        axes.axvspan(*(teff / 1e3 for teff in SEAM), color="0.88", linewidth=0)
        axes.axhline(0, color=BLACK, linewidth=0.4)
        # Lines of ionised helium rise to the right.
        place, align = (0.03, "left") if name.startswith("He II") else (0.97, "right")
        axes.text(place, 0.92, name, ha=align, va="top", transform=axes.transAxes)
    panels[0, 0].legend(title=r"$\xi$ [km s$^{-1}$]", loc="lower left", fontsize=8, title_fontsize=8)
    for axes in panels[-1]:
        axes.set_xlabel(rf"{TEFF.symbol} [$10^3$ K]")
    figure.supylabel(r"equivalent width [$\mathrm{\AA}$]", fontsize=10)
    return figure


def seam(run):
    """Draw the figure of the seam; it is of the embedded grids, whatever the run uses."""
    return fig_seam(turbulent_grid())
