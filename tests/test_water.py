"""Lines of water about H alpha: found in what they are in, left out, and not seen where there are none."""

import numpy as np
import pytest
from compendia import SAMPLES

from slamlib.instruments import C_KMS, MRS
from slamlib.io import embedded
from slamlib.labelling.labeller import Labeller
from slamlib.spectra import water
from slamlib.spectra.degrade import prepare_hires
from slamlib.spectra.hires import read_hires
from slamlib.spectra.lamost import read
from slamlib.spectra.prepare import normalise
from slamlib.spectra.water import LINES, velocity_of_water, without_water

WAVE = np.arange(6250.0, 6850.0, 0.15)
# Depth of the lines at the resolving power of MRS, as wide as those of R = 42,000.
DEPTH, SIGMA = LINES[:, 1] * MRS.resolution / 42_000, 6550 / MRS.resolution / 2.3548


def seen_through(velocity, snr, rng):
    """A broad H alpha line and C II of a star through moist air: flux and ivar."""
    lines = [(6562.8, 0.5, 6.0), (6578.05, 0.15, 0.6), (6582.88, 0.15, 0.6)]
    star = 1 - sum(d * np.exp(-0.5 * ((WAVE - w) / s) ** 2) for w, d, s in lines)
    if velocity is not None:
        at = LINES[:, :1] * (1 + velocity / C_KMS)
        star = star * np.exp(-DEPTH @ np.exp(-0.5 * ((WAVE - at) / SIGMA) ** 2))
    return star + rng.normal(size=WAVE.size) / snr, np.full(WAVE.size, float(snr) ** 2)


@pytest.mark.parametrize("velocity", [-28.0, 3.0, 21.0])
def test_the_velocity_of_water_is_found_to_a_tenth_of_a_resolution_element(velocity):
    rng = np.random.default_rng(3)
    found = [velocity_of_water(WAVE, *seen_through(velocity, 100, rng), MRS.resolution) for _ in range(20)]
    assert np.abs(np.array(found) - velocity).max() < 0.1 * C_KMS / MRS.resolution + 1


def test_where_there_is_no_water_nothing_is_left_out():
    rng = np.random.default_rng(4)
    for snr in (20, 100, 300):
        for _ in range(30):
            flux, ivar = seen_through(None, snr, rng)
            np.testing.assert_array_equal(without_water(WAVE, flux, ivar, MRS.resolution), ivar)


def test_no_more_than_the_lines_is_left_out():
    flux, ivar = seen_through(10.0, 100, np.random.default_rng(5))
    left = without_water(WAVE, flux, ivar, MRS.resolution) > 0
    at = LINES[:, 0] * (1 + 10.0 / C_KMS)
    assert not left[np.abs(WAVE[:, None] - at).min(axis=1) < 0.2].any()
    assert left[np.abs(WAVE[:, None] - at).min(axis=1) > 0.6].all()


def test_at_low_resolution_lines_of_water_are_not_looked_for():
    flux, ivar = seen_through(0.0, 300, np.random.default_rng(6))
    assert np.isnan(velocity_of_water(WAVE, flux, ivar, 1800))


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="no sample spectra beside the repository")
def test_in_a_lamost_file_water_moves_with_the_earth():
    """Its header has the heliocentric velocity, of the other sign (HELIO_RV = -9.60 km/s)."""
    spectrum = read(SAMPLES / "lamost_mrs/med-58646-TD192102N424113K01_sp12-076.fits.gz")
    normalised = normalise(spectrum.wave, spectrum.flux, spectrum.ivar, "MRS")
    assert velocity_of_water(spectrum.wave, *normalised, MRS.resolution) == pytest.approx(9.60, abs=4)


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="no sample spectra beside the repository")
def test_water_left_in_raises_log_g_of_gamma_peg(monkeypatch):
    """Log g is 3.95 in the literature."""
    labeller, rows = Labeller.read(embedded("models/krr_MRS.npz")), []
    star = read_hires(SAMPLES / "hires/HD886_elodie.fits")
    for least in (0.0, np.inf):
        monkeypatch.setattr(water, "_LEAST_RESOLUTION", least)
        seen = star.wave, star.flux, star.resolution, "MRS", 100, labeller.templates
        flux, ivar, _ = prepare_hires(*seen, rng=np.random.default_rng(2))
        rows.append(labeller.label(flux[None], ivar[None])[0])
    left_out, left_in = rows
    assert abs(left_out["logg"] - 3.95) < 2 * np.hypot(left_out["e_logg"], 0.15)
    assert left_in["logg"] > left_out["logg"] + 0.2
