"""What a trained labeller depends on beside its grid and instrument: code, by what it says."""

import ast
import hashlib
import textwrap
from functools import cache
from pathlib import Path

from slamlib.identity import reached

_PACKAGE = Path(__file__).parents[1]
_ROOTS = "import slamlib.labelling.calibration, slamlib.labelling.templates, slamlib.inference.model_error"
# What no training runs, but reading, writing and the work around it. A simulated spectrum is never a file.
_WITHOUT = (
    *(f"{name}.py" for name in ("__init__", "cards", "errors", "identity", "io", "npz", "threads")),
    "mock/lamost_write.py",
    *(f"spectra/{name}.py" for name in ("columns", "dispersion", "lamost", "reading", "recognise")),
    *(f"regression/svr/{name}.py" for name in ("__init__", "admm", "fit", "reductions", "smo")),
)
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)
# Of `labeller.py`: the constants, and of the class these.
_METHODS = ("train", "learn", "of", "calibrated")


@cache
def training_code():
    """Return a hash of the code that trains a `Labeller`; lines of comments and docstrings do not count."""
    paths = reached([ast.parse(_ROOTS)], _PACKAGE, without=[_PACKAGE / name for name in _WITHOUT])
    texts = [meaning(path.read_text(encoding="utf-8")) for path in sorted(paths) if path.suffix == ".py"]
    source = (_PACKAGE / "labelling/labeller.py").read_text(encoding="utf-8")
    for node in ast.parse(source).body:
        of_class = node.body if isinstance(node, ast.ClassDef) else []
        wanted = [part for part in of_class if getattr(part, "name", "") in _METHODS]
        if isinstance(node, ast.Assign):
            wanted = [node]
        texts += [meaning(textwrap.dedent(_lines(source, part))) for part in wanted]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def meaning(source):
    r"""Return code without docstrings, empty lines and those of comments alone.

    Examples
    --------
    >>> print(meaning("def f(x):\n    'Doc.'\n\n    # Twice.\n    return 2 * x"))
    def f(x):
        return 2 * x
    """
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            for row in range(node.body[0].lineno - 1, node.body[0].end_lineno or 0):
                lines[row] = ""
    return "\n".join(line for line in lines if line.strip() and not line.lstrip().startswith("#"))


def _lines(source, node):
    return "\n".join(source.splitlines()[node.lineno - 1 : node.end_lineno])
