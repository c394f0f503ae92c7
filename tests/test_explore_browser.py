"""The explorer in a real browser: its page opened, sliders moved, stars clicked, files picked.

Screenshots go to build/explore/. Without Chromium these tests are skipped, save in CI.
"""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from chromium import CHROMIUM, browser
from matplotlib.image import imread

ROOT = Path(__file__).parents[1]
SHOTS = ROOT / "build" / "explore"
LAPTOP, PHONE = {"width": 1366, "height": 768}, {"width": 390, "height": 844}
# Seconds the page and the answer to a change may take on the slowest machine.
PATIENCE = 90

pytestmark = pytest.mark.skipif(
    CHROMIUM is None and os.environ.get("CI", "").lower() != "true", reason="no Chromium on this machine"
)


@pytest.fixture(scope="module")
def address(quick_run):
    """Serve the quick run as `make explore` does."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "compendium.explorer", "--no-browser", f"--port={port}"]
    SHOTS.mkdir(parents=True, exist_ok=True)
    with (SHOTS / "voila.log").open("w") as log:
        server = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{port}/"
            _wait_for(url + "voila/static/voila.js", server)
            yield url
        finally:
            server.terminate()
            server.wait(30)


def _wait_for(url, server):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(url):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail((SHOTS / "voila.log").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def opened(address):
    """Open the page once; return it and the complaints of the browser."""
    with browser() as chromium:
        page = chromium.new_page(viewport=LAPTOP)
        page.set_default_timeout(60_000)
        complaints = []
        page.on("console", lambda message: message.type == "error" and complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
        page.on("request", lambda request: _at_home(request.url) or complaints.append(request.url))
        page.goto(address, timeout=1000 * PATIENCE)
        page.wait_for_selector("svg.slam-spectrum", timeout=1000 * PATIENCE)
        page.wait_for_selector(".slam-stars button")
        yield page, complaints


def _at_home(url):
    return url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:"))


@pytest.fixture
def page(opened):
    """The page without a star; after the test nothing may have been complained of."""
    page, complaints = opened
    page.set_viewport_size(LAPTOP)
    if page.get_by_role("button", name="No star").is_enabled():
        page.get_by_role("button", name="No star").click()
    page.wait_for_function("document.querySelector('.slam-told').innerText.includes('No star chosen')")
    yield page
    assert complaints == []


def changed(page, act, where=".slam-spectrum-box"):
    """Act, wait until what is shown there is another, and return it."""
    before = page.locator(where).inner_html()
    act()
    page.wait_for_function(
        "([where, before]) => document.querySelector(where).innerHTML != before", arg=[where, before]
    )
    return page.locator(where).inner_html()


def eventually(page, holds):
    """Wait until something holds: one change of the page may come in several parts, one after another."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, page.locator("body").inner_text()
        page.wait_for_timeout(50)


def told(page):
    return page.locator(".slam-told").inner_text().replace("\u00a0", " ")


def slider(page, description):
    return page.locator(".widget-slider", has_text=description)


def press(page, description, key):
    """Move a slider by the keyboard."""
    slider(page, description).get_by_role("slider").first.press(key)


def choose(page, text):
    """Press the toggle button of that name, outside the HR diagram."""
    page.locator(".widget-toggle-buttons:not(.slam-stars) button", has_text=text).click()


def inks(page, name, where="svg.slam-spectrum"):
    """Save a screenshot of the page; return the share of red, blue and black pixels of a part of it."""
    page.screenshot(path=SHOTS / f"{name}.png", full_page=True)
    part = SHOTS / f"{name}_part.png"
    page.locator(where).screenshot(path=part)
    red, green, blue = np.moveaxis(imread(part)[..., :3], 2, 0)
    return {
        "red": np.mean((red > 0.6) & (green < 0.45) & (blue < 0.4)),
        "blue": np.mean((blue > 0.6) & (red < 0.35)),
        "black": np.mean(np.maximum(np.maximum(red, green), blue) < 0.4),
    }


def test_the_page_shows_the_model_its_derivative_and_simulated_noise(page):
    picture = page.locator("svg.slam-spectrum")
    assert {"Hβ", "Hγ", "Hα", "He I"} <= set(picture.locator(".slam-line").all_text_contents())
    assert "simulated spectra" in picture.text_content()
    share = inks(page, "opened")
    assert 0.003 < share["red"] < 0.1
    assert 0.002 < share["blue"] < 0.1
    assert 0.01 < share["black"] < 0.3


def test_a_moved_slider_moves_the_spectrum_and_the_cross_on_the_diagram(page):
    cross = page.locator(".slam-here")
    before, readout = cross.get_attribute("d"), slider(page, "Teff").inner_text()
    changed(page, lambda: press(page, "Teff", "ArrowRight"))
    assert slider(page, "Teff").inner_text() != readout
    handle = slider(page, "Teff").get_by_role("slider").bounding_box()
    x, y = handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    changed(page, lambda: page.mouse.move(x + 40, y, steps=5))
    page.mouse.up()
    assert cross.get_attribute("d") != before


def test_outside_the_grid_it_warns_and_inside_it_does_not(page):
    warning, far = (
        page.locator(".slam-warning"),
        r"Outside the model grid\. log g 5\.\d\d dex: the grid spans",
    )
    press(page, "log g", "End")
    eventually(page, lambda: re.search(far, warning.inner_text()))
    inks(page, "outside")
    _down_to_the_grid(page)
    eventually(page, lambda: warning.get_by_role("alert").count() == 0)


def _down_to_the_grid(page):
    for _ in range(14):
        press(page, "log g", "ArrowLeft")


def test_a_click_on_a_star_shows_its_spectrum_and_the_catalogues_labels(page):
    stars = page.locator(".slam-stars button")
    assert stars.count() > 50
    hr = page.locator("svg.slam-hr")
    eventually(page, lambda: stars.nth(40).bounding_box() and hr.bounding_box())
    box, diagram = stars.nth(40).bounding_box(), hr.bounding_box()
    assert diagram["x"] < box["x"] < diagram["x"] + diagram["width"]
    assert diagram["y"] < box["y"] < diagram["y"] + diagram["height"]
    title = stars.nth(40).get_attribute("title")
    page.mouse.click(box["x"] + 4, box["y"] + 4)
    obsid, teff, logg = re.fullmatch(r"(obsid \d+): Teff ([\d,]+) K, log g ([\d.]+) dex", title).groups()
    eventually(page, lambda: f"{obsid} (simulated star, LRS" in told(page))
    assert f"Teff {teff} ±" in told(page)
    assert f"log g {logg} ±" in told(page)
    page.wait_for_function("document.querySelectorAll('.slam-stars .mod-active').length == 1")
    assert inks(page, "star", ".slam-stars .mod-active")["red"] > 0.2
    eventually(page, lambda: obsid in page.locator("svg.slam-spectrum").text_content())


def test_the_velocity_moves_lines_and_residuals_of_a_star(page):
    page.locator(".slam-stars button").nth(20).click()
    eventually(page, lambda: _misfit(page) is not None)
    at_its_own = _misfit(page)
    press(page, "velocity", "End")
    eventually(page, lambda: _misfit(page) > at_its_own)
    inks(page, "velocity")
    page.get_by_role("button", name="Back to its fit").click()
    eventually(page, lambda: _misfit(page) == at_its_own)


def _misfit(page):
    found = re.search(r"residuals of ([\d.]+) σ", told(page))
    return found and float(found.group(1))


def test_the_derivative_is_of_the_label_chosen(page):
    picture = page.locator("svg.slam-spectrum")
    for name, step in (("v sin i", "10 km/s of v sin i"), ("Teff", "1,000 K of Teff")):
        choose(page, name)
        eventually(page, lambda step=step: f"change of flux per {step}" in picture.text_content())


def test_the_other_instrument_has_two_arms_and_its_own_stars(page):
    title = page.locator(".slam-stars button").first.get_attribute("title")
    choose(page, "MRS")
    page.wait_for_function("title => document.querySelector('.slam-stars button').title != title", arg=title)
    picture = page.locator("svg.slam-spectrum")
    eventually(page, lambda: picture.text_content().count("Wavelength in air") == 2)
    page.locator(".slam-stars button").nth(10).click()
    eventually(page, lambda: "(simulated star, MRS" in told(page))
    assert inks(page, "mrs")["red"] > 0.002
    choose(page, "LRS")
    eventually(page, lambda: picture.text_content().count("Wavelength in air") == 1)


def test_a_file_is_labelled_and_a_bad_one_told_in_a_line(page, quick_run, tmp_path):
    bad = tmp_path / "holiday.fits"
    bad.write_text("no star at all")
    message = page.locator(".slam-message")
    _pick(page, bad)
    eventually(page, lambda: "holiday.fits is not a FITS file" in message.inner_text())
    assert message.inner_text().strip() == "holiday.fits is not a FITS file; check what was downloaded"
    good = sorted((quick_run.products / "survey").glob("spec-*.fits.gz"))[0]
    _pick(page, good)
    eventually(page, lambda: f"{good.name} (simulated star, LRS" in told(page))
    eventually(page, lambda: message.inner_text().strip() == "")
    inks(page, "file")


def _pick(page, path):
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="LAMOST file").click()
    chooser.value.set_files(path)


def test_it_fits_a_phone(page):
    page.set_viewport_size(PHONE)
    page.wait_for_function("document.querySelector('svg.slam-hr').getBoundingClientRect().width < 390")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    inks(page, "phone")
