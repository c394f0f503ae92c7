"""RO-Crate metadata of the build folder, so that an archive knows what each file is and what made it.

RO-Crate 1.1 (https://w3id.org/ro/crate/1.1) with one CreateAction a notebook, as the profile
Process Run Crate has it. All of it follows from the records of `compendium.pipeline.manifest`.
"""

import json
from pathlib import Path
from urllib.parse import quote

from compendium.pipeline import manifest
from compendium.pipeline.graph import GRAPH
from slamlib.io import atomic

NAME = "ro-crate-metadata.json"
_CRATE = "https://w3id.org/ro/crate/1.1"
_PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
# The terms of RO-Crate 1.1 are older than schema.org's sha256.
_CONTEXT = [f"{_CRATE}/context", {"sha256": "https://schema.org/sha256"}]
_FORMATS = {
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".ecsv": "text/csv",
    ".mrt": "text/plain",
    ".tex": "application/x-tex",
    ".ipynb": "application/x-ipynb+json",
    ".json": "application/json",
}


def write(run, graph=GRAPH):
    """Write ``ro-crate-metadata.json`` into the build folder of a run that has records.

    Files inside the folder are its parts; notebooks, data and products, which lie elsewhere,
    are named with their hash.

    Parameters
    ----------
    run : Run
    graph : tuple of Notebook

    Returns
    -------
    Path
    """
    records = manifest.read(run, graph)
    things = {}
    for name, record in records.items():
        for entry in (*record["outputs"], *record["inputs"], record["notebook"]):
            things.setdefault(_id(entry["path"], run), _thing(entry, run))
        made = (run.build / "notebooks" / f"{name}.ipynb", manifest.record_of(name, run))
        for path in filter(Path.is_file, made):
            # No hash of the executed notebook: it holds the times its cells took.
            entry = {"path": path.relative_to(run.root).as_posix(), "bytes": path.stat().st_size}
            things[_id(entry["path"], run)] = _thing(entry, run)
    code = {
        f"#slamlib-{record['code']['sha256'][:12]}": {
            "@type": "SoftwareApplication",
            "name": f"slamlib {record['code']['slamlib']}, commit {record['code']['commit'] or 'unknown'}",
            "softwareVersion": record["code"]["slamlib"],
            "sha256": record["code"]["sha256"],
            "softwareRequirements": [f"{key} {value}" for key, value in record["packages"].items()],
        }
        for record in records.values()
    }
    actions = {f"#run-{name}": _action(name, record, run) for name, record in records.items()}
    stars = "simulated stars" if run.simulated else "LAMOST spectra"
    root = {
        "@type": "Dataset",
        "name": f"slamlib, {run.key}",
        "description": f"Figures and tables after Guo et al. (2021, ApJS 257, 54), from {stars}.",
        "datePublished": max(record["ended"] for record in records.values()),
        "license": "https://spdx.org/licenses/MIT",
        "conformsTo": {"@id": _PROFILE},
        "hasPart": _refs(id_ for id_, thing in things.items() if thing["@type"] == "File"),
        "mentions": _refs(actions),
    }
    head = {
        NAME: {"@type": "CreativeWork", "conformsTo": {"@id": _CRATE}, "about": {"@id": "./"}},
        "./": root,
        _PROFILE: {"@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"},
    }
    entities = [{"@id": id_, **entity} for id_, entity in (head | things | code | actions).items()]
    text = json.dumps({"@context": _CONTEXT, "@graph": entities}, indent=1) + "\n"
    with atomic(run.build / NAME) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return run.build / NAME


def _action(name, record, run):
    parameters = ", ".join(f"{key}={value}" for key, value in record["parameters"].items())
    return {
        "@type": "CreateAction",
        "name": f"{name} with {parameters}",
        "startTime": record["began"],
        "endTime": record["ended"],
        "instrument": _refs(
            [_id(record["notebook"]["path"], run), f"#slamlib-{record['code']['sha256'][:12]}"]
        ),
        "object": _refs(_id(entry["path"], run) for entry in record["inputs"]),
        "result": _refs(_id(entry["path"], run) for entry in record["outputs"]),
    }


def _thing(entry, run):
    inside = not _id(entry["path"], run).startswith("#")
    thing = {
        "@type": "File" if inside else "CreativeWork",
        "name": entry["path"],
        "encodingFormat": _FORMATS.get(Path(entry["path"]).suffix, "application/octet-stream"),
        "contentSize": str(entry["bytes"]),
    }
    return thing | ({"sha256": entry["sha256"]} if "sha256" in entry else {})


def _id(path, run):
    """Name a file of the build folder by its place there, anything else by a fragment."""
    build = run.build.relative_to(run.root).as_posix()
    inside = path.startswith(f"{build}/")
    return quote(path.removeprefix(f"{build}/")) if inside else f"#{quote(path)}"


def _refs(ids):
    return [{"@id": id_} for id_ in ids]
