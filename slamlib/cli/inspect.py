"""slamlib inspect: a page of the stars of a catalogue that need a look most."""

import base64
import io
import math
import sys
from collections import Counter
from functools import cache
from html import escape
from pathlib import Path

from slamlib.cli.options import (
    FORMATS,
    USED_ALL,
    USED_SOME,
    add_command,
    add_hints,
    add_models,
    hints_of,
    path_ending,
    positive,
)
from slamlib.errors import InputError, SlamlibError, printable

_EPILOG = """\
The page stands alone: spectrum (black), fit (red, dashed), the solution that came second (blue,
dotted), residual and noise, labels, and why a row is flagged; the worst come first. Files are found
by their names among those given, or beside the table and in the working directory; of several of one
name by OBSID and SNR.

examples:
  slamlib label night/ -o labels.ecsv
  slamlib inspect labels.ecsv night/ -o look.html
"""
_HEIGHT = 2.6
# Columns without which there is no page.
_NEEDED = {"file", "instrument", "simulated", "obsid", "snr", "rv"}
_NEEDED |= {"teff", "e_teff", "vsini_limit", "chi2", "status", "flag"}
_PAGE = """\
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Stars to look at: {name}</title>
<style>
body {{ font-family: sans-serif; max-width: 62rem; margin: 1rem auto; padding: 0 1rem }}
h2 {{ font-size: 1.05rem; margin: 2rem 0 .3rem }} p {{ margin: .2rem 0 }} img {{ max-width: 100% }}
.simulated {{ color: #0077BB; font-style: italic }} a {{ color: inherit }} ol {{ columns: 20rem }}
</style></head><body>
<h1>Stars to look at: {name}</h1>
<p>{shown} of {known} spectra with labels, the worst first: spectrum black, fit red and dashed, the solution
that came second blue and dotted, noise (one sigma) light blue, rejected pixels x.</p>
<ol>{index}</ol>
{stars}</body></html>
"""


def add_parser(commands):
    """Add the subcommand."""
    text = "Make a page of the stars of a catalogue that need a look most, worst first."
    about = "a page of the stars that need a look most"
    parser = add_command(commands, "inspect", run, about, text, _EPILOG)
    text = "of labels, as 'slamlib label -o' wrote it"
    parser.add_argument("table", type=path_ending(*FORMATS), metavar="TABLE", help=text)
    parser.add_argument("files", nargs="*", metavar="FILE", help="its spectra, or folders of them")
    text = "by default that of the table, ending in .html"
    parser.add_argument("-o", "--output", type=path_ending(".html"), metavar="PAGE", help=text)
    parser.add_argument("-n", type=positive, default=30, metavar="N", help="stars at most (%(default)s)")
    add_hints(parser)
    add_models(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress")


def run(options, tell):
    """Make the page; return the exit status."""
    from tqdm import tqdm

    from slamlib.cli.output import read_table
    from slamlib.io import atomic
    from slamlib.labelling.files import usable
    from slamlib.labelling.inspection import worst_first
    from slamlib.labelling.models import Models
    from slamlib.spectra.prepare import recognised

    table = read_table(options.table)
    if missing := _NEEDED - set(table.colnames):
        raise InputError(f"{options.table} lacks {', '.join(sorted(missing))}: no table of 'slamlib label'")
    models = Models(options.grid, options.models)
    worst = worst_first(table, models)[: options.n]
    if not worst.size:
        raise InputError(f"{options.table} has no row with labels; there is nothing to look at")
    hints, files, rows = hints_of(options), _files(table, options), Counter(table["file"])
    stars, drawn = [], 0

    @cache
    def header(path):
        """Return that of a spectrum, empty if it cannot be read: its own panel says why."""
        spectrum = recognised(path, hints).spectrum
        return {} if spectrum is None else spectrum.header

    for i in tqdm(worst, desc="stars", disable=options.quiet or not sys.stderr.isatty()):
        picture = ""
        try:
            name = table["file"][i]
            path = _file(table[i], files.get(name, []), rows[name] == 1, header)
            picture, second = _picture(table[i], path, models, hints)
            drawn += 1
        except SlamlibError as error:
            tell(error)
            second = f"not drawn: {error}"
        stars.append(_star(len(stars) + 1, table[i], picture, second))
    index = "".join(f'<li><a href="#{k}">{head}</a></li>' for k, (head, _) in enumerate(stars, 1))
    about = {"name": escape(options.table.name), "shown": len(stars), "known": usable(table).sum()}
    page = _PAGE.format(**about, index=index, stars="".join(body for _, body in stars))
    output = options.output or options.table.with_suffix(".html")
    with atomic(output) as temporary:
        temporary.write_text(page, encoding="utf-8")
    if not options.quiet:
        print(output)
    return USED_ALL if drawn == len(stars) else USED_SOME


def _files(table, options):
    """Return the files that are found of each name."""
    from slamlib.labelling.files import list_files

    if options.files:
        named = list_files(options.files)
    else:
        named = [folder / name for folder in (options.table.parent, Path()) for name in table["file"]]
    paths: dict = {}
    for path in dict.fromkeys(path.resolve() for path in named if path.is_file()):
        paths.setdefault(printable(path.name), []).append(path)
    return paths


def _file(row, files, alone, header):
    """Return that of `files`, all of the name of a row, that the row was made of.

    `alone` if no other row has this name; `header` gives that of a file. InputError if it cannot be told:
    folders of several nights or releases may hold the same names, and a table may have been sorted.
    """
    same = [path for path in files if header(path).get("obsid", row["obsid"]) == row["obsid"]]
    if len(same) > 1 or not alone:
        # Of other surveys than LAMOST no file has an obsid.
        snr = {path: header(path).get("snr", math.nan) for path in same}
        same = [path for path in same if math.isclose(snr[path], row["snr"], rel_tol=1e-6)]
    if len(same) == 1:
        return same[0]
    if len(files) > 1:
        raise InputError(f"{len(files)} files are called {row['file']}; name one folder")
    which = " of this OBSID and SNR" * bool(files)
    raise InputError(f"no file {row['file']}{which} beside the table; name its folder")


def _picture(row, path, models, hints):
    """Return the drawing of a row as base64, and the second solution in words."""
    from slamlib.cli.pages import draw
    from slamlib.labelling.inspection import fit_of
    from slamlib.style import PAGE, apj_style, new_figure

    fit, stream = fit_of(row, path, models, hints, second=True), io.BytesIO()
    with apj_style():
        figure = new_figure(1.3 * PAGE, _HEIGHT)
        draw(figure, row, fit)
        figure.supxlabel(r"Wavelength [$\rm\AA$]", fontsize=9)
        figure.savefig(stream, format="png", dpi=110)
    second = f"came second: {fit.words}" if fit.words else "no other minimum of chi-square"
    return base64.b64encode(stream.getvalue()).decode(), second


def _star(number, row, picture, second):
    """Return the heading of a star and its part of the page."""
    from slamlib.labelling.summary import quantities, verdict
    from slamlib.labels import LABELS

    what = escape(verdict(row))
    name = escape(row["file"])
    simulated = '<span class="simulated">simulated</span> ' * bool(row["simulated"])
    units = ["" if "dex" in str(label.unit) else f" {label.unit}" for label in LABELS]
    labels = ", ".join(
        f"{label.description} {text.replace('+-', '±')}{unit}"
        for label, text, unit in zip(LABELS, quantities(row), units, strict=True)
    )
    lines = [f"{simulated}{row['instrument']}, SNR {row['snr']:.0f}, chi2 {row['chi2']:.2f}", labels]
    lines += [escape(second)] if second else []
    body = f'<h2 id="{number}">{number}. {name}: {what}</h2>\n'
    body += "".join(f"<p>{line}</p>\n" for line in lines)
    if picture:
        body += f'<img alt="spectrum, fit and residual of {name}" src="data:image/png;base64,{picture}">\n'
    return f"{name}: {what}", body
