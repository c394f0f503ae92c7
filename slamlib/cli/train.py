"""slamlib train: a labeller of an instrument, from a model grid."""

import sys
from pathlib import Path

from slamlib.cli.options import USED_ALL, add_command, positive, whole


def add_parser(commands):
    """Add the subcommand."""
    text = "Train a labeller on spectra of a model grid, for 'slamlib label --models FOLDER'."
    parser = add_command(commands, "train", run, "train models on a grid", text)
    text = "by default that of 'slamlib label'"
    parser.add_argument("-o", "--output", type=Path, metavar="FOLDER", help=text)
    text = "LRS (default), or another, or a .toml file"
    parser.add_argument("-i", "--instrument", default="LRS", metavar="NAME", help=text)
    parser.add_argument("--grid", default="embedded", help="embedded (default), or a FITS file")
    parser.add_argument("--n", type=positive, metavar="N", help="training spectra; 1500 by default")
    parser.add_argument("--seed", type=whole, help="of every random draw")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress")


def run(options, tell):
    """Train what the options name; return the exit status."""
    from slamlib.grid.joined import named_grid
    from slamlib.instruments import get_instrument
    from slamlib.labelling.labeller import Labeller
    from slamlib.labelling.models import Models, labeller_path

    grid = named_grid(options.grid)
    given = {name: value for name in ("n", "seed") if (value := getattr(options, name)) is not None}
    progress = not options.quiet and sys.stderr.isatty()
    instrument = get_instrument(options.instrument)
    path = labeller_path(options.output or Models(options.grid).folder, instrument.name)
    Labeller.train(grid, instrument, progress=progress, **given).save(path)
    if not options.quiet:
        print(path)
    return USED_ALL
