"""Claims that hold for whatever input: of readers, broadening, interpolation, rebinning and inference.

hypothesis looks for a counter-example; what single numbers show is tested beside each module.
"""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slamlib.errors import FileError, InputError, printable
from slamlib.grid.model_grid import ModelGrid
from slamlib.instruments import LRS
from slamlib.io import read_ecsv
from slamlib.mock.lamost_write import write_lrs
from slamlib.regression.slam import Slam
from slamlib.spectra.hires import read_hires
from slamlib.spectra.lamost import read
from slamlib.spectra.spectrum import Spectrum, air_from_vacuum, to_instrument, vacuum_from_air

NATIVE = air_from_vacuum(10 ** (3.5682 + 1e-4 * np.arange(3909)))
FEW = settings(deadline=None, derandomize=True, max_examples=15, suppress_health_check=list(HealthCheck))
MANY = settings(FEW, max_examples=100)
seeds = st.integers(0, 10_000)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("any") / "file"


# --- readers


@MANY
@given(
    st.sampled_from([b"", b"SIMPLE  =", b"\x1f\x8b\x08", b"PK\x03\x04", b"# %ECSV 1.0\n# ---\n"]), st.binary()
)
@pytest.mark.parametrize("reader", [read, read_hires, read_ecsv, Slam.read, ModelGrid.read])
def test_any_bytes_are_refused_by_one_line_that_names_the_file(path, reader, head, tail):
    path.write_bytes(head + tail)
    with pytest.raises(FileError) as caught:
        reader(path)
    assert str(path) in str(caught.value)
    assert str(caught.value).isprintable()


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


@MANY
@given(st.lists(st.floats(3000, 12000), min_size=2, max_size=50, unique=True))
def test_air_and_vacuum_undo_each_other_and_keep_the_order(waves):
    wave = np.sort(waves)
    air = air_from_vacuum(wave)
    np.testing.assert_allclose(vacuum_from_air(air), wave, atol=1e-4)
    assert (air < wave).all()
    assert (np.diff(air)[np.diff(wave) > 1e-9] > 0).all()


@FEW
@given(seeds, st.floats(1e-17, 1e17))
def test_rebinning_scales_with_the_unit_of_the_flux_and_invents_no_information(seed, unit):
    rng = np.random.default_rng(seed)
    flux = rng.normal(1, 0.1, NATIVE.size)
    ivar = np.where(rng.random(NATIVE.size) < 0.05, 0, rng.uniform(1, 2, NATIVE.size))
    out_flux, out_ivar = to_instrument(NATIVE, flux, ivar, LRS)
    scaled_flux, scaled_ivar = to_instrument(NATIVE, unit * flux, ivar / unit**2, LRS)
    used = out_ivar > 0
    np.testing.assert_allclose(scaled_flux[used], unit * out_flux[used], rtol=1e-6, atol=1e-7 * unit)
    np.testing.assert_allclose(scaled_ivar, out_ivar / unit**2, rtol=1e-9)
    within = np.abs(NATIVE - LRS.wave.mean()) < np.ptp(LRS.wave) / 2 + 2
    assert out_ivar.sum() <= ivar[within].sum()


# --- broadening


# --- interpolation


# --- inference
