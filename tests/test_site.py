"""The site: every link leads somewhere, every image says what it shows, a browser is content with it.

Built once, from the notebooks at small size, which `make test` has run.
"""

import contextlib
import functools
import os
import re
import threading
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest
from compendia import ROOT, absent

from benchmarks.chromium import CHROMIUM, browser
from compendium.pipeline.graph import GRAPH
from compendium.site import build as site

WIDTHS = {"desktop": (1400, 900), "phone": (400, 844)}
# One page of each kind.
SHOWN = ("docs/index", "docs/results/figures", "docs/results/calibration", "docs/formats", "data/DATASETS")
SHOWN += ("docs/reference/slamlib.inference.infer", "benchmarks/README", "notebooks/02_train_slam")
SHOWN += ("notebooks/06_lamost_labels", "notebooks/11_claims", "notebooks/12_calibration")
SHOWN += ("notebooks/teaching/T1_what_a_spectrum_tells",)


@pytest.fixture(scope="module")
def html(quick_run, tmp_path_factory):
    """Build the site; Sphinx's warnings are errors."""
    with contextlib.chdir(ROOT):
        return site.build(quick_run, tmp_path_factory.mktemp("site")).parent


class Page(HTMLParser):
    """The links, anchors, images and fetched files of a page."""

    def __init__(self, path):
        super().__init__()
        self.links, self.anchors, self.images, self.assets = [], set(), [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.anchors |= {attrs[name] for name in ("id", "name") if attrs.get(name)}
        if tag == "a" and attrs.get("href"):
            self.links.append(attrs["href"])
        if tag == "img":
            self.images.append((attrs.get("src"), attrs.get("alt")))
        if tag in ("script", "img", "iframe", "source") and attrs.get("src"):
            self.assets.append(attrs["src"])
        if tag == "link" and attrs.get("rel") not in ("index", "search", "next", "prev", "canonical"):
            self.assets.append(attrs.get("href", ""))


@pytest.fixture(scope="module")
def pages(html):
    # The theme leaves templates of its own among the static files.
    paths = (path for path in sorted(html.rglob("*.html")) if "_static" not in path.parts)
    return {path: Page(path) for path in paths}


def is_far(address):
    return re.match(r"(\w+:)?//|mailto:|data:", address) is not None


def test_every_notebook_and_every_module_has_a_page(html):
    wanted = [f"notebooks/{notebook.name}" for notebook in GRAPH]
    modules = [path for path in (ROOT / "slamlib").rglob("*.py") if not path.name.startswith("__")]
    names = (".".join(path.relative_to(ROOT).with_suffix("").parts) for path in modules)
    wanted += [f"docs/reference/{name}" for name in names]
    assert [name for name in wanted if not (html / f"{name}.html").is_file()] == []


def test_every_link_inside_the_site_leads_to_a_page_and_a_place_in_it(pages):
    broken = []
    for path, page in pages.items():
        for link in page.links:
            if is_far(link):
                continue
            address, anchor = urldefrag(link)
            target = Path(os.path.normpath(path.parent / unquote(address))) if address else path
            known = pages.get(target)
            # A page has anchors; a downloaded file has none.
            there = unquote(anchor) in {"", *known.anchors} if known else target.is_file()
            if not there:
                broken.append((path.name, link))
    assert broken == []


def test_every_image_has_words_that_say_what_it_shows(pages):
    images = [(path.name, *image) for path, page in pages.items() for image in page.images]
    assert len(images) > 30
    assert [image for image in images if len((image[2] or "").split()) < 6] == []


def test_nothing_is_fetched_from_elsewhere(html, pages):
    assets = [(path.name, asset) for path, page in pages.items() for asset in page.assets]
    assert [asset for asset in assets if is_far(asset[1]) and asset[1] != "data:,"] == []
    sheets = "".join(path.read_text(encoding="utf-8") for path in html.rglob("*.css"))
    assert re.findall(r"(?:url\(|@import\s+)[\"']?https?:[^)]*", sheets) == []
    assert "<math" in (html / "notebooks/03_cross_validation.html").read_text(encoding="utf-8")


def test_every_page_says_which_run_made_it_and_that_stars_are_simulated(html, pages):
    note = "Made by PROFILE=quick SEED=257, grid embedded: stars are simulated."
    silent = [path for path in pages if note not in path.read_text(encoding="utf-8")]
    assert silent == [html / "index.html"]  # which only leads on


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def address(html):
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(html))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def chromium():
    if not CHROMIUM:
        absent("no chromium: install it to see the site in a browser")
    with browser() as opened:
        yield opened


@pytest.fixture(params=WIDTHS)
def view(request, chromium):
    """A window of one width; what it complains of is an error."""
    width, height = WIDTHS[request.param]
    page, complaints = chromium.new_page(viewport={"width": width, "height": height}), []
    page.on("console", lambda said: said.type in ("error", "warning") and complaints.append(said.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(f"{request.url}: {request.failure}"))
    page.shots = ROOT / "build" / "site-shots" / request.param
    yield page
    page.close()
    assert complaints == []


def test_pages_fit_the_window_show_their_images_and_no_empty_box(address, view):
    for name in SHOWN:
        view.goto(f"{address}/{name}.html")
        for image in view.locator("article img").all():
            assert image.evaluate("image => image.complete && image.naturalWidth") > 100, name
            assert image.evaluate("image => image.closest('a')?.href.endsWith('.png')"), name
            box = image.bounding_box()
            assert box["width"] > 0.5 * min(view.viewport_size["width"], 600), name
        assert view.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0, name
        for output in view.locator("article .cell_output").all():
            shown = output.inner_text().strip() or output.locator("img, table, svg").count()
            assert shown, f"{name}: an empty box"
        assert view.locator("article .tag_parameters").count() == 0, name
        view.screenshot(path=view.shots / f"{name.replace('/', '_')}.png")


def test_the_paper_stands_beside_ours_on_a_desk_and_above_it_on_a_phone(address, view):
    view.goto(f"{address}/docs/results/figures.html")
    paper, ours = (view.locator(f".beside > .{name}").nth(3).bounding_box() for name in ("paper", "ours"))
    if view.viewport_size["width"] > 1000:
        assert ours["x"] >= paper["x"] + paper["width"] and abs(ours["y"] - paper["y"]) < 5
        assert ours["width"] > 450
    else:
        assert ours["y"] >= paper["y"] + paper["height"]
        assert ours["x"] == pytest.approx(paper["x"])
    assert "327" in view.locator(".paper").nth(3).inner_text()


def test_search_and_menu_lead_to_pages(address, view):
    view.goto(f"{address}/search.html?q=multimodal")
    view.locator("#search-results li a[href*='flags.html']").first.wait_for()
    # The search fetches each page that it found; to leave before would break that off.
    view.wait_for_load_state("networkidle")
    view.goto(f"{address}/index.html")
    view.wait_for_url("**/docs/index.html")
    link = view.locator(".bd-sidebar-primary a", has_text="Cross-validation").first
    if not link.is_visible():
        view.locator("button.primary-toggle").first.click()
    link.click()
    view.wait_for_url("**/notebooks/03_cross_validation.html")
