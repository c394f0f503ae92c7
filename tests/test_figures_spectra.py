"""What single figures show: sky, spectra, labels of one star and of all, errors beside the paper's."""

import numpy as np
import pytest
from astropy.stats import mad_std
from astropy.table import Table
from matplotlib.contour import QuadContourSet
from pictured import BOX, FIT, RANGES, catalogue, common_table, fitted, hr_diagram, posterior, texts

from compendium import figures
from slamlib.grid.training import synthesise
from slamlib.instruments import LRS, MRS
from slamlib.labelling.calibration import spread
from slamlib.labels import LABELS, NAMES
from slamlib.spectra.drawing import LINES

N = 400
PAPER = {("LRS", "teff"): 327.0, ("LRS", "logg"): 0.03, ("MRS", "teff"): 562.0}


def line(axes, label):
    return next(line for line in axes.lines if line.get_label() == label)


def test_the_map_is_in_galactic_coordinates_with_the_anticentre_in_the_middle():
    # Crab nebula: l = 184.5575, b = -5.7843 (SIMBAD); Deneb: l = 84.2847, b = 1.9975.
    stars = {"LRS": Table({"ra": [83.6331], "dec": [22.0145]})}
    stars["MRS"] = Table({"ra": [310.358], "dec": [45.2803]})
    crab, deneb = (dots.get_xydata()[0] for dots in figures.fig01_sky(stars, False).axes[0].lines[:2])
    # Longitude increases to the left.
    np.testing.assert_allclose(crab, np.radians([180 - 184.5575, -5.7843]), atol=2e-4)
    np.testing.assert_allclose(deneb, np.radians([180 - 84.2847, 1.9975]), atol=2e-4)


def test_named_lines_are_absorption_lines_of_the_models(grid):
    # In vacuum they would be 1.1-1.9 A longer. Each is deep in a late B, an early B or an O star.
    stars = grid.spectra([[15000, 3.5, 0], [22000, 4, 0], [35000, 4, 0]])
    for name, waves in LINES:
        for wave in waves:
            near = np.abs(grid.wave - wave) < 1.0
            deepest = grid.wave[near][np.argmin(stars[:, near], axis=1)]
            deep = stars[:, near].min(axis=1) < 0.93
            assert deep.any() and np.abs(deepest[deep] - wave).min() < 0.3, (name, wave)


@pytest.mark.parametrize(("teff", "seen", "absent"), [(17000, "Mg II", "He II"), (38000, "He II", "Si II")])
def test_lines_are_named_only_in_a_star_that_has_them(grid, teff, seen, absent):
    (model,) = synthesise(grid, np.array([[teff, 4.0, 0.0, 50.0]]), LRS)
    names = texts(figures.fig_fit(*fitted(LRS, model=model), LRS, FIT, "star 1", True))
    assert seen in names and absent not in names
    assert {"He I", r"H$\alpha$", r"H$\epsilon$"} < set(names)


@pytest.mark.parametrize(("instrument", "n_panels"), [(LRS, 7), (MRS, 6)])
def test_fit_shows_the_continuum_the_residuals_and_labels_with_errors(instrument, n_panels):
    spectrum, observed = fitted(instrument)
    figure = figures.fig_fit(spectrum, observed, instrument, FIT, "star 1", True)
    assert len(figure.axes) == n_panels
    title = figure.get_suptitle()
    for text in (r"16841 \pm 120$ K", r"4.30 \pm 0.02", r"-0.18 \pm 0.04", r"111 \pm 6$ km s$^{-1}$"):
        assert text in title
    arms = figure.axes[: len(instrument.arms)]
    assert [axes.get_xlim() for axes in arms] == [(first, last) for first, last, _ in instrument.arms]
    names = "observed", "pseudo-continuum"
    flux, continuum = (np.concatenate([line(axes, name).get_ydata() for axes in arms]) for name in names)
    good = spectrum["ivar"] > 0
    assert np.isnan(flux[~good]).all()
    np.testing.assert_allclose((flux / continuum)[good], spectrum["flux"][good])
    strips = [axes for axes in figure.axes if axes.get_ylim()[0] < 0 < axes.get_ylim()[1]]
    residual = np.concatenate([axes.lines[0].get_ydata() for axes in strips])
    expected = (spectrum["flux"] - spectrum["model"])[good]
    np.testing.assert_allclose(np.sort(residual[np.isfinite(residual)]), np.sort(expected), atol=1e-12)


def test_rotation_too_slow_to_be_measured_is_a_limit():
    slow = FIT | {"vsini": 28.0, "e_vsini": 30.8, "vsini_limit": 74.2}
    title = figures.fig_fit(*fitted(LRS), LRS, slow, "star 1", True).get_suptitle()
    assert r"$v\,\sin i$ $< 74$ km s$^{-1}$ (95%)" in title and "28" not in title


def test_hr_diagram_counts_every_star_and_has_hot_left_and_giants_above():
    figure = hr_diagram()
    lrs, mrs, bar = figure.axes
    assert bar.get_xlabel() == "Stars per bin"
    for axes, n, seed in ((lrs, 2000, 1), (mrs, 900, 2)):
        assert axes.get_xlim()[0] > axes.get_xlim()[1] and axes.get_ylim()[0] > axes.get_ylim()[1]
        assert axes.collections[0].get_array().sum() == n
        inside = (catalogue(n, seed)["flag"] == "I").sum()
        assert any(f"{n:,} stars" in text and f"{inside:,} in the grid" in text for text in texts(axes))


def test_the_companion_of_the_hr_diagram_counts_stars_of_the_extension():
    wider = np.where(BOX == 15_000, 9_000, BOX)
    lrs, mrs, _ = hr_diagram(extension=wider).axes
    for axes, n, beyond in ((lrs, 2000, 30), (mrs, 900, 0)):
        assert axes.collections[0].get_array().sum() == n
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


def calibration(**values):
    names = ("pull_width", "pull_mean", "cover68", "cover95", "crb_ratio")
    rows = [
        (instrument, snr, label, N, *(values.get(name, 1.0) for name in names))
        for instrument in ("LRS", "MRS")
        for snr in (50, 100)
        for label in NAMES
    ]
    return Table(rows=rows, names=("instrument", "snr", "label", "n", *names))


def bars(panel):
    """Half the length of the error bars of each curve of a panel."""
    drawn = (container.lines for container in panel.containers)
    return [np.array(ends[0].get_segments())[:, 1, 1] - middle.get_ydata() for middle, _, ends in drawn]


def test_error_bars_of_the_calibration_are_the_scatter_of_samples_of_that_size():
    panels = np.reshape(figures.fig_calibration(calibration()).axes, (3, 4))[:, 0]
    found = [float(bar[0]) for panel in panels for bar in bars(panel)[: 1 + (panel is not panels[2])]]
    draws = np.random.default_rng(5).normal(size=(3000, N))
    expected = [np.std([spread(draw) for draw in draws]), draws.mean(axis=1).std()]
    expected += [np.mean(np.abs(draws) < limit, axis=1).std() for limit in (1, 1.96)]
    expected.append(np.std([mad_std(draw) for draw in draws]))
    assert found == pytest.approx(expected, rel=0.05)


def panels(figure):
    return [axes for part in figure.subfigs for axes in part.axes]


def test_the_papers_numbers_are_dashed_where_it_has_some():
    rows = [
        (name, row, 400.0 * factor, 0.03 * factor, 6.0 * factor)
        for name, known in (("LRS", ("bound", "SVR", "SVR, other")), ("MRS", ("bound", "SVR")))
        for factor, row in enumerate(known, start=1)
    ]
    rows = Table(rows=rows, names=("instrument", "row", "teff", "logg", "vsini"))
    bins = [
        (name, teff, 0.02 * teff, 0.01 * teff, 0.005 * teff)
        for name in ("LRS", "MRS")
        for teff in (17.5e3, 32.5e3, 52.5e3)
    ]
    bins = Table(rows=bins, names=("instrument", "teff", "svr", "krr", "bound"))
    above_lrs, above_mrs, teff, logg, vsini = panels(figures.fig_forensics(rows, bins, PAPER))

    def dashed(axes, along):
        return [line.get_data()[along][0] for line in axes.lines if line.get_linestyle() == "--"]

    assert (dashed(above_lrs, 1), dashed(above_mrs, 1)) == ([327], [562])
    assert (dashed(teff, 0), dashed(logg, 0), dashed(vsini, 0)) == ([327, 562], [0.03], [])
