"""PARSEC isochrones as the CMD web form writes them, in the columns of the embedded ones."""

from pathlib import Path

import numpy as np
from astropy.io import ascii
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
    """Convert a file exported from the CMD web form (http://stev.oapd.inaf.it/cmd) to the ECSV file `output`.

    Comment lines begin with ``#``; one of them, or one before each isochrone, has the names of the columns.
    Which filters were asked for does not matter. Returns the Table, with the columns of
    `parsec_isochrones.ecsv` in the order of the file. FileError if there is no such file, or its data are cut
    or damaged; InputError if a column is missing.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise FileError(f"cannot read {path} ({error.strerror}); export it from the CMD web form") from None
    needed = {theirs for theirs, _, _ in COLUMNS.values()}
    comments = [line.lstrip("# \t").split() for line in lines if line.lstrip().startswith("#")]
    best = max(comments, key=lambda words: len(needed & set(words)), default=[])
    if missing := sorted(needed - set(best)):
        lacks, best = ", ".join(missing), " ".join(best) or "none"
        raise InputError(f"{path}: no line names the columns {lacks}; the best is {best}")
    try:
        data = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
        raw = ascii.read(data, format="no_header", names=best, guess=False)
        columns = [np.asarray(raw[theirs]).astype(kind) for theirs, kind, _ in COLUMNS.values()]
        if not data or not np.isfinite(columns).all():
            raise ValueError("values are missing")
    except (ascii.InconsistentTableError, ValueError) as error:
        raise FileError(f"{path} is cut or damaged ({error}); export it again") from None
    meanings = {ours: rule[2] for ours, rule in COLUMNS.items()}
    table = Table(columns, names=list(COLUMNS), descriptions=meanings)
    table.meta["source"] = f"PARSEC isochrones, exported from the CMD web form as {path.name}"
    write_ecsv(table, output)
    return table
