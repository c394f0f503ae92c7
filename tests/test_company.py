"""A row does not depend on the rows beside it, to the last bit."""

from dataclasses import replace

import numpy as np
import pytest

from slamlib.inference.blocks import block_errors
from slamlib.inference.infer import infer
from slamlib.inference.systematics import Systematics
from slamlib.inference.validate import noisy
from slamlib.instruments import LRS
from slamlib.regression.rows import times

COMPANY = {
    "alone": [4],
    "twice": [4, 4],
    "among others": [0, 4, 9],
    "in another order": list(range(23, -1, -1)),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(300, 3101), (3101, 20), (3101, 500), (1500, 300), (4, 1500)])
def test_a_row_of_a_product_depends_on_its_own_row_only(dtype, shape):
    rng = np.random.default_rng(0)
    rows, matrix = rng.normal(size=(70, shape[0])).astype(dtype), rng.normal(size=shape).astype(dtype)
    product = times(rows, matrix)
    np.testing.assert_allclose(product, rows.astype(float) @ matrix, atol=1e-4 * np.abs(product).max())
    order = rng.permutation(70)
    np.testing.assert_array_equal(times(rows[order], matrix), product[order])
    for row in (0, 13, 69):
        np.testing.assert_array_equal(times(rows[[row]], matrix)[0], product[row])


@pytest.fixture(scope="module")
def model(matched_slam):
    """A low-rank model, and systematics at three SNR with corrections of every kind."""
    rng = np.random.default_rng(6)
    shapes = np.stack([(LRS.wave - 5000) / 1000, np.sin(LRS.wave / 90), np.cos(LRS.wave / 150)])
    residuals = [rng.normal(0, s, (60, 3)) @ shapes for s in (0.008, 0.004, 0.002)]
    known = Systematics.measure([20.0, 60.0, 200.0], residuals, rank=3)
    corrections = {"inflation": rng.uniform(1, 1.2, (3, 4)), "offset": rng.normal(0, 0.1, (3, 4))}
    return matched_slam.compress(), replace(known, blur=np.array([400.0, 300.0]), **corrections)


@pytest.fixture(scope="module")
def stars(unseen):
    """Spectra of 24 stars and SNR 15 to 300, with spikes that are rejected."""
    rng = np.random.default_rng(2)
    pairs = [
        noisy(flux, snr, LRS.good, rng)
        for flux, snr in zip(unseen.flux[:24], np.geomspace(15, 300, 24), strict=True)
    ]
    flux, ivar = (np.stack(part) for part in zip(*pairs, strict=True))
    flux[::3, 1000] += 0.8
    return flux, ivar


@pytest.fixture(scope="module")
def judged(model, stars):
    """Give what is said of some of the stars: labels, errors, flags, and errors by blocks."""
    slam, known = model

    def judge(chosen):
        flux, ivar = (part[chosen] for part in stars)
        found = infer(slam, flux, ivar, known, reject=5.0)
        blocks = block_errors(slam, LRS.wave, flux, ivar, found.labels, known, reject=5.0)
        return {name: values for name, values in vars(found).items() if name != "label_set"} | {"b": blocks}

    return judge


@pytest.fixture(scope="module")
def every(judged):
    return judged(slice(None))


@pytest.mark.parametrize("company", COMPANY.values(), ids=COMPANY)
def test_labels_errors_and_flags_of_a_star_are_the_same_in_any_company(judged, every, company):
    for name, values in judged(company).items():
        np.testing.assert_array_equal(values, every[name][company], err_msg=name)
