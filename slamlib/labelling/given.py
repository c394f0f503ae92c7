"""What is given to be labelled: one or several files, folders of them, or spectra in memory."""

import os
from pathlib import Path

from slamlib.errors import FileError, InputError
from slamlib.spectra.spectrum import Spectrum

_PACKED = ("", ".gz", ".bz2", ".xz", ".zip", ".fz")
_SUFFIXES = tuple(kind + packed for kind in (".fits", ".fit") for packed in _PACKED)


def list_files(files):
    """Return what is meant by one or several files or spectra, with folders replaced by their FITS files.

    InputError or FileError if nothing is given, or all that is given is folders without a FITS file.
    """
    try:
        files = [files] if is_one(files) else list(files)
    except TypeError:
        raise InputError(f"{files!r} names no file; give a path, or a list of paths") from None
    if not files:
        raise InputError("no file given; name files of spectra, or a folder of them")
    found = []
    for file in files:
        one = Path(file).expanduser() if isinstance(file, (str, Path)) else file
        # An empty folder among others costs a row that says so, no more.
        found += (_inside(one) if _is_folder(one) else []) or [one]
    if all(map(_is_folder, found)):
        raise FileError(f"no FITS file in the folder {found[0]}; name files, or another folder")
    return found


def _is_folder(one):
    return isinstance(one, Path) and one.is_dir()


def _inside(folder):
    with os.scandir(folder) as entries:
        files = (entry for entry in entries if entry.name.lower().endswith(_SUFFIXES) and entry.is_file())
        return sorted(folder / entry.name for entry in files if not entry.name.startswith("."))


def is_one(given):
    """Tell a single file or spectrum from a sequence of them; a tuple of arrays is one."""
    if isinstance(given, tuple):
        return bool(given) and not is_one(given[0])
    return isinstance(given, (str, Path, Spectrum)) or hasattr(given, "spectral_axis")
