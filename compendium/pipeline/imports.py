"""Which files of slamlib a notebook reaches through its imports.

A notebook is run again when code it uses changes, and only then: to retouch a figure must
not retrain anything.
"""

import ast
from pathlib import Path

import nbformat

from slamlib.imports import reached


def code_of(notebook, package):
    """Return the files of the package that a notebook imports, directly or through others.

    Parameters
    ----------
    notebook : str or Path
        A notebook file.
    package : str or Path
        The folder of the package, such as ``root / "slamlib"``.

    Returns
    -------
    list of Path
        Sorted. Every file of the package when a cell cannot be parsed: to run too often is
        the safe error.
    """
    package = Path(package)
    cells = nbformat.read(notebook, as_version=4).cells
    try:
        sources = [ast.parse(_without_magics(c.source)) for c in cells if c.cell_type == "code"]
    except SyntaxError:
        return sorted(package.rglob("*.py"))
    return sorted(reached(sources, package))


def content_of(notebook):
    """Return the text of all cells of a notebook: what it does and what it shows, without metadata.

    JupyterLab rewrites the metadata of a notebook that is only opened.
    """
    cells = nbformat.read(notebook, as_version=4).cells
    return "".join(f"{'-' * 20} {cell.cell_type}\n{cell.source}\n" for cell in cells)


def _without_magics(source):
    lines = (line if not line.lstrip().startswith(("%", "!")) else "" for line in source.splitlines())
    return "\n".join(lines)
