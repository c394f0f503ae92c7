"""Velocities are recovered with right errors, or read from a catalogue where it has the star."""

from types import SimpleNamespace

import numpy as np
import pytest
from astropy.table import Table

from compendium.velocities import catalogue_velocities, simulated_catalogue
from slamlib.errors import FileError, InputError
from slamlib.grid.training import observe
from slamlib.instruments import INSTRUMENTS
from slamlib.io import write_ecsv
from slamlib.labelling.templates import velocity_templates
from slamlib.spectra.prepare import normalise, read_many
from slamlib.spectra.velocity import KnownVelocities, VelocityTemplates, shift_to_rest

C_KMS = 299792.458
TEMPLATE_WAVE = np.exp(np.arange(np.log(4000), np.log(5200), 10 / C_KMS))
WAVE = 10 ** np.arange(np.log10(4050), np.log10(5100), 1e-4)
CENTRES = (4102.0, 4340.0, 4471.0, 4713.0, 4861.0, 4922.0)


def model(wave, width=120.0, centres=CENTRES):
    """Gaussian lines of a width given in km/s."""
    return 1 - 0.3 * sum(np.exp(-0.5 * (C_KMS * np.log(wave / c) / width) ** 2) for c in centres)


@pytest.fixture(scope="module")
def templates():
    flux = [model(TEMPLATE_WAVE), model(TEMPLATE_WAVE, centres=(4200.0, 4541.0, 4686.0))]
    return VelocityTemplates(TEMPLATE_WAVE, flux, step=20.0)


@pytest.mark.parametrize("rv", [-431.7, -3.3, 0.0, 88.8, 555.5])
def test_a_noiseless_velocity_is_exact_far_below_a_pixel(templates, rv):
    found = templates.measure(WAVE, model(shift_to_rest(WAVE, rv)), np.ones(WAVE.size))
    assert found.rv == pytest.approx(rv, abs=0.3)
    assert found.template == 0
    assert found.peak > 0.999


def test_errors_equal_the_cramer_rao_bound_and_the_scatter(templates):
    rng = np.random.default_rng(2)
    sigma, rv, n = 0.03, 61.0, 200
    depth_slope = (model(shift_to_rest(WAVE, rv + 1)) - model(shift_to_rest(WAVE, rv - 1))) / 2
    bound = sigma / np.sqrt(np.sum(depth_slope**2))
    clean = model(shift_to_rest(WAVE, rv))
    ivar = np.full(WAVE.size, sigma**-2)
    found = [templates.measure(WAVE, clean + rng.normal(0, sigma, WAVE.size), ivar) for _ in range(n)]
    errors = np.array([f.e_rv for f in found])
    pulls = (np.array([f.rv for f in found]) - rv) / errors
    assert np.median(errors) == pytest.approx(bound, rel=0.1)
    assert abs(pulls.mean()) < 4 / np.sqrt(n)
    assert pulls.std() == pytest.approx(1, abs=0.2)


def test_masked_pixels_have_no_say(templates):
    flux, ivar = model(shift_to_rest(WAVE, -40.0)), np.ones(WAVE.size)
    bad = (WAVE > 4500) & (WAVE < 4600)
    flux[bad], ivar[bad] = np.nan, 0
    # A spurious strong line, masked.
    spurious = (WAVE > 4300) & (WAVE < 4330)
    flux[spurious], ivar[spurious] = -2.0, 0
    assert templates.measure(WAVE, flux, ivar).rv == pytest.approx(-40, abs=0.3)


@pytest.mark.parametrize(
    ("offset", "flux", "message"),
    [(3000, 1.0, "only 0 good pixels"), (0, np.nan, "not finite"), (0, 1.0, "no radial velocity")],
)
def test_spectra_that_have_no_velocity_are_refused(templates, offset, flux, message):
    with pytest.raises(InputError, match=message):
        templates.measure(WAVE + offset, np.full(WAVE.size, flux), np.ones(WAVE.size))


def test_a_spectrum_without_lines_of_hot_stars_says_so():
    """A hump where the template has a broad line: at no velocity do they agree."""
    broad = {"width": 4000.0, "centres": (4600.0,)}
    templates = VelocityTemplates(TEMPLATE_WAVE, model(TEMPLATE_WAVE, **broad), step=20.0)
    with pytest.raises(InputError, match="no lines of hot stars were found"):
        templates.measure(WAVE, 2 - model(WAVE, **broad), np.ones(WAVE.size))


@pytest.mark.parametrize(
    ("flux", "message"), [(np.ones((2, 7)), "expected"), (np.full(TEMPLATE_WAVE.size, np.nan), "not finite")]
)
def test_unusable_templates_are_refused(flux, message):
    with pytest.raises(InputError, match=message):
        VelocityTemplates(TEMPLATE_WAVE, flux)


SNR = 100
# Between the templates in every label: Teff, log g, [M/H], v sin i.
STAR = (24_300, 3.7, -0.3, 60.0)


@pytest.fixture(scope="module", params=INSTRUMENTS)
def seen(request, grid):
    """The templates of an instrument, and a function giving the star at a velocity as it observes it."""
    instrument = INSTRUMENTS[request.param]
    spectrum, wide = grid.spectra([STAR[:3]]), instrument.widened()

    def star(rv, rng):
        flux = observe(spectrum, grid, wide, [STAR[3]], velocity=rv)[0]
        flux = flux * (wide.wave / 5000) ** -2 * (1 + rng.normal(0, 1 / SNR, flux.size))
        ivar = np.full(flux.size, float(SNR) ** 2)
        return wide.wave, *normalise(wide.wave, flux, ivar, instrument)

    return instrument, velocity_templates(grid, instrument), star


@pytest.mark.parametrize("rv", [-310.0, 12.0, 170.0])
def test_the_velocity_of_a_star_between_the_templates_is_found(seen, rv):
    """Two km/s beside the noise: a coarse set of templates fits no star exactly."""
    instrument, templates, star = seen
    found = [templates.measure(*star(rv, np.random.default_rng(seed))) for seed in range(4)]
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


def test_the_catalogue_is_used_where_it_has_the_star(lrs_survey, lrs_templates):
    truth, paths = (part[:3] for part in lrs_survey)
    measured = read_many(paths, "LRS", lrs_templates, progress=False)[2]
    known = KnownVelocities({int(truth["obsid"][0]): 33.0}, lrs_templates)
    mixed = read_many(paths, "LRS", known, progress=False)[2]
    assert mixed["rv"][0] == 33.0
    assert np.isnan(mixed["e_rv"][0])
    np.testing.assert_array_equal(mixed["rv"][1:], measured["rv"][1:])
