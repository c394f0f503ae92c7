"""Whether the build folder holds what was made there, comes out the same again, and from what."""

import json
from collections import Counter
from pathlib import Path

from slamlib.errors import InputError
from slamlib.io import atomic


def verify(build):
    """Make what is stale of all that was ever made, and compare every output with what was recorded.

    All files are read in full. What came out is the new record. An interrupted verification is taken up by
    the next, which still compares with what was recorded first. Returns a list of state ("identical",
    "changed", "missing", or "new" if nothing was recorded), path, and task, followed by "made again" if it
    was.
    """
    run, records, memory = build.run, build.records(), build.run.build / "expected.json"
    if not records:
        raise InputError(f"nothing is recorded in {run.build}; run `make paper PROFILE={run.profile}` first")
    expected = {name: {key: record[key] for key in ("began", "outputs")} for name, record in records.items()}
    if memory.is_file():
        expected |= json.loads(memory.read_text(encoding="utf-8"))
    with atomic(memory) as temporary:
        temporary.write_text(json.dumps(expected, indent=1) + "\n", encoding="utf-8")
    build.content.known.clear()
    build.make(list(records))
    rows = []
    for name, record in build.records().items():
        before = expected.get(name, {"began": None, "outputs": []})
        maker = name if record["began"] == before["began"] else f"{name}, made again"
        rows += [(state(output, build.content), output["path"], maker) for output in before["outputs"]]
        known = {output["path"] for output in before["outputs"]}
        rows += [("new", o["path"], maker) for o in record["outputs"] if o["path"] not in known]
    memory.unlink()
    return rows


def state(output, content):
    """Return whether an output is as recorded: "identical", "changed" or "missing"."""
    if not content.exists(output["path"]):
        return "missing"
    changed = content.check_modified(output["path"], content.info(output["path"]), output)
    return "changed" if changed else "identical"


def tell(rows):
    """Print the state of each output, and the sum; return the exit code."""
    count = Counter(state for state, _, _ in rows)
    print("\n".join(f"{state:10}{path}  ({maker})" for state, path, maker in rows))
    print(", ".join(f"{count[state]} {state}" for state in ("identical", "new", "changed", "missing")))
    return int(count["changed"] + count["missing"] > 0)


def reasons(build):
    """Return a line for each task that is stale, with the first files that are why."""
    stale, records = build.stale(list(build.makers)), build.records()
    lines = []
    for name, found in stale.items():
        files = sorted(str(file) for why, some in found.items() if why != "uptodate_false" for file in some)
        why = ", ".join(files[:4]) + " ..." * (len(files) > 4) or "what it made is another now"
        lines.append(f"{name}: {why if name in records else 'never made'}")
    return lines or ["nothing is stale"]


def trace(wanted, build):
    """Return lines to print: an output, then each task on the way to it, last first, with what it took.

    `wanted` is the output's path, file name, or name without suffix, such as "fig03".
    """
    records = build.records()
    made = {out["path"]: (name, out) for name, record in records.items() for out in record["outputs"]}
    found = [path for path in made if wanted in (path, Path(path).name, Path(path).stem)]
    found = found or [path for path in made if wanted and path.endswith(f"/{wanted}")]
    if not found:
        raise InputError(f"no record of {wanted!r} in {build.run.build}; does `make paper` make that file?")
    lines = [
        f"{path}  {made[path][1]['sha256'][:12]}  {state(made[path][1], build.content)}" for path in found
    ]
    todo = {made[path][0] for path in found}
    for name in reversed(records):
        if name not in todo:
            continue
        record = records[name]
        code, machine = record["code"], record["machine"]
        commit = (code["commit"] or "unknown") + " with uncommitted changes" * bool(code["uncommitted"])
        lines += [
            "",
            f"{name}: {record['source']['path']}  {record['source']['sha256'][:12]}",
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
