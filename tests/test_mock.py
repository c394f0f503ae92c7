"""The simulated survey: who is in it, what its spectra are, and that it never passes for real."""

import numpy as np
import pytest
from scipy.stats import kstest

from slamlib.mock.observation import extinction, observed_counts
from slamlib.mock.population import salpeter_masses
from slamlib.mock.survey import draw_survey, simulate, write_survey
from slamlib.spectra.lamost import read

COUNTS, N_COMMON = {"LRS": 24, "MRS": 12}, 5


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
    assert inside[group == "OB"].all()
    assert not inside[group == "late B"].any()
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
    assert mask.any()
    assert not ivar[mask].any()
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
