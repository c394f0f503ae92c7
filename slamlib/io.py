"""Files that are whole or absent, never half written; tables as ECSV."""

import bz2
import gzip
import hashlib
import io
import itertools
import lzma
import os
import re
import zipfile
import zlib
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from astropy.table import Table

from slamlib.errors import FileError, InputError

TABLE_FORMAT = 1
# No spectrum and no model file is larger [bytes]: what unpacks to more is refused before it fills memory.
MAX_SIZE = 256 << 20
# How packed files begin, and what reads them.
_PACKERS: dict = {
    b"\x1f\x8b": lambda stream: gzip.GzipFile(fileobj=stream),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
    b"PK\x03\x04": lambda stream: _only_member(zipfile.ZipFile(stream)),
}
# What a damaged packed file raises; the last if it is encrypted, or packed in another way.
DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError, zipfile.BadZipFile, RuntimeError)


# In the head of a table, or in JSON: a power of so many digits.
_ENDLESS = re.compile(r"""unit['"]?\s*[:=]\s*['"]?[^,}"'>\n]*\d{5}""")


def embedded(name):
    """Return the path of a file that comes with slamlib, such as "parsec_isochrones.ecsv"."""
    return Path(str(files("slamlib.data") / name))


def unpacked(content):
    """Unpack bytes packed by gzip, bzip2, xz or zip, no more than `MAX_SIZE` of them; others as they are.

    OSError if there is more; OSError or one of `DAMAGED` if the content is damaged.
    """
    for magic, reader in _PACKERS.items():
        if content.startswith(magic):
            with reader(io.BytesIO(content)) as stream:
                return up_to_max(stream)
    return content


def _only_member(archive):
    names = [name for name in archive.namelist() if not name.endswith("/")]
    if len(names) != 1:
        raise OSError(f"a zip archive of {len(names)} files; unpack it")
    return archive.open(names[0])


def up_to_max(stream):
    """Read a stream to its end, or raise OSError if that is beyond `MAX_SIZE`."""
    content = stream.read(MAX_SIZE + 1)
    if len(content) > MAX_SIZE:
        raise OSError(f"more than {MAX_SIZE >> 20} MB, which no spectrum has")
    return content


@contextmanager
def atomic(path):
    """Yield a temporary path beside `path` that replaces it when the block succeeds.

    The temporary name keeps the suffix of `path`, because writers such as astropy choose the format (and
    gzip) from it. Missing parent folders are made.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> target = Path(tempfile.mkdtemp()) / "new" / "labels.txt"
    >>> with atomic(target) as temporary:
    ...     _ = temporary.write_text("teff logg mh vsini")
    >>> target.read_text()
    'teff logg mh vsini'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def check_units(text):
    """Refuse text with a unit that would take for ever to compute, whatever astropy then reads of it.

    Examples
    --------
    >>> check_units("# - {name: x, unit: 10**1000000000 m}")
    Traceback (most recent call last):
        ...
    slamlib.errors.InputError: 'unit: 10**1000000000' is no unit
    """
    if found := _ENDLESS.search(text):
        raise InputError(f"{found.group()!r} is no unit")


def check_version(path, found, known):
    """Refuse a file of another format than the one known: FileError with the remedy."""
    if found != known:
        remedy = "upgrade slamlib" if found > known else "delete it and make it again"
        age = "a newer" if found > known else "an older"
        raise FileError(f"{path} was written by {age} slamlib (format {found}); {remedy}")


def write_ecsv(table, path, grows=False, sealed=False):
    """Write an astropy Table as ECSV, whole or not at all.

    Its head keeps the format's version and, unless the file `grows` by appended lines, the
    number of rows, for `read_ecsv` to check; of a `sealed` table also a checksum of its rows.
    """
    written, text = table.copy(copy_data=False), io.StringIO()
    about = {"format": TABLE_FORMAT} | ({} if grows else {"rows": len(table)})
    if sealed:
        written.write(text, format="ascii.ecsv")
        about["sha256"] = _sha256_of_rows(text.getvalue())
    written.meta["slamlib_table"] = about
    with atomic(path) as temporary:
        written.write(temporary, format="ascii.ecsv")


def _sha256_of_rows(content):
    """Return the checksum of all lines after the head, whose lines begin with #."""
    lines = itertools.dropwhile(lambda line: line.startswith("#"), content.splitlines())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def read_ecsv(path):
    """Read an ECSV table; empty text stays empty text, where astropy would mask it.

    FileError if the file is missing, is no ECSV table, or one of ours that is cut short or that a newer
    slamlib wrote.
    """
    try:
        content = Path(path).read_text(encoding="utf-8")
        check_units(content)
        # As lines: text without a line feed would be taken for the name of a file.
        table = Table.read(content.splitlines(), format="ascii.ecsv")
        ours = table.meta.pop("slamlib_table", None)
        if ours is not None:
            check_version(path, int(ours["format"]), TABLE_FORMAT)
            rows = ours.get("rows", len(table))
            if rows != len(table) or not content.endswith("\n"):
                raise InputError(f"cut short, or its head must say {len(table)} for {rows} rows")
            if "sha256" in ours and ours["sha256"] != _sha256_of_rows(content):
                raise InputError("its rows are not those that were written")
    except FileNotFoundError:
        raise FileError(f"no table {path}; run the notebook that makes it first") from None
    except Exception as error:  # a damaged header can raise nearly anything
        if isinstance(error, FileError):
            raise
        raise FileError(f"{path} is not a readable ECSV table ({error}); delete it and remake it") from error
    for name in table.colnames:
        if table[name].dtype.kind == "U" and hasattr(table[name], "mask"):
            table[name] = table[name].filled("")
    return table
