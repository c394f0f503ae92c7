"""PARSEC isochrones as the CMD web form writes them, in the columns of the embedded ones."""

from pathlib import Path

import numpy as np
from astropy.table import Table

from slamlib.errors import FileError, InputError
from slamlib.io import write_ecsv

# Ours: theirs (CMD 3.x), type, unit or meaning.
COLUMNS = {
    "mh": ("MH", np.float32, "dex"),
    "log_age": ("logAge", np.float32, "log10(yr)"),
    "initial_mass": ("Mini", np.float32, "solMass"),
    "log_teff": ("logTe", np.float32, "log10(K)"),
    "logg": ("logg", np.float32, "log10(cm/s2)"),
    "log_l": ("logL", np.float32, "log10(solLum)"),
    "phase": ("label", np.int16, "0 before the main sequence, 1 main sequence, 2 and more evolved"),
}


def read_cmd(path):
    """Read a file exported from the CMD web form (http://stev.oapd.inaf.it/cmd).

    Comment lines begin with ``#``; the last of them before the data that has all the names
    needed is the line of column names (one may stand before each isochrone, and the file
    ends with ``#isochrone terminated``). Which filters were asked for does not matter.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Table
        mh, log_age, initial_mass, log_teff, logg, log_l and phase, as
        `data/embedded/parsec_isochrones.ecsv` has them, in the order of the file.

    Raises
    ------
    FileError
        If there is no such file, or its data are cut or damaged.
    InputError
        If a column is missing; the message lists those present.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise FileError(f"cannot read {path} ({error.strerror}); export it from the CMD web form") from None
    needed = {theirs for theirs, _, _ in COLUMNS.values()}
    names, best, rows = [], [], []
    for number, line in enumerate(lines, 1):
        words = line.lstrip("# \t").split()
        if line.lstrip().startswith("#"):
            best = max(best, words, key=lambda found: len(needed & set(found)))
            names = words if needed <= set(words) else names
        elif words:
            if not names:
                missing = ", ".join(sorted(needed - set(best)))
                raise InputError(
                    f"{path}: no line of column names with {missing} before line {number}; "
                    f"the best has {' '.join(best) or 'nothing'}"
                )
            rows.append(_row(words, names, path, number))
    if not rows:
        raise FileError(f"{path} holds no isochrone; export it again from the CMD web form")
    table = Table(
        list(np.array(rows).T), names=list(COLUMNS), dtype=[kind for _, kind, _ in COLUMNS.values()]
    )
    for name, (_, _, meaning) in COLUMNS.items():
        table[name].description = meaning
    table.meta["source"] = f"PARSEC isochrones, exported from the CMD web form as {path.name}"
    return table


def convert(path, output):
    """Write a CMD file as an ECSV table of isochrones; return the table."""
    table = read_cmd(path)
    write_ecsv(table, output)
    return table


def _row(words, names, path, number):
    try:
        if len(words) != len(names):
            raise ValueError
        values = [float(words[names.index(theirs)]) for theirs, _, _ in COLUMNS.values()]
        if not np.isfinite(values).all():
            raise ValueError
    except ValueError:
        raise FileError(
            f"{path}: line {number} is not a row of {len(names)} numbers; the file is cut or damaged: "
            "export it again"
        ) from None
    return values
