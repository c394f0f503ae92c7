"""compendium.tables: what is written is what was meant, in each of the three forms."""

from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Table

from compendium.printed import WIDEST
from compendium.tables import catalogue_table, write_table
from slamlib.errors import InputError


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
    table["vsini_limit"] = np.nan
    table["flag"] = np.where(np.arange(n) % 2 == 0, "I", "O")
    table["status"], table["reason"] = "ok", ""
    table["residual"] = rng.normal(size=n)
    return table


def read(path):
    return Table.read(path, format=f"ascii.{path.suffix[1:]}")


@pytest.mark.parametrize("instrument, number", [("LRS", 1), ("MRS", 2)])
def test_the_catalogue_has_the_columns_types_and_units_of_the_paper(instrument, number):
    root = Path(__file__).parents[1]
    head = Table.read(root / f"data/embedded/paper_table{number}_head.ecsv")
    table = catalogue_table(catalogue(), instrument)
    added = {"l_vsini", "status", "reason"}
    ours = [name for name in table.colnames if not name.startswith("e_") and name not in added]
    assert ours == head.colnames
    for name in head.colnames:
        assert table[name].dtype.kind == head[name].dtype.kind, name
        unit, theirs = table[name].unit, head[name].unit
        assert unit == theirs or {str(unit), str(theirs)} == {"dex(cm / s2)", "dex"}, name


def test_a_limit_of_vsini_is_printed_as_a_limit(tmp_path):
    table = catalogue()
    table["vsini"], table["e_vsini"] = [28.0, 111.0, 12.0], [30.8, 2.0, 9.0]
    table["vsini_limit"] = [76.4, np.nan, 38.2]
    published = catalogue_table(table, "LRS")
    assert published["l_vsini"].tolist() == ["<", "", "<"]
    assert published["vsini"].tolist() == [76, 111, 38]
    assert published["e_vsini"].mask.tolist() == [True, False, True]
    _, mrt, tex = write_table(published, tmp_path, "table1", "Labels")
    again = read(mrt)
    assert np.ma.filled(again["l_vsini"], "").tolist() == ["<", "", "<"]
    assert again["vsini"].tolist() == [76, 111, 38]
    assert r"& $<76$ & \nodata &" in tex.read_text() and "& 111 & 2.0 &" in tex.read_text()
    assert "l\\_vsini" not in tex.read_text()


def test_a_row_without_labels_shows_its_status_and_its_reason(tmp_path):
    table = catalogue(4)
    for name in ("teff", "logg", "mh", "vsini"):
        table[name][1:3] = table[f"e_{name}"][1:3] = np.nan
    why = "no lines of a hot star were found, whatever the velocity that was tried"
    table["status"] = ["ok", "no data", "no data", "edge"]
    table["reason"] = ["", f"spec-1.fits.gz: {why}", f"spec-2.fits: {why}", ""]
    published = catalogue_table(table, "LRS")
    assert published["reason"].tolist() == ["", why, why, ""], "the file differs, the reason does not"
    _, mrt, tex = write_table(published, tmp_path, "table1", "Labels")
    again = read(mrt)
    assert again["status"].tolist() == ["ok", "no data", "no data", "edge"]
    assert again["reason"].mask.tolist() == [True, False, False, True]
    for path in (mrt, tex):
        assert " ".join(path.read_text().split()).count(f"(1){':' if path is mrt else ''} {why}") == 1


def test_every_value_of_a_long_catalogue_survives_the_machine_readable_form(tmp_path):
    published = catalogue_table(catalogue(500), "MRS")
    _, path, _ = write_table(published, tmp_path, "table2", "Labels of MRS stars " * 12)
    again = read(path)
    # No limit and no reason in this one: columns without values are left out.
    assert again.colnames == [name for name in published.colnames if name not in ("l_vsini", "reason")]
    for name in again.colnames:
        if published[name].dtype.kind == "U":
            assert (np.ma.filled(again[name], "") == published[name]).all()
        else:
            np.testing.assert_allclose(again[name], published[name], rtol=0, atol=1e-9)
    assert again["logg"].unit == u.dex(u.cm / u.s**2) and again["vsini"].unit == u.km / u.s


def test_long_texts_become_numbered_notes_and_no_column_overflows(tmp_path):
    texts = ["short", "x " * 60, "", "y " * 90, "x " * 60]
    table = Table({"why": texts})
    _, mrt, tex = write_table(table, tmp_path, "claims", "Claims")
    assert np.ma.filled(read(mrt)["why"].astype(str), "").tolist() == ["1", "2", "", "3", "2"]
    notes = mrt.read_text()
    assert [f"Note ({n})" in notes for n in (1, 2, 3, 4)] == [True, True, True, False]
    assert max(map(len, notes.splitlines())) <= 80
    body = tex.read_text().partition("\\startdata\n")[2].partition("\\enddata")[0]
    assert max(map(len, body.splitlines())) < WIDEST and "(3) y y" in tex.read_text()


@pytest.mark.parametrize(
    ("column", "message"),
    [([], "has no rows"), (np.zeros((2, 2)), "column a"), ([np.nan], "no value")],
)
def test_bad_tables_are_refused_by_name(tmp_path, column, message):
    with pytest.raises(InputError, match=message):
        write_table(Table({"a": column}), tmp_path, "table1", "x")


@pytest.mark.parametrize("simulated", [True, False])
def test_all_three_forms_say_simulated_when_and_only_when_the_stars_are(tmp_path, simulated):
    published = catalogue_table(catalogue(simulated=simulated), "LRS")
    for path in write_table(published, tmp_path, "table1", "Labels"):
        assert ("SIMULATED" in path.read_text()) is simulated
