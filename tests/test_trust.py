"""Calibration finds the errors that were planted; each row of the forensics is what its name says."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.table import Table

from compendium import trust
from compendium.forensics import forensics
from slamlib.inference.result import Inference
from slamlib.inference.validate import cross_validate, held_out
from slamlib.instruments import LRS
from slamlib.labelling.calibration import Observed
from slamlib.labels import NAMES

M = 2000
KEYS = {"instrument", "snr", "label", "scatter", "bias", "pull_mean", "pull_width", "cover68", "cover95"}
KEYS |= {"crb_ratio", "outliers"}


@pytest.fixture(scope="module")
def stars(grid):
    rng = np.random.default_rng(3)
    labels = rng.uniform([18_000, 3.6, -0.5, 200], [30_000, 4.3, 0.2, 200], (M, 4))
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
    every = {(name, label) for name in ("LRS", "MRS") for label in NAMES}
    assert {(row["instrument"], row["label"]) for row in rows} == every
    table = Table.read(quick_run.tables / "calibration.ecsv")
    assert table.meta["simulated"]
    assert (np.asarray(table["pull_width"]) < 2.0).all()


OPTIONS = {"n_folds": 3, "max_stars": 60, "progress": False}


@pytest.fixture(scope="module")
def held(training):
    few = replace(training, labels=training.labels[:90], flux=training.flux[:90])
    return {name: held_out(few, np.random.default_rng(3), name, **OPTIONS) for name in ("svr", "krr")}


@pytest.fixture(scope="module")
def found(held):
    return forensics(held["svr"], held["krr"])


@pytest.fixture(scope="module")
def rows(found):
    return {row["row"]: row for row in found[0]}


def rms(rows, name):
    return np.array([rows[name][label] for label in NAMES])


def test_rows_of_the_regressions_are_those_of_cross_validation(held, rows):
    for name, regressor in (("SVR", "svr"), ("KRR", "krr")):
        table = cross_validate(held[regressor].training, (100.0,), np.random.default_rng(3), regressor, 3, 60)
        np.testing.assert_allclose(rms(rows, name), table["scatter"], rtol=1e-6)
        assert rows[name]["n"] == 60


def test_a_model_labels_its_own_training_spectra_better(rows):
    assert (rms(rows, "SVR, own training spectra") < rms(rows, "SVR")).all()
