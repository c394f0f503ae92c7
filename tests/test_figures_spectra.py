"""Figs 1, 5 and 6: places on the sky, spectra with their continuum, what a fit did not use."""

import numpy as np
import pytest
from astropy.table import Table
from pictured import EMBEDDED, FIT, fitted, texts

from compendium import figures
from slamlib.grid.model_grid import ModelGrid
from slamlib.grid.training import synthesise
from slamlib.instruments import LRS, MRS
from slamlib.spectra.drawing import LINES


def line(axes, label):
    return next(line for line in axes.lines if line.get_label() == label)


@pytest.fixture(scope="module")
def grid():
    return ModelGrid.read(EMBEDDED / "tlusty_ob_grid.fits")


# --- the sky


def test_the_map_is_in_galactic_coordinates_with_the_anticentre_in_the_middle():
    # Crab nebula: l = 184.5575, b = -5.7843 (SIMBAD); Deneb: l = 84.2847, b = 1.9975.
    stars = {
        "LRS": Table({"ra": [83.6331], "dec": [22.0145]}),
        "MRS": Table({"ra": [310.358], "dec": [45.2803]}),
    }
    crab, deneb = (dots.get_xydata()[0] for dots in figures.fig01_sky(stars, False).axes[0].lines[:2])
    # Longitude increases to the left.
    np.testing.assert_allclose(crab, np.radians([180 - 184.5575, -5.7843]), atol=2e-4)
    np.testing.assert_allclose(deneb, np.radians([180 - 84.2847, 1.9975]), atol=2e-4)


# --- the lines


def test_named_lines_are_absorption_lines_of_the_models(grid):
    # In vacuum they would be 1.1-1.9 A longer. Each is deep in a late B, an early B or an O star.
    stars = grid.spectra([[15000, 3.5, 0], [22000, 4, 0], [35000, 4, 0]])
    for name, waves in LINES:
        for wave in waves:
            near = np.abs(grid.wave - wave) < 1.0
            deepest = grid.wave[near][np.argmin(stars[:, near], axis=1)]
            deep = stars[:, near].min(axis=1) < 0.93
            assert deep.any() and np.abs(deepest[deep] - wave).min() < 0.3, (name, wave)


@pytest.mark.parametrize(
    ("teff", "present", "absent"), [(17000, "Mg II", "He II"), (38000, "He II", "Si II")]
)
def test_lines_are_named_only_in_a_star_that_has_them(grid, teff, present, absent):
    (model,) = synthesise(grid, np.array([[teff, 4.0, 0.0, 50.0]]), LRS)
    names = texts(figures.fig_fit(*fitted(LRS, model=model), LRS, FIT, "star 1", True))
    assert present in names and absent not in names
    assert {"He I", r"H$\alpha$", r"H$\epsilon$"} < set(names)


# --- the fits


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
    flux, continuum = (
        np.concatenate([line(axes, name).get_ydata() for axes in arms])
        for name in ("observed", "pseudo-continuum")
    )
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
