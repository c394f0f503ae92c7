"""The pseudo-continuum: an exact spline, a clip that finds the envelope; models divided as stars are."""

import numpy as np
import pytest
from scipy.interpolate import make_smoothing_spline

from slamlib.errors import InputError
from slamlib.grid.training import synthesise
from slamlib.instruments import LRS, MRS
from slamlib.mock.survey import draw_survey, simulate
from slamlib.spectra.continuum import pseudo_continuum, smoothing_spline
from slamlib.spectra.matching import match_continuum
from slamlib.spectra.prepare import prepare_with_velocity

WAVE = 10 ** np.arange(3.586, 3.848, 1e-4)
TRUE = 1 + 0.4 * np.sin((WAVE - 3850) / 900) + 0.2 * (WAVE - 5000) / 1000
BALMER = (3970.1, 4101.7, 4340.5, 4861.3, 6562.8)
# Nodes of the grid: there the simulated survey's interpolation and the training set's agree.
LABELS = np.array([[16_000, 4.0, 0.0, 60], [20_000, 4.0, 0.0, 100], [25_000, 4.0, 0.0, 150]])
SNR = 300


def absorption_spectrum(rng, snr=100.0):
    depth = sum(
        d * np.exp(-0.5 * ((WAVE - w) / s) ** 2)
        for w, d, s in ((4102, 0.5, 9), (4340, 0.5, 9), (4471, 0.3, 3), (4861, 0.45, 9), (6563, 0.3, 9))
    )
    return TRUE * (1 - depth + rng.normal(0, 1 / snr, WAVE.size))


def line_free():
    return np.all([abs(WAVE - w) > 40 for w in (4102, 4340, 4471, 4861, 6563)], axis=0)


@pytest.mark.parametrize("smoothing", [1.0, 1e3, 1e6])
def test_smoothing_spline_agrees_with_scipy(smoothing):
    rng = np.random.default_rng(1)
    x = np.arange(500) * 0.8 + rng.uniform(0, 0.4, 500)
    y = np.sin(x / 40) + rng.normal(0, 0.1, x.size)
    new = np.linspace(x[0], x[-1], 333)
    expected = make_smoothing_spline(x, y, lam=smoothing)(new)
    np.testing.assert_allclose(smoothing_spline(x, y, smoothing, new), expected, atol=1e-6)


def test_clipping_recovers_the_continuum_better_than_a_plain_spline():
    flux = absorption_spectrum(np.random.default_rng(3))
    clipped = pseudo_continuum(WAVE, flux, np.ones(WAVE.size))
    plain = smoothing_spline(WAVE, flux, 1e6, WAVE)
    error, plain_error = (np.abs(c / TRUE - 1) for c in (clipped, plain))
    # Under the Balmer lines, where the plain spline dives.
    assert error[~line_free()].mean() < 0.35 * plain_error[~line_free()].mean()
    assert error[line_free()].mean() < 0.01


def test_pixels_without_weight_are_ignored_even_when_nan():
    flux = absorption_spectrum(np.random.default_rng(5))
    ivar = np.ones(WAVE.size)
    ivar[1000:1040] = 0
    first = pseudo_continuum(WAVE, flux, ivar)
    spoiled = flux.copy()
    spoiled[1000:1040] = np.nan
    np.testing.assert_array_equal(pseudo_continuum(WAVE, spoiled, ivar), first)
    assert np.isfinite(first).all()


def line(wave):
    return 1 - 0.5 * np.exp(-0.5 * ((wave - 4861) / 9) ** 2)


def test_the_lift_by_the_lopsided_clip_is_as_small_as_documented():
    rng = np.random.default_rng(7)
    clean = pseudo_continuum(WAVE, line(WAVE), np.ones(WAVE.size))
    noisy = line(WAVE) + rng.normal(0, 0.01, WAVE.size)
    lift = pseudo_continuum(WAVE, noisy, np.ones(WAVE.size)) / clean - 1
    assert 0.001 < lift.mean() < 0.004


@pytest.mark.parametrize(
    ("flux", "used", "message"),
    [(np.nan, WAVE.size, "not finite"), (1.0, 20, "only 20 good pixels"), (-1.0, WAVE.size, "median flux")],
)
def test_what_has_no_continuum_is_refused(flux, used, message):
    with pytest.raises(InputError, match=message):
        pseudo_continuum(WAVE, np.full(WAVE.size, flux), 1.0 * (np.arange(WAVE.size) < used))


def matched(flux, instrument=LRS, seed=3, **options):
    return match_continuum(flux, instrument, SNR, np.random.default_rng(seed), **options)


@pytest.mark.parametrize("instrument", [LRS, MRS], ids=["LRS", "MRS"])
def test_a_flat_spectrum_stays_one_on_the_instruments_pixels(instrument):
    flux = matched(np.ones((2, instrument.widened().wave.size), np.float32), instrument)
    assert flux.shape == (2, instrument.wave.size) and flux.dtype == np.float32
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


def test_matched_models_look_like_observed_stars_in_the_wings_of_balmer_lines(isochrones, grid, library):
    """The same three stars through the simulated survey at SNR 300, without dust and its bands."""
    rows = draw_survey({"LRS": 3, "MRS": 1}, 0, isochrones, grid.contains, np.random.default_rng(5))[:3]
    for name, values in zip(("teff", "logg", "mh", "vsini"), LABELS.T, strict=True):
        rows[name] = values
    rows["group"], rows["snr"], rows["ebv"], rows["rv"] = "OB", SNR, 0.0, 0.0
    spectra = simulate(rows, library, grid, "LRS", seed=8)
    observed = [prepare_with_velocity(spectrum, LRS, rv=0.0)[:2] for spectrum in spectra]
    models, true_continuum = (synthesise(grid, LABELS, pixels) for pixels in (LRS.widened(), LRS))
    for (flux, ivar), with_spline, without in zip(observed, matched(models), true_continuum, strict=True):
        wings = np.zeros(LRS.wave.size, bool)
        for line in BALMER:
            distance = np.abs(LRS.wave - line)
            wings |= (distance > 5) & (distance < 40)
        wings &= ivar > 0
        bias = abs(np.median((flux - with_spline)[wings]))
        bias_without = abs(np.median((flux - without)[wings]))
        assert bias_without > 0.004 and bias < 0.3 * bias_without


@pytest.mark.parametrize("shape", [(2, LRS.wave.size), (LRS.widened().wave.size,)])
def test_spectra_on_other_pixels_are_refused(shape):
    with pytest.raises(InputError, match=r"synthesise it for instrument\.widened"):
        matched(np.ones(shape))
