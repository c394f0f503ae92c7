"""What the site is gathered from: words for every figure, links that lead somewhere."""

import os
import re
from fnmatch import fnmatch
from pathlib import Path

import nbformat
import pytest
from compendia import ROOT

from compendium.figures.captions import CAPTIONS
from compendium.pipeline.graph import GRAPH
from compendium.site import build as site
from slamlib.io import read_ecsv


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


@pytest.mark.parametrize(
    "page", ["README.md", *sorted(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))]
)
def test_links_between_files_of_the_repository_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = re.findall(r"\]\((?!\w+:)([^)#\s]+)[^)]*\)", text)
    # The pages of results are written when the site is gathered.
    made = "docs/results/", "docs/reference/"
    places = [os.path.normpath(ROOT / page / ".." / target) for target in targets]
    missing = [place for place in places if not Path(place).exists()]
    assert [
        place for place in missing if not place.startswith(tuple(f"{ROOT}/{name}" for name in made))
    ] == []
