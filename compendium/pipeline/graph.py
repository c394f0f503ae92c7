"""The graph of notebooks and figures: what each needs and makes. Everything else follows from it."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from slamlib.instruments import INSTRUMENTS

FIGURE_SUFFIXES = (".pdf", ".png")
TABLE_SUFFIXES = (".ecsv", ".mrt", ".tex")


@dataclass(frozen=True)
class Notebook:
    """One node of the graph.

    Attributes
    ----------
    name : str
        File name in `notebooks/` without its suffix.
    needs : tuple of str
        Notebooks whose products it reads.
    products, tables : tuple of str
        What it writes, in the run's folders. A product in a folder of its own, such as the index
        of the survey, stands for the folder. A table is ECSV, machine-readable and LaTeX, unless
        its name has a suffix: then that file alone.
    figures : dict of str to str
        The figures drawn from its products, PDF and PNG, and the module of `compendium.figures`
        that draws each, by a function of the figure's name (in lower case).
    mock_tables : tuple of str
        Tables that only a simulated survey can give, since they need the true labels.
    extra : bool
        Not part of the paper; run when asked for by name, and by the tests.
    reads, lamost_reads : tuple of str
        Files and folders in `data/`, beside the embedded data that count for all, which it
        reads if they are there; the latter only with ``source="lamost"``.
    """

    name: str
    needs: tuple = ()
    products: tuple = ()
    figures: dict = field(default_factory=dict)
    tables: tuple = ()
    mock_tables: tuple = ()
    extra: bool = False
    reads: tuple = ()
    lamost_reads: tuple = ()

    def inputs(self, run):
        """Return what there is of `reads` and `lamost_reads`."""
        names = self.reads + (() if run.simulated else self.lamost_reads)
        return [path for path in (run.root / "data" / name for name in names) if path.exists()]

    def outputs(self, run):
        """Return every file that it must write when it runs; its figures are drawn from them."""
        return [*(run.products / name for name in self.products), *self._written(run)]

    def made(self, run):
        """Return the same, with the folder in place of the file that stands for it."""
        return [*(run.products / name.partition("/")[0] for name in self.products), *self._written(run)]

    def drawn(self, name, run):
        """Return the files of one of its figures."""
        return [run.figures / (name + suffix) for suffix in FIGURE_SUFFIXES]

    def published(self, run):
        """Return the figure and table files."""
        return [*(file for name in self.figures for file in self.drawn(name, run)), *self._written(run)]

    def _written(self, run):
        names = self.tables + (self.mock_tables if run.simulated else ())
        return [
            run.tables / (name + suffix)
            for name in names
            for suffix in ([""] if Path(name).suffix else TABLE_SUFFIXES)
        ]


_VELOCITIES = ("raw/catalogues/zhang2021", "embedded/vizier_columns.ecsv")

GRAPH = (
    Notebook("00_overview"),
    Notebook(
        "01_training_set",
        products=("training_LRS.npz", "training_MRS.npz"),
        figures={"fig02": "models", "seam": "seam"},
    ),
    Notebook(
        "02_train_slam",
        ("01_training_set",),
        products=tuple(f"{way}_{name}.npz" for way in ("krr", "svr", "paper") for name in INSTRUMENTS),
    ),
    Notebook(
        "03_cross_validation",
        ("01_training_set", "02_train_slam"),
        products=("cv.ecsv", "forensics_teff.ecsv"),
        figures={"fig03": "models", "forensics": "forensics"},
        tables=("forensics.ecsv",),
    ),
    Notebook(
        "04_sample_size",
        ("01_training_set", "03_cross_validation"),
        products=("sample_size.ecsv",),
        figures={"fig04": "models"},
    ),
    Notebook(
        "05_lamost_spectra",
        ("02_train_slam",),
        products=("survey/index.ecsv", "places.ecsv", "widths.ecsv", "fit_LRS.npz", "fit_MRS.npz"),
        figures={"fig01": "sky", "fig05": "spectra", "fig06": "spectra", "selection": "selection"},
        reads=("raw/miles",),
        lamost_reads=("raw/lamost_lrs", "raw/lamost_mrs", *_VELOCITIES),
    ),
    Notebook(
        "06_lamost_labels",
        ("02_train_slam", "05_lamost_spectra"),
        products=("labels_LRS.ecsv", "labels_MRS.ecsv"),
        tables=("table1", "table2"),
        mock_tables=("recovery.ecsv",),
        lamost_reads=("raw/catalogues/guo2021", *_VELOCITIES),
    ),
    Notebook(
        "07_hr_diagram",
        ("05_lamost_spectra", "06_lamost_labels"),
        products=("extended_LRS.ecsv", "extended_MRS.ecsv"),
        figures={"fig07": "hr_diagram", "hr_extended": "hr_diagram"},
        mock_tables=("extended.ecsv",),
        reads=("raw/isochrones.ecsv", "embedded/models"),
        lamost_reads=_VELOCITIES,
    ),
    Notebook(
        "08_hrs_comparison",
        ("01_training_set", "02_train_slam"),
        products=("hrs.ecsv",),
        figures={"fig08": "compare"},
        tables=("hrs_errors.ecsv",),
        reads=("raw/hires", "raw/miles", "raw/stelib"),
    ),
    Notebook("09_lrs_vs_mrs", ("06_lamost_labels",), products=("common.ecsv",), figures={"fig09": "compare"}),
    Notebook(
        "10_mcmc_degeneracy",
        ("02_train_slam", "06_lamost_labels"),
        products=("posterior.npz",),
        figures={"fig10": "posterior"},
    ),
    Notebook(
        "11_claims",
        (
            "01_training_set",
            "02_train_slam",
            "03_cross_validation",
            "04_sample_size",
            "06_lamost_labels",
            "07_hr_diagram",
            "08_hrs_comparison",
            "09_lrs_vs_mrs",
            "10_mcmc_degeneracy",
        ),
        figures={"mismatches": "trust"},
        tables=("claims", "mismatches.ecsv", "conclusions.ecsv"),
    ),
    Notebook(
        "12_calibration",
        ("01_training_set", "02_train_slam", "03_cross_validation"),
        products=("ranks.npz", "information.npz"),
        figures=dict.fromkeys(
            ("calibration", "ranks", "efficiency", "information_LRS", "information_MRS"), "trust"
        ),
        tables=(
            "calibration.ecsv",
            "failures.ecsv",
            "selection.ecsv",
            "detection.ecsv",
            "efficiency.ecsv",
            "extension.ecsv",
        ),
        reads=("raw/miles", "embedded/models"),
        extra=True,
    ),
    Notebook(
        "13_luminosity",
        ("06_lamost_labels",),
        products=("luminosity.ecsv",),
        figures={"luminosity": "luminosity"},
        extra=True,
        lamost_reads=("raw/gaia.ecsv",),
    ),
    Notebook("14_laboratory", ("02_train_slam",), tables=("laboratory.ecsv",), extra=True),
    Notebook("15_learning", ("02_train_slam",), tables=("learning.ecsv",), extra=True),
)


def targets(graph=GRAPH):
    """Return the task and the file that a short name asks for: a figure is a task, a table its notebook's.

    Examples
    --------
    >>> targets()["fig-3"], targets()["table-2"]
    (('fig03', 'fig03'), ('06_lamost_labels', 'table2'))
    """
    makers = {name: name for notebook in graph for name in notebook.figures}
    makers |= {name: notebook.name for notebook in graph for name in notebook.tables}
    parts = {file: re.fullmatch(r"(fig|table)(\d+)", file) for file in sorted(makers)}
    return {f"{part[1]}-{int(part[2])}": (makers[file], file) for file, part in parts.items() if part}


def closure(name, graph=GRAPH):
    """Return the names of a notebook and of all it needs, in the order of the graph."""
    wanted = {name}
    for notebook in reversed(graph):
        if notebook.name in wanted:
            wanted.update(notebook.needs)
    return [notebook.name for notebook in graph if notebook.name in wanted]
