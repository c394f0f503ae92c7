"""The archives of OSTAR2002 and BSTAR2006 spectra: which ones, from where."""

from pathlib import Path

from slamlib.errors import FileError, InputError
from slamlib.fetch.download import Job, download
from slamlib.fetch.manifest import Manifest
from slamlib.grid.tlusty.archives import members
from slamlib.io import read_ecsv

BASE = "https://tlusty.oca.eu/tlusty/Tlusty2002/database/"
# Some 160 spectra of at most 400,000 lines of 26 bytes, not packed, make 1.7 GB.
_MAX_SIZE = 4 << 30


def jobs(archives, folder, *, base=BASE, compositions=(), vturb=None):
    """List the archives to download.

    Parameters
    ----------
    archives : Table
        `tlusty_archives.ecsv`: archive (its name under the base address), composition and
        vturb [km/s]; sha256 where it is known.
    folder : Path
        An archive must have the checksum that the manifest there has for it.
    base : str
        Address of the folder on the official site or a mirror.
    compositions : sequence of str
        Such as "BG", "OG"; all if empty. InputError if one is not in the table.
    vturb : int, optional
        Only the B stars of this microturbulence [km/s] (the O stars have but one); all by default.
    """
    known = sorted(set(archives["composition"]))
    if unknown := [name for name in compositions if name not in known]:
        raise InputError(f"no composition {', '.join(unknown)}; known: {', '.join(known)}")
    recorded, found = Manifest(folder).rows, []
    for row in archives:
        several = len(set(archives["vturb"][archives["composition"] == row["composition"]])) > 1
        if compositions and row["composition"] not in compositions:
            continue
        if vturb is not None and several and row["vturb"] != vturb:
            continue
        name = Path(row["archive"]).name
        # The table has no checksums until somebody enters them.
        sha256 = row["sha256"] if "sha256" in archives.colnames else ""
        found.append(
            Job(
                f"{base.rstrip('/')}/{row['archive']}",
                Path(folder) / name,
                max_size=_MAX_SIZE,
                sha256=str(sha256) or recorded.get(name, {}).get("sha256"),
                check=_checker(name),
                remedy="see whether the archive has moved, and name its address with --base-tlusty",
            )
        )
    if not found:
        raise InputError(f"no archive of {', '.join(compositions) or 'any composition'} with vturb {vturb}")
    return found


def fetch(archives_path, folder, policy, *, say=None, progress=True, **selection):
    """Download the archives of the spectra; see `jobs` for the selection, `download` for the rest.

    The site publishes no checksums. What an archive has when it first arrives is recorded in
    the manifest and `say` is told so; whatever comes under its name later must be the same.
    """
    listed = jobs(read_ecsv(archives_path), folder, **selection)
    report = download(listed, policy, title="TLUSTY archives", say=say, progress=progress)
    rows = Manifest(folder).rows
    for job in listed:
        if say is not None and job.sha256 is None and job.path in report.fetched:
            say(
                f"{job.path.name}: the site gives no checksum, so what came first is trusted; its sha256 is "
                f"{rows[job.path.name]['sha256']}, and another is refused from now on (see manifest.ecsv)"
            )
    return report


def _checker(name):
    """Return what raises FileError unless a file is an archive that can be read to its end."""

    def check(path):
        with path.open("rb") as stream:
            if stream.read(512).lstrip()[:1] == b"<":
                raise FileError("the server answered with a web page")
            stream.seek(0)
            if not sum(1 for _ in members(stream, name)):  # all of them are passed
                raise FileError("the archive is empty")

    return check
