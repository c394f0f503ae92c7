"""Ways to spoil a file. Each takes the bytes of a good one and a random generator and returns others.

`ANY_FILE` knows nothing of what it spoils; `CARDS` writes absurd values into FITS headers;
`PIXELS` edits the tables of a LAMOST file, whatever its layout, as a faulty pipeline would.
"""

import gzip
import io
import re
import zlib

import numpy as np
from astropy.io import fits

BLOCK = 2880
STRUCTURE = rb"SIMPLE|Z?BITPIX|Z?NAXIS\d*|ZTILE\d+|EXTEND|XTENSION|PCOUNT|GCOUNT|TFIELDS|TFORM\d+|TTYPE\d+"
OBSERVED = rb"WAVE0|DV|FSCALE|CRVAL1|CDELT1|CRPIX1|OBSID|RA|DEC|DATE-OBS|MJD|Z|Z_ERR|SNRG|SNR"
OBSERVED += rb"|SUBCLASS|DATA_V|VACUUM|EXTNAME"
ABSURD = [b"-1", b"0", b"3", b"999", b"2147483648", b"9223372036854775807", b"-9223372036854775808", b"1E300"]
ABSURD += [b"NaN", b"T", b"'text'", b"'10000000E'", b"", b"'", b"\xff\x00\n", b"1.5.2"]


def truncated(content, rng):
    return content[: rng.integers(1, len(content))]


def padded(content, rng):
    return content + rng.bytes(rng.integers(1, 3 * BLOCK))


def flipped(content, rng, n=None, within=None):
    spoilt = np.frombuffer(content, np.uint8).copy()
    at = rng.integers(0, min(within or len(spoilt), len(spoilt)), n or rng.integers(1, 40))
    np.bitwise_xor.at(spoilt, at, (1 << rng.integers(0, 8, at.size)).astype(np.uint8))
    return spoilt.tobytes()


def blocks(content, rng, change):
    parts = [content[i : i + BLOCK] for i in range(0, len(content), BLOCK)]
    return b"".join(change(parts, rng.integers(0, len(parts), 2)))


def bomb(size):
    """A gzip file of `size` zero bytes: a thousandth of that on disk."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(size >> 20)) + packer.flush()


ANY_FILE = {
    "empty": lambda content, rng: b"",
    "truncated": truncated,
    "bytes appended": padded,
    "bits flipped": flipped,
    "bits of the head flipped": lambda content, rng: flipped(content, rng, within=2 * BLOCK),
    "block zeroed": lambda c, rng: blocks(c, rng, lambda p, i: [*p[: i[0]], bytes(BLOCK), *p[i[0] + 1 :]]),
    "block lost": lambda c, rng: blocks(c, rng, lambda p, i: p[: i[0]] + p[i[0] + 1 :]),
    "block repeated": lambda c, rng: blocks(c, rng, lambda p, i: p[: i[0] + 1] + p[i[0] :]),
    "noise": lambda content, rng: rng.bytes(len(content)),
    "web page": lambda content, rng: b"<!DOCTYPE html><html><h1>404 Not Found</h1></html>\n",
    "gzip truncated": lambda content, rng: truncated(gzip.compress(content, 1), rng),
    "gzip bits flipped": lambda content, rng: flipped(gzip.compress(content, 1), rng),
}


def spoil_card(names):
    def corrupt(content, rng):
        cards = [found.start() for found in re.finditer(rb"\b(?:" + names + rb") *=", content)]
        start = rng.choice(cards) + 10
        value = ABSURD[rng.integers(len(ABSURD))].rjust(20).ljust(70)
        return content[: start - start % 80 + 10] + value + content[start - start % 80 + 80 :]

    return corrupt


def add_card(content, rng):
    """Write a card over another that is not needed: scaling, blanks, shape, heap."""
    names = (b"BSCALE", b"BZERO", b"BLANK", b"TSCAL1", b"TNULL1", b"TDIM1", b"THEAP")
    start = 80 * rng.integers(4, 20)
    card = names[rng.integers(len(names))].ljust(8) + b"= " + ABSURD[rng.integers(len(ABSURD))].rjust(20)
    return content[:start] + card.ljust(80) + content[start + 80 :]


CARDS = {
    "absurd structure in the header": spoil_card(STRUCTURE),
    "absurd value in the header": spoil_card(OBSERVED),
    "absurd scaling in the header": add_card,
}


def unpack(content):
    """Primary header, whether tables hold vectors, and the pixels: {HDU: {column: values}}."""
    with fits.open(io.BytesIO(content)) as hdus:
        primary = hdus[0]
        if primary.data is not None:
            names = ("FLUX", "IVAR", "WAVELENGTH", "ANDMASK", "ORMASK")
            return primary.header.copy(), False, {"": dict(zip(names, primary.data.copy(), strict=True))}
        tables = {h.name: {n: np.ravel(h.data[n]).copy() for n in h.data.names} for h in hdus[1:]}
        return primary.header.copy(), len(hdus[1].data) == 1, tables


def pack(header, vectors, tables):
    hdus = [fits.PrimaryHDU(header=header)]
    for name, columns in tables.items():
        if not name:
            image = np.stack(list(columns.values())).astype(np.float32) if columns else None
            hdus[0] = fits.PrimaryHDU(image, header)
            continue
        cells = []
        for column, values in columns.items():
            if values.dtype.kind == "U" and vectors:
                values = np.array("".join(values))
            letter = {"d": "D", "f": "E", "h": "I", "U": "A"}[values.dtype.char]
            size = values.dtype.itemsize // 4 if letter == "A" else values.size if vectors else 1
            cells.append(fits.Column(column, f"{size}{letter}", array=values[None] if vectors else values))
        hdus.append(fits.BinTableHDU.from_columns(cells, name=name))
    out = io.BytesIO()
    fits.HDUList(hdus).writeto(out, output_verify="ignore")
    return out.getvalue()


def as_vectors(content):
    """An LRS image as DR9 has it: a table COADD of one row of vectors."""
    header, _, tables = unpack(content)
    columns = tables[""]
    return pack(header, True, {"COADD": {n: v.astype(np.float32) for n, v in columns.items()}})


def on_tables(edit):
    def corrupt(content, rng):
        header, vectors, tables = unpack(content)
        edit(tables, rng)
        return pack(header, vectors, tables)

    return corrupt


def on_column(name, change):
    """Change one column, FLUX, IVAR or the wavelengths ("WAVE"), of one HDU or of all."""

    def edit(tables, rng):
        chosen = list(tables) if rng.random() < 0.5 else [rng.choice(list(tables))]
        for columns in (tables[table] for table in chosen):
            column = ("WAVELENGTH" if "WAVELENGTH" in columns else "LOGLAM") if name == "WAVE" else name
            columns[column] = change(columns[column].copy(), rng)

    return on_tables(edit)


def some(value):
    """Put a value at a random share of the pixels, often at few, now and then at all."""

    def change(values, rng):
        values[rng.random(values.size) < rng.choice([1e-3, 0.03, 0.3, 0.9, 1.1])] = value
        return values

    return change


def move(tables, rng, new):
    """Rename an HDU, or with no new name lose it."""
    name = rng.choice(list(tables))
    columns = tables.pop(name)
    if new:
        tables[new] = columns


def lose_column(tables, rng):
    columns = tables[rng.choice(list(tables))]
    columns.pop(rng.choice(list(columns)))


def swap_arms(tables, rng):
    names, parts = list(tables), list(tables.values())
    if len(names) == 1:
        tables["COADD_R"] = tables.pop(names[0])
    else:
        tables.update(zip(names, parts[::-1] if rng.random() < 0.5 else parts[:1] * 2, strict=True))


def lose_pixels(tables, rng):
    for columns in tables.values():
        size = next(iter(columns.values())).size
        kept = rng.random(size) < rng.uniform(0, 1)
        columns.update({name: values[kept] for name, values in columns.items()})


PIXELS = {
    "HDU missing": on_tables(lambda t, rng: move(t, rng, None)),
    "HDU renamed": on_tables(lambda t, rng: move(t, rng, rng.choice(["SPECTRUM", "COADD", "B-1", "R-1"]))),
    "column missing": on_tables(lose_column),
    "arms swapped": on_tables(swap_arms),
    "pixels lost": on_tables(lose_pixels),
    "flux nan": on_column("FLUX", some(np.nan)),
    "flux infinite": on_column("FLUX", some(np.inf)),
    "flux huge": on_column("FLUX", some(3e38)),
    "flux zero": on_column("FLUX", some(0)),
    "flux negative": on_column("FLUX", lambda v, rng: np.where(rng.random(v.size) < rng.random(), -v, v)),
    "flux in other units": on_column("FLUX", lambda v, rng: v * v.dtype.type(rng.choice([1e-17, 1e30]))),
    "flux in magnitudes": on_column("FLUX", lambda v, rng: 20 - 2.5 * np.log10(np.maximum(v, 1))),
    "flux shuffled": on_column("FLUX", lambda v, rng: rng.permutation(v)),
    "cosmic rays": on_column("FLUX", lambda v, rng: v * np.where(rng.random(v.size) < 0.02, 30, 1)),
    "ivar nan": on_column("IVAR", some(np.nan)),
    "ivar huge": on_column("IVAR", some(3e38)),
    "ivar zero": on_column("IVAR", some(0)),
    "ivar negative": on_column("IVAR", some(-1)),
    "ivar is the error": on_column("IVAR", lambda v, rng: 1 / np.sqrt(np.maximum(v, 1e-9))),
    "ivar is the variance": on_column("IVAR", lambda v, rng: 1 / np.maximum(v, 1e-9)),
    "wavelength nan": on_column("WAVE", some(np.nan)),
    "wavelength in nm": on_column("WAVE", lambda v, rng: v / 10 if v[0] > 100 else v - 1),
    "wavelength in m": on_column("WAVE", lambda v, rng: v * 1e-10 if v[0] > 100 else v - 10),
    "wavelength linear for log": on_column("WAVE", lambda v, rng: np.log10(v) if v[0] > 100 else 10**v),
    "wavelength reversed": on_column("WAVE", lambda v, rng: v[::-1]),
    "wavelength constant": on_column("WAVE", lambda v, rng: v * 0 + v[0]),
    "wavelength shuffled": on_column("WAVE", lambda v, rng: rng.permutation(v)),
    "wavelength stretched": on_column(
        "WAVE", lambda v, rng: v[0] + (v - v[0]) * float(rng.choice([0.5, 0.9, 1.1, 2]))
    ),
    "all masked": on_tables(lambda t, rng: [c.update(ANDMASK=c["ANDMASK"] * 0 + 1) for c in t.values()]),
}
