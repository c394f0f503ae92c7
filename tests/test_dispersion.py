"""Wavelengths of FITS headers: what FITS and IRAF define is read, what no optical spectrum has is refused."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from slamlib.errors import FileError
from slamlib.spectra.dispersion import wavelengths

N = 60_000
LINEAR = 3900 + 0.05 * np.arange(N)
LOG = 3900 * np.exp(1e-5 * np.arange(N))


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


UNITS = dict.fromkeys(("Angstroms", "ANGSTROM", "A", "AA", "angstrom", "Ang"), 1)
UNITS |= {"nm": 10, "nanometers": 10, "um": 1e4, "micron": 1e4, "microns": 1e4, "m": 1e10}


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
