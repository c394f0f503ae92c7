"""What a task depends on counts by content: bytes, the cells of a notebook, the files of a folder, code."""

import ast
import hashlib
import re

import nbformat
from doit.dependency import FileChangedChecker

from slamlib.errors import FileError
from slamlib.identity import reached

# Read once by a build: what is edited meanwhile counts for the next one.
_SOURCES = (".py", ".ipynb")


class Content(FileChangedChecker):
    """Tells doit what files and folders hold; one that kept sizes and dates since is not read again.

    Paths inside `root`, the compendium, are relative to it. `known` holds states by path and
    `info`; to read all in full, clear it.
    """

    def __init__(self, root):
        self.root, self.known, self._stamps = root, {}, {}

    def name(self, path):
        """Return what a file is called in records."""
        return (path.relative_to(self.root) if path.is_relative_to(self.root) else path).as_posix()

    def exists(self, file_path):
        """Tell whether there is such a file or folder."""
        return (self.root / file_path).exists()

    def info(self, file_path):
        """Return a hash of sizes and dates."""
        if file_path not in self._stamps:
            path = self.root / file_path
            path.stat()  # raises OSError if there is none
            states = [(file.relative_to(path), file.stat()) for file in _files(path)]
            text = "".join(f"{file} {state.st_size} {state.st_mtime_ns}\n" for file, state in states)
            self._stamps[file_path] = hash_of(text)
        return self._stamps[file_path]

    def forget(self):
        """Look again at everything but code: something has run."""
        self._stamps = {path: stamp for path, stamp in self._stamps.items() if path.endswith(_SOURCES)}

    def check_modified(self, file_path, file_stat, state):
        """Tell whether a file is another than in a state recorded."""
        if self.get_state(file_path)["sha256"] != state["sha256"]:
            return True
        state["stamp"] = file_stat
        return False

    def get_state(self, dep, current_state=None):
        """Return path, sha256 and bytes, of a folder also the number of files; hidden ones are left out.

        The hash of a folder is that of the list of its files and their hashes, that of a notebook
        here is of what its cells say, for JupyterLab rewrites metadata.
        """
        stamp = self.info(dep)
        if (dep, stamp) not in self.known:
            path = self.root / dep
            state = {"path": dep, "stamp": stamp, "bytes": sum(f.stat().st_size for f in _files(path))}
            if path.is_dir():
                lines = [f"{_sha256(file)}  {file.relative_to(path).as_posix()}\n" for file in _files(path)]
                state |= {"sha256": hash_of("".join(lines)), "files": len(lines)}
            else:
                state["sha256"] = hash_of(_cells(path)) if path.suffix == ".ipynb" else _sha256(path)
            self.known[dep, stamp] = state
        return dict(self.known[dep, stamp])


def code_of(source, root):
    """Return the files of slamlib and the compendium that a notebook or module imports, also through others.

    What draws figures does not count for a notebook, which shows them, but computes without. So
    to retouch a figure retrains nothing. Of a notebook that cannot be parsed every file of both
    counts: to run too often is the safe error. FileError is raised if there is no such source.
    """
    if not source.is_file():
        raise FileError(f"{source} is missing; restore it from git")
    packages = [root / name for name in ("slamlib", "compendium")]
    drawing = root / "compendium" / "figures"
    if source.suffix == ".py":
        module = ".".join(source.relative_to(root).with_suffix("").parts)
        # The package's own file imports every figure.
        return sorted(reached([ast.parse(f"import {module}")], *packages, without=[drawing / "__init__.py"]))
    cells = [cell.source for cell in nbformat.read(source, as_version=4).cells if cell.cell_type == "code"]
    try:
        trees = [ast.parse(re.sub(r"^\s*[%!].*$", "", cell, flags=re.MULTILINE)) for cell in cells]
    except SyntaxError:
        return sorted(path for package in packages for path in package.rglob("*.py"))
    return sorted(reached(trees, *packages, without=drawing.rglob("*.py")))


def hash_of(text):
    """Return the sha256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def _sha256(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _cells(path):
    cells = nbformat.read(path, as_version=4).cells
    return "".join(f"{'-' * 20} {cell.cell_type}\n{cell.source}\n" for cell in cells)


def _files(path):
    return sorted(file for file in path.rglob("[!.]*") if file.is_file()) if path.is_dir() else [path]
