"""What the command line takes: one command a kind of data, the same manners for all."""

import argparse
from pathlib import Path

from slamlib.fetch import tlusty
from slamlib.fetch.vizier import SERVER

ROOT = Path(__file__).parents[2]
_EMBEDDED = ROOT / "data" / "embedded"
# The grid that `--build` makes; `make clean` leaves data/raw alone.
GRID = ROOT / "data" / "raw" / "tlusty_grid.fits"
ISOCHRONES = ROOT / "data" / "raw" / "isochrones.ecsv"

_DESCRIPTION = "Fetch the real data of Guo et al. (2021): TLUSTY grids, LAMOST spectra, catalogues."
_EPILOG = """\
files:
  data/raw/tlusty/             archives of OSTAR2002 and BSTAR2006 spectra
  data/raw/tlusty_grid.fits    the model grid made of them
  data/raw/lamost_lrs/, _mrs/  spectra for SOURCE=lamost, named RELEASE-OBSID.fits.gz
  data/raw/catalogues/         one folder a catalogue, one ECSV file a table
  The manifest.ecsv of a folder lists what arrived whole. partial/ holds files that are not
  whole yet: run the same command again and they are taken up where they end. rejected/
  holds what arrived but is not what was asked for. Addresses are in tables you may edit:
  tlusty_archives.ecsv, lamost_releases.ecsv, vizier_catalogues.ecsv in data/embedded/.

environment:
  LAMOST_TOKEN  your LAMOST token; without it the first line of ~/.config/slamlib/token

exit status:
  0 if everything is there, 1 if anything failed, 2 on wrong usage, 130 if interrupted

examples:
  python -m slamlib.fetch tlusty --build
  python -m slamlib.fetch catalogues guo2021 liu2019
  python -m slamlib.fetch lamost data/raw/catalogues/liu2019/table3.ecsv
  python -m slamlib.fetch lamost --instrument MRS --release dr11 684408119 624715119
"""


def parser():
    """Return the parser of ``python -m slamlib.fetch``."""
    top = argparse.ArgumentParser(
        prog="python -m slamlib.fetch",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    about = {
        "tlusty": "the spectra of OSTAR2002 and BSTAR2006, and the model grid made of them",
        "lamost": "LAMOST spectra by OBSID",
        "catalogues": "catalogues from VizieR, and what they say about hrs_labels.ecsv",
        "all": "all of these: without OBSIDs, the spectra of Liu et al. (2019) and Guo et al. (2021)",
        "isochrones": "convert a file exported from the CMD web form of PARSEC",
    }
    made = {
        name: commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        for name, text in about.items()
    }
    for name in ("tlusty", "all"):
        _tlusty(made[name], "--base-tlusty" if name == "all" else "--base")
    for name in ("lamost", "all"):
        _lamost(made[name], "--base-lamost" if name == "all" else "--base", "*" if name == "all" else "+")
    for name in ("catalogues", "all"):
        _catalogues(made[name], "--base-vizier" if name == "all" else "--base")
    for name in ("tlusty", "lamost", "catalogues", "all"):
        _manners(made[name])
    # "all" takes names of spectra, not of catalogues.
    made["all"].set_defaults(names=[])
    made["catalogues"].add_argument(
        "names", nargs="*", metavar="NAME", help="such as guo2021; all but the large ones by default"
    )
    export = made["isochrones"]
    export.add_argument("export", type=Path, metavar="FILE", help="as stev.oapd.inaf.it/cgi-bin/cmd gave it")
    export.add_argument(
        "--output", type=Path, default=ISOCHRONES, metavar="ECSV", help="default data/raw/isochrones.ecsv"
    )
    return top


def _tlusty(command, base):
    group = command.add_argument_group("TLUSTY grids")
    group.add_argument(
        base,
        dest="base_tlusty",
        default=tlusty.BASE,
        metavar="URL",
        help="folder of the archives; default %(default)s",
    )
    group.add_argument(
        "--composition", nargs="+", default=[], metavar="XY", help="such as BG G; all by default"
    )
    group.add_argument("--vturb", type=int, metavar="KM/S", help="of the B stars, 2 or 10; both by default")
    group.add_argument("--build", action="store_true", help="then make the model grid")
    group.add_argument(
        "--build-only", action="store_true", help="make it of archives or folders got by other means"
    )
    group.add_argument(
        "--output", type=Path, default=GRID, metavar="FITS", help="default data/raw/tlusty_grid.fits"
    )
    _table(group, "--archives", "tlusty_archives.ecsv")


def _lamost(command, base, count):
    group = command.add_argument_group("LAMOST spectra")
    group.add_argument(
        "wanted", nargs=count, metavar="OBSID|TABLE", help="OBSIDs, or tables with a column obsid"
    )
    group.add_argument(
        base, dest="base_lamost", metavar="URL", help="instead of the release's own; patterns stay"
    )
    group.add_argument("--release", help="dr5 to dr12; default dr5 for LRS, dr7 for MRS, as in the paper")
    group.add_argument("--instrument", choices=("LRS", "MRS"), default="LRS", help="default %(default)s")
    _table(group, "--releases", "lamost_releases.ecsv")


def _catalogues(command, base):
    group = command.add_argument_group("catalogues")
    group.add_argument(
        base,
        dest="base_vizier",
        default=SERVER,
        metavar="URL",
        help="a VizieR server; default %(default)s",
    )
    _table(group, "--catalogues", "vizier_catalogues.ecsv")
    _table(group, "--columns", "vizier_columns.ecsv")
    _table(group, "--labels", "hrs_labels.ecsv")


def _table(group, option, name):
    group.add_argument(
        option, type=Path, default=_EMBEDDED / name, metavar="ECSV", help=f"default data/embedded/{name}"
    )


def _manners(command):
    group = command.add_argument_group("manners")

    def number(option, default, unit, text, kind=float):
        group.add_argument(
            option, type=kind, default=default, metavar=unit, help=f"{text}; default %(default)g"
        )

    group.add_argument("--to", type=Path, metavar="FOLDER", help="where the files go; default data/raw")
    number("--workers", 4, "N", "files at a time", int)
    number("--rate", 2.0, "R", "requests a second to one host")
    number("--attempts", 5, "N", "tries of each file", int)
    number("--backoff", 2.0, "S", "wait before the second try [s], doubled for each further one")
    number("--longest-wait", 300.0, "S", "give up a server that asks for a longer wait [s]")
    number("--timeout", 60.0, "S", "longest silence of a server [s]")
    group.add_argument("--quiet", action="store_true", help="no progress bars")
