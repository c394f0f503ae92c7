"""The command ``slamlib``: its subcommands, and one line for whatever goes wrong."""

import sys

from slamlib import __version__
from slamlib.cli import cluster, fetch, info, inspect, label, learn, luminosity, train
from slamlib.cli.options import INTERRUPTED, LAYOUT, USED_NONE, Parser
from slamlib.errors import SlamlibError

_DESCRIPTION = "Stellar labels of hot stars from LAMOST spectra: Teff, log g, [M/H], v sin i."
_EPILOG = """\
examples:
  slamlib label spec-55859-F5902_sp01-001.fits.gz
  slamlib label *.fits.gz -o labels.ecsv --plot fits.pdf

'slamlib COMMAND --help' says more.
"""


def main(arguments=None):
    """Run the command line; return the exit status. SystemExit with 2 on wrong usage, with 0 after help."""
    options = parser().parse_args(arguments)
    try:
        return options.run(options, _tell)
    except SlamlibError as error:
        _tell(error)
    except OSError as error:
        _tell(f"cannot go on: {error}")
    except KeyboardInterrupt:
        _tell("interrupted; what was finished is kept, the same command goes on from there")
        return INTERRUPTED
    return USED_NONE


def parser():
    """Return the parser of the command ``slamlib``."""
    top = Parser(prog="slamlib", description=_DESCRIPTION, epilog=_EPILOG, formatter_class=LAYOUT)
    top.add_argument("--version", action="version", version=f"slamlib {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True, title="commands")
    for module in (label, inspect, luminosity, train, learn, cluster, fetch, info):
        module.add_parser(commands)
    return top


def _tell(*lines):
    for line in lines:
        print(f"slamlib: {line}", file=sys.stderr)
