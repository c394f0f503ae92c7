"""Spectra for training, uniform and broadened as the stellar disc; simulated ones, never taken for real."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare, kstest

from slamlib.errors import InputError
from slamlib.grid.broaden import broaden, pixel_edges, rebin_matrix
from slamlib.grid.training import VSINI_MAX, draw_labels, synthesise
from slamlib.instruments import C_KMS, get_instrument
from slamlib.mock.observation import extinction, observed_counts
from slamlib.mock.population import salpeter_masses
from slamlib.mock.survey import draw_survey, simulate, write_survey
from slamlib.spectra.lamost import read

DV = 2.0
VELOCITY = DV * (np.arange(1500) - 750)
COUNTS, N_COMMON = {"LRS": 24, "MRS": 12}, 5


@pytest.fixture(scope="module")
def many_labels(grid):
    return draw_labels(grid, 8000, np.random.default_rng(5))


def test_vsini_and_metallicity_are_uniform(many_labels):
    assert kstest(many_labels[:, 3], "uniform", args=(0, VSINI_MAX)).pvalue > 0.01
    assert kstest(many_labels[:, 2], "uniform", args=(-1, 1.3)).pvalue > 0.01


def test_density_in_the_hr_diagram_is_uniform(grid, many_labels):
    """Counts in each strip between columns follow its area; within it, log g is spread evenly."""
    teff = np.array(list(grid.columns))
    low, high = np.array([[loggs[0], loggs[-1]] for loggs in grid.columns.values()]).T
    height = high - low
    area = (height[1:] + height[:-1]) / 2 * np.diff(teff)
    counts = np.histogram(many_labels[:, 0], teff)[0]
    assert chisquare(counts, area / area.sum() * len(many_labels)).pvalue > 0.01
    bottom = np.interp(many_labels[:, 0], teff, low)
    top = np.interp(many_labels[:, 0], teff, high)
    assert kstest((many_labels[:, 1] - bottom) / (top - bottom), "uniform").pvalue > 0.01


@pytest.mark.parametrize("name", ["LRS", "MRS"])
def test_a_spectrum_equals_its_slow_construction(grid, name):
    """A node's model: profiles summed in real space ten times finer than the grid, then integrated."""
    instrument, vsini, row = get_instrument(name), 170.0, 231
    labels = [*(grid.nodes[label][row] for label in ("teff", "logg", "mh")), vsini]
    over = 10
    step = grid.dv / over
    log_wave = grid.log_wave0 + np.arange(grid.flux.shape[1]) * grid.dv / C_KMS
    fine_log = np.arange(log_wave[0], log_wave[-1], step / C_KMS)
    fine = np.interp(fine_log, log_wave, grid.flux[row])
    velocity = step * np.arange(-1500, 1501)
    root = np.sqrt(np.clip(1 - (velocity / vsini) ** 2, 0, None))
    rotation = 2 * 0.4 * root + 0.5 * np.pi * 0.6 * root**2
    gauss = np.exp(-0.5 * (velocity * instrument.resolution * 2.354820045 / C_KMS) ** 2)
    for kernel in (rotation, gauss):
        fine = 1 - np.convolve(1 - fine, kernel / kernel.sum(), mode="same")
    wave = np.exp(fine_log)
    integral = np.concatenate([[0], np.cumsum((fine[1:] + fine[:-1]) / 2 * np.diff(wave))])
    low, high = instrument.edges
    expected = (np.interp(high, wave, integral) - np.interp(low, wave, integral)) / (high - low)
    np.testing.assert_allclose(synthesise(grid, labels, name)[0], expected, atol=3e-4)


def gaussian_line(depth=0.5, sigma=12.0, centre=0.0):
    return 1 - depth * np.exp(-0.5 * ((VELOCITY - centre) / sigma) ** 2)


@pytest.mark.parametrize("limb_darkening", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("vsini", [5.0, 60.0, 300.0])
def test_rotation_equals_the_sum_over_the_stellar_disc(vsini, limb_darkening):
    """Each patch of the disc sends the same line, shifted by x v sin i, dimmed towards the limb."""
    radius = (np.arange(400) + 0.5) / 400
    angle = 2 * np.pi * (np.arange(400) + 0.5) / 400
    x = (radius[:, None] * np.cos(angle)).ravel()
    mu = np.sqrt(1 - radius**2)
    light = np.repeat(radius * (1 - limb_darkening + limb_darkening * mu), angle.size)
    # Patches sorted into bins of 0.25 km/s or less: the sum of many lines becomes one product.
    share, edges = np.histogram(x, bins=2400, range=(-1, 1), weights=light / light.sum())
    shift = vsini * (edges[1:] + edges[:-1]) / 2
    expected = share @ (1 - 0.5 * np.exp(-0.5 * ((VELOCITY - shift[:, None]) / 12.0) ** 2))
    result = broaden(gaussian_line(), DV, vsini, limb_darkening=limb_darkening)[0]
    np.testing.assert_allclose(result, expected, atol=3e-5)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.integers(-200, 200))
def test_a_shift_by_whole_pixels_is_a_roll(pixels):
    flux = np.pad(gaussian_line(centre=20.0), 250, mode="edge")
    np.testing.assert_allclose(broaden(flux, DV, velocity=pixels * DV)[0], np.roll(flux, pixels), atol=2e-6)


def test_nothing_wraps_around_the_ends():
    flux = np.ones(400)
    flux[-20:] = 0.5
    result = broaden(flux, DV, vsini=300.0, sigma=20.0, velocity=50.0)[0]
    np.testing.assert_allclose(result[:100], 1, atol=1e-6)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"vsini": -1.0}, "vsini must be finite and >= 0"),
        ({"vsini": np.inf}, "vsini must be finite and >= 0"),
        ({"sigma": -0.1}, "sigma must be finite and >= 0"),
        ({"sigma": np.nan}, "sigma must be finite and >= 0"),
        ({"velocity": np.nan}, "velocity or flux is not finite"),
    ],
)
def test_impossible_velocities_are_refused(wrong, message):
    with pytest.raises(InputError, match=message):
        broaden(np.ones((2, 50)), DV, **wrong)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.integers(0, 10_000))
def test_rebinning_equals_the_difference_of_the_running_integral(seed):
    rng = np.random.default_rng(seed)
    edges = 4000 + np.cumsum(rng.uniform(0.1, 3, 200))
    flux = rng.uniform(0.5, 1.5, 199)
    lower = rng.uniform(edges[0], edges[-1] - 10, 30)
    upper = lower + rng.uniform(0.01, 10, 30)
    integral = np.concatenate([[0], np.cumsum(flux * np.diff(edges))])
    expected = (np.interp(upper, edges, integral) - np.interp(lower, edges, integral)) / (upper - lower)
    result = flux @ rebin_matrix(np.stack([edges[:-1], edges[1:]]), np.stack([lower, upper]))
    np.testing.assert_allclose(result, expected, atol=1e-6)


@pytest.mark.parametrize("wave", [[3999.0, 4100], [4100.0, 4201]])
def test_pixels_beyond_the_spectrum_are_refused(wave):
    edges_in = pixel_edges(np.linspace(4000, 4200, 201))
    edges_out = np.stack([np.array(wave) - 0.5, np.array(wave) + 0.6])
    with pytest.raises(InputError, match=r"the spectra cover only 3999\.5 to 4200\.5 A"):
        rebin_matrix(edges_in, edges_out)


@pytest.fixture(scope="module")
def truth(isochrones, grid):
    return draw_survey(COUNTS, N_COMMON, isochrones, grid.contains, np.random.default_rng(11))


@pytest.fixture(scope="module")
def large(isochrones, grid):
    """A survey that is drawn, not written."""
    return draw_survey({"LRS": 3000, "MRS": 1500}, 200, isochrones, grid.contains, np.random.default_rng(12))


@pytest.fixture(scope="module")
def survey(truth, library, grid, tmp_path_factory):
    folder = tmp_path_factory.mktemp("survey")
    index = write_survey(truth, library, grid, folder, seed=5, progress=False)
    return folder, index


def test_each_group_lies_where_the_paper_sees_it(large, grid):
    labels = np.column_stack([large[name] for name in ("teff", "logg", "mh")])
    inside = grid.contains(labels)
    group = np.asarray(large["group"])
    assert inside[group == "OB"].all() and not inside[group == "late B"].any()
    assert (large["teff"][group == "late B"] < 15000).all()
    assert not inside[group == "subdwarf"].any()
    assert (large["logg"][group == "subdwarf"] > 4.75).all()


def test_common_stars_are_the_same_star_at_high_snr(large):
    lrs, mrs = (large[large["instrument"] == name] for name in ("LRS", "MRS"))
    common = np.intersect1d(lrs["star"], mrs["star"])
    assert common.size == 200
    lrs, mrs = (part[np.isin(part["star"], common)] for part in (lrs, mrs))
    for name in ("teff", "logg", "mh", "vsini", "group", "ra", "dec", "ebv", "rv", "star"):
        np.testing.assert_array_equal(lrs[name], mrs[name])
    assert min(lrs["snr"].min(), mrs["snr"].min()) > 100
    assert not np.intersect1d(lrs["obsid"], mrs["obsid"]).size
    assert not (lrs["sigma"] == mrs["sigma"]).any()


def test_masses_follow_salpeter():
    masses = salpeter_masses(20000, 2.0, 50.0, np.random.default_rng(0))

    def cumulative(m):
        return (2.0**-1.35 - m**-1.35) / (2.0**-1.35 - 50.0**-1.35)

    assert (masses.min() >= 2, masses.max() <= 50) == (True, True)
    assert kstest(masses, cumulative).pvalue > 0.01
    # The slope itself, by maximum likelihood of an unbounded power law above 2.
    alpha = 1 + 1 / np.log(salpeter_masses(20000, 2.0, 1e9, np.random.default_rng(1)) / 2).mean()
    assert alpha == pytest.approx(2.35, abs=4 * 1.35 / np.sqrt(20000))


def test_library_is_exact_at_the_nodes_of_both_grids(library, grid, extension):
    for part, rows in ((grid, slice(0, 516, 37)), (extension, slice(0, 28, 5))):
        labels = np.column_stack([part.nodes[name] for name in ("teff", "logg", "mh")])[rows]
        np.testing.assert_allclose(library.spectra(labels), part.flux[rows], atol=2e-5)


@pytest.mark.parametrize("r_v", [3.1, 5.0])
def test_extinction_is_that_of_cardelli_at_known_points(r_v):
    """At V it is R_V E(B-V) by definition, at B one E(B-V) more; 0.751 A(V) at 7000 A for R_V = 3.1."""
    magnitudes = -2.5 * np.log10(extinction(1e4 / np.array([1.82, 2.27]), ebv=0.7, r_v=r_v))
    np.testing.assert_allclose(magnitudes, [0.7 * r_v, 0.7 * (r_v + 1)], rtol=1e-3)


@pytest.mark.parametrize("instrument", ["LRS", "MRS"])
def test_noise_is_what_the_inverse_variance_says(instrument):
    """The same random stream at two noise levels: the difference is noise alone."""
    wave = np.linspace(3900, 6990, 4000) if instrument == "LRS" else np.linspace(6300, 6800, 4000)
    line = 1 - 0.4 * np.exp(-0.5 * ((wave - wave[2000]) / 30) ** 2)

    def observe(snr):
        row = {"snr": snr, "ebv": 0.5}
        return observed_counts(wave, line, row, instrument, np.random.default_rng(9))

    (flux, ivar, mask), (clean, _, _) = observe(80.0), observe(1e9)
    used = ~mask
    assert mask.any() and not ivar[mask].any()
    pulls = (flux - clean)[used] * np.sqrt(ivar[used])
    assert pulls.mean() == pytest.approx(0, abs=4 / np.sqrt(used.sum()))
    assert pulls.std() == pytest.approx(1, abs=4 / np.sqrt(2 * used.sum()))


def test_a_file_holds_the_spectrum_that_was_simulated(survey, truth, library, grid):
    folder, _ = survey
    for name in ("LRS", "MRS"):
        rows = truth[truth["instrument"] == name]
        for row, spectrum in zip(rows, simulate(rows, library, grid, name, seed=5), strict=True):
            again = read(folder / row["file"])
            np.testing.assert_allclose(again.wave, spectrum.wave, atol=2e-3)
            good = spectrum.ivar > 0
            np.testing.assert_array_equal(again.ivar > 0, good)
            np.testing.assert_allclose(again.flux[good], spectrum.flux[good], rtol=1e-6)


def test_an_interrupted_survey_has_the_bytes_of_one_written_in_one_go(survey, truth, library, grid, tmp_path):
    folder, _ = survey
    for file in truth["file"][::3]:
        (tmp_path / file).write_bytes((folder / file).read_bytes())
    write_survey(truth, library, grid, tmp_path, seed=5, progress=False)
    for file in truth["file"]:
        assert (tmp_path / file).read_bytes() == (folder / file).read_bytes()


def test_lines_are_where_the_velocity_puts_them(library, grid, truth):
    """H beta of a slow rotator at +200 km/s, against one at rest, by centre of gravity."""
    rows = truth[truth["instrument"] == "LRS"][:1]
    rows["snr"], rows["ebv"], rows["vsini"], rows["group"] = 1e6, 0.0, 20.0, "OB"
    rows["teff"], rows["logg"], rows["mh"] = 22000.0, 4.0, 0.0
    centres = []
    for velocity in (0.0, 200.0):
        rows["rv"] = velocity
        spectrum = simulate(rows, library, grid, "LRS", seed=3)[0]
        near = (np.abs(spectrum.wave - 4861.3) < 40) & (spectrum.ivar > 0)
        wave, flux = spectrum.wave[near], spectrum.flux[near]
        continuum = np.interp(wave, wave[[0, -1]], flux[[0, -1]])
        depth = np.clip(1 - flux / continuum - 0.1, 0, None)
        centres.append((wave * depth).sum() / depth.sum())
    shift = (centres[1] / centres[0] - 1) * 299792.458
    assert shift == pytest.approx(200, abs=8)
