"""How a table is printed: the AAS machine-readable form and AASTeX, from one astropy Table.

A text too long for a column becomes the number of a note below the table.
"""

import io
import unicodedata
from textwrap import fill

import numpy as np
from astropy import units as u
from astropy.io import ascii
from astropy.table import Column, MaskedColumn, Table

from slamlib.errors import InputError
from slamlib.labels import LABELS

AUTHORS = "slamlib, after Guo Y. et al. (2021, ApJS, 257, 54)"
# A longer table is printed as its first rows, as the journal does.
LONGEST_PRINTED = 60
ROWS_OF_A_SAMPLE = 6
# Characters of the longest text that stands in a column.
WIDEST = 40

_HEADINGS = {label.name: label.symbol for label in LABELS}
_HEADINGS |= {f"e_{label.name}": rf"$\sigma$({label.symbol})" for label in LABELS}


def plain(table):
    """Return what both printed forms can hold, a Table, and the notes, by their numbers.

    The table has no NaN, no bool, one line a string. A column whose format ends in g is text: each of its
    numbers has the digits it needs (16032 beside 0.03). A column with a text longer than `WIDEST` holds the
    numbers of notes instead.
    """
    printed, notes = Table(), []
    for name in table.colnames:
        column, values = table[name], np.ma.asarray(table[name])
        kind, fmt = values.dtype.kind, None
        if kind == "f":
            values = np.ma.masked_invalid(values.astype(float))
            fmt = column.format or _format_of(values.compressed())
            if fmt.endswith("g"):
                kind = "number"
                texts = ["" if gone else format(value, fmt) for value, gone in _pairs(values)]
                values = np.ma.array(texts, mask=np.ma.getmaskarray(values))
        elif kind in "bUS":
            texts = [" ".join(str(value).split()) for value in values.filled().astype(str)]
            values = np.ma.array(texts, mask=np.ma.getmaskarray(values) | (np.array(texts) == ""))
            if max(map(len, texts)) > WIDEST:
                kind = "note"
                notes += [text for text in dict.fromkeys(values.compressed().tolist()) if text not in notes]
                texts = ["" if gone else str(notes.index(text) + 1) for text, gone in _pairs(values)]
                values = np.ma.array(texts, mask=np.ma.getmaskarray(values))
        masked = np.ma.getmaskarray(values).any()
        printed[name] = MaskedColumn(values) if masked else Column(values.filled())
        printed[name].unit, printed[name].description = column.unit, column.description
        printed[name].meta["kind"] = kind
        if kind == "f":
            printed[name].format = fmt
        elif kind == "note":
            printed[name].description = f"{column.description or name}: number of the note"
    return printed, dict(enumerate(notes, start=1))


def _pairs(values):
    return zip(values.filled().tolist(), np.ma.getmaskarray(values), strict=True)


def _format_of(values):
    """Return a format in which every value keeps six digits; one exponent makes all have one.

    astropy's MRT writer takes the decimals of a mixed column from the values that happen to
    need an exponent, and so writes 16032 beside 1e-07 as 2e+04.
    """
    texts = [f"{value:.6g}" for value in values]
    if any("e" in text for text in texts):
        return ".5e"
    return f".{max((len(text.partition('.')[2]) for text in texts), default=0)}f"


def machine_readable(printed, notes, name, caption):
    """Return the AAS machine-readable form (https://journals.aas.org/mrt-standards) of what `plain` gives.

    InputError if the table has no value, or a unit or format that the form does not know.
    """
    kept, remarks = Table(), []
    for column in printed.colnames:
        values = printed[column]
        if np.ma.getmaskarray(values).all():
            # The writer would give it a byte range that ends before it begins.
            remarks.append(f"Column {column} is left out: it has no values.")
            continue
        if values.dtype.kind == "U":
            ascii_only = [_ascii(text) for text in np.ma.filled(values, "")]
            values = type(values)(np.ma.array(ascii_only, mask=np.ma.getmaskarray(values)))
        kept[column] = values
        # MRT has no bare dex, but it has the logarithm of a pure number.
        unit = printed[column].unit
        kept[column].unit = u.dex(u.one) if unit == u.dex else unit
        kept[column].format = printed[column].format
        kept[column].description = _ascii(printed[column].description or column)
    if not kept.colnames:
        raise InputError(f"table {name} holds no value at all; nothing to publish")
    text = io.StringIO()
    try:
        ascii.write(kept, text, format="mrt")
    except ValueError as error:
        told = f"table {name} cannot be machine-readable: {error}"
        raise InputError(f"{told}; change that unit or format") from None
    head = "\n".join(fill(line, 80) for line in (f"Title: {_ascii(caption)}", f"Authors: {AUTHORS}"))
    filled = text.getvalue().replace("Title:\nAuthors:\nTable:\n", f"{head}\nTable: {name}\n", 1)
    filled = filled.replace("file: table.dat", f"file: {name}.mrt", 1)
    remarks += [f"Note ({number}): {_ascii(note)}" for number, note in notes.items()]
    if remarks:
        below = "\n".join(fill(remark, 80, subsequent_indent="  ") for remark in remarks)
        filled = filled.replace("\nNotes:\n", f"\nNotes:\n{below}\n", 1)
    return "\n".join(line.rstrip() for line in filled.splitlines()) + "\n"


def deluxetable(printed, notes, name, caption):
    """Return an AASTeX deluxetable; a long table shows its first rows and says so.

    The limit flag of a column, ``l_`` and its name, is printed with the value: $<38$.
    Parameters are those of `machine_readable`.
    """
    long = len(printed) > LONGEST_PRINTED
    shown = printed[:ROWS_OF_A_SAMPLE] if long else printed
    columns = [c for c in printed.colnames if c.removeprefix("l_") == c or c[2:] not in printed.colnames]
    rows = [" & ".join(cells) + r" \\" for cells in zip(*(_cells(shown, c) for c in columns), strict=True)]
    heads = " & ".join(rf"\colhead{{{_HEADINGS.get(c, _tex(c))}}}" for c in columns)
    units = " & ".join(rf"\colhead{{{_tex_unit(printed[c].unit)}}}" for c in columns)
    align = "".join("l" if printed[c].meta["kind"] in "bUS" else "r" for c in columns)
    marked = [np.ma.filled(shown[c], "") for c in columns if shown[c].meta["kind"] == "note"]
    referred = {number for numbers in marked for number in numbers.tolist()}
    below = [f"({number}) {_tex(note)}" for number, note in notes.items() if str(number) in referred]
    if long:
        rest = "the machine-readable table has all"
        below[:0] = [f"The first {ROWS_OF_A_SAMPLE} of {len(printed)} rows; {rest}."]
    lines = [
        rf"\begin{{deluxetable*}}{{{align}}}",
        rf"\tablecaption{{{_tex(caption)}\label{{tab:{name}}}}}",
        rf"\tablehead{{{heads} \\",
        f"{units}}}",
        r"\startdata",
        *rows[:-1],
        rows[-1].removesuffix(r" \\"),
        r"\enddata",
        *([rf"\tablecomments{{{' '.join(below)}}}"] if below else []),
        r"\end{deluxetable*}",
    ]
    return "\n".join(lines) + "\n"


def _cells(table, name):
    column, kind = table[name], table[name].meta["kind"]
    if kind in ("b", "U", "S", "note"):
        return [_tex(text) for text in np.ma.filled(column, "")]
    values = np.ma.filled(column, "" if kind == "number" else 0)
    texts = [format(value, column.format or "") for value in values]
    shown = [rf"${text}$" if text.startswith("-") else text for text in texts]
    if f"l_{name}" in table.colnames:
        flags = np.ma.filled(table[f"l_{name}"], "")
        shown = [rf"${flag}{text}$" if flag else text for flag, text in zip(flags, shown, strict=True)]
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
