"""Literature catalogues from VizieR, and what they say about our labels."""

import re
import shutil
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Table

from slamlib.errors import FileError, InputError
from slamlib.fetch.download import Report
from slamlib.fetch.manifest import Manifest, sha256_of
from slamlib.fetch.vizier import SERVER, Client
from slamlib.io import read_ecsv, write_ecsv
from slamlib.labels import NAMES

FOLDER = Path("data/raw/catalogues")
# Values closer than this are the same number, rounded.
_ROUNDING = {
    "teff": 0.5,
    "e_teff": 0.5,
    "logg": 5e-3,
    "e_logg": 5e-3,
    "vmic": 0.05,
    "vsini": 0.5,
    "e_vsini": 0.5,
}


def fetch(catalogues, folder, manners, *, names=(), server=SERVER, say=None):
    """Download catalogues, each into a folder of its own name, one ECSV file a table.

    Parameters
    ----------
    catalogues : Table
        `data/embedded/vizier_catalogues.ecsv`.
    folder : Path
    manners : Manners
    names : sequence of str
        Which ones; those marked default if empty.
    server : str
        A VizieR mirror.
    say : callable, optional
        Called with one line for each catalogue that fails.

    Returns
    -------
    Report

    Raises
    ------
    InputError
        If a name is not in the table.
    """
    known = {row["name"]: row for row in catalogues}
    if unknown := [name for name in names if name not in known]:
        raise InputError(f"no catalogue {', '.join(unknown)}; known: {', '.join(known)}")
    chosen = [known[name] for name in names] or [row for row in catalogues if row["default"]]
    client, report = Client(server, manners), Report()
    for row in chosen:
        target = Path(folder) / row["name"]
        if _is_whole(target):
            report.kept.append(target)
            continue
        try:
            _save(client.tables(row["identifier"]), target, f"{client._server_to_url()}?{row['identifier']}")
            report.fetched.append(target)
        except (FileError, OSError) as error:
            report.fail(f"{row['name']} ({row['identifier']})", error.strerror or error, say)
    return report


def _is_whole(folder):
    """Whether a catalogue is there as it arrived; its folder is moved into place whole."""
    manifest = Manifest(folder)
    return bool(manifest.names()) and all(manifest.holds(folder / name) for name in manifest.names())


def _save(tables, target, url):
    partial = target.parent / "partial" / f"{target.name}.part"
    shutil.rmtree(partial, ignore_errors=True)
    manifest = Manifest(partial)
    for key, table in zip(tables.keys(), tables, strict=True):
        name = f"{key.rsplit('/', 1)[-1]}.ecsv"
        write_ecsv(table, partial / name)
        manifest.add(name, url, (partial / name).stat().st_size, sha256_of(partial / name))
    shutil.rmtree(target, ignore_errors=True)
    partial.replace(target)


def read_catalogue(path, columns, name):
    """Read a fetched table in our names and units.

    Parameters
    ----------
    path : str or Path
        One of the files of `fetch`.
    columns : Table
        `data/embedded/vizier_columns.ecsv`: what VizieR may call each label.
    name : str
        The catalogue, such as "nieva2012".

    Returns
    -------
    Table

    Raises
    ------
    InputError
        If a column that is needed is missing; the message lists those present.
    """
    raw, table = read_ecsv(path), Table()
    rules = columns[columns["name"] == name]
    if not len(rules):
        raise InputError(f"vizier_columns.ecsv has no row for {name}; add which column is which label")
    for rule in rules:
        there = [column for column in rule["columns"].split() if column in raw.colnames]
        if there:
            table[rule["label"]] = _in_our_unit(raw[there[0]], rule["label"])
        elif rule["needed"]:
            raise InputError(
                f"{path} has none of {rule['columns']} for {rule['label']}; it has "
                f"{', '.join(raw.colnames)}: name the right one in vizier_columns.ecsv"
            )
    return table


def read_first(paths, columns, name):
    """Read the first table of a catalogue that has the columns needed; raise as for the first if none has."""
    errors = []
    for path in paths:
        try:
            return read_catalogue(path, columns, name)
        except InputError as error:
            errors.append(error)
    raise errors[0]


def _in_our_unit(column, label):
    unit = {"teff": u.K, "vmic": u.km / u.s, "vsini": u.km / u.s, "ra": u.deg, "dec": u.deg}.get(
        label.removeprefix("e_")
    )
    if unit is None or column.unit is None or column.unit == unit:
        return column
    if not isinstance(column.unit, u.UnitBase) or not column.unit.is_equivalent(unit):
        raise InputError(f"column {column.name} is in {column.unit}, which is no {unit}; mend the table")
    changed = column * column.unit.to(unit)
    changed.unit = unit
    return changed


def check_hrs_labels(embedded, catalogue):
    """List where labels differ from those of a catalogue.

    Parameters
    ----------
    embedded : Table
        Rows of `data/embedded/hrs_labels.ecsv` that the catalogue should have.
    catalogue : Table
        As `read_catalogue` gives it, with a column star.

    Returns
    -------
    Table
        One row a difference: star, label ("star" if the catalogue does not have the star),
        ours, theirs (nan where there is no number) and difference. No row: all agree.
    """
    differences = Table(
        names=("star", "label", "ours", "theirs", "difference"), dtype=("U32", "U8", "f8", "f8", "f8")
    )
    rows = {_star(row["star"]): row for row in catalogue}
    labels = [label for label in _ROUNDING if label in embedded.colnames and label in catalogue.colnames]
    for ours in embedded:
        theirs = next((rows[key] for key in map(_star, (ours["star"], ours["name"])) if key in rows), None)
        if theirs is None:
            differences.add_row((ours["star"], "star", np.nan, np.nan, np.nan))
            continue
        for label in labels:
            pair = [
                float(np.ma.filled(np.ma.asarray(row[label], dtype=float), np.nan)) for row in (ours, theirs)
            ]
            gap = pair[0] - pair[1]
            if not abs(gap) < _ROUNDING[label]:
                differences.add_row((ours["star"], label, *pair, gap))
    return differences


def _star(name):
    """Return a name by which the same star is found: HD numbers as HDn, others without blanks."""
    text = re.sub(r"\s+", "", str(name)).lower()
    number = re.fullmatch(r"(?:hd)?0*(\d+)", text)
    return f"HD{number[1]}" if number else text


def compare_published(ours, published, radius=3.0):
    """Set our labels beside the published ones, star by star.

    Parameters
    ----------
    ours, published : Table
        With teff, logg, mh, vsini, and obsid or ra and dec [deg]. Rows are matched by
        obsid where both have it, else each of ours with the nearest on the sky.
    radius : float
        Largest distance of the same star [arcsec].

    Returns
    -------
    Table
        One row a star of both: obsid (of ours), ra, dec, and for each label ours,
        ``*_published`` and ``d_*`` = ours - published. ``meta`` has matched_by, n_ours,
        n_published, and the median and scatter (1.48 MAD) of each difference.

    Raises
    ------
    InputError
        If a column is missing, or no star is in both.
    """
    for what, table in (("our", ours), ("the published", published)):
        if missing := sorted(set(NAMES) - set(table.colnames)):
            raise InputError(
                f"{what} catalogue has no {', '.join(missing)}; it has {', '.join(table.colnames)}"
            )
    if "obsid" in ours.colnames and "obsid" in published.colnames:
        place = {int(obsid): i for i, obsid in enumerate(published["obsid"]) if obsid is not np.ma.masked}
        pairs = [(i, place[int(obsid)]) for i, obsid in enumerate(ours["obsid"]) if int(obsid) in place]
        matched_by = "obsid"
    else:
        pairs, matched_by = _neighbours(ours, published, radius), "position"
    if not pairs:
        raise InputError(
            f"no star is in both catalogues (matched by {matched_by}); check that they belong together"
        )
    mine, theirs = (list(indices) for indices in zip(*pairs, strict=True))
    table = ours[[name for name in ("obsid", "ra", "dec") if name in ours.colnames]][mine]
    table.meta = {"matched_by": matched_by, "n_ours": len(ours), "n_published": len(published)}
    for name in NAMES:
        a, b = (
            np.ma.filled(np.ma.asarray(t[name][k], float), np.nan)
            for t, k in ((ours, mine), (published, theirs))
        )
        table[name], table[f"{name}_published"], table[f"d_{name}"] = a, b, a - b
        middle = np.nanmedian(a - b) if np.isfinite(a - b).any() else np.nan
        table.meta[f"median_d_{name}"] = float(middle)
        scatter = np.nanmedian(np.abs(a - b - middle)) if np.isfinite(middle) else np.nan
        table.meta[f"scatter_d_{name}"] = float(1.4826 * scatter)
    return table


def _neighbours(ours, published, radius):
    found = []
    for what, table in (("our", ours), ("the published", published)):
        if not {"ra", "dec"} <= set(table.colnames):
            raise InputError(
                f"{what} catalogue has neither obsid nor ra and dec; it has {', '.join(table.colnames)}"
            )
        ra, dec = (np.ma.filled(np.ma.asarray(table[name], float), np.nan) for name in ("ra", "dec"))
        usable = np.flatnonzero(np.isfinite(ra) & np.isfinite(dec))
        found.append((usable, SkyCoord(ra[usable] * u.deg, dec[usable] * u.deg)))
    (rows, sky), (rows_there, sky_there) = found
    if not rows.size or not rows_there.size:
        return []
    nearest, distance, _ = sky.match_to_catalog_sky(sky_there)
    near = distance < radius * u.arcsec
    return list(zip(rows[near].tolist(), rows_there[nearest[near]].tolist(), strict=True))
