"""Labels of many spectra: right, honest about their errors, robust; how good SLAM says it is."""

from copy import copy
from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest

from slamlib.errors import InputError
from slamlib.inference.infer import infer, infer_joint
from slamlib.inference.systematics import Systematics
from slamlib.inference.validate import cramer_rao, cross_validate, noisy, scatter_and_bias
from slamlib.instruments import LRS
from slamlib.labels import NAMES

GOOD = np.array(1.0)


@pytest.fixture(scope="module")
def krr_slam(krr_slam):
    """The same model in its low-rank form, ten times faster to evaluate."""
    return krr_slam.compress()


@pytest.fixture(scope="module")
def own_spectra(krr_slam, unseen):
    return krr_slam.predict(unseen.labels)


@pytest.fixture(scope="module")
def observed(unseen):
    """Spectra the model has not seen, at SNR 100."""
    return noisy(unseen.flux, 100, unseen.instrument.good, np.random.default_rng(3))


@pytest.fixture(scope="module")
def result(krr_slam, observed, grid):
    return infer(krr_slam, *observed, inside=grid.contains)


def test_noise_free_spectra_give_their_labels_back(krr_slam, own_spectra, unseen):
    result = infer(krr_slam, own_spectra, np.full(own_spectra.shape, 1e6))
    distance = (np.abs(result.labels - unseen.labels) / result.errors).max(axis=1)
    assert (result.status == "ok").all()
    # Trained on 300 spectra only, the model has a second minimum for a rare star above
    # 45,000 K. Such a star must show in its chi-square.
    found = distance < 0.05
    assert found.mean() > 0.99
    assert (result.chi2[found] < 1e-6).all() and (result.chi2[~found] > 1e-2).all()


def test_errors_are_those_of_the_noise(krr_slam, own_spectra, unseen):
    """Pulls of stars and labels: centred on 0 and of width 1 when the model is exact."""
    exact = copy(krr_slam)
    exact.model_variance_ = np.zeros_like(krr_slam.model_variance_)
    result = infer(exact, *noisy(own_spectra, 100, GOOD, np.random.default_rng(4)))
    pulls = (result.labels - unseen.labels) / result.errors
    # Near zero rotation the flux depends on v sin i quadratically; above 45,000 K the small
    # training set leaves second minima.
    linear = (unseen.labels[:, 3] > 30) & (unseen.labels[:, 0] < 45000)
    pulls = pulls[linear]
    n = len(pulls)
    assert n > 80
    assert np.abs(pulls.mean(axis=0)).max() < 4 / np.sqrt(n)
    assert np.abs(pulls.std(axis=0) - 1).max() < 4 / np.sqrt(2 * n)


def test_unseen_models_at_snr_100_are_unbiased_with_pulls_of_order_one(result, unseen):
    assert (result.status == "ok").mean() > 0.9
    error = result.labels - unseen.labels
    scatter = 1.4826 * np.median(np.abs(error), axis=0)
    assert (np.abs(np.median(error, axis=0)) < 4 * scatter / np.sqrt(len(error))).all()
    pulls = error / result.errors
    assert ((np.median(np.abs(pulls), axis=0) > 0.3) & (np.median(np.abs(pulls), axis=0) < 1.5)).all()
    assert (scatter < [1500, 0.15, 0.25, 30]).all()


@pytest.mark.parametrize("junk", [np.nan, -np.inf, 1e30])
def test_pixels_without_weight_may_hold_anything(krr_slam, observed, junk):
    flux, ivar = observed[0][:5].astype(float), np.array(observed[1][:5])
    ivar[:, 500:900:3] = 0
    expected = infer(krr_slam, flux, ivar)
    spoiled = flux.copy()
    spoiled[ivar == 0] = junk
    result = infer(krr_slam, spoiled, ivar)
    np.testing.assert_array_equal(result.labels, expected.labels)
    np.testing.assert_array_equal(result.covariance, expected.covariance)
    np.testing.assert_array_equal(result.n_pix, (ivar > 0).sum(axis=1))


def test_a_star_without_pixels_has_no_labels_and_spoils_no_other(krr_slam, observed, grid):
    flux, ivar = observed[0][:4].copy(), np.array(observed[1][:4])
    ivar[1] = 0
    flux[1] = np.nan
    ivar[2] = 0
    # Four labels cannot be had from four pixels.
    ivar[2, 1000:1004] = 1e4
    result = infer(krr_slam, flux, ivar, inside=grid.contains)
    assert result.status.tolist() == ["ok", "no data", "no data", "ok"]
    assert np.isnan(result.labels[1:3]).all() and np.isnan(result.errors[1:3]).all()
    assert np.isnan(result.chi2[1:3]).all()
    assert result.n_pix[1:3].tolist() == [0, 4]
    assert result.inside.tolist() == [True, False, False, True]
    alone = infer(krr_slam, flux[[0, 3]], ivar[[0, 3]])
    np.testing.assert_allclose(result.labels[[0, 3]], alone.labels, rtol=1e-6)


def test_a_star_that_does_not_rotate_is_inside(krr_slam, grid):
    flux = krr_slam.predict([[25000, 4.0, -0.2, -20]], extrapolate=True)
    for inside in (None, grid.contains):
        result = infer(krr_slam, flux, np.full(flux.shape, 1e6), inside=inside)
        assert result.labels[0, 3] == pytest.approx(0, abs=1e-9)
        assert result.status[0] == "ok" and 0 < result.vsini_limit[0] < 100
        assert result.inside[0]


@pytest.mark.parametrize(("vsini", "status"), [(330, "ok"), (365, "edge")])
def test_a_star_far_outside_ends_at_the_edge_not_in_the_wild(krr_slam, vsini, status):
    """Beyond 15% of its range a label is no measurement of anything."""
    flux = krr_slam.predict([[25000, 4.0, -0.2, vsini]], extrapolate=True)
    result = infer(krr_slam, flux, np.full(flux.shape, 1e6))
    assert result.status[0] == status and not result.inside[0]
    assert result.labels[0, 3] == pytest.approx(min(vsini, 345), abs=5)


def test_table_has_the_columns_and_units_of_the_catalogue(result):
    table = result.table()
    others = ["vsini_limit", "chi2", "n_pix", "flag", "status"]
    assert table.colnames == [*NAMES, *(f"e_{n}" for n in NAMES), *others]
    for prefix in ("", "e_"):
        assert table[f"{prefix}teff"].unit == u.K and table[f"{prefix}vsini"].unit == u.km / u.s
        assert table[f"{prefix}mh"].unit == u.dex
        assert table[f"{prefix}logg"].unit == u.dex(u.cm / u.s**2)
    np.testing.assert_array_equal(table["teff"], result.labels[:, 0])
    np.testing.assert_allclose(table["e_vsini"], np.sqrt(result.covariance[:, 3, 3]))
    assert all(table[name].description for name in table.colnames)
    assert set(table["flag"]) == {"I", "O"}
    assert ((table["flag"] == "I") == result.inside).all()


def test_spectra_of_the_other_instrument_are_refused(krr_slam):
    with pytest.raises(InputError, match=r"must both be \(m, 3101\)"):
        infer(krr_slam, np.ones((1, 4502)), np.ones((1, 4502)))
    with pytest.raises(InputError, match="must both be"):
        infer(krr_slam, np.ones((2, 3101)), np.ones((1, 3101)))


@pytest.mark.parametrize(("value", "what"), [(np.nan, "not finite"), (3e38, r"3e\+38, far from")])
def test_flux_that_no_spectrum_has_and_that_counts_is_refused(krr_slam, observed, value, what):
    flux, ivar = observed[0][:3].copy(), np.array(observed[1][:3])
    flux[2, 100] = value
    with pytest.raises(InputError, match=rf"flux of star 2, pixel 100 is {what}.*; set its ivar to 0"):
        infer(krr_slam, flux, ivar)


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf, 1e300])
def test_impossible_inverse_variances_are_refused(krr_slam, observed, bad):
    flux, ivar = observed[0][:1], np.array(observed[1][:1], dtype=float)
    ivar[0, 5] = bad
    with pytest.raises(InputError, match="ivar must be finite and >= 0"):
        infer(krr_slam, flux, ivar)


@pytest.fixture(scope="module")
def six(unseen):
    return unseen.labels[(unseen.labels[:, 3] > 60) & (unseen.labels[:, 0] < 40000)][:6]


@pytest.mark.parametrize(("share", "status"), [(0.02, "ok"), (0.2, "outliers")])
def test_a_fit_without_a_tenth_of_the_pixels_is_no_fit(thin_slam, six, share, status):
    """Pixels left out do not count either, so chi-square per degree of freedom stays near 1."""
    rng, flux = np.random.default_rng(3), thin_slam.predict(six)
    sigma = np.sqrt(0.01**2 + thin_slam.model_variance_)
    spoilt = rng.random(flux.shape) < share
    noisy = flux + sigma * rng.normal(size=flux.shape) + np.where(spoilt, 0.5, 0)
    found = infer(thin_slam, noisy, np.full(flux.shape, 1e4), reject=5.0)
    assert (found.status == status).mean() > 0.8
    if status == "ok":
        # Of most stars: a fit that is not yet right loses some good ones too.
        assert abs(np.median(found.n_pix - (~spoilt).sum(axis=1))) <= 2
        np.testing.assert_allclose(found.chi2, 1, atol=0.3)


@pytest.mark.parametrize(("lost", "status"), [(0.2, "ok"), (0.3, "incomplete")])
def test_a_spectrum_without_a_quarter_of_the_pixels_is_incomplete(thin_slam, six, lost, status):
    flux = thin_slam.predict(six)
    ivar = np.full(flux.shape, 1e4)
    ivar[:, : int(lost * ivar.shape[1])] = 0
    found = infer(thin_slam, flux, ivar)
    assert (found.status == status).mean() > 0.8
    # A star that one of two instruments did not observe is as whole as the other's spectrum.
    other = np.full(flux.shape, 1e4)
    other[3:] = 0
    joint = infer_joint([(thin_slam, flux, ivar, None), (thin_slam, flux, other, None)])
    assert (joint.status == status).mean() > 0.8


@pytest.mark.parametrize(("lost", "status"), [(0.2, "ok"), (0.3, "incomplete")])
def test_pixels_that_no_calibration_star_has_are_not_missed(thin_slam, six, lost, status):
    flux = thin_slam.predict(six)
    used = np.arange(flux.shape[1]) < 0.6 * flux.shape[1]
    residuals = np.random.default_rng(1).normal(0, 0.002, (40, flux.shape[1])) * used
    ivar = np.broadcast_to(np.where(used, 1e4, 0), flux.shape).copy()
    ivar[:, : int(lost * used.sum())] = 0
    found = infer(thin_slam, flux, ivar, Systematics.measure([100.0], [residuals], rank=2))
    assert (found.status == status).mean() > 0.8


def test_no_spectrum_is_labelled_by_a_model_that_has_seen_it(training, krr_slam):
    """A model that has seen them all is better than cross-validation says."""
    few = replace(training, labels=training.labels[:150], flux=training.flux[:150])
    table = cross_validate(few, (20, 100), np.random.default_rng(2), regressor="krr", n_folds=3)
    flux, ivar = noisy(few.flux, 100, LRS.good, np.random.default_rng(2))
    seen = scatter_and_bias(infer(krr_slam, flux, ivar).labels, few.labels)[0]
    assert table["label"][table["snr"] == 100].tolist() == list(NAMES)
    assert (seen < 0.8 * table["scatter"][table["snr"] == 100]).all()


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
    for pixels in (0, 1, 3):
        with pytest.raises(InputError, match="do not determine all labels"):
            cramer_rao(krr_slam, unseen.labels[:2], 1e4 * (np.arange(LRS.wave.size) < pixels))
