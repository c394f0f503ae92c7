"""Spectra in TLUSTY's official format: numbers, names and means over pixels."""

from itertools import pairwise

import numpy as np
import pytest

from slamlib.errors import FileError
from slamlib.grid.tlusty.read import normalised_means, pixel_means, read_columns

# --- the format


FORTRAN = {
    "1.234D+05": 1.234e5,
    "1.234d+05": 1.234e5,
    "2.58-101": 2.58e-101,
    "2.-101": 2e-101,
    "4.5E-02": 4.5e-2,
    "-1.5-101": -1.5e-101,
    "7": 7.0,
}


@pytest.mark.parametrize(("text", "value"), FORTRAN.items())
def test_fortran_numbers_are_read(text, value):
    wave, flux = read_columns(f"  4000.0000  {text}\r\n 4.00001D+03 {text}\n\n".encode(), "a.vis.7")
    np.testing.assert_array_equal(wave, [4000.0, 4000.01])
    np.testing.assert_array_equal(flux, [value, value])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "4000.0 ********\n4001.0 1.0\n",
        "4000.0\n4001.0 1.0\n",
        "4000.0 1.0 2.0\n",
        "4000.0 1.0 2.0\n4001.0\n4002.0\n",
        "4000.0 NaN\n4001.0 1.0\n",
        "<html>404 Not Found</html>\n",
        "\x1f\x8b\x08\n",
    ],
)
def test_what_is_not_two_columns_is_refused_by_name(text):
    with pytest.raises(FileError, match=r"BG1\.vis\.7 is not two columns"):
        read_columns(text.encode("latin1"), "BG1.vis.7")


# --- binning


@pytest.mark.parametrize("seed", range(5))
def test_means_equal_the_trapezoid_over_all_knots_and_edges(seed):
    """On the union of points and edges the function is linear in every piece."""
    rng = np.random.default_rng(seed)
    wave = np.unique(rng.uniform(4000, 4010, 300))
    flux = rng.uniform(0, 2, wave.size)
    edges = np.linspace(wave[0], wave[-1], 50)
    expected = []
    for low, high in pairwise(edges):
        knots = np.unique(np.concatenate([[low, high], wave[(wave > low) & (wave < high)]]))
        expected.append(np.trapezoid(np.interp(knots, wave, flux), knots) / (high - low))
    np.testing.assert_allclose(pixel_means(wave, flux, edges), expected, atol=1e-8)


def test_a_spectrum_divided_by_the_wrong_continuum_is_refused():
    wave = np.linspace(4000, 4010, 50)
    with pytest.raises(FileError, match=r"BG1\.vis\.7: flux over continuum runs from 10 to 10"):
        normalised_means((wave, wave * 10), (wave, wave), wave[[0, 20, -1]], "BG1.vis.7")
    with pytest.raises(FileError, match="no normalised spectrum"):
        normalised_means((wave, wave), (wave, 0 * wave), wave[[0, 20, -1]], "BG1.vis.7")
