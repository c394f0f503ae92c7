"""Labels of any LAMOST files: each is told its instrument, then labelled as the catalogue's are."""

from pathlib import Path

import numpy as np
from astropy.table import Column, vstack
from joblib import Parallel, delayed
from tqdm import tqdm

import slamlib
from slamlib.errors import FileError, InputError, SlamlibError, printable
from slamlib.instruments import INSTRUMENTS
from slamlib.labelling.catalogue import label_survey
from slamlib.labelling.models import Models
from slamlib.spectra.lamost import read
from slamlib.threads import n_cores

_SUFFIXES = (".fits", ".fits.gz", ".fit", ".fit.gz")
# Files handed to a process at once.
_CHUNK = 64


def label(files, grid="embedded", models=None, progress=True):
    """Find the labels of LAMOST spectra: Teff, log g, [M/H], v sin i, with errors and flags.

    The spectra are normalised, put at rest by their own radial velocity, and compared with
    models as the catalogue's are (`slamlib.labelling.catalogue.label_survey`). Without trained
    models they are trained first, once, in a few minutes for each instrument.

    Parameters
    ----------
    files : str, Path, or sequence of them
        LAMOST FITS files of any release, LRS and MRS, gzipped or not; a folder stands for
        the FITS files in it.
    grid : str
        "embedded" or the path of a model grid.
    models : str or Path, optional
        The folder of trained models, as `Models` takes it.
    progress : bool
        Show bars, and which models are used, on standard error.

    Returns
    -------
    Table
        One row a file, in the order given: file, instrument, simulated (whether the file says
        that it is), obsid, ra, dec, mjd, snr, rv, the labels (``teff`` [K], ``logg``, ``mh``,
        ``vsini`` [km/s]), their errors (``e_teff``, ...) and those by blocks (``b_teff``, ...),
        ``vsini_limit``, ``chi2``, ``flag`` and ``status`` (docs/flags.md), and the ``reason``
        where a file could not be used.

    Raises
    ------
    InputError, FileError
        If no file could be used (the message gives each one's reason), or nothing was given.

    Examples
    --------
    >>> import slamlib
    >>> table = slamlib.label("spec-55859-F5902_sp01-001.fits.gz")  # doctest: +SKIP
    >>> print(slamlib.summary(table))  # doctest: +SKIP
    """
    return label_files(list_files(files), Models(grid, models, progress, progress), progress)


def list_files(files):
    """Return the paths meant by a path, or a sequence of them, with folders replaced by their FITS files.

    Raises
    ------
    InputError, FileError
        If nothing is given, or a folder has no FITS file.
    """
    files = [files] if isinstance(files, (str, Path)) else list(files)
    if not files:
        raise InputError("no file given; name LAMOST FITS files, or a folder of them")
    paths = []
    for path in (Path(file).expanduser() for file in files):
        inner = _inside(path) if path.is_dir() else [path]
        if not inner:
            raise FileError(f"no FITS file in the folder {path}; name files, or another folder")
        paths += inner
    return paths


def local_backend(paths, instrument, models, progress):
    """Label files of one instrument on this machine: a Table as `label_survey` gives it."""
    return label_survey(paths, {"krr": models.path(instrument)}, models.parts, progress=progress)


def label_files(paths, models, progress=True, backend=local_backend):
    """Label files as `label` does.

    Parameters
    ----------
    paths : list of Path
    models : Models
    progress : bool
    backend : callable
        Labels the files of one instrument; takes and gives what `local_backend` does.

    Returns
    -------
    Table
    """
    told = _tell(paths, progress)
    names = [name for name in INSTRUMENTS if any(row["instrument"] == name for row in told)]
    if not names:
        raise InputError("; ".join(row["reason"] for row in told))
    # A file of no instrument fails with any: its row is made with those of the first.
    of = np.array([row["instrument"] or names[0] for row in told])
    order = [np.flatnonzero(of == name) for name in names]
    parts = [
        backend([paths[i] for i in some], name, models, progress)
        for name, some in zip(names, order, strict=True)
    ]
    table = vstack(parts, metadata_conflicts="silent")[np.argsort(np.concatenate(order))]
    if not usable(table).any():
        raise InputError("; ".join(reasons(table)))
    told = Column([row["instrument"] for row in told], description="LRS or MRS; empty if unknown")
    table.add_column(told, name="instrument", index=1)
    used = ", ".join(f"{name} {models.labeller(name).slam.digest()[:12]}" for name in names)
    table.meta.update(slamlib=slamlib.__version__, models=used)
    return table


def usable(table):
    """Tell which rows have labels, (n,); log g alone may be refused."""
    return np.isfinite(np.asarray(table["teff"], dtype=float))


def reasons(table):
    """Return why each row without labels has none."""
    rows = table[~usable(table)]
    return [printable(row["reason"] or f"{row['file']}: too few good pixels") for row in rows]


def _inside(folder):
    found = (path for path in folder.iterdir() if path.name.lower().endswith(_SUFFIXES) and path.is_file())
    return sorted(path for path in found if not path.name.startswith("."))


def _tell(paths, progress):
    """Of each file its instrument, or why that cannot be told."""
    chunks = [paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)]
    jobs = Parallel(n_jobs=min(n_cores(), len(chunks)), return_as="generator")(
        delayed(_tell_some)(chunk) for chunk in chunks
    )
    told = []
    with tqdm(total=len(paths), desc="reading", unit="file", disable=not progress) as bar:
        for rows in jobs:
            told += rows
            bar.update(len(rows))
    return told


def _tell_some(paths):
    rows = []
    for path in paths:
        try:
            rows.append({"instrument": read(path).header["instrument"], "reason": ""})
        except SlamlibError as error:
            rows.append({"instrument": "", "reason": str(error)})
    return rows
