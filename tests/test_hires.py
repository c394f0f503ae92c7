"""High-resolution spectra of every kind of file: wavelengths in air, missing flux, resolving power."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from slamlib.errors import FileError
from slamlib.spectra.dispersion import wavelengths
from slamlib.spectra.hires import read_hires
from slamlib.spectra.reading import ASSUMED_AIR, TOPOCENTRIC, UNKNOWN_FRAME
from slamlib.spectra.spectrum import air_from_vacuum

WAVE = 4000 + 0.5 * np.arange(50)
N = 60_000
LINEAR = 3900 + 0.05 * np.arange(N)
LOG = 3900 * np.exp(1e-5 * np.arange(N))
UNITS = dict.fromkeys(("Angstroms", "ANGSTROM", "A", "AA", "angstrom", "Ang"), 1)
UNITS |= {"nm": 10, "nanometers": 10, "um": 1e4, "micron": 1e4, "microns": 1e4, "m": 1e10}


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
        ({"AIRORVAC": "air", "SPECSYS": "BARYCENT"}, WAVE, ""),
        ({"CTYPE1": "AWAV", "SPECSYS": "TOPOCENT"}, WAVE, TOPOCENTRIC),
        ({"CTYPE1": "AWAV", "BERV": 22.34}, WAVE, UNKNOWN_FRAME),
        ({"CTYPE1": "AWAV", "BERV": 22.34, "SPECSYS": "BARYCENT"}, WAVE, ""),
        ({"SPECSYS": "TOPOCENT"}, WAVE, f"{ASSUMED_AIR}; {TOPOCENTRIC}"),
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
    found = read_hires(write(tmp_path / "a.fits", **cards))
    assert found.resolution == pytest.approx(resolution, nan_ok=True)


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
    assert found.assumed == ASSUMED_AIR and found.resolution == 42310
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


def header(**cards):
    """A header; DC_FLAG stands for DC-FLAG."""
    made = fits.Header()
    made.update({name.replace("_FLAG", "-FLAG"): value for name, value in cards.items()})
    return made


def read(**cards):
    return wavelengths(header(**cards), N)


@pytest.mark.parametrize(
    ("ctype", "in_air"),
    [("WAVE", False), ("AWAV", True), ("WAVE-LOG", False), ("AWAV-LOG", True), ("AWAV    ", True)],
)
@pytest.mark.parametrize(
    "step",
    [{"CDELT1": 0.05}, {"CD1_1": 0.05}, {"CDELT1": 0.1, "PC1_1": 0.5}, {"CDELT1": 1.0, "PC1_1": 0.05}],
)
def test_axes_of_the_fits_standard_are_read_as_wcslib_reads_them(ctype, in_air, step):
    cards = {"CRVAL1": 3900.0, "CRPIX1": 11.0, "CUNIT1": "Angstrom", "CTYPE1": ctype.strip(), **step}
    found, air = read(**cards)
    theirs = WCS(header(NAXIS=1, NAXIS1=N, WCSAXES=1, **cards)).wcs_pix2world(np.arange(N), 0)[0] * 1e10
    np.testing.assert_allclose(found, theirs, rtol=1e-9)
    assert air is in_air


@pytest.mark.parametrize("flag", [1, 1.0, "1", " 1 ", "1.0", True])
def test_iraf_marks_log10_by_dc_flag_of_any_type(flag):
    found, air = read(CRVAL1=np.log10(3900), CD1_1=1e-5 / np.log(10), CTYPE1="LINEAR", DC_FLAG=flag)
    np.testing.assert_allclose(found, LOG)
    assert air is None


@pytest.mark.parametrize("ctype", ["", "LINEAR", "LOG-LINEAR", "log(wavelength)", "WAVE-LOG"])
@pytest.mark.parametrize("base", [10, np.e])
def test_logarithms_are_known_by_their_numbers(ctype, base):
    found, _ = read(CRVAL1=np.log(3900) / np.log(base), CDELT1=1e-5 / np.log(base), CTYPE1=ctype)
    np.testing.assert_allclose(found, LOG)


@pytest.mark.parametrize("unit", [*UNITS, "0.1 nm"])
def test_units_are_read_whoever_wrote_them(unit):
    size = UNITS.get(unit, 1)
    found, _ = read(CRVAL1=3900 / size, CD1_1=0.05 / size, CUNIT1=unit, WAT1_001="units=furlongs")
    np.testing.assert_allclose(found, LINEAR)


def multispec(solution, **cards):
    """A header whose WAT2 is cut into cards of 68 characters, as IRAF cuts it."""
    text = f'wtype=multispec spec1 = "{solution}"'
    cards |= {f"WAT2_{i // 68 + 1:03d}": text[i : i + 68] for i in range(0, len(text), 68)}
    return header(CTYPE1="MULTISPE", CDELT1=1.0, CD1_1=1.0, CRVAL1=1.0, **cards)


def test_multispec_of_one_spectrum_is_read_from_wat2():
    wat1 = {"WAT1_001": "wtype=multispec label=Wavelength units=nanometers"}
    linear, _ = wavelengths(multispec("1 113 0 390.0 0.005 60000 0. 23.22 31.27", **wat1), N)
    np.testing.assert_allclose(linear, LINEAR)
    log10 = f"1 1 1 {np.log10(3900):.15f} {1e-5 / np.log(10):.17f} 60000 0. 1.0 1.0"
    np.testing.assert_allclose(wavelengths(multispec(log10), N)[0], LOG)
    # The blank at the end of the first card is lost when FITS is read.
    for pad in range(60, 70):
        padded = multispec(f"1 113 0{' ' * (pad - 32)}3900.0 0.05 60000 0. 23.22 31.27")
        np.testing.assert_allclose(wavelengths(padded, N)[0], LINEAR)


@pytest.mark.parametrize(
    ("cards", "message"),
    [
        ({"CRVAL1": 386.0, "CDELT1": 0.0053}, "386 to 703.995 A .* look like nm"),
        ({"CRVAL1": 0.39, "CDELT1": 5e-6}, "look like um"),
        ({"CRVAL1": 3.9e-7, "CDELT1": 5e-12}, "look like m: "),
        ({"CRVAL1": 0.0, "CDELT1": 1.0, "CTYPE1": "PIXEL"}, "look like pixel numbers"),
        ({"CRVAL1": 1.0, "CDELT1": 1.0, "CTYPE1": "LINEAR"}, "look like pixel numbers"),
        ({"CRVAL1": -500.0, "CDELT1": 0.1}, "give Angstrom, from 2000 to 30000"),
        ({"CRVAL1": "nan", "CDELT1": 0.1}, "give Angstrom"),
        ({"CRVAL1": 4000.0, "CDELT1": 0.1, "DC_FLAG": 1}, "4000 to 9999.9 are no logarithms"),
        ({"CRVAL1": 4000.0, "CDELT1": 0.1, "CUNIT1": "km/s"}, "unit 'km/s'; use Angstrom"),
        ({"CRVAL1": 4000.0, "CDELT1": 0.1, "CUNIT1": "10**1000000000 m"}, "use Angstrom"),
        ({"CRVAL1": 4000.0, "CDELT1": 0.1, "CTYPE1": "VELO"}, "'VELO' is not read"),
        ({"CRVAL1": 4000.0, "CDELT1": 0.1, "CTYPE1": "WAVE-TAB"}, "'WAVE-TAB' is not read"),
        ({"CRVAL1": 4000.0, "CDELT1": 0.1, "CTYPE1": "AWAV-GRI"}, "'AWAV-GRI' is not read"),
        ({"CRVAL1": 4000.0}, "needs CRVAL1 and CDELT1"),
        ({"CDELT1": 0.05}, "needs CRVAL1 and CDELT1"),
    ],
)
def test_what_no_optical_spectrum_has_is_refused_with_the_likely_reason(cards, message):
    with pytest.raises(FileError, match=message):
        read(**cards)


@pytest.mark.parametrize(
    ("solution", "message"),
    [
        ("1 113 2 4955.44 0.05 256 0. 23.2 31.3 1. 0. 2 4 1. 256. 4963.0 5.9 -0.3 -0.8", "type 2.*dispcor"),
        ("1 113 -1 1.0 1.0 256 0. 23.22 31.27", "type -1"),
        ("1 1 1 3.6 0.00001 256 0.001 1. 1.", "at rest"),
        ('1 1 0 4000. 0.1 9 0. 1. 1." spec2 = "2 2 0 4100. 0.1 9 0. 1. 1.', "of 2 spectra.*scopy"),
    ],
)
def test_other_solutions_of_multispec_are_refused(solution, message):
    with pytest.raises(FileError, match=message):
        wavelengths(multispec(solution), N)
