"""The files inside folders and archives, in any nesting, read as streams: nothing is unpacked to disk."""

import lzma
import re
import tarfile
import zipfile
import zlib
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from slamlib.errors import FileError, SlamlibError
from slamlib.io import unpacked, up_to_max

_TAR = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_DAMAGE = (OSError, EOFError, RuntimeError, tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)


def entries(folder):
    """Yield every file in a folder and in the archives inside it, in order of path.

    Nothing is unpacked to disk. Archives (tar, compressed or not, and zip) may lie in folders and in other
    archives; `folder` may be one. Names that begin with a dot are passed over.

    Yields
    ------
    where : str
        Path of the file; inside an archive, the archive's path, a colon and the member's.
    read : callable
        Returns its content, unpacked if gzipped; to be called before the next file is asked for.

    Raises
    ------
    FileError
        If the folder is missing, or an archive or a member that is read is damaged.
    """
    folder = Path(folder)
    if not folder.exists():
        raise FileError(f"no folder {folder}; fetch the TLUSTY archives into it, or name another")
    for path in [folder] if folder.is_file() else sorted(folder.rglob("*")):
        if path.is_file():
            with _named(str(path)), path.open("rb") as stream:
                yield from members(stream, str(path))


def members(stream, where):
    """Yield what `entries` does of one open file, whose name is the end of `where`."""
    name = re.split("[/:]", where)[-1].lower()
    if name.startswith("."):
        return
    if name.endswith(_TAR):
        with _named(where), tarfile.open(fileobj=stream) as tar:
            for member in tar:
                if member.isfile():
                    yield from members(tar.extractfile(member), f"{where}:{member.name}")
            # An archive cut between two members looks whole to tarfile, but lacks the empty
            # block that ends every archive.
            if tar.fileobj.tell() < tar.offset + tarfile.BLOCKSIZE:
                raise EOFError("its end is missing")
    elif name.endswith(".zip"):
        with _named(where), zipfile.ZipFile(stream) as archive:
            for packed in archive.infolist():
                if not packed.is_dir():
                    with archive.open(packed) as inner:
                        yield from members(inner, f"{where}:{packed.filename}")
    else:
        yield where, partial(_read, stream, where)


def _read(stream, where):
    with _named(where):
        content = up_to_max(stream)
        return unpacked(content)


@contextmanager
def _named(where):
    try:
        yield
    except SlamlibError:
        raise
    except _DAMAGE as error:
        # tarfile tells over several lines which kinds of archive it tried.
        why = "no archive of that kind" if "\n" in str(error) else error
        raise FileError(f"{where} is damaged or cut short ({why}); delete it and fetch it again") from error
