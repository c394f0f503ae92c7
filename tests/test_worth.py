"""One rule says what a row is worth: every doubt has its word, and "ok" means that there is none."""

import re
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import ascii
from astropy.table import Table
from compendia import ROOT
from test_selection import COOL, SAMPLES, noisier

from slamlib.cli.output import write
from slamlib.inference.infer import infer
from slamlib.inference.validate import noisy
from slamlib.instruments import LRS
from slamlib.labelling.worth import NOISY, STATUSES, judged, snr_of
from slamlib.spectra.lamost import read
from slamlib.spectra.prepare import prepare_with_velocity

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


@pytest.mark.parametrize("suffix", [".ecsv", ".csv", ".fits"])
def test_flags_are_read_back_as_they_were_written(judge, star, tmp_path, suffix):
    """With astropy's own readers: an empty text would be masked, and no comparison would count it."""
    flux, ivar = star[0][:3], star[1][:3] * np.array([[1], [1], [0]])

    def change(found):
        return replace(found, inside=np.array([True, False, False]))

    path = tmp_path / f"labels{suffix}"
    write(judge(flux, ivar, change=change), path)
    table = ascii.read(path, format="csv") if suffix == ".csv" else Table.read(path)
    assert table["flag"].tolist() == ["I", "O", "N"]
    assert sum(table["flag"] != "I") == 2
    assert sum(table["status"] != "ok") == 1


@pytest.mark.skipif(not COOL, reason="no sample spectra")
@pytest.mark.parametrize("snr", [None, 30, 25, 20])
def test_no_real_cool_star_is_believed(matched_slam, lrs_templates, grid, snr):
    """Not one of the shared files, nor with noise added."""
    rng = np.random.default_rng(8)
    spectra = [read(path) for path in sorted(SAMPLES.glob("lamost_lrs/**/*.fits*"))]
    spectra = [spectrum for spectrum in spectra if snr is None or spectrum.header["snr"] > snr]
    spectra = [spectrum if snr is None else noisier(spectrum, snr, rng) for spectrum in spectra]
    flux, ivar = (
        np.array(part)
        for part in zip(*(prepare_with_velocity(s, LRS, lrs_templates)[:2] for s in spectra), strict=True)
    )
    found = infer(matched_slam, flux, ivar, inside=grid.contains, reject=5.0)
    table = judged(found, matched_slam, LRS, flux, ivar, [spectrum.header["snr"] for spectrum in spectra])
    assert len(table) > 20
    believed = (table["flag"] == "I") & (table["status"] == "ok")
    assert [spectra[i].header["file"] for i in np.flatnonzero(believed)] == []
