"""Widths of lines are right, with their errors; the selection loses no hot star and lets no cool one pass."""

import numpy as np
import pytest
from astropy import units as u
from compendia import SAMPLES

from slamlib.inference.validate import noisy
from slamlib.instruments import INSTRUMENTS, LRS, MRS
from slamlib.labelling.templates import velocity_templates
from slamlib.mock.survey import draw_survey, simulate
from slamlib.spectra.lamost import read
from slamlib.spectra.prepare import prepare_with_velocity
from slamlib.spectra.selection import CLEARLY, excess, line_widths
from slamlib.spectra.spectrum import Spectrum

COOL = sorted(SAMPLES.glob("lamost_lrs/cool/*"))


def gaussians(instrument, centre, width, sigma=1.5):
    """A spectrum with one line of that equivalent width [A]."""
    depth = width / (sigma * np.sqrt(2 * np.pi)) * np.exp(-0.5 * ((instrument.wave - centre) / sigma) ** 2)
    return 1 - depth[None]


@pytest.mark.parametrize(
    ("instrument", "name", "centre"),
    [(LRS, "mg4481", 4481.2), (LRS, "halpha", 6562.8), (MRS, "he6678", 6678.2)],
)
def test_a_gaussian_line_has_its_width(instrument, name, centre):
    flux = gaussians(instrument, centre, 0.8, 1.0)
    widths = line_widths(instrument, flux, np.ones_like(flux))
    assert widths[f"ew_{name}"][0] == pytest.approx(0.8, rel=0.15 if name == "mg4481" else 0.08)
    assert widths[f"ew_{name}"].unit == u.AA and widths[f"ew_{name}"].description


def test_errors_are_the_scatter():
    flux = np.repeat(gaussians(LRS, 5175, 2.0), 400, axis=0)
    widths = line_widths(LRS, *noisy(flux, 30, LRS.good, np.random.default_rng(1)))
    for name in ("gband", "mg5175", "hgamma"):
        assert np.std(widths[f"ew_{name}"]) == pytest.approx(widths[f"e_ew_{name}"][0], rel=0.15)


def test_bad_pixels_count_neither_in_the_width_nor_in_its_error():
    flux = np.repeat(gaussians(LRS, 5175, 0), 3, axis=0)
    flux += 0.9 - 1
    ivar = np.ones_like(flux)
    window = np.flatnonzero((LRS.wave >= 5164) & (LRS.wave <= 5187))
    for row, lost in ((1, 5), (2, 12)):
        flux[row, window[:lost]], ivar[row, window[:lost]] = np.nan, 0
    widths = line_widths(LRS, flux, ivar)
    np.testing.assert_allclose(widths["ew_mg5175"], [2.3, 2.3, np.nan], rtol=1e-6)
    assert widths["e_ew_mg5175"][1] > widths["e_ew_mg5175"][0]


@pytest.mark.parametrize("name", INSTRUMENTS)
@pytest.mark.parametrize("snr", [10, 30, 200])
def test_no_ob_star_is_lost_nor_a_late_b_star(grid, library, isochrones, name, snr):
    """Simulated and normalised as the survey does it; those of type B8 to A0 are as cool as the library."""
    rng = np.random.default_rng([5, snr])
    rows = draw_survey({"LRS": 80, "MRS": 80}, 0, isochrones, grid.contains, rng)
    rows = rows[(rows["instrument"] == name) & np.isin(rows["group"], ("OB", "late B"))]
    late = rows["group"] == "late B"
    assert late.sum() > 20
    rows["teff"][late], rows["snr"] = rng.uniform(10_000, 12_500, late.sum()), snr
    found = [
        prepare_with_velocity(spectrum, name, float(row["rv"]))[:2]
        for spectrum, row in zip(simulate(rows, library, grid, name, 9), rows, strict=True)
    ]
    flux, ivar = (np.array(part) for part in zip(*found, strict=True))
    assert (excess(line_widths(name, flux, ivar)) < CLEARLY).all()


@pytest.mark.skipif(not COOL, reason="no sample spectra")
@pytest.mark.parametrize("snr", [None, 20])
def test_every_real_f_to_k_star_is_told(grid, snr):
    """With noise added to SNR 20, too; A stars may pass, F2 to F5 stars nearly all are told."""
    templates, rng, told = velocity_templates(grid, LRS), np.random.default_rng(7), {"F": [], "GK": []}
    for path in COOL:
        spectrum = read(path)
        kind = spectrum.header["subclass"][0]
        if kind == "A":
            continue
        spectrum = spectrum if snr is None else noisier(spectrum, snr, rng)
        flux, ivar, _ = prepare_with_velocity(spectrum, LRS, templates)
        told["F" if kind == "F" else "GK"].append(excess(line_widths(LRS, flux, ivar))[0] > CLEARLY)
    assert len(told["GK"]) >= 12 and all(told["GK"])
    assert len(told["F"]) >= 5 and np.mean(told["F"]) >= 0.8


def noisier(spectrum, snr, rng):
    """The same spectrum with noise added, as of a fainter star."""
    level = np.median(spectrum.flux[~spectrum.mask])
    extra = level * np.sqrt(max(snr**-2 - spectrum.header["snr"] ** -2, 0))
    flux = spectrum.flux + rng.normal(0, extra, spectrum.flux.size)
    ivar = np.where(spectrum.mask, 0, 1 / (1 / np.where(spectrum.mask, 1, spectrum.ivar) + extra**2))
    return Spectrum(spectrum.wave, flux, ivar, spectrum.mask, spectrum.header | {"snr": float(snr)})
