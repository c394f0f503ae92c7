"""slamlib.paper.tables: what is written is what was meant, in each of the three forms."""

from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.table import MaskedColumn, Table

from slamlib.errors import InputError
from slamlib.paper.tables import ROWS_OF_A_SAMPLE, catalogue_table, write_table


def catalogue(n=3, simulated=True):
    rng = np.random.default_rng(1)
    table = Table(meta={"simulated": simulated})
    table["obsid"] = np.arange(n) + 703901108
    table["ra"], table["dec"] = rng.uniform(0, 360, n), rng.uniform(-10, 60, n)
    table["snr"] = table["snr_r"] = table["snr_b"] = rng.uniform(20, 300, n)
    table["mjd"] = rng.uniform(58000, 59000, n)
    ranges = {"teff": (15000, 55000), "logg": (1.8, 4.8), "mh": (-1, 0.3), "vsini": (0, 300)}
    for name, limits in ranges.items():
        table[name] = rng.uniform(*limits, n)
        table[f"e_{name}"] = 0.01 * np.ptp(limits) * rng.uniform(0.5, 1, n)
    table["flag"] = np.where(np.arange(n) % 2 == 0, "I", "")
    table["residual"] = rng.normal(size=n)
    return table


def read(path):
    return Table.read(path, format=f"ascii.{path.suffix[1:]}")


@pytest.mark.parametrize("instrument, number", [("LRS", 1), ("MRS", 2)])
def test_the_catalogue_has_the_columns_types_and_units_of_the_paper(instrument, number):
    root = Path(__file__).parents[1]
    head = Table.read(root / f"data/embedded/paper_table{number}_head.ecsv")
    table = catalogue_table(catalogue(), instrument)
    assert [name for name in table.colnames if not name.startswith("e_")] == head.colnames
    for name in head.colnames:
        assert table[name].dtype.kind == head[name].dtype.kind, name
        unit, theirs = table[name].unit, head[name].unit
        assert unit == theirs or {str(unit), str(theirs)} == {"dex(cm / s2)", "dex"}, name


def test_the_catalogue_rounds_to_printed_digits_and_leaves_its_input_alone():
    table = catalogue()
    table["teff"][0], table["mh"][0], table["ra"][0] = 16841.49, -0.004, 35.40664
    before = table.copy()
    row = catalogue_table(table, "LRS")[0]
    assert (row["teff"], row["ra"]) == (16841, 35.4066)
    assert str(row["mh"]) == "0.0", "minus zero would print as -0.00"
    assert table.colnames == before.colnames and (table["teff"] == before["teff"]).all()


def test_a_star_without_labels_is_masked_not_invented(tmp_path):
    table = catalogue()
    for name in ("teff", "logg", "mh", "vsini"):
        table[name][1] = table[f"e_{name}"][1] = np.nan
    published = catalogue_table(table, "LRS")
    ecsv, mrt, tex = write_table(published, tmp_path, "table1", "Labels")
    for path in (ecsv, mrt):
        again = read(path)
        assert again["teff"].mask.tolist() == [False, True, False]
        assert again["e_logg"].mask.tolist() == [False, True, False]
    assert tex.read_text().count(r"\nodata") == 8


def test_every_value_of_a_long_catalogue_survives_the_machine_readable_form(tmp_path):
    published = catalogue_table(catalogue(500), "MRS")
    _, path, _ = write_table(published, tmp_path, "table2", "Labels of MRS stars " * 12)
    again = read(path)
    assert again.colnames == published.colnames
    for name in published.colnames:
        if published[name].dtype.kind == "U":
            assert (np.ma.filled(again[name], "") == published[name]).all()
        else:
            np.testing.assert_allclose(again[name], published[name], rtol=0, atol=1e-9)
    assert again["logg"].unit == u.dex(u.cm / u.s**2)
    assert again["vsini"].unit == u.km / u.s


def test_the_truth_is_read_back_exactly(tmp_path):
    table = Table({"x": np.random.default_rng(2).normal(size=9) * u.K, "ok": [True, False, True] * 3})
    path, *_ = write_table(table, tmp_path, "any", "Any")
    again = read(path)
    assert (again["x"] == table["x"]).all() and again["x"].unit == u.K
    assert again["ok"].dtype == bool and again.meta["caption"] == "Any"


def test_numbers_of_very_different_size_keep_their_digits(tmp_path):
    """astropy alone writes 16032 beside 1e-07 as 2e+04."""
    table = Table({"value": [1e-7, 16032.0, -0.25]})
    _, path, _ = write_table(table, tmp_path, "claims", "Claims")
    np.testing.assert_allclose(read(path)["value"], table["value"], rtol=1e-5)


def test_a_column_without_values_is_left_out_and_named(tmp_path):
    """astropy alone gives it bytes 38-37."""
    table = Table({"n": [1, 2], "ours": MaskedColumn([np.nan, 1.0], mask=[False, True])})
    _, path, tex = write_table(table, tmp_path, "claims", "Claims")
    assert read(path).colnames == ["n"]
    assert "Column ours is left out" in path.read_text()
    assert r"\colhead{ours}" in tex.read_text()


def test_dex_text_and_truth_values_pass_through_the_machine_readable_form(tmp_path):
    table = Table({"mh": [-0.25, 0.1] * u.dex, "why": ["ü, two\nlines", ""], "met": [True, False]})
    _, path, _ = write_table(table, tmp_path, "claims", "Simón-Díaz – 5 × 10")
    again = read(path)
    assert again["mh"].tolist() == [-0.25, 0.1]
    assert again["why"][0] == "u, two lines" and again["why"].mask.tolist() == [False, True]
    assert again["met"].tolist() == ["True", "False"]
    assert path.read_text().isascii() and "Simon-Diaz - 5 x 10" in path.read_text()


def test_writing_twice_gives_the_same_bytes(tmp_path):
    published = catalogue_table(catalogue(80), "LRS")
    first = write_table(published, tmp_path / "a", "table1", "Labels")
    second = write_table(published, tmp_path / "b", "table1", "Labels")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


@pytest.mark.parametrize("simulated", [True, False])
def test_all_three_forms_say_simulated_when_and_only_when_the_stars_are(tmp_path, simulated):
    published = catalogue_table(catalogue(simulated=simulated), "LRS")
    for path in write_table(published, tmp_path, "table1", "Labels"):
        assert ("SIMULATED" in path.read_text()) is simulated


def test_a_long_table_prints_its_first_rows_and_says_so(tmp_path):
    published = catalogue_table(catalogue(500), "LRS")
    *_, path = write_table(published, tmp_path, "table1", "Labels")
    text = path.read_text()
    body = text.partition("\\startdata\n")[2].partition("\\enddata")[0].strip().splitlines()
    assert len(body) == ROWS_OF_A_SAMPLE and "of 500 rows" in text
    assert {line.count("&") for line in body} == {len(published.colnames) - 1}


def test_text_that_tex_would_misread_is_escaped(tmp_path):
    table = Table({"a_b": ["50% of log g < 2 & more"]})
    *_, path = write_table(table, tmp_path, "claims", "H_alpha")
    assert r"50\% of log g $<$ 2 \& more" in path.read_text()
    assert r"\colhead{a\_b}" in path.read_text() and r"H\_alpha" in path.read_text()


def test_bad_tables_are_refused_by_name(tmp_path):
    with pytest.raises(InputError, match="table1 has no rows"):
        write_table(Table({"a": []}), tmp_path, "table1", "x")
    with pytest.raises(InputError, match="column a"):
        write_table(Table({"a": np.zeros((2, 2))}), tmp_path, "table1", "x")
    with pytest.raises(InputError, match="no value at all"):
        write_table(Table({"a": [np.nan]}), tmp_path, "table1", "x")
    lacking = catalogue()
    del lacking["snr_b"]
    with pytest.raises(InputError, match="MRS catalogue lacks the columns snr_b"):
        catalogue_table(lacking, "MRS")
    with pytest.raises(InputError, match="unknown instrument"):
        catalogue_table(lacking, "HRS")
