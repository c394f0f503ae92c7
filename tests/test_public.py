"""What slamlib makes public says which types it takes and gives; a spectrum draws itself."""

import inspect

import numpy as np
import pytest
from matplotlib.figure import Figure

import slamlib


@pytest.mark.parametrize("name", [name for name in slamlib.PUBLIC if callable(getattr(slamlib, name))])
def test_public_names_have_type_hints(name):
    public = getattr(slamlib, name)
    if inspect.isclass(public) and issubclass(public, Exception):
        return
    signature = inspect.signature(public)
    untyped = [key for key, one in signature.parameters.items() if one.annotation is one.empty]
    assert untyped == []
    assert inspect.isclass(public) or signature.return_annotation is not signature.empty


def test_a_spectrum_draws_its_good_pixels_and_says_that_it_is_simulated():
    wave, mask = np.arange(4000.0, 4010.0), np.arange(10) == 4
    header = {"file": "a$b.fits", "simulated": True}
    spectrum = slamlib.Spectrum(wave, wave**2, np.ones(10), mask, header)
    axes = spectrum.plot(Figure().subplots(), color="red")
    (line,) = axes.lines
    np.testing.assert_array_equal(line.get_xdata(), wave)
    np.testing.assert_array_equal(line.get_ydata(), np.where(mask, np.nan, wave**2))
    assert line.get_color() == "red"
    assert axes.get_title() == r"a\$b.fits (simulated)"
    assert "AA" in axes.get_xlabel()
