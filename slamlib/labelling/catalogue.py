"""From a list of LAMOST files to a catalogue of labels, in parts that survive an interruption."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import joblib
import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table, hstack, vstack
from tqdm import tqdm

from slamlib.errors import FileError, InputError
from slamlib.identity import code_digest
from slamlib.io import read_ecsv, write_ecsv
from slamlib.labelling.labeller import Labeller
from slamlib.labels import NAMES
from slamlib.spectra.prepare import read_many
from slamlib.spectra.velocity import KnownVelocities
from slamlib.threads import blas_threads, n_cores

# Files a part: a few seconds of work, which is what an interruption costs at most.
PART = 500


# Velocities measured with the templates of the labeller.
MEASURED = "measured"


def label_survey(paths, labellers, folder, rv=MEASURED, progress=True):
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

    Returns
    -------
    Table
        What the files say (file, simulated, obsid, ra, dec, mjd, snr, rv, ...), the labels,
        their errors, flag, status and reason; rows in the order of `paths`.
    """
    recipe = recipe_digest(labellers, rv)
    read = {name: Labeller.read(path) for name, path in labellers.items()}
    instrument = next(iter(read.values())).instrument.name
    parts = []
    with tqdm(total=len(paths), desc=f"{instrument} labels", unit="spectrum", disable=not progress) as bar:
        for start in range(0, len(paths), PART):
            some = paths[start : start + PART]
            kept = folder / f"{instrument}-{part_digest(some, recipe)}.ecsv"
            if not kept.exists():
                table = label_part(some, read, rv)
                write_ecsv(table, kept)
            # Read back even when just made, so that a resumed run gives the same bytes.
            parts.append(read_ecsv(kept))
            bar.update(len(some))
    if not parts:
        raise InputError(f"no {instrument} spectrum to label; put files into data/raw/ or use source='mock'")
    return vstack(parts, metadata_conflicts="silent")


def recipe_digest(labellers, rv):
    """Return a hash of what labels depend on beside the spectra; parameters as of `label_survey`.

    Raises
    ------
    FileError
        If a labeller cannot be read.
    """
    total = hashlib.sha256((code_digest(__name__) + joblib.hash((rv, list(labellers)))).encode())
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


def label_part(paths, labellers, rv=MEASURED):
    """Label some files, all at once; as `label_survey`, which does it part by part.

    Here `labellers` is a dict of `Labeller`.

    Independent of every other part: what labels a survey elsewhere calls this too.
    """
    first = next(iter(labellers.values()))
    if rv == MEASURED:
        rv = first.templates
    elif isinstance(rv, Mapping):
        rv = KnownVelocities(rv, first.templates)
    with blas_threads(1):
        flux, ivar, table = read_many(paths, first.instrument, rv=rv, n_jobs=n_cores(), progress=False)
    for i, (name, labeller) in enumerate(labellers.items()):
        labels = labeller.label(flux, ivar, table["simulated"], table["snr"])
        if i:
            labels = labels[[*NAMES, *(f"e_{label}" for label in NAMES), "flag", "status"]]
            for column in labels.colnames:
                labels.rename_column(column, f"{column}_{name}")
        table = hstack([table, labels])
    return table


def recovery(catalogue, truth, instrument, snr=60.0, suffixes=("",)):
    """Scatter and bias of the labels of simulated stars inside the grid, against the truth.

    The stars are those of status "ok", the same for all regressors.

    Parameters
    ----------
    catalogue : Table
        As `label_survey` gives it.
    truth : Table
        With obsid, group and the four labels.
    instrument : str
    snr : float
        Only stars above this.
    suffixes : sequence of str
        Of the label columns: "" or "_svr".

    Returns
    -------
    Table
        instrument, regressor, label, n, scatter (rms about zero, as eq. 1 of the paper),
        bias (mean, eq. 2), mad (1.4826 times the median absolute deviation), error (median
        quoted) and outliers (fraction beyond 5 quoted errors).
    """
    row = {obsid: i for i, obsid in enumerate(truth["obsid"])}
    # A file that could not be read has no obsid.
    catalogue = catalogue[[obsid in row for obsid in catalogue["obsid"]]]
    true = truth[[row[obsid] for obsid in catalogue["obsid"]]]
    ok = (catalogue["status"] == "ok") & np.isfinite([catalogue["teff" + suffix] for suffix in suffixes]).all(
        axis=0
    )
    chosen = np.flatnonzero(ok & (true["group"] == "OB") & (true["snr"] > snr))
    rows = []
    for suffix in suffixes:
        for label in NAMES:
            error = np.asarray(catalogue[label + suffix] - true[label], dtype=float)[chosen]
            quoted = np.asarray(catalogue[f"e_{label}{suffix}"], dtype=float)[chosen]
            rows.append(
                {
                    "instrument": instrument,
                    "regressor": suffix.removeprefix("_") or "krr",
                    "label": label,
                    "n": chosen.size,
                    "scatter": np.sqrt(np.mean(error**2)),
                    "bias": np.mean(error),
                    "mad": 1.4826 * np.median(np.abs(error - np.median(error))),
                    "error": np.median(quoted),
                    "outliers": np.mean(np.abs(error) > 5 * quoted),
                }
            )
    return Table(rows)


def common_stars(lrs, mrs, radius=2.0):
    """Pair the stars that both instruments observed, by position.

    Parameters
    ----------
    lrs, mrs : Table
        Catalogues with ra and dec [deg].
    radius : float
        [arcsec].

    Returns
    -------
    Table
        obsid, snr, flag, vsini_limit, the labels and their errors of each, ending in _lrs and _mrs.
    """
    names = [*NAMES, *(f"e_{label}" for label in NAMES)]
    placed = [table[np.isfinite(table["ra"]) & np.isfinite(table["teff"])] for table in (lrs, mrs)]
    if not all(len(table) for table in placed):
        raise InputError("LRS and MRS must both have labelled stars to be compared; give spectra of each")
    sky = [SkyCoord(table["ra"], table["dec"], unit=u.deg) for table in placed]
    nearest, distance, _ = sky[0].match_to_catalog_sky(sky[1])
    close = np.flatnonzero(distance.arcsec < radius)
    pairs = Table()
    for suffix, table in (("lrs", placed[0][close]), ("mrs", placed[1][nearest[close]])):
        for name in ("obsid", "snr", "flag", "vsini_limit", *names):
            pairs[f"{name}_{suffix}"] = table[name]
    return pairs
