"""The laboratory of mismatches: each fault is in the spectrum as the amount says, and the summary counts."""

from types import SimpleNamespace

import numpy as np
import pytest
from astropy.table import Table

from compendium.laboratory import MISMATCHES, Mismatch, summarised
from slamlib.errors import InputError
from slamlib.instruments import LRS


@pytest.fixture(scope="module")
def observatory(grid, library):
    return SimpleNamespace(grid=grid, library=library, instrument=LRS)


@pytest.fixture(scope="module")
def rows():
    columns = {"obsid": [1, 2], "teff": [20_000.0, 24_000.0], "mh": [0.0, 0.0], "vsini": [50.0, 50.0]}
    return Table(columns | {"sigma": [70.0, 70.0], "rv": [0.0, 0.0]})


def changed(observatory, rows, **amounts):
    flux = observatory.library.spectra([[20_000, 4, 0], [24_000, 4, 0]])
    none, some = (Mismatch(observatory, what, 5)(flux, rows) for what in ({}, amounts))
    return none, some


@pytest.mark.parametrize(
    ("name", "centre"),
    [("all helium", 4471.48), ("H alpha", 6562.8), ("interstellar", 3933.66), ("metals", 4481.2)],
)
def test_a_fault_is_where_it_belongs_and_nowhere_else(observatory, rows, name, centre):
    none, some = changed(observatory, rows, **{name: MISMATCHES[name][0]})
    near = abs(observatory.grid.wave - centre) < 2
    assert (abs(some - none)[:, near].max(axis=1) > 1e-3).all()
    far = abs(observatory.grid.wave - 4260) < 4
    np.testing.assert_allclose(
        some[:, far & (name != "metals")], none[:, far & (name != "metals")], atol=1e-5
    )


def test_helium_is_deeper_by_its_share_and_a_star_keeps_its_fault_in_other_company(observatory, rows):
    line = abs(observatory.grid.wave - 4471.5) < 1
    none, some = changed(observatory, rows, **{"all helium": 0.1})
    np.testing.assert_allclose((1 - some[:, line]) / (1 - none[:, line]), 1.1, atol=0.01)
    flux = observatory.library.spectra([[24_000, 4, 0]])
    alone = Mismatch(observatory, {"companion": 0.5}, 5)(flux, rows[1:])
    both = changed(observatory, rows, companion=0.5)[1]
    np.testing.assert_allclose(alone[0], both[1], atol=1e-5)


def test_an_unknown_fault_is_refused(observatory):
    with pytest.raises(InputError, match="choose from nothing"):
        Mismatch(observatory, {"helum": 1}, 5)


def test_the_summary_counts_ok_stars_and_tells_the_other_statuses():
    columns = {"status": ["ok"] * 4 + ["poor fit"], "flag": ["I"] * 5, "chi2": [1.0] * 5}
    columns["vsini_limit"] = [np.nan, np.nan, np.nan, 30.0, np.nan]
    for name in ("teff", "logg", "mh", "vsini"):
        columns |= {name: [1.0, -1.0, 3.0, 0.0, 90.0], f"true_{name}": [0.0] * 5, f"e_{name}": [2.0] * 5}
    found = summarised(Table(columns))
    assert found["n"].tolist() == [4, 4, 4, 3]
    assert found["cover68"][0] == 0.75 and found["cover95"][0] == 1
    assert found["rms"][0] == pytest.approx(np.sqrt(11 / 4)) and found["ok"][0] == 0.8
    assert found["statuses"][0] == "poor fit 1"
