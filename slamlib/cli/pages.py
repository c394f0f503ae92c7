"""Pages of fits: observed, model, residual, a row a spectrum."""

from itertools import pairwise

import numpy as np
from matplotlib.backends.backend_pdf import PdfPages
from tqdm import tqdm

from slamlib.errors import printable
from slamlib.io import atomic
from slamlib.labelling.files import usable
from slamlib.labelling.inspection import fit_of, worst_first
from slamlib.labelling.summary import quantities, verdict
from slamlib.labels import LABELS
from slamlib.spectra.drawing import draw_fit, inside
from slamlib.style import BLUE, PAGE, apj_style, new_figure, note_simulated

ROWS = 4
_HEIGHT = 9.6
_KEY = (
    "Wavelength [$\\rm\\AA$]; spectrum black, model red dashed, second solution blue dotted, "
    "noise (one sigma) blue, rejected x"
)
_RATIOS = {"height_ratios": (3, 1), "hspace": 0}
# Spectra drawn by `slamlib label --plot`: those most in need of a look if there are more.
MOST = 100


def write_pages(table, paths, models, target, progress=True, hints=None):
    """Draw the fits of spectra that have labels into a PDF of several pages; return how many are drawn.

    All of them in the order of the table, or, if there are more than `MOST`, those most in need of a look,
    worst first. `table` is as `slamlib.label` gave it with these `models` and `hints`; `paths` has the file
    of each row.
    """
    drawn = np.flatnonzero(usable(table))
    if drawn.size > MOST:
        drawn = worst_first(table, models)[:MOST]
    rows = [(table[i], paths[i]) for i in drawn]
    with atomic(target) as temporary, PdfPages(temporary, metadata={"CreationDate": None}) as pdf:
        for first in tqdm(range(0, len(rows), ROWS), desc="pages", unit="page", disable=not progress):
            pdf.savefig(page(rows[first : first + ROWS], models, hints))
    return len(rows)


@apj_style()
def page(rows, models, hints=None):
    """Return one page, a matplotlib Figure, of up to `ROWS` pairs of a row of labels and its file."""
    figure = new_figure(PAGE, _HEIGHT)
    panels = figure.subfigures(ROWS, 1, hspace=0.02)
    for panel, (row, path) in zip(panels, rows, strict=False):
        draw(panel, row, fit_of(row, path, models, hints))
        name = printable(row["file"]).replace("$", r"\$")
        title = f"{name} ({row['instrument']}): {verdict(row)}\n" + ",   ".join(
            map(_quantity, LABELS, quantities(row))
        )
        panel.suptitle(title, x=0.01, ha="left", fontsize=9)
    figure.supxlabel(_KEY, fontsize=9)
    return figure


def draw(panel, row, fit):
    """Draw the `Fit` of a row into a figure or a part of one."""
    windows = _windows(fit.instrument)
    axes = panel.subplots(2, len(windows), squeeze=False, gridspec_kw=_RATIOS)
    spectrum = {"wave": fit.instrument.wave, **vars(fit)}
    for main, strip, window in zip(*axes, windows, strict=True):
        draw_fit(main, strip, spectrum, fit.instrument, window, len(windows))
        if fit.other is not None:
            wave, show = inside(fit.instrument.wave, window, "the model")
            main.plot(wave, fit.other[show], color=BLUE, linewidth=0.7, linestyle=":", zorder=1.5)
    for axis, text in zip(axes[:, 0], ("Normalised flux", "Residual"), strict=True):
        axis.set_ylabel(text)
    if row["simulated"]:
        note_simulated(axes[0, -1])


def _windows(instrument):
    """Ranges [A] that have a panel each: the arms, or three parts of a single long one."""
    if len(instrument.arms) > 1:
        return [arm[:2] for arm in instrument.arms]
    edges = np.linspace(*instrument.arms[0][:2], 4)
    return list(pairwise(edges))


def _quantity(label, text):
    unit = label.axis.rpartition("[")[2].rstrip("]")
    return f"{label.symbol} {text.replace('+-', '±')} {unit}"
