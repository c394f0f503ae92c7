"""slamlib label: files in, a table of labels out."""

import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from slamlib.cli.options import (
    FORMATS,
    USAGE,
    USED_ALL,
    USED_SOME,
    add_command,
    add_hints,
    add_models,
    hints_of,
    path_ending,
    show,
)
from slamlib.errors import SlamlibError

_DESCRIPTION = """\
Find the effective temperature, surface gravity, metallicity and rotation of
OB stars in spectra, with errors and flags. LAMOST's files of every release, LRS and
MRS, SDSS's, DESI's and others may be mixed; rows come in the order of the files.
"""
_EPILOG = """\
A file that cannot be used costs one row with its reason, and a line on standard
error. The summary on standard output says in words what each row is worth;
docs/flags.md explains the flags, docs/howto_label.md the columns.

other spectrographs:
  Files of LAMOST, SDSS (BOSS) and DESI tell their instrument. For others name it with
  --instrument, or give its resolving power with --resolution; where the header gives that,
  or pixels show that it is above 30,000, neither is needed. FITS tables of wavelength and flux
  (ESO's archive, CALSPEC), images with a linear or logarithmic axis, IRAF's four bands, rows of
  wavelength and flux, and text of two or three columns are read. docs/howto_label.md has more.

models:
  Those of LRS, MRS, BOSS and HERMES come with slamlib; of another instrument they are trained
  once, in a few minutes, and kept in ~/.slamlib (or the folder of SLAMLIB_HOME). --models names
  others, such as those of 'make paper' in data/products/paper-mock-embedded. They span O to early
  A stars (9,000 to 55,000 K, flag X below 15,000 K, where the paper's end); labels of other stars
  are flagged: outside the grid, or not early-type.

interruption:
  Finished parts, one of 16 files and then 500 each, are kept; the same command goes on
  from there.

exit status:
  0    every file has labels
  1    no file could be used, or a model, grid or output failed; nothing is written
  2    wrong usage
  3    some files could not be used, pages not be drawn, or the table not be sent; labels of the
       others are written
  130  interrupted

examples:
  slamlib label spec-55859-F5902_sp01-001.fits.gz
  slamlib label lrs/ mrs/ -o labels.ecsv --plot fits.pdf
  slamlib label star.txt --resolution 5000 --unit nm
  slamlib label --models data/products/paper-mock-embedded -q *.fits.gz -o labels.fits
"""
# Rows of a summary beside a written table.
_MOST = 40
LOCAL = "local"


def add_parser(commands):
    """Add the subcommand."""
    parser = add_command(commands, "label", run, "labels of spectra", _DESCRIPTION, _EPILOG)
    text = "FITS or text, gzipped or not, or folders of FITS files"
    parser.add_argument("files", nargs="+", metavar="FILE", help=text)
    text = "write all columns to a table: .ecsv, .fits or .vot (units, descriptions, UCDs), or .csv"
    parser.add_argument("-o", "--output", type=path_ending(*FORMATS), metavar="TABLE", help=text)
    text = "draw spectrum, model and residual of each star, or of the 100 most in need of a look"
    parser.add_argument("--plot", type=path_ending(".pdf"), metavar="PDF", help=text)
    parser.add_argument("--samp", action="store_true", help="send the table to TOPCAT, if it is open")
    add_hints(parser)
    add_models(parser)
    text = "label on a Dask cluster: tls://HOST:PORT of its scheduler, or 'local' for one of this machine's "
    text += "cores; 'slamlib cluster' takes more files than a command line holds"
    parser.add_argument("--cluster", metavar="ADDRESS", help=text)
    text = "no progress, no summary; only what is wrong"
    parser.add_argument("-q", "--quiet", action="store_true", help=text)


def run(options, tell):
    """Label what the options name; return the exit status."""
    # Imported here, since help and wrong usage shall be told at once.
    from slamlib.cli.output import send, write
    from slamlib.labelling.files import label_files, list_files, reasons
    from slamlib.labelling.models import Models, home
    from slamlib.labelling.summary import summary

    paths = list_files(options.files)
    for target in (options.output, options.plot):
        real = target and target.resolve()
        if real and real.exists() and any(path.exists() and path.samefile(real) for path in paths):
            tell(f"{target} is among the files to label and would be overwritten; name another")
            return USAGE
        if target and not target.parent.is_dir():
            tell(f"no folder {target.parent} for {target.name}; make it, or name another")
            return USAGE
        if target and target.exists() and not options.quiet:
            tell(f"{target} is there and will be overwritten")
    progress = not options.quiet and sys.stderr.isatty()
    models = Models(options.grid, options.models, not options.quiet, progress)
    cluster = options.cluster and partial(_label_on_cluster, options.cluster)
    hints = hints_of(options)
    table = label_files(paths, models, progress, cluster, hints)
    unusable = reasons(table)
    tell(*unusable)
    if options.output:
        write(table, options.output)
    if not options.quiet:
        show(summary(table, _MOST if options.output else None))
    if options.plot:
        from slamlib.cli.pages import write_pages  # matplotlib takes a second

        try:
            drawn = write_pages(table, paths, models, options.plot, progress, hints)
        except (SlamlibError, OSError) as error:
            tell(f"{options.plot} is not written ({error})" + f"; {options.output} is" * bool(options.output))
            return USED_SOME
        if drawn < len(table) - len(unusable) and not options.quiet:
            tell(f"{options.plot} shows the {drawn} fits most in need of a look, worst first")
    if options.samp:
        try:
            send(table, home() / "labels.vot")
        except (SlamlibError, OSError) as error:
            tell(f"the table is not sent ({error})" + f"; {options.output} is written" * bool(options.output))
            return USED_SOME
    return USED_SOME if unusable else USED_ALL


def _label_on_cluster(address, paths, instrument, models, progress, hints):
    # Dask is optional: only who asks for a cluster needs it.
    from slamlib.labelling.cluster.merge import read_catalogue
    from slamlib.labelling.cluster.run import label_cluster

    labellers, parts = {"krr": models.path(instrument)}, models.parts / f"{instrument.name}.parts"
    parts.mkdir(parents=True, exist_ok=True)
    about = {"address": None if address == LOCAL else address, "progress": progress, "hints": hints}
    # Parts are shared, by their content; the catalogue is of this call alone.
    with TemporaryDirectory(dir=parts.parent) as folder:
        output = Path(folder) / "catalogue.parquet"
        label_cluster(paths, labellers, output, parts, **about)
        return read_catalogue(output)
