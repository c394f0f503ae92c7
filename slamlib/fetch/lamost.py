"""LAMOST spectra by OBSID, from any public release."""

import io
import os
import re
from datetime import date, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from astropy.table import Table, unique, vstack

from slamlib.cards import check_cards
from slamlib.errors import FileError, InputError
from slamlib.fetch.download import Job, Report, download
from slamlib.fetch.manifest import Manifest
from slamlib.io import check_units, read_ecsv
from slamlib.spectra.lamost import read

TOKEN_VARIABLE = "LAMOST_TOKEN"
TOKEN_FILE = Path("~/.config/slamlib/token")
# Real ones have up to 0.7 MB.
_MAX_SIZE = 32 << 20
_PLACE = ("lmjd", "planid", "spid", "fiberid")
_MJD_EPOCH = date(1858, 11, 17)


def find_token(path=TOKEN_FILE):
    """Return the LAMOST token: from LAMOST_TOKEN, else the first word of a file, else "".

    FileError if the file is there but cannot be read.
    """
    path, found = Path(path).expanduser(), os.environ.get(TOKEN_VARIABLE, "")
    try:
        found = found.strip() or path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        kind = type(error).__name__
        raise FileError(f"cannot read the token in {path} ({kind}); mend or delete it") from None
    return (found.split() or [""])[0]


def targets(wanted):
    """Read what to fetch: OBSIDs, or tables that list them.

    Each of `wanted` is an OBSID, or a CSV, ECSV, FITS or VOTable file with a column obsid, and for the
    archive of DR5 also lmjd, planid, spid and fiberid; case does not matter. Returns a Table of obsid and, if
    every item has them, the other columns; each OBSID once. FileError or InputError if a file cannot be read,
    has no column obsid, or an OBSID is not a number.
    """
    numbers = [int(item) for item in wanted if re.fullmatch(r"\d+", str(item))]
    tables = [_read_targets(Path(item)) for item in wanted if not re.fullmatch(r"\d+", str(item))]
    tables += [Table({"obsid": numbers})] if numbers else []
    if not sum(map(len, tables)):
        raise InputError("nothing to fetch: name OBSIDs or a table with a column obsid")
    return unique(vstack(tables, join_type="inner", metadata_conflicts="silent"), keys="obsid")


def _read_targets(path):
    if not path.is_file():
        raise FileError(f"{path} is neither an OBSID nor a file")
    try:
        kind = {".csv": "ascii.csv", ".ecsv": "ascii.ecsv"}.get(path.suffix.lower())
        content = path.read_bytes()
        if content.startswith(b"SIMPLE  ="):
            table = Table.read(io.BytesIO(check_cards(content)), format="fits")
        else:
            check_units(content.decode(errors="replace"))
            table = Table.read(path, format=kind)
    except Exception as error:  # every reader of astropy has errors of its own
        raise FileError(f"{path} is not a table that can be read ({type(error).__name__})") from None
    names = {name.lower(): name for name in reversed(table.colnames)}
    if "obsid" not in names:
        raise InputError(f"{path} has no column obsid; it has {', '.join(table.colnames)}")
    made = Table()
    for name in (name for name in ("obsid", *_PLACE) if name in names):
        column = table[names[name]]
        try:
            if np.ma.is_masked(column):
                raise ValueError
            made[name] = [str(v).strip() if name == "planid" else int(v) for v in column]
        except (ValueError, TypeError):
            raise InputError(f"{path}: column {names[name]} is not made of whole numbers; mend it") from None
    return made


def jobs(table, releases, release, instrument, folder, *, base=None, token="", token_over_http=False):
    """List the downloads of some spectra.

    Parameters
    ----------
    table : Table
        As `targets` gives it.
    releases : Table
        `lamost_releases.ecsv`: base addresses and patterns.
    release, instrument : str
        Such as "dr7", and "LRS" or "MRS".
    folder : Path
        Where the spectra go, named ``RELEASE-OBSID.fits.gz``.
    base : str, optional
        Address to use instead of the release's own, such as that of a mirror.
    token : str
        Sent where the release takes one, and the address is https.
    token_over_http : bool
        Send it over http too, where anybody on the way can read it.

    Raises
    ------
    InputError
        If the release does not have the instrument, or the table lacks what it needs.
    """
    row = _choose(releases, release, instrument, table)
    start = (base or row["base"]).rstrip("/")
    remedy = f"put your LAMOST token into {TOKEN_VARIABLE} or {TOKEN_FILE}, or renew it"
    if token and urlsplit(start).scheme != "https" and not token_over_http:
        token, remedy = "", "your token is not sent over http, where others can read it: --token-over-http"
    found = []
    for target in table:
        values = {name: target[name] for name in table.colnames}
        if "lmjd" in values:
            # LAMOST numbers a night by the day on which it ends, and files it by that on which it begins.
            values["date"] = (_MJD_EPOCH + timedelta(days=int(values["lmjd"]) - 1)).strftime("%Y%m%d")
        found.append(
            Job(
                f"{start}/{row['pattern'].format(**values)}",
                Path(folder) / f"{release}-{target['obsid']}.fits.gz",
                token=token if row["token"] != "no" else "",
                max_size=_MAX_SIZE,
                check=_checker(int(target["obsid"]), instrument),
                remedy=remedy,
            )
        )
    return found


def _choose(releases, release, instrument, table):
    """Row of the release whose pattern the columns of the table can fill."""
    rows = releases[(releases["release"] == release) & (releases["instrument"] == instrument)]
    if not len(rows):
        known = sorted({row["release"] for row in releases if row["instrument"] == instrument})
        raise InputError(f"no release {release!r} with {instrument} spectra; known: {', '.join(known)}")
    for row in rows:
        needs = set(re.findall(r"{(\w+)", row["pattern"]))
        if needs - {"date"} <= set(table.colnames):
            return row
    raise InputError(f"{release} needs the columns {', '.join(sorted(needs))} for {instrument} spectra")


def _checker(obsid, instrument):
    def check(path):
        with path.open("rb") as file:
            if file.read(512).lstrip()[:1] in (b"<", b"{"):
                raise FileError("the server answered with a web page instead of a spectrum")
        header = read(path).header
        if header["obsid"] not in (0, obsid):
            raise FileError(f"it holds OBSID {header['obsid']} instead")
        if header["instrument"] != instrument:
            raise FileError(f"it is an {header['instrument']} spectrum, {instrument} was asked for")

    return check


def fetch(
    wanted, releases_path, release, instrument, folder, policy, *, say=None, progress=True, **addressed
):
    """Download spectra.

    A spectrum that is there from another release is not fetched a second time: whoever
    labels the folder would take the two for two stars.

    Takes what `targets`, `jobs` and `download` take; returns the Report of `download`.
    """
    releases, token = read_ecsv(releases_path), find_token()
    listed = jobs(targets(wanted), releases, release, instrument, folder, token=token, **addressed)
    report, todo = Report(), []
    rows = Manifest(folder).rows
    others = {name.split("-")[-1]: name for name in rows if not name.startswith(f"{release}-")}
    for job in listed:
        other = others.get(job.path.name.split("-")[-1])
        if other and (Path(folder) / other).exists():
            report.fail(job.path.name, f"{other} is the same OBSID; delete it to have {release}'s", say)
        else:
            todo.append(job)
    title = f"{release} {instrument} spectra"
    return report + download(todo, policy, title=title, say=say, progress=progress)
