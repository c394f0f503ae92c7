"""How good SLAM says it is: scatter and bias, cross-validation, the Cramer-Rao bound."""

from dataclasses import replace

import numpy as np
import pytest

from slamlib.errors import InputError
from slamlib.inference.infer import infer
from slamlib.inference.validate import cramer_rao, cross_validate, noisy, scatter_and_bias
from slamlib.instruments import LRS

SNRS = (20, 100)


@pytest.fixture(scope="module")
def few(training):
    """A training set small enough to be cross-validated in a second."""
    return replace(training, labels=training.labels[:150], flux=training.flux[:150])


@pytest.fixture(scope="module")
def rows(few):
    table = cross_validate(few, SNRS, np.random.default_rng(2), regressor="krr", n_folds=3)
    return {(row["snr"], row["label"]): row for row in table}


def test_cross_validated_scatter_falls_with_snr(rows):
    for label in ("teff", "logg", "mh", "vsini"):
        assert rows[100, label]["scatter"] < 0.8 * rows[20, label]["scatter"]
        assert rows[100, label]["mad"] < rows[20, label]["mad"]
        assert abs(rows[20, label]["bias"]) < rows[20, label]["scatter"]


def test_no_spectrum_is_labelled_by_a_model_that_has_seen_it(few, rows, krr_slam):
    """A model that has seen them all is better than cross-validation says."""
    flux, ivar = noisy(few.flux, 100, LRS.good, np.random.default_rng(2))
    seen = scatter_and_bias(infer(krr_slam, flux, ivar).labels, few.labels)[0]
    held_out = [rows[100, label]["scatter"] for label in ("teff", "logg", "mh", "vsini")]
    assert (seen < 0.8 * np.array(held_out)).all()


def test_cramer_rao_bound_equals_a_numerical_fisher_matrix(krr_slam, unseen):
    """Derivatives by central differences, the textbook sum over pixels, a direct inverse."""
    ivar = 1e4 * LRS.good
    for labels, bound in zip(unseen.labels[:5], cramer_rao(krr_slam, unseen.labels[:5], ivar), strict=True):
        unit = krr_slam.training_labels_.std(axis=0)
        step = 0.02 * np.diag(unit)
        slope = (krr_slam.predict(labels + step) - krr_slam.predict(labels - step)).astype(float) / 0.04
        fisher = np.einsum("ap,bp,p->ab", slope, slope, ivar)
        np.testing.assert_allclose(bound, np.sqrt(np.diag(np.linalg.inv(fisher))) * unit, rtol=0.02)


def test_pixels_that_determine_nothing_are_refused(krr_slam, unseen):
    with pytest.raises(InputError, match="do not determine all labels"):
        cramer_rao(krr_slam, unseen.labels[:2], np.zeros(LRS.wave.size))
