"""The matched continuum: model spectra divided as observed ones are look like observed ones."""

import numpy as np
import pytest

from slamlib.errors import InputError
from slamlib.grid.training import synthesise
from slamlib.instruments import LRS, MRS
from slamlib.mock.survey import draw_survey, simulate
from slamlib.spectra.matching import match_continuum
from slamlib.spectra.prepare import prepare

BALMER = (3970.1, 4101.7, 4340.5, 4861.3, 6562.8)
# Nodes of the grid: there the simulated survey's interpolation and the training set's agree.
LABELS = np.array([[16_000, 4.0, 0.0, 60], [20_000, 4.0, 0.0, 100], [25_000, 4.0, 0.0, 150]])
SNR = 300


@pytest.fixture(scope="module")
def wide(grid):
    return synthesise(grid, LABELS, LRS.widened())


def matched(flux, instrument=LRS, seed=3, **options):
    return match_continuum(flux, instrument, SNR, np.random.default_rng(seed), **options)


@pytest.mark.parametrize("instrument", [LRS, MRS], ids=["LRS", "MRS"])
def test_a_flat_spectrum_stays_one_on_the_instruments_pixels(instrument):
    flux = matched(np.ones((2, instrument.widened().wave.size), np.float32), instrument)
    assert flux.shape == (2, instrument.wave.size)
    assert flux.dtype == np.float32
    np.testing.assert_allclose(flux, 1, atol=0.004)


@pytest.mark.parametrize("instrument", [LRS, MRS], ids=["LRS", "MRS"])
def test_each_line_stays_on_its_pixel(instrument):
    """One narrow line in each arm: what leaves the widened pixels must land on the same wavelength."""
    wave = instrument.widened().wave
    for arm in instrument.arm_slices:
        centre = instrument.wave[arm][instrument.wave[arm].size // 3]
        step = instrument.edges[1, arm][0] - instrument.edges[0, arm][0]
        line = 1 - 0.5 * np.exp(-0.5 * ((wave - centre) / (3 * step)) ** 2)
        flux = matched(line[None], instrument)[0]
        assert instrument.wave[np.argmin(flux)] == pytest.approx(centre, abs=step / 2)
        assert flux.min() == pytest.approx(0.5, abs=0.01)


@pytest.fixture(scope="module")
def observed(isochrones, grid, library):
    """The same three stars through the simulated survey at SNR 300, without dust and its bands."""
    rows = draw_survey({"LRS": 3, "MRS": 1}, 0, isochrones, grid.contains, np.random.default_rng(5))[:3]
    for name, values in zip(("teff", "logg", "mh", "vsini"), LABELS.T, strict=True):
        rows[name] = values
    rows["group"], rows["snr"], rows["ebv"], rows["rv"] = "OB", SNR, 0.0, 0.0
    spectra = simulate(rows, library, grid, "LRS", seed=8)
    return [prepare(spectrum, LRS, rv=0.0) for spectrum in spectra]


def test_matched_models_look_like_observed_stars_in_the_wings_of_balmer_lines(observed, wide, grid):
    true_continuum = synthesise(grid, LABELS, LRS)
    for (flux, ivar), with_spline, without in zip(observed, matched(wide), true_continuum, strict=True):
        wings = np.zeros(LRS.wave.size, bool)
        for line in BALMER:
            distance = np.abs(LRS.wave - line)
            wings |= (distance > 5) & (distance < 40)
        wings &= ivar > 0
        bias = abs(np.median((flux - with_spline)[wings]))
        bias_without = abs(np.median((flux - without)[wings]))
        assert bias_without > 0.004
        assert bias < 0.3 * bias_without


@pytest.mark.parametrize("shape", [(2, LRS.wave.size), (LRS.widened().wave.size,)])
def test_spectra_on_other_pixels_are_refused(shape):
    with pytest.raises(InputError, match=r"synthesise it for instrument\.widened"):
        matched(np.ones(shape))
