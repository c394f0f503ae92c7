"""Microturbulence and helium of simulated stars: what the grids of other values say, and nothing more."""

import numpy as np
import pytest

from slamlib.grid.model_grid import ModelGrid
from slamlib.mock.responses import responses


def read(grid_path, name):
    return ModelGrid.read(grid_path.with_name(f"tlusty_bstar_{name}.fits"))


def labels_of(nodes):
    return np.column_stack([nodes[name] for name in ("teff", "logg", "mh")])


@pytest.mark.parametrize(("name", "vturb"), [("v10", 10.0), ("v20", 20.0)])
def test_at_a_node_microturbulence_is_that_of_its_model(grid, grid_path, name, vturb):
    other = read(grid_path, name)
    rows = np.arange(0, len(other.nodes), 9)
    twins = grid.weights(labels_of(other.nodes[rows])).argmax(axis=1)
    change = responses()(labels_of(other.nodes[rows]), np.full(len(rows), vturb), np.full(len(rows), 0.1))
    np.testing.assert_allclose(change, other.flux[rows] - grid.flux[np.ravel(twins)], atol=1e-4)


def test_at_a_node_helium_is_that_of_its_models(grid_path):
    helium = read(grid_path, "he")
    rich = helium.nodes["source"] == "HEx2.0"
    stars = labels_of(helium.nodes[rich])
    slow = np.full(len(stars), 2.0)
    change = responses()(stars, slow, slow / 10) - responses()(stars, slow, slow / 40)
    np.testing.assert_allclose(change, helium.flux[rich] - helium.flux[~rich], atol=1e-4)
