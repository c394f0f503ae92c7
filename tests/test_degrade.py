"""Degrading: a line gets the width and keeps the strength that a Gaussian gives it, on any pixels."""

import numpy as np
import pytest

from slamlib.grid.broaden import broaden, instrument_sigma
from slamlib.instruments import INSTRUMENTS, LRS, MRS
from slamlib.labelling.templates import velocity_templates
from slamlib.spectra.degrade import degrade, prepare_hires, to_lamost

FWHM = 2.354820045


def line(wave, centre, resolution, depth=0.5):
    """A Gaussian absorption line of the width that a resolving power gives."""
    return 1 - depth * np.exp(-0.5 * (np.log(wave / centre) * resolution * FWHM) ** 2)


def regular(step):
    return np.arange(4750.0, 4980.0, step)


def jittered(step):
    wave = regular(step)
    return wave + np.random.default_rng(1).uniform(-0.3, 0.3, wave.size) * step


def merged_orders(step):
    """Where two orders overlap, pixels 1e-4 A apart, and others in no order."""
    wave = regular(step)
    return np.unique(np.concatenate([wave, wave[::3] + 1e-4, np.arange(4850.02, 4900, 0.7 * step)]))


@pytest.mark.parametrize("sampling", [regular, jittered, merged_orders])
@pytest.mark.parametrize(
    ("resolution", "step", "to"),
    [
        (42_000, 0.05, 1800),
        (42_000, 0.05, 7500),
        (20_000, 0.1, 7500),
        (115_000, 0.01, 7500),
        (12_000, 0.1, 7500),
    ],
)
def test_a_line_gets_its_new_width_and_keeps_its_strength_on_any_pixels(sampling, resolution, step, to):
    """Against the analytic convolution, for a star that rotates as fast as the spectrum resolves."""
    wave, line_width = sampling(step), resolution / np.sqrt(2)
    new, flux = degrade(wave, line(wave, 4861, line_width), resolution, to)
    seen = np.isfinite(flux)
    final = (to**-2 + line_width**-2 - resolution**-2) ** -0.5
    expected = line(new, 4861, final, 0.5 * final / line_width)
    depth = 0.5 * final / line_width
    np.testing.assert_allclose(flux[seen], expected[seen], atol=0.02 * depth)
    strength = np.sum((1 - flux[seen]) * np.gradient(new)[seen])
    assert strength == pytest.approx(0.5 * np.sqrt(2 * np.pi) * 4861 / line_width / FWHM, rel=0.01)


@pytest.mark.parametrize("apart", [1e-4, 1e-6, 1e-9])
def test_the_step_is_that_of_the_resolution_not_of_the_closest_pixels(apart):
    wave = np.union1d(np.arange(3800.0, 7100.0, 0.05), [5000 + apart])
    new, flux = degrade(wave, np.ones(wave.size), 42_000, 7500)
    assert new.size < 60_000
    np.testing.assert_allclose(flux[np.isfinite(flux)], 1, rtol=1e-12)


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_a_gaussian_line_gets_the_width_lamost_would_give_it(name):
    """The widths of line, spectrographs and pixel add in squares; the strength stays."""
    instrument, centre = INSTRUMENTS[name], 5200.0
    narrow = centre / 42000 / 2.354820045
    wave = np.arange(4900.0, 6900.0, 0.02)
    flux = 1 - 0.5 * np.exp(-0.5 * ((wave - centre) / narrow) ** 2)
    seen = to_lamost(wave, flux, 42000, instrument, 100)
    depth = np.where(np.abs(seen.wave - centre) < 10, 1 - seen.flux, 0)
    step = instrument.arms[0][2]
    assert depth.sum() * step == pytest.approx(0.5 * narrow * np.sqrt(2 * np.pi), rel=2e-3)
    variance = np.sum(depth * (seen.wave - centre) ** 2) / depth.sum()
    assert np.sum(depth * seen.wave) / depth.sum() == pytest.approx(centre, abs=0.01)
    expected = (centre / instrument.resolution / 2.354820045) ** 2 + step**2 / 12
    assert np.sqrt(variance) == pytest.approx(np.sqrt(expected), rel=5e-3)


@pytest.fixture(scope="module")
def star(grid):
    """A simulated B star, R = 45,000, without noise."""
    flux = broaden(grid.spectra([[20_000, 4.0, 0.0]]), grid.dv, 40.0, instrument_sigma(45_000))[0]
    return grid.wave, flux


def test_zeros_do_not_move_the_velocity(star, grid):
    """50 A of them, taken for flux, move it by hundreds of km/s."""
    wave, flux = star
    templates = velocity_templates(grid, LRS)
    gap = np.where((wave > 4450) & (wave < 4500), np.nan, flux)
    for given in (flux, gap):
        _, _, velocity = prepare_hires(wave, given, 45_000, LRS, 150, templates)
        assert abs(velocity["rv"]) < 1


@pytest.mark.parametrize(("first", "last", "kept"), [(4900, 5400, 0), (6250, 6850, 1)])
def test_a_spectrum_without_one_arm_keeps_the_other(star, grid, first, last, kept):
    wave, flux = star
    templates = velocity_templates(grid, MRS)
    whole, _, _ = prepare_hires(wave, flux, 45_000, MRS, 150, templates)
    part = (wave > first) & (wave < last)
    found, ivar, velocity = prepare_hires(wave[part], flux[part], 45_000, MRS, 150, templates)
    arm = MRS.arm_slices[kept]
    assert (ivar[arm] > 0).mean() > 0.8
    assert not np.delete(ivar, np.arange(ivar.size)[arm]).any()
    assert abs(velocity["rv"]) < 1
    seen = ivar > 0
    np.testing.assert_allclose(found[seen], whole[seen], atol=0.01)
