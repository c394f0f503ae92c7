"""Training sets: uniform inside the real boundary, reproducible, and physically what they claim."""

import numpy as np
import pytest
from scipy.stats import chisquare, kstest

from slamlib.grid.training import VSINI_MAX, draw_labels, synthesise
from slamlib.instruments import C_KMS, get_instrument


@pytest.fixture(scope="module")
def many_labels(grid):
    return draw_labels(grid, 8000, np.random.default_rng(5))


def strip_edges(grid):
    columns = list(grid.columns.items())
    teff = np.array([t for t, _ in columns])
    low, high = np.array([[loggs[0], loggs[-1]] for _, loggs in columns]).T
    return teff, low, high


def test_vsini_and_metallicity_are_uniform(many_labels):
    assert kstest(many_labels[:, 3], "uniform", args=(0, VSINI_MAX)).pvalue > 0.01
    assert kstest(many_labels[:, 2], "uniform", args=(-1, 1.3)).pvalue > 0.01


def test_density_in_the_hr_diagram_is_uniform(grid, many_labels):
    """Counts in each strip between columns follow its area; within it, log g is spread evenly."""
    teff, low, high = strip_edges(grid)
    height = high - low
    area = (height[1:] + height[:-1]) / 2 * np.diff(teff)
    counts = np.histogram(many_labels[:, 0], teff)[0]
    assert chisquare(counts, area / area.sum() * len(many_labels)).pvalue > 0.01
    bottom = np.interp(many_labels[:, 0], teff, low)
    top = np.interp(many_labels[:, 0], teff, high)
    assert kstest((many_labels[:, 1] - bottom) / (top - bottom), "uniform").pvalue > 0.01


@pytest.mark.parametrize("name", ["LRS", "MRS"])
def test_a_spectrum_equals_its_slow_construction(grid, name):
    """A node's model: profiles summed in real space ten times finer than the grid, then integrated."""
    instrument, vsini, row = get_instrument(name), 170.0, 231
    labels = [*(grid.nodes[label][row] for label in ("teff", "logg", "mh")), vsini]
    over = 10
    step = grid.dv / over
    log_wave = grid.log_wave0 + np.arange(grid.flux.shape[1]) * grid.dv / C_KMS
    fine_log = np.arange(log_wave[0], log_wave[-1], step / C_KMS)
    fine = np.interp(fine_log, log_wave, grid.flux[row])
    velocity = step * np.arange(-1500, 1501)
    root = np.sqrt(np.clip(1 - (velocity / vsini) ** 2, 0, None))
    rotation = 2 * 0.4 * root + 0.5 * np.pi * 0.6 * root**2
    gauss = np.exp(-0.5 * (velocity * instrument.resolution * 2.354820045 / C_KMS) ** 2)
    for kernel in (rotation, gauss):
        fine = 1 - np.convolve(1 - fine, kernel / kernel.sum(), mode="same")
    wave = np.exp(fine_log)
    integral = np.concatenate([[0], np.cumsum((fine[1:] + fine[:-1]) / 2 * np.diff(wave))])
    low, high = instrument.edges
    expected = (np.interp(high, wave, integral) - np.interp(low, wave, integral)) / (high - low)
    np.testing.assert_allclose(synthesise(grid, labels, name)[0], expected, atol=3e-4)
