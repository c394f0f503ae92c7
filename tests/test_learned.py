"""Learning from a survey: amplitudes are recovered from residuals, and too few stars are refused."""

from dataclasses import replace

import numpy as np
import pytest

from slamlib.errors import InputError
from slamlib.inference.model_error import HELIUM, _window, model_error
from slamlib.inference.systematics import Systematics
from slamlib.inference.validate import noisy
from slamlib.instruments import LRS
from slamlib.labelling.labeller import Labeller
from slamlib.labelling.learned import estimate, learned

N = 260


@pytest.fixture(scope="module")
def labeller(matched_slam, grid):
    residual = np.random.default_rng(1).normal(0, 1e-4, (6, LRS.wave.size)).astype(np.float32)
    known = Systematics.measure([100.0], [residual], 1).joined(*model_error(matched_slam, LRS))
    known = replace(known, model=matched_slam.digest())
    made = Labeller.of(LRS, matched_slam.compress(), grid, "matched")
    known = replace(known, model=made.slam.digest())
    return replace(made, systematics=known, about=made.about | {"model_errors": 1.0})


@pytest.fixture(scope="module")
def survey(labeller):
    """Stars whose helium lines are 12% deeper than the model's."""
    labels = labeller.slam.training_labels_
    labels = labels[(labels[:, 0] < 29_000) & (labels[:, 0] > 17_000) & (labels[:, 1] > 3)]
    labels = np.tile(labels, (4, 1))[:N]
    shape = np.max([_window(LRS.wave, centre, 12) for centre in HELIUM], axis=0)
    flux = 1 + (labeller.predict(labels) - 1) * (1 + 0.12 * shape)
    return labels, *noisy(flux, 120, LRS.good, np.random.default_rng(2))


def test_mean_and_scatter_of_amplitudes_are_recovered():
    rng, m, true = np.random.default_rng(4), 3000, np.array([2.0, -1.0, 0.0])
    design = rng.normal(size=(m, 12, 3)) * [1, 2, 3]
    amplitudes = true + rng.normal(size=(m, 3)) * [0.1, 0.5, 1.0]
    seen = np.matvec(design, amplitudes) + rng.normal(size=(m, 12))
    mean, covariance = estimate(design.swapaxes(1, 2) @ design, np.vecmat(seen, design))
    np.testing.assert_allclose(mean, true, atol=0.06)
    np.testing.assert_allclose(np.sqrt(np.diagonal(covariance)), [0.1, 0.5, 1.0], atol=0.08)


def test_what_was_learned_frees_labels_of_bias_and_is_kept_in_the_file(labeller, survey, tmp_path):
    labels, flux, ivar = survey
    snr = np.full(N, 120.0)
    taught = learned(labeller, flux, ivar, snr, progress=False)
    taught.save(tmp_path / "krr_LRS.npz")
    taught = Labeller.read(tmp_path / "krr_LRS.npz")
    assert taught.about["learned"]["stars"] >= 200
    assert "learned from" in taught.identity and "learned" not in labeller.identity
    fits = [one.fit(flux, ivar) for one in (labeller, taught)]
    off = [np.median(fit.labels - labels, axis=0) for fit in fits]
    errors = [np.median(fit.errors, axis=0) for fit in fits]
    assert (np.abs(off[1]) < errors[1] / 3).all()
    assert errors[1][0] < errors[0][0]
    with pytest.raises(InputError, match="learned before"):
        learned(taught, flux, ivar, snr, progress=False)


def test_too_few_stars_and_models_without_errors_are_refused(labeller, survey):
    _, flux, ivar = survey
    with pytest.raises(InputError, match=r"0 of 20 stars.*learning needs 200"):
        learned(labeller, flux[:20], ivar[:20], np.full(20, 50.0), progress=False)
    with pytest.raises(InputError, match="model_errors"):
        learned(replace(labeller, systematics=None), flux, ivar, np.full(N, 120.0), progress=False)
