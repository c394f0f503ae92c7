"""A compendium of two notebooks and a figure, in miniature."""

import nbformat

from compendium.pipeline.graph import Notebook
from compendium.run import Run

TWO = (
    Notebook("01_train", products=("model.npz", "survey/index.ecsv")),
    Notebook("02_draw", ("01_train",), ("numbers.npz",), {"fig03": "draw"}, mock_tables=("recovery.ecsv",)),
)
PARAMETERS = "\n".join(f"{name}: str = {value!r}  # said" for name, value in Run().parameters.items())
PRODUCTS = "data/products/quick-mock-embedded"
CELLS = {
    "01_train": f"""
import slamlib.used
from pathlib import Path
made = Path("{PRODUCTS}")
(made / "survey").mkdir(exist_ok=True)
for name in ("survey/index.ecsv", "survey/star.fits", "model.npz"):
    (made / name).write_text(name)
""",
    "02_draw": f"""
from pathlib import Path
from compendium import figures, used
model = Path("{PRODUCTS}/model.npz").read_text()
Path("{PRODUCTS}/numbers.npz").write_text(model)
tables = Path("build/quick-mock-embedded/tables")
tables.mkdir(exist_ok=True)
(tables / "recovery.ecsv").write_text(model)
""",
}


def write_notebook(path, *cells, parameters=PARAMETERS):
    tagged = nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
    nbformat.write(nbformat.v4.new_notebook(cells=[tagged, *map(nbformat.v4.new_code_cell, cells)]), path)


def draw(name, run):
    """The figure: what the notebook computed, in the manner of the module that draws."""
    manner = (run.root / "compendium/figures/draw.py").read_text()
    for suffix in (".pdf", ".png"):
        (run.figures / f"{name}{suffix}").write_text((run.products / "numbers.npz").read_text() + manner)
