"""What the command line takes and says of itself; nothing here takes time to import."""

import argparse
from pathlib import Path

from slamlib import __version__

# astropy's name of the format of each suffix.
FORMATS = {".ecsv": "ascii.ecsv", ".csv": "ascii.csv", ".fits": "fits"}

_DESCRIPTION = "Stellar labels of hot stars from LAMOST spectra: Teff, log g, [M/H], v sin i."
_EPILOG = """\
examples:
  slamlib label spec-55859-F5902_sp01-001.fits.gz
  slamlib label *.fits.gz -o labels.ecsv --plot fits.pdf

'slamlib COMMAND --help' says more. The paper itself is made by make; 'make' lists what there is.
"""

_LABEL = """\
Find the effective temperature, surface gravity, metallicity and rotation of
OB stars in LAMOST spectra, with errors and flags. LRS and MRS files of every
release may be mixed; rows come in the order of the files.
"""
_LABEL_EPILOG = """\
A file that cannot be used costs one row with its reason, and a line on standard
error. The summary on standard output says in words what each row is worth;
docs/flags.md explains the flags, docs/howto_label.md the columns.

models:
  The best trained models in data/products/ are used: those of 'make paper', or
  else of 'make quick'. Where there are none they are trained, once, in about a
  minute for each instrument. The models span O to late B stars (Teff above 15,000 K);
  labels of other stars are flagged: outside the grid, or not early-type.

interruption:
  Finished parts, of 500 files each, are kept; the same command goes on from there.

exit status:
  0    every file has labels
  1    no file could be used, or a model, grid or output failed; nothing is written
  2    wrong usage
  3    some files could not be used; labels of the others are written
  130  interrupted

examples:
  slamlib label spec-55859-F5902_sp01-001.fits.gz
  slamlib label lrs/ mrs/ -o labels.ecsv --plot fits.pdf
  slamlib label --grid tlusty -q *.fits.gz -o labels.fits || echo "status $?"
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        """Say in one line what is wrong, without the usage of every option."""
        self.exit(2, f"{self.prog}: {message}; try '{self.prog} --help'\n")


def parser():
    """Return the parser of the command ``slamlib``."""
    layout = argparse.RawDescriptionHelpFormatter
    top = _Parser(prog="slamlib", description=_DESCRIPTION, epilog=_EPILOG, formatter_class=layout)
    top.add_argument("--version", action="version", version=f"slamlib {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True, title="commands")
    label = commands.add_parser(
        "label",
        help="labels of LAMOST spectra",
        description=_LABEL,
        epilog=_LABEL_EPILOG,
        formatter_class=layout,
    )
    label.add_argument(
        "files", nargs="+", metavar="FILE", help="LAMOST FITS files, gzipped or not, or folders of them"
    )
    label.add_argument(
        "-o",
        "--output",
        type=_path(*FORMATS),
        metavar="TABLE",
        help="write all columns to a table: .ecsv (units and descriptions), .csv or .fits",
    )
    label.add_argument(
        "--plot", type=_path(".pdf"), metavar="PDF", help="draw spectrum, model and residual of each star"
    )
    label.add_argument(
        "--grid",
        default="embedded",
        metavar="GRID",
        help="model grid: embedded (default), tlusty (built by 'make data') or the path of one",
    )
    label.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="label on a Dask cluster: tcp://HOST:PORT of its scheduler, or 'local' for one of this "
        "machine's cores; for more files than a command line holds see docs/cluster.md",
    )
    label.add_argument(
        "-q", "--quiet", action="store_true", help="no progress, no summary; only what is wrong"
    )
    return top


def _path(*suffixes):
    def path(text):
        found = Path(text).expanduser()
        if found.suffix.lower() not in suffixes:
            raise argparse.ArgumentTypeError(f"{text!r} must end in {' or '.join(suffixes)}")
        return found

    return path
