"""Claims that hold for whatever input: of readers, broadening, interpolation, rebinning and inference.

hypothesis looks for a counter-example; what single numbers show is tested beside each module.
"""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slamlib.errors import InputError, printable
from slamlib.mock.lamost_write import write_lrs
from slamlib.spectra.lamost import read
from slamlib.spectra.spectrum import Spectrum, air_from_vacuum

NATIVE = air_from_vacuum(10 ** (3.5682 + 1e-4 * np.arange(3909)))
FEW = settings(deadline=None, derandomize=True, max_examples=15, suppress_health_check=list(HealthCheck))
MANY = settings(FEW, max_examples=100)
seeds = st.integers(0, 10_000)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("any") / "file"


# --- readers


@MANY
@given(st.text(st.characters()))
def test_a_message_is_one_line_and_what_can_be_read_stays(text):
    assert printable(text).isprintable()
    assert printable(printable(text)) == printable(text)
    assert str(InputError(text)) == printable(text)
    if text.isprintable():
        assert printable(text) == text


@FEW
@given(
    st.integers(0, 2**53),
    st.floats(0, 360),
    st.floats(-90, 90),
    st.floats(-900, 900),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
    seeds,
)
def test_whatever_a_header_holds_is_read_as_it_was_written(path, obsid, ra, dec, rv, subclass, seed):
    rng = np.random.default_rng(seed)
    mask = rng.random(NATIVE.size) < rng.random()
    mask[0] = False
    known = {"obsid": obsid, "ra": ra, "dec": dec, "rv": rv, "subclass": subclass}
    ivar = np.where(mask, 0, rng.uniform(0.1, 10, NATIVE.size))
    written = Spectrum(NATIVE, rng.normal(100, 30, NATIVE.size), ivar, mask, known)
    write_lrs(path, written)
    found = read(path)
    for name in ("flux", "ivar"):
        np.testing.assert_allclose(getattr(found, name), getattr(written, name), rtol=1e-6)
    np.testing.assert_array_equal(found.mask, mask)
    assert found.header["obsid"] == obsid
    assert found.header["subclass"] == subclass.strip()
    assert [found.header[name] for name in ("ra", "dec")] == pytest.approx([ra, dec], rel=1e-12, abs=1e-300)
    assert found.header["rv"] == pytest.approx(rv, rel=1e-9, abs=1e-9)


# --- wavelengths and rebinning


# --- broadening


# --- interpolation


# --- inference
