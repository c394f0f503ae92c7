"""RO-Crate metadata of the build folder, so that an archive knows what each file is and what made it.

RO-Crate 1.1 (https://w3id.org/ro/crate/1.1) with one CreateAction a notebook or figure, as the
profile Process Run Crate has it. All of it follows from the records of `compendium.pipeline.manifest`.
"""

import json
import mimetypes
from urllib.parse import quote

from slamlib.io import atomic

NAME = "ro-crate-metadata.json"
_CRATE = "https://w3id.org/ro/crate/1.1"
_PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
# The terms of RO-Crate 1.1 are older than schema.org's sha256.
_CONTEXT = [f"{_CRATE}/context", {"sha256": "https://schema.org/sha256"}]


def write(build):
    """Write ``ro-crate-metadata.json`` into the build folder of a run that has records.

    Files inside the folder are its parts; notebooks, code, data and products, which lie
    elsewhere, are named with their hash.
    """
    run, records = build.run, build.records()
    prefix = f"{build.content.name(run.build)}/"

    def refs(entries):
        return [{"@id": _id(entry["path"], prefix)} for entry in entries]

    things, software, actions = {}, {}, {}
    for name, record in records.items():
        code = record["code"]
        program = f"#slamlib-{code['sha256'][:12]}"
        software[program] = {
            "@type": "SoftwareApplication",
            "name": f"slamlib {code['slamlib']}, commit {code['commit'] or 'unknown'}",
            "softwareVersion": code["slamlib"],
            "sha256": code["sha256"],
            "softwareRequirements": [f"{key} {value}" for key, value in record["packages"].items()],
        }
        parameters = ", ".join(f"{key}={value}" for key, value in record["parameters"].items())
        actions[f"#run-{name}"] = {
            "@type": "CreateAction",
            "name": f"{name} with {parameters}",
            "startTime": record["began"],
            "endTime": record["ended"],
            "instrument": [*refs([record["source"]]), {"@id": program}],
            "object": refs(record["inputs"]),
            "result": refs(record["outputs"]),
        }
        entries = [record["source"], *record["inputs"], *record["outputs"]]
        if build.executed(name).is_file():
            # No hash of the executed notebook: it holds the times its cells took.
            path = build.executed(name)
            entries.append({"path": build.content.name(path), "bytes": path.stat().st_size})
        things |= {_id(entry["path"], prefix): _thing(entry, prefix) for entry in entries}
    stars = "simulated stars" if run.simulated else "LAMOST spectra"
    head = {
        NAME: {"@type": "CreativeWork", "conformsTo": {"@id": _CRATE}, "about": {"@id": "./"}},
        "./": {
            "@type": "Dataset",
            "name": f"slamlib, {run.key}",
            "description": f"Figures and tables after Guo et al. (2021, ApJS 257, 54), from {stars}.",
            "datePublished": max(record["ended"] for record in records.values()),
            "license": "https://spdx.org/licenses/MIT",
            "conformsTo": {"@id": _PROFILE},
            "hasPart": [{"@id": name} for name, thing in things.items() if thing["@type"] == "File"],
            "mentions": [{"@id": name} for name in actions],
        },
        _PROFILE: {"@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"},
    }
    graph = [{"@id": name, **entity} for name, entity in (head | things | software | actions).items()]
    with atomic(run.build / NAME) as temporary:
        text = json.dumps({"@context": _CONTEXT, "@graph": graph}, indent=1)
        temporary.write_text(text + "\n", encoding="utf-8")


def _thing(entry, prefix):
    path = entry["path"]
    kind = "text/csv" if path.endswith(".ecsv") else mimetypes.guess_type(path)[0]
    return {
        "@type": "File" if path.startswith(prefix) else "CreativeWork",
        "name": path,
        "encodingFormat": kind or "application/octet-stream",
        "contentSize": str(entry["bytes"]),
    } | ({"sha256": entry["sha256"]} if "sha256" in entry else {})


def _id(path, prefix):
    """Name a file of the build folder by its place there, anything else by a fragment."""
    return quote(path.removeprefix(prefix)) if path.startswith(prefix) else f"#{quote(path)}"
