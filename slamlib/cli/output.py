"""A table of labels as a file: ECSV, CSV or FITS."""

from slamlib.cli.options import FORMATS
from slamlib.io import atomic


def write(table, path):
    """Write a table in the format that the suffix of `path` names, whole or not at all.

    FITS has no word for dex: there the unit of such a column stands in its description.
    """
    name = FORMATS[path.suffix.lower()]
    if name == "fits":
        table = table.copy()
        for column in table.itercols():
            if "dex" in str(column.unit):
                column.description, column.unit = f"{column.description} [{column.unit}]", None
    with atomic(path) as temporary:
        table.write(temporary, format=name)
