"""For teachers: ``python -m compendium.teaching``."""

import argparse
import sys
from pathlib import Path

import nbformat
from nbclient.exceptions import CellExecutionError

from compendium.teaching.checks import LESSONS
from compendium.teaching.notebooks import run, shown, solved
from slamlib.errors import SlamlibError
from slamlib.io import atomic


def main(arguments=None):
    """Do what the command line asks; return the exit status."""
    text = "Teaching notebooks with their solutions."
    top = argparse.ArgumentParser(prog="python -m compendium.teaching", description=text)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    one = commands.add_parser("solved", help="write a notebook with its solutions filled in")
    one.add_argument("lesson", choices=LESSONS)
    one.add_argument("-o", "--output", type=Path, required=True, help="notebook to write")
    one.add_argument("--run", action="store_true", help="execute it, so that it has its pictures")
    every = commands.add_parser("time", help="run the solved notebooks, every check strict; print seconds")
    every.add_argument("lessons", nargs="*", metavar="LESSON", help="T1 to T5; all by default")
    open_ = commands.add_parser("shown", help="execute the lessons as a class finds them, for the site")
    open_.add_argument("folder", type=Path, help="of the executed notebooks")
    options = top.parse_args(arguments)
    try:
        if options.command == "solved":
            notebook = solved(options.lesson)
            if options.run:
                run(notebook)
            with atomic(options.output) as path:
                nbformat.write(notebook, path)
        elif options.command == "shown":
            for lesson in LESSONS:
                shown(lesson, options.folder)
        else:
            for lesson in options.lessons or LESSONS:
                print(f"{lesson}: {run(solved(lesson)):.0f} s", flush=True)
    except (SlamlibError, CellExecutionError) as error:
        print(f"compendium.teaching: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
