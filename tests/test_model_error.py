"""Errors of the models as shared errors: what they cover and cost, and what a survey teaches of them."""

from dataclasses import replace

import numpy as np
import pytest
from compendia import ROOT, SAMPLES

from slamlib.errors import InputError
from slamlib.grid.training import synthesise
from slamlib.inference.infer import infer
from slamlib.inference.model_error import (
    RANK,
    TERMS,
    _share,
    _window,
    model_error,
    profile_scatter,
    responses,
)
from slamlib.inference.systematics import Systematics
from slamlib.inference.validate import noisy
from slamlib.instruments import INSTRUMENTS, LRS, MRS
from slamlib.io import embedded
from slamlib.labelling.labeller import Labeller
from slamlib.labelling.learned import estimate, learned
from slamlib.spectra.degrade import prepare_hires
from slamlib.spectra.hires import read_hires
from slamlib.spectra.lines import HELIUM, HYDROGEN, lines_by_ion, of_lines

SNR = 100
N = 240


@pytest.fixture(scope="module")
def error(matched_slam):
    return model_error(matched_slam, LRS)


@pytest.fixture(scope="module")
def plain(matched_slam):
    """Systematics that hold no shared error."""
    residual = np.random.default_rng(1).normal(0, 1e-4, (6, matched_slam.flux_mean_.size))
    return Systematics.measure([float(SNR)], [residual.astype(np.float32)], 1)


def coverage(slam, known, flux, labels):
    spectra = noisy(flux, SNR, LRS.good, np.random.default_rng(2))
    found = infer(slam, *spectra, known, reject=5.0)
    return np.mean(np.abs(found.labels - labels) < found.errors, axis=0), found.errors


def test_components_are_those_of_lines_and_scale_with_their_amplitude(error, matched_slam):
    components, variance = error
    assert components.shape == (RANK, LRS.wave.size) and (variance >= 0).all()
    size = np.sqrt((components**2).sum(axis=0) + variance)
    line = np.max([_window(LRS.wave, centre, 6) for centre in (*HELIUM, *HYDROGEN)], axis=0) > 0.9
    assert np.median(size[line]) > 10 * np.median(size)
    half = model_error(matched_slam, LRS, 0.5)
    np.testing.assert_allclose(half[1], variance / 4, rtol=0.05, atol=1e-9)
    power, expected = (half[0] ** 2).sum(axis=0), (components**2).sum(axis=0) / 4
    np.testing.assert_allclose(power, expected, rtol=0.05, atol=1e-8)


def test_ions_of_metals_err_alike_and_leave_the_wings_of_hydrogen_alone():
    """C II 6578 lies on the wing of H alpha: the line is deeper by a tenth, the wing is not."""
    wing = 1 - 0.5 * np.exp(-np.abs(MRS.wave - 6562.8) / 40)
    line = 0.2 * np.exp(-0.5 * ((MRS.wave - 6578.05) / 0.5) ** 2)
    bare, lined = (responses(flux[None].astype(np.float32), MRS)[:, 0] for flux in (wing, wing - line))
    carbon = np.argmax(np.abs(lined - bare)[:, np.abs(MRS.wave - 6578.05).argmin()])
    apart = np.abs(MRS.wave - 6578.05)
    assert lined[carbon][apart < 0.2] == pytest.approx(-0.02, abs=0.002)
    assert np.abs(bare[carbon]).max() < 0.002 and (lined[carbon][(apart > 12) & (apart < 100)] == 0).all()


def test_no_ion_of_a_metal_changes_lines_of_helium_or_hydrogen(matched_slam):
    flux = matched_slam.predict(matched_slam.training_labels_[:20])
    for wave, lines in lines_by_ion().items():
        change = np.abs(of_lines(LRS.wave, flux, lines, 6.0)).max(axis=0)
        for centre in (*HELIUM, *HYDROGEN):
            assert change[np.abs(LRS.wave - centre) < 3].max(initial=0) == 0, (wave, centre)


def test_model_errors_are_those_of_spectra_in_the_core_of_the_grid(matched_slam):
    """Lines of helium are weak in O stars: with them among the spectra, errors of B stars would be, too."""
    cooler = model_error(matched_slam, LRS, inside=lambda labels: labels[:, 0] < 30_000)
    every = model_error(matched_slam, LRS)
    helium = np.abs(LRS.wave - 4471.5) < 3
    assert (cooler[0] ** 2).sum(axis=0)[helium].mean() > 1.2 * (every[0] ** 2).sum(axis=0)[helium].mean()


def test_a_short_range_does_not_make_the_profile_known():
    short = replace(LRS, arms=((4400.0, 4600.0, 1.0),))
    assert _share(short) == 0.1 and _share(LRS) == 0.36 and 0.18 < _share(MRS) < 0.19


def test_every_term_says_why_and_its_amplitude_is_a_share_of_the_depth():
    assert all(term.why and 0 < term.amplitude < 0.5 for term in TERMS)


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="no sample spectra beside the repository")
@pytest.mark.parametrize(
    ("file", "resolution", "teff", "logg", "stronger"),
    [("HD886_elodie.fits", 42_000, 22_000, 3.95, 0.06), ("HD149438_B0V.txt.gz", 20_000, 32_000, 4.3, 0.16)],
)
def test_h_alpha_of_real_dwarfs_is_off_by_what_its_term_says(file, resolution, teff, logg, stronger):
    """Wings between 3 and 15 A from the centre, at the labels of the literature."""
    labeller = Labeller.read(embedded("models/krr_MRS.npz"))
    star = read_hires(SAMPLES / "hires" / file)
    seen = star.wave, star.flux, resolution, "MRS", 200, labeller.templates
    flux, ivar, _ = prepare_hires(*seen, rng=np.random.default_rng(5))
    far = np.abs(MRS.wave - 6562.8)
    wings = (far > 3) & (far < 15) & (ivar > 0)
    depth = 1 - labeller.predict([[teff, logg, 0.0, 20.0, 3.0]])[0]
    excess = (1 - flux)[wings].sum() / depth[wings].sum() - 1
    amplitude = next(term.amplitude for term in TERMS if term.name == "H alpha")
    assert excess == pytest.approx(stronger, abs=0.025)
    assert abs(excess) < 2.5 * amplitude


@pytest.mark.parametrize("lines", [HELIUM, HYDROGEN])
def test_errors_cover_lines_that_are_wrong(lines, matched_slam, error, plain):
    """Lines of B stars deeper or shallower by one and a half times what the table of terms expects."""
    labels = matched_slam.training_labels_
    labels = labels[(labels[:, 0] < 30_000) & (labels[:, 0] > 17_000)][:60]
    flux, amplitude = matched_slam.predict(labels), 0.15 if lines is HELIUM else 0.04
    shape = np.max([_window(LRS.wave, centre, 16) for centre in lines], axis=0)
    sign = np.random.default_rng(3).choice([-1, 1], len(flux))[:, None]
    wrong = 1 + (flux - 1) * (1 + amplitude * sign * shape)
    without, _ = coverage(matched_slam, plain, wrong, labels)
    covered, errors = coverage(matched_slam, plain.joined(*error), wrong, labels)
    assert (covered > 0.5).all() and (covered > without).all()
    assert without.min() < 0.4
    # Errors that grow beyond use would cover everything.
    assert np.median(errors[:, 0] / labels[:, 0]) < 0.05 and np.median(errors[:, 1]) < 0.15


def test_a_wider_profile_adds_what_is_promised_to_the_square_of_v_sin_i(grid, krr_slam):
    """Spectra of a spectrograph whose lines are wider by 15%, less than half of the standard deviation."""
    labels = np.array([[t, 4.0, 0.0, v] for t in (18e3, 22e3, 26e3) for v in (90.0, 150.0, 210.0)])
    blunt = replace(LRS, resolution=LRS.resolution / 1.15)
    flux, ivar = noisy(synthesise(grid, labels, blunt), 300, LRS.good, np.random.default_rng(5))
    found = infer(krr_slam, flux, ivar).labels[:, 3]
    # The variance of a profile wider by 36% is larger by 0.85, of this one by 0.32.
    added = np.median(found**2 - labels[:, 3] ** 2) * (1.36**2 - 1) / (1.15**2 - 1)
    assert profile_scatter(krr_slam, LRS) == pytest.approx(added, rel=0.3)


@pytest.fixture(scope="module")
def labeller(matched_slam, plain, error, grid):
    made = Labeller.of(LRS, matched_slam, grid, "matched")
    known = replace(plain.joined(*error), model=matched_slam.digest())
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
    fits = [one.fit(flux[:100], ivar[:100]) for one in (labeller, taught)]
    off = [np.median(fit.labels - labels[:100], axis=0) for fit in fits]
    errors = [np.median(fit.errors, axis=0) for fit in fits]
    assert (np.abs(off[1]) < errors[1] / 3).all() and errors[1][0] < errors[0][0]
    with pytest.raises(InputError, match="learned before"):
        learned(taught, flux, ivar, snr, progress=False)


def test_too_few_stars_and_models_without_errors_are_refused(labeller, survey):
    _, flux, ivar = survey
    with pytest.raises(InputError, match=r"0 of 20 stars.*learning needs 200"):
        learned(labeller, flux[:20], ivar[:20], np.full(20, 50.0), progress=False)
    with pytest.raises(InputError, match="model_errors"):
        learned(replace(labeller, systematics=None), flux, ivar, np.full(N, 120.0), progress=False)


def test_flags_say_by_how_much_such_a_profile_moves_v_sin_i():
    told = (ROOT / "docs/flags.md").read_text()
    for name in INSTRUMENTS:
        labeller = Labeller.read(embedded(f"models/krr_{name}.npz"))
        scatter = profile_scatter(labeller.slam, labeller.instrument)
        assert f"{scatter:,.0f}" in told
        assert f"{scatter / 2 / 100:.0f} km/s at" in told
