"""Errors by leaving out blocks: those of the noise if there is nothing else, larger if lines are wrong."""

import numpy as np
import pytest

from slamlib.errors import InputError
from slamlib.instruments import LRS
from slamlib.slam.infer import infer
from slamlib.slam.jackknife import BLOCK, block_errors
from slamlib.slam.validate import noisy

STAR = np.array([[20_000, 4.0, -0.2, 120.0]])


@pytest.fixture(scope="module")
def fit(krr_slam):
    return lambda flux, ivar: infer(krr_slam, flux, ivar, starts=1)


def errors(fit, flux, ivar):
    """Those by blocks and those quoted, of the same fit."""
    return block_errors(fit, LRS.wave, flux, ivar), fit(flux, ivar).errors[0]


def test_noise_alone_gives_the_errors_of_the_fit(fit, krr_slam):
    flux = np.repeat(krr_slam.predict(STAR), 6, axis=0)
    spectra = zip(*noisy(flux, 60, LRS.good, np.random.default_rng(1)), strict=True)
    ratio = [np.divide(*errors(fit, *spectrum)) for spectrum in spectra]
    np.testing.assert_allclose(np.median(ratio, axis=0), 1, atol=0.3)


def test_lines_of_wrong_strength_widen_the_errors_by_as_much_as_they_move_the_labels(fit, krr_slam):
    """Each block of lines too strong or too weak by some per cent, as abundances would make them."""
    rng, model = np.random.default_rng(2), krr_slam.predict(STAR)[0]
    blocks = np.floor(LRS.wave / BLOCK).astype(int)
    found, by_blocks, quoted = [], [], []
    for _ in range(8):
        strength = 1 + 0.1 * rng.normal(size=blocks.max() + 1)[blocks]
        flux, ivar = (part[0] for part in noisy((1 + strength * (model - 1))[None], 300, LRS.good, rng))
        found.append(fit(flux, ivar).labels[0])
        blocked, plain = errors(fit, flux, ivar)
        by_blocks.append(blocked)
        quoted.append(plain)
    moved = np.std(found, axis=0)
    assert (np.median(by_blocks, axis=0)[:2] > 2 * np.median(quoted, axis=0)[:2]).all()
    np.testing.assert_allclose(np.median(by_blocks, axis=0)[:2] / moved[:2], 1, atol=0.6)


def test_too_few_blocks_are_refused(fit, krr_slam):
    ivar = np.where(LRS.wave < 4000, 1.0, 0.0)
    with pytest.raises(InputError, match="2 blocks of 60"):
        block_errors(fit, LRS.wave, krr_slam.predict(STAR)[0], ivar)
