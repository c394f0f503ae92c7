"""The command ``slamlib``: what it does with what it is given, and its exit status."""

import os
import sys

from slamlib.cli.options import parser
from slamlib.errors import SlamlibError

USED_ALL, USED_NONE, USAGE, USED_SOME, INTERRUPTED = 0, 1, 2, 3, 130
# Rows of a summary beside a written table.
_MOST = 40


def main(arguments=None):
    """Run the command line; return the exit status.

    Parameters
    ----------
    arguments : list of str, optional
        `sys.argv[1:]` by default.

    Raises
    ------
    SystemExit
        With status 2 on wrong usage; with 0 after help.
    """
    options = parser().parse_args(arguments)
    try:
        return _label(options)
    except SlamlibError as error:
        _tell(error)
    except OSError as error:
        _tell(f"cannot go on: {error}")
    except KeyboardInterrupt:
        _tell("interrupted; what was finished is kept, the same command goes on from there")
        return INTERRUPTED
    return USED_NONE


def _label(options):
    # Imported here, since help and wrong usage shall be told at once.
    from slamlib.cli.elsewhere import label_elsewhere
    from slamlib.cli.output import write
    from slamlib.cli.pages import write_pages
    from slamlib.labelling.files import label_files, label_here, list_files, reasons
    from slamlib.labelling.models import Models
    from slamlib.labelling.summary import summary

    paths = list_files(options.files)
    for target in (options.output, options.plot):
        if target and target.resolve() in {path.resolve() for path in paths}:
            _tell(f"{target} is among the files to label and would be overwritten; name another")
            return USAGE
    progress = not options.quiet and sys.stderr.isatty()
    models = Models(options.grid, not options.quiet, progress)
    survey = label_elsewhere(options.cluster) if options.cluster else label_here
    table = label_files(paths, models, progress, survey)
    unusable = reasons(table)
    _tell(*unusable)
    if options.output:
        write(table, options.output)
    if options.plot:
        write_pages(table, paths, models, options.plot, progress)
    if not options.quiet:
        _show(summary(table, _MOST if options.output else None))
    return USED_SOME if unusable else USED_ALL


def _show(text):
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # Whoever read has had enough; Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tell(*lines):
    for line in lines:
        print(f"slamlib: {line}", file=sys.stderr)
