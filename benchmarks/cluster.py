"""Many simulated LRS stars on a cluster of this machine, workers killed on the way.

    python -m benchmarks.cluster [--stars 100000] [--kill 5] [--profile paper]

Shows that nothing is lost or doubled, that labels are those of one process, that memory stays
flat, and what ten million spectra cost. Prints it; writes build/cluster.json and build/cluster.png.
With --page the figures of build/cluster.json go into docs/cluster.md instead.
"""

import argparse
import json
import platform
import shutil
import sys
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import psutil

from benchmarks.cluster_page import FULL, PAGE, draw, fill, tell
from benchmarks.isolated import run as isolated
from benchmarks.killer import Killer
from compendium.run import EMBEDDED_GRID, Run, find_root
from slamlib import style
from slamlib.errors import SlamlibError
from slamlib.grid.model_grid import ModelGrid
from slamlib.io import atomic, read_ecsv
from slamlib.labelling import catalogue
from slamlib.labelling.cluster.merge import merge, read_catalogue
from slamlib.labelling.cluster.run import label_cluster, local_cluster
from slamlib.labelling.models import labeller_path
from slamlib.mock.survey import SpectrumLibrary, draw_survey, write_survey
from slamlib.threads import n_cores

SEED = 257


def simulate(folder, n):
    """Write `n` simulated LRS stars as LAMOST files, those of an interrupted run kept."""
    embedded = find_root() / EMBEDDED_GRID
    grid = ModelGrid.read(embedded)
    library = SpectrumLibrary((grid, ModelGrid.read(embedded.with_name("tlusty_extension_grid.fits"))))
    isochrones = read_ecsv(embedded.with_name("parsec_isochrones.ecsv"))
    rng = np.random.default_rng(SEED)
    truth = draw_survey({"LRS": n, "MRS": 1}, 0, isochrones, grid.contains, rng)
    write_survey(truth[truth["instrument"] == "LRS"], library, grid, folder, SEED)


def serial(paths, models, part, folder):
    """Label files by `label_survey`, in this process, in parts of the same size."""
    catalogue.PART = part
    return catalogue.label_survey(paths, {"krr": labeller_path(models, "LRS")}, folder)


def differing(one, other):
    """Count the rows of two tables that differ in any bit of any column; NaN equals NaN."""
    unequal = np.zeros(len(one), dtype=bool)
    for name in other.colnames:
        a, b = np.asarray(one[name]), np.asarray(other[name])
        unequal |= (a != b) & ~((a != a) & (b != b))
    return int(unequal.sum())


def throughput(label, paths, folder, n_workers):
    """Time some stars on a warm cluster of `n_workers`."""
    with local_cluster(n_workers) as cluster:
        go = partial(label, address=cluster)
        # Imports and models, which a long run has behind it.
        go(paths[: 4 * n_workers], output=folder / "warm.parquet", part=1)
        began = time.perf_counter()
        go(paths, output=folder / "timed.parquet")
        seconds = time.perf_counter() - began
    shutil.rmtree(folder)
    return {"workers": n_workers, "stars": len(paths), "seconds": seconds, "per_second": len(paths) / seconds}


def measure(options):
    """Run everything; return the figures."""
    folder, part = options.folder / "cluster", options.part or min(catalogue.PART, options.stars // 40)
    models = options.models or Run(options.profile).products
    began = time.perf_counter()
    isolated(simulate, folder / "survey", options.stars)
    simulated = time.perf_counter() - began
    names = read_ecsv(folder / "survey/index.ecsv")["file"]
    paths = [folder / "survey" / name for name in names]
    label = partial(label_cluster, labellers={"krr": labeller_path(models, "LRS")}, part=part)

    # A fresh run each time: this measures.
    shutil.rmtree(folder / "run", ignore_errors=True)
    output, n_workers = folder / "run/catalogue.parquet", options.workers or n_cores()
    with local_cluster(n_workers) as cluster:
        with Killer(cluster, output.with_suffix(".parts"), len(paths) // part, options.kill, SEED) as killer:
            began = time.perf_counter()
            report = label(paths, output=output, address=cluster)
            seconds = time.perf_counter() - began
        again = label(paths, output=output, address=cluster)
    found = read_catalogue(output)
    began = time.perf_counter()
    kept = sorted(output.with_suffix(".parts").iterdir())
    merge(kept, folder / "run/again.parquet")
    merged = time.perf_counter() - began

    # Whole parts from the beginning to the end of the survey.
    n_parts = -(-len(paths) // part)
    chosen = np.unique(np.linspace(0, n_parts - 1, min(n_parts, -(-options.compare // part))).astype(int))
    rows = np.concatenate([np.arange(k * part, min((k + 1) * part, len(paths))) for k in chosen])
    alone, _ = isolated(
        serial, [paths[row] for row in rows], models, part, folder / "run/serial", children=n_cores()
    )

    few = paths[: min(len(paths), options.timed)]
    counts = [2**k for k in range(n_cores().bit_length()) if 2**k <= n_cores()]
    timed = [throughput(label, few, folder / f"workers{n}", n) for n in counts]

    # The first part of a worker loads the models; those after it tell what a part costs.
    first = {done.worker: i for i, done in reversed(list(enumerate(report.done)))}
    warm = [done for i, done in enumerate(report.done) if i != first[done.worker]] or report.done
    memory = [done.memory for done in warm]
    tenth = max(1, len(memory) // 10)
    size = {"fits": sum(path.stat().st_size for path in paths), "parts": sum(p.stat().st_size for p in kept)}
    size["catalogue"] = output.stat().st_size
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": {
            "cores": n_cores(),
            "processor": _processor(),
            "memory_gb": psutil.virtual_memory().total / 1e9,
            "python": platform.python_version(),
        },
        "models": options.profile if options.models is None else str(models),
        "stars": len(paths),
        "part": part,
        "workers": n_workers,
        "simulated_seconds": simulated,
        "seconds": seconds,
        "per_second": len(paths) / seconds,
        "killed": killer.killed,
        "rows": report.rows,
        "distinct": len(np.unique(found["obsid"])),
        "in_order": bool((found["file"] == names).all()),
        "labelled": int(np.isfinite(found["teff"]).sum()),
        "parts": len(report.done),
        "computed_again": again.computed,
        "compared": len(rows),
        "differing": differing(found[rows], alone),
        "cpu_seconds_per_star": sum(d.seconds for d in warm) / sum(d.rows for d in warm),
        "merged_per_second": len(paths) / merged,
        "worker_mb": [float(np.median(m)) / 1e6 for m in (memory[:tenth], memory[-tenth:])],
        "worker_mb_max": max(memory) / 1e6,
        "client_mb": [float(np.median(m)) / 1e6 for m in killer.client_memory()],
        "bytes_per_star": {name: value / len(paths) for name, value in size.items()},
        "throughput": timed,
    }


def _processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(": ")[2] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main(arguments=None):
    """Measure, print, write; or fill the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stars", type=int, default=FULL)
    parser.add_argument("--kill", type=int, default=5, help="workers to kill (%(default)s)")
    parser.add_argument("--workers", type=int, help="as many as cores by default")
    parser.add_argument("--part", type=int, help="spectra of a part; 500, or less for few stars")
    parser.add_argument("--compare", type=int, default=10_000, help="stars labelled by one process too")
    parser.add_argument("--timed", type=int, default=4000, help="stars that time each number of workers")
    parser.add_argument("--profile", choices=("quick", "paper"), default="paper", help="whose models")
    parser.add_argument("--models", type=Path, help="folder of other models")
    parser.add_argument("--folder", type=Path, default=find_root() / "build")
    parser.add_argument("--page", action="store_true", help=f"only write the figures into {PAGE}")
    options = parser.parse_args(arguments)
    record = options.folder / "cluster.json"
    try:
        if not options.page:
            figures = measure(options)
            with atomic(record) as temporary:
                temporary.write_text(json.dumps(figures, indent=1) + "\n")
        elif not record.exists():
            raise SlamlibError(f"no {record}; run `make bench-cluster` first")
        figures = json.loads(record.read_text())
        if options.page:
            fill(find_root() / PAGE, figures)
    except SlamlibError as error:
        sys.exit(str(error))
    print(tell(figures))
    print(style.save(draw(figures), options.folder, "cluster"))


if __name__ == "__main__":
    main()
