"""Any file or object of a star's spectrum gives its labels; one that cannot be read says why, in one line."""

import re

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import Table, vstack
from astropy.utils.masked import Masked
from written import FILES, LABELS, LINEAR, LOG, OBJECTS, RV, Like, Star, desi, image, sdss, table, text

import slamlib
from slamlib.cli.main import main
from slamlib.errors import InputError, SlamlibError
from slamlib.instruments import LRS, get_instrument
from slamlib.labelling.labeller import Labeller
from slamlib.labels import NAMES
from slamlib.spectra.reading import Hints, as_spectrum
from slamlib.spectra.recognise import recognise

RESOLUTION, SNR = 3000, 120
BAD = np.arange(LINEAR.size) % 7 == 3
BLUE = """
name = "BLUE"
resolution = 3000
arms = [[3950, 5050, 0.6]]
sampling = 3e-5
stiffness = 4e6
"""


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLAMLIB_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="module")
def blue(grid, grid_path, tmp_path_factory):
    """What labels spectra of a small spectrograph, given as a file."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "blue.toml").write_text(BLUE)
    instrument = get_instrument(folder / "blue.toml")
    labeller = Labeller.train(grid, instrument, n=300, n_calibration=20, snrs=(SNR,), progress=False)
    labeller.save(folder / "krr_BLUE.npz")
    given = {"grid": str(grid_path), "models": folder, "progress": False}
    return given | {"instrument": folder / "blue.toml"}


@pytest.fixture
def star(grid, request):
    return Star(grid, RESOLUTION, SNR, seed=len(request.node.name))


def check(table, name="BLUE"):
    (row,) = table
    assert row["instrument"] == name
    assert row["status"] == "ok", row["status"]
    found = np.array([row[label] for label in NAMES])
    errors = np.array([row[f"e_{label}"] for label in NAMES])
    assert (np.abs(found - LABELS) < 3 * errors).all(), (found, errors)
    assert (errors < [2000, 0.2, 0.3, 40]).all()
    # Air taken for vacuum would be 80 km/s off.
    assert row["rv"] == pytest.approx(RV, abs=8)


@pytest.mark.parametrize("write", FILES, ids=lambda write: write.__name__)
def test_a_star_in_any_file_has_its_labels(write, star, blue, tmp_path):
    path = tmp_path / f"{write.__name__}.dat"
    write(path, star)
    table = slamlib.label(path, **blue, **FILES[write])
    check(table)
    assert table["file"][0] == path.name


@pytest.mark.parametrize("make", OBJECTS, ids=lambda make: make.__name__)
def test_a_star_in_memory_has_its_labels(make, star, blue):
    check(slamlib.label(make(star), **blue, **OBJECTS[make]))


def test_a_labeller_takes_files_spectra_and_arrays_alike(star, blue, tmp_path):
    labeller = Labeller.read(blue["models"] / "krr_BLUE.npz")
    text(tmp_path / "star.txt", star)
    spectrum = slamlib.read(tmp_path / "star.txt")
    given = [tmp_path / "star.txt", spectrum, tuple(np.loadtxt(tmp_path / "star.txt").T)]
    table = labeller.label(given)
    alone = vstack([labeller.label(one) for one in given], "exact")
    assert len(alone) == len(given) and len(labeller.label(str(given[0]))) == 1
    for label in NAMES:
        np.testing.assert_allclose(table[label], table[label][0], rtol=1e-6)
        np.testing.assert_array_equal(alone[label], table[label])
    expected = slamlib.label(tmp_path / "star.txt", **blue)
    assert table["teff"][0] == expected["teff"][0]


def test_layouts_tell_their_instrument_place_and_number(star, tmp_path):
    sdss(tmp_path / "spec.fits", star)
    desi(tmp_path / "coadd.fits", star)
    np.savetxt(tmp_path / "fine.txt", np.stack([np.arange(4000, 5000, 0.03), np.ones(33334)], axis=1))
    found = [recognise(tmp_path / name) for name in ("spec.fits", "coadd.fits", "fine.txt")]
    assert [instrument.name for instrument, _ in found] == ["BOSS", "DESI", "HERMES"]
    for _, spectrum in found[:2]:
        assert (spectrum.header["ra"], spectrum.header["dec"]) == (120.5, 33.0)
    assert found[1][1].header["obsid"] == 39627_000_000_001
    assert "by its pixels" in found[2][1].header["assumed"]


def test_a_resolving_power_makes_an_instrument_of_the_range(star, tmp_path):
    flux, _ = star(LINEAR)
    flux[(LINEAR > 4210) & (LINEAR < 4290)] = 0
    image(tmp_path / "a.fits", flux, CTYPE1="AWAV", CRVAL1=3880.0, CDELT1=0.3, SPEC_RES=3141.0)
    instrument, _ = recognise(tmp_path / "a.fits")
    assert instrument.name == "R3100_3900-4200_4300-5100"
    assert recognise(tmp_path / "a.fits", Hints(resolution=3080.0))[0] == instrument
    # Named by what it is: all that files of a spectrograph share.
    assert recognise(tmp_path / "a.fits", Hints(resolution=5000.0))[0].name.startswith("R5000")
    with pytest.raises(InputError, match=r"R = 300000000\.0; name the instrument"):
        recognise(tmp_path / "a.fits", Hints(resolution=3e8))
    text(tmp_path / "fine.txt", star, np.arange(3880, 5120, 0.03))
    for name, told in (("a.fits", False), ("fine.txt", True)):
        assumed = recognise(tmp_path / name, Hints(LRS))[1].header["assumed"]
        assert ("pixels far finer than LRS resolves" in assumed) == told


def test_noise_is_found_where_a_file_has_none(star, tmp_path):
    flux, error = star(LINEAR)
    np.savetxt(tmp_path / "two.txt", np.stack([LINEAR, flux], axis=1))
    _, spectrum = recognise(tmp_path / "two.txt", Hints(resolution=RESOLUTION))
    found = 1 / np.sqrt(spectrum.ivar[~spectrum.mask])
    known = np.interp(spectrum.wave[~spectrum.mask], LINEAR, error)
    assert np.median(found / known) == pytest.approx(1, abs=0.15)
    assert "those of the scatter" in spectrum.header["assumed"]
    assert as_spectrum((LINEAR, flux, None)).header["errors"] is False


def save(path, *columns):
    np.savetxt(path, np.stack(columns, axis=1))


def orders(path, star):
    image(path, np.ones((60, 500)), CTYPE1="MULTISPE", WAT2_001='spec1 = "1 1 0" spec2 = "2 2 0"')


def two_stars(path, star):
    desi(path, star)
    with fits.open(path) as hdus:
        data = np.repeat(hdus["FIBERMAP"].data, 2)
        hdus["FIBERMAP"].data = data
        hdus.writeto(path, overwrite=True)


def useless(ivar, mask):
    ones = np.ones(LOG.size)
    columns = {"flux": ones, "loglam": np.log10(LOG), "ivar": ivar * ones, "AND_MASK": mask * ones}
    return lambda path, star: table(path, "COADD", **columns)


BROKEN = {
    "nm without a unit": (lambda p, s: save(p, LINEAR / 10, s(LINEAR)[0]), "look like nm: give the unit"),
    "logarithms": (lambda p, s: save(p, np.log10(LOG), s(LOG)[0]), "look like logarithms: convert them"),
    "pixels": (lambda p, s: save(p, np.arange(900.0), np.ones(900)), "pixel numbers: calibrate"),
    "not sorted": (lambda p, s: save(p, LINEAR[[1, 0, 2]], np.ones(3)), "not in order; sort them"),
    "no flux": (lambda p, s: save(p, LINEAR, 0 * LINEAR), "every pixel .* has no flux .* leave this file"),
    "words": (lambda p, s: p.write_text("a spectrum\nof words\n"), "neither FITS nor two columns.*convert"),
    "four columns": (lambda p, s: save(p, LINEAR, *s(LINEAR), LINEAR), "text of 4 columns: .*; keep"),
    "no resolution": (text, "does not tell its resolving power; name the instrument .*--resolution R"),
    "infrared": (lambda p, s: save(p, np.arange(9000, 9900, 0.03), np.ones(30000)), "none where HERMES"),
    "orders": (orders, "not a one-dimensional spectrum.*merge the orders"),
    "no axis": (lambda p, s: image(p, np.ones(50)), "no wavelengths: the header needs CRVAL1"),
    "many stars": (two_stars, "spectra of 2 stars in one file; write that of one star"),
    "all masked": (useless(ivar=1, mask=1), "every pixel is masked.*; leave this file out"),
    "no weight": (useless(ivar=0, mask=0), "every pixel .* no inverse variance; leave this file out"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_cannot_be_labelled_says_why_in_one_line(case, star, tmp_path, capsys):
    write, message = BROKEN[case]
    write(tmp_path / "star.dat", star)
    assert main(["label", str(tmp_path / "star.dat")]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "star.dat" in error
    assert re.search(message, error), error


def test_a_unit_is_that_of_the_wavelengths_not_of_their_logarithms(tmp_path):
    table(tmp_path / "a.fits", LOGLAM=np.log10(LINEAR / 10), FLUX=LINEAR)
    np.testing.assert_allclose(slamlib.read(tmp_path / "a.fits", unit="nm").wave, LINEAR)


@pytest.mark.parametrize(("name", "errors"), [("QUAL", True), ("MASK", False), ("QUAL", False)])
def test_pixels_that_a_file_calls_bad_are_bad(name, errors, star, tmp_path):
    flux, error = star(LINEAR)
    columns = {"ERRS": error, name: 1.0 * BAD} if errors else {name: 1.0 * BAD}
    hdus = [fits.ImageHDU(values, name=key) for key, values in columns.items()]
    image(tmp_path / "image.fits", flux, *hdus, CTYPE1="AWAV", CRVAL1=3880.0, CDELT1=0.3)
    table(tmp_path / "table.fits", WAVE=LINEAR, FLUX=flux, **columns)
    for path in tmp_path.iterdir():
        spectrum = slamlib.read(path)
        np.testing.assert_array_equal(spectrum.mask, BAD)
        assert spectrum.header["errors"] is errors


MASKED = {
    "error": lambda flux, error: (LINEAR, flux, np.ma.array(error, mask=BAD)),
    "quantity": lambda flux, error: (LINEAR * u.AA, Masked(flux * u.Jy, mask=BAD), error * 1e3 * u.mJy),
    "columns": lambda *pair: tuple(Table([LINEAR, np.ma.array(pair[0], mask=BAD), pair[1]]).itercols()),
}


@pytest.mark.parametrize("case", MASKED)
def test_masked_pixels_are_bad_and_files_spellings_are_units(case, star):
    flux, error = star(LINEAR)
    spectrum = as_spectrum(MASKED[case](flux, error), Hints(unit="Angstroms"))
    np.testing.assert_array_equal(spectrum.wave, LINEAR)
    np.testing.assert_array_equal(spectrum.mask, BAD)
    np.testing.assert_allclose(spectrum.ivar, np.where(BAD, 0, error**-2))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (5, "int is no spectrum; give files"),
        ((LINEAR, LINEAR[1:]), "not vectors of one length"),
        (Like(LINEAR[None], LINEAR[None], LINEAR[None]), "not vectors of one length"),
        (([], [], []), "at least two pixels; leave"),
        ((LINEAR * u.km / u.s, LINEAR), "cannot be used .*not convertible.*; give"),
        ((LINEAR, LINEAR * u.adu, LINEAR * u.Jy), "cannot be used .*not convertible.*; give"),
        ((LINEAR, LINEAR, np.full(LINEAR.size, np.inf)), "every pixel is masked"),
    ],
)
def test_what_is_no_spectrum_is_refused(given, message):
    with pytest.raises(SlamlibError, match=message):
        as_spectrum(given)


def test_pixels_wider_than_the_resolution_are_refused(star, tmp_path):
    save(tmp_path / "star.txt", LINEAR[::10], star(LINEAR)[0][::10])
    with pytest.raises(InputError, match=r"star\.txt: pixels of 3 A are wider than what HERMES resolves"):
        recognise(tmp_path / "star.txt", Hints("HERMES"))
