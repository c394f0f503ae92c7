"""What made each output: a record of every notebook and figure, with the hashes of what went in and came out.

The records are what doit keeps of a task that succeeded, in ``build/RUN/records.json``.
"""

import json
import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path

from doit.dependency import JsonDB
from threadpoolctl import threadpool_info

import slamlib
from compendium.pipeline.content import hash_of
from compendium.pipeline.graph import GRAPH
from slamlib.errors import FileError
from slamlib.io import atomic
from slamlib.threads import n_cores

FORMAT = 2
_VALUES = "_values_:"  # where doit keeps what a task returns


class Database(JsonDB):
    """doit's records of a run, in a file that is written whole or not at all."""

    def dump(self):
        """Write it."""
        with atomic(self.name) as temporary:
            temporary.write_text(json.dumps({"format": FORMAT} | self._db, indent=0) + "\n", encoding="utf-8")

    def _load(self):
        try:
            content = json.loads(Path(self.name).read_text(encoding="utf-8"))
            known = content.pop("format") == FORMAT
        except (ValueError, KeyError, TypeError, AttributeError):
            known = False
        if not known:
            raise FileError(f"{self.name} holds no records of this version; delete it, and make again")
        return content

    def states(self):
        """Return what is recorded of any file that was read or made, by path and date: see `Content`."""
        entries = [kept[path] for kept in self._db.values() for path in kept["deps:"]]
        entries += [entry for kept in self._db.values() for entry in kept[_VALUES]["outputs"]]
        return {(entry["path"], entry["stamp"]): entry for entry in entries}

    def records(self, names):
        """Return the records of tasks, by name, without those of tasks that never succeeded."""
        return {name: _record(self._db[name]) for name in names if name in self._db}


def _record(kept):
    """Return the values that a task returned, with the files that doit recorded of it."""
    values, taken = kept[_VALUES], [kept[path] for path in sorted(kept["deps:"])]
    code = [(entry["path"], entry["sha256"]) for entry in taken if entry["path"].endswith(".py")]
    return values | {
        "source": kept[values["source"]],
        "code": values["code"] | {"sha256": hash_of(json.dumps(code))},
        "inputs": [entry for entry in taken if not entry["path"].endswith((".py", ".ipynb"))],
    }


def path_of(run):
    """Return the file of a run's records."""
    return str(run.build / "records.json")


def read(run, graph=GRAPH):
    """Return the records of a run, by notebook and figure, in the order of the graph."""
    database = Database(path_of(run), None)
    return database.records(name for notebook in graph for name in (notebook.name, *notebook.figures))


def about(run, source):
    """Return the half of a record that is known before: parameters, versions, machine, time."""
    return {
        "source": source,
        "parameters": run.parameters,
        "code": {"slamlib": slamlib.__version__, **_commit(run.root)},
        "packages": packages(),
        "machine": machine(),
        "began": _now(),
    }


def finished(record, outputs):
    """Return a record with what was made, and the seconds it took."""
    began, ended = datetime.fromisoformat(record["began"]), _now()
    seconds = (datetime.fromisoformat(ended) - began).total_seconds()
    return record | {"ended": ended, "seconds": round(seconds, 1), "outputs": outputs}


@cache
def packages():
    """Return the versions of Python and of the packages that slamlib and the compendium ask for."""
    asked = [line for name in ("slamlib", "slamlib-compendium") for line in metadata.requires(name) or ()]
    names = sorted({re.split(r"[^\w.-]", line)[0] for line in asked if "extra ==" not in line})
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in names}


@cache
def machine():
    """Return what computes: system, processor, cores, memory [bytes], BLAS (sums differ by its kernels)."""
    blas = [library for library in threadpool_info() if library["user_api"] == "blas"]
    cpu = Path("/proc/cpuinfo")
    named = re.search(r"^model name\s*: (.+)$", cpu.read_text() if cpu.is_file() else "", re.MULTILINE)
    return {
        "system": platform.platform(),
        "processor": named[1] if named else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "cores_used": n_cores(),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "blas": sorted({f"{b['internal_api']} {b['version']} {b.get('architecture')}" for b in blas}),
    }


@cache
def _commit(root):
    """Return the git commit, and whether files differ from it; None outside git."""
    # Not with --no-optional-locks: git would send every notebook that it has not looked at since it was
    # written through the nbstripout filter, again and again.
    commands = (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
    try:
        said = [
            subprocess.run(["git", "-C", root, *command], capture_output=True, text=True, check=True).stdout
            for command in commands
        ]
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "uncommitted": None}
    return {"commit": said[0].strip(), "uncommitted": bool(said[1])}


def _now():
    return datetime.now(UTC).isoformat(timespec="milliseconds")
