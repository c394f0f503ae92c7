"""Errors by blocks: those of the noise if there is nothing else; no row depends on the rows beside it."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.linalg import inv, sqrtm

from slamlib.grid.training import training_set
from slamlib.inference.blocks import BLOCK, block_errors
from slamlib.inference.infer import infer
from slamlib.inference.systematics import Systematics
from slamlib.inference.validate import noisy
from slamlib.instruments import LRS, MRS
from slamlib.labels import NAMES
from slamlib.regression.rows import times
from slamlib.regression.slam import Slam
from slamlib.spectra.selection import line_widths

STAR = np.array([[20_000, 4.0, -0.2, 120.0]])
# A star alone, twice, among others, and where all are in reverse.
COMPANY = ([4], [4, 4], [0, 4, 9], list(range(24))[::-1])
# What pixels share: a tilt of the continuum and ripples.
SHAPES = np.stack([(LRS.wave - 5000) / 1000, np.sin(LRS.wave / 90), np.cos(LRS.wave / 150)])


def spectra(slam, instrument, snr, n, seed):
    return noisy(np.repeat(slam.predict(STAR), n, axis=0), snr, instrument.good, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def known():
    rng = np.random.default_rng(6)
    residuals = rng.normal(0, 0.004, (60, 3)) @ SHAPES + rng.normal(0, 0.002, (60, LRS.wave.size))
    return Systematics.measure([50.0], [residuals], rank=3)


@pytest.fixture(scope="module")
def mrs_slam(grid):
    training = training_set(grid, "MRS", 250, 5)
    return Slam("krr", n_search=250).fit(training.labels, training.flux).compress()


def errors(slam, instrument, flux, ivar):
    """Those by blocks and those quoted, of the same fit: (m, 4) each."""
    found = infer(slam, flux, ivar, starts=1)
    return block_errors(slam, instrument.wave, flux, ivar, found.labels), found.errors


def test_they_are_the_textbook_sandwich_with_its_correction_for_leverage(krr_slam):
    """CR2 as Bell & McCaffrey (2002) write it, with the hat matrix of each block."""
    flux, ivar = spectra(krr_slam, LRS, 60, 1, 8)
    labels = infer(krr_slam, flux, ivar).labels
    found = block_errors(krr_slam, LRS.wave, flux, ivar, labels)[0]
    variance = 1 / ivar[0].clip(1e-9) + krr_slam.model_variance_
    weight = np.where(ivar[0] > 0, 1 / variance, 0)
    design = krr_slam.jacobian(labels)[0].T.astype(float) * np.sqrt(weight)[:, None]
    residual = (flux[0] - krr_slam.predict(labels)[0]) * np.sqrt(weight)
    bread = inv(design.T @ design)
    # The fit stopped near its minimum, not at it.
    residual = residual - design @ (bread @ (design.T @ residual))
    blocks = [np.floor(LRS.wave / BLOCK) == number for number in np.unique(np.floor(LRS.wave / BLOCK))]
    parts = [(design[b], residual[b]) for b in blocks]
    scores = [x.T @ inv(sqrtm(np.eye(len(x)) - x @ bread @ x.T).real) @ r for x, r in parts]
    covariance = bread @ sum(np.outer(score, score) for score in scores) @ bread
    np.testing.assert_allclose(found, np.sqrt(np.diagonal(covariance)), rtol=5e-3)


@pytest.mark.parametrize("name", ["LRS", "MRS"])
def test_noise_alone_gives_the_errors_of_the_fit(krr_slam, mrs_slam, name):
    """In MRS too, where one block, that of H-alpha, knows nearly all of log g."""
    slam, instrument = {"LRS": (krr_slam, LRS), "MRS": (mrs_slam, MRS)}[name]
    blocked, plain = errors(slam, instrument, *spectra(slam, instrument, 60, 60, 1))
    np.testing.assert_allclose(np.sqrt(np.mean((blocked / plain) ** 2, axis=0)), 1, atol=0.2)
    if name == "LRS":
        # There are blocks enough for each star's own errors to be steady; of fewer they would scatter.
        assert (np.std(blocked / plain, axis=0) < 0.25).all()


def test_lines_of_wrong_strength_widen_the_errors_by_as_much_as_they_move_the_labels(krr_slam):
    """Each block of lines too strong or too weak by some per cent, as abundances would make them."""
    rng, model = np.random.default_rng(2), krr_slam.predict(STAR)[0]
    blocks = np.floor(LRS.wave / BLOCK).astype(int)
    strength = 1 + 0.1 * rng.normal(size=(40, blocks.max() + 1))[:, blocks]
    flux, ivar = noisy(1 + strength * (model - 1), 300, LRS.good, rng)
    moved = np.std(infer(krr_slam, flux, ivar, starts=1).labels, axis=0)
    blocked, plain = (np.median(part, axis=0) for part in errors(krr_slam, LRS, flux, ivar))
    assert (blocked[:2] > 2 * plain[:2]).all()
    np.testing.assert_allclose(blocked[:2] / moved[:2], 1, atol=0.5)


def test_real_stars_quote_the_larger_error_and_simulated_ones_that_of_the_fit(krr_slam, known, labeller):
    made = labeller(krr_slam, LRS, known)
    flux, ivar = spectra(krr_slam, LRS, 60, 3, 4)
    ivar = np.where(np.arange(3)[:, None] < 2, ivar, 0)
    table = made.label(flux, ivar, [True, False, False])
    fit = made.fit(flux, ivar)
    for i, name in enumerate(NAMES):
        assert table[f"e_{name}"][0] == fit.errors[0, i]
        assert table[f"e_{name}"][1] == max(fit.errors[1, i], table[f"b_{name}"][1])
        assert np.isnan(table[f"b_{name}"][2])
        assert table[f"b_{name}"].unit == table[name].unit


def test_a_simulated_star_that_the_models_do_not_describe_quotes_the_larger_error(krr_slam, known, labeller):
    flux, ivar = spectra(krr_slam, LRS, 60, 1, 4)
    poor = 1 + np.where(np.floor(LRS.wave / 60) % 2, 1.6, 0.4) * (flux - 1)
    table = labeller(krr_slam, LRS, known).label(poor, ivar, [True])
    assert table["chi2"][0] > 1.2
    for name in NAMES:
        assert table[f"e_{name}"][0] >= table[f"b_{name}"][0]


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


def test_labels_errors_and_flags_of_a_star_are_the_same_in_any_company(matched_slam, unseen):
    """A low-rank model, systematics with corrections of every kind, stars of SNR 15 to 300 with spikes."""
    slam, rng = matched_slam.compress(), np.random.default_rng(6)
    residuals = [rng.normal(0, s, (60, 3)) @ SHAPES for s in (0.008, 0.004, 0.002)]
    known = Systematics.measure([20.0, 60.0, 200.0], residuals, rank=3)
    corrections = {"inflation": rng.uniform(1, 1.2, (3, 1, 4)), "offset": rng.normal(0, 0.1, (3, 1, 4))}
    known, rng = replace(known, blur=np.array([400.0, 300.0]), **corrections), np.random.default_rng(2)
    seen = zip(unseen.flux[:24], np.geomspace(15, 300, 24), strict=True)
    stars = zip(*(noisy(flux, snr, LRS.good, rng) for flux, snr in seen), strict=True)
    fluxes, ivars = (np.stack(part) for part in stars)
    fluxes[::3, 1000] += 0.8

    def judged(chosen):
        flux, ivar = fluxes[chosen], ivars[chosen]
        found = infer(slam, flux, ivar, known, reject=5.0)
        blocks = block_errors(slam, LRS.wave, flux, ivar, found.labels, known, reject=5.0)
        widths = {name: column.data for name, column in line_widths(LRS, flux, ivar).items()}
        found = {name: values for name, values in vars(found).items() if name != "label_set"}
        return found | widths | {"b": blocks}

    every = judged(slice(None))
    for company in COMPANY:
        for name, values in judged(company).items():
            np.testing.assert_array_equal(values, every[name][company], err_msg=f"{name} of {company}")
