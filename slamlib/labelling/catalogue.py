"""From a list of files to a catalogue of labels, in parts that survive an interruption."""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

import joblib
from astropy.table import hstack, vstack
from tqdm import tqdm

from slamlib.errors import FileError, InputError
from slamlib.identity import code_digest
from slamlib.io import read_ecsv, write_ecsv
from slamlib.labelling.labeller import Labeller
from slamlib.spectra.prepare import read_many
from slamlib.spectra.velocity import KnownVelocities
from slamlib.threads import blas_threads, n_cores

# Files a part: a few seconds of work, which is what an interruption costs at most.
PART = 500


# Velocities measured with the templates of the labeller.
MEASURED = "measured"


def label_survey(paths, labellers, folder, rv=MEASURED, progress=True, hints=None):
    """Label every spectrum; a file that cannot be used keeps its row, with the reason.

    Parameters
    ----------
    paths : sequence of Path
    labellers : dict of str to Path
        Files of labellers of one instrument. The labels of the first bear plain names, those of
        another have its key appended, as in ``teff_svr``.
    folder : Path
        Where finished parts are kept; a second call takes up what the first has done, unless
        the content of a file, a labeller, `rv` or code that labels depend on changed.
    rv : "measured", None, float or mapping of int to float
        Velocities by cross-correlation with the templates of the first labeller; from the headers;
        one for all; or by obsid, and by cross-correlation where that has none [km/s].
    progress : bool
    hints : Hints, optional
        What files other than LAMOST's do not tell; by default, that they are of this instrument.

    Returns
    -------
    Table
        What the files say (file, simulated, obsid, ra, dec, mjd, snr, rv, ...), the labels,
        their errors, flag, status and reason; rows in the order of `paths`.
    """
    recipe = recipe_digest(labellers, rv, hints)
    read = {name: Labeller.read(path) for name, path in labellers.items()}
    instrument = next(iter(read.values())).instrument.name
    parts = []
    with tqdm(total=len(paths), desc=f"{instrument} labels", unit="spectrum", disable=not progress) as bar:
        for start in range(0, len(paths), PART):
            some = paths[start : start + PART]
            path = folder / f"{instrument}-{part_digest(some, recipe)}.ecsv"
            parts.append(kept(path, partial(label_part, some, read, rv, hints)))
            bar.update(len(some))
    if not parts:
        raise InputError(f"no {instrument} spectrum to label; put files into data/raw/ or use source='mock'")
    return vstack(parts, metadata_conflicts="silent")


def kept(path, make):
    """Return the table kept at `path`; one that is missing, damaged or edited is made, and kept."""
    with suppress(FileError):
        return read_ecsv(path)
    write_ecsv(make(), path, sealed=True)
    # Read back even when just made, so that a resumed run gives the same bytes.
    return read_ecsv(path)


def recipe_digest(labellers, rv, hints=None):
    """Return a hash of what labels depend on beside the spectra; parameters as of `label_survey`.

    FileError if a labeller cannot be read.
    """
    # An instrument remembers its pixels once they were asked for; its fields are all that it is.
    given = joblib.hash((rv, list(labellers), repr(hints)))
    total = hashlib.sha256((code_digest(__name__) + given).encode())
    for path in labellers.values():
        try:
            total.update(Path(path).read_bytes())
        except OSError as error:
            raise FileError(f"cannot read the labeller {path} ({error.strerror}); train it first") from None
    return total.hexdigest()


def part_digest(paths, recipe):
    """Return the name of the labels of some files: other names, content or `recipe`, another name."""
    total = hashlib.sha256(recipe.encode())
    for path in paths:
        try:
            content = hashlib.sha256(path.read_bytes()).digest()
        except OSError:
            content = b"none"
        total.update(repr((path.name, content)).encode())
    return total.hexdigest()[:16]


def label_part(given, labellers, rv=MEASURED, hints=None):
    """Label some files, all at once; as `label_survey`, which does it part by part.

    Here `labellers` is a dict of `Labeller`; `given` may hold what else `read_many` takes. Independent of
    every other part: what labels a survey elsewhere calls this too.
    """
    first = next(iter(labellers.values()))
    if rv == MEASURED:
        rv = first.templates
    elif isinstance(rv, Mapping):
        rv = KnownVelocities(rv, first.templates)
    with blas_threads(1):
        flux, ivar, table = read_many(given, first.instrument, rv, n_cores(), False, hints)
    for i, (name, labeller) in enumerate(labellers.items()):
        labels = labeller.label(flux, ivar, table["simulated"], table["snr"])
        if i:
            names = labeller.slam.names
            labels = labels[[*names, *(f"e_{label}" for label in names), "flag", "status"]]
            for column in labels.colnames:
                labels.rename_column(column, f"{column}_{name}")
        table = hstack([table, labels])
    return table
