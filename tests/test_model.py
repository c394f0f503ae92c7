"""Slam predicts unseen spectra, differentiates itself, survives the disk; its regressions are sklearn's."""

import numpy as np
import pytest
from sklearn.kernel_ridge import KernelRidge
from sklearn.svm import SVR

from slamlib.errors import FileError, InputError
from slamlib.grid.training import training_set
from slamlib.inference.infer import infer
from slamlib.inference.validate import noisy
from slamlib.instruments import LRS
from slamlib.labels import NAMES
from slamlib.regression import search
from slamlib.regression.kernel import pivoted_cholesky, rbf
from slamlib.regression.krr import fit_krr
from slamlib.regression.slam import Slam
from slamlib.regression.svr.fit import fit_svr

SLAMS = ["krr_slam", "svr_slam"]
# A factor that makes the fourth row of forty unusable.
FOURTH = np.where(np.arange(40) == 3, np.nan, 1.0)[:, None]
RIDGES = (1e-5, 1e-3, 1e-1)
EPSILON = 0.05
PAIRS = [(C, gamma) for gamma in (0.1, 1.0) for C in (0.1, 1.0, 10.0)]


@pytest.fixture
def slam(request):
    return request.getfixturevalue(request.param)


def pixels_of(slam):
    """How the fixtures thin the LRS pixels."""
    return slice(None, None, 100) if slam.flux_mean_.size < 100 else slice(None)


@pytest.mark.parametrize(("slam", "worst"), [("krr_slam", 0.2), ("svr_slam", 0.7)], indirect=["slam"])
def test_unseen_spectra_are_predicted_far_better_than_by_the_mean(slam, worst, unseen):
    """In units of the pixel's spread, where predicting the mean has an error of 1."""
    flux = unseen.flux[:, pixels_of(slam)]
    error = (slam.predict(unseen.labels) - flux) / flux.std(axis=0)
    varied = flux.std(axis=0) > 1e-3
    assert np.sqrt(np.mean(error[:, varied] ** 2)) < worst


@pytest.mark.parametrize("slam", SLAMS, indirect=True)
def test_model_variance_is_the_error_on_unseen_spectra(slam, unseen):
    """Cross-validated within the training set, checked on spectra outside it."""
    flux = unseen.flux[:, pixels_of(slam)]
    seen = np.mean((slam.predict(unseen.labels) - flux) ** 2, axis=0)
    assert 0.5 < np.median(seen / slam.model_variance_) < 1.5


@pytest.mark.parametrize("slam", SLAMS, indirect=True)
def test_jacobian_equals_central_differences(slam, unseen):
    labels = unseen.labels[:20]
    analytic = slam.jacobian(labels)
    assert analytic.shape == (20, 4, slam.flux_mean_.size)
    for label in range(4):
        step = np.zeros(4)
        step[label] = 0.02 * slam.label_scale_[label]
        numeric = (slam.predict(labels + step) - slam.predict(labels - step)) / (2 * step[label])
        np.testing.assert_allclose(analytic[:, label], numeric, atol=3e-3 * np.abs(analytic[:, label]).max())


def test_svr_chooses_the_pair_of_least_cross_validated_error(svr_slam, training):
    """With one candidate only, no pixel can do better than the search over all six."""
    labels, flux = training.labels[:120], training.flux[:120, ::100]
    pairs = [(C, gamma) for C in (0.1, 1.0, 10.0) for gamma in (0.1, 1.0)]
    single = [Slam("svr", C=one[:1], gamma=one[1:], search="exhaustive").fit(labels, flux) for one in pairs]
    least = np.min([slam.model_variance_ for slam in single], axis=0)
    np.testing.assert_allclose(svr_slam.model_variance_, least, rtol=1e-5)
    assert np.unique(svr_slam.hyper_["C"]).size > 1


def test_a_screened_search_loses_little_and_confirms_few(training):
    """On every fifth pixel, whose screen sees each 20th of them."""
    labels, flux = training.labels[:150], training.flux[:150, ::5]
    exhaustive = Slam("svr", search="exhaustive").choose(labels, flux)
    screened = Slam("svr").choose(labels, flux)
    assert screened["error"].mean() <= 1.02 * exhaustive["error"].mean()
    pairs = {tuple(pair) for pair in np.stack([screened["C"], screened["gamma"]], axis=1)}
    assert 1 < len(pairs) < 6


def test_fits_that_only_choose_may_stop_early(training, monkeypatch):
    labels, flux = training.labels[:150], training.flux[:150, ::20]
    errors = []
    for rough in (search._ROUGH, 0.0):
        monkeypatch.setattr(search, "_ROUGH", rough)
        errors.append(Slam("svr", search="exhaustive").choose(labels, flux)["error"].mean())
    assert errors[0] == pytest.approx(errors[1], rel=1e-3)


@pytest.mark.parametrize("shrink", [lambda slam, n: slam.compress(n), lambda slam, n: slam.compress(None, n)])
def test_compression_error_falls_with_size_and_is_that_of_the_flux(krr_slam, training, shrink):
    exact = krr_slam.predict(training.labels)
    stated = []
    for size in (30, 100, 280):
        compressed = shrink(krr_slam, size)
        stated.append(compressed.compression_error_)
        seen = np.sqrt(np.mean((compressed.predict(training.labels) - exact) ** 2))
        assert seen == pytest.approx(stated[-1], rel=0.05, abs=2e-7)
    assert stated[0] > stated[1] > stated[2]
    assert stated[2] < 0.02 * np.sqrt(np.mean(krr_slam.model_variance_))


def test_compression_moves_labels_by_a_hundredth_of_their_errors(grid, unseen):
    training = training_set(grid, "LRS", 1000, seed=3)
    slam = Slam("krr", n_search=300).fit(training.labels, training.flux)
    flux, ivar = noisy(unseen.flux[:20], 100, LRS.good, np.random.default_rng(0))
    exact = infer(slam, flux, ivar, starts=1)
    moved = np.abs(infer(slam.compress(), flux, ivar, starts=1).labels - exact.labels) / exact.errors
    assert np.sqrt(np.mean(moved**2)) < 0.01


@pytest.mark.parametrize("slam", ["thin_slam", "svr_slam"], indirect=True)
@pytest.mark.parametrize("compressed", [False, True])
def test_save_and_read_round_trip_is_exact(slam, compressed, unseen, tmp_path):
    slam = slam.compress(40) if compressed else slam
    slam.save(tmp_path / "slam.npz")
    again = Slam.read(tmp_path / "slam.npz")
    np.testing.assert_array_equal(again.predict(unseen.labels), slam.predict(unseen.labels))
    np.testing.assert_array_equal(again.jacobian(unseen.labels[:5]), slam.jacobian(unseen.labels[:5]))
    np.testing.assert_array_equal(again.model_variance_, slam.model_variance_)
    np.testing.assert_array_equal(again.training_labels_, slam.training_labels_)
    assert again.hyper_.keys() == slam.hyper_.keys()
    read, kept = ({k: np.asarray(v).tolist() for k, v in s.get_params().items()} for s in (again, slam))
    assert read == kept


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda labels, flux: (labels, flux * FOURTH), "flux of training spectrum 3 is not finite"),
        (lambda labels, flux: (labels * FOURTH, flux), "labels of row 3 are not finite"),
        (lambda labels, flux: (labels, flux[1:]), "40 labels but flux of shape"),
        (lambda labels, flux: (labels[:, :3], flux), r"expected \(n, 4\)"),
        (lambda labels, flux: (labels * [1, 1, 0, 1], flux), "the same for every training spectrum"),
        (lambda labels, flux: (labels[:9], flux[:9]), "9 training spectra are too few for 5 folds"),
    ],
)
def test_unusable_training_sets_are_refused(training, spoil, message):
    with pytest.raises(InputError, match=message):
        Slam("krr").fit(*spoil(training.labels[:40], training.flux[:40, ::500]))


@pytest.mark.parametrize(
    ("slam", "message"),
    [
        (Slam("forest"), "unknown regressor 'forest'; use one of svr, krr"),
        (Slam("svr", search="lazy"), "unknown search 'lazy'; use one of screened, exhaustive"),
    ],
)
def test_an_unknown_choice_is_refused(training, slam, message):
    with pytest.raises(InputError, match=message):
        slam.fit(training.labels[:40], training.flux[:40, ::500])


@pytest.mark.parametrize("method", ["predict", "jacobian"])
@pytest.mark.parametrize(("label", "value"), [("teff", 7e4), ("teff", 3.95), ("logg", 2.2e4), ("vsini", 345)])
def test_labels_outside_the_training_range_are_refused_unless_meant(thin_slam, method, label, value):
    """Too hot, columns swapped, or where the fit of a star outside the grid may end."""
    star = list((dict(zip(NAMES, (22_000, 3.95, 0.0, 120), strict=True)) | {label: value}).values())
    with pytest.raises(InputError, match=rf"{label} = {value:.6g} lies outside the training range, .* to "):
        getattr(thin_slam, method)(star)
    assert np.isfinite(getattr(thin_slam, method)(star, extrapolate=True)).all()


@pytest.mark.parametrize(("version", "age"), [(99, "a newer"), (1, "an older")])
def test_a_model_of_another_format_is_refused(thin_slam, tmp_path, version, age):
    thin_slam.save(tmp_path / "slam.npz")
    with np.load(tmp_path / "slam.npz") as file:
        arrays = dict(file)
    np.savez(tmp_path / "other.npz", **{**arrays, "format": version})
    with pytest.raises(FileError, match=rf"other\.npz was written by {age} slamlib \(format {version}\)"):
        Slam.read(tmp_path / "other.npz")


@pytest.fixture(scope="module")
def standard(training):
    """Labels and 30 pixels of 300 spectra, standardised."""
    z, flux = training.labels, training.flux[:, 35::103].astype(float)
    return (z - z.mean(axis=0)) / z.std(axis=0), (flux - flux.mean(axis=0)) / flux.std(axis=0)


@pytest.fixture(scope="module")
def problem(standard):
    z, flux = standard
    return z[:60], flux[:60], z[60:100]


@pytest.mark.parametrize("ridge", RIDGES)
def test_predictions_of_krr_equal_scikit_learn(problem, ridge):
    z, flux, other = problem
    dual, _ = fit_krr(rbf(z, z, 0.3), flux, ridge)
    reference = KernelRidge(kernel="rbf", gamma=0.3, alpha=ridge).fit(z, flux)
    np.testing.assert_allclose(rbf(other, z, 0.3) @ dual, reference.predict(other), atol=1e-8)


@pytest.mark.parametrize("ridge", RIDGES)
def test_leave_one_out_equals_leaving_each_one_out(problem, ridge):
    z, flux, _ = problem
    _, residuals = fit_krr(rbf(z, z, 0.3), flux, ridge)
    brute = np.empty_like(flux)
    for i in range(len(z)):
        others = np.arange(len(z)) != i
        model = KernelRidge(kernel="rbf", gamma=0.3, alpha=ridge).fit(z[others], flux[others])
        brute[i] = flux[i] - model.predict(z[i : i + 1])[0]
    np.testing.assert_allclose(residuals, brute, rtol=1e-6, atol=1e-7)


def test_a_kernel_that_is_not_positive_definite_is_refused():
    with pytest.raises(InputError, match="not positive definite; use a larger ridge"):
        fit_krr(-np.eye(3), np.zeros((3, 2)), 1e-3)


def test_pivoted_cholesky_approaches_the_kernel_and_is_exact_at_its_pivots(problem):
    z = problem[0]
    kernel = rbf(z, z, 0.3)
    errors = []
    for rank in (5, 20, 60):
        pivots, factor = pivoted_cholesky(kernel.__getitem__, len(z), rank, tolerance=1e-12)
        assert factor.shape == (60, len(pivots))
        assert np.unique(pivots).size == len(pivots) <= rank
        product = factor @ factor.T
        np.testing.assert_allclose(product[pivots], kernel[pivots], atol=1e-9)
        errors.append(np.abs(product - kernel).max())
    assert errors[0] > errors[1] > errors[2] and errors[2] < 1e-9


@pytest.fixture(scope="module")
def solutions(standard):
    z, flux = (part[:200] for part in standard)
    return {pair: fit_svr(rbf(z, z, pair[1]), flux, pair[0], EPSILON) for pair in PAIRS}


@pytest.mark.parametrize(("C", "gamma"), PAIRS)
def test_predictions_of_svr_equal_scikit_learn(standard, solutions, C, gamma):
    (z, held_out), flux = np.split(standard[0], [200]), standard[1][:200]
    beta, intercept = solutions[C, gamma]
    predicted = rbf(held_out, z, gamma) @ beta + intercept
    kernel, between = rbf(z, z, gamma), rbf(held_out, z, gamma)
    # At its default tolerance scikit-learn itself is up to 6e-4 rms from its own limit.
    reference = [SVR(kernel="precomputed", C=C, epsilon=EPSILON, tol=1e-4).fit(kernel, y) for y in flux.T]
    difference = predicted - np.stack([svr.predict(between) for svr in reference], axis=1)
    assert np.sqrt(np.mean(difference**2)) <= 5e-4 and np.abs(difference).max() <= 5e-3


@pytest.mark.parametrize(("C", "gamma"), PAIRS)
def test_solutions_satisfy_the_optimality_conditions(standard, solutions, C, gamma):
    """Karush-Kuhn-Tucker, written per sample: which residuals go with which multiplier."""
    z, flux = (part[:200] for part in standard)
    beta, intercept = (np.asarray(part, dtype=float) for part in solutions[C, gamma])
    residual = flux - rbf(z, z, gamma) @ beta - intercept
    tight = 1e-6 * C
    violation = np.where(np.abs(beta) <= tight, np.abs(residual) - EPSILON, 0)
    inside = (np.abs(beta) > tight) & (np.abs(beta) < C - tight)
    violation = np.where(inside, np.abs(residual - EPSILON * np.sign(beta)), violation)
    bound = np.abs(beta) >= C - tight
    violation = np.where(bound, EPSILON - residual * np.sign(beta), violation)
    # The stopping rule bounds the distance of any two conditions by 1e-3; the intercept lies in the middle.
    assert violation.max() <= 0.5e-3 + 2e-5
    assert inside.any() and (np.abs(beta) <= tight).any()


@pytest.mark.parametrize(("C", "gamma"), PAIRS)
def test_a_masked_sample_is_as_if_it_were_absent(standard, C, gamma):
    """Each pixel lacks other samples; each equals a regression on the samples it has."""
    (z, held_out), flux = np.split(standard[0], [200]), standard[1][:200, :6].copy()
    masked = np.random.default_rng(5).random(flux.shape) < 0.2
    flux[masked] = np.nan
    beta, intercept = fit_svr(rbf(z, z, gamma), flux, C, EPSILON, tol=1e-4)
    assert not beta[masked].any()
    predicted = rbf(held_out, z, gamma) @ beta + intercept
    for pixel, kept in enumerate(~masked.T):
        few = z[kept]
        alone, shift = fit_svr(rbf(few, few, gamma), flux[kept, pixel : pixel + 1], C, EPSILON, tol=1e-4)
        difference = predicted[:, pixel] - (rbf(held_out, few, gamma) @ alone + shift)[:, 0]
        assert np.sqrt(np.mean(difference**2)) <= 5e-4 and np.abs(difference).max() <= 5e-3


def test_values_that_are_not_finite_are_refused():
    kernel, targets = np.eye(4), np.zeros((4, 2))
    spoiled = targets.copy()
    spoiled[2, 1] = np.inf
    with pytest.raises(InputError, match="not finite"):
        fit_svr(kernel, spoiled, 1.0, EPSILON)
    with pytest.raises(InputError, match="not finite"):
        fit_svr(kernel * np.nan, targets, 1.0, EPSILON)
