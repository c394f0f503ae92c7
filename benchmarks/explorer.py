"""How long the explorer takes for a change: `python -m benchmarks.explorer --profile quick`.

Measured in headless Chromium, from the key that moves a slider to the next frame with the new
spectrum: the browser, the kernel and the way between them.
"""

import argparse
import contextlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np

from benchmarks.chromium import CHROMIUM, browser

_CHANGES = 40
# Seconds that a slow machine may take until the page is served.
_PATIENCE = 120
_MOVE = """async key => {
    const started = performance.now();
    const drawn = new Promise(resolve => new MutationObserver((_, observer) => {
        observer.disconnect();
        requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - started)));
    }).observe(document.querySelector('.slam-spectrum-box'), {subtree: true, childList: true}));
    document.querySelector('.widget-slider:not(.slam-window) .noUi-handle')
        .dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}));
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
    with tempfile.TemporaryFile("w+") as log:
        server = subprocess.Popen(command, cwd=Path(__file__).parents[1], stdout=log, stderr=log)
        try:
            yield _address(server, log)
        finally:
            server.terminate()
            server.wait(60)


def _address(server, log):
    """Wait until the page is there."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        time.sleep(0.2)
        log.seek(0)
        if found := re.search(r"http://\S+", log.read()):
            # The page itself would start a kernel.
            script = found.group().partition("?")[0] + "voila/static/voila.js"
            with contextlib.suppress(OSError), urllib.request.urlopen(script):
                return found.group()
    log.seek(0)
    raise RuntimeError(f"the explorer is not served: {log.read()}")


def opened(chromium, address, **options):
    """Open the explorer's page and wait until it is drawn."""
    page = chromium.new_page(**options)
    page.goto(address, timeout=1000 * _PATIENCE)
    page.wait_for_selector("svg.slam-spectrum", timeout=1000 * _PATIENCE)
    page.wait_for_selector(".slam-stars button")
    return page


def changes(page, n=_CHANGES):
    """Move a slider to and fro; return the times until each is drawn [ms], (n,)."""
    times = []
    for i in range(n):
        page.wait_for_timeout(200)
        times.append(page.evaluate(_MOVE, "ArrowRight" if i % 2 else "ArrowLeft"))
    return np.array(times)


def main():
    """Print median, 90th percentile and worst of changes, with simulated noise and with a star."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.explorer", description=__doc__.split("\n")[0])
    parser.add_argument("--profile", default="quick")
    options = parser.parse_args()
    if CHROMIUM is None:
        print("no Chromium on this machine: install it to measure", file=sys.stderr)
        return 1
    print(f"{'':22s}{'median':>8s}{'90%':>8s}{'worst':>8s} ms")
    with serving(options.profile) as address, browser() as chromium:
        page = opened(chromium, address)
        for name in ("LRS", "MRS"):
            page.get_by_role("button", name=name).click()
            page.wait_for_timeout(2000)
            for what in ("simulated noise", "a star"):
                if what == "a star":
                    page.get_by_role("button", name="▶").click()
                    page.wait_for_timeout(2000)
                times = changes(page)
                median, most = np.percentile(times, (50, 90))
                print(f"{name} {what:18s}{median:8.0f}{most:8.0f}{times.max():8.0f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
