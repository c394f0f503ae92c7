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


def convert(path, output):
    """Convert a file exported from the CMD web form (http://stev.oapd.inaf.it/cmd).

    Comment lines begin with ``#``; the last of them before the data that has all the names
    needed is the line of column names (one may stand before each isochrone, and the file
    ends with ``#isochrone terminated``). Which filters were asked for does not matter.

    Parameters
    ----------
    path : str or Path
    output : str or Path
        ECSV file to write.

    Returns
    -------
    Table
        mh, log_age, initial_mass, log_teff, logg, log_l and phase, as
        `parsec_isochrones.ecsv` has them, in the order of the file.

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
        elif words and not names:
            raise InputError(
                f"{path}: no line of column names with {', '.join(sorted(needed - set(best)))} before line "
                f"{number}; the best has {' '.join(best) or 'nothing'}"
            )
        elif words:
            rows.append(_row(words, names, f"{path}: line {number}"))
    if not rows:
        raise FileError(f"{path} holds no isochrone; export it again from the CMD web form")
    types, meanings = ({ours: rule[i] for ours, rule in COLUMNS.items()} for i in (1, 2))
    table = Table(rows=rows, names=list(COLUMNS), dtype=list(types.values()), descriptions=meanings)
    table.meta["source"] = f"PARSEC isochrones, exported from the CMD web form as {path.name}"
    write_ecsv(table, output)
    return table


def _row(words, names, where):
    try:
        values = [float(dict(zip(names, words, strict=True))[theirs]) for theirs, _, _ in COLUMNS.values()]
        if not np.isfinite(values).all():
            raise ValueError
    except ValueError:
        raise FileError(
            f"{where} is not a row of {len(names)} numbers; the file is cut or damaged: export it again"
        ) from None
    return values
