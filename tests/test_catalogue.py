"""From files to a catalogue: bad files cost a row, parts are kept; recovery; tables as other tools read."""

import os
import shutil
import time
import warnings
from dataclasses import replace
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.io.votable import parse_single_table
from astropy.io.votable.ucd import check_ucd
from astropy.table import Column, Table

from compendium.comparisons import common_stars, recovery
from slamlib.cli.output import read_table, samp_module, send, write
from slamlib.errors import FileError, InputError
from slamlib.instruments import LRS
from slamlib.labelling import catalogue, luminosity
from slamlib.labelling.catalogue import label_survey
from slamlib.labelling.labeller import Labeller
from slamlib.labelling.ucd import _UCDS, ucd_of
from slamlib.labels import LABELS, NAMES
from slamlib.spectra.reading import Hints


@pytest.fixture(scope="module")
def saved(matched_slam, labeller, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "krr_LRS.npz"
    labeller(matched_slam).save(path)
    return path


@pytest.fixture(scope="module")
def label(saved):
    """Give `label_survey` with everything but the files and the folder filled in."""

    def run(paths, folder, path=saved, rv=catalogue.MEASURED, labellers=None):
        return label_survey(paths, labellers or {"krr": path}, folder, rv, progress=False)

    return run


@pytest.fixture
def few(lrs_survey, tmp_path):
    """Paths of three good files in a folder of their own."""
    return [Path(shutil.copy(path, tmp_path)) for path in lrs_survey[1][:3]]


def test_a_second_model_adds_columns_of_its_own_name(few, label, saved, tmp_path):
    table = label(few, tmp_path / "parts", labellers=dict.fromkeys(("krr", "svr"), saved))
    for name in (*NAMES, *(f"e_{label}" for label in NAMES), "flag", "status"):
        np.testing.assert_array_equal(table[f"{name}_svr"], table[name])


def test_each_bad_file_costs_one_row_with_its_reason_and_the_order_is_kept(few, label, lrs_survey, tmp_path):
    good, cut, other = few
    cut.write_bytes(cut.read_bytes()[:3000])
    text = tmp_path / "note.fits.gz"
    text.write_text("this is no spectrum\n" * 50)
    blank = tmp_path / "blank.fits.gz"
    with fits.open(other) as hdus:
        # The pipeline's mask of what is bad in all exposures, set everywhere.
        hdus[0].data[3] = 1
        hdus.writeto(blank)
    missing = tmp_path / "missing.fits.gz"
    paths = [cut, good, text, missing, blank, other]
    table = label(paths, tmp_path / "parts")
    assert list(table["file"]) == [path.name for path in paths]
    usable = np.array([False, True, False, False, False, True])
    np.testing.assert_array_equal(table["reason"] == "", usable)
    np.testing.assert_array_equal(table["status"] == "no data", ~usable)
    assert np.isnan(np.array([table[name][~usable] for name in NAMES])).all()
    assert not (table["flag"][~usable] == "I").any()
    assert all(table["file"][i] in table["reason"][i] for i in np.flatnonzero(~usable))
    for i, words in ((0, "truncated"), (2, "FITS"), (3, "missing"), (4, "every pixel is masked")):
        assert words in table["reason"][i]
    # The good ones are what they are without bad neighbours.
    expected = label(lrs_survey[1], tmp_path / "alone")[[0, 2]]
    for name in NAMES:
        np.testing.assert_allclose(table[name][usable], expected[name], rtol=1e-3, atol=1e-2)


def test_only_the_parts_not_finished_are_made(few, label, tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "PART", 1)
    one_by_one = label(few, tmp_path / "parts")
    parts = sorted((tmp_path / "parts").glob("*.ecsv"), key=lambda path: path.stat().st_mtime_ns)
    assert len(parts) == 3
    parts[1].unlink()
    again = label(few, tmp_path / "parts")
    assert again.pformat(max_lines=-1, max_width=-1) == one_by_one.pformat(max_lines=-1, max_width=-1)
    parts[2].unlink()
    monkeypatch.setattr(Labeller, "fit", None)  # whatever is labelled anew ends in a TypeError
    label(few[:2], tmp_path / "parts")
    with pytest.raises(TypeError):
        label(few, tmp_path / "parts")


def test_a_file_of_the_same_name_size_and_date_gets_its_own_labels(few, label, tmp_path):
    size = max(path.stat().st_size for path in few)
    obsids = []
    for i, source in enumerate(few[:2]):
        path = tmp_path / str(i) / "spec.fits.gz"
        path.parent.mkdir()
        # Zeros after a gzip stream mean nothing.
        path.write_bytes(source.read_bytes().ljust(size, b"\0"))
        os.utime(path, ns=(10**18, 10**18))
        obsids.append(label([path], tmp_path / "parts")["obsid"][0])
    assert obsids[0] != obsids[1]


@pytest.mark.parametrize("changed", ["model", "rv", "file"])
def test_parts_made_from_something_else_are_not_reused(changed, few, label, saved, tmp_path, monkeypatch):
    label(few, tmp_path / "parts")
    monkeypatch.setattr(Labeller, "fit", None)
    options = {}
    if changed == "model":
        options["path"] = tmp_path / "other.npz"
        labeller = Labeller.read(saved)
        replace(labeller, about=labeller.about | {"n_train": 1}).save(options["path"])
    elif changed == "rv":
        options["rv"] = 0.0
    else:
        # Of the same size.
        few[0].write_bytes(few[0].read_bytes()[::-1])
    with pytest.raises(TypeError):
        label(few, tmp_path / "parts", **options)


def test_an_instrument_whose_pixels_were_asked_for_is_no_other(saved):
    hints = Hints(replace(LRS))
    before = catalogue.recipe_digest({"krr": saved}, catalogue.MEASURED, hints)
    assert hints.instrument.good.any()
    assert catalogue.recipe_digest({"krr": saved}, catalogue.MEASURED, hints) == before


def test_recovery_is_that_computed_by_hand():
    n = 6
    true = Table({"obsid": np.arange(n), "group": ["OB"] * 5 + ["late B"], "snr": [99.0] * 4 + [60.0, 99.0]})
    found = Table({"obsid": np.arange(n), "status": ["ok", "ok", "ok", "poor fit", "ok", "ok"]})
    errors = [3.0, 1.0, -1.0, 500.0, 700.0, 900.0]
    for scale, name in enumerate(NAMES, start=1):
        true[name] = 10.0
        found[name] = 10.0 + scale * np.array(errors)
        found[f"e_{name}"] = scale * np.array([0.5, 1.0, 2.0, 9.0, 9.0, 9.0])
    # The catalogue's order is not the truth's.
    table = recovery(found[::-1], true, "MRS")
    assert list(table["label"]) == list(NAMES) and set(table["instrument"]) == {"MRS"}
    for scale, row in enumerate(table, start=1):
        # Stars 0, 1 and 2 count: errors 3, 1, -1, quoted 0.5, 1, 2.
        assert row["n"] == 3
        assert row["scatter"] == pytest.approx(scale * np.sqrt(11 / 3))
        assert row["bias"] == pytest.approx(scale * 1.0)
        assert row["mad"] == pytest.approx(scale * 1.4826 * 2)
        assert row["error"] == pytest.approx(scale * 1.0)
        assert row["outliers"] == pytest.approx(1 / 3)


def placed(obsid, ra, dec, teff=None):
    table = Table({"obsid": obsid, "ra": ra, "dec": dec, "snr": [99.0] * len(obsid)})
    table["flag"], table["vsini_limit"] = ["I"] * len(obsid), np.nan
    for name in NAMES:
        table[name] = 1000.0 + np.array(obsid)
        table[f"e_{name}"] = 1.0
    if teff is not None:
        table["teff"] = teff
    return table


def test_stars_are_paired_by_place_whatever_their_number_and_order():
    second = 1 / 3600
    # Star 3 is 4 arcsec off, star 4 has no label, star 5 no place.
    teff = [1, 2, 3, np.nan, 5.0]
    lrs = placed([1, 2, 3, 4, 5], [10.0, 359.99999, 30, 40, np.nan], [60.0, 0, 0, 0, 0], teff)
    mrs = placed([12, 11, 13, 14], [0.00001, 10 + 2.5 * second, 30 + 4 * second, 40], [0, 60.0, 0, 0])
    pairs = common_stars(lrs, mrs)
    # At declination 60 deg 2.5 arcsec of right ascension are 1.25 arcsec on the sky.
    assert [tuple(row) for row in pairs["obsid_lrs", "obsid_mrs"]] == [(1, 11), (2, 12)]
    np.testing.assert_array_equal(pairs["logg_mrs"], [1011, 1012])
    np.testing.assert_array_equal(pairs["e_vsini_lrs"], 1)
    assert len(common_stars(lrs, mrs, radius=5.0)) == 3


@pytest.fixture
def table():
    """Two rows, one without labels."""
    made = Table()
    made["file"] = Column(["=a.fits", "b.fits"], description="file name")
    made["simulated"] = Column([True, False], description="the file says that it is simulated")
    made["obsid"] = Column([1, 0], description="unique number of the spectrum")
    made["ra"] = Column([10.0, np.nan], unit="deg", description="right ascension")
    for label in LABELS:
        made[label.name] = Column([20000.0, np.nan], unit=label.unit, description=label.description)
        made[f"e_{label.name}"] = Column([0.1, np.nan], unit=label.unit, description="standard error")
    made["ew_mg4481"] = Column([0.3, np.nan], unit=u.AA, description="equivalent width")
    made["note"] = Column(["", "weak He II"], description="a known fault")
    return made


@pytest.mark.parametrize("suffix", [".vot", ".fits", ".ecsv"])
def test_tables_keep_units_descriptions_and_ucds(table, suffix, tmp_path):
    before = table.copy()
    write(table, tmp_path / f"labels{suffix}")
    found = read_table(tmp_path / f"labels{suffix}")
    assert found.colnames == table.colnames
    for name in table.colnames:
        np.testing.assert_array_equal(found[name], before[name])
        # What the format cannot say of a unit, the description says.
        assert found[name].unit == before[name].unit or f"[{before[name].unit}]" in found[name].description
        assert found[name].description.startswith(before[name].description)
    assert not any(column.meta for column in table.itercols())


def test_other_tools_see_the_ucds(table, tmp_path):
    for suffix in (".vot", ".fits"):
        write(table, tmp_path / f"labels{suffix}")
    # Whatever breaks the standard is an exception; that VOUnits would rather have 0.1 nm does not.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", u.UnitsWarning)
        fields = parse_single_table(tmp_path / "labels.vot", verify="exception").fields
    header = fits.getheader(tmp_path / "labels.fits", 1)
    for i, (field, name) in enumerate(zip(fields, table.colnames, strict=True), 1):
        assert (field.ucd or "") == ucd_of(name) == header[f"TUCD{i}"]
        assert field.description
    assert ucd_of("e_teff") == "stat.error;phys.temperature.effective"


def test_every_ucd_is_of_the_controlled_vocabulary():
    names = [*_UCDS, *(f"e_{name}" for name in ("rv", "logg", "mass", "log_l_plx")), "ew_halpha"]
    assert not [name for name in names if not check_ucd(ucd_of(name), check_controlled_vocabulary=True)]
    assert all(ucd_of(name) for name, *_ in luminosity._COLUMNS)


def test_what_is_no_table_is_said_in_one_line(tmp_path):
    (tmp_path / "a.vot").write_text("no table")
    with pytest.raises(FileError, match=r"cannot read the table .*a\.vot"):
        read_table(tmp_path / "a.vot")


def test_a_table_arrives_over_samp(table, tmp_path, monkeypatch):
    monkeypatch.setenv("SAMP_HUB", f"std-lockurl:{(tmp_path / 'samp').as_uri()}")
    with pytest.raises(InputError, match="no SAMP hub runs here"):
        send(table, tmp_path / "sent.vot")
    samp = samp_module()
    hub = samp.SAMPHubServer(web_profile=False, lockfile=str(tmp_path / "samp"), addr="127.0.0.1")
    hub.start()
    listener, arrived = samp.SAMPIntegratedClient(), []
    try:
        listener.connect()
        note = lambda key, sender, mtype, params, extra: arrived.append(params)  # noqa: E731
        listener.bind_receive_notification("table.load.votable", note)
        for attempt in range(1200):  # a busy machine takes its time, and its hub may lose a message
            if attempt % 200 == 0:
                send(table, tmp_path / "sent.vot")
            if arrived:
                break
            time.sleep(0.05)
        assert {params["url"] for params in arrived} == {(tmp_path / "sent.vot").as_uri()}
    finally:
        listener.disconnect()
        hub.stop()
