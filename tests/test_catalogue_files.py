"""Catalogues as other tools read them: VOTable, FITS and ECSV with units, descriptions and UCDs; SAMP."""

import time
import warnings

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.io.votable import parse_single_table
from astropy.io.votable.ucd import check_ucd
from astropy.table import Column, Table

from slamlib.cli.output import read_table, samp_module, send, write
from slamlib.errors import FileError, InputError
from slamlib.labelling import luminosity
from slamlib.labelling.ucd import _UCDS, ucd_of
from slamlib.labels import LABELS


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
    wrong = [
        name
        for name in names
        if not check_ucd(ucd_of(name), check_controlled_vocabulary=True, has_colon=False)
    ]
    assert not wrong
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
        send(table, tmp_path / "sent.vot")
        for _ in range(1200):  # a busy machine takes its time
            if arrived:
                break
            time.sleep(0.05)
        assert [params["url"] for params in arrived] == [(tmp_path / "sent.vot").as_uri()]
    finally:
        listener.disconnect()
        hub.stop()
