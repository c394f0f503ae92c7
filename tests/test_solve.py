"""Which of several minima is kept: after outlying pixels are rejected, and with its rivals told."""

import numpy as np
import pytest

from slamlib.inference.infer import infer
from slamlib.inference.validate import noisy

GOOD = np.ones(1, dtype=bool)


@pytest.fixture(scope="module")
def quiet(thin_slam, unseen):
    """The model's own spectra of stars that it was not trained on, with noise of SNR 100."""
    return noisy(thin_slam.predict(unseen.labels), 100, GOOD, np.random.default_rng(8))


def test_emission_does_not_choose_the_minimum(thin_slam, unseen, quiet):
    """A few bright pixels, as of emission, are rejected before minima are compared."""
    flux, ivar = quiet[0].copy(), quiet[1]
    deepest = np.argsort(thin_slam.flux_mean_)[:2]
    flux[:, deepest] += 0.5
    clean = infer(thin_slam, *quiet, reject=5.0)
    found = infer(thin_slam, flux, ivar, reject=5.0)
    off = np.abs(found.labels[:, 0] / clean.labels[:, 0] - 1) > 0.2
    assert off.mean() < 0.15
    # Whoever starts from the spectrum that resembles the emission most goes astray more often.
    alone = infer(thin_slam, flux, ivar, reject=5.0, starts=1)
    assert (np.abs(alone.labels[:, 0] / clean.labels[:, 0] - 1) > 0.2).mean() > 2 * off.mean()
