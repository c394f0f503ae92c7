"""The archives of OSTAR2002 and BSTAR2006 spectra: which ones, from where."""

import tarfile
import zipfile
import zlib
from pathlib import Path

from slamlib.errors import FileError, InputError
from slamlib.fetch.download import Job, download
from slamlib.io import read_ecsv

BASE = "http://tlusty.oca.eu/Tlusty2002/database/"
FOLDER = Path("data/raw/tlusty")


def jobs(archives, folder, *, base=BASE, compositions=(), vturb=None):
    """List the archives to download.

    Parameters
    ----------
    archives : Table
        `data/embedded/tlusty_archives.ecsv`: archive (its name under the base address),
        composition and vturb [km/s]; size and sha256 where they are known.
    folder : Path
    base : str
        Address of the folder on the official site or a mirror.
    compositions : sequence of str
        Such as "BG", "OG"; all if empty.
    vturb : int, optional
        Only the B stars of this microturbulence [km/s] (the O stars have but one); all by default.

    Returns
    -------
    list of Job

    Raises
    ------
    InputError
        If a composition is not in the table, or nothing is left.
    """
    known = sorted(set(archives["composition"]))
    if unknown := sorted(set(compositions) - set(known)):
        raise InputError(f"no composition {', '.join(unknown)}; known: {', '.join(known)}")
    found = []
    for row in archives:
        several = len(set(archives["vturb"][archives["composition"] == row["composition"]])) > 1
        if compositions and row["composition"] not in compositions:
            continue
        if vturb is not None and several and row["vturb"] != vturb:
            continue
        # Size and checksum are not known until somebody enters them into the table.
        size, sha256 = (row[name] if name in archives.colnames else None for name in ("size", "sha256"))
        found.append(
            Job(
                f"{base.rstrip('/')}/{row['archive']}",
                Path(folder) / Path(row["archive"]).name,
                size=int(size) if size else None,
                sha256=str(sha256) if sha256 else None,
                check=_is_archive,
                remedy="see whether the archive has moved, and name its address with --base",
            )
        )
    if not found:
        raise InputError(f"no archive of {', '.join(compositions) or 'any composition'} with vturb {vturb}")
    return found


def fetch(archives_path, folder, manners, *, say=None, progress=True, **selection):
    """Download the archives of the spectra; see `jobs` for the selection, `download` for the rest."""
    listed = jobs(read_ecsv(archives_path), folder, **selection)
    return download(listed, manners, title="TLUSTY archives", say=say, progress=progress)


def _is_archive(path):
    """Raise FileError unless the file is a tar or zip archive that can be read to its end."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                names, bad = archive.namelist(), archive.testzip()
                if bad:
                    raise FileError(f"its member {bad} is damaged")
        else:
            with tarfile.open(path, "r:*") as archive:
                names = archive.getnames()
                # Cut between two members it looks whole, but lacks the empty block that ends it.
                if archive.fileobj.tell() < archive.offset + tarfile.BLOCKSIZE:
                    raise EOFError
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, zlib.error) as error:
        if isinstance(error, FileError):
            raise
        with path.open("rb") as file:
            page = file.read(512).lstrip()[:1] == b"<"
        what = "the server answered with a web page" if page else "it is cut, damaged or no archive"
        raise FileError(what) from None
    if not names:
        raise FileError("the archive is empty")
