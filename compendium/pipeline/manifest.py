"""What made each output: one record a notebook, with the hashes of all that went in and came out.

A record is ``build/RUN/manifest/NOTEBOOK.json``. It is written before the notebook is stamped
as done, so that nothing counts as made whose making is not recorded.
"""

import hashlib
import json
import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from importlib import metadata

from threadpoolctl import threadpool_info

import slamlib
from compendium.pipeline.graph import GRAPH, closure, find
from compendium.pipeline.imports import code_of
from slamlib.errors import FileError
from slamlib.identity import digest_of
from slamlib.io import atomic
from slamlib.threads import n_cores

FORMAT = 1
_BLAS = ("internal_api", "version", "architecture")
# They say from where data are fetched: a corrected address changes no result.
ADDRESSES = (
    "lamost_releases.ecsv",
    "tlusty_archives.ecsv",
    "vizier_catalogues.ecsv",
    "vizier_columns.ecsv",
)


def embedded_data(run):
    """Return the embedded files that every notebook may read."""
    files = sorted((run.root / "data" / "embedded").glob("*.*"))
    return [path for path in files if path.name not in ADDRESSES]


def inputs_of(notebook, run, graph=GRAPH):
    """Return the files and folders a notebook may read, beside itself and the code.

    Parameters
    ----------
    notebook : Notebook
    run : Run
    graph : tuple of Notebook

    Returns
    -------
    list of Path
        Embedded data, grid, what it reads in `data/raw`, and products of all notebooks
        before it. A product in a folder of its own, such as the index of the survey, stands
        for the folder.
    """
    before = (find(name, graph) for name in closure(notebook.name, graph)[:-1])
    products = (path for earlier in before for path in products_of(earlier, run))
    return list(dict.fromkeys([*embedded_data(run), run.grid_path, *notebook.inputs(run), *products]))


def products_of(notebook, run):
    """Return the products of a notebook, with the folder in place of the file that stands for it."""
    return [run.products / (name.partition("/")[0]) for name in notebook.products]


def outputs_of(notebook, run):
    """Return all that a notebook makes: its products, figures and tables."""
    return [*products_of(notebook, run), *notebook.published(run)]


def describe(path, run):
    """Return the record of a file or folder: path, sha256 and bytes.

    The hash of a folder is that of the list of its files and their hashes (hidden files are
    left out), and `files` is their number. Everything is read in full: the 25,000 spectra of
    a survey of the paper's size take seconds, and a date proves nothing.

    Parameters
    ----------
    path : Path
    run : Run

    Returns
    -------
    dict or None
        None if there is no such file. The path is relative to the root where possible.
    """
    name = path.relative_to(run.root) if path.is_relative_to(run.root) else path
    entry = {"path": name.as_posix()}
    if path.is_dir():
        files = sorted(file for file in path.rglob("[!.]*") if file.is_file())
        lines = [f"{_sha256(file)}  {file.relative_to(path).as_posix()}\n" for file in files]
        size = sum(file.stat().st_size for file in files)
        return entry | {"sha256": _hex("".join(lines)), "bytes": size, "files": len(files)}
    if path.is_file():
        return entry | {"sha256": _sha256(path), "bytes": path.stat().st_size}
    return None


def stamp_of(name, run):
    """Return the file whose date says when a notebook last began a run that succeeded."""
    return run.build / f"{name}.done"


def record_of(name, run):
    """Return the file that holds a notebook's record."""
    return run.build / "manifest" / f"{name}.json"


def begin(notebook, parameters, run, graph=GRAPH):
    """Return the first half of a record: all that a notebook is about to take.

    Parameters
    ----------
    notebook : Notebook
    parameters : dict
    run : Run
    graph : tuple of Notebook

    Returns
    -------
    dict
        For `finish`.
    """
    path = run.root / "notebooks" / f"{notebook.name}.ipynb"
    return {
        "format": FORMAT,
        "notebook": describe(path, run),
        "parameters": parameters,
        "code": code(code_of(path, run.root), run),
        "packages": packages(),
        "machine": machine(),
        "inputs": [found for path in inputs_of(notebook, run, graph) if (found := describe(path, run))],
        "began": _now(),
    }


def finish(record, notebook, run):
    """Add what the notebook made to its record, and write it.

    Parameters
    ----------
    record : dict
        As `begin` gave it.
    notebook : Notebook
    run : Run

    Returns
    -------
    float
        Seconds since it began.
    """
    ended = _now()
    seconds = (datetime.fromisoformat(ended) - datetime.fromisoformat(record["began"])).total_seconds()
    outputs = [found for path in outputs_of(notebook, run) if (found := describe(path, run))]
    record = record | {"ended": ended, "seconds": round(seconds, 1), "outputs": outputs}
    with atomic(record_of(notebook.name, run)) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return seconds


def read(run, graph=GRAPH):
    """Return the records there are, by notebook, in the order of the graph.

    Raises
    ------
    FileError
        If one is not readable, or was written by a newer slamlib.
    """
    records = {}
    for notebook in graph:
        path = record_of(notebook.name, run)
        if not path.is_file():
            continue
        try:
            records[notebook.name] = json.loads(path.read_text(encoding="utf-8"))
            newer = records[notebook.name]["format"] > FORMAT
        except (ValueError, KeyError, TypeError):
            raise FileError(f"{path} is not a record of a notebook; delete it, and make it again") from None
        if newer:
            raise FileError(f"{path} was written by a newer slamlib; use that one")
    return records


def code(files, run):
    """Return version, git commit (None outside git) and hash of some files of slamlib."""
    changes = _git(run, "status", "--porcelain", "--untracked-files=no")
    return {
        "slamlib": slamlib.__version__,
        "commit": _git(run, "rev-parse", "HEAD"),
        "uncommitted": None if changes is None else bool(changes),
        "sha256": digest_of(files, run.root),
    }


def packages():
    """Return the versions of Python and of the packages that slamlib asks for."""
    asked = (
        line
        for line in (*metadata.requires("slamlib"), *metadata.requires("slamlib-compendium"))
        if "extra ==" not in line
    )
    names = sorted(re.split(r"[^\w.-]", line)[0] for line in asked)
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in names}


def machine():
    """Return what computes: system, processor, cores, memory [bytes], BLAS (sums differ by its kernels)."""
    blas = [library for library in threadpool_info() if library["user_api"] == "blas"]
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "cores_used": n_cores(),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "blas": sorted({" ".join(str(b.get(k)) for k in _BLAS) for b in blas}),
    }


def _processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123
            return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _git(run, *arguments):
    # Not with --no-optional-locks: git would send every notebook of a fresh clone through the
    # nbstripout filter, half a minute, again and again.
    command = ["git", "-C", str(run.root), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _sha256(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _hex(text):
    return hashlib.sha256(text.encode()).hexdigest()


def _now():
    return datetime.now(UTC).isoformat(timespec="milliseconds")
