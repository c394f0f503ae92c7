"""Which files of slamlib a notebook reaches through its imports.

A notebook is run again when code it uses changes, and only then: to retouch a figure must
not retrain anything.
"""

import ast
from pathlib import Path

import nbformat


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
    todo = [name for tree in sources for name in _imported(tree, parents=())]
    seen = set()
    while todo:
        for path in _files(todo.pop(), package) - seen:
            seen.add(path)
            parents = path.relative_to(package.parent).parent.parts
            todo.extend(_imported(ast.parse(path.read_text(encoding="utf-8")), parents))
    return sorted(seen)


def _without_magics(source):
    lines = (line if not line.lstrip().startswith(("%", "!")) else "" for line in source.splitlines())
    return "\n".join(lines)


def _imported(tree, parents):
    """Yield the dotted names of everything imported; `from a import b` yields a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = parents[: len(parents) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _files(name, package):
    """Return the package's files behind a dotted name: its module and every __init__ above."""
    first, *rest = name.split(".")
    if first != package.name:
        return set()
    found, folder = {package / "__init__.py"}, package
    for part in rest:
        found |= {folder / f"{part}.py", folder / part / "__init__.py"}
        folder = folder / part
    return {path for path in found if path.is_file()}
