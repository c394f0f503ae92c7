"""One run, side by side: training and inference, ours and the reference's.

    python -m benchmarks.bench [--small] [--parts train turbulence infer scale]

Prints a table; writes build/bench.json, build/bench_labels.ecsv and build/bench.png.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from astropy.table import Table
from tqdm import tqdm

from benchmarks import inference, training
from benchmarks.drawing import draw, exponent, straight
from benchmarks.isolated import run
from compendium.run import EMBEDDED_GRID, find_root
from slamlib import style
from slamlib.grid.joined import turbulent_grid
from slamlib.grid.model_grid import ModelGrid
from slamlib.grid.training import training_set
from slamlib.io import atomic, write_ecsv
from slamlib.labels import NAMES, VTURB

# Training sets, and how many pixels are timed where all of them would take hours; the seconds
# of a sample are scaled linearly to all pixels.
FULL = {
    "sets": (("LRS", 1000), ("MRS", 5000), ("MRS", 1000), ("MRS", 10000)),
    "peer": {1000: 32, 5000: 8, 10000: 2},
    "exhaustive": {1000: None, 5000: 128, 10000: 16},
    "screened": {1000: None, 5000: None, 10000: 512},
    "models": {"LRS": 5000, "MRS": 5000},
    "loss": 128,
    "unseen": 300,
    "stars": (500, 1000, 2000, 4000),
    "exact_stars": 128,
    "peer_stars": 4,
    "scaled": ("MRS", 1000),
    "pixels": (500, 1000, 2000, 4000),
}
SMALL = FULL | {
    "sets": (("MRS", 90),),
    "peer": {90: 3},
    "exhaustive": {90: 40},
    "screened": {90: 400},
    "models": {"MRS": 90},
    "loss": 10,
    "unseen": 20,
    "stars": (20, 40),
    "exact_stars": 10,
    "peer_stars": 1,
    "scaled": ("MRS", 90),
    "pixels": (100, 200),
}


class Bench:
    """The measurements of one run, written after each of them."""

    def __init__(self, folder, sizes):
        self.folder, self.sizes = folder, sizes
        self.rows, self.labels, self.scaling, self.notes = [], [], [], []
        self.sets = {}
        grid = ModelGrid.read(find_root() / EMBEDDED_GRID)
        for name, most in sizes["models"].items():
            most = max([n for other, n in sizes["sets"] if other == name] + [most])
            self.sets[name] = self._drawn(grid, name, most)
        self.n_pix = {name: training.spectra(files[1], 1).flux.shape[1] for name, files in self.sets.items()}

    def _drawn(self, grid, name, most, kind=""):
        """Write spectra to train on, and unseen ones; return their files."""
        files = [self.folder / f"bench_{what}{kind}_{name}.npz" for what in ("training", "unseen")]
        for path, n, seed in zip(files, (most, self.sizes["unseen"]), (1, 2), strict=True):
            training_set(grid, name, n, seed).save(path)
        return files

    def train(self):
        """Time the four ways to train, and what their labels are worth."""
        for name, n in tqdm(self.sizes["sets"], desc="train", unit="set"):
            files = self.sets[name]
            result, peak = run(training.peer, *files, n, self.sizes["peer"][n], children=2)
            reference = self._add("train", name, n, "scikit-learn", result, peak)
            for method, regressor, search in (
                ("svr exhaustive", "svr", "exhaustive"),
                ("svr screened", "svr", "screened"),
                ("krr", "krr", "screened"),
            ):
                some = None if method == "krr" else self.sizes[search][n]
                self._train("train", name, n, method, reference, *files, n, regressor, search, some)
        for name, n in self.sizes["sets"]:
            if n <= 5000:
                loss, _ = run(training.search_loss, self.sets[name][0], n, self.sizes["loss"])
                self.notes.append(
                    f"screened search, {name} {n}: CV error {100 * loss:+.2f}% of the exhaustive one"
                )

    def turbulence(self):
        """Time kernel ridge with microturbulence as a fifth label beside four, at paper size."""
        for name, n in self.sizes["models"].items():
            files = self._drawn(turbulent_grid(), name, n, "_vturb")
            ways = {"krr": self.sets[name], "krr with vturb": files}
            four, five = (
                self._train("five labels", name, n, method, None, *paths, n, "krr", "screened")["cpu"]
                for method, paths in ways.items()
            )
            ratios = [row[-1] for row in self.labels if row[0] == name and row[2] == "krr with vturb"]
            self.notes.append(
                f"five labels, {name}: {n} spectra train in {five:.1f} s of processor, {five / four:.2f} "
                f"times that of four; scatter over the Cramer-Rao bound at most {max(ratios):.2f}"
            )

    def _train(self, work, name, n, method, reference, *arguments):
        """Train in one way; add its row, and those of its labels."""
        result, peak = run(training.ours, *arguments)
        for snr, scatter, bound in result["scatter"]:
            for label, *values in zip((*NAMES, VTURB.name), scatter, bound, strict=False):
                self.labels.append((name, n, method, snr, label, *values, np.divide(*values)))
        return self._add(work, name, n, method, result, peak, reference)

    def infer(self):
        """Time labels of stars: low-rank, exact and one by one."""
        for name, n in self.sizes["models"].items():
            files, model = self.sets[name], self.folder / f"bench_slam_{name}.npz"
            run(training.ours, *files, n, "krr", "screened", None, model)
            stars = self.sizes["peer_stars"]
            result, peak = run(inference.one_by_one, model, files[1], stars)
            reference = self._add("infer", name, n, "scipy, star by star", result, peak, stars=stars)
            exact, peak = run(inference.batches, model, files[1], self.sizes["exact_stars"], False)
            self._add("infer", name, n, "exact", exact, peak, reference, self.sizes["exact_stars"])
            for stars in self.sizes["stars"]:
                result, peak = run(inference.batches, model, files[1], stars, True)
                self.scaling.append(("stars", name, stars, result["seconds"]))
            self._add("infer", name, n, "low-rank", result, peak, reference, stars)
            moved = (result["labels"][: len(exact["labels"])] - exact["labels"]) / exact["errors"]
            self.notes.append(
                f"low-rank form, {name}: labels move by {100 * np.sqrt(np.mean(moved**2)):.2f}% of their "
                f"errors (rms), {100 * np.abs(moved).max():.1f}% at most, of {len(moved)} stars"
            )

    def scale(self):
        """Time training against the number of pixels."""
        name, n = self.sizes["scaled"]
        for regressor in ("svr", "krr"):
            for some in self.sizes["pixels"]:
                result, _ = run(training.ours, *self.sets[name], n, regressor, "screened", some)
                self.scaling.append((f"pixels, {regressor}", name, some, result["seconds"]))

    def _add(self, work, instrument, n, method, result, peak, reference=None, stars=None):
        scale = 1 if stars else self.n_pix[instrument] / result["timed"]
        row = {"work": work, "instrument": instrument, "n": n, "method": method}
        row["seconds"] = result["seconds"] * scale
        per_second = stars / result["seconds"] if stars else None
        if reference is None:
            row["speedup"] = 1.0
        elif stars:
            row["speedup"] = per_second / reference["per_second"]
        else:
            row["speedup"] = reference["seconds"] / row["seconds"]
        row |= {"flux_rms": result.get("flux_rms"), "peak_gb": peak, "per_second": per_second}
        # How much of the work was timed; the rest of `seconds` is linear extrapolation.
        row["timed"] = stars or result["timed"]
        row["cpu"] = result["cpu"] * scale if "cpu" in result else None
        self.rows.append(row)
        self.write()
        return row

    def write(self):
        """Write what has been measured so far."""
        with atomic(self.folder / "bench.json") as path:
            path.write_text(json.dumps(self.rows, indent=1) + "\n")
        if self.labels:
            names = ("instrument", "n", "method", "snr", "label", "scatter", "bound", "ratio")
            write_ecsv(Table(rows=self.labels, names=names), self.folder / "bench_labels.ecsv")

    def report(self):
        """Print everything and draw the figure."""
        self.write()
        table = Table(rows=[tuple(row.values()) for row in self.rows], names=list(self.rows[0]))
        for column, form in (("seconds", ".1f"), ("speedup", ".1f"), ("peak_gb", ".2f")):
            table[column].format = form
        for column in ("flux_rms", "per_second", "cpu"):
            table[column] = [f"{value:.3g}" if value is not None else "" for value in table[column]]
        table.pprint_all()
        print(
            "seconds, cpu (of the processor): of all pixels, linearly from those timed; flux_rms: in sd of a "
            "pixel, unseen spectra\n"
        )
        if self.labels:
            labels = Table.read(self.folder / "bench_labels.ecsv")
            for column in ("scatter", "bound", "ratio"):
                labels[column].format = ".3g"
            labels.pprint_all()
            print("scatter: 1.48 median |error| of unseen spectra; bound: median Cramer-Rao\n")
        print("\n".join(self.notes))
        for series in dict.fromkeys((what, name) for what, name, *_ in self.scaling):
            points = [point[2:] for point in self.scaling if point[:2] == series]
            fixed, slope, worst = straight(points)
            print(
                f"time of {series[0]} ({series[1]}): {fixed:.2f} s and {1000 * slope:.2f} s a thousand, "
                f"within {100 * worst:.0f}%"
            )
        trained = [row for row in self.rows if (row["work"], row["instrument"]) == ("train", "MRS")]
        for method in dict.fromkeys(row["method"] for row in trained):
            points = [(row["n"], row["seconds"]) for row in trained if row["method"] == method]
            if len(points) > 1:
                print(f"time of {method} (MRS) grows with training spectra as n^{exponent(points):.2f}")
        print(style.save(draw(self.rows, self.scaling), self.folder, "bench"))


def main():
    """Measure everything, print it, write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--small", action="store_true", help="tiny sizes, to see that it works; means nothing"
    )
    parts = ("train", "turbulence", "infer", "scale")
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts, help="all by default")
    parser.add_argument("--folder", type=Path, default=find_root() / "build")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    bench = Bench(options.folder, SMALL if options.small else FULL)
    for part in options.parts:
        getattr(bench, part)()
    bench.report()


if __name__ == "__main__":
    main()
