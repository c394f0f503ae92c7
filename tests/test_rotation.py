"""v sin i among other causes of wide lines: what those add is measured, taken off, and in the error."""

from dataclasses import replace

import numpy as np
import pytest

from slamlib.inference.infer import infer
from slamlib.inference.systematics import Systematics
from slamlib.inference.validate import noisy
from slamlib.inference.vsini import measured_blur, remove_extra_broadening
from slamlib.labels import LABELS, rotation_of

VSINI = rotation_of(LABELS)

BLUR = np.array([190.0, 170.0])


def fits(true, error, rng):
    """Speeds as fitted: their squares hold the blur, and the noise of the fit."""
    square = true**2 + rng.normal(*BLUR, true.size) + 2 * true * rng.normal(0, error, true.size)
    return np.sqrt(np.maximum(square, 0))


def test_the_blur_of_known_stars_is_found_again():
    rng = np.random.default_rng(0)
    true, error = rng.uniform(25, 45, 4000), np.full(4000, 1.5)
    np.testing.assert_allclose(measured_blur(fits(true, error, rng), error, true), BLUR, rtol=0.1)


@pytest.mark.parametrize("speed", [25.0, 40.0, 100.0, 250.0])
def test_freed_speeds_have_the_truth_within_their_errors(speed):
    true, error = np.full(4000, speed), np.full(4000, 1.0)
    freed, widened = remove_extra_broadening(fits(true, error, np.random.default_rng(2)), error, BLUR)
    pulls = (freed - true) / widened
    assert np.median(pulls) == pytest.approx(0, abs=0.05)
    assert pulls.std() == pytest.approx(1, abs=0.12)


def test_slow_rotation_in_the_blur_is_a_limit_and_fast_rotation_is_not(krr_slam):
    """Noise so small that the blur alone hides rotation."""
    nothing = Systematics.measure([500.0], [np.zeros((3, krr_slam.flux_mean_.size))], rank=1)
    known = replace(nothing, blur=BLUR)
    labels = np.array([[20_000, 4.0, -0.2, speed] for speed in (15.0, 150.0)])
    spectra = noisy(krr_slam.predict(labels), 500, np.array(1.0), np.random.default_rng(3))
    plain, blurred = infer(krr_slam, *spectra, nothing), infer(krr_slam, *spectra, known)
    assert np.sqrt(1.645 * BLUR[1]) < blurred.vsini_limit[0] < 60
    assert np.isnan(blurred.vsini_limit[1])
    assert blurred.labels[1, VSINI] == pytest.approx(np.sqrt(plain.labels[1, VSINI] ** 2 - BLUR[0]))
    np.testing.assert_array_equal(blurred.labels[:, :VSINI], plain.labels[:, :VSINI])
