"""FITS files whose headers lie: reproducible from a seed."""

import io
import re

import numpy as np
from astropy.io import fits

NAMES = ("NAXIS", "NAXIS1", "NAXIS2", "TFIELDS", "PCOUNT", "GCOUNT", "BITPIX", "TFORM1", "TDIM1", "THEAP")
NAMES += ("ZNAXIS", "ZNAXIS1", "ZNAXIS2", "ZTILE1", "ZTILE2", "ZBITPIX", "ZVAL1", "ZCMPTYPE", "ZSCALE")
NAMES += ("CUNIT1", "TUNIT1", "BUNIT", "CRVAL1", "CRPIX1", "CDELT1", "CD1_1", "WAT2_001", "CTYPE1", "DC-FLAG")
NAMES += ("BSCALE", "BZERO", "BLANK", "TSCAL1", "TZERO1", "TNULL1", "EXTNAME", "DATE-OBS", "SUBCLASS", "END")
BLOCK, CARD = 2880, 80


def whole_files():
    """An image of LAMOST's layout, the same compressed by tiles, a table, and one axis: {name: bytes}."""
    rng = np.random.default_rng(0)
    wave = np.geomspace(3700, 9000, 3000)
    rows = np.stack([rng.normal(100, 1, 3000), np.ones(3000), wave, 0 * wave, 0 * wave]).astype(np.float32)
    columns = [fits.Column("WAVELENGTH", "3000E", unit="Angstrom", array=wave[None].astype(np.float32))]
    columns += [
        fits.Column(n, "3000E", array=row[None]) for n, row in zip(("FLUX", "IVAR"), rows, strict=False)
    ]
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


def value(rng):
    """A value of a card as text: huge, negative, a unit to a power, or nothing that FITS knows."""
    number = f"{rng.choice(['', '-'])}{rng.integers(1, 10)}{'0' * rng.integers(0, 19)}"
    nested = "(" * rng.integers(1, 60)
    kinds = (
        number,
        f"{number}.5E{number[-3:]}",
        f"'{number}E'",
        f"'P{number}E({number})'",
        f"'{number}**{number} m'",
    )
    kinds += (
        f"'({number},{number})'",
        f"'{nested}'",
        f"'m{'/m' * rng.integers(1, 30)}'",
        "'open",
        "NaN",
        "",
        "1 2 3",
    )
    return kinds[rng.integers(len(kinds))]


def spoilt(content, rng):
    """Replace or add one to three cards."""
    for _ in range(rng.integers(1, 4)):
        name = NAMES[rng.integers(len(NAMES))]
        places = [at.start() for at in re.finditer(rb"(?:%s) *=" % name.encode(), content)]
        # Over a card that is there, or over one of the first two headers.
        at = rng.choice(places) if places else CARD * rng.integers(1, 2 * BLOCK // CARD)
        card = f"{name:8}= {value(rng)}"[:CARD].ljust(CARD).encode()
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
    axis = {
        "SIMPLE": True,
        "BITPIX": -32,
        "NAXIS": 1,
        "NAXIS1": pixels.size,
        "CRVAL1": 4000.0,
        "CDELT1": 1e-4,
    }
    long = fits.Header(axis).tostring().encode() + pixels.tobytes()
    return {
        "30,000 HDUs": empty + more * 30_000,
        "a header without end": open_header + b" " * (100 << 20),
        "a header of comments": open_header + (b"COMMENT" + b"x" * 73) * 500_000 + b"END".ljust(BLOCK),
        "999 columns of nothing": empty + wide.ljust(BLOCK) + b"END".ljust(BLOCK),
        "too many pixels": long.ljust(-(-len(long) // BLOCK) * BLOCK),
        "text": b"4000.0 1.0\n" * (4 << 20),
    }
