"""How long the explorer takes for a change: `python -m benchmarks.explorer --profile quick`.

In this process, from the value of a slider to the finished page: labels, model, derivative,
bound, lines, pictures. What the browser adds is `tests/test_explore_browser.py`'s to show.
"""

import argparse
import sys
import time

import numpy as np

from compendium.explorer.app import Explorer
from compendium.run import Run
from slamlib.errors import SlamlibError

_CHANGES = 200


def milliseconds(act):
    """Return how long ``act()`` takes [ms]."""
    started = time.perf_counter()
    act()
    return 1e3 * (time.perf_counter() - started)


def changes(explorer, rng, n):
    """Move random sliders to random places; return the times [ms], (n,)."""
    sliders = [*explorer.sliders.values(), explorer.velocity]
    times = []
    for _ in range(n):
        slider = sliders[rng.integers(len(sliders))]
        value = rng.uniform(slider.min, slider.max)
        times.append(milliseconds(lambda slider=slider, value=value: setattr(slider, "value", value)))
    return np.array(times)


def main():
    """Print median, 99th percentile and worst of random changes, and of clicks on stars."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.explorer", description=__doc__.split("\n")[0])
    parser.add_argument("--profile", default="quick")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    try:
        explorer = Explorer(Run(options.profile))
    except SlamlibError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{'':34s}{'median':>8s}{'99%':>8s}{'worst':>8s} ms")
    for name in explorer.library.trained:
        explorer.instrument.value = name
        rows = {"a slider, simulated noise": changes(explorer, rng, _CHANGES)}
        stars = [value for _, value in explorer.stars.options][: _CHANGES // 10]
        clicks = [milliseconds(lambda star=star: setattr(explorer.stars, "value", star)) for star in stars]
        rows["a slider, a star laid over it"] = changes(explorer, rng, _CHANGES)
        rows["a click on a star"] = np.array(clicks)
        for what, times in rows.items():
            median, most = np.percentile(times, (50, 99))
            print(f"{name} {what:30s}{median:8.0f}{most:8.0f}{times.max():8.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
