"""slamlib cluster: any number of files of one instrument, on a Dask cluster."""

from pathlib import Path

from slamlib.cli.options import USED_ALL, add_command, add_models, path_ending, positive
from slamlib.errors import FileError, InputError


class FileList:
    """The file names in a text file, one a line, read as they are needed: ten million fill no memory.

    FileError if it cannot be read.
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


def add_parser(commands):
    """Add the subcommand."""
    text = "Label LAMOST spectra on a Dask cluster; interrupted, the same command goes on."
    about = "labels of millions of spectra, on a Dask cluster"
    parser = add_command(commands, "cluster", run, about, text)
    parser.add_argument(
        "files", nargs="*", type=Path, help="LAMOST FITS files of one instrument, or folders of them"
    )
    parser.add_argument("--list", type=Path, metavar="FILE", help="a text file of file names, one a line")
    kind = {"type": path_ending(".parquet"), "required": True, "metavar": "CATALOGUE"}
    parser.add_argument("-o", "--output", **kind, help="such as catalogue.parquet")
    parser.add_argument("-i", "--instrument", default="LRS", metavar="NAME", help="LRS (default) or MRS")
    text = "of a Dask scheduler: tls://HOST:PORT; this machine by default"
    parser.add_argument("--cluster", metavar="ADDRESS", help=text)
    parser.add_argument("--workers", type=positive, help="on this machine; as many as cores by default")
    text = "of finished parts; beside the catalogue"
    parser.add_argument("--parts", type=Path, metavar="FOLDER", help=text)
    parser.add_argument("--part", type=positive, default=500, help="spectra of a part (%(default)s)")
    add_models(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress bar")


def run(options, tell):
    """Label what the options name; return the exit status."""
    # Dask is optional: the command explains itself without it.
    from slamlib.labelling.cluster.run import label_cluster
    from slamlib.labelling.given import list_files
    from slamlib.labelling.models import Models

    if bool(options.files) == bool(options.list):
        raise InputError("name either some files or a --list of them")
    files = FileList(options.list) if options.list else list_files(options.files)
    models = Models(options.grid, options.models, not options.quiet)
    about = {"address": options.cluster, "n_workers": options.workers, "part": options.part}
    labellers = {"krr": models.path(options.instrument)}
    about["progress"] = not options.quiet
    report = label_cluster(files, labellers, options.output, options.parts, **about)
    print(report)
    return USED_ALL
