"""Literature catalogues from VizieR, and what they say about our labels."""

import re
import shutil
import warnings
from pathlib import Path
from urllib.parse import quote

import astropy.units as u
import numpy as np
from astropy.io import votable
from astropy.table import Table, vstack

from slamlib.errors import FileError, InputError
from slamlib.fetch.download import Job, Report, download
from slamlib.fetch.manifest import Manifest, sha256_of
from slamlib.io import check_units, read_ecsv, write_ecsv

SERVER = "https://vizier.cds.unistra.fr"
# Every row and column of every table, and positions in degrees, which VizieR computes.
_QUERY = "-out.all&-out.max=unlimited&-out.add=_RAJ2000,_DEJ2000&-oc.form=d&-out.meta=huUD&-out.form=mini"
# Of the velocities of 3.8 million spectra, the largest catalogue listed, some 500 bytes a row.
_MAX_SIZE = 4 << 30
# Values closer than this are the same number, rounded.
_ROUNDING = {"teff": 0.5, "logg": 5e-3, "vmic": 0.05, "vsini": 0.5}
_UNITS = {"teff": u.K, "vmic": u.km / u.s, "vsini": u.km / u.s, "ra": u.deg, "dec": u.deg}


def fetch(catalogues, folder, policy, *, names=(), server=SERVER, say=None, progress=True):
    """Download catalogues, each into a folder of its own name: the VOTable, and one ECSV file a table.

    `catalogues` is `vizier_catalogues.ecsv`; `names` says which of them, those marked default if it is empty
    (InputError if one is not in the table); `server` is the address of a VizieR server. The rest is as
    `download` takes it; the Report that is returned is of folders.
    """
    known = {row["name"]: row for row in catalogues}
    if unknown := [name for name in names if name not in known]:
        raise InputError(f"no catalogue {', '.join(unknown)}; known: {', '.join(known)}")
    chosen = [known[name] for name in names] or [row for row in catalogues if row["default"]]
    report, jobs = Report(), []
    for row in chosen:
        target, name = Path(folder) / row["name"], row["name"]
        if _is_whole(target):
            report.kept.append(target)
            continue
        source = quote(row["identifier"], safe="/")
        url = f"{server.rstrip('/')}/viz-bin/votable?-source={source}&{_QUERY}"
        jobs.append(Job(url, target.parent / "partial" / name / f"{name}.vot", max_size=_MAX_SIZE))
    arrived = download(jobs, policy, title="catalogues", say=say, progress=progress)
    report.failed += arrived.failed
    for job in jobs:
        if job.path in arrived.fetched + arrived.kept:
            target = Path(folder) / job.path.stem
            try:
                _split(job, target)
                report.fetched.append(target)
            except (FileError, OSError) as error:
                shutil.rmtree(job.path.parent)
                report.fail(job.path.name, error.strerror or error, say)
    return report


def _is_whole(folder):
    """Whether a catalogue is there as it arrived; its folder is moved into place whole."""
    manifest = Manifest(folder)
    return bool(manifest.rows) and all(manifest.holds(folder / name) for name in manifest.rows)


def _split(job, target):
    """Write each table of a VOTable as ECSV beside it, and move the folder to its place."""
    place = job.path.parent
    manifest = Manifest(place)
    for name, table in _tables(job.path).items():
        path = place / f"{name.rsplit('/', 1)[-1]}.ecsv"
        write_ecsv(table, path)
        manifest.add(path.name, job.url, path.stat().st_size, sha256_of(path))
    shutil.rmtree(place / "partial", ignore_errors=True)
    shutil.rmtree(target, ignore_errors=True)
    place.replace(target)


def _tables(path):
    """Tables of VizieR's VOTable by name; pieces of one table are joined."""
    found = {}
    try:
        with warnings.catch_warnings():
            # What cannot be parsed becomes a masked value; that is all the warnings say.
            warnings.simplefilter("ignore")
            check_units(path.read_text(encoding="utf-8", errors="replace"))
            document = votable.parse(path, verify="ignore", invalid="mask")
            for element in document.iter_tables():
                name = document.get_table_by_id(element.ref).name if element.ref else element.name
                if len(element.array):
                    found.setdefault(name, []).append(element.to_table(use_names_over_ids=True))
            tables = {name: vstack(parts) if len(parts) > 1 else parts[0] for name, parts in found.items()}
    except Exception:  # whatever is no VOTable has its own way to be none
        told = "what the server sent is cut, or no table; run this again, or check its address"
        raise FileError(told) from None
    if not tables:
        raise FileError("the server has no tables of that identifier; check vizier_catalogues.ecsv")
    return tables


def read_catalogue(path, columns, name):
    """Read a table that `fetch` wrote in our names and units.

    `columns` is `vizier_columns.ecsv`, what VizieR may call each label, and `name` the catalogue's, such as
    "nieva2012". InputError, listing the columns present, if one that is needed is missing.
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
    unit = _UNITS.get(label.removeprefix("e_"))
    if unit is None or column.unit is None or column.unit == unit:
        return column
    if not isinstance(column.unit, u.UnitBase) or not column.unit.is_equivalent(unit):
        raise InputError(f"column {column.name} is in {column.unit}, which is no {unit}; mend the table")
    changed = column * column.unit.to(unit)
    changed.unit = unit
    return changed


def check_hrs_labels(embedded, catalogue):
    """List where rows of `hrs_labels.ecsv` differ from those of a catalogue that `read_catalogue` gave.

    Returns a Table, one row a difference: star, label ("star" if the catalogue does not have the star), ours,
    theirs (nan where there is no number) and difference.
    """
    rows, found = {_star(row["star"]): row for row in catalogue}, []
    known = [label for name in _ROUNDING for label in (name, f"e_{name}")]
    labels = [label for label in known if label in embedded.colnames and label in catalogue.colnames]
    for ours in embedded:
        theirs = next((rows[key] for key in map(_star, (ours["star"], ours["name"])) if key in rows), None)
        if theirs is None:
            found.append((ours["star"], "star", np.nan, np.nan, np.nan))
            continue
        for label in labels:
            a, b = (float(np.ma.filled(np.ma.asarray(r[label], float), np.nan)) for r in (ours, theirs))
            if not abs(a - b) < _ROUNDING[label.removeprefix("e_")]:
                found.append((ours["star"], label, a, b, a - b))
    names = ("star", "label", "ours", "theirs", "difference")
    return Table(rows=found or None, names=names, dtype=("U32", "U8", "f8", "f8", "f8"))


def _star(name):
    """Return a name by which the same star is found: HD numbers as HDn, others without blanks."""
    text = re.sub(r"\s+", "", str(name)).lower()
    number = re.fullmatch(r"(?:hd)?0*(\d+)", text)
    return f"HD{number[1]}" if number else text
