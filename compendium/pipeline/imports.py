"""Which files of slamlib and of the compendium a notebook reaches through its imports.

A notebook is run again when code it uses changes, and only then: to retouch a figure must
not retrain anything.
"""

import ast
from pathlib import Path

import nbformat

from slamlib.identity import reached


def code_of(notebook, root):
    """Return the files of slamlib and the compendium that a notebook imports, directly or through others.

    Parameters
    ----------
    notebook : str or Path
        A notebook file.
    root : str or Path
        The folder that holds both packages.

    Returns
    -------
    list of Path
        Sorted. Every file of both when a cell cannot be parsed: to run too often is
        the safe error.
    """
    packages = [Path(root) / name for name in ("slamlib", "compendium")]
    cells = nbformat.read(notebook, as_version=4).cells
    try:
        sources = [ast.parse(_without_magics(c.source)) for c in cells if c.cell_type == "code"]
    except SyntaxError:
        return sorted(path for package in packages for path in package.rglob("*.py"))
    return sorted(reached(sources, *packages))


def content_of(notebook):
    """Return the text of all cells of a notebook: what it does and what it shows, without metadata.

    JupyterLab rewrites the metadata of a notebook that is only opened.
    """
    cells = nbformat.read(notebook, as_version=4).cells
    return "".join(f"{'-' * 20} {cell.cell_type}\n{cell.source}\n" for cell in cells)


def _without_magics(source):
    lines = (line if not line.lstrip().startswith(("%", "!")) else "" for line in source.splitlines())
    return "\n".join(lines)
