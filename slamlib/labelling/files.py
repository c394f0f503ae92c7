"""Labels of any spectra: each is told its instrument, then labelled as the catalogue's are."""

import hashlib
from pathlib import Path

import numpy as np
from astropy.table import Column, Table, vstack
from joblib import delayed
from tqdm import tqdm

import slamlib
from slamlib.errors import InputError, enumerated, printable
from slamlib.instruments import Instrument, get_instrument
from slamlib.labelling import catalogue
from slamlib.labelling.catalogue import MEASURED, kept, recipe_digest
from slamlib.labelling.given import list_files
from slamlib.labelling.models import Models
from slamlib.spectra.prepare import recognised
from slamlib.spectra.reading import Hints
from slamlib.threads import in_processes, n_cores

# Files handed to a process at once.
_CHUNK = 64
# Files of the first part: labelled in a second, however many follow.
_FIRST = 16


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
    models as the catalogue's are (`slamlib.labelling.catalogue.label_survey`). Models of LRS, MRS,
    BOSS and HERMES come with slamlib; those of another instrument are trained first, once, in a few minutes.

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
        Of wavelengths, whatever the file says: "nm", "um" or "Angstrom"; not of LAMOST's and DESI's files,
        nor of arrays that have their own.
    vacuum : bool, optional
        Wavelengths are in vacuum (True) or air (False), whatever the file says; not of LAMOST's files.

    Returns
    -------
    Table
        One row a file, in the order given: file, instrument, simulated (whether the file says that it is),
        obsid, ra, dec, mjd, snr, rv, the labels (``teff`` [K], ``logg``, ``mh``, ``vsini`` [km/s]), their
        errors (``e_teff``, ...) and those by blocks (``b_teff``, ...), ``vsini_limit``, ``chi2``, ``flag``
        and ``status`` (docs/flags.md), and the ``reason`` where a file could not be used.

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


def label_files(given, models, progress=True, cluster=None, hints=None):
    """Label files as `label` does: portion by portion, each file read once and its labels kept at once.

    `given` is as `list_files` returns it. ``cluster(paths, instrument, models, progress, hints)``, if given,
    labels files of one instrument elsewhere and returns a Table as `label_survey` does.
    """
    hints = hints or Hints()
    seen, recipes, without, sent = {}, {}, [], {}
    order, tables, told = [], [], [""] * len(given)
    with tqdm(total=len(given), desc="labels", unit="spectrum", disable=not progress) as bar:
        for start, some in _portions(given):
            for instrument, rows, read in _by_instrument(_recognise_all(some, hints)):
                rows = [start + row for row in rows]
                if instrument is None:
                    without += zip(rows, read, strict=True)
                    continue
                seen[instrument.name] = instrument
                for row in rows:
                    told[row] = instrument.name
                if cluster and all(isinstance(given[row], Path) for row in rows):
                    sent.setdefault(instrument, []).extend(rows)
                else:
                    order += rows
                    tables.append(_label_kept(read, instrument, models, recipes, hints))
            bar.update(len(some))
    if not seen:
        raise InputError(enumerated([one.reason for _, one in without]))
    for instrument, rows in sent.items():
        order += rows
        tables.append(cluster([given[row] for row in rows], instrument, models, progress, hints))
    names = sorted(seen)
    # A file of no instrument has a row like those of the first.
    first = {"krr": models.labeller(seen[names[0]])} if without else {}
    for _, some in _portions(without):
        order += [row for row, _ in some]
        tables.append(catalogue.label_part([one for _, one in some], first, MEASURED, hints))
    table = vstack(tables, metadata_conflicts="silent")[np.argsort(order)]
    if not usable(table).any():
        raise InputError(enumerated(reasons(table)))
    about = "LRS, MRS or another; empty if unknown"
    table.add_column(Column(told, description=about), name="instrument", index=1)
    used = ", ".join(models.labeller(seen[name]).identity for name in names)
    table.meta.update(slamlib=slamlib.__version__, models=used)
    return table


def _portions(given):
    """Yield (start, portion): a small one first, so that there is something to show at once."""
    start, size = 0, min(_FIRST, catalogue.PART)
    while start < len(given):
        yield start, given[start : start + size]
        start, size = start + size, catalogue.PART


def _by_instrument(read):
    """Yield (instrument, rows, what was read): one for each instrument in a list, None for what has none."""
    for instrument in dict.fromkeys(one.instrument for one in read):
        rows = [row for row, one in enumerate(read) if one.instrument == instrument]
        yield instrument, rows, [read[row] for row in rows]


def _label_kept(read, instrument, models, recipes, hints):
    """Label what was read of one instrument, unless its labels are kept."""
    labeller = models.labeller(instrument)
    if instrument not in recipes:
        recipes[instrument] = recipe_digest({"krr": models.path(instrument)}, MEASURED, hints)
    digest = hashlib.sha256("".join([recipes[instrument], *(one.digest for one in read)]).encode())
    path = models.parts / f"{instrument.name}-{digest.hexdigest()[:16]}.ecsv"

    return kept(path, lambda: catalogue.label_part(read, {"krr": labeller}, MEASURED, hints))


def usable(table):
    """Tell which rows have labels, (n,); log g alone may be refused."""
    return np.isfinite(np.asarray(table["teff"], dtype=float))


def reasons(table):
    """Return why each row without labels has none."""
    rows = table[~usable(table)]
    return [printable(row["reason"] or f"{row['file']}: too few good pixels") for row in rows]


def _recognise_all(given, hints):
    chunks = [given[start : start + _CHUNK] for start in range(0, len(given), _CHUNK)]
    calls = (delayed(_recognise_some)(chunk, hints) for chunk in chunks)
    jobs = in_processes(min(n_cores(), len(chunks)), calls)
    return [one for chunk in jobs for one in chunk]


def _recognise_some(given, hints):
    return [recognised(one, hints) for one in given]
