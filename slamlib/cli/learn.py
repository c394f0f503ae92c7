"""slamlib learn: what a survey's own stars tell of the errors of the models."""

import sys
from pathlib import Path

from slamlib.cli.options import USED_ALL, add_command, add_models

_DESCRIPTION = """\
Learn from a folder of spectra of one instrument how the models differ from its stars: which
lines are off, by how much in all stars, by how much from star to star. The learned models
label as any others do: slamlib label --models OUTPUT. It needs 200 stars that are well fitted
at a SNR above 80.
"""


def add_parser(commands):
    """Add the subcommand."""
    parser = add_command(commands, "learn", run, "learn the models' errors from stars", _DESCRIPTION)
    parser.add_argument("files", nargs="+", metavar="FOLDER", help="of spectra, or files")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUTPUT", help="folder of models")
    parser.add_argument("-i", "--instrument", default="LRS", metavar="NAME", help="LRS (default), or another")
    add_models(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress")


def run(options, tell):
    """Learn from what the options name; return the exit status."""
    from slamlib.errors import InputError
    from slamlib.instruments import get_instrument
    from slamlib.labelling.files import list_files
    from slamlib.labelling.learned import learned
    from slamlib.labelling.models import Models, labeller_path
    from slamlib.spectra.prepare import read_many
    from slamlib.threads import blas_threads, n_cores

    progress = not options.quiet and sys.stderr.isatty()
    instrument = get_instrument(options.instrument)
    models = Models(options.grid, options.models, not options.quiet, progress)
    path = labeller_path(options.output, instrument.name)
    labeller = models.labeller(instrument)
    if path.exists() and path.samefile(models.path(instrument)):
        raise InputError(f"{path} is the model to learn with; name another folder for what is learned")
    with blas_threads(1):
        # A file that is named twice is one star.
        given = list(dict.fromkeys(list_files(options.files)))
        flux, ivar, table = read_many(given, instrument, labeller.templates, n_cores(), progress)
    tell(*(row["reason"] for row in table if row["reason"]))
    found = learned(labeller, flux, ivar, table["snr"], progress)
    found.save(path)
    if not options.quiet:
        print(f"{path}: learned from {found.about['learned']['stars']} stars")
    return USED_ALL
