"""A compendium of two notebooks, in miniature."""

import nbformat

from compendium.pipeline.graph import Notebook

PARAMETERS = """profile: str = "quick"  # size
source: str = "mock"
grid: str = "embedded"
seed: int = 257
# not = a parameter
"""


def write_notebook(path, *cells, parameters=PARAMETERS):
    tagged = nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
    notebook = nbformat.v4.new_notebook(cells=[tagged, *map(nbformat.v4.new_code_cell, cells)])
    path.parent.mkdir(exist_ok=True)
    nbformat.write(notebook, path)


TWO = (
    Notebook("01_train", products=("model.npz",)),
    Notebook("02_draw", ("01_train",), figures=("fig03",), mock_tables=("recovery.ecsv",)),
)
