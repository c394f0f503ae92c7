"""The graph of notebooks: what each needs and what each makes. Everything else follows from it."""

from dataclasses import dataclass
from pathlib import Path

from slamlib.errors import InputError
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
    reads, lamost_reads : tuple of str
        Files and folders in `data/`, beside the embedded data that count for all, which it
        reads if they are there; the latter only with ``source="lamost"``.
    products, figures, tables : tuple of str
        What it writes, in the run's folders. A figure is a PDF and a PNG; a table is ECSV,
        machine-readable and LaTeX, unless its name has a suffix: then that file alone.
    mock_tables : tuple of str
        Tables that only a simulated survey can give, since they need the true labels.
    extra : bool
        Not part of the paper; run when asked for by name, and by the tests.
    """

    name: str
    needs: tuple = ()
    products: tuple = ()
    figures: tuple = ()
    tables: tuple = ()
    mock_tables: tuple = ()
    extra: bool = False
    reads: tuple = ()
    lamost_reads: tuple = ()

    def inputs(self, run):
        """Return what there is of `reads` and `lamost_reads`."""
        names = self.reads + (() if run.simulated else self.lamost_reads)
        return [path for path in (run.root / "data" / name for name in names) if path.exists()]

    def published(self, run):
        """Return the run's figure and table files of this notebook."""
        tables = self.tables + (self.mock_tables if run.simulated else ())
        return [
            *(run.figures / file for name in self.figures for file in _files(name, FIGURE_SUFFIXES)),
            *(run.tables / file for name in tables for file in _files(name, TABLE_SUFFIXES)),
        ]

    def outputs(self, run):
        """Return every file the notebook promises to write."""
        return [*(run.products / name for name in self.products), *self.published(run)]


def _files(name, suffixes):
    return [name] if Path(name).suffix else [name + suffix for suffix in suffixes]


_VELOCITIES = ("raw/catalogues/zhang2021", "embedded/vizier_columns.ecsv")

GRAPH = (
    Notebook("00_overview"),
    Notebook("01_training_set", products=("training_LRS.npz", "training_MRS.npz"), figures=("fig02", "seam")),
    Notebook(
        "02_train_slam",
        ("01_training_set",),
        products=tuple(f"{way}_{name}.npz" for way in ("krr", "svr", "paper") for name in INSTRUMENTS),
    ),
    Notebook(
        "03_cross_validation",
        ("01_training_set",),
        products=("cv.ecsv", "forensics_teff.ecsv"),
        figures=("fig03", "forensics"),
        tables=("forensics.ecsv",),
    ),
    Notebook(
        "04_sample_size",
        ("01_training_set", "03_cross_validation"),
        products=("sample_size.ecsv",),
        figures=("fig04",),
    ),
    Notebook(
        "05_lamost_spectra",
        ("02_train_slam",),
        products=("survey/index.ecsv",),
        figures=("fig01", "fig05", "fig06", "selection"),
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
    Notebook("07_hr_diagram", ("06_lamost_labels",), figures=("fig07",), reads=("raw/isochrones.ecsv",)),
    Notebook(
        "08_hrs_comparison",
        ("01_training_set", "02_train_slam"),
        products=("hrs.ecsv",),
        figures=("fig08",),
        tables=("hrs_errors.ecsv",),
        reads=("raw/hires",),
    ),
    Notebook("09_lrs_vs_mrs", ("06_lamost_labels",), products=("common.ecsv",), figures=("fig09",)),
    Notebook(
        "10_mcmc_degeneracy",
        ("02_train_slam", "06_lamost_labels"),
        products=("posterior.npz",),
        figures=("fig10",),
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
        figures=("mismatches",),
        tables=("claims", "mismatches.ecsv", "conclusions.ecsv"),
    ),
    Notebook(
        "12_calibration",
        ("01_training_set", "02_train_slam", "03_cross_validation"),
        figures=("calibration", "ranks", "efficiency", "information_LRS", "information_MRS"),
        tables=("calibration.ecsv", "failures.ecsv", "selection.ecsv", "efficiency.ecsv"),
        reads=("raw/miles",),
        extra=True,
    ),
)


def find(name, graph=GRAPH):
    """Return the notebook of that name.

    Raises
    ------
    InputError
        If the graph has no such notebook.
    """
    for notebook in graph:
        if notebook.name == name:
            return notebook
    raise InputError(f"no notebook {name!r}; use one of {', '.join(n.name for n in graph)}")


def targets(graph=GRAPH):
    """Return what can be asked for by a short name, in order: {"fig-1": (notebook, "fig01"), ...}.

    Examples
    --------
    >>> targets()["fig-3"], targets()["table-2"]
    (('03_cross_validation', 'fig03'), ('06_lamost_labels', 'table2'))
    """
    short = {}
    for notebook in graph:
        for file in notebook.figures:
            if not file.startswith("fig"):
                continue
            short[f"fig-{int(file.removeprefix('fig'))}"] = notebook.name, file
        for file in notebook.tables:
            if file.startswith("table"):
                short[f"table-{int(file.removeprefix('table'))}"] = notebook.name, file
    return dict(sorted(short.items(), key=lambda item: item[1][1]))


def closure(name, graph=GRAPH):
    """Return the names of a notebook and of all it needs, in the order of the graph."""
    wanted = {name}
    for notebook in reversed(graph):
        if notebook.name in wanted:
            wanted.update(notebook.needs)
    return [notebook.name for notebook in graph if notebook.name in wanted]
