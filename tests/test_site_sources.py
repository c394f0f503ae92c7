"""What site and README are made of: words and links, lessons with pictures, numbers that a run made."""

import json
import os
import re
from fnmatch import fnmatch
from pathlib import Path

import nbformat
import pytest
from astropy.table import Table
from compendia import ROOT

from compendium import numbers
from compendium.figures.captions import CAPTIONS
from compendium.pipeline.graph import GRAPH
from compendium.profiles import PAPER, QUICK
from compendium.run import find_root
from compendium.site import build as site
from compendium.site.pages import _image, calibration_page, figures_page
from compendium.teaching.notebooks import shown
from slamlib.errors import FileError
from slamlib.io import read_ecsv, write_ecsv
from slamlib.spectra.lamost import read

KEPT = json.loads((ROOT / "docs/numbers.json").read_text(encoding="utf-8"))
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_figure_has_words():
    assert set(CAPTIONS) == {figure for notebook in GRAPH for figure in notebook.figures}
    for caption in CAPTIONS.values():
        assert len(caption.alt) > 60


def test_every_number_of_the_paper_stands_beside_a_figure_once():
    keys = read_ecsv(ROOT / "data/embedded/paper_claims.ecsv")["key"]
    patterns = [pattern for caption in CAPTIONS.values() for pattern in caption.claims]
    found = [sum(fnmatch(key, pattern) for pattern in patterns) for key in keys]
    assert dict(zip(keys, found, strict=True)) == dict.fromkeys(keys, 1)


def cell_with_image(source, **metadata):
    output = nbformat.v4.new_output("display_data", {"image/png": "", "text/plain": "<Figure>"})
    return nbformat.v4.new_code_cell(source, outputs=[output], metadata=metadata)


def test_an_image_gets_the_words_of_its_figure_or_those_above_it():
    text = nbformat.v4.new_markdown_cell("## One pixel\nThe core of *He I* [4471](x.ipynb).")
    known = cell_with_image('Image(save(figure, folder, "fig02"))')
    plot = cell_with_image("plt.show()")
    own = cell_with_image("plt.show()", mystnb={"image": {"alt": "Own."}})
    site.tidy(nbformat.v4.new_notebook(cells=[text, known, plot, own]), simulated=True)
    alts = [cell.metadata["mystnb"]["image"]["alt"] for cell in (known, plot, own)]
    assert alts == [CAPTIONS["fig02"].alt, "One pixel. The core of He I 4471.", "Own."]


@pytest.mark.parametrize("page", ["README.md", *sorted(f"docs/{p.name}" for p in ROOT.glob("docs/*.md"))])
def test_links_between_files_of_the_repository_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = re.findall(r"\]\((?!\w+:)([^)#\s]+)[^)]*\)", text)
    # The pages of results are written when the site is gathered.
    made = "docs/results/", "docs/reference/"
    places = [os.path.normpath(ROOT / page / ".." / target) for target in targets]
    missing = [place for place in places if not Path(place).exists()]
    assert [one for one in missing if not one.startswith(tuple(f"{ROOT}/{name}" for name in made))] == []


class Small:
    """What a figure's words need of a run."""

    simulated, variables = True, "PROFILE=quick"


@pytest.mark.parametrize("name", sorted({name for notebook in GRAPH for name in notebook.figures}))
def test_a_figure_leads_to_its_full_size_and_says_how_to_trace_it(name):
    text = _image(name, Small)
    assert f":target: ../../_images/{name}.png" in text
    assert f"`make trace FILE={name} PROFILE=quick`" in text


def test_each_figure_is_on_one_page_with_the_notebook_that_makes_it(tmp_path):
    class Run(Small):
        root, tables, profile = ROOT, tmp_path, "quick"

    claims = Table(names=("key", "paper", "ours", "unit", "verdict", "why"), dtype=["U9"] * 6)
    write_ecsv(claims, tmp_path / "claims.ecsv")
    write_ecsv(Table({"snr": [50.0]}), tmp_path / "calibration.ecsv")
    pages = figures_page(Run), calibration_page(Run)
    shown = [re.findall(r"\{figure\} /figures/(\w+)\.png", page) for page in pages]
    twelfth = set(next(notebook.figures for notebook in GRAPH if notebook.name == "12_calibration"))
    assert set(shown[1]) == twelfth and sorted(shown[0] + shown[1]) == sorted(CAPTIONS)
    makers = {name: notebook.name for notebook in GRAPH for name in notebook.figures}
    named = re.findall(r"Made by \[(\w+)\]", pages[0])
    assert named == [makers[name] for name in shown[0]]


def test_a_lesson_of_the_site_has_its_pictures_and_open_exercises(tmp_path):
    shown("T1", tmp_path)
    (path,) = tmp_path.glob("T1_*.ipynb")
    outputs = [o for cell in nbformat.read(path, 4).cells if cell.cell_type == "code" for o in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 3
    assert any("not filled in" in output.get("text", "") for output in outputs)
    before = path.stat().st_mtime_ns
    shown("T1", tmp_path)
    assert path.stat().st_mtime_ns == before


def test_the_sample_of_the_clone_is_one_simulated_spectrum():
    (path,) = (find_root() / "data/sample").glob("*.fits.gz")
    spectrum = read(path)
    assert spectrum.header["simulated"]
    assert path.name in (find_root() / "README.md").read_text(encoding="utf-8")


def test_the_readme_shows_the_numbers_that_were_collected():
    """If this fails, `make numbers` (with the PROFILE of docs/numbers.json) mends it."""
    assert numbers.fill(README, numbers.render(KEPT)) == README


def test_sizes_and_times_in_the_text_are_those_of_the_profiles():
    """Only where the README states them."""
    stars = tuple(f"{PAPER.n_stars[name]:,}" for name in ("LRS", "MRS"))
    assert set(re.findall(r"([\d,]+) LRS and ([\d,]+) MRS stars", README)) <= {stars}
    assert set(re.findall(r"make quick +# .*?(about \d+ minutes)", README)) <= {QUICK.takes}


def test_what_the_paper_says_is_what_its_table_says():
    claims = read_ecsv(ROOT / "data/embedded/paper_claims.ecsv")
    stated = dict(zip(claims["key"], claims["value"], strict=True))
    for row in KEPT["numbers"]:
        assert row["paper"] == stated.get(f"sigma_{row['label']}_{row['instrument'].lower()}_snr100")


@pytest.mark.parametrize(
    "text", ["nothing", f"{numbers.END}\n{numbers.BEGIN}", f"{numbers.BEGIN}\n{numbers.BEGIN}\n{numbers.END}"]
)
def test_a_readme_without_its_marks_is_refused(text):
    with pytest.raises(FileError, match="must hold the line"):
        numbers.fill(text, "block")
