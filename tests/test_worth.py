"""One rule says what a row is worth: widths of lines tell cool stars, and every doubt has its word."""

import re
from dataclasses import replace

import numpy as np
import pytest
from astropy import units as u
from compendia import ROOT, SAMPLES

from slamlib.inference.infer import infer
from slamlib.inference.validate import noisy
from slamlib.instruments import INSTRUMENTS, LRS, MRS
from slamlib.labelling.worth import NOISY, STATUSES, judged, snr_of
from slamlib.mock.survey import draw_survey, simulate
from slamlib.spectra.lamost import read
from slamlib.spectra.prepare import prepare_with_velocity
from slamlib.spectra.selection import CLEARLY, excess, line_widths
from slamlib.spectra.spectrum import Spectrum

COOL = sorted(SAMPLES.glob("lamost_lrs/cool/*"))
STAR = np.array([[20_000, 4.0, -0.2, 120.0]])
SNR = 60.0


@pytest.fixture(scope="module")
def star(krr_slam):
    """Flux and ivar of one simulated star, eight draws of noise."""
    flux = np.repeat(krr_slam.predict(STAR), 8, axis=0)
    return noisy(flux, SNR, LRS.good, np.random.default_rng(1))


@pytest.fixture(scope="module")
def judge(krr_slam, grid):
    def judge(flux, ivar, snr=None, change=lambda found: found, reject=5.0):
        found = change(infer(krr_slam, flux, ivar, inside=grid.contains, reject=reject))
        return judged(found, krr_slam, LRS, flux, ivar, snr)

    return judge


def test_a_good_star_is_ok(judge, star):
    table = judge(*star, np.full(8, SNR))
    assert (table["status"] == "ok").all() and (table["flag"] == "I").all()
    assert {"ew_mg5175", "e_ew_hgamma"} <= set(table.colnames)


@pytest.mark.parametrize(
    ("factor", "status"),
    [(0.01, "wrong ivar"), (0.5, "wrong ivar"), (1.3, "ok"), (3, "poor fit"), (100, "poor fit")],
)
def test_noise_that_is_not_what_ivar_says_shows_in_chi_square(judge, star, factor, status):
    flux, ivar = star
    assert (judge(flux, factor * ivar, np.full(8, SNR), reject=None)["status"] == status).mean() > 0.8


@pytest.mark.parametrize(
    ("snr", "status"), [(NOISY - 1, "noisy"), (NOISY, "ok"), (np.nan, "ok"), (-5.0, "noisy")]
)
def test_noise_is_told_by_the_file_or_else_by_ivar(judge, star, snr, status):
    assert (judge(*star, np.full(8, snr))["status"] == status).all()


def test_an_unknown_signal_to_noise_ratio_is_not_a_good_one(judge, krr_slam):
    flux = np.repeat(krr_slam.predict(STAR), 4, axis=0)
    faint = noisy(flux, 12, LRS.good, np.random.default_rng(2))
    assert set(judge(*faint)["status"]) <= {"noisy", "unconstrained"}
    assert snr_of(LRS, faint[1])[0] == pytest.approx(12, rel=0.1)
    assert snr_of(LRS, 0 * faint[1])[0] == 0


@pytest.mark.parametrize(("label", "error"), [(0, 12_842.0), (1, 1.0), (2, 0.5)])
def test_an_error_as_large_as_the_grid_is_no_measurement(judge, star, label, error):
    def change(found):
        covariance = found.covariance.copy()
        covariance[2, label, label] = error**2
        return replace(found, covariance=covariance)

    status = judge(*star, change=change)["status"]
    assert status[2] == "unconstrained" and (np.delete(status, 2) == "ok").all()


def test_lines_of_a_cool_star_come_before_what_the_fit_says(judge, star):
    flux, ivar = star
    cool = flux - 0.1 * ((LRS.wave > 5164) & (LRS.wave < 5187))
    assert (judge(cool, ivar, np.full(8, 5.0))["status"] == "not early-type").all()


def test_where_metal_lines_cannot_be_seen_the_spectrum_is_incomplete(judge, star):
    flux, ivar = star
    hidden = ((LRS.wave > 4290) & (LRS.wave < 4320)) | ((LRS.wave > 5160) & (LRS.wave < 5190))
    assert (judge(flux, np.where(hidden, 0, ivar))["status"] == "incomplete").all()


@pytest.mark.parametrize("status", ["unconverged", "outliers", "edge", "multimodal", "incomplete", "no data"])
def test_the_first_doubt_of_the_list_is_given(judge, star, status):
    words = list(STATUSES)
    doubtful = judge(*star, np.full(8, 5.0), lambda found: replace(found, status=np.full(8, status)))
    assert (doubtful["status"] == status).all()
    poor = judge(*star, change=lambda found: replace(found, status=np.full(8, status), chi2=np.full(8, 9.0)))
    assert (poor["status"] == min(status, "poor fit", key=words.index)).all()


def test_the_page_of_flags_explains_every_status_in_its_order():
    page = (ROOT / "docs" / "flags.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `status` \| `([^`]+)` \|", page, re.MULTILINE) == ["ok", *STATUSES][:-1]


@pytest.mark.skipif(not COOL, reason="no sample spectra")
@pytest.mark.parametrize("snr", [None, 30, 20])
def test_no_real_cool_star_is_believed(matched_slam, lrs_templates, grid, snr):
    """Not one of the shared files, nor with noise added."""
    rng = np.random.default_rng(8)
    spectra = [read(path) for path in sorted(SAMPLES.glob("lamost_lrs/**/*.fits*"))]
    spectra = [spectrum for spectrum in spectra if snr is None or spectrum.header["snr"] > snr]
    spectra = [spectrum if snr is None else noisier(spectrum, snr, rng) for spectrum in spectra]
    seen = [prepare_with_velocity(spectrum, LRS, lrs_templates)[:2] for spectrum in spectra]
    flux, ivar = (np.array(part) for part in zip(*seen, strict=True))
    found = infer(matched_slam, flux, ivar, inside=grid.contains, reject=5.0)
    table = judged(found, matched_slam, LRS, flux, ivar, [spectrum.header["snr"] for spectrum in spectra])
    assert len(table) > 20
    believed = (table["flag"] == "I") & (table["status"] == "ok")
    assert [spectra[i].header["file"] for i in np.flatnonzero(believed)] == []


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
    flux = np.repeat(gaussians(LRS, 5175, 0), 3, axis=0) - 0.1
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
    seen = zip(simulate(rows, library, grid, name, 9), rows["rv"], strict=True)
    found = [prepare_with_velocity(spectrum, name, float(rv))[:2] for spectrum, rv in seen]
    flux, ivar = (np.array(part) for part in zip(*found, strict=True))
    assert (excess(line_widths(name, flux, ivar)) < CLEARLY).all()


@pytest.mark.skipif(not COOL, reason="no sample spectra")
@pytest.mark.parametrize("snr", [None, 20])
def test_every_real_f_to_k_star_is_told(lrs_templates, snr):
    """With noise added to SNR 20, too; A stars may pass, F2 to F5 stars nearly all are told."""
    rng, told = np.random.default_rng(7), {"F": [], "GK": []}
    for path in COOL:
        spectrum = read(path)
        kind = spectrum.header["subclass"][0]
        if kind == "A":
            continue
        spectrum = spectrum if snr is None else noisier(spectrum, snr, rng)
        flux, ivar, _ = prepare_with_velocity(spectrum, LRS, lrs_templates)
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
