"""Figs 7, 9 and 10: the HR diagram, LRS against MRS, the corner plot."""

from functools import cache
from itertools import combinations

import numpy as np
import pytest
from astropy.table import Table, vstack
from matplotlib.collections import FillBetweenPolyCollection
from matplotlib.contour import QuadContourSet
from pictured import BOX, RANGES, catalogue, common_table, hr_diagram, posterior, texts

from compendium import figures
from slamlib.labels import LABELS

corner = cache(lambda: figures.fig10_corner(posterior()[0], True))


def test_hr_diagram_counts_every_star_and_has_hot_left_and_giants_above():
    figure = hr_diagram()
    lrs, mrs, bar = figure.axes
    assert bar.get_xlabel() == "Stars per bin"
    for axes, n, seed in ((lrs, 2000, 1), (mrs, 900, 2)):
        assert axes.get_xlim()[0] > axes.get_xlim()[1] and axes.get_ylim()[0] > axes.get_ylim()[1]
        assert axes.collections[0].get_array().sum() == n
        inside = (catalogue(n, seed)["flag"] == "I").sum()
        assert any(f"{n:,} stars" in text and f"{inside:,} in the grid" in text for text in texts(axes))


def test_isochrones_are_pale_between_masses_far_apart():
    mass = np.array([1, 1.05, 1.1, 2, 2.1])
    track = {"initial_mass": mass, "log_teff": 4 + mass / 10, "logg": 4 + mass / 10}
    rows = [Table(track | {"mh": [mh] * 5, "log_age": [age] * 5}) for mh in (-1.0, 0.0) for age in (6, 7, 8)]
    stars = {"LRS": catalogue(50, 1), "MRS": catalogue(50, 2)}
    panel = figures.fig07_hr_diagram(stars, vstack(rows), BOX, True).axes[0]
    pieces = [(line.get_alpha(), line.get_ydata().tolist()) for line in panel.lines[:3]]
    logg = track["logg"].tolist()
    assert [piece for _, piece in pieces] == [logg[:3], logg[2:4], logg[3:]]
    assert pieces[0][0] == pieces[2][0] == 1 > pieces[1][0]


def test_lrs_against_mrs_gives_the_numbers_of_stars_inside_the_grid():
    table = common_table()
    table["teff_mrs"], table["vsini_mrs"] = table["teff_lrs"] + 100.0, table["vsini_lrs"] - 3.0
    table["flag_mrs"][:5], table["flag_lrs"][5] = "O", "N"
    table["teff_mrs"][:6] += 9000
    table["vsini_limit_lrs"][10], table["vsini_mrs"][10] = 80.0, 1e4
    shown = texts(figures.fig09_lrs_vs_mrs(table, RANGES, True))
    assert "MRS $-$ LRS, n = 44 (6 pale)\nbias = $100$ K, $\\sigma$ = 100 K" in shown
    assert any("n = 43 (7 pale)\nbias = $-3$ km s$^{-1}$" in text for text in shown)


def test_lrs_against_mrs_shades_the_ranges_of_the_grid():
    panel = figures.fig09_lrs_vs_mrs(common_table(), RANGES, True).axes[0]
    (ground,) = [c for c in panel.collections if isinstance(c, FillBetweenPolyCollection)]
    corners = ground.get_paths()[0].vertices
    assert (corners.min(axis=0) == 15000).all() and (corners.max(axis=0) == 55000).all()


def test_corner_contours_are_closed_and_enclose_68_95_and_99_per_cent():
    samples, mean, _ = posterior()
    figure = figures.fig10_corner(samples, True, truth=mean)
    panels = np.reshape(figure.axes, (4, 4))
    assert [axes.get_xlabel() for axes in panels[3]] == [label.axis for label in LABELS]
    for row in range(4):
        for column in range(row):
            sets = [c for c in panels[row, column].collections if isinstance(c, QuadContourSet)]
            (contours,) = [c for c in sets if not c.filled]
            for level, path in zip((0.99, 0.95, 0.68), contours.get_paths(), strict=True):
                polygon = max(path.to_polygons(closed_only=False), key=len)
                np.testing.assert_array_equal(polygon[0], polygon[-1])
                inside = path.contains_points(samples[:, [column, row]]).mean()
                assert inside == pytest.approx(level, abs=0.005)


def test_corner_regions_end_where_rotation_does():
    samples = posterior()[0]
    samples[:, 3] = np.abs(samples[:, 3] - 40)
    figure = figures.fig10_corner(samples, True)
    for panel in np.reshape(figure.axes, (4, 4))[3, :3]:
        assert panel.get_ylim()[0] == 0
        edges = [path.vertices[:, 1].min() for c in panel.collections for path in c.get_paths()]
        # They reach the bound, on which the density is highest.
        assert min(edges) == 0


def test_corner_numbers_and_names_do_not_touch():
    figure = corner()
    figure.draw_without_rendering()
    named = [axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) if axis.get_label_text()]
    shown = [
        text.get_window_extent()
        for axis in named
        for text in (axis.label, *axis.get_ticklabels())
        if text.get_text()
    ]
    assert len(named) == 7 and len(shown) >= 3 * 7
    assert [pair for pair in combinations(shown, 2) if pair[0].overlaps(pair[1])] == []


def test_corner_titles_give_median_and_16_84_per_cent():
    samples = posterior()[0]
    figure = corner()
    low, middle, high = np.quantile(samples[:, 0], (0.16, 0.5, 0.84))
    expected = rf"$T_{{\rm eff}}$ = ${middle:.0f}_{{-{middle - low:.0f}}}^{{+{high - middle:.0f}}}$"
    assert expected in texts(figure)
