"""Published tables: ECSV (the truth), ApJ machine-readable and AASTeX, from one astropy Table."""

import io
import unicodedata
from pathlib import Path
from textwrap import fill

import numpy as np
from astropy import units as u
from astropy.io import ascii
from astropy.table import Column, MaskedColumn, Table

from slamlib.errors import InputError
from slamlib.files import atomic
from slamlib.instruments import get_instrument
from slamlib.labels import LABELS

SIMULATED = "SIMULATED STARS, not LAMOST observations."
AUTHORS = "slamlib, after Guo Y. et al. (2021, ApJS, 257, 54)"
# A longer table is printed as its first rows, as the journal does.
LONGEST_PRINTED = 60
ROWS_OF_A_SAMPLE = 6

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
_FLAG = ("flag", None, None, "I: inside the training grid")
_HEADINGS = {label.name: label.symbol for label in LABELS} | {
    f"e_{label.name}": rf"$\sigma$({label.symbol})" for label in LABELS
}


def catalogue_table(labels, instrument):
    """Return the paper's Table 1 (LRS) or Table 2 (MRS) with an error beside each label.

    Parameters
    ----------
    labels : astropy.table.Table
        The catalogue of one instrument: obsid, ra, dec, snr (LRS) or mjd, snr_r, snr_b
        (MRS), the labels, `e_` and each label's name, and flag. Other columns are ignored.
    instrument : str or Instrument

    Returns
    -------
    astropy.table.Table
        Rounded to the printed decimals; a value that is not finite is masked. The metadata
        is the catalogue's.

    Raises
    ------
    InputError
        If a column is missing or the instrument is unknown.
    """
    name = get_instrument(instrument).name
    columns: list[tuple] = [*_POSITION, *_OBSERVATION[name]]
    for label in LABELS:
        columns.append((label.name, label.unit, label.decimals, label.description.capitalize()))
        error = f"Error (1 sigma) of {label.name}"
        columns.append((f"e_{label.name}", label.unit, _ERROR_DECIMALS[label.name], error))
    columns.append(_FLAG)
    missing = [column[0] for column in columns if column[0] not in labels.colnames]
    if missing:
        raise InputError(f"the {name} catalogue lacks the columns {', '.join(missing)}; has notebook 06 run?")
    table = Table(meta=dict(labels.meta))
    for column, unit, decimals, description in columns:
        table[column] = _rounded(labels[column], decimals)
        table[column].unit = unit
        table[column].description = description
        if decimals:
            table[column].format = f".{decimals}f"
    return table


def _rounded(column, decimals):
    values = np.ma.asarray(column.value if isinstance(column, u.Quantity) else column)
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
    """Write a table as `name`.ecsv, `name`.mrt and `name`.tex, the same bytes every time.

    Parameters
    ----------
    table : astropy.table.Table
        With units and descriptions. ``meta["simulated"]`` true puts SIMULATED before the
        caption. A column's format decides its printed digits; without one, six count.
    folder : str or Path
    name : str
    caption : str
        Plain text; what TeX would misread is escaped.

    Returns
    -------
    list of Path

    Raises
    ------
    InputError
        If the table is empty or has a column that a text file cannot hold.
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
    plain = _plain(table)
    texts = {
        ".ecsv": ecsv.getvalue(),
        ".mrt": _machine_readable(plain, name, caption),
        ".tex": _deluxetable(plain, name, caption),
    }
    paths = []
    for suffix, text in texts.items():
        paths.append(Path(folder) / f"{name}{suffix}")
        with atomic(paths[-1]) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="\n")
    return paths


def _plain(table):
    """Return a copy that both printed formats can hold: no NaN, no bool, one line a string."""
    plain = Table()
    for name in table.colnames:
        column, values = table[name], np.ma.asarray(table[name])
        if values.dtype.kind == "f":
            values = np.ma.masked_invalid(values.astype(float))
        elif values.dtype.kind in "bUS":
            texts = [" ".join(str(value).split()) for value in values.filled().astype(str)]
            values = np.ma.array(texts, mask=np.ma.getmaskarray(values) | (np.array(texts) == ""))
        masked = np.ma.getmaskarray(values).any()
        plain[name] = MaskedColumn(values) if masked else Column(values.filled())
        plain[name].unit, plain[name].description = column.unit, column.description
        if values.dtype.kind == "f":
            plain[name].format = column.format or _format_of(values.compressed())
    return plain


def _format_of(values):
    """Return a format in which every value keeps six digits; one exponent makes all have one.

    astropy's MRT writer takes the decimals of a mixed column from the values that happen to
    need an exponent, and so writes 16032 beside 1e-07 as 2e+04.
    """
    texts = [f"{value:.6g}" for value in values]
    if any("e" in text for text in texts):
        return ".5e"
    return f".{max((len(text.partition('.')[2]) for text in texts), default=0)}f"


def _machine_readable(plain, name, caption):
    """Return the AAS machine-readable form (https://journals.aas.org/mrt-standards)."""
    printed, notes = Table(), []
    for column in plain.colnames:
        values = plain[column]
        if np.ma.getmaskarray(values).all():
            # The writer would give it a byte range that ends before it begins.
            notes.append(f"Column {column} is left out: it has no values.")
            continue
        if values.dtype.kind == "U":
            ascii_only = [_ascii(text) for text in np.ma.filled(values, "")]
            values = type(values)(np.ma.array(ascii_only, mask=np.ma.getmaskarray(values)))
        printed[column] = values
        # MRT has no bare dex, but it has the logarithm of a pure number.
        unit = plain[column].unit
        printed[column].unit = u.dex(u.one) if unit == u.dex else unit
        printed[column].format = plain[column].format
        printed[column].description = _ascii(plain[column].description or column)
    if not printed.colnames:
        raise InputError(f"table {name} holds no value at all; nothing to publish")
    text = io.StringIO()
    try:
        ascii.write(printed, text, format="mrt")
    except ValueError as error:
        raise InputError(
            f"table {name} cannot be machine-readable: {error}; change that unit or format"
        ) from None
    head = "\n".join(fill(line, 80) for line in (f"Title: {_ascii(caption)}", f"Authors: {AUTHORS}"))
    filled = text.getvalue().replace("Title:\nAuthors:\nTable:\n", f"{head}\nTable: {name}\n", 1)
    filled = filled.replace("file: table.dat", f"file: {name}.mrt", 1)
    if notes:
        filled = filled.replace("\nNotes:\n", "\nNotes: " + fill(" ".join(notes), 80) + "\n", 1)
    return "\n".join(line.rstrip() for line in filled.splitlines()) + "\n"


def _deluxetable(plain, name, caption):
    """Return an AASTeX deluxetable; a long table shows its first rows and says so."""
    long = len(plain) > LONGEST_PRINTED
    shown = plain[:ROWS_OF_A_SAMPLE] if long else plain
    rows = [
        " & ".join(cells) + r" \\" for cells in zip(*(_cells(shown[c]) for c in shown.colnames), strict=True)
    ]
    heads = " & ".join(rf"\colhead{{{_HEADINGS.get(c, _tex(c))}}}" for c in plain.colnames)
    units = " & ".join(rf"\colhead{{{_tex_unit(plain[c].unit)}}}" for c in plain.colnames)
    align = "".join("l" if plain[c].dtype.kind == "U" else "r" for c in plain.colnames)
    note = f"The first {ROWS_OF_A_SAMPLE} of {len(plain)} rows; the machine-readable table has all."
    lines = [
        rf"\begin{{deluxetable*}}{{{align}}}",
        rf"\tablecaption{{{_tex(caption)}\label{{tab:{name}}}}}",
        rf"\tablehead{{{heads} \\",
        f"{units}}}",
        r"\startdata",
        *rows[:-1],
        rows[-1].removesuffix(r" \\"),
        r"\enddata",
        *([rf"\tablecomments{{{note}}}"] if long else []),
        r"\end{deluxetable*}",
    ]
    return "\n".join(lines) + "\n"


def _cells(column):
    if column.dtype.kind == "U":
        return [_tex(text) for text in np.ma.filled(column, r"")]
    texts = [format(value, column.format or "") for value in np.ma.filled(column, 0)]
    shown = [rf"${text}$" if text.startswith("-") else text for text in texts]
    missing = np.ma.getmaskarray(column)
    return [r"\nodata" if gone else text for gone, text in zip(missing, shown, strict=True)]


def _tex_unit(unit):
    if unit is None or unit == u.dimensionless_unscaled:
        return ""
    if isinstance(unit, u.function.FunctionUnitBase) or unit == u.dex:
        return "(dex)"
    if unit == u.deg:
        return "(deg)"
    return f"({u.Unit(unit).to_string('latex_inline')})"


_TEX = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"<": "$<$", ">": "$>$"}
)


def _tex(text):
    return str(text).translate(_TEX)


def _ascii(text):
    text = str(text).replace("–", "-").replace("−", "-").replace("×", "x")
    letters = unicodedata.normalize("NFKD", text)
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return plain.encode("ascii", "replace").decode()
