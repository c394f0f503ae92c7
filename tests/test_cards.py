"""Headers that would make a FITS reader hang or fill memory end in one line, at once."""

import bz2
import io
import lzma
import subprocess
import sys

import numpy as np
import pytest
from astropy.io import fits

from slamlib.errors import FileError
from slamlib.spectra.cards import check_cards
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


def test_a_sound_file_passes(whole):
    check_cards(whole)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_card_is_named(name, whole, tmp_path):
    value, words = HOSTILE[name]
    path = tmp_path / "star.fits"
    path.write_bytes(with_card(whole, name, value))
    for reader in (read, read_hires):
        with pytest.raises(FileError, match=words) as failed:
            reader(path)
        assert str(path) in str(failed.value)


def test_hostile_files_cost_neither_time_nor_memory(whole, tmp_path):
    """Two hundred headers with numbers and units of random size, in a process with limits."""
    rng = np.random.default_rng(18)
    names = ["NAXIS", "NAXIS1", "NAXIS2", "TFIELDS", "PCOUNT", "GCOUNT", "BITPIX", "TUNIT1", "TFORM1"]
    for i in range(200):
        name = rng.choice(names)
        number = f"{rng.choice(['', '-'])}{rng.integers(1, 10)}{'0' * rng.integers(0, 18)}"
        value = (
            f"'{number}**{number} m'" if name == "TUNIT1" else f"'{number}E'" if name == "TFORM1" else number
        )
        (tmp_path / f"{i}.fits").write_bytes(with_card(whole, name, value))
    code = (
        "import resource, sys, pathlib\n"
        "from slamlib.errors import FileError\nfrom slamlib.spectra.hires import read_hires\n"
        "from slamlib.spectra.lamost import read\n"
        "used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for path in pathlib.Path(sys.argv[1]).glob('*.fits'):\n"
        "    for reader in (read, read_hires):\n"
        "        try:\n            reader(path)\n        except FileError:\n            pass\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - used) // 1024)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 300  # MB


@pytest.mark.parametrize("pack", [bz2.compress, lzma.compress])
def test_packed_files_are_read_and_damage_is_told(pack, whole, tmp_path):
    path = tmp_path / "star.fits.packed"
    path.write_bytes(pack(whole))
    assert read_bytes(path) == whole
    path.write_bytes(pack(whole)[:-20])
    with pytest.raises(FileError, match="truncated or damaged packed file"):
        read_bytes(path)
