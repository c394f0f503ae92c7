"""A table of labels as a file, ECSV, CSV, FITS or VOTable, and back; or to TOPCAT over SAMP."""

import warnings
from contextlib import suppress
from importlib import import_module

import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.units import UnitsWarning
from astropy.utils.exceptions import AstropyDeprecationWarning

from slamlib.cli.options import FORMATS
from slamlib.errors import FileError, InputError
from slamlib.io import atomic, read_ecsv
from slamlib.labelling.ucd import with_ucds

# How a formula begins in a spreadsheet; an empty text begins with nothing.
_FORMULA = tuple("=+-@")


def write(table, path):
    """Write a table in the format that the suffix of `path` names, whole or not at all.

    Columns have their units, descriptions and UCDs (`slamlib.labelling.ucd`), but for CSV, where
    text that a spreadsheet would take for a formula begins with an apostrophe. FITS and VOTable
    have no word for dex: there the unit of such a column stands in its description.
    """
    name, table = FORMATS[path.suffix.lower()], with_ucds(table.copy())
    if name == "ascii.csv":
        for column in table.itercols():
            if column.dtype.kind == "U":
                safe = [f"'{text}" if text[:1] in _FORMULA else text for text in column.tolist()]
                table[column.name] = safe
    if name in ("fits", "votable"):
        for column in table.itercols():
            if "dex" in str(column.unit):
                column.description, column.unit = f"{column.description} [{column.unit}]", None
    with atomic(path) as temporary, warnings.catch_warnings():
        # VOUnits would rather have 0.1 nm; everybody reads Angstrom.
        warnings.simplefilter("ignore", UnitsWarning)
        table.write(temporary, format=name)
        if name == "fits":
            with fits.open(temporary, mode="update") as hdus:
                for i, column in enumerate(table.itercols(), 1):
                    hdus[1].header[f"TUCD{i}"] = column.meta.get("ucd", "")


def read_table(path):
    """Read what `write` wrote, with its empty texts and its booleans; FileError if it cannot be read."""
    name = FORMATS[path.suffix.lower()]
    if name == "ascii.ecsv":
        return read_ecsv(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UnitsWarning)
            table = Table.read(path, format=name)
    except Exception as error:  # a damaged table can raise nearly anything
        raise FileError(f"cannot read the table {path} ({error}); write it again") from error
    for column in table.colnames:
        empty = {"U": "", "S": b"", "O": "", "f": np.nan}.get(table[column].dtype.kind)
        if hasattr(table[column], "mask") and empty is not None:
            table[column] = table[column].filled(empty)
    table.convert_bytestring_to_unicode()
    for column in table.colnames:
        if table[column].dtype.kind == "U" and len(table):
            if name == "ascii.csv":
                texts = table[column].tolist()
                table[column] = [t[1:] if t[:1] == "'" and t[1:2] in _FORMULA else t for t in texts]
            # CSV has no booleans, and any text is true; spreadsheets and TOPCAT write them in other cases.
            words = np.char.lower(table[column])
            if np.isin(words, ("true", "false")).all():
                table[column] = words == "true"
    return table


def send(table, path):
    """Send a table to what listens on a SAMP hub, such as TOPCAT, through a VOTable at `path`.

    InputError if there is no hub, or nothing that speaks with one.
    """
    samp = samp_module()
    write(table, path)
    client = samp.SAMPIntegratedClient(name="slamlib")
    try:
        client.connect()
    except samp.SAMPHubError:
        raise InputError("no SAMP hub runs here; start TOPCAT first") from None
    try:
        told = {"url": path.resolve().as_uri(), "name": "slamlib"}
        client.notify_all({"samp.mtype": "table.load.votable", "samp.params": told})
    finally:
        client.disconnect()


def samp_module():
    """Return pyvo.samp or, of older days, astropy.samp; InputError if there is neither."""
    for name in ("pyvo.samp", "astropy.samp"):
        with suppress(ImportError), warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyDeprecationWarning)
            return import_module(name)
    raise InputError("SAMP needs pyvo: pip install pyvo")
