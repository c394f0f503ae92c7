"""Headers that would make a FITS reader hang or fill memory end in one line, at once."""

import bz2
import io
import lzma

import numpy as np
import pytest
from astropy.io import fits

from slamlib.errors import FileError
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


@pytest.mark.parametrize("pack", [bz2.compress, lzma.compress])
def test_packed_files_are_read_and_damage_is_told(pack, whole, tmp_path):
    path = tmp_path / "star.fits.packed"
    path.write_bytes(pack(whole))
    assert read_bytes(path) == whole
    path.write_bytes(pack(whole)[:-20])
    with pytest.raises(FileError, match="truncated or damaged packed file"):
        read_bytes(path)
