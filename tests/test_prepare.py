"""From files to rest-frame normalised flux; velocities with right errors; one bad file costs one row."""

from types import SimpleNamespace

import numpy as np
import pytest
from astropy.table import Table

from compendium.velocities import catalogue_velocities, simulated_catalogue
from slamlib.errors import FileError, InputError
from slamlib.grid.training import observe
from slamlib.instruments import INSTRUMENTS, LRS, MRS
from slamlib.io import write_ecsv
from slamlib.labelling.templates import velocity_templates
from slamlib.mock.lamost_write import write_lrs, write_mrs
from slamlib.spectra.lamost import read
from slamlib.spectra.prepare import normalise, prepare_with_velocity, read_many
from slamlib.spectra.spectrum import Spectrum, air_from_vacuum
from slamlib.spectra.velocity import KnownVelocities, VelocityTemplates, shift_to_rest

LRS_WAVE = air_from_vacuum(10 ** (3.5682 + 1e-4 * np.arange(3909)))
MRS_LOG = np.concatenate([np.arange(3.690, 3.731, 1e-5), np.arange(3.798, 3.836, 1e-5)])
MRS_WAVE = air_from_vacuum(10**MRS_LOG)
SNR, RV = 100.0, 120.0
# Centre [A], depth and width [A] of resolved lines, some in each MRS arm.
LINES = ((4102, 0.5, 8), (4340, 0.5, 8), (4471, 0.3, 3), (4861, 0.5, 8), (5016, 0.2, 2), (5048, 0.15, 2))
LINES += ((5169, 0.1, 2), (5320, 0.1, 2), (6347, 0.1, 2), (6563, 0.4, 6), (6678, 0.2, 2.5))
C_KMS = 299792.458
TEMPLATE_WAVE = np.exp(np.arange(np.log(4000), np.log(5200), 10 / C_KMS))
WAVE = 10 ** np.arange(np.log10(4050), np.log10(5100), 1e-4)
CENTRES = (4102.0, 4340.0, 4471.0, 4713.0, 4861.0, 4922.0)
SEEN_SNR = 100
# Between the templates in every label: Teff, log g, [M/H], v sin i.
STAR = (24_300, 3.7, -0.3, 60.0)


def model(wave):
    return 1 - sum(d * np.exp(-0.5 * ((wave - w) / s) ** 2) for w, d, s in LINES)


def simulated(wave=LRS_WAVE, rv=RV, snr=SNR, seed=1, **header):
    """A simulated observation: lines, a slope, Gaussian noise."""
    slope = 300 * (wave / 5000) ** -2.0
    sigma = slope / snr
    flux = slope * model(shift_to_rest(wave, rv)) + np.random.default_rng(seed).normal(0, sigma)
    known = {"file": "simulated.fits", "obsid": seed, "rv": rv, "snr": snr, "simulated": True, **header}
    return Spectrum(wave, flux, sigma**-2, np.zeros(wave.size, bool), known)


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


def gaussians(wave, width=120.0, centres=CENTRES):
    """Gaussian lines of a width given in km/s."""
    return 1 - 0.3 * sum(np.exp(-0.5 * (C_KMS * np.log(wave / c) / width) ** 2) for c in centres)


@pytest.fixture(scope="module")
def narrow():
    flux = [gaussians(TEMPLATE_WAVE), gaussians(TEMPLATE_WAVE, centres=(4200.0, 4541.0, 4686.0))]
    return VelocityTemplates(TEMPLATE_WAVE, flux, step=20.0)


@pytest.mark.parametrize("rv", [-431.7, -3.3, 0.0, 88.8, 555.5])
def test_a_noiseless_velocity_is_exact_far_below_a_pixel(narrow, rv):
    found = narrow.measure(WAVE, gaussians(shift_to_rest(WAVE, rv)), np.ones(WAVE.size))
    assert found.rv == pytest.approx(rv, abs=0.3)
    assert found.template == 0 and found.peak > 0.999


def test_errors_equal_the_cramer_rao_bound_and_the_scatter(narrow):
    rng = np.random.default_rng(2)
    sigma, rv, n = 0.03, 61.0, 200
    depth_slope = (gaussians(shift_to_rest(WAVE, rv + 1)) - gaussians(shift_to_rest(WAVE, rv - 1))) / 2
    bound = sigma / np.sqrt(np.sum(depth_slope**2))
    clean = gaussians(shift_to_rest(WAVE, rv))
    ivar = np.full(WAVE.size, sigma**-2)
    found = [narrow.measure(WAVE, clean + rng.normal(0, sigma, WAVE.size), ivar) for _ in range(n)]
    errors = np.array([f.e_rv for f in found])
    pulls = (np.array([f.rv for f in found]) - rv) / errors
    assert np.median(errors) == pytest.approx(bound, rel=0.1)
    assert abs(pulls.mean()) < 4 / np.sqrt(n) and pulls.std() == pytest.approx(1, abs=0.2)


def test_masked_pixels_have_no_say(narrow):
    flux, ivar = gaussians(shift_to_rest(WAVE, -40.0)), np.ones(WAVE.size)
    bad = (WAVE > 4500) & (WAVE < 4600)
    flux[bad], ivar[bad] = np.nan, 0
    # A spurious strong line, masked.
    spurious = (WAVE > 4300) & (WAVE < 4330)
    flux[spurious], ivar[spurious] = -2.0, 0
    assert narrow.measure(WAVE, flux, ivar).rv == pytest.approx(-40, abs=0.3)


@pytest.mark.parametrize(
    ("offset", "flux", "message"),
    [(3000, 1.0, "only 0 good pixels"), (0, np.nan, "not finite"), (0, 1.0, "no radial velocity")],
)
def test_spectra_that_have_no_velocity_are_refused(narrow, offset, flux, message):
    with pytest.raises(InputError, match=message):
        narrow.measure(WAVE + offset, np.full(WAVE.size, flux), np.ones(WAVE.size))


def test_a_spectrum_without_lines_of_hot_stars_says_so():
    """A hump where the template has a broad line: at no velocity do they agree."""
    broad = {"width": 4000.0, "centres": (4600.0,)}
    narrow = VelocityTemplates(TEMPLATE_WAVE, gaussians(TEMPLATE_WAVE, **broad), step=20.0)
    with pytest.raises(InputError, match="no lines of hot stars were found"):
        narrow.measure(WAVE, 2 - gaussians(WAVE, **broad), np.ones(WAVE.size))


@pytest.mark.parametrize(
    ("flux", "message"), [(np.ones((2, 7)), "expected"), (np.full(TEMPLATE_WAVE.size, np.nan), "not finite")]
)
def test_unusable_templates_are_refused(flux, message):
    with pytest.raises(InputError, match=message):
        VelocityTemplates(TEMPLATE_WAVE, flux)


@pytest.fixture(scope="module", params=INSTRUMENTS)
def seen(request, grid):
    """The templates of an instrument, and a function giving the star at a velocity as it observes it."""
    instrument = INSTRUMENTS[request.param]
    spectrum, wide = grid.spectra([STAR[:3]]), instrument.widened()

    def star(rv, rng):
        flux = observe(spectrum, grid, wide, [STAR[3]], velocity=rv)[0]
        flux = flux * (wide.wave / 5000) ** -2 * (1 + rng.normal(0, 1 / SEEN_SNR, flux.size))
        ivar = np.full(flux.size, float(SEEN_SNR) ** 2)
        return wide.wave, *normalise(wide.wave, flux, ivar, instrument)

    return instrument, velocity_templates(grid, instrument), star


@pytest.mark.parametrize("rv", [-310.0, 12.0, 170.0])
def test_the_velocity_of_a_star_between_the_templates_is_found(seen, rv):
    """Two km/s beside the noise: a coarse set of templates fits no star exactly."""
    instrument, narrow, star = seen
    found = [narrow.measure(*star(rv, np.random.default_rng(seed))) for seed in range(4)]
    mean = np.mean([velocity.rv for velocity in found])
    noise = np.mean([velocity.e_rv for velocity in found])
    assert noise < {"LRS": 6, "MRS": 3}[instrument.name]
    assert mean == pytest.approx(rv, abs=2 + 4 * noise / np.sqrt(len(found)))


def test_several_velocities_of_one_spectrum_are_averaged_and_missing_ones_left_out(tmp_path):
    run = SimpleNamespace(root=tmp_path, simulated=False)
    with pytest.raises(FileError, match=r"fetch it with .*catalogues zhang2021"):
        catalogue_velocities(run)
    rows = Table({"obsid": [7, 8, 7, 9], "RV": [10.0, -3.0, 14.0, np.nan]})
    write_ecsv(rows, tmp_path / "data/raw/catalogues/zhang2021/table1.ecsv")
    columns = Table({"name": ["zhang2021"] * 2, "label": ["obsid", "rv"], "columns": ["ObsID obsid", "RV"]})
    columns["needed"] = True
    write_ecsv(columns, tmp_path / "data/embedded/vizier_columns.ecsv")
    assert catalogue_velocities(run) == {7: 12.0, 8: -3.0}


def test_the_simulated_catalogue_has_the_stated_errors():
    n = 4000
    truth = Table({"obsid": np.arange(2 * n), "instrument": ["LRS"] * n + ["MRS"] * n})
    truth["rv"] = 20.0
    off = simulated_catalogue(truth, np.random.default_rng(1))["rv"] - truth["rv"]
    assert np.std(off[:n]) == pytest.approx(5, rel=0.05)
    assert np.std(off[n:]) == pytest.approx(2, rel=0.05)


def test_velocities_are_within_their_errors_or_those_of_the_catalogue(lrs_survey, lrs_templates):
    truth, paths = (part[1:5] for part in lrs_survey)
    flux, _, measured = read_many(paths, "LRS", lrs_templates, progress=False)
    assert (np.abs(measured["rv"] - truth["rv"]) < 4 * measured["e_rv"]).all()
    assert (measured["e_rv"] < 3).all()
    # At rest, the deepest pixel is the core of a Balmer line.
    off = LRS.wave[flux.argmin(axis=1)][:, None] - [3970.1, 4101.7, 4340.5, 4861.3]
    assert np.abs(off).min(axis=1).max() < 3
    known = KnownVelocities({int(truth["obsid"][0]): 33.0}, lrs_templates)
    mixed = read_many(paths, "LRS", known, progress=False)[2]
    assert mixed["rv"][0] == 33.0 and np.isnan(mixed["e_rv"][0])
    np.testing.assert_array_equal(mixed["rv"][1:], measured["rv"][1:])
