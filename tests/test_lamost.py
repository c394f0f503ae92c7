"""Every layout of LAMOST files is read; bad files get one clear error; what we write, we read."""

import gzip

import numpy as np
import pytest
from astropy.io import fits
from compendia import SAMPLES
from corruptions import as_vectors

from slamlib.errors import FileError
from slamlib.mock.lamost_write import write_lrs, write_mrs
from slamlib.spectra.lamost import common_header, read
from slamlib.spectra.spectrum import Spectrum, air_from_vacuum

LRS_FILES = sorted(SAMPLES.glob("lamost_lrs/*.fits*"))
PILOT_FILES = sorted(SAMPLES.glob("lamost_lrs/pilot/*"))
MRS_FILES = sorted(SAMPLES.glob("lamost_mrs/*"))
VACUUM = 10 ** (3.5682 + 1e-4 * np.arange(3909))
MRS_VACUUM = {"B": 10 ** np.arange(3.690, 3.731, 1e-5), "R": 10 ** np.arange(3.798, 3.836, 1e-5)}


def make_lrs(mrs=False, **header):
    rng = np.random.default_rng(1)
    vacuum = np.concatenate(list(MRS_VACUUM.values())) if mrs else VACUUM
    mask = np.zeros(vacuum.size, bool)
    mask[[0, 500, 501]] = True
    ivar = np.where(mask, 0, rng.uniform(1, 2, vacuum.size))
    known = {"obsid": 5, "ra": 10.25, "dec": -3.5, "mjd": 58000.5213, "release": "DR7-like"}
    known.update(snr=80.5, subclass="B2", rv=-33.25, e_rv=2.0, snr_b=70.25, snr_r=90.5, simulated=True)
    flux = rng.uniform(90, 110, vacuum.size)
    return Spectrum(air_from_vacuum(vacuum), flux, ivar, mask, {**known, **header})


def lrs_image(**changes):
    """Rows of an LRS image as in DR7, and a primary HDU around them."""
    rows = {"flux": np.full(VACUUM.size, 9.0), "ivar": np.full(VACUUM.size, 4.0), "wave": VACUUM}
    rows.update(andmask=np.zeros(VACUUM.size), ormask=np.zeros(VACUUM.size))
    rows.update(changes)
    return fits.PrimaryHDU(np.stack(list(rows.values())).astype(np.float32))


def mrs_table(name, wave, flux, snr, vectors=False, mask_name="ANDMASK"):
    kind = str(wave.size) if vectors else ""
    shaped = (lambda array: array[None]) if vectors else (lambda array: array)
    place = ("WAVELENGTH", wave) if vectors else ("LOGLAM", np.log10(wave))
    values = (("FLUX", flux), ("IVAR", np.ones(wave.size)), place)
    columns = [fits.Column(known, f"{kind}E", array=shaped(array)) for known, array in values]
    columns.append(fits.Column(mask_name, f"{kind}I", array=shaped(np.zeros(wave.size, int))))
    table = fits.BinTableHDU.from_columns(columns, name=name)
    table.header["SNR"] = snr
    return table


def save(path, *hdus):
    fits.HDUList(list(hdus)).writeto(path)
    return path


@pytest.mark.parametrize(("vacuum", "wave"), [(None, air_from_vacuum(VACUUM)), (False, VACUUM)])
def test_an_lrs_image_is_read_and_brought_to_air_unless_it_is(tmp_path, vacuum, wave):
    hdu = lrs_image()
    if vacuum is not None:
        hdu.header["VACUUM"] = vacuum
    spectrum = read(save(tmp_path / "a.fits", hdu))
    np.testing.assert_allclose(spectrum.wave, wave, atol=5e-4)
    np.testing.assert_array_equal(spectrum.flux, 9)
    assert spectrum.header["instrument"] == "LRS"


def earliest(flux=9.0, **header):
    """An LRS image in the layout of 2013: flux without continuum where later ones have wavelengths."""
    hdu = lrs_image(flux=np.full(VACUUM.size, flux), wave=np.full(VACUUM.size, 1.02))
    hdu.header["EXTEN0"] = "Flux Inverse Subcontinuum Andmask Ormask"
    hdu.header.update({"COEFF0": 3.5682, "COEFF1": 1e-4, "SN_G": 71.5} | header)
    return hdu


def test_the_earliest_layout_has_its_wavelengths_in_the_header(tmp_path):
    old, new = (read(save(tmp_path / f"{i}.fits", hdu)) for i, hdu in enumerate((earliest(), lrs_image())))
    np.testing.assert_allclose(old.wave, new.wave, atol=5e-4)
    np.testing.assert_array_equal(old.flux, new.flux)
    assert old.header["snr"] == 71.5


@pytest.mark.parametrize(
    ("header", "message"), [({"COEFF1": 1e5}, "not in order"), ({"COEFF0": 2.5}, "not LAMOST's")]
)
def test_coefficients_that_no_lamost_file_has_are_refused(tmp_path, header, message):
    refused(save(tmp_path / "a.fits", earliest(**header)), message)


@pytest.mark.skipif(not PILOT_FILES, reason="no sample spectra")
@pytest.mark.parametrize("path", PILOT_FILES, ids=lambda path: path.name)
def test_real_files_of_the_earliest_layout_are_read(path):
    spectrum = read(path)
    assert spectrum.header["instrument"] == "LRS" and 5 < spectrum.header["snr"] < 72
    assert spectrum.wave[0] == pytest.approx(3698.934, abs=0.01)
    if spectrum.header["snr"] > 50:
        # The sodium lines, at the velocity in the header.
        rest = spectrum.wave / (1 + spectrum.header["rv"] / 299792.458)
        near = (rest > 5880) & (rest < 5905) & ~spectrum.mask
        assert rest[near][np.argmin(spectrum.flux[near])] == pytest.approx(5892, abs=5)


def test_the_coadd_table_of_dr9_gives_the_same_spectrum_as_the_image(tmp_path):
    flux = np.random.default_rng(2).uniform(1, 2, VACUUM.size)
    image = save(tmp_path / "old.fits", lrs_image(flux=flux, ivar=flux))
    (tmp_path / "new.fits").write_bytes(as_vectors(image.read_bytes()))
    old, new = read(image), read(tmp_path / "new.fits")
    for name in ("wave", "flux", "ivar", "mask"):
        np.testing.assert_array_equal(getattr(new, name), getattr(old, name))


def test_andmask_and_useless_ivar_are_bad_but_ormask_alone_is_not(tmp_path):
    flux, ivar, andmask, ormask = (np.full(VACUUM.size, value) for value in (9.0, 4.0, 0.0, 0.0))
    andmask[10], ormask[20], flux[30], ivar[40], ivar[50], ivar[60] = 4, 4, np.nan, 0, -1, np.inf
    flux[70] = 0
    hdu = lrs_image(flux=flux, ivar=ivar, andmask=andmask, ormask=ormask)
    spectrum = read(save(tmp_path / "a.fits", hdu))
    np.testing.assert_array_equal(np.flatnonzero(spectrum.mask), [10, 30, 40, 50, 60, 70])
    np.testing.assert_array_equal(spectrum.ivar == 0, spectrum.mask)
    assert np.isfinite(spectrum.flux).all()


@pytest.mark.parametrize("vectors", [False, True])
def test_mrs_arms_are_joined_whatever_the_table_layout(tmp_path, vectors):
    tables = [
        mrs_table(f"COADD_{arm}", wave, np.arange(wave.size) + 1.0, snr, vectors)
        for (arm, wave), snr in zip(MRS_VACUUM.items(), (50.0, 90.0), strict=True)
    ]
    spectrum = read(save(tmp_path / "a.fits", fits.PrimaryHDU(), *tables))
    expected = air_from_vacuum(np.concatenate(list(MRS_VACUUM.values())))
    np.testing.assert_allclose(spectrum.wave, expected, atol=2e-3)
    header = spectrum.header
    assert (header["instrument"], header["snr_b"], header["snr_r"], header["snr"]) == ("MRS", 50, 90, 50)
    assert header["source_b"] == "COADD_B"


def test_without_a_coadd_the_best_exposure_is_taken_and_turned_to_increase(tmp_path):
    blue, red = MRS_VACUUM["B"], MRS_VACUUM["R"]
    tables = [
        mrs_table("COADD_B", blue, np.ones(blue.size), 50.0),
        mrs_table("R-1", red[::-1], np.full(red.size, 3.0), 20.0, mask_name="PIXMASK"),
        mrs_table("R-2", red[::-1], 5 + np.arange(red.size), 30.0, mask_name="PIXMASK"),
    ]
    spectrum = read(save(tmp_path / "a.fits", fits.PrimaryHDU(), *tables))
    assert spectrum.header["source_r"] == "R-2" and spectrum.header["snr_r"] == 30
    assert (np.diff(spectrum.wave) > 0).all() and spectrum.flux[-1] == 5


def test_one_arm_alone_is_read_and_said(tmp_path):
    red = MRS_VACUUM["R"]
    table = mrs_table("COADD_R", red, np.ones(red.size), 9.0)
    spectrum = read(save(tmp_path / "a.fits", fits.PrimaryHDU(), table))
    assert spectrum.wave.size == red.size
    assert spectrum.header["source_b"] == "" and spectrum.header["snr"] == 9


@pytest.mark.parametrize(
    "cards",
    [
        {"RA": "unknown", "SNRG": -9999.0, "Z": 17.0, "DATE-OBS": "yesterday"},
        {"OBSID": 1e300, "RA": 1e300, "DEC": 91.0, "SNRG": 1e30, "MJD": -5.0},
    ],
)
def test_missing_and_absurd_header_values_are_nan_not_an_error(tmp_path, cards):
    hdu = lrs_image()
    hdu.header.update(cards)
    header = read(save(tmp_path / "a.fits", hdu)).header
    assert header["obsid"] == 0
    assert np.isnan([header[key] for key in ("ra", "dec", "mjd", "snr", "rv", "e_rv")]).all()
    assert header["subclass"] == ""


@pytest.mark.parametrize(
    ("cards", "mjd"),
    [
        ({"DATE-OBS": "2012-03-04T14:00:00+08:00", "MJD": 55990}, 55990.25),
        ({"DATE-OBS": "2012-03-04", "MJD-OBS": 55990.25, "MJD": 55990}, 55990.25),
        ({"DATE-OBS": "2012-03-04"}, 55990),
    ],
)
def test_the_time_is_the_most_exact_that_the_header_has(cards, mjd):
    assert common_header(cards, "a.fits")["mjd"] == mjd


@pytest.mark.parametrize("name", ["a.fits", "a.fits.gz"])
@pytest.mark.parametrize(("write", "mrs", "tolerance"), [(write_lrs, False, 5e-4), (write_mrs, True, 2e-3)])
def test_what_is_written_is_read_back(tmp_path, name, write, mrs, tolerance):
    spectrum = make_lrs(mrs)
    write(tmp_path / name, spectrum)
    back = read(tmp_path / name)
    np.testing.assert_allclose(back.wave, spectrum.wave, atol=tolerance)
    np.testing.assert_allclose(back.flux, spectrum.flux, rtol=1e-6)
    np.testing.assert_allclose(back.ivar, spectrum.ivar, rtol=1e-6)
    np.testing.assert_array_equal(back.mask, spectrum.mask)
    kept = ["obsid", "ra", "dec", "release", "simulated"]
    kept += ["snr_b", "snr_r"] if mrs else ["snr", "subclass"]
    assert {key: back.header[key] for key in kept} == {key: spectrum.header[key] for key in kept}
    assert back.header["mjd"] == pytest.approx(spectrum.header["mjd"], abs=1e-7)
    if not mrs:
        assert back.header["rv"] == pytest.approx(-33.25)
    assert back.header["instrument"] == ("MRS" if mrs else "LRS")


@pytest.mark.parametrize(("write", "mrs"), [(write_lrs, False), (write_mrs, True)])
def test_writing_twice_gives_the_same_bytes(tmp_path, monkeypatch, write, mrs):
    write(tmp_path / "1" / "a.fits.gz", make_lrs(mrs))
    monkeypatch.setattr("time.time", lambda: 2e9)
    write(tmp_path / "2" / "a.fits.gz", make_lrs(mrs))
    content = (tmp_path / "1" / "a.fits.gz").read_bytes()
    assert content == (tmp_path / "2" / "a.fits.gz").read_bytes()
    assert b"DATE    =" not in gzip.decompress(content)


def test_unknown_numbers_are_written_as_lamost_does_and_read_as_nan(tmp_path):
    write_lrs(tmp_path / "a.fits", make_lrs(rv=np.nan, snr=np.nan))
    assert fits.getheader(tmp_path / "a.fits")["Z"] == -9999
    header = read(tmp_path / "a.fits").header
    assert np.isnan([header["rv"], header["snr"]]).all()


def refused(path, message):
    with pytest.raises(FileError, match=message) as caught:
        read(path)
    assert path.name in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is empty"), (b"<html>404</html>", "not a FITS file"), (b"\x1f\x8bjunk", "damaged packed")],
)
def test_files_that_are_not_fits_are_named(tmp_path, content, message):
    (tmp_path / "bad.fits").write_bytes(content)
    refused(tmp_path / "bad.fits", message)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    refused(tmp_path / "absent.fits", "no file")
    refused(tmp_path, "cannot read")


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (lrs_image(wave=VACUUM[::-1] - np.arange(VACUUM.size) % 2), "not in order"),
        (fits.PrimaryHDU(np.delete(lrs_image().data, 700, axis=1)), "pixels are missing after"),
        (lrs_image(ivar=np.zeros(VACUUM.size)), "every pixel is masked"),
        (fits.PrimaryHDU(np.tile(np.arange(9.0), (5, 1))), "not LAMOST's"),
    ],
    ids=["disorder", "lost pixels", "masked", "image"],
)
def test_an_image_that_is_no_whole_spectrum_is_refused(tmp_path, image, message):
    refused(save(tmp_path / "a.fits", image), message)


@pytest.mark.skipif(not LRS_FILES, reason="no sample spectra")
@pytest.mark.parametrize("path", [*LRS_FILES, *MRS_FILES], ids=lambda path: path.name)
def test_real_files_are_read(path):
    spectrum = read(path)
    header = spectrum.header
    assert header["instrument"] == ("LRS" if path in LRS_FILES else "MRS")
    # The name holds the night: spec-MJD+1-...
    assert int(header["mjd"]) + 1 == int(path.name.split("-")[1])
    assert not header["simulated"]
    if path in LRS_FILES:
        assert header["release"].startswith("LAMOST DR")
        assert 0 <= header["ra"] < 360 and abs(header["rv"]) < 600
        assert spectrum.mask.mean() < 0.1
        # Air: the first pixel of the log10 grid, 3.5682, lies at 3699.99 A in vacuum.
        assert spectrum.wave[0] == pytest.approx(3698.934, abs=0.01)
    else:
        assert (header["source_b"], header["source_r"]) == ("COADD_B", "COADD_R")
        assert 0 < header["snr"] <= header["snr_r"]
        assert spectrum.wave[0] < 4950 and spectrum.wave[-1] > 6800
