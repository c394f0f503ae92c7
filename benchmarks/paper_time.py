"""How long the support-vector fits of PROFILE=paper take: a sample of pixels, scaled linearly.

They are nearly all of the time of `make paper`. Run: .venv/bin/python benchmarks/paper_time.py
"""

import time

import numpy as np

from slamlib.instruments import INSTRUMENTS
from slamlib.paper.profiles import PAPER
from slamlib.paper.run import Run
from slamlib.slam.kernel import rbf
from slamlib.slam.model import Slam
from slamlib.slam.svr import fit_svr
from slamlib.synth.grid import ModelGrid
from slamlib.synth.training import training_set

PIXELS = 16


def seconds_per_pixel(z, targets, C, gamma, epsilon):
    kernel = rbf(z, z, gamma).astype(np.float32)
    started = time.perf_counter()
    fit_svr(kernel, targets, C, epsilon)
    return (time.perf_counter() - started) / targets.shape[1]


def main():
    grid = ModelGrid.read(Run().grid_path)
    slam = Slam()
    rng = np.random.default_rng(0)
    total = 0.0
    print(f"{'instrument':10s} {'n':>6s} {'search':>8s} {'5 folds':>8s}   [minutes]")
    for name, instrument in INSTRUMENTS.items():
        sizes = sorted({PAPER.n_train[name], *PAPER.sample_sizes[name]})
        training = training_set(grid, name, max(sizes), seed=1)
        z = (training.labels - training.labels.mean(axis=0)) / training.labels.std(axis=0)
        pixels = rng.choice(instrument.wave.size, PIXELS, replace=False)
        flux = training.flux[:, pixels].astype(float)
        targets = (flux - flux.mean(axis=0)) / np.maximum(flux.std(axis=0), 1e-5)
        fit_svr(np.eye(10), targets[:10], 1.0, slam.epsilon)  # compiles
        few = round(PAPER.n_search["svr"] * (1 - 1 / PAPER.n_folds))
        search = sum(
            PAPER.n_folds * seconds_per_pixel(z[:few], targets[:few], C, gamma, slam.epsilon)
            for C in slam.C
            for gamma in slam.gamma
        )
        search *= instrument.wave.size / 60
        for n in sizes:
            part = round(n * (1 - 1 / PAPER.n_folds))
            # Nearly every pixel chooses C = 10; the two kernel widths about half each.
            fits = [
                seconds_per_pixel(z[:part], targets[:part], max(slam.C), gamma, slam.epsilon)
                for gamma in slam.gamma
            ]
            # The fold fits, one more of that size for the hyper-parameters, and its held-out error.
            folds = np.mean(fits) * (PAPER.n_folds + 2) * instrument.wave.size / 60
            print(f"{name:10s} {n:6d} {search:8.1f} {folds:8.1f}", flush=True)
            total += search + folds
        # Notebook 02 searches and fits once more, on the survey's continuum.
        total += search + folds / PAPER.n_folds
    print(f"all support-vector fits of `make paper`: about {total / 60:.1f} hours")


if __name__ == "__main__":
    main()
