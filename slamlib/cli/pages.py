"""Pages of fits: observed, model, residual, a row a spectrum."""

from itertools import pairwise

import numpy as np
from matplotlib.backends.backend_pdf import PdfPages
from tqdm import tqdm

from slamlib.errors import printable
from slamlib.inference.likelihood import rejected_pixels
from slamlib.io import atomic
from slamlib.labelling.files import usable
from slamlib.labelling.summary import quantities, verdict
from slamlib.labels import LABELS
from slamlib.spectra.drawing import draw_fit
from slamlib.spectra.prepare import prepare_with_velocity
from slamlib.spectra.recognise import recognise
from slamlib.style import PAGE, apj_style, new_figure, note_simulated

ROWS = 4
_HEIGHT = 9.6
_KEY = (
    "Wavelength [$\\rm\\AA$]; spectrum black, SLAM model red and dashed, noise (one sigma) blue, rejected x"
)
_RATIOS = {"height_ratios": (3, 1), "hspace": 0}


def write_pages(table, paths, models, target, progress=True, hints=None):
    """Draw the fit of every spectrum that has labels into a PDF of several pages.

    Parameters
    ----------
    table : Table
        As `slamlib.label` gives it.
    paths : list of Path
        The file of each row.
    models : Models
    target : str or Path
    progress : bool
    hints : Hints, optional
        With which the files were labelled.
    """
    rows = [(table[i], paths[i]) for i in usable(table).nonzero()[0]]
    with atomic(target) as temporary, PdfPages(temporary, metadata={"CreationDate": None}) as pdf:
        for first in tqdm(range(0, len(rows), ROWS), desc="pages", unit="page", disable=not progress):
            pdf.savefig(page(rows[first : first + ROWS], models, hints))


@apj_style()
def page(rows, models, hints=None):
    """Return one page, a matplotlib Figure, of up to `ROWS` pairs of a row of labels and its file."""
    figure = new_figure(PAGE, _HEIGHT)
    panels = figure.subfigures(ROWS, 1, hspace=0.02)
    for panel, (row, path) in zip(panels, rows, strict=False):
        _draw(panel, row, path, models, hints)
    figure.supxlabel(_KEY, fontsize=9)
    return figure


def _draw(panel, row, path, models, hints):
    instrument, spectrum = recognise(path, hints)
    flux, ivar, _ = prepare_with_velocity(spectrum, instrument, row["rv"])
    labeller = models.labeller(instrument)
    labels = [row[name] for name in labeller.slam.names]
    spectrum = {"wave": instrument.wave, "flux": flux, "ivar": ivar}
    spectrum["model"] = labeller.predict([labels], extrapolate=True)[0]
    spectrum["rejected"] = rejected_pixels(labeller.slam, flux, ivar, labels, labeller.systematics)
    windows = _windows(instrument)
    axes = panel.subplots(2, len(windows), squeeze=False, gridspec_kw=_RATIOS)
    for main, strip, window in zip(*axes, windows, strict=True):
        draw_fit(main, strip, spectrum, instrument, window, len(windows))
    for axis, text in zip(axes[:, 0], ("Normalised flux", "Residual"), strict=True):
        axis.set_ylabel(text)
    name = printable(row["file"]).replace("$", r"\$")
    title = f"{name} ({instrument.name}): {verdict(row)}\n" + ",   ".join(
        map(_quantity, LABELS, quantities(row))
    )
    panel.suptitle(title, x=0.01, ha="left", fontsize=9)
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
