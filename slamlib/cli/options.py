"""What the subcommands share; nothing here takes time to import."""

import argparse
import os
import sys
from pathlib import Path

LAYOUT = argparse.RawDescriptionHelpFormatter
# astropy's name of the format of each suffix.
FORMATS = {".ecsv": "ascii.ecsv", ".csv": "ascii.csv", ".fits": "fits", ".vot": "votable"}
USED_ALL, USED_NONE, USAGE, USED_SOME, INTERRUPTED = 0, 1, 2, 3, 130


class Parser(argparse.ArgumentParser):
    """A parser that says in one line what is wrong, without the usage of every option."""

    def error(self, message):
        """Exit with status 2."""
        self.exit(USAGE, f"{self.prog}: {message}; try '{self.prog} --help'\n")


def path_ending(*suffixes):
    """Return a type of argument: a path that ends in one of the suffixes."""

    def path(text):
        found = Path(text).expanduser()
        if found.suffix.lower() not in suffixes:
            raise argparse.ArgumentTypeError(f"{text!r} must end in {' or '.join(suffixes)}")
        return found

    return path


def whole(text, least=0):
    """Return the whole number, `least` or larger, that an argument is."""
    if not text.isascii() or not text.isdigit() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text!r} is not {least}, {least + 1}, ...")
    return int(text)


def positive(text):
    """Return the whole number, one or larger, that an argument is."""
    return whole(text, 1)


def add_command(commands, name, run, text, description, epilog=None):
    """Add a subcommand that `run` carries out; return its parser."""
    layout = LAYOUT if epilog else argparse.HelpFormatter
    about = {"description": description, "epilog": epilog, "formatter_class": layout}
    parser = commands.add_parser(name, help=text, **about)
    parser.set_defaults(run=run)
    return parser


def add_models(parser):
    """Add the options that say which trained models label."""
    text = "model grid: embedded (default), or a FITS file"
    parser.add_argument("--grid", default="embedded", metavar="GRID", help=text)
    text = "of trained models; by default those kept in ~/.slamlib"
    parser.add_argument("--models", metavar="FOLDER", help=text)


def add_hints(parser):
    """Add the options that say what files do not tell."""
    which = parser.add_mutually_exclusive_group()
    text = "of files that do not tell it: a name, or a .toml file"
    which.add_argument("--instrument", metavar="NAME", help=text)
    text = "instead: resolving power; the range is the file's"
    which.add_argument("--resolution", type=float, metavar="R", help=text)
    text = "of the wavelengths: Angstrom, nm or um; not for LAMOST"
    parser.add_argument("--unit", metavar="UNIT", help=text)
    medium = parser.add_mutually_exclusive_group()
    text = "wavelengths are in vacuum; not for LAMOST"
    medium.add_argument("--vacuum", action="store_true", default=None, help=text)
    text = "wavelengths are in air; not for LAMOST"
    medium.add_argument("--air", action="store_false", dest="vacuum", help=text)


def hints_of(options):
    """Return the `Hints` that the options of `add_hints` give."""
    from slamlib.instruments import get_instrument
    from slamlib.spectra.reading import Hints

    instrument = options.instrument and get_instrument(options.instrument)
    return Hints(instrument, options.resolution, options.unit, options.vacuum)


def show(text):
    """Print; that a reader such as `head` stops early is no error."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
