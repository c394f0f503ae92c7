"""High-resolution spectra: every axis convention is read right; degrading widens by the right amount."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from slamlib.errors import FileError, InputError
from slamlib.instruments import INSTRUMENTS, LRS
from slamlib.survey.hires import degrade, read_hires, to_lamost
from slamlib.survey.spectrum import air_from_vacuum, to_instrument

SAMPLE = Path(__file__).parents[2] / "shared" / "samples" / "hires" / "HD886_elodie.fits"
C_KMS = 299792.458


def write(path, **header):
    hdu = fits.PrimaryHDU(np.arange(50, dtype=np.float32) + 1)
    hdu.header.update({key.replace("_FLAG", "-FLAG"): value for key, value in header.items()})
    hdu.writeto(path)
    return path


def test_a_linear_air_axis_is_read(tmp_path):
    wave, flux = read_hires(write(tmp_path / "a.fits", CRVAL1=4000.0, CDELT1=0.5))
    np.testing.assert_allclose(wave, 4000 + 0.5 * np.arange(50))
    np.testing.assert_array_equal(flux, np.arange(50) + 1)


def test_the_reference_pixel_and_cd1_1_are_used(tmp_path):
    wave, _ = read_hires(write(tmp_path / "a.fits", CRVAL1=4000.0, CD1_1=0.5, CRPIX1=11.0, CTYPE1="AWAV"))
    assert wave[10] == 4000


def test_vacuum_axes_become_air(tmp_path):
    wave, _ = read_hires(write(tmp_path / "a.fits", CRVAL1=4000.0, CDELT1=0.5, CTYPE1="WAVE"))
    np.testing.assert_allclose(wave, air_from_vacuum(4000 + 0.5 * np.arange(50)))


def test_a_log_linear_axis_is_read(tmp_path):
    wave, _ = read_hires(write(tmp_path / "a.fits", CRVAL1=3.6, CDELT1=1e-4, DC_FLAG=1))
    np.testing.assert_allclose(wave, 10 ** (3.6 + 1e-4 * np.arange(50)))


@pytest.mark.parametrize(("unit", "value"), [("nm", 400.0), ("0.1 nm", 4000.0), ("m", 4e-7)])
def test_units_of_length_become_angstrom(tmp_path, unit, value):
    wave, _ = read_hires(write(tmp_path / "a.fits", CRVAL1=value, CDELT1=value * 1e-4, CUNIT1=unit))
    assert wave[0] == pytest.approx(4000)


def eso_table(path, ucd, wave, unit="angstrom", flux=None):
    """A spectrum as ESO's archive lays it out: one row of vectors, no primary data."""
    flux = np.arange(wave.size) + 1.0 if flux is None else flux
    columns = [
        fits.Column(name, f"{values.size}D", unit=of, array=values[None])
        for name, values, of in (("WAVE", wave, unit), ("FLUX", flux, "adu"), ("ERR", 0.1 * flux, "adu"))
    ]
    table = fits.BinTableHDU.from_columns(columns, name="SPECTRUM")
    table.header["TUCD1"] = ucd
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)
    return path


@pytest.mark.parametrize("unit", ["angstrom", "nm"])
def test_eso_tables_are_read_in_air_or_vacuum_as_their_ucd_says(tmp_path, unit):
    wave = 4000 + 0.5 * np.arange(50)
    given = wave / {"angstrom": 1, "nm": 10}[unit]
    air, flux = read_hires(eso_table(tmp_path / "air.fits", "em.wl;obs.atmos", given, unit))
    vacuum, _ = read_hires(eso_table(tmp_path / "vacuum.fits", "em.wl", given, unit))
    np.testing.assert_allclose(air, wave)
    np.testing.assert_allclose(vacuum, air_from_vacuum(wave))
    np.testing.assert_array_equal(flux, np.arange(50) + 1)


def test_an_eso_table_of_unequal_vectors_is_refused(tmp_path):
    path = eso_table(tmp_path / "a.fits", "em.wl", np.arange(4000.0, 4050.0), flux=np.ones(49))
    with pytest.raises(FileError, match="50 pixels and FLUX 49"):
        read_hires(path)


def test_a_descending_axis_is_turned(tmp_path):
    wave, flux = read_hires(write(tmp_path / "a.fits", CRVAL1=4000.0, CDELT1=-0.5))
    assert (np.diff(wave) > 0).all()
    assert flux[-1] == 1


@pytest.mark.parametrize("separator", [" ", "\t", ", "])
def test_two_column_text_is_read(tmp_path, separator):
    path = tmp_path / "a.txt"
    path.write_text("# wave flux\n" + "\n".join(f"{4000 + i}{separator}{i / 7:.3f}" for i in range(9)))
    wave, flux = read_hires(path)
    np.testing.assert_allclose(wave, 4000 + np.arange(9))
    np.testing.assert_allclose(flux, np.arange(9) / 7, atol=1e-3)


def test_degrading_gives_a_line_its_new_width_and_keeps_its_strength():
    wave = np.arange(4800.0, 4920.0, 0.05)
    before = C_KMS / 42000 / 2.354820045
    line = lambda sigma: 1 - np.exp(-0.5 * (C_KMS * np.log(wave / 4861) / sigma) ** 2)  # noqa: E731
    new, flux = degrade(wave, line(before), 42000, 1800)
    after = C_KMS / 1800 / 2.354820045
    expected = 1 - before / after * np.exp(-0.5 * (C_KMS * np.log(new / 4861) / after) ** 2)
    np.testing.assert_allclose(flux, expected, atol=2e-4)


def test_nan_spreads_no_further_than_the_kernel():
    wave = np.arange(4800.0, 4920.0, 0.05)
    flux = np.ones(wave.size)
    flux[1200] = np.nan
    new, out = degrade(wave, flux, 42000, 7500)
    lost = new[np.isnan(out)]
    assert lost.size > 0
    assert abs(lost - wave[1200]).max() < 4.2 * 4861 / 7500 / 2.35


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_a_gaussian_line_gets_the_width_lamost_would_give_it(name):
    """The widths of line, spectrographs and pixel add in squares; the strength stays."""
    instrument, centre = INSTRUMENTS[name], 5200.0
    narrow = centre / 42000 / 2.354820045
    wave = np.arange(4900.0, 6900.0, 0.02)
    flux = 1 - 0.5 * np.exp(-0.5 * ((wave - centre) / narrow) ** 2)
    seen = to_lamost(wave, flux, 42000, instrument, 100)
    depth = np.where(np.abs(seen.wave - centre) < 10, 1 - seen.flux, 0)
    step = instrument.arms[0][2]
    assert depth.sum() * step == pytest.approx(0.5 * narrow * np.sqrt(2 * np.pi), rel=2e-3)
    variance = np.sum(depth * (seen.wave - centre) ** 2) / depth.sum()
    assert np.sum(depth * seen.wave) / depth.sum() == pytest.approx(centre, abs=0.01)
    expected = (centre / instrument.resolution / 2.354820045) ** 2 + step**2 / 12
    assert np.sqrt(variance) == pytest.approx(np.sqrt(expected), rel=5e-3)


def test_pixels_that_the_spectrum_does_not_cover_are_masked():
    wave = np.arange(4200.0, 6500.0, 0.05)
    header = {"file": "star"}
    seen = to_lamost(wave, np.ones(wave.size), 42000, LRS, 100, header)
    np.testing.assert_array_equal(seen.wave, LRS.widened().wave)
    outside = (seen.wave < 4201) | (seen.wave > 6499)
    inside = (seen.wave > 4202) & (seen.wave < 6498)
    assert seen.mask[outside].all()
    assert not seen.mask[inside].any()
    np.testing.assert_array_equal(seen.ivar == 0, seen.mask)
    np.testing.assert_allclose(seen.ivar[inside], 100**2, rtol=1e-6)
    assert seen.header == header
    assert seen.header is not header


def test_pixels_without_flux_are_masked_and_spoil_no_other():
    wave = np.arange(3800.0, 7100.0, 0.05)
    flux = np.ones(wave.size)
    gap = (wave > 5000) & (wave < 5010)
    flux[gap] = np.nan
    flux[np.abs(wave - 4500.02).argmin()] = np.nan
    before = flux.copy()
    seen = to_lamost(wave, flux, 42000, LRS, 100)
    np.testing.assert_array_equal(flux, before)
    assert np.isfinite(seen.flux).all()
    assert seen.mask[(seen.wave > 5000) & (seen.wave < 5010)].all()
    assert seen.mask[np.abs(seen.wave - 4500.02).argmin()]
    lost = seen.wave[seen.mask]
    assert ((np.abs(lost - 5005) < 7) | (np.abs(lost - 4500) < 2)).all()
    np.testing.assert_allclose(seen.flux[~seen.mask], 1, rtol=1e-9)


def test_the_flux_unit_changes_nothing_but_the_unit():
    wave = np.arange(3800.0, 7100.0, 0.1)
    flux = 1 - 0.5 * np.exp(-0.5 * ((wave - 4861) / 5) ** 2)
    one, other = (to_lamost(wave, scale * flux, 42000, LRS, 80) for scale in (1, 1e-12))
    np.testing.assert_allclose(other.flux, 1e-12 * one.flux, rtol=1e-9)
    np.testing.assert_allclose(other.ivar * other.flux**2, one.ivar * one.flux**2, rtol=1e-9)
    np.testing.assert_allclose((one.ivar * one.flux**2)[~one.mask], 80**2, rtol=1e-9)


def test_sharpening_is_refused():
    with pytest.raises(InputError, match="cannot degrade"):
        degrade(np.arange(4000.0, 4100), np.ones(100), 1800, 7500)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"hello world, this is\nno spectrum", "neither FITS nor two columns"),
        (b"\x1f\x8b\x08broken", "truncated or damaged gzip"),
        (b"4000 1\n3999 2\n4001 3\n", "not in order"),
        (b"4000 nan\n4001 nan\n", "no pixel has a finite flux"),
    ],
)
def test_bad_files_are_named(tmp_path, content, message):
    path = tmp_path / "bad.dat"
    path.write_bytes(content)
    with pytest.raises(FileError, match=message) as caught:
        read_hires(path)
    assert "bad.dat" in str(caught.value)


def test_fits_without_a_wavelength_axis_is_named(tmp_path):
    with pytest.raises(FileError, match=r"image\.fits.*one axis"):
        read_hires(write(tmp_path / "image.fits"))


@pytest.mark.skipif(not SAMPLE.exists(), reason="no sample spectrum")
def test_the_elodie_spectrum_has_h_beta_where_gamma_peg_has_it():
    wave, flux = read_hires(SAMPLE)
    wave, flux = degrade(wave, flux, 42000, 1800)
    near = (wave > 4840) & (wave < 4882)
    # gamma Peg recedes at 4 km/s: less than 0.1 A.
    assert wave[near][np.argmin(flux[near])] == pytest.approx(4861.33, abs=0.3)
    _, ivar = to_instrument(wave, flux, np.ones(wave.size), LRS)
    assert not ivar[(LRS.wave < 3999) | (LRS.wave > 6801)].any()
    assert (ivar > 0).mean() > 0.7
