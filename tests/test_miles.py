"""Stars of the MILES library as simulated LAMOST spectra, and what becomes of them; on a made-up library."""

import numpy as np
import pytest
from astropy.io import fits

from compendium.miles import observe_miles, read_miles
from slamlib.instruments import LRS
from slamlib.mock.lamost_write import write_lrs
from slamlib.mock.population import observing_conditions
from slamlib.spectra.lamost import read
from slamlib.spectra.prepare import prepare_with_velocity
from slamlib.spectra.selection import line_widths

PIXELS, WAVE0, STEP = 4300, 3540.5, 0.9
STARS = {"0002": (22_000.0, 4.0, 0.0), "0010": (5_700.0, 4.4, 0.1), "0007": (99_999.0, 9999.0, 9999.0)}
WAVE = WAVE0 + STEP * np.arange(PIXELS)


def spectrum(teff):
    """Hydrogen lines in all, a G band and Mg I in a cool star, on the slope of its temperature."""
    depth = sum(
        0.35 * np.exp(-0.5 * ((WAVE - centre) / 5) ** 2) for centre in (4101.7, 4340.5, 4861.3, 6562.8)
    )
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
