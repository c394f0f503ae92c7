"""Calibration finds the errors that were planted, and the notebook says what it measured."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.table import Table

from compendium import trust
from slamlib.inference.result import Inference
from slamlib.instruments import LRS
from slamlib.labelling.calibration import Observed
from slamlib.labels import NAMES

M = 2000
KEYS = {"instrument", "snr", "label", "scatter", "bias", "pull_mean", "pull_width", "cover68", "cover95"}
KEYS |= {"crb_ratio", "outliers"}


@pytest.fixture(scope="module")
def stars(grid):
    rng = np.random.default_rng(3)
    labels = np.column_stack(
        [
            rng.uniform(18_000, 30_000, M),
            rng.uniform(3.6, 4.3, M),
            rng.uniform(-0.5, 0.2, M),
            np.full(M, 200.0),
        ]
    )
    ivar = np.broadcast_to(np.float32(1e4) * LRS.good, (M, LRS.wave.size))
    return Observed(labels, np.ones_like(ivar), ivar, np.ones_like(ivar), rng.normal(0, 3, M))


def planted(slam, stars, quoted, offset=0.0, status="ok"):
    """A fit whose labels scatter by known errors about the truth, and quotes `quoted` times those."""
    rng = np.random.default_rng(4)
    error = np.array([200.0, 0.03, 0.05, 6.0])
    found = Inference(
        stars.labels + error * (rng.normal(size=stars.labels.shape) + offset),
        np.broadcast_to(np.diag((quoted * error) ** 2), (M, 4, 4)),
        np.ones(M),
        np.full(M, 3000),
        np.full(M, status),
        np.ones(M, bool),
        np.full(M, np.nan),
    )
    known = SimpleNamespace(blur=np.zeros(2))
    return SimpleNamespace(slam=slam, systematics=known, fit=lambda flux, ivar: found)


def test_honest_errors_have_unit_pulls_and_cover_what_they_say(krr_slam, stars):
    table = trust.calibration(planted(krr_slam, stars, 1.0), "LRS", {100: stars})
    np.testing.assert_allclose(table["pull_width"], 1, atol=0.06)
    np.testing.assert_allclose(table["pull_mean"], 0, atol=0.07)
    np.testing.assert_allclose(table["cover68"], 0.683, atol=0.04)
    np.testing.assert_allclose(table["cover95"], 0.95, atol=0.02)
    np.testing.assert_allclose(table["scatter"], [200, 0.03, 0.05, 6], rtol=0.08)
    assert (table["outliers"] == 0).all()


def test_errors_half_as_large_are_found_out(krr_slam, stars):
    table = trust.calibration(planted(krr_slam, stars, 0.5), "LRS", {100: stars})
    np.testing.assert_allclose(table["pull_width"], 2, atol=0.12)
    assert (table["cover68"] < 0.42).all()
    assert (table["outliers"] > 0.005).all()


def test_the_notebook_writes_every_number_for_machines_and_people(quick_run):
    path = quick_run.root / "build/calibration.json"
    if not path.exists():
        pytest.skip("no calibration: `make calibration PROFILE=quick` first")
    rows = json.loads(path.read_text())
    assert all(row.keys() >= KEYS for row in rows)
    assert {(row["instrument"], row["label"]) for row in rows} == {
        (name, label) for name in ("LRS", "MRS") for label in NAMES
    }
    table = Table.read(quick_run.tables / "calibration.ecsv")
    assert table.meta["simulated"]
    assert (np.asarray(table["pull_width"]) < 2.0).all()
