"""Which files of some packages code reaches through its imports, and their hash.

Kept work is taken up again only if the code it depends on is the same; what it does not depend on may change.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path

from slamlib import PUBLIC


def reached(trees, *packages, without=()):
    """Return the files of packages that some parsed code imports, directly or through others.

    `packages` are folders. Files in `without` do not count, nor what only they import.
    """
    todo = {name for tree in trees for name in _imported(tree, parents=())}
    without, folders = set(without), {package.name: package for package in packages}
    seen, done = set(without), set()
    while todo:
        name = todo.pop()
        done.add(name)
        first, _, public = name.partition(".")
        # Most names are of other packages, or attributes.
        if (package := folders.get(first)) is None:
            continue
        if first == "slamlib" and public in PUBLIC:
            todo |= {PUBLIC[public]} - done
        for path in _files(name, package) - seen:
            seen.add(path)
            parents = path.relative_to(package.parent).parent.parts
            if path.suffix == ".py":
                todo |= _names(path.read_text(encoding="utf-8"), parents) - done
    return seen - without


@cache
def code_digest(module, package=Path(__file__).parent):
    """Return a hash of a module, given by its ``__name__``, and of all of its package that it imports."""
    return digest_of(reached([ast.parse(f"import {module}")], package), package)


def digest_of(files, folder):
    """Return a hash of the names, below a folder, and the contents of some files."""
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder).as_posix()}\n"
        for path in sorted(files)
    ]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@cache
def _names(text, parents):
    return frozenset(_imported(ast.parse(text), parents))


def _imported(tree, parents):
    """Yield the dotted names of everything imported; `from a import b` yields a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = parents[: len(parents) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            # As in slamlib.label: loaded when it is asked for.
            yield f"{node.value.id}.{node.attr}"


def _files(name, package):
    """Return the package's files behind a dotted name: its module, every __init__ above and their data."""
    found, folder = {package / "__init__.py"}, package
    for part in name.split(".")[1:]:
        found.add(folder / f"{part}.py")
        folder = folder / part
        if not folder.is_dir():
            break
        found |= {folder / "__init__.py", *folder.glob("*.toml")}
    return {path for path in found if path.is_file()}
