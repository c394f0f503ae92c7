"""A notebook that JupyterLab opened, ran and saved is that of the repository: make finds no change."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from compendia import ROOT

pytest.importorskip("playwright")
from benchmarks.chromium import CHROMIUM, browser
from compendium.pipeline.content import _cells

NOTEBOOK = "07_hr_diagram.ipynb"
STRIP = ["-m", "nbstripout", "--extra-keys", "metadata.language_info"]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")


@pytest.fixture
def lab(tmp_path):
    """The address of a JupyterLab of its own, on a copy of a notebook."""
    (tmp_path / "notebooks").mkdir()
    shutil.copy(ROOT / "notebooks" / NOTEBOOK, tmp_path / "notebooks")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = {f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    options = [f"--ServerApp.port={port}", "--no-browser", "--IdentityProvider.token=secret", "--allow-root"]
    command = [sys.executable, "-m", "jupyterlab", f"--notebook-dir={tmp_path}", *options]
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen(command, env=os.environ | places, **silent)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{address}/api/status?token=secret", timeout=5).close()
                break
            except OSError:
                time.sleep(0.5)
        yield f"{address}/lab/tree/notebooks/{NOTEBOOK}?token=secret", tmp_path / "notebooks" / NOTEBOOK
    finally:
        server.terminate()
        server.wait(30)


def test_a_notebook_opened_run_and_saved_is_unchanged(lab):
    address, path = lab
    before = path.read_bytes()
    with browser() as opened:
        page = opened.new_page()
        page.goto(address)
        page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=120_000)
        # The name of the kernel is there once Lab has written it into the notebook.
        page.wait_for_selector(".jp-Toolbar-kernelName:has-text('Python 3')", timeout=120_000)
        page.keyboard.press("Shift+Enter")
        page.keyboard.press("Shift+Enter")
        deadline = time.monotonic() + 60
        while path.read_bytes() == before and time.monotonic() < deadline:
            page.keyboard.press("Control+s")
            page.wait_for_timeout(1000)
    assert path.read_bytes() != before, "Lab saved nothing: the test shows nothing"
    original = ROOT / "notebooks" / NOTEBOOK
    # Neither the build nor, through the filter that `make install` sets, git sees a change.
    assert _cells(path) == _cells(original)
    stripped = subprocess.run([sys.executable, *STRIP, "-t", path], capture_output=True, check=True).stdout
    assert stripped == subprocess.run([sys.executable, *STRIP, "-t", original], capture_output=True).stdout
