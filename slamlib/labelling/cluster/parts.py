"""A part of a survey on disk: a Parquet file of labels, whole or absent, named by what they depend on."""

import os
import time
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.table import meta

from slamlib.errors import InputError
from slamlib.io import atomic
from slamlib.labelling.catalogue import MEASURED, label_part, part_digest, recipe_digest
from slamlib.labelling.labeller import Labeller
from slamlib.threads import CORES_VARIABLE

# What pyarrow raises on a file that is cut, has a flipped bit or is no Parquet at all.
UNREADABLE = (OSError, pa.ArrowException)


@dataclass(frozen=True)
class Recipe:
    """Labellers by the names of their files, which every worker sees under the same path.

    `labellers` are pairs of name and file, in the order of `slamlib.labelling.catalogue.label_survey`; `rv`
    and `hints` are as it takes them.
    """

    labellers: tuple
    # A catalogue of velocities has no hash, and the labellers do not depend on it.
    rv: object = field(default=MEASURED, hash=False)
    hints: object = None

    @classmethod
    def of(cls, labellers, rv=MEASURED, hints=None):
        """Return a recipe with absolute paths, since a worker may live in another folder."""
        return cls(tuple((name, str(Path(path).resolve())) for name, path in labellers.items()), rv, hints)

    def digest(self):
        """Return a hash of code and labellers: of what they hold, not of where they lie."""
        return recipe_digest(dict(self.labellers), self.rv, self.hints)


@lru_cache(maxsize=1)
def load(recipe, digest):
    """Read the labellers, once in a process: a dict of `Labeller`.

    InputError if this process has other code or labellers than the client, which found `digest`.
    """
    if recipe.digest() != digest:
        raise InputError(
            "a worker has another slamlib or other models than the client; "
            "install the same version on both and let both see the same files"
        )
    return {name: Labeller.read(path) for name, path in recipe.labellers}


class Done(NamedTuple):
    """What a worker tells of a part; the labels themselves stay on disk.

    Attributes
    ----------
    name : str
        File name of the part.
    rows : int
    computed : bool
        False if it was there already.
    seconds : float
        CPU time it took.
    worker, memory : int
        Process number of the worker, and its resident memory afterwards [byte].
    """

    name: str
    rows: int
    computed: bool
    seconds: float
    worker: int
    memory: int


def split(paths, size):
    """Yield lists of `size` paths (absolute, as text) of an iterable, which may be longer than memory."""
    paths = iter(paths)
    while part := [os.path.abspath(path) for path in islice(paths, size)]:  # noqa: PTH100 keeps links
        yield part


def work(recipe, digest, paths, folder):
    """Label one part, unless its file is there and whole; this is what a cluster's worker runs.

    `digest` is that of `recipe`, as the client found it; `paths` are the spectra's, `folder` is where parts
    are kept, all as text. Returns what was `Done`.
    """
    # A worker of one thread shares its machine with others: no threads of its own.
    os.environ.setdefault(CORES_VARIABLE, "1")
    began = time.process_time()
    paths = [Path(path) for path in paths]
    kept = Path(folder) / f"{part_digest(paths, digest)}.parquet"
    computed = not is_whole(kept, len(paths))
    if computed:
        write_part(label_part(paths, load(recipe, digest), recipe.rv, recipe.hints), kept)
    process = psutil.Process()
    seconds = time.process_time() - began
    return Done(kept.name, len(paths), computed, seconds, process.pid, process.memory_info().rss)


def write_part(table, path):
    """Write a Table as Parquet with checksums, units and descriptions where astropy looks for them."""
    columns = pa.table({name: np.asarray(table[name]) for name in table.colnames})
    header = "\n".join(meta.get_yaml_from_table(table))
    with atomic(path) as temporary:
        pq.write_table(
            columns.replace_schema_metadata({"table_meta_yaml": header}),
            temporary,
            compression="zstd",
            write_page_checksum=True,
            write_statistics=False,  # no checksum covers them
        )


def read_part(path):
    """Return the pyarrow Table of a part, its checksums verified."""
    return pq.read_table(path, page_checksum_verification=True)


def is_whole(path, rows):
    """Tell whether a part is there, undamaged, with that many rows."""
    try:
        return read_part(path).num_rows == rows
    except UNREADABLE:
        return False
