"""A table of labels as a file: ECSV, CSV or FITS."""

from slamlib.cli.options import FORMATS
from slamlib.io import atomic

# How a formula begins in a spreadsheet; an empty text begins with nothing.
_FORMULA = tuple("=+-@")


def write(table, path):
    """Write a table in the format that the suffix of `path` names, whole or not at all.

    FITS has no word for dex: there the unit of such a column stands in its description. In CSV,
    text that a spreadsheet would take for a formula begins with an apostrophe.
    """
    name = FORMATS[path.suffix.lower()]
    if name == "ascii.csv":
        table = table.copy()
        for column in table.itercols():
            if column.dtype.kind == "U":
                safe = [f"'{text}" if text[:1] in _FORMULA else text for text in column.tolist()]
                table[column.name] = safe
    if name == "fits":
        table = table.copy()
        for column in table.itercols():
            if "dex" in str(column.unit):
                column.description, column.unit = f"{column.description} [{column.unit}]", None
    with atomic(path) as temporary:
        table.write(temporary, format=name)
