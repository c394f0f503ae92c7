"""High-resolution spectra of every kind of file: wavelengths in air, missing flux, resolving power."""

import numpy as np
import pytest
from astropy.io import fits

from slamlib.spectra.hires import read_hires
from slamlib.spectra.reading import ASSUMED_AIR
from slamlib.spectra.spectrum import air_from_vacuum

WAVE = 4000 + 0.5 * np.arange(50)


def write(path, flux=None, **header):
    hdu = fits.PrimaryHDU(np.arange(50, dtype=np.float32) + 1 if flux is None else flux)
    hdu.header.update({"CRVAL1": 4000.0, "CDELT1": 0.5} | header)
    hdu.writeto(path)
    return path


@pytest.mark.parametrize(
    ("cards", "wave", "assumed"),
    [
        ({"CTYPE1": "AWAV"}, WAVE, ""),
        ({"CTYPE1": "WAVE"}, air_from_vacuum(WAVE), ""),
        ({"CTYPE1": "LINEAR"}, WAVE, ASSUMED_AIR),
        ({}, WAVE, ASSUMED_AIR),
        ({"VACUUM": True}, air_from_vacuum(WAVE), ""),
        ({"VACUUM": "F"}, WAVE, ""),
        # A pressure.
        ({"VACUUM": 1e-6}, WAVE, ASSUMED_AIR),
        ({"AIRORVAC": "vac"}, air_from_vacuum(WAVE), ""),
        ({"AIRORVAC": "air"}, WAVE, ""),
    ],
)
def test_an_image_is_in_air_or_vacuum_as_its_header_says(tmp_path, cards, wave, assumed):
    found = read_hires(write(tmp_path / "a.fits", **cards))
    np.testing.assert_allclose(found.wave, wave)
    np.testing.assert_array_equal(found.flux, np.arange(50) + 1)
    assert found.assumed == assumed


@pytest.mark.parametrize(
    ("cards", "resolution"),
    [
        ({"SPEC_RES": 48000.0}, 48000),
        ({"SPEC_RP": "65000"}, 65000),
        ({"BSS_ITRP": 17000}, 17000),
        # FWHM in Angstrom: no resolving power under this name, one under the other.
        ({"SPEC_RES": 0.1}, np.nan),
        ({"H_WRESOL": 0.1}, WAVE.mean() / 0.1),
        ({"H_WRESOL": 0.0, "SPECRES": "high", "SPEC_RES": True}, np.nan),
        ({}, np.nan),
    ],
)
def test_the_resolving_power_is_that_of_the_header(tmp_path, cards, resolution):
    assert read_hires(write(tmp_path / "a.fits", **cards)).resolution == pytest.approx(
        resolution, nan_ok=True
    )


def eso_table(path, ucd, wave=WAVE, unit="angstrom", flux=None, **primary):
    """A spectrum as ESO's archive lays it out: one row of vectors, no primary data."""
    flux = np.arange(wave.size) + 1.0 if flux is None else flux
    columns = [
        fits.Column(name, f"{values.size}D", unit=of, array=values[None])
        for name, values, of in (("WAVE", wave, unit), ("FLUX", flux, "adu"), ("ERR", 0.1 * flux, "adu"))
    ]
    table = fits.BinTableHDU.from_columns(columns, name="SPECTRUM")
    if ucd is not None:
        table.header["TUCD1"] = ucd
    fits.HDUList([fits.PrimaryHDU(header=fits.Header(primary)), table]).writeto(path)
    return path


@pytest.mark.parametrize("unit", ["angstrom", "Angstrom", "nm"])
@pytest.mark.parametrize("write_ucd", [str, str.upper])
def test_eso_tables_are_read_in_air_or_vacuum_as_their_ucd_says(tmp_path, unit, write_ucd):
    given = WAVE / {"nm": 10}.get(unit, 1)
    air = read_hires(eso_table(tmp_path / "air.fits", write_ucd("em.wl;obs.atmos"), given, unit))
    vacuum = read_hires(eso_table(tmp_path / "vacuum.fits", write_ucd("em.wl"), given, unit))
    np.testing.assert_allclose(air.wave, WAVE)
    np.testing.assert_allclose(vacuum.wave, air_from_vacuum(WAVE))
    np.testing.assert_array_equal(air.flux, np.arange(50) + 1)
    assert air.assumed == vacuum.assumed == ""


@pytest.mark.parametrize("ucd", [None, "", "meta.main"])
def test_an_eso_table_without_ucd_is_taken_to_be_in_air_and_says_so(tmp_path, ucd):
    found = read_hires(eso_table(tmp_path / "a.fits", ucd, SPEC_RES=42310.0))
    np.testing.assert_allclose(found.wave, WAVE)
    assert found.assumed == ASSUMED_AIR
    assert found.resolution == 42310
    told = read_hires(eso_table(tmp_path / "b.fits", ucd, VACUUM=True))
    np.testing.assert_allclose(told.wave, air_from_vacuum(WAVE))
    assert told.assumed == ""


def test_pixels_of_zero_are_missing_as_those_of_nan_are(tmp_path):
    flux = np.ones(50)
    flux[:5] = flux[20:30] = 0
    flux[40] = np.nan
    found = read_hires(write(tmp_path / "a.fits", flux))
    expected = np.where(flux == 1, 1, np.nan)
    np.testing.assert_array_equal(found.flux, expected)
