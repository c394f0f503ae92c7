"""compendium.forensics: each row is the experiment that its name says."""

from dataclasses import replace

import numpy as np
import pytest

from compendium.forensics import forensics
from slamlib.inference.validate import cross_validate, held_out
from slamlib.labels import NAMES

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
