"""Stars of high-resolution spectra: every file has its rows, and only what was measured counts."""

from types import SimpleNamespace

import numpy as np
import pytest
from astropy.table import Table
from compendia import EMBEDDED, SAMPLES
from pictured import hrs_table

from compendium.hrs import comparable, hrs_errors, label_stars
from compendium.hrs_stars import RESOLUTION, SPUN, real_stars, simulated_stars
from slamlib.instruments import C_KMS, INSTRUMENTS
from slamlib.io import read_ecsv, write_ecsv
from slamlib.labelling.templates import velocity_templates
from slamlib.labels import NAMES
from slamlib.spectra.reading import ASSUMED_AIR

KNOWN = read_ecsv(EMBEDDED / "hrs_labels.ecsv")


def write_text(path, wave, flux):
    path.write_text("\n".join(f"{w:.3f} {f:.4f}" for w, f in zip(wave, flux, strict=True)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory, grid):
    """Files as users have them: of a known star, unknown, in nm, without an arm, damaged."""
    folder = tmp_path_factory.mktemp("hires")
    wave, flux = grid.wave, grid.spectra([[22_000, 4.0, 0.0]])[0]
    write_text(folder / "HD886_nm.txt", wave / 10, flux)
    write_text(folder / "HD886.txt", wave, flux)
    write_text(folder / "HD8861.txt", wave, flux)
    blue = wave < 5400
    write_text(folder / "mystery_blue.txt", wave[blue], flux[blue])
    (folder / "broken.fits").write_bytes(b"SIMPLE  = but not FITS")
    (folder / ".hidden").touch()
    table = Table({"file": ["mystery_blue.txt", "lost.fits"], "star": ["X Per", ""]})
    table["resolution"] = [2e4, np.nan]
    table["teff"], table["e_teff"] = [29_500.0, np.nan], [1000.0, np.nan]
    write_ecsv(table, folder / "stars.ecsv")
    return folder


def test_every_file_is_read_or_has_its_reason(folder):
    stars = {star.file: star for star in real_stars(folder, KNOWN)}
    texts, others = ["HD886.txt", "HD8861.txt", "HD886_nm.txt"], ["broken.fits", "lost.fits"]
    assert list(stars) == [*texts, *others, "mystery_blue.txt"]
    assert stars["HD886_nm.txt"].reason.startswith("HD886_nm.txt: wavelengths from 385")
    assert "look like nm" in stars["HD886_nm.txt"].reason
    assert stars["broken.fits"].reason.startswith("broken.fits is damaged")
    assert "no file lost.fits" in stars["lost.fits"].reason
    assert str(folder) not in " ".join(star.reason for star in stars.values())
    assert all((star.spectrum is None) == bool(star.reason) for star in stars.values())


def test_labels_and_resolution_are_those_of_the_tables_or_said_to_be_assumed(folder):
    stars = {star.file: star for star in real_stars(folder, KNOWN)}
    peg, unknown, listed = (stars[name] for name in ("HD886.txt", "HD8861.txt", "mystery_blue.txt"))
    assert (peg.star, peg.known["teff"], peg.known["e_logg"]) == ("HD886", 22_000, 0.05)
    assert (unknown.star, listed.star) == ("HD8861", "X Per")
    assert np.isnan([unknown.known[name] for name in NAMES]).all()
    assert (listed.known["teff"], listed.known["e_teff"]) == (29_500, 1000)
    assert np.isnan(listed.known["logg"]) and listed.spectrum.resolution == 20_000
    # Pixels of 4 km/s.
    assert peg.spectrum.resolution == pytest.approx(C_KMS / 8, rel=1e-3)
    assert peg.assumed == "R = 37474: neither the file nor stars.ecsv tells"
    assert listed.assumed == ""


def test_spun_stars_are_the_same_but_for_their_rotation(grid):
    rng = np.random.default_rng
    slow, spun = (simulated_stars(KNOWN[:6], grid, rng(3), spin) for spin in (None, (0, 300)))
    assert [star.star for star in slow] == [star.star for star in spun] == list(KNOWN["star"][:6])
    assert {star.origin for star in spun} == {SPUN}
    assert [star.known["vsini"] for star in slow] == list(KNOWN["vsini"][:6])
    spins = np.array([star.known["vsini"] for star in spun])
    assert ((spins >= 0) & (spins <= 300)).all() and np.ptp(spins) > 100
    assert all(a.known["teff"] == b.known["teff"] for a, b in zip(slow, spun, strict=True))
    assert {star.spectrum.resolution for star in slow + spun} == {RESOLUTION}


def echo(labels, grid):
    """Labellers whose labels are `labels` wherever there is a spectrum."""

    def label(flux, ivar, simulated):
        seen = ivar.any(axis=1)
        table = Table()
        for name, value in zip(NAMES, labels, strict=True):
            table[name], table[f"e_{name}"] = np.where(seen, value, np.nan), np.where(seen, 1.0, np.nan)
        table["vsini_limit"], table["chi2"] = np.nan, 1.0
        table["flag"], table["status"] = "I", np.where(seen, "ok", "no data")
        return table

    return {
        name: SimpleNamespace(label=label, instrument=one, templates=velocity_templates(grid, one))
        for name, one in INSTRUMENTS.items()
    }


def test_every_star_has_a_row_for_each_instrument_whatever_its_file_lacks(folder, grid):
    stars = real_stars(folder, KNOWN)
    labellers = echo([22_000, 4.0, 0.0, 10.0], grid)
    table, spectra = label_stars(stars, labellers, lambda _: np.random.default_rng(1))
    assert list(table["file"]) == 2 * [star.file for star in stars]
    blank = np.isnan(table["teff"])
    np.testing.assert_array_equal(blank, table["reason"] != "")
    np.testing.assert_array_equal(blank, table["status"] == "no data")
    reason = {(row["file"], row["instrument"]): row["reason"] for row in table}
    assert "less than half of each arm of LRS" in reason["mystery_blue.txt", "LRS"]
    assert reason["mystery_blue.txt", "MRS"] == reason["HD8861.txt", "LRS"] == ""
    assert not table.meta["simulated"] and spectra["MRS"][1][-1].any()


def test_a_star_is_seen_the_same_whatever_its_company(folder, grid):
    stars = [star for star in real_stars(folder, KNOWN) if not star.reason]
    labellers = echo([22_000, 4.0, 0.0, 10.0], grid)
    rng_of = lambda name: np.random.default_rng(len(name))  # noqa: E731
    seen = [label_stars(some, labellers, rng_of) for some in (stars, stars[-1:])]
    for name in INSTRUMENTS:
        for together, alone in zip(*(spectra[name] for _, spectra in seen), strict=True):
            np.testing.assert_array_equal(together[-1], alone[0])


def test_only_measured_labels_inside_the_grid_count():
    table = hrs_table()
    table["vsini_limit"][4] = 90.0
    table["teff"][5], table["teff_hrs"][6] = np.nan, np.nan
    table["status"][7] = "edge"
    left_out = {"teff": {0, 5, 6, 7}, "logg": {0, 7}, "vsini": {0, 4, 7}}
    for label, rows in left_out.items():
        assert set(np.flatnonzero(~comparable(table, label))) == rows


def test_errors_are_the_scatter_of_what_counts_beside_the_papers():
    table = hrs_table()
    table["vsini"][4], table["vsini_limit"][3:5] = 1e4, (table["vsini_hrs"][3] - 1, 1e3)
    errors = hrs_errors(table, {"sigma_vsini_lrs_hrs": 42.0})
    row = errors[(errors["instrument"] == "LRS") & (errors["label"] == "vsini")][0]
    counts = [1, 2, *range(5, 12)]
    off = (table["vsini"] - table["vsini_hrs"])[counts]
    assert (row["n"], row["n_limits"], row["limits_hold"], row["unit"], row["paper"]) == (9, 2, 1, "km/s", 42)
    assert row["scatter"] == pytest.approx(np.sqrt(np.mean(off**2)))
    assert row["bias"] == pytest.approx(np.mean(off))
    assert row["error"] == pytest.approx(np.median(table["e_vsini"][counts]))
    assert list(errors["unit"][:3]) == ["K", "dex", "km/s"]


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="no sample spectra")
def test_all_sample_spectra_are_read():
    stars = real_stars(SAMPLES / "hires", KNOWN)
    assert len(stars) == 7 and not any(star.reason for star in stars)
    assert {star.star for star in stars} >= {"HD886", "HD149438", "HD48279", "HD190429A"}
    # Text says nothing of its resolution; pixels of 0.15 A bound it to 18,000.
    assert all(("R = 17833" in star.assumed) == star.file.endswith("txt.gz") for star in stars)
    assert not any(ASSUMED_AIR in star.assumed for star in stars)
