"""From files to rest-frame normalised flux; one bad file costs one row."""

import numpy as np
import pytest

from slamlib.errors import InputError
from slamlib.instruments import LRS, MRS
from slamlib.mock.lamost_write import write_lrs, write_mrs
from slamlib.spectra.lamost import read
from slamlib.spectra.prepare import prepare_with_velocity, read_many
from slamlib.spectra.spectrum import Spectrum, air_from_vacuum
from slamlib.spectra.velocity import VelocityTemplates, shift_to_rest

LRS_WAVE = air_from_vacuum(10 ** (3.5682 + 1e-4 * np.arange(3909)))
MRS_LOG = np.concatenate([np.arange(3.690, 3.731, 1e-5), np.arange(3.798, 3.836, 1e-5)])
MRS_WAVE = air_from_vacuum(10**MRS_LOG)
SNR, RV = 100.0, 120.0
# Centre [A], depth and width [A] of resolved lines, some in each MRS arm.
LINES = ((4102, 0.5, 8), (4340, 0.5, 8), (4471, 0.3, 3), (4861, 0.5, 8), (5016, 0.2, 2), (5048, 0.15, 2))
LINES += ((5169, 0.1, 2), (5320, 0.1, 2), (6347, 0.1, 2), (6563, 0.4, 6), (6678, 0.2, 2.5))


def model(wave):
    return 1 - sum(d * np.exp(-0.5 * ((wave - w) / s) ** 2) for w, d, s in LINES)


def simulated(wave=LRS_WAVE, rv=RV, snr=SNR, seed=1, **header):
    """A simulated observation: lines, a slope, Gaussian noise."""
    slope = 300 * (wave / 5000) ** -2.0
    sigma = slope / snr
    flux = slope * model(shift_to_rest(wave, rv)) + np.random.default_rng(seed).normal(0, sigma)
    known = {"file": "simulated.fits", "obsid": seed, "rv": rv, "snr": snr, "simulated": True, **header}
    return Spectrum(wave, flux, sigma**-2, np.zeros(wave.size, bool), known)


@pytest.fixture(scope="module")
def templates():
    wave = np.exp(np.arange(np.log(3850), np.log(7050), 5 / 299792.458))
    return VelocityTemplates(wave, model(wave), step=10.0)


@pytest.mark.parametrize(("wave", "instrument"), [(LRS_WAVE, LRS), (MRS_WAVE, MRS)])
def test_prepared_flux_is_the_model_at_rest_within_its_errors(wave, instrument):
    flux, ivar, _ = prepare_with_velocity(simulated(wave), instrument)
    used = ivar > 0
    assert used[instrument.good].mean() > 0.99
    residual = flux - model(instrument.wave)
    # In the cores the simulated noise is that of the continuum: chi is known everywhere.
    chi = residual[used] * np.sqrt(ivar[used])
    assert 1.48 * np.median(np.abs(chi - np.median(chi))) == pytest.approx(1, abs=0.35)
    # The pseudo-continuum is a compromise under broad lines: a few per cent.
    assert np.abs(np.convolve(residual[used], np.ones(25) / 25, "valid")).max() < 0.04
    assert np.median(residual[used]) == pytest.approx(0, abs=0.005)


def changed(spectrum, **arrays):
    parts = {name: getattr(spectrum, name) for name in ("wave", "flux", "ivar", "mask", "header")}
    return Spectrum(**{**parts, **arrays})


@pytest.mark.parametrize(
    ("make", "instrument", "message"),
    [
        (lambda: changed(simulated(), ivar=np.zeros(LRS_WAVE.size)), LRS, "no good pixel"),
        (lambda: simulated(MRS_WAVE[MRS_WAVE < 6000]), MRS, "no good pixel from 6300"),
        (lambda: changed(simulated(), flux=-simulated().flux), LRS, "median flux"),
        (lambda: changed(simulated(), flux=np.full(LRS_WAVE.size, np.nan)), LRS, "not finite"),
        (lambda: changed(simulated(), header={"file": "simulated.fits"}), LRS, "no radial velocity"),
        (lambda: changed(simulated(), ivar=1e20 * simulated().ivar), LRS, "not in the same units"),
    ],
)
def test_what_cannot_be_prepared_is_named(make, instrument, message):
    with pytest.raises(InputError, match=message) as caught:
        prepare_with_velocity(make(), instrument)
    assert "simulated.fits" in str(caught.value)


@pytest.fixture
def folder(tmp_path):
    """Three good LRS files, one truncated, one of MRS; their paths in a fixed order."""
    paths = [tmp_path / f"{i}.fits.gz" for i in range(5)]
    for i, rv in ((0, 50.0), (2, -80.0), (4, 10.0)):
        write_lrs(paths[i], simulated(rv=rv, seed=i, subclass=f"B{i}", ra=1.5))
    write_lrs(paths[1], simulated())
    paths[1].write_bytes(paths[1].read_bytes()[:5000])
    write_mrs(paths[3], simulated(MRS_WAVE))
    return paths


def test_a_bad_file_costs_one_row_and_says_why(folder):
    flux, ivar, table = read_many(folder, LRS, progress=False)
    assert flux.dtype == ivar.dtype == np.float32
    np.testing.assert_array_equal(table["file"], [path.name for path in folder])
    np.testing.assert_array_equal(table["reason"] == "", [True, False, True, False, True])
    assert "1.fits.gz" in table["reason"][1]
    assert "is of MRS" in table["reason"][3]
    assert not any(str(folder[0].parent) in reason for reason in table["reason"])
    for row in (1, 3):
        np.testing.assert_array_equal(flux[row], 1)
        np.testing.assert_array_equal(ivar[row], 0)
    assert np.isnan(table["rv"][1])
    one, one_ivar, _ = prepare_with_velocity(read(folder[2]), "LRS")
    np.testing.assert_array_equal(flux[2], one.astype(np.float32))
    np.testing.assert_array_equal(ivar[2], one_ivar.astype(np.float32))
    assert list(table["subclass"][[0, 2, 4]]) == ["B0", "B2", "B4"]
    assert table["ra"].unit == "deg"
    np.testing.assert_allclose(table["rv"][[0, 2, 4]], [50, -80, 10])


def test_velocities_by_cross_correlation_are_within_their_errors(folder, templates):
    flux, _, table = read_many(folder, LRS, rv=templates, progress=False)
    good = table["reason"] == ""
    pull = (table["rv"][good] - [50, -80, 10]) / table["e_rv"][good]
    assert (np.abs(pull) < 4).all()
    assert (table["e_rv"][good] < 3).all()
    centre = LRS.wave[np.argmin(flux[0])]
    assert centre == pytest.approx(min((4102, 4340, 4861), key=lambda line: abs(line - centre)), abs=3)
