"""The command line: ``python -m slamlib.labelling.cluster --help``."""

import argparse
import sys
from pathlib import Path

from compendium.run import Run
from compendium.train import labeller_path
from slamlib.errors import FileError, InputError, SlamlibError
from slamlib.instruments import INSTRUMENTS
from slamlib.labelling.catalogue import PART


class FileList:
    """The file names in a text file, one a line, read as they are needed: ten million fill no memory.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    FileError
        If it cannot be read.
    """

    def __init__(self, path):
        self.path = Path(path)
        try:
            self._size = sum(1 for _ in self)
        except (OSError, UnicodeDecodeError) as error:
            raise FileError(f"cannot read the list {path} ({error}); it shall have one name a line") from None

    def __iter__(self):
        """Yield the names; empty lines are none."""
        with self.path.open(encoding="utf-8") as lines:
            yield from (line.rstrip("\n") for line in lines if line.strip())

    def __len__(self):
        """Return how many names there are."""
        return self._size


def parser():
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="python -m slamlib.labelling.cluster",
        description="Label LAMOST spectra on a Dask cluster; interrupted, the same command goes on.",
    )
    made.add_argument("files", nargs="*", type=Path, help="LAMOST FITS files of one instrument")
    made.add_argument("--list", type=Path, metavar="FILE", help="a text file of file names, one a line")
    made.add_argument(
        "-o", "--output", type=Path, required=True, help="the catalogue, such as catalogue.parquet"
    )
    made.add_argument("-i", "--instrument", choices=tuple(INSTRUMENTS), default="LRS")
    made.add_argument(
        "--cluster", metavar="ADDRESS", help="of a Dask scheduler: tcp://HOST:PORT; this machine by default"
    )
    made.add_argument("--workers", type=_positive, help="on this machine; as many as cores by default")
    made.add_argument("--parts", type=Path, metavar="FOLDER", help="of finished parts; beside the catalogue")
    made.add_argument("--part", type=_positive, default=PART, help="spectra of a part (%(default)s)")
    made.add_argument("--models", type=Path, metavar="FOLDER", help="of trained models; `make paper`'s own")
    made.add_argument("--grid", default="embedded", help="embedded, tlusty or the path of a model grid")
    made.add_argument("--quiet", action="store_true", help="no progress bar")
    return made


def _positive(text):
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not 1, 2, ...")
    return int(text)


def main(arguments=None):
    """Run the command line; return the exit code.

    Parameters
    ----------
    arguments : list of str, optional
        `sys.argv[1:]` by default.
    """
    options = parser().parse_args(arguments)
    try:
        # Dask is optional: the command explains itself without it.
        from slamlib.labelling.cluster.run import label_cluster

        if bool(options.files) == bool(options.list):
            raise InputError("name either some files or a --list of them")
        run = Run("paper", grid=options.grid)
        report = label_cluster(
            FileList(options.list) if options.list else options.files,
            {"krr": labeller_path(options.models or run.products, options.instrument)},
            options.output,
            options.parts,
            address=options.cluster,
            n_workers=options.workers,
            part=options.part,
            progress=not options.quiet,
        )
    except SlamlibError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; finished parts are kept, the same command goes on from there", file=sys.stderr)
        return 130
    print(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
