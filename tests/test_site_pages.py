"""Beside the paper: lessons with pictures, a sample in the clone; figures lead to full size and trace."""

import nbformat
import pytest

from compendium.pipeline.graph import GRAPH
from compendium.run import find_root
from compendium.site.pages import _image
from compendium.teaching.notebooks import shown
from slamlib.spectra.lamost import read


class Small:
    """What a figure's words need of a run."""

    simulated, variables = True, "PROFILE=quick"


@pytest.mark.parametrize("name", sorted({name for notebook in GRAPH for name in notebook.figures}))
def test_a_figure_leads_to_its_full_size_and_says_how_to_trace_it(name):
    text = _image(name, Small)
    assert f":target: ../../_images/{name}.png" in text
    assert f"`make trace FILE={name} PROFILE=quick`" in text


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
