"""Labels of any spectra: each is told its instrument, then labelled as the catalogue's are."""

from pathlib import Path

import numpy as np
from astropy.table import Column, Table, vstack
from joblib import Parallel, delayed
from tqdm import tqdm

import slamlib
from slamlib.errors import FileError, InputError, SlamlibError, printable
from slamlib.instruments import Instrument, get_instrument
from slamlib.labelling.catalogue import MEASURED, label_part, label_survey
from slamlib.labelling.models import Models
from slamlib.spectra.reading import Hints
from slamlib.spectra.recognise import recognise
from slamlib.spectra.spectrum import Spectrum
from slamlib.threads import n_cores

_SUFFIXES = (".fits", ".fits.gz", ".fit", ".fit.gz")
# Files handed to a process at once.
_CHUNK = 64


def label(
    files: object,
    grid: str | Path = "embedded",
    models: str | Path | None = None,
    progress: bool = True,
    *,
    instrument: Instrument | str | None = None,
    resolution: float | None = None,
    unit: str | None = None,
    vacuum: bool | None = None,
) -> Table:
    """Find the labels of spectra: Teff, log g, [M/H], v sin i, with errors and flags.

    The spectra are normalised, put at rest by their own radial velocity, and compared with
    models as the catalogue's are (`slamlib.labelling.catalogue.label_survey`). Without trained
    models they are trained first, once, in a few minutes for each instrument.

    Parameters
    ----------
    files : str, Path, spectrum, or sequence of them
        Files as `slamlib.read` takes them: LAMOST's of any release, LRS and MRS, and most other
        one-dimensional spectra, gzipped or not; a folder stands for the FITS files in it. A
        spectrum is a `Spectrum`, a tuple (wave, flux) or (wave, flux, error), with units of
        astropy or in Angstrom, or a Spectrum of specutils.
    grid : str
        "embedded" or the path of a model grid.
    models : str or Path, optional
        The folder of trained models, as `Models` takes it.
    progress : bool
        Show bars, and which models are used, on standard error.
    instrument : str or Instrument, optional
        Of files that do not tell it (LAMOST, SDSS and DESI do): a name, such as "XSHOOTER_UVB", or
        a TOML file (docs/howto_instrument.md).
    resolution : float, optional
        Instead, the resolving power: a model is then trained for the range that the file has.
    unit : str, optional
        Of wavelengths, whatever the file says: "nm", "um" or "Angstrom".
    vacuum : bool, optional
        Wavelengths are in vacuum (True) or air (False), whatever the file says.

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
    hints = Hints(None if instrument is None else get_instrument(instrument), resolution, unit, vacuum)
    return label_files(list_files(files), Models(grid, models, progress, progress), progress, hints=hints)


def list_files(files):
    """Return what is meant by one or several files or spectra, with folders replaced by their FITS files.

    Raises
    ------
    InputError, FileError
        If nothing is given, or a folder has no FITS file.
    """
    try:
        files = [files] if is_one(files) else list(files)
    except TypeError:
        raise InputError(f"{files!r} names no file; give a path, or a list of paths") from None
    if not files:
        raise InputError("no file given; name files of spectra, or a folder of them")
    found = []
    for file in files:
        if not isinstance(file, (str, Path)):
            found.append(file)
            continue
        path = Path(file).expanduser()
        inner = _inside(path) if path.is_dir() else [path]
        if not inner:
            raise FileError(f"no FITS file in the folder {path}; name files, or another folder")
        found += inner
    return found


def local_backend(paths, instrument, models, progress, hints):
    """Label files of one instrument on this machine: a Table as `label_survey` gives it."""
    return label_survey(paths, {"krr": models.path(instrument)}, models.parts, MEASURED, progress, hints)


def label_files(given, models, progress=True, backend=local_backend, hints=None):
    """Label files as `label` does.

    Parameters
    ----------
    given : list
        As `list_files` returns it.
    models : Models
    progress : bool
    backend : callable
        Labels the files of one instrument; takes and gives what `local_backend` does.
    hints : Hints, optional

    Returns
    -------
    Table
    """
    hints = hints or Hints()
    told = _tell(given, hints, progress)
    seen = {found.name: found for found, _ in told if found}
    if not seen:
        raise InputError("; ".join(reason for _, reason in told))
    names = sorted(seen)
    # A file of no instrument fails again: its row is made with those of the first.
    of = np.array([found.name if found else names[0] for found, _ in told])
    order = [np.flatnonzero(of == name) for name in names]
    parts = []
    for name, rows in zip(names, order, strict=True):
        some = [given[i] for i in rows]
        if all(isinstance(one, Path) for one in some):
            parts.append(backend(some, seen[name], models, progress, hints))
        else:
            # What is in memory has no file whose labels could be kept.
            parts.append(label_part(some, {"krr": models.labeller(seen[name])}, hints=hints))
    table = vstack(parts, metadata_conflicts="silent")[np.argsort(np.concatenate(order))]
    if not usable(table).any():
        raise InputError("; ".join(reasons(table)))
    column = [found.name if found else "" for found, _ in told]
    column = Column(column, description="LRS, MRS or another; empty if unknown")
    table.add_column(column, name="instrument", index=1)
    used = ", ".join(f"{name} {models.labeller(seen[name]).slam.digest()[:12]}" for name in names)
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


def is_one(given):
    """Tell a single file or spectrum from a sequence of them; a tuple of arrays is one."""
    if isinstance(given, tuple):
        return bool(given) and not is_one(given[0])
    return isinstance(given, (str, Path, Spectrum)) or hasattr(given, "spectral_axis")


def _tell(given, hints, progress):
    """Of each file or spectrum its instrument, or None and why that cannot be told."""
    chunks = [given[start : start + _CHUNK] for start in range(0, len(given), _CHUNK)]
    jobs = Parallel(n_jobs=min(n_cores(), len(chunks)), return_as="generator")(
        delayed(_tell_some)(chunk, hints) for chunk in chunks
    )
    told = []
    with tqdm(total=len(given), desc="reading", unit="file", disable=not progress) as bar:
        for rows in jobs:
            told += rows
            bar.update(len(rows))
    return told


def _tell_some(given, hints):
    rows = []
    for one in given:
        try:
            rows.append((recognise(one, hints)[0], ""))
        except SlamlibError as error:
            rows.append((None, str(error)))
    return rows
