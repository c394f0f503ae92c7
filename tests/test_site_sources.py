"""What the site is gathered from: words for every figure, links that lead somewhere."""

import os
import re
from fnmatch import fnmatch
from pathlib import Path

import nbformat
import pytest

from compendium.figures.captions import CAPTIONS
from compendium.pipeline.graph import GRAPH
from compendium.site import build as site
from slamlib.io import read_ecsv

ROOT = Path(__file__).parents[1]


def test_every_figure_has_words():
    assert set(CAPTIONS) == {figure for notebook in GRAPH for figure in notebook.figures}
    for caption in CAPTIONS.values():
        assert len(caption.alt) > 60


def test_every_number_of_the_paper_stands_beside_a_figure_once():
    keys = read_ecsv(ROOT / "data/embedded/paper_claims.ecsv")["key"]
    patterns = [pattern for caption in CAPTIONS.values() for pattern in caption.claims]
    found = [sum(fnmatch(key, pattern) for pattern in patterns) for key in keys]
    assert dict(zip(keys, found, strict=True)) == dict.fromkeys(keys, 1)


def test_simulated_stars_are_called_simulated_in_alternative_text():
    assert "simulated" in CAPTIONS["fig07"].description(simulated=True)
    assert "simulated" not in CAPTIONS["fig07"].description(simulated=False)
    assert "simulated" not in CAPTIONS["fig02"].description(simulated=True)


def cell_with_image(source, **metadata):
    output = nbformat.v4.new_output("display_data", {"image/png": "", "text/plain": "<Figure>"})
    return nbformat.v4.new_code_cell(source, outputs=[output], metadata=metadata)


def alt(cell):
    return cell.metadata["mystnb"]["image"]["alt"]


def test_an_image_gets_the_words_of_its_figure_or_those_above_it():
    text = nbformat.v4.new_markdown_cell("## One pixel\nThe core of *He I* [4471](x.ipynb).")
    known = cell_with_image('Image(save(figure, folder, "fig02"))')
    plot, own = (
        cell_with_image("plt.show()"),
        cell_with_image("plt.show()", mystnb={"image": {"alt": "Own."}}),
    )
    site.describe_images(nbformat.v4.new_notebook(cells=[text, known, plot, own]), simulated=True)
    assert [alt(cell) for cell in (known, plot, own)] == [
        CAPTIONS["fig02"].alt,
        "One pixel. The core of He I 4471.",
        "Own.",
    ]


def test_progress_bars_are_left_out():
    bar = nbformat.v4.new_output("stream", name="stderr", text="\r 10%|#   \r 20%|##  ")
    line = nbformat.v4.new_output("stream", name="stdout", text="done\n")
    cell = nbformat.v4.new_code_cell("work()", outputs=[bar, line])
    site.describe_images(nbformat.v4.new_notebook(cells=[cell]), simulated=True)
    assert cell.outputs == [line]


@pytest.mark.parametrize(
    ("page", "text", "linked"),
    [
        ("docs/a.md", "[n](../notebooks/01.ipynb#x)", "[n](notebooks/01.ipynb#x)"),
        ("docs/a.md", "[b](b.md)", "[b](b.md)"),
        ("notebooks/t/T1.ipynb", "[b](../../docs/b.md)", "[b](../../b.md)"),
        ("docs/a.md", "[code](../slamlib/labels.py)", "code"),
        ("docs/a.md", "[lost](../nowhere.md)", "[lost](../nowhere.md)"),
        ("docs/a.md", "[far](https://example.org/b.md)", "[far](https://example.org/b.md)"),
        ("docs/a.md", "`x[0](../slamlib/labels.py)`", "`x[0](../slamlib/labels.py)`"),
    ],
)
def test_links_of_the_repository_become_links_of_the_site(tmp_path, page, text, linked):
    root, source = tmp_path / "root", tmp_path / "source"
    for file in (root / "slamlib/labels.py", source / "notebooks/01.ipynb", source / "b.md"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    assert site.relink(text, page, source, root) == linked


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
