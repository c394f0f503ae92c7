"""How long the explorer takes for a change: `python -m benchmarks.explorer --profile quick`.

Measured in headless Chromium, from the slider's event to the next frame with the new
spectrum: the browser, the server and the way between them.
"""

import argparse
import contextlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks.chromium import CHROMIUM, browser

# Changes that are made first and not counted, and those that are.
_WARM, _CHANGES = 5, 60
_MOVE = """async by => {
    const slider = document.querySelector('#teff'), started = performance.now();
    const drawn = new Promise(resolve => new MutationObserver((_, observer) => {
        observer.disconnect();
        requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - started)));
    }).observe(document.querySelector('#spectrum'), {childList: true}));
    slider.value = Number(slider.value) + by * slider.step;
    slider.dispatchEvent(new Event('input'));
    return await drawn;
}"""


@contextlib.contextmanager
def serving(profile="quick"):
    """Serve the explorer as `make explore` does; give its address, token included."""
    command = [
        sys.executable,
        "-m",
        "compendium.explorer",
        "--no-browser",
        "--port=0",
        f"--profile={profile}",
    ]
    server = subprocess.Popen(command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True)
    try:
        if not (found := re.search(r"http://\S+", server.stdout.readline())):
            raise RuntimeError("the explorer is not served; its reason stands above")
        yield found.group()
    finally:
        server.terminate()
        server.communicate(timeout=60)


def opened(chromium, address, **options):
    """Open the explorer's page and wait until it is drawn."""
    page = chromium.new_page(**options)
    page.goto(address)
    page.wait_for_selector("#told:not(:empty)")
    return page


def changes(page, n=_CHANGES):
    """Move a slider to and fro; return the times until each is drawn, after the first few [ms], (n,)."""
    times = []
    for i in range(_WARM + n):
        page.wait_for_timeout(200)
        times.append(page.evaluate(_MOVE, 1 if i % 2 else -1))
    return np.array(times[_WARM:])


def main():
    """Print median, 95th percentile and worst of changes, with simulated noise and with a star."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.explorer", description=__doc__.split("\n")[0])
    parser.add_argument("--profile", default="quick")
    options = parser.parse_args()
    if CHROMIUM is None:
        print("no Chromium on this machine: install it to measure", file=sys.stderr)
        return 1
    print(f"{_CHANGES} changes of a slider, after {_WARM} that do not count: the first ones fill caches and")
    print("compile the script. Other work on the machine adds to all of them, most to the worst.")
    print(f"{'':22s}{'median':>8s}{'95%':>8s}{'worst':>8s} ms")
    with serving(options.profile) as address, browser() as chromium:
        page = opened(chromium, address)
        for name in ("LRS", "MRS"):
            page.locator("#instrument").select_option(name)
            page.wait_for_timeout(2000)
            for what in ("simulated noise", "a star"):
                if what == "a star":
                    page.locator("#next").click()
                    page.wait_for_timeout(2000)
                times = changes(page)
                median, most = np.percentile(times, (50, 95))
                print(f"{name} {what:18s}{median:8.0f}{most:8.0f}{times.max():8.0f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
