"""The explorer as it is served: who is let in, and its page in a real browser.

Screenshots go to build/explore/. Without Chromium the page is not opened, save in CI.
"""

import contextlib
import os
import re
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from matplotlib.image import imread

from benchmarks.chromium import CHROMIUM, browser
from benchmarks.explorer import opened, serving

SHOTS = Path(__file__).parents[1] / "build" / "explore"
LAPTOP, PHONE = {"width": 1366, "height": 768}, {"width": 400, "height": 844}
# Milliseconds that the answer to a change may take on the slowest machine.
PATIENCE = 90_000


@pytest.fixture(scope="module")
def address(quick_run):
    with serving() as address:
        yield address


# --- who is let in


def answer(url, **headers):
    """Ask for a page; return status, headers and text."""
    parts = urlsplit(url)
    with contextlib.closing(HTTPConnection(parts.netloc, timeout=60)) as connection:
        connection.request("GET", f"{parts.path}?{parts.query}", headers=headers)
        response = connection.getresponse()
        text = "" if response.status == 101 else response.read().decode()
        return response.status, response.headers, text


def test_who_has_no_token_or_another_name_for_us_is_kept_out(address):
    plain = address.partition("?")[0]
    for url in (plain, f"{plain}?token=guess"):
        status, headers, _ = answer(url)
        assert status == 302
        assert headers["Location"].startswith("/login")
    for host in ("elsewhere.example", "elsewhere.example:80", "10.0.0.1"):
        assert answer(address, Host=host)[0] == 403


def test_a_page_of_another_site_gets_no_websocket(address):
    """It would come with the cookie of the browser; our own page gets one."""
    _, headers, text = answer(address)
    kernel = re.search(r'"kernelId": ?"([^"]+)"', text).group(1)
    cookie = "; ".join(value.partition(";")[0] for value in headers.get_all("Set-Cookie"))
    shake = {"Cookie": cookie, "Connection": "Upgrade", "Upgrade": "websocket"}
    shake |= {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13"}
    plain = address.partition("/?")[0]
    url = f"{plain}/api/kernels/{kernel}/channels"
    assert answer(url, **shake, Origin=plain)[0] == 101
    assert answer(url, **shake, Origin="http://elsewhere.example")[0] == 403
    assert answer(url, **shake, Origin=plain, Host="elsewhere.example")[0] == 403


# --- in the browser


@pytest.fixture(scope="module")
def shown(address):
    """Open the page once; return it and the complaints of the browser."""
    if CHROMIUM is None and os.environ.get("CI", "").lower() != "true":
        pytest.skip("no Chromium on this machine")
    with browser() as chromium:
        context, complaints = chromium.new_context(viewport=LAPTOP), []
        context.on("console", lambda message: message.type == "error" and complaints.append(message.text))
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        context.on("request", lambda request: _at_home(request.url) or complaints.append(request.url))
        context.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
        page = opened(context, address)
        page.set_default_timeout(PATIENCE)
        yield page, complaints


def _at_home(url):
    return url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:"))


@pytest.fixture
def page(shown):
    """The page without a star; after the test nothing may have been complained of."""
    page, complaints = shown
    page.set_viewport_size(LAPTOP)
    if page.get_by_role("button", name="No star").is_enabled():
        page.get_by_role("button", name="No star").click()
    until(page, ".slam-told", "No star chosen")
    yield page
    assert complaints == []


def until(page, where, pattern):
    """Wait until the text there matches; return the match."""
    script = (
        "([where, what]) => document.querySelector(where).textContent.replaceAll('\\u00a0', ' ').match(what)"
    )
    return page.wait_for_function(script, arg=[where, pattern]).json_value()


def press(page, description, key):
    """Move a slider by the keyboard."""
    page.locator(".widget-slider", has_text=description).get_by_role("slider").first.press(key)


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
    names = page.locator("svg.slam-spectrum .slam-line text").all_text_contents()
    assert {"Hβ", "Hγ", "Hα", "He I"} <= set(names)
    until(page, "svg.slam-spectrum", "simulated noise")
    share = inks(page, "opened")
    assert 0.003 < share["red"] < 0.1
    assert 0.002 < share["blue"] < 0.1
    assert 0.01 < share["black"] < 0.3


def test_outside_the_grid_it_warns_and_inside_it_does_not(page):
    press(page, "log g", "End")
    until(page, ".slam-warning", r"Outside the model grid\. log g 5\.\d\d dex: the grid spans")
    inks(page, "outside")
    for _ in range(14):
        press(page, "log g", "ArrowLeft")
    until(page, ".slam-warning", r"^\s*$")


def test_a_click_on_a_star_shows_its_spectrum_and_the_catalogues_labels(page):
    star, hr = page.locator(".slam-stars button").nth(40), page.locator("svg.slam-hr")
    star.scroll_into_view_if_needed()
    box, diagram = star.bounding_box(), hr.bounding_box()
    assert diagram["x"] < box["x"] < diagram["x"] + diagram["width"]
    assert diagram["y"] < box["y"] < diagram["y"] + diagram["height"]
    title = star.get_attribute("title")
    page.mouse.click(box["x"] + 4, box["y"] + 4)
    obsid, teff, logg = re.fullmatch(r"obsid (\d+): Teff ([\d,]+) K, log g ([\d.]+) dex", title).groups()
    until(page, ".slam-told", rf"{obsid} \(simulated star, LRS.*Teff {teff} ±.*log g {logg} ±")
    until(page, "svg.slam-spectrum", obsid)
    page.wait_for_selector(".slam-stars .mod-active")
    assert inks(page, "star", ".slam-stars .mod-active")["red"] > 0.2


def test_the_velocity_moves_lines_and_residuals_of_a_star(page):
    residuals = r"residuals of ([\d.]+) σ"
    page.locator(".slam-stars button").nth(20).click()
    own = until(page, ".slam-told", residuals)[1]
    press(page, "velocity", "End")
    until(page, ".slam-told", rf"residuals of (?!{own} )")
    inks(page, "velocity")
    page.get_by_role("button", name="Back to its fit").click()
    until(page, ".slam-told", rf"residuals of {own} σ")


def test_suspicious_stars_are_stepped_through_compared_and_saved(page):
    step = page.get_by_role("button", name="▶")
    step.click()
    first = until(page, ".slam-told", r"obsid (\d+)")[1]
    page.get_by_role("button", name="Keep to compare").click()
    page.wait_for_selector("button:has-text('End comparison')")
    step.press("Enter")
    until(page, ".slam-told", rf"obsid (?!{first})")
    until(page, "svg.slam-spectrum", rf"obsid {first} \(simulated\)")
    inks(page, "compared")
    page.get_by_role("button", name="Save ...").click()
    for what, start in (("save table", "# %ECSV"), ("save picture", "<svg")):
        with page.expect_download() as download:
            page.get_by_text(what).click()
        assert Path(download.value.path()).read_text(encoding="utf-8").startswith(start)
    page.get_by_role("button", name="End comparison").click()
    page.wait_for_selector("button:has-text('Keep to compare')")


def test_the_other_instrument_has_two_arms_and_its_own_stars(page):
    title = page.locator(".slam-stars button").first.get_attribute("title")
    choose(page, "MRS")
    page.wait_for_function("title => document.querySelector('.slam-stars button').title != title", arg=title)
    until(page, "svg.slam-spectrum", "Wavelength in air.*Wavelength in air")
    page.locator(".slam-stars button").nth(10).click()
    until(page, ".slam-told", r"\(simulated star, MRS")
    assert inks(page, "mrs")["red"] > 0.002
    choose(page, "LRS")
    page.wait_for_function("title => document.querySelector('.slam-stars button').title == title", arg=title)


def test_a_file_is_labelled_and_a_bad_one_told_in_a_line(page, quick_run, tmp_path):
    bad = tmp_path / "holiday.fits"
    bad.write_text("no star at all")
    good = sorted((quick_run.products / "survey").glob("spec-*.fits.gz"))[0]
    for path in (bad, good):
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="LAMOST file").click()
        chooser.value.set_files(path)
        if path is bad:
            until(page, ".slam-message", "^holiday.fits is not a FITS file; check what was downloaded$")
    until(page, ".slam-told", rf"{re.escape(good.name)} \(simulated star, LRS")
    until(page, ".slam-message", r"^\s*$")
    inks(page, "file")


def test_a_phone_shows_spectrum_and_sliders_on_one_screen(page):
    page.set_viewport_size(PHONE)
    page.wait_for_function("document.querySelector('svg.slam-hr').getBoundingClientRect().width < 390")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert page.locator("svg.slam-spectrum").bounding_box()["y"] > 0
    slider = page.locator(".widget-slider", has_text="v sin i").bounding_box()
    assert slider["y"] + slider["height"] < PHONE["height"]
    inks(page, "phone")
