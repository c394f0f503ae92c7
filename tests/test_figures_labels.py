"""Figs 7, 9 and 10: the HR diagram, LRS against MRS, the corner plot."""

import numpy as np
import pytest
from matplotlib.contour import QuadContourSet
from pictured import BOX, RANGES, catalogue, common_table, hr_diagram, posterior, texts

from compendium import figures
from slamlib.labels import LABELS


def test_hr_diagram_counts_every_star_and_has_hot_left_and_giants_above():
    figure = hr_diagram()
    lrs, mrs, bar = figure.axes
    assert bar.get_xlabel() == "Stars per bin"
    for axes, n, seed in ((lrs, 2000, 1), (mrs, 900, 2)):
        assert axes.get_xlim()[0] > axes.get_xlim()[1] and axes.get_ylim()[0] > axes.get_ylim()[1]
        assert axes.collections[0].get_array().sum() == n
        inside = (catalogue(n, seed)["flag"] == "I").sum()
        assert any(f"{n:,} stars" in text and f"{inside:,} in the grid" in text for text in texts(axes))


def test_the_companion_of_the_hr_diagram_shows_stars_of_the_extension_one_by_one():
    wider = np.where(BOX == 15_000, 9_000, BOX)
    lrs, mrs, _ = hr_diagram(extension=wider).axes
    for axes, n, beyond in ((lrs, 2000, 30), (mrs, 900, 0)):
        (crosses,) = [line for line in axes.lines if line.get_marker() == "x"]
        assert (len(crosses.get_xdata()), axes.collections[0].get_array().sum()) == (beyond, n - beyond)
        assert any(f"{n:,} stars" in text and f"{beyond:,} in its extension" in text for text in texts(axes))


def test_lrs_against_mrs_gives_the_numbers_of_stars_inside_the_grid():
    table = common_table()
    table["teff_mrs"], table["vsini_mrs"] = table["teff_lrs"] + 100.0, table["vsini_lrs"] - 3.0
    table["flag_mrs"][:5], table["flag_lrs"][5] = "O", "N"
    table["teff_mrs"][:6] += 9000
    table["vsini_limit_lrs"][10], table["vsini_mrs"][10] = 80.0, 1e4
    shown = texts(figures.fig09_lrs_vs_mrs(table, RANGES, True))
    assert "MRS $-$ LRS, n = 44 (6 pale)\nbias = $100$ K, $\\sigma$ = 100 K" in shown
    assert any("n = 43 (7 pale)\nbias = $-3$ km s$^{-1}$" in text for text in shown)


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
