"""Whether the build folder holds what was made there, and whether it comes out the same again.

`expect` remembers what is recorded and makes stale what is not as recorded; make then runs
what is stale; `verify` says of each output whether it is what `expect` remembered. `trace`
follows the records from an output back to the data that came with the compendium.
"""

import json
from pathlib import Path

from compendium.pipeline import manifest
from compendium.pipeline.graph import GRAPH
from slamlib.errors import InputError
from slamlib.io import atomic


def expect(run, graph=GRAPH):
    """Remember the outputs recorded, and forget the stamp of each notebook whose outputs are others.

    An earlier memory that `verify` never came to (it was interrupted) holds.

    Parameters
    ----------
    run : Run
    graph : tuple of Notebook

    Raises
    ------
    InputError
        If nothing is recorded yet.
    """
    records = manifest.read(run, graph)
    if not records:
        raise InputError(f"nothing is recorded in {run.build}; run `make paper PROFILE={run.profile}` first")
    for notebook in graph:
        outputs = records.get(notebook.name, {}).get("outputs")
        if outputs is None or any(_state(output, run) != "identical" for output in outputs):
            manifest.stamp_of(notebook.name, run).unlink(missing_ok=True)
    remembered = {
        name: {"began": record["began"], "outputs": record["outputs"]} for name, record in records.items()
    }
    if _memory(run).is_file():
        remembered |= json.loads(_memory(run).read_text(encoding="utf-8"))
    with atomic(_memory(run)) as temporary:
        temporary.write_text(json.dumps(remembered, indent=1) + "\n", encoding="utf-8")


def verify(run, graph=GRAPH):
    """Compare every output with what `expect` remembered, and forget that.

    Parameters
    ----------
    run : Run
    graph : tuple of Notebook

    Returns
    -------
    list of tuple of str
        State ("identical", "changed", "missing", or "new" if nothing was remembered), path,
        and notebook, followed by "made again" if it was.

    Raises
    ------
    InputError
        If nothing is remembered.
    """
    if not _memory(run).is_file():
        raise InputError(f"nothing to compare {run.build} with; `make verify` remembers it first")
    remembered = json.loads(_memory(run).read_text(encoding="utf-8"))
    rows = []
    for name, record in manifest.read(run, graph).items():
        before = remembered.get(name, {"began": None, "outputs": []})
        maker = name if record["began"] == before["began"] else f"{name}, made again"
        rows += [(_state(output, run), output["path"], maker) for output in before["outputs"]]
        known = {output["path"] for output in before["outputs"]}
        rows += [("new", o["path"], maker) for o in record["outputs"] if o["path"] not in known]
    _memory(run).unlink()
    return rows


def trace(wanted, run, graph=GRAPH):
    """Tell where an output comes from, back to what nobody here made.

    Parameters
    ----------
    wanted : str
        An output's path, file name, or name without suffix, such as "fig03".
    run : Run
    graph : tuple of Notebook

    Returns
    -------
    list of str
        Lines to print: the output, then each notebook on the way to it, last first, with what
        it took.

    Raises
    ------
    InputError
        If no record has such an output.
    """
    records = manifest.read(run, graph)
    made = {
        output["path"]: (name, output) for name, record in records.items() for output in record["outputs"]
    }
    found = [path for path in made if wanted in (path, Path(path).name, Path(path).stem)]
    found = found or [path for path in made if path.endswith(f"/{wanted}")]
    if not found:
        raise InputError(f"no record of {wanted!r} in {run.build}; is it a file that `make paper` makes?")
    lines = [f"{path}  {made[path][1]['sha256'][:12]}  {_state(made[path][1], run)}" for path in found]
    todo = {made[path][0] for path in found}
    for name in reversed(records):
        if name not in todo:
            continue
        record = records[name]
        code, machine = record["code"], record["machine"]
        commit = (code["commit"] or "unknown") + " with uncommitted changes" * bool(code["uncommitted"])
        lines += [
            "",
            f"{record['notebook']['path']}  {record['notebook']['sha256'][:12]}",
            "  with " + ", ".join(f"{key}={value}" for key, value in record["parameters"].items()),
            f"  by slamlib {code['slamlib']}, commit {commit}, code {code['sha256'][:12]}",
            f"  on {record['ended'][:16]}, {record['seconds']} s on {machine['cores_used']} of "
            f"{machine['cores']} cores, {machine['processor']}",
        ]
        for entry in record["inputs"]:
            maker, output = made.get(entry["path"], (None, entry))
            source = f"made by {maker}" if maker else "given"
            if output["sha256"] != entry["sha256"]:
                source += ", but is another now: `make verify`"
            lines.append(f"  from {entry['path']}  {entry['sha256'][:12]}  {source}")
            todo |= {maker}
    return lines


def _memory(run):
    return run.build / "expected.json"


def _state(output, run):
    now = manifest.describe(run.root / output["path"], run)
    if now is None:
        return "missing"
    return "identical" if now["sha256"] == output["sha256"] else "changed"
