"""Many simulated LRS files by `slamlib label`: speed, memory, the first labels, and what interruptions cost.

    python -m benchmarks.long [--stars 20000] [--beside 1000] [--profile paper]

The long run is stopped by Ctrl-C and by SIGKILL on its way and taken up each time. Prints a table;
writes build/long.json. Processor time of one star is split into its steps on some hundred of them.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil

from benchmarks.cluster import simulate
from benchmarks.isolated import run as isolated
from compendium.run import Run, find_root
from slamlib.io import atomic, read_ecsv
from slamlib.labelling import catalogue
from slamlib.labelling.labeller import Labeller
from slamlib.labelling.models import HOME, labeller_path
from slamlib.spectra.prepare import normalise
from slamlib.spectra.recognise import recognise
from slamlib.spectra.spectrum import to_instrument
from slamlib.spectra.velocity import shift_to_rest
from slamlib.threads import blas_threads, n_cores

# Seconds between two looks at memory and parts.
_LOOK = 0.2
# When the long run is stopped: by the share of its parts that are there.
_STOPS = ((signal.SIGINT, 0.2), (signal.SIGKILL, 0.5))


def label(files, models, home, output, stop=None):
    """Run the command until it ends, or (signal, number of parts) stops it; what was seen, as a dict.

    `files` are names of files, or a folder.
    """
    command = [sys.executable, "-m", "slamlib", "label", "-q", "--models", str(models), "-o", str(output)]
    began, first, memory = time.perf_counter(), None, []
    before = len(parts(home))
    environment = os.environ | {HOME: str(home)}
    with subprocess.Popen([*command, *map(str, files)], env=environment, start_new_session=True) as process:
        while process.poll() is None:
            memory.append(resident(process.pid))
            there = len(parts(home))
            if first is None and there > before:
                first = time.perf_counter() - began
            if stop and there >= max(stop[1], before + 1):
                os.killpg(process.pid, stop[0])
                process.wait()
            time.sleep(_LOOK)
    seen = {"seconds": time.perf_counter() - began, "first": first, "status": process.returncode}
    tenth = max(1, len(memory) // 10)
    # The first tenth has imports and models.
    seen |= {"memory": [int(np.max(some)) for some in (memory[tenth : 2 * tenth] or memory, memory[-tenth:])]}
    return seen | {"kept": before, "made": len(parts(home)) - before}


def parts(home):
    return list((home / "parts").glob("*.ecsv"))


def resident(pid):
    """Resident memory of a process and its children [byte]."""
    total = 0
    try:
        for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
            total += process.memory_info().rss
    except psutil.NoSuchProcess:
        pass
    return total


def steps(paths, models):
    """Processor time [ms] of a star in each step, one after another in one process."""
    labeller = Labeller.read(labeller_path(models, "LRS"))
    spent, prepared = {}, []

    def timed(step, function, *arguments):
        began = time.process_time()
        result = function(*arguments)
        spent[step] = spent.get(step, 0) + time.process_time() - began
        return result

    with blas_threads(1):
        for path in paths:
            instrument, spectrum = timed("reading", recognise, path)
            try:
                f, i = timed("continuum", normalise, spectrum.wave, spectrum.flux, spectrum.ivar, instrument)
                rv = timed("velocity", labeller.templates.measure, spectrum.wave, f, i).rv
            except ValueError:  # as of a star without lines
                continue
            rest = shift_to_rest(spectrum.wave, rv)
            prepared.append(timed("rebinning", to_instrument, rest, f, i, instrument))
        flux, ivar = map(np.array, zip(*prepared, strict=True))
        labeller.label(flux[:1], ivar[:1], True)  # what is computed once
        timed("fit", labeller.fit, flux, ivar)
        timed("labels", labeller.label, flux, ivar, True)
    # Labels are the fit, then errors by blocks, widths of lines and flags.
    spent["errors by blocks, flags"] = spent.pop("labels") - spent["fit"]
    return {step: 1000 * seconds / len(paths) for step, seconds in spent.items()}


def measure(options):
    """Run everything; return the figures."""
    folder, models = options.folder / "long", options.models or Run(options.profile).products
    isolated(simulate, folder / "survey", options.stars)
    names = read_ecsv(folder / "survey/index.ecsv")["file"]
    paths = [folder / "survey" / name for name in names]
    for home in ("home", "home_beside"):
        shutil.rmtree(folder / home, ignore_errors=True)
    beside = label(paths[: options.beside], models, folder / "home_beside", folder / "beside.ecsv")
    expected, runs = len(paths) / catalogue.PART, []
    for sent, share in _STOPS:
        stop = sent, max(1, round(share * expected))
        runs.append(label([folder / "survey"], models, folder / "home", folder / "labels.ecsv", stop))
    runs.append(label([folder / "survey"], models, folder / "home", folder / "labels.ecsv"))
    again = label([folder / "survey"], models, folder / "home", folder / "again.ecsv")
    table = read_ecsv(folder / "labels.ecsv")
    made = sum(run["made"] for run in runs)
    return {
        "cores": n_cores(),
        "stars": len(paths),
        "beside": beside | {"stars": options.beside},
        "runs": runs,
        "again": again,
        "rows": len(table),
        "different": len(set(table["file"])),
        "made_twice": made - len(parts(folder / "home")),
        "same": (folder / "labels.ecsv").read_bytes() == (folder / "again.ecsv").read_bytes(),
        "steps": steps(paths[: options.split], models),
    }


def tell(figures):
    """Say it in lines."""
    beside, *runs = figures["beside"], *figures["runs"]
    seconds = sum(run["seconds"] for run in runs)
    first, again = runs[0], figures["again"]
    megabytes = [f"{low >> 20} and {high >> 20} MB" for low, high in (beside["memory"], runs[-1]["memory"])]
    yield f"{figures['stars']:,} simulated LRS files beside {beside['stars']:,}, {figures['cores']} cores"
    speed, alone = figures["stars"] / seconds, beside["stars"] / beside["seconds"]
    yield f"speed: {speed:.1f} stars/s with both stops, beside {alone:.1f}"
    yield f"first labels kept after {first['first']:.1f} s, beside {beside['first']:.1f} s"
    yield f"memory, early and late: {megabytes[1]}, beside {megabytes[0]}"
    for name, run, after in zip(("Ctrl-C", "kill -9"), runs, runs[1:], strict=False):
        there = run["kept"] + run["made"]
        yield f"{name}: status {run['status']}, {there} parts kept, {after['kept']} found again"
    rows = f"rows: {figures['rows']:,}, of {figures['different']:,} files"
    yield f"{rows}; parts made twice: {figures['made_twice']}"
    second = f"a second run: {again['seconds']:.1f} s, {again['made']} parts made"
    yield f"{second}, the same bytes: {figures['same']}"
    split = ", ".join(f"{step} {milliseconds:.1f}" for step, milliseconds in figures["steps"].items())
    yield f"processor time of a star [ms]: {split}; in all {sum(figures['steps'].values()):.1f}"
    yield f"ten million: {sum(figures['steps'].values()) * 1e7 / 3.6e6:.0f} core-hours"


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stars", type=int, default=20_000)
    parser.add_argument("--beside", type=int, default=1000, help="files of a short run (%(default)s)")
    parser.add_argument("--split", type=int, default=200, help="stars whose steps are timed (%(default)s)")
    parser.add_argument("--profile", default="paper")
    parser.add_argument("--models", type=Path, help="a folder of labellers, instead of the profile's")
    parser.add_argument("--folder", type=Path, default=find_root() / "build")
    options = parser.parse_args(arguments)
    # A shell that runs this in its background makes it, and what it starts, deaf to Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    figures = measure(options)
    with atomic(options.folder / "long.json") as path:
        path.write_text(json.dumps(figures, indent=1))
    print(*tell(figures), sep="\n")


if __name__ == "__main__":
    main()
