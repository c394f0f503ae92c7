"""How every figure looks: sizes and colours of an ApJ page, and files with reproducible bytes."""

from pathlib import Path

from matplotlib import style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from slamlib.errors import InputError
from slamlib.io import atomic

# Widths of one column and of the full page of ApJ [inch].
COLUMN, PAGE = 3.5, 7.1
SMALL = 7  # the smallest font size used [pt]

# The vibrant scheme of Paul Tol (SRON/EPS/TN/09-002): red, blue and black as in the paper,
# told apart by every common kind of colour vision.
RED, BLUE, BLACK, CYAN, GREY = "#CC3311", "#0077BB", "#000000", "#33BBEE", "#BBBBBB"
MAGENTA = "#EE3377"

INSTRUMENT_STYLE = {
    "LRS": {"color": RED, "marker": "s", "markersize": 4.5},
    "MRS": {"color": BLUE, "marker": "*", "markersize": 7},
}
SIMULATED_NOTE = "simulated spectra"

_RC = {
    "font.family": "STIXGeneral",  # ships with matplotlib: the same letters on every machine
    "mathtext.fontset": "stix",
    "font.size": 9,
    "axes.labelsize": 9,
    "axes.titlesize": 8,
    "axes.linewidth": 0.6,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "xtick.minor.visible": True,
    "ytick.minor.visible": True,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "legend.handlelength": 2.2,
    "lines.linewidth": 1.0,
    "lines.markersize": 4.5,
    "errorbar.capsize": 0,
    "figure.constrained_layout.h_pad": 0.015,
    "figure.constrained_layout.w_pad": 0.03,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,  # TrueType: journals refuse Type 3 fonts
}
_DPI = _RC["savefig.dpi"]


def apj_style():
    """Return the style as a context manager, which is a decorator too.

    It starts from matplotlib's own defaults, so that a reader's matplotlibrc changes nothing.
    """
    return style.context(["default", _RC])


def new_figure(width, height):
    """Return an empty figure of that size [inch], laid out by constraints, outside pyplot."""
    return Figure(figsize=(width, height), layout="constrained")


def plain_ticks(axis):
    """Give a logarithmic axis ticks of plain numbers, also within one decade."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def note_simulated(axes):
    """Say above the upper right corner of `axes` that what it shows is simulated."""
    axes.set_title(SIMULATED_NOTE, loc="right", fontsize=8, fontstyle="italic", color=BLUE)


@apj_style()
def fig_no_data(text):
    """Draw a figure that says why there is nothing to draw."""
    figure = new_figure(COLUMN, 1.0)
    figure.text(0.5, 0.5, text, ha="center", va="center")
    return figure


def require_columns(table, names, what):
    """Check that a table (or a dict of arrays) has rows, and the columns that a figure needs."""
    present = list(getattr(table, "colnames", table))
    missing = [name for name in names if name not in present]
    if missing:
        raise InputError(f"{what} lacks {', '.join(missing)}; it has {', '.join(map(str, present))}")
    if hasattr(table, "colnames") and len(table) == 0:
        raise InputError(f"{what} has no rows; nothing can be drawn")


def save(figure, folder, name):
    """Write a figure as PNG and PDF into a folder, made if missing; return the path of the PNG.

    `name` is without suffix. The same figure always gives the same bytes.
    """
    folder = Path(folder)
    lay_out(figure)
    with apj_style():
        with atomic(folder / f"{name}.pdf") as path:
            figure.set_dpi(_DPI)
            FigureCanvasPdf(figure).print_pdf(path, metadata={"CreationDate": None})
        with atomic(folder / f"{name}.png") as path:
            write_png(figure, path)
    return folder / f"{name}.png"


def lay_out(figure):
    """Fix the layout of a figure, so that all files share it: each draw would refine it by a hair."""
    if engine := figure.get_layout_engine():
        with apj_style():
            engine.execute(figure)
        figure.set_layout_engine("none")


def write_png(figure, file, dpi=_DPI):
    """Write a figure that is laid out; `Figure.savefig` would draw it twice."""
    figure.set_dpi(dpi)
    with apj_style():
        FigureCanvasAgg(figure).print_png(file)
