"""Files are whole or absent; messages are one line; public names say which types they take and give."""

import inspect

import numpy as np
import pytest
from astropy.table import Table
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

import slamlib
from slamlib.errors import FileError, printable
from slamlib.io import atomic, read_ecsv, write_ecsv


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_beside_it(tmp_path):
    target = tmp_path / "labels.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError, match="power cut"), atomic(target) as temporary:
        temporary.write_text("half of the n")
        raise RuntimeError("power cut")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_tables_survive_the_disk_with_units_and_empty_text(tmp_path):
    table = Table({"teff": [20000.0, float("nan")], "flag": ["I", ""]}, units={"teff": "K"})
    write_ecsv(table, tmp_path / "new" / "labels.ecsv")
    again = read_ecsv(tmp_path / "new" / "labels.ecsv")
    assert again["teff"].unit == "K"
    assert again["flag"].tolist() == ["I", ""]
    assert not again.has_masked_columns


def test_what_is_no_table_is_refused_and_named(tmp_path):
    (tmp_path / "notes.ecsv").write_text("no table\nat all, really\n")
    with pytest.raises(FileError, match=r"notes\.ecsv is not a readable ECSV table"):
        read_ecsv(tmp_path / "notes.ecsv")
    with pytest.raises(FileError, match=r"no table .*absent\.ecsv"):
        read_ecsv(tmp_path / "absent.ecsv")


def written(path):
    write_ecsv(Table({"teff": [20000.0, 21000.0], "flag": ["I", "I"]}), path)
    return path, path.read_text()


def test_a_table_of_a_newer_slamlib_is_refused_politely(tmp_path):
    path, text = written(tmp_path / "labels.ecsv")
    assert "format: 1" in text
    path.write_text(text.replace("format: 1", "format: 7"))
    with pytest.raises(FileError, match=r"labels\.ecsv was written by a newer .*format 7.*upgrade slamlib"):
        read_ecsv(path)


@settings(deadline=None, derandomize=True)
@given(st.text(st.characters()))
def test_a_message_is_one_line_and_what_can_be_read_stays(text):
    assert printable(text).isprintable()
    assert printable(printable(text)) == printable(text) == str(FileError(text))
    if text.isprintable():
        assert printable(text) == text


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
