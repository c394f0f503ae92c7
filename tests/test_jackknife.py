"""Errors by leaving out blocks: those of the noise if there is nothing else, larger if lines are wrong."""

import numpy as np
import pytest

from slamlib.errors import InputError
from slamlib.instruments import LRS
from slamlib.labels import NAMES
from slamlib.paper.trained import Trained
from slamlib.slam.infer import infer
from slamlib.slam.jackknife import BLOCK, block_errors
from slamlib.slam.systematics import Systematics
from slamlib.slam.validate import noisy

STAR = np.array([[20_000, 4.0, -0.2, 120.0]])


@pytest.fixture(scope="module")
def known():
    """A covariance that pixels share: a tilt of the continuum and ripples."""
    rng = np.random.default_rng(6)
    shapes = np.stack([(LRS.wave - 5000) / 1000, np.sin(LRS.wave / 90), np.cos(LRS.wave / 150)])
    residuals = rng.normal(0, 0.004, (60, 3)) @ shapes + rng.normal(0, 0.002, (60, LRS.wave.size))
    return Systematics.measure([50.0], [residuals], rank=3)


def errors(slam, flux, ivar):
    """Those by blocks and those quoted, of the same fit: (m, 4) each."""
    found = infer(slam, flux, ivar, starts=1)
    return block_errors(slam, LRS.wave, flux, ivar, found.labels), found.errors


def by_fitting(slam, flux, ivar, **options):
    """The same from a fit without each block: (4,)."""
    blocks = np.floor(LRS.wave / BLOCK)
    used = np.unique(blocks[ivar > 0])
    left = np.where(blocks == used[:, None], 0, ivar)
    labels = infer(slam, np.broadcast_to(flux, left.shape), left, **options).labels
    return np.sqrt((used.size - 1) * labels.var(axis=0))


@pytest.mark.parametrize("correlated", [False, True])
def test_one_step_stands_for_the_fit_without_a_block(krr_slam, known, correlated):
    options = {"systematics": known if correlated else None, "reject": 5.0}
    flux = np.repeat(krr_slam.predict(STAR), 4, axis=0)
    flux, ivar = noisy(flux, 300, LRS.good, np.random.default_rng(3))  # quiet: the step is exact
    flux[:, 500] = 3.0  # a cosmic ray
    ivar = ivar.copy()
    ivar[1, 1500:1800] = 0  # whole blocks that do not count
    labels = infer(krr_slam, flux, ivar, **options).labels
    found = block_errors(krr_slam, LRS.wave, flux, ivar, labels, **options)
    fitted = [by_fitting(krr_slam, *star, **options) for star in zip(flux, ivar, strict=True)]
    np.testing.assert_allclose(found / fitted, 1, atol=0.05)


def test_noise_alone_gives_the_errors_of_the_fit(krr_slam):
    flux, ivar = noisy(np.repeat(krr_slam.predict(STAR), 40, axis=0), 60, LRS.good, np.random.default_rng(1))
    blocked, plain = errors(krr_slam, flux, ivar)
    np.testing.assert_allclose(np.median(blocked / plain, axis=0), 1, atol=0.2)


def test_lines_of_wrong_strength_widen_the_errors_by_as_much_as_they_move_the_labels(krr_slam):
    """Each block of lines too strong or too weak by some per cent, as abundances would make them."""
    rng, model = np.random.default_rng(2), krr_slam.predict(STAR)[0]
    blocks = np.floor(LRS.wave / BLOCK).astype(int)
    strength = 1 + 0.1 * rng.normal(size=(40, blocks.max() + 1))[:, blocks]
    flux, ivar = noisy(1 + strength * (model - 1), 300, LRS.good, rng)
    moved = np.std(infer(krr_slam, flux, ivar, starts=1).labels, axis=0)
    blocked, plain = (np.median(part, axis=0) for part in errors(krr_slam, flux, ivar))
    assert (blocked[:2] > 2 * plain[:2]).all()
    np.testing.assert_allclose(blocked[:2] / moved[:2], 1, atol=0.5)


def test_real_stars_quote_the_larger_error_and_simulated_ones_that_of_the_fit(krr_slam, known):
    trained = Trained(krr_slam, known)
    flux, ivar = noisy(np.repeat(krr_slam.predict(STAR), 3, axis=0), 60, LRS.good, np.random.default_rng(4))
    ivar = np.where(np.arange(3)[:, None] < 2, ivar, 0)
    table = trained.label(LRS, flux, ivar, [True, False, False])
    fit = trained.infer(flux, ivar)
    for i, name in enumerate(NAMES):
        assert table[f"e_{name}"][0] == fit.errors[0, i]
        assert table[f"e_{name}"][1] == max(fit.errors[1, i], table[f"b_{name}"][1])
        assert np.isnan(table[f"b_{name}"][2])
        assert table[f"b_{name}"].unit == table[name].unit


def test_a_star_with_too_few_blocks_gets_no_errors_and_too_wide_blocks_are_refused(krr_slam):
    flux = krr_slam.predict(STAR)
    ivar = np.where(LRS.wave < 4000, 1.0, 0.0)[None]
    assert np.isnan(block_errors(krr_slam, LRS.wave, flux, ivar, STAR)).all()
    with pytest.raises(InputError, match="2 blocks of 4000"):
        block_errors(krr_slam, LRS.wave, flux, ivar, STAR, width=4000)
