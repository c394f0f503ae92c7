"""Air and vacuum; rebinning keeps flux, information and honesty about bad pixels."""

import numpy as np
import pytest

from slamlib.instruments import LRS
from slamlib.spectra.spectrum import air_from_vacuum, to_instrument

# Log-uniform pixels of about LAMOST's own width.
NATIVE = 10 ** np.arange(3.5682, 3.86, 1e-4)


def lines(wave):
    """A smooth spectrum with lines resolved by the native pixels."""
    return 1 - 0.5 * np.exp(-0.5 * ((wave - 4861) / 6) ** 2) - 0.3 * np.exp(-0.5 * ((wave - 6563) / 8) ** 2)


def test_air_wavelengths_agree_with_the_refraction_of_ciddor_1996():
    wave = np.linspace(3000, 10000, 500)
    s2 = (1e4 / wave) ** 2
    ciddor = wave / (1 + 0.05792105 / (238.0185 - s2) + 0.00167917 / (57.362 - s2))
    np.testing.assert_allclose(air_from_vacuum(wave), ciddor, atol=1e-4)


def test_rebinning_gives_the_mean_of_the_true_spectrum_over_each_pixel():
    fine = np.linspace(-0.5, 0.5, 41)
    native_edges = np.concatenate([[1.5 * NATIVE[0] - 0.5 * NATIVE[1]], (NATIVE[1:] + NATIVE[:-1]) / 2])
    native_edges = np.append(native_edges, 1.5 * NATIVE[-1] - 0.5 * NATIVE[-2])
    width, centre = np.diff(native_edges), (native_edges[1:] + native_edges[:-1]) / 2
    flux = lines(centre[:, None] + width[:, None] * fine).mean(axis=1)
    out, ivar = to_instrument(NATIVE, flux, np.ones(NATIVE.size), LRS)
    truth = lines(LRS.wave[:, None] + fine).mean(axis=1)
    used = ivar > 0
    np.testing.assert_array_equal(used, LRS.good)
    np.testing.assert_allclose(out[used], truth[used], atol=2e-4)


def test_ivar_predicts_the_scatter_of_averages_of_rebinned_pixels():
    rng = np.random.default_rng(4)
    block = LRS.arm_slices[0].start + np.arange(1000, 1100)
    means = []
    for _ in range(300):
        noisy = 1 + rng.normal(0, 0.1, NATIVE.size)
        out, ivar = to_instrument(NATIVE, noisy, np.full(NATIVE.size, 100.0), LRS)
        means.append(out[block].mean())
    # One long mean, where the correlation of neighbours no longer matters.
    predicted = np.sqrt(1 / ivar[block].sum())
    assert np.std(means) == pytest.approx(predicted, rel=0.12)


def test_a_bad_pixel_costs_what_it_touches_and_does_not_ring():
    flux, ivar = lines(NATIVE), np.ones(NATIVE.size)
    bad = np.argmin(abs(NATIVE - 5200))
    flux[bad], ivar[bad] = 1e6, 0
    kept = flux.copy()
    out, out_ivar = to_instrument(NATIVE, flux, ivar, LRS)
    clean, _ = to_instrument(NATIVE, lines(NATIVE), np.ones(NATIVE.size), LRS)
    lost = LRS.good & (out_ivar == 0)
    assert 1 <= lost.sum() <= 4
    assert (abs(LRS.wave[lost] - 5200) < 3).all()
    np.testing.assert_allclose(out, np.where(lost, 1, clean), atol=1e-3)
    np.testing.assert_array_equal(flux, kept)


def test_no_weight_beyond_the_ends_or_in_a_gap():
    keep = (NATIVE > 4000) & ((NATIVE < 5000) | (NATIVE > 5100))
    out, ivar = to_instrument(NATIVE[keep], np.ones(keep.sum()), np.ones(keep.sum()), LRS)
    outside = (LRS.wave < 3999) | ((LRS.wave > 5002) & (LRS.wave < 5098))
    assert not ivar[outside].any()
    assert (ivar[LRS.good & (LRS.wave > 4003) & (LRS.wave < 4998)] > 0).all()
    assert np.isfinite(out).all()
