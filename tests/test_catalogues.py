"""Catalogues come whole from VizieR, isochrones from CMD; labels are compared number by number."""

import numpy as np
import pytest
import serving
from astropy import units as u
from astropy.table import MaskedColumn, Table

from compendium.comparisons import compare_published
from slamlib.errors import FileError, InputError
from slamlib.fetch.catalogues import check_hrs_labels, fetch, read_catalogue, read_first
from slamlib.fetch.download import RequestPolicy
from slamlib.fetch.isochrones import convert
from slamlib.io import embedded, read_ecsv, write_ecsv

LISTED, COLUMNS = (read_ecsv(embedded(f"vizier_{name}.ecsv")) for name in ("catalogues", "columns"))
FAST = RequestPolicy(workers=1, interval=0, backoff=0, attempts=2, timeout=5, longest_wait=3)
# Of the server, where a column is named as VizieR names it, [M/H].
pytestmark = pytest.mark.filterwarnings("ignore:.*Implicitly generating an ID from a name")
NAMES = "# Zini     MH   logAge Mini        int_IMF         Mass   logL    logTe  logg  label  mbolmag  Gmag"


@pytest.fixture
def server(tmp_path):
    with serving.serving(tmp_path / "server") as running:
        running.catalogues = {
            "J/ApJS/257/54": {"table1": published(), "table2": published()[:2]},
            "J/ApJS/241/32": {"table3": Table({"ObsID": [7, 8]})},
            "J/A+A/539/A143": {"table2": nieva(hrs_labels())},
            "J/A+A/532/A2": {"table1": nieva(hrs_labels())},
        }
        yield running


def hrs_labels():
    return read_ecsv(embedded("hrs_labels.ecsv"))


def nieva(labels):
    """The embedded labels as a table of VizieR: HD numbers, kilokelvin, other names."""
    table = Table({"HD": [int(star.removeprefix("HD")) for star in labels["star"]]})
    table["Teff"], table["e_Teff"] = (labels[name].data / 1000 * u.kK for name in ("teff", "e_teff"))
    table["log(g)"], table["vsini"] = labels["logg"].data, labels["vsini"].data * u.km / u.s
    return table


def published():
    return Table(
        {
            "ObsID": [51401075, 203808205, 253216223],
            "_RAJ2000": [237.0048, 93.7223, 322.9148] * u.deg,
            "_DEJ2000": [-2.5811, 12.3566, 50.8778] * u.deg,
            "Teff": MaskedColumn([39714.0, 31784.0, 0.0], mask=[False, False, True], unit=u.K),
            "log(g)": [4.4, 4.2, 4.0],
            "[M/H]": [-0.74, -0.6, -0.56],
            "vsini": [6.0, 8.0, 1.0] * u.km / u.s,
        }
    )


def get(server, folder, *names, lines=None, policy=FAST):
    base, say = getattr(server, "base", server), None if lines is None else lines.append
    return fetch(LISTED, folder, policy, names=names, server=base, say=say, progress=False)


def test_a_catalogue_arrives_as_it_is_and_as_one_ecsv_file_a_table(server, tmp_path):
    report = get(server, tmp_path, "guo2021")
    assert [path.name for path in report.fetched] == ["guo2021"]
    there = {path.name for path in (tmp_path / "guo2021").iterdir()}
    assert there == {"guo2021.vot", "manifest.ecsv", "table1.ecsv", "table2.ecsv"}
    table = read_ecsv(tmp_path / "guo2021/table1.ecsv")
    assert table.colnames == published().colnames
    assert table["ObsID"].tolist() == published()["ObsID"].tolist()
    assert table["Teff"].unit == u.K and table["Teff"].mask.tolist() == [False, False, True]
    assert len(read_ecsv(tmp_path / "guo2021/table2.ecsv")) == 2
    [(asked, headers)] = server.seen
    for part in ("-source=J/ApJS/257/54&", "-out.all&", "-out.max=unlimited", "_RAJ2000,_DEJ2000"):
        assert part in asked
    assert headers["User-Agent"].startswith("slamlib/")


def test_columns_are_brought_to_our_names_and_units(server, tmp_path):
    get(server, tmp_path, "nieva2012", "guo2021")
    table = read_catalogue(tmp_path / "nieva2012/table2.ecsv", COLUMNS, "nieva2012")
    labels = hrs_labels()
    assert table.colnames == ["star", "teff", "e_teff", "logg", "vsini"]
    np.testing.assert_allclose(table["teff"], labels["teff"])
    assert table["teff"].unit == u.K
    ours = read_catalogue(tmp_path / "guo2021/table1.ecsv", COLUMNS, "guo2021")
    assert ours.colnames == ["obsid", "ra", "dec", "teff", "logg", "mh", "vsini"]
    assert ours["teff"].mask.tolist() == [False, False, True]


def test_a_missing_column_is_named_with_those_present(tmp_path):
    table = published()
    table.rename_column("vsini", "broad")
    write_ecsv(table, tmp_path / "t.ecsv")
    with pytest.raises(InputError, match=r"none of vsini .*for vsini; it has ObsID, .*broad.*vizier_columns"):
        read_catalogue(tmp_path / "t.ecsv", COLUMNS, "guo2021")
    write_ecsv(published(), tmp_path / "right.ecsv")
    right = read_first([tmp_path / "t.ecsv", tmp_path / "right.ecsv"], COLUMNS, "guo2021")
    assert len(right) == 3


def test_each_difference_of_labels_is_reported_with_both_numbers(server, tmp_path):
    get(server, tmp_path, "nieva2012")
    theirs = read_catalogue(tmp_path / "nieva2012/table2.ecsv", COLUMNS, "nieva2012")
    labels = hrs_labels()
    assert len(check_hrs_labels(labels, theirs)) == 0
    labels["teff"][1] += 100
    labels["logg"][2] = np.nan
    labels["star"][3], labels["name"][3] = "HD999999", "nobody"
    found = check_hrs_labels(labels, theirs)
    assert found["star"].tolist() == [*labels["star"][1:3], "HD999999"]
    assert found["label"].tolist() == ["teff", "logg", "star"]
    np.testing.assert_allclose(found["difference"], [100, np.nan, np.nan])


def labelled(n, offset=0.0):
    table = Table({"obsid": 1 + np.arange(n), "ra": 10.0 * np.arange(n), "dec": np.zeros(n)})
    table["teff"] = 20000.0 + 1000 * np.arange(n) + offset
    table["logg"], table["mh"], table["vsini"] = 4.0, -0.1, 50.0
    return table


def test_stars_are_matched_by_obsid_whatever_their_order():
    ours, theirs = labelled(3, offset=150), labelled(4)[::-1]
    theirs["teff"] = MaskedColumn(theirs["teff"], mask=[False, False, True, False])
    table = compare_published(ours, theirs)
    assert table["obsid"].tolist() == [1, 2, 3]
    np.testing.assert_array_equal(table["d_teff"], [150, np.nan, 150])
    meta = table.meta
    assert (meta["matched_by"], meta["n_ours"], meta["n_published"]) == ("obsid", 3, 4)
    assert (meta["median_d_teff"], meta["scatter_d_teff"]) == (150, 0)


def row(mh, age, mass, phase=1, log_te=4.3):
    return f"0.0152 {mh} {age} {mass} 1.2 {mass} 3.1 {log_te} 4.05 {phase}  0 -2.5"


def write(path, *lines):
    path.write_text("\n".join(lines) + "\n")
    return path


def read_cmd(path):
    return convert(path, path.parent / "out.ecsv")


def test_the_embedded_isochrones_written_as_cmd_does_are_read_back(tmp_path, isochrones):
    some = isochrones[::50]
    names = ("mh", "log_age", "initial_mass", "log_l", "log_teff", "logg", "phase")
    rows = ("0.0 {} {} {} 1.0 1.0 {} {} {} {} 0 0".format(*row) for row in some[names].iterrows())
    path = write(tmp_path / "cmd.dat", "# File generated by CMD 3.8", NAMES, *rows)
    table = read_cmd(path)
    assert table.colnames == isochrones.colnames
    for name in isochrones.colnames:
        assert table[name].dtype == isochrones[name].dtype
        np.testing.assert_array_equal(table[name], some[name])
    back = read_ecsv(tmp_path / "out.ecsv")
    assert back.colnames == isochrones.colnames
    np.testing.assert_array_equal(back["log_teff"], some["log_teff"])
    assert "cmd.dat" in back.meta["source"]


@pytest.mark.parametrize("bad", ["0.0152 0 6.0 2.0", row(0, 6, "nan"), row(0, 6, "two")])
def test_a_cut_or_damaged_row_and_a_file_without_any_are_named(tmp_path, bad):
    with pytest.raises(FileError, match="is cut or damaged"):
        read_cmd(write(tmp_path / "cmd.dat", NAMES, row(0, 6, 2), bad))
    with pytest.raises(FileError, match="is cut or damaged"):
        read_cmd(write(tmp_path / "empty.dat", NAMES))
