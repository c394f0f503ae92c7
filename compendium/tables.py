"""Published tables: ECSV (the truth), ApJ machine-readable and AASTeX, from one astropy Table."""

import io
import re
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.table import Column, MaskedColumn, Table

from compendium.printed import deluxetable, machine_readable, plain
from slamlib.errors import InputError
from slamlib.instruments import get_instrument
from slamlib.io import atomic
from slamlib.labels import LABELS, VSINI

SIMULATED = "SIMULATED STARS, not LAMOST observations."

# Columns before and after the labels: (name, unit, decimals or None, description). The
# decimals are the paper's, except for log g: it prints 0.1 dex and claims errors of 0.03.
_POSITION = (
    ("obsid", None, 0, "LAMOST observation identifier"),
    ("ra", u.deg, 4, "Right ascension (J2000)"),
    ("dec", u.deg, 4, "Declination (J2000)"),
)
_OBSERVATION = {
    "LRS": (("snr", None, 0, "Signal-to-noise ratio"),),
    "MRS": (
        ("mjd", u.d, 4, "Modified Julian date of the observation"),
        ("snr_r", None, 0, "Signal-to-noise ratio of the red arm"),
        ("snr_b", None, 0, "Signal-to-noise ratio of the blue arm"),
    ),
}
_ERROR_DECIMALS = {"teff": 0, "logg": 3, "mh": 3, "vsini": 1}
# The prefix l_ is that of limit flags (https://journals.aas.org/mrt-labels).
_LIMIT = ("l_vsini", None, None, "<: vsini is an upper limit (95%)")
_OUTCOME = (
    ("flag", None, None, "I: inside the training grid; O: outside; N: no labels"),
    ("status", None, None, "What the row is worth; ok: no doubt known"),
    ("reason", None, None, "Why there are no labels"),
)


def catalogue_table(labels, instrument):
    """Return the paper's Table 1 (LRS) or Table 2 (MRS) with an error beside each label.

    `labels` is the catalogue of one instrument; columns that are not printed are ignored, and InputError is
    raised if one is missing. Rounded to the printed decimals; a value that is not finite is masked. Where v
    sin i is a limit, l_vsini is "<", vsini the limit, and it has no error. The metadata is the catalogue's.
    """
    name = get_instrument(instrument).name
    columns: list[tuple] = [*_POSITION, *_OBSERVATION[name]]
    for label in LABELS:
        columns += [_LIMIT] if label is VSINI else []
        columns.append((label.name, label.unit, label.decimals, label.description.capitalize()))
        error = f"Error (1 sigma) of {label.name}"
        columns.append((f"e_{label.name}", label.unit, _ERROR_DECIMALS[label.name], error))
    columns += _OUTCOME
    wanted = {column[0] for column in columns} - {_LIMIT[0]} | {"vsini_limit"}
    missing = sorted(wanted - set(labels.colnames))
    if missing:
        raise InputError(f"the {name} catalogue lacks the columns {', '.join(missing)}; has notebook 06 run?")
    printed = _with_limits(labels)
    table = Table(meta=dict(labels.meta))
    for column, unit, decimals, description in columns:
        table[column] = _rounded(printed[column], decimals)
        table[column].unit = unit
        table[column].description = description
        if decimals:
            table[column].format = f".{decimals}f"
    return table


def _with_limits(labels):
    """Return the catalogue as it is printed: v sin i or its limit, reasons without the file."""
    printed = labels.copy()
    limit = np.ma.filled(_values(labels["vsini_limit"]).astype(float), np.nan)
    limited = np.isfinite(limit)
    printed["l_vsini"] = np.where(limited, "<", "")
    printed["vsini"] = np.ma.where(limited, limit, _values(labels["vsini"]))
    printed["e_vsini"] = np.ma.where(limited, np.nan, _values(labels["e_vsini"]))
    reasons = _values(labels["reason"]).astype(str).filled("")
    # The row says which star it is; what is left is the same for many.
    printed["reason"] = [re.sub(r"^\S+\.fits(\.gz)?: ", "", reason) for reason in reasons]
    return printed


def _values(column):
    return np.ma.asarray(column.value if isinstance(column, u.Quantity) else column)


def _rounded(column, decimals):
    values = _values(column)
    if decimals is None:
        return Column(values.filled("").astype(str))
    if not np.issubdtype(values.dtype, np.integer):
        values = np.ma.masked_invalid(values.astype(float))
        filled = np.round(values.filled(0), decimals)
        # Minus zero prints as -0.00.
        values = np.ma.array(filled + 0.0, mask=np.ma.getmaskarray(values))
    if decimals == 0:
        values = values.astype(np.int64)
    return MaskedColumn(values) if np.ma.getmaskarray(values).any() else Column(values.filled())


def write_table(table, folder, name, caption):
    """Write a table as `name`.ecsv, `name`.mrt and `name`.tex, the same bytes every time; return their paths.

    Parameters
    ----------
    table : astropy.table.Table
        With units and descriptions. ``meta["simulated"]`` true puts SIMULATED before the caption. A
        column's format decides its printed digits; without one, six count. Long texts are printed as
        notes (`compendium.printed`). InputError if it is empty or has a column that a text file cannot hold.
    folder : str or Path
    name : str
    caption : str
        Plain text; what TeX would misread is escaped.
    """
    if len(table) == 0:
        raise InputError(f"table {name} has no rows; nothing to publish")
    for column in table.colnames:
        if np.ndim(table[column]) != 1 or np.asarray(table[column]).dtype.kind not in "biufUS":
            raise InputError(f"column {column} of table {name} is not a plain column of numbers or text")
    if table.meta.get("simulated"):
        caption = f"{SIMULATED} {caption}"
    truth = Table(table, copy=True)
    truth.meta["caption"] = caption
    ecsv = io.StringIO()
    truth.write(ecsv, format="ascii.ecsv")
    printed = *plain(table), name, caption
    texts = {
        ".ecsv": ecsv.getvalue(),
        ".mrt": machine_readable(*printed),
        ".tex": deluxetable(*printed),
    }
    paths = []
    for suffix, text in texts.items():
        paths.append(Path(folder) / f"{name}{suffix}")
        with atomic(paths[-1]) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="\n")
    return paths
