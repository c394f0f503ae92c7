"""One catalogue from the parts, in the order of the input, never more than a few parts in memory."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.table import Column, Table, meta

from slamlib.errors import FileError
from slamlib.io import atomic
from slamlib.labelling.cluster.parts import UNREADABLE, read_part

# Rows of a row group: what a reader of the catalogue has in memory at once, some 30 MB.
_GROUP = 100_000


def merge(paths, output):
    """Write one Parquet file `output` of all parts, in order; return its number of rows.

    FileError if a part is missing or damaged.
    """
    rows, waiting, writer = 0, [], None
    with atomic(output) as temporary:
        try:
            for path in paths:
                waiting.append(_read(path))
                writer = writer or pq.ParquetWriter(temporary, waiting[0].schema, compression="zstd")
                rows += waiting[-1].num_rows
                if sum(part.num_rows for part in waiting) >= _GROUP:
                    writer.write_table(pa.concat_tables(waiting))
                    waiting = []
            if writer and waiting:
                writer.write_table(pa.concat_tables(waiting))
        finally:
            if writer:
                writer.close()
    return rows


def _read(path):
    try:
        return read_part(path)
    except UNREADABLE as error:
        told = f"{path} is missing or damaged ({error}); run the same command to make it anew"
        raise FileError(told) from None


def read_catalogue(path, columns=None):
    """Read a catalogue, or some of its columns, as a Table with units and descriptions.

    FileError if the file is missing or is no catalogue that `merge` wrote.
    """
    try:
        content = pq.read_table(path, columns=columns)
        header = meta.get_header_from_yaml(content.schema.metadata[b"table_meta_yaml"].decode().split("\n"))
    except (*UNREADABLE, TypeError, KeyError) as error:
        raise FileError(f"{path} is not a readable catalogue ({error})") from None
    known = {column["name"]: column for column in header["datatype"]}
    table = Table(meta=header.get("meta"))
    for name in content.column_names:
        values = content[name].to_numpy()
        values = values.astype(str) if values.dtype == object else np.array(values)
        told = {key: known[name].get(key) for key in ("unit", "description")}
        table[name] = Column(values, **told)
    return table
