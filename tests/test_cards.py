"""Headers that would make a FITS reader hang or fill memory end in one line, at once."""

import bz2
import io
import lzma
import zipfile

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import Table
from hostile import whole_files

from slamlib.errors import FileError
from slamlib.fetch.lamost import targets
from slamlib.grid.model_grid import ModelGrid
from slamlib.io import read_ecsv
from slamlib.spectra.hires import read_hires
from slamlib.spectra.lamost import read, read_bytes

HOSTILE = {
    "NAXIS": ("10" * 6, "NAXIS = 101010101010, where 999 is the most"),
    "NAXIS1": ("9" * 12, "bytes of data in a file of"),
    "TFIELDS": ("9" * 18, "TFIELDS = 999999999999999999"),
    "BITPIX": ("junk", "holds no whole number"),
    "TUNIT1": ("'10**1000000000 m'", "is no unit"),
}


@pytest.fixture(scope="module")
def whole():
    """A table and an image, as bytes."""
    columns = [fits.Column("FLUX", "E", array=np.ones(50), unit="Angstrom")]
    hdus = [fits.PrimaryHDU(np.ones((5, 30))), fits.BinTableHDU.from_columns(columns)]
    stream = io.BytesIO()
    fits.HDUList(hdus).writeto(stream)
    return stream.getvalue()


def with_card(content, name, value):
    """Replace the last card of a name."""
    at = content.rindex(name.ljust(8).encode() + b"= ")
    return content[:at] + f"{name:8}= {value:>20}".ljust(80).encode() + content[at + 80 :]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_card_is_named(name, whole, tmp_path):
    value, words = HOSTILE[name]
    path = tmp_path / "star.fits"
    path.write_bytes(with_card(whole, name, value))
    for reader in (read, read_hires):
        with pytest.raises(FileError, match=words) as failed:
            reader(path)
        assert str(path) in str(failed.value)


@pytest.mark.parametrize("name", ["NAXIS", "TFIELDS"])
def test_a_hostile_model_grid_is_refused_at_once(name, whole, tmp_path):
    path = tmp_path / "grid.fits"
    path.write_bytes(with_card(whole, name, 10**12))
    with pytest.raises(FileError, match=f"grid.*{name} = 1000000000000"):
        ModelGrid.read(path)


@pytest.mark.parametrize("suffix", [".ecsv", ".vot", ".fits"])
def test_a_unit_without_end_in_a_table_is_refused_at_once(suffix, tmp_path):
    path, endless = tmp_path / f"wanted{suffix}", b"10**100000000 m"
    Table({"obsid": [1] * u.km}).write(path, format="votable" if suffix == ".vot" else None)
    content = path.read_bytes().replace(b"'km      '".ljust(20), (b"'%s'" % endless).ljust(20))
    path.write_bytes(content.replace(b"km", endless))
    assert endless in path.read_bytes()
    with pytest.raises(FileError, match=r"wanted.*InputError"):
        targets([path])
    if suffix == ".ecsv":
        with pytest.raises(FileError, match=r"wanted.*is no unit"):
            read_ecsv(path)


def zipped(content, names=("star.fits",)):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, content)
    return stream.getvalue()


def test_a_zip_archive_of_several_files_is_refused(whole, tmp_path):
    (tmp_path / "two.zip").write_bytes(zipped(whole, ("a.fits", "b.fits")))
    with pytest.raises(FileError, match="a zip archive of 2 files"):
        read_bytes(tmp_path / "two.zip")


@pytest.mark.parametrize("card", ["SUBCLASS= 'O9", "DATA_V  = DR 7 v1", "VACUUM  = yes / of course"])
def test_a_card_that_cannot_be_read_costs_only_itself(card, tmp_path):
    content = whole_files()["image"]
    for name, spoilt in (("whole", ""), ("spoilt", card)):
        at = content.index(b"EXTEND  =")
        changed = content[:at] + spoilt.ljust(80).encode() + content[at + 80 :]
        (tmp_path / name).write_bytes(changed)
    whole, spoilt = (read(tmp_path / name) for name in ("whole", "spoilt"))
    np.testing.assert_array_equal(spoilt.flux, whole.flux)
    np.testing.assert_array_equal(spoilt.wave, whole.wave)
    assert spoilt.header | {"file": "whole"} == pytest.approx(whole.header, nan_ok=True)


def test_an_image_compressed_by_tiles_is_read_as_the_image(tmp_path):
    contents = whole_files()
    for name in ("image", "compressed"):
        (tmp_path / name).write_bytes(contents[name])
    image, compressed = (read(tmp_path / name) for name in ("image", "compressed"))
    np.testing.assert_array_equal(image.wave, compressed.wave)
    np.testing.assert_array_equal(image.ivar, compressed.ivar)


@pytest.mark.parametrize("pack", [bz2.compress, lzma.compress, zipped])
def test_packed_files_are_read_and_damage_is_told(pack, whole, tmp_path):
    path = tmp_path / "star.fits.packed"
    path.write_bytes(pack(whole))
    assert read_bytes(path) == whole
    path.write_bytes(pack(whole)[:-20])
    with pytest.raises(FileError, match="truncated or damaged packed file"):
        read_bytes(path)
