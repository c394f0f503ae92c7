"""The explorer as it is served: who is let in, and its page in a real browser at two widths.

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
from astropy.table import Table
from matplotlib.image import imread

from benchmarks.chromium import CHROMIUM, browser
from benchmarks.explorer import opened, serving
from slamlib.io import read_ecsv
from slamlib.spectra.lamost import read

SHOTS = Path(__file__).parents[1] / "build" / "explore"
SIZES = {"desk": {"width": 1400, "height": 900}, "phone": {"width": 400, "height": 844}}
HOME = ("http://127.0.0.1:", "data:", "blob:")
# Milliseconds that the answer to a change may take on the slowest machine.
PATIENCE = 90_000


@pytest.fixture(scope="module")
def address(quick_run):
    with serving() as address:
        yield address


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_who_has_no_token_or_another_name_for_us_is_kept_out(address, method):
    parts = urlsplit(address)

    def answer(path, **headers):
        with contextlib.closing(HTTPConnection(parts.netloc, timeout=60)) as connection:
            connection.request(method, path, headers=headers)
            response = connection.getresponse()
            return response.status, response.read().decode()

    token = f"?{parts.query}"
    assert answer(f"/{token}")[0] == 200
    told = "the token is missing or wrong; use the address that was printed at the start"
    for path in ("/", "/start", "/look?token=guess", "/save?token=%FF"):
        assert answer(path) == (403, told)
    for host in ("elsewhere.example", "elsewhere.example:80", "10.0.0.1", "127.0.0.1"):
        assert answer(f"/{token}", Host=host)[0] == 403
    problems = {"nothing": "no page /nothing", "look": "no instrument None; there are LRS, MRS"}
    for path, problem in problems.items():
        assert answer(f"/{path}{token}") == (200, f'{{"problem": "{problem}"}}')


@pytest.fixture(scope="module", params=SIZES)
def shown(request, address):
    """Open the page once; return it and the complaints of the browser."""
    if CHROMIUM is None and os.environ.get("CI", "").lower() != "true":
        pytest.skip("no Chromium on this machine")
    with browser() as chromium:
        phone = request.param == "phone"
        context, complaints = chromium.new_context(viewport=SIZES[request.param], has_touch=phone), []
        context.on("console", lambda message: complaints.append(message.text))
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        context.on("request", lambda asked: asked.url.startswith(HOME) or complaints.append(asked.url))
        page = opened(context, address)
        page.shots = SHOTS / request.param
        page.set_default_timeout(PATIENCE)
        yield page, complaints


@pytest.fixture
def page(shown):
    """The page without a star, its whole range; after the test nothing may have been complained of."""
    page, complaints = shown
    page.locator("#spectrum").focus()
    page.keyboard.press("c")
    page.keyboard.press("0")
    until(page, "#told", "No star chosen")
    yield page
    assert complaints == [], complaints[:2]


def until(page, where, pattern):
    """Wait until the text there matches; return the match."""
    script = "([where, what]) => document.querySelector(where).textContent.match(what)"
    return page.wait_for_function(script, arg=[where, pattern]).json_value()


def state(page):
    """What the address holds, a moment after the last change."""
    page.wait_for_timeout(500)
    return dict(part.split("=") for part in urlsplit(page.url).fragment.split("&"))


def inks(page, name, where="#spectrum"):
    """Save screenshots; return the share of red, blue and black pixels of a part of the page."""
    page.screenshot(path=page.shots / f"{name}.png", full_page=True)
    part = page.shots / f"{name}_part.png"
    page.locator(where).screenshot(path=part)
    red, green, blue = np.moveaxis(imread(part)[..., :3], 2, 0)
    return {
        "red": np.mean((red > 0.6) & (green < 0.45) & (blue < 0.4)),
        "blue": np.mean((blue > 0.6) & (red < 0.35)),
        "black": np.mean(np.maximum(np.maximum(red, green), blue) < 0.4),
    }


def test_spectrum_and_sliders_are_on_one_screen_and_nothing_is_wider(page):
    size = page.viewport_size
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    for name in ("spectrum", "snr"):
        box = page.locator(f"#{name}").bounding_box()
        assert box["y"] >= 0 and box["y"] + box["height"] < size["height"]
    names = page.locator("#spectrum .line text").all_text_contents()
    assert {"Hβ", "Hγ", "He I"} <= set(names)
    share = inks(page, "opened")
    assert 0.003 < share["red"] < 0.1 and 0.001 < share["blue"] < 0.1
    assert 0.01 < share["black"] < 0.3


def test_a_slider_moves_the_spectrum_and_the_cross_and_warns_outside_the_grid(page):
    before = [page.locator(where).inner_html() for where in ("#here", "#spectrum")]
    page.locator("#logg").press("End")
    until(page, "#warning", r"Outside the model grid\. log g 5\.\d\d dex: the grid spans")
    assert all(page.locator(w).inner_html() != b for w, b in zip(("#here", "#spectrum"), before, strict=True))
    inks(page, "outside")
    page.locator("#logg").fill("4")
    until(page, "#warning", r"^\s*$")
    page.locator("#slope").select_option("vsini")
    until(page, "#spectrum", "per 10 km/s of v sin i")
    assert state(page)["slope"] == "vsini"


def spans(page):
    return [tuple(map(float, span.split("-"))) for span in state(page)["window"].split("_")]


def test_wheel_drag_and_keys_zoom_and_move_all_panels_and_the_pointer_reads_them(page):
    box = page.locator("#spectrum").bounding_box()
    # Where H beta lies: zooming there keeps it under the pointer.
    x = box["x"] + 54 + (box["width"] - 70) * (4861.3 - 3900) / 3100
    page.mouse.move(x, box["y"] + 0.7 * box["height"])
    for _ in range(8):
        page.mouse.wheel(0, -100)
    page.wait_for_function("() => location.hash.match(/window=46[34]/)")
    ((low, high),) = spans(page)
    assert high - low == pytest.approx(3100 / 1.2**8, rel=0.01)
    pixel = 3100 / (box["width"] - 70)
    assert low + (high - low) * (4861.3 - 3900) / 3100 == pytest.approx(4861.3, abs=pixel)
    page.mouse.move(x + 1, box["y"] + 0.3 * box["height"])
    read = until(page, "#hover", r"(\d+\.\d) Å · Hβ 4861.3 · flux (\S+) · residual .*σ\) · model (\S+) · ")
    assert float(read[1]) == pytest.approx(4861.3, abs=8) and float(read[3]) < 0.8
    assert page.locator("#hair").get_attribute("d")
    assert "Hα" not in page.locator("#spectrum .line text").all_text_contents()
    inks(page, "zoomed")
    page.mouse.down()
    page.mouse.move(x - 100, box["y"] + 0.3 * box["height"], steps=4)
    page.mouse.up()
    ((moved, _),) = spans(page)
    assert moved - low == pytest.approx(101 / (box["width"] - 70) * (high - low), rel=0.03)
    page.mouse.dblclick(x, box["y"] + 30)
    page.wait_for_function("() => location.hash.includes('window=3900.0-7000.0')")
    page.locator("#spectrum").focus()
    page.keyboard.press("+")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => location.hash.match(/window=4623/)")


def test_a_click_on_a_star_shows_its_spectrum_and_the_catalogues_labels(page, quick_run):
    labels = read_ecsv(quick_run.products / "labels_LRS.ecsv")
    good = labels[(labels["flag"] == "I") & (labels["teff"] > 30_000)]
    log_teff, logg = np.log10(labels["teff"]), labels["logg"]
    apart = [np.sort(np.hypot(log_teff - np.log10(s["teff"]), logg - s["logg"]))[1] for s in good]
    star = good[int(np.argmax(apart))]
    hr = page.locator("#hr")
    hr.scroll_into_view_if_needed()
    place = page.evaluate("id => places[here.stars.obsid.indexOf(id)]", int(star["obsid"]))
    scale = hr.bounding_box()["width"] / 380
    hr.click(position={"x": scale * place[0] + 1, "y": scale * place[1] + 1})
    teff, logg = f"{star['teff']:,.0f}", f"{star['logg']:.2f}"
    until(page, "#told", rf"{star['obsid']} \(simulated star, LRS.*Teff {teff} ±.*log g {logg} ±")
    assert page.locator("#here circle").count() == 1
    own = until(page, "#told", r"residuals of ([\d.]+) σ")[1]
    page.locator("#velocity").press("End")
    until(page, "#told", rf"residuals of (?!{own} )")
    page.locator("#fit").click()
    until(page, "#told", rf"residuals of {own} σ")
    assert float(state(page)["teff"]) == pytest.approx(star["teff"], rel=1e-9)
    inks(page, "star")


def test_suspicious_stars_are_stepped_through_by_key_compared_saved_and_found_again(page):
    page.keyboard.press("n")
    first = until(page, "#told", r"obsid (\d+)")[1]
    page.keyboard.press("k")
    until(page, "#keep", "End comparison")
    page.keyboard.press("n")
    second = until(page, "#told", rf"obsid (?!{first})(\d+)")[1]
    until(page, "#kept", first)
    inks(page, "compared")
    saved = {}
    for what in ("picture", "spectrum", "labels"):
        with page.expect_download() as download:
            page.locator(f"#save-{what}").click()
        assert second in download.value.suggested_filename
        saved[what] = Path(download.value.path()).read_text(encoding="utf-8")
    assert saved["picture"].startswith("<svg")
    labels, spectrum = (Table.read(saved[what], format="ascii.ecsv") for what in ("labels", "spectrum"))
    assert [name.split()[1] for name in labels["name"][1:]] == [second, first]
    assert labels["teff"][0] == labels["teff"][1] == float(state(page)["teff"])
    assert len(spectrum) == 3101 and spectrum.meta["labels"][0]["teff"] == labels["teff"][0]
    # The address alone brings all of it back.
    before = page.locator("#told").text_content(), page.locator("#kept").text_content()
    page.reload()
    until(page, "#told", second)
    assert before == (page.locator("#told").text_content(), page.locator("#kept").text_content())
    page.locator("#keep").click()
    until(page, "#keep", "Keep to compare")


def test_a_file_is_labelled_and_what_cannot_be_shown_is_told_in_a_line(page, quick_run, tmp_path):
    bad = tmp_path / "holiday.fits"
    bad.write_text("no star at all")
    good = sorted((quick_run.products / "survey").glob("spec-*.fits.gz"))[0]
    page.locator("#file").set_input_files(bad)
    until(page, "#message", "^holiday.fits is not a FITS file; check what was downloaded$")
    page.locator("#file").set_input_files(good)
    until(page, "#told", rf"{re.escape(good.name)} \(simulated star, LRS")
    until(page, "#message", r"^\s*$")
    inks(page, "file")
    # Any other layout, with what it does not tell.
    spectrum, text = read(good), tmp_path / "mine.txt"
    np.savetxt(text, np.stack([spectrum.wave / 10, spectrum.flux], axis=1))
    page.locator("#file").set_input_files(text)
    until(page, "#message", "^mine.txt: .*they look like nm: give the unit")
    page.locator("#hints").fill("LRS nm")
    page.locator("#file").set_input_files(text)
    until(page, "#told", r"mine.txt \(LRS.*no errors in the file")
    inks(page, "text")
    for typed, message in (("17", "no obsid 17 in the LRS"), ("<b>", "'<b>' is neither an obsid")):
        page.locator("#obsid").fill(typed)
        page.locator("#obsid").press("Enter")
        until(page, "#message", re.escape(message))
        assert text.name in page.locator("#told").text_content()
