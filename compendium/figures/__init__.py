"""The figures of the paper: each function takes data and returns a matplotlib Figure.

They compute nothing that takes time and read no file, so that replotting never refits.
Figs 2-4 are about models, 1 and 5-10 about stars, `figures_trust` and `figures_forensics` about
errors.
"""

from compendium.figures.compare import fig08_hrs, fig09_lrs_vs_mrs
from compendium.figures.forensics import fig_forensics
from compendium.figures.labels import fig07_hr_diagram, fig10_corner
from compendium.figures.models import fig02_training_set, fig03_cross_validation, fig04_sample_size
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
from slamlib.style import fig_no_data, save

__all__ = [
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
    "fig_mismatches",
    "fig_no_data",
    "fig_ranks",
    "fig_seam",
    "fig_selection",
    "save",
]
