"""The numbers in README.md: taken from what a run made, never typed.

    python -m compendium.numbers --profile quick

`collect` reads the tables of a finished run into ``docs/numbers.json``, which is committed;
`fill` writes them between two comments of README.md. The text follows from the file alone, so
that a test can hold the two together, whichever profile was the last to be asked.
"""

import argparse
import json
import sys

import numpy as np

from compendium.pipeline import manifest
from compendium.pipeline.content import Content
from compendium.pipeline.graph import GRAPH
from compendium.run import DEFAULT_SEED, Run
from slamlib.errors import FileError, SlamlibError
from slamlib.instruments import INSTRUMENTS
from slamlib.io import atomic, read_ecsv
from slamlib.labels import NAMES

BEGIN = "<!-- `make numbers` writes from here -->"
END = "<!-- to here -->"
_LONGEST = 4  # notebooks whose time is told
# How each label is headed, and the decimals of its errors.
_PRINTED = {
    "teff": ("Teff [K]", 0),
    "logg": ("log g [dex]", 3),
    "mh": ("[M/H] [dex]", 3),
    "vsini": ("v sin i [km/s]", 1),
}
# Of each instrument, under the table.
_WHY = (
    "{instrument} {svr:.0f} and not {paper:.0f} K: the Cramer-Rao bound of these models, which no unbiased "
    "method beats, is {bound:.0f} K; without any noise the regression still errs by {floor:.0f} K; {hot:.0%} "
    "of its squared error comes from the {hot_stars:.0%} of stars above 45,000 K, and below 30,000 K it errs "
    "by {cool:.0f} K."
)


def collect(run):
    """Return the numbers of a finished run, with the hash of each table they come from.

    Returns
    -------
    dict
        run (its parameters), took (minutes of each notebook, machine and code; None unless all are
        recorded), sources, numbers: rows of instrument, label, paper (None where it has no
        such number), svr, krr and star; and forensics: what makes the error of Teff, for each
        instrument (None in numbers collected before there were forensics).
    """
    paths = {
        "cv": run.products / "cv.ecsv",
        "recovery": run.tables / "recovery.ecsv",
        "claims": run.tables / "claims.ecsv",
        "forensics": run.tables / "forensics.ecsv",
    }
    tables = {name: read_ecsv(path) for name, path in paths.items()}
    claims = dict(zip(tables["claims"]["key"], tables["claims"]["paper"], strict=True))
    rows = []
    for instrument in INSTRUMENTS:
        for label in NAMES:
            at_100 = {"instrument": instrument, "label": label, "snr": 100}
            found = {r: _one(tables["cv"], "scatter", regressor=r, **at_100) for r in ("svr", "krr")}
            star = _one(tables["recovery"], "scatter", regressor="krr", instrument=instrument, label=label)
            stated = claims.get(f"sigma_{label}_{instrument.lower()}_snr100")
            stated = None if stated is None else float(stated)
            rows.append({"instrument": instrument, "label": label, "paper": stated, **found, "star": star})
    return {
        "run": {name: getattr(run, name) for name in ("key", "profile", "source", "grid", "seed")},
        "took": _took(run),
        "sources": [_source(path, run) for path in paths.values()],
        "numbers": rows,
        "forensics": {name: _forensics(tables["forensics"], name) for name in INSTRUMENTS},
    }


def render(numbers):
    """Return the Markdown that stands in README.md for the numbers of `collect`."""
    run, took = numbers["run"], numbers["took"]
    head = f"Size `{run['profile']}`, seed {run['seed']}"
    lines = [f"{head}. Rms errors at SNR 100; of simulated stars at SNR > 60:"]
    if took:
        longest = sorted(took["minutes"].items(), key=lambda item: -item[1])[:_LONGEST]
        lines[:0] = [
            f"{len(took['minutes'])} notebooks of slamlib {took['slamlib']}, up to three at once, took "
            f"{sum(took['minutes'].values()):.0f} minutes together on {took['machine']['cores_used']} x "
            f"{took['machine']['processor']}; the longest of them: "
            + ", ".join(f"{name} {minutes:.1f}" for name, minutes in longest)
            + " minutes.",
            "",
        ]
    lines += [
        "",
        "| | the paper | its regression | kernel ridge | simulated stars |",
        "|---|---|---|---|---|",
    ]
    for row in numbers["numbers"]:
        heading, digits = _PRINTED[row["label"]]
        cells = [
            "" if row["paper"] is None else f"{row['paper']:g}",
            *(f"{row[key]:.{digits}f}" for key in ("svr", "krr", "star")),
        ]
        lines.append(f"| {row['instrument']} {heading} | {' | '.join(cells)} |")
    if numbers["forensics"]:
        lines += ["", _why(numbers)]
    return "\n".join(lines)


def _why(numbers):
    """Say why the error of Teff of the paper's regression is not the paper's."""
    rows = [row for row in numbers["numbers"] if row["label"] == "teff"]
    told = [_WHY.format(**row, **numbers["forensics"][row["instrument"]]) for row in rows]
    return (
        "Why the same regression has a larger error of Teff than the paper (notebook 03, "
        f"`tables/forensics.ecsv`): {' '.join(told)}"
    )


def _forensics(table, name):
    rows = {row["row"]: row for row in table[table["instrument"] == name]}
    told = {"bound": "Cramer-Rao bound", "floor": "SVR, no noise", "cool": "SVR, below 30,000 K"}
    hot = {key: float(rows["SVR"][key]) for key in ("hot", "hot_stars")}
    return {key: float(rows[row]["teff"]) for key, row in told.items()} | hot


def fill(text, block):
    """Return `text` with `block` between the two comments; FileError if these are not there, once each."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(END) < text.index(BEGIN):
        raise FileError(f"README.md must hold the line {BEGIN!r} and, after it, {END!r}; restore them")
    return f"{text[: text.index(BEGIN)]}{BEGIN}\n{block}\n{text[text.index(END) :]}"


def main(arguments=None):
    """Write docs/numbers.json and fill README.md; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m compendium.numbers", description=__doc__.split("\n")[0])
    parser.add_argument("--profile", default="paper")
    parser.add_argument("--grid", default="embedded")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED)
    options = parser.parse_args(arguments)
    try:
        run = Run(options.profile, "mock", options.grid, options.seed)
        numbers = collect(run)
        readme = run.root / "README.md"
        filled = fill(readme.read_text(encoding="utf-8"), render(numbers))
        for path, text in (
            (run.root / "docs" / "numbers.json", json.dumps(numbers, indent=1) + "\n"),
            (readme, filled),
        ):
            with atomic(path) as temporary:
                temporary.write_text(text, encoding="utf-8")
    except SlamlibError as error:
        print(error, file=sys.stderr)
        return 1
    print(render(numbers))
    return 0


def _source(path, run):
    state = Content(run.root).get_state(path.relative_to(run.root).as_posix())
    return {name: state[name] for name in ("path", "sha256", "bytes")}


def _took(run):
    records, paper = manifest.read(run), [notebook.name for notebook in GRAPH if not notebook.extra]
    if not set(paper) <= set(records):
        return None
    last = records[paper[-1]]
    minutes = {name: round(records[name]["seconds"] / 60, 1) for name in paper}
    return {"minutes": minutes, "machine": last["machine"], **last["code"]}


def _one(table, column, **where):
    chosen = np.logical_and.reduce([table[name] == value for name, value in where.items()])
    return float(table[column][chosen][0])


if __name__ == "__main__":
    sys.exit(main())
