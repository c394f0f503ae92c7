"""The figures of the paper, drawn from what a run made, so that to retouch one computes nothing.

Of each figure there are two functions: one takes data and returns a matplotlib Figure, the other
(`fig03`, say) takes a run, reads its products and calls the first. Notebooks show figures, the
pipeline draws the files: a figure is a task of its own there.
"""

import io
from importlib import import_module

from IPython.display import Image

from compendium.figures.compare import fig08_hrs, fig09_lrs_vs_mrs
from compendium.figures.forensics import fig_forensics
from compendium.figures.hr_diagram import fig07_hr_diagram
from compendium.figures.luminosity import fig_luminosity
from compendium.figures.models import fig02_training_set, fig03_cross_validation, fig04_sample_size
from compendium.figures.posterior import fig10_corner
from compendium.figures.seam import fig_seam
from compendium.figures.selection import fig_selection
from compendium.figures.sky import fig01_sky
from compendium.figures.spectra import fig_fit
from compendium.figures.trust import (
    fig_calibration,
    fig_efficiency,
    fig_information,
    fig_mismatches,
    fig_ranks,
)
from compendium.pipeline.graph import GRAPH
from slamlib.style import fig_no_data, lay_out, save, write_png

__all__ = [
    "draw",
    "fig01_sky",
    "fig02_training_set",
    "fig03_cross_validation",
    "fig04_sample_size",
    "fig07_hr_diagram",
    "fig08_hrs",
    "fig09_lrs_vs_mrs",
    "fig10_corner",
    "fig_calibration",
    "fig_efficiency",
    "fig_fit",
    "fig_forensics",
    "fig_information",
    "fig_luminosity",
    "fig_mismatches",
    "fig_no_data",
    "fig_ranks",
    "fig_seam",
    "fig_selection",
    "save",
    "show",
]
# Of a figure in a notebook: sharp at this width on a screen of twice the pixels.
_PIXELS_PER_INCH = 110


def draw(name, run):
    """Draw a figure of the graph, such as "fig03", from the products of a run."""
    module = next(notebook.figures[name] for notebook in GRAPH if name in notebook.figures)
    return getattr(import_module(f"compendium.figures.{module}"), name.lower())(run)


def show(name, run):
    """Draw a figure for a notebook to show, as an IPython Image; no file is written."""
    figure, content = draw(name, run), io.BytesIO()
    lay_out(figure)
    write_png(figure, content, 2 * _PIXELS_PER_INCH)
    return Image(content.getvalue(), width=round(_PIXELS_PER_INCH * figure.get_figwidth()))
