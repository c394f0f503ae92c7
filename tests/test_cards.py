"""Headers that lie, reproducible from a seed: no file costs more than it may, or ends in a traceback."""

import bz2
import io
import json
import lzma
import os
import re
import subprocess
import sys
import zipfile
from collections import Counter

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import Table

from slamlib.errors import FileError
from slamlib.fetch.lamost import targets
from slamlib.grid.model_grid import ModelGrid
from slamlib.io import read_ecsv
from slamlib.spectra.hires import read_hires
from slamlib.spectra.lamost import read, read_bytes

NAMES = ("NAXIS", "NAXIS1", "NAXIS2", "TFIELDS", "PCOUNT", "GCOUNT", "BITPIX", "TFORM1", "TDIM1", "THEAP")
NAMES += ("ZNAXIS", "ZNAXIS1", "ZNAXIS2", "ZTILE1", "ZTILE2", "ZBITPIX", "ZVAL1", "ZCMPTYPE", "ZSCALE")
NAMES += ("CUNIT1", "TUNIT1", "BUNIT", "CRVAL1", "CRPIX1", "CDELT1", "CD1_1", "WAT2_001", "CTYPE1", "DC-FLAG")
NAMES += ("BSCALE", "BZERO", "BLANK", "TSCAL1", "TZERO1", "TNULL1", "EXTNAME", "DATE-OBS", "SUBCLASS", "END")
BLOCK, CARD = 2880, 80
SEED = int(os.environ.get("FUZZ_SEED", "257"))
# Memory beyond what the process has before it reads anything [MB], time of processor for one file [s].
MEMORY, SECONDS = 1000, 10
HOSTILE = {
    "NAXIS": ("10" * 6, "NAXIS = 101010101010, where 999 is the most"),
    "NAXIS1": ("9" * 12, "bytes of data in a file of"),
    "TFIELDS": ("9" * 18, "TFIELDS = 999999999999999999"),
    "BITPIX": ("junk", "holds no whole number"),
    "TUNIT1": ("'10**1000000000 m'", "is no unit"),
}


def whole_files():
    """An image of LAMOST's layout, the same compressed by tiles, a table, and one axis: {name: bytes}."""
    rng = np.random.default_rng(0)
    wave = np.geomspace(3700, 9000, 3000)
    rows = np.stack([rng.normal(100, 1, 3000), np.ones(3000), wave, 0 * wave, 0 * wave]).astype(np.float32)
    columns = [fits.Column("WAVELENGTH", "3000E", unit="Angstrom", array=wave[None].astype(np.float32))]
    columns += [fits.Column(n, "3000E", array=rows[i][None]) for i, n in enumerate(("FLUX", "IVAR"))]
    columns += [fits.Column("ANDMASK", "3000I", array=np.zeros((1, 3000)))]
    header = fits.Header({"CRVAL1": 4000.0, "CDELT1": 0.1, "CUNIT1": "Angstrom", "CTYPE1": "AWAV"})
    made = {
        "image": [fits.PrimaryHDU(rows)],
        "compressed": [fits.PrimaryHDU(), fits.CompImageHDU(rows, compression_type="GZIP_1")],
        "table": [fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns, name="COADD")],
        "axis": [fits.PrimaryHDU(rows[0], header)],
    }
    contents = {}
    for name, hdus in made.items():
        stream = io.BytesIO()
        fits.HDUList(hdus).writeto(stream)
        contents[name] = stream.getvalue()
    return contents


def card_value(rng):
    """A value of a card as text: huge, negative, a unit to a power, or nothing that FITS knows."""
    number = f"{rng.choice(['', '-'])}{rng.integers(1, 10)}{'0' * rng.integers(0, 19)}"
    nested = "(" * rng.integers(1, 60)
    kinds = (number, f"{number}.5E{number[-3:]}", f"'{number}E'", f"'P{number}E({number})'")
    kinds += (f"'{number}**{number} m'", f"'({number},{number})'", f"'{nested}'")
    kinds += (f"'m{'/m' * rng.integers(1, 30)}'", "'open", "NaN", "", "1 2 3")
    return kinds[rng.integers(len(kinds))]


def lying(content, rng):
    """Replace or add one to three cards."""
    for _ in range(rng.integers(1, 4)):
        name = NAMES[rng.integers(len(NAMES))]
        places = [at.start() for at in re.finditer(rb"(?:%s) *=" % name.encode(), content)]
        # Over a card that is there, or over one of the first two headers.
        at = rng.choice(places) if places else CARD * rng.integers(1, 2 * BLOCK // CARD)
        card = f"{name:8}= {card_value(rng)}"[:CARD].ljust(CARD).encode()
        at -= at % CARD
        content = content[:at] + card + content[at + CARD :]
    return content


def of_structure():
    """Files that are too much of something: HDUs, cards, columns, pixels, text."""
    empty = fits.PrimaryHDU().header.tostring().encode()
    more = fits.ImageHDU().header.tostring().encode()
    open_header = empty[: empty.index(b"END")].ljust(BLOCK)
    wide = b"XTENSION= 'BINTABLE'".ljust(80) + b"TFIELDS =                  999".ljust(80)
    pixels = np.ones(5_000_000, ">f4")
    axis = {"SIMPLE": True, "BITPIX": -32, "NAXIS": 1, "NAXIS1": pixels.size, "CRVAL1": 4000.0}
    long = fits.Header(axis | {"CDELT1": 1e-4}).tostring().encode() + pixels.tobytes()
    return {
        "30,000 HDUs": empty + more * 30_000,
        "a header without end": open_header + b" " * (100 << 20),
        "a header of comments": open_header + (b"COMMENT" + b"x" * 73) * 500_000 + b"END".ljust(BLOCK),
        "999 columns of nothing": empty + wide.ljust(BLOCK) + b"END".ljust(BLOCK),
        "too many pixels": long.ljust(-(-len(long) // BLOCK) * BLOCK),
        "text": b"4000.0 1.0\n" * (4 << 20),
    }


CHILD = """
import json, resource, signal, sys, time, warnings
from pathlib import Path
from slamlib.errors import FileError
from slamlib.labelling.files import Hints, recognised
from slamlib.spectra.hires import read_hires
pages = int(Path("/proc/self/statm").read_text().split()[0])
most = pages * resource.getpagesize() + (int(sys.argv[2]) << 20)
resource.setrlimit(resource.RLIMIT_AS, (most, most))
warnings.simplefilter("error")
for path in sorted(Path(sys.argv[1]).iterdir()):
    began = time.process_time()
    signal.alarm(60)
    found = recognised(path, Hints(resolution=5000.0))
    outcome = "read" if found.spectrum is not None else "reason"
    if not (found.reason.isprintable() and (path.name in found.reason or not found.reason)):
        outcome = "unclear"
    try:
        read_hires(path)
    except FileError:
        pass
    signal.alarm(0)
    print(json.dumps([path.name, outcome, time.process_time() - began, found.reason]), flush=True)
"""


def read_in_a_child(contents, folder):
    """Return [name, outcome, seconds, reason] of each file; fails if the process does."""
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    given = [sys.executable, "-c", CHILD, str(folder), str(MEMORY)]
    done = subprocess.run(given, capture_output=True, text=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    # Left for whoever looks: the file after the last that was read.
    assert done.returncode == 0, f"after {rows[-1:]}: {done.stderr[-2000:]}"
    assert [row[0] for row in rows] == sorted(contents)
    return rows


def of_headers(n):
    rng, whole = np.random.default_rng([SEED, 18]), whole_files()
    return {f"{i:04}-{kind}.fits": lying(whole[kind], rng) for i, kind in enumerate(list(whole) * (n // 4))}


def test_whole_files_are_read(tmp_path):
    rows = read_in_a_child({f"{name}.fits": content for name, content in whole_files().items()}, tmp_path)
    assert {row[0]: row[1] for row in rows} == dict.fromkeys((row[0] for row in rows), "read")


def test_files_that_are_too_much_of_something_end_in_a_reason(tmp_path):
    names = {name: f"{name}.txt" if name == "text" else f"{name}.fits" for name in of_structure()}
    rows = read_in_a_child({names[name]: content for name, content in of_structure().items()}, tmp_path)
    assert {row[1] for row in rows} == {"reason"}, rows
    assert max(row[2] for row in rows) < SECONDS


@pytest.mark.parametrize("n", [200, pytest.param(1200, marks=pytest.mark.fuzz)])
def test_hostile_headers_cost_neither_time_nor_memory(n, tmp_path, capsys):
    rows = read_in_a_child(of_headers(n), tmp_path)
    counts = Counter((row[0].split("-")[1], row[1]) for row in rows)
    with capsys.disabled():
        if n > 200:
            print(f"\n\n{n} hostile headers, at most {MEMORY} MB more memory and {SECONDS} s a file")
            lines = (f"{kind:20} {outcome:10} {m:5}" for (kind, outcome), m in sorted(counts.items()))
            print(*lines, sep="\n")
    assert not [row for row in rows if row[1] == "unclear"]
    assert max(row[2] for row in rows) < SECONDS
    assert {row[1] for row in rows} == {"read", "reason"}


@pytest.fixture(scope="module")
def whole():
    return whole_files()["table"]


def with_card(content, name, value):
    """Replace the last card of a name."""
    at = content.rindex(name.ljust(8).encode() + b"= ")
    return content[:at] + f"{name:8}= {value:>20}".ljust(80).encode() + content[at + 80 :]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_card_is_named(name, whole, tmp_path):
    value, words = HOSTILE[name]
    path = tmp_path / "star.fits"
    path.write_bytes(with_card(whole, name, value))
    for reader in (read, read_hires, ModelGrid.read):
        with pytest.raises(FileError, match=words) as failed:
            reader(path)
        assert str(path) in str(failed.value)


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
