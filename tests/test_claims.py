"""Ours beside the paper's: no number is lost, none is compared that cannot be."""

import numpy as np
import pytest
from astropy.table import Table
from compendia import EMBEDDED

from compendium.claims import compare, our_numbers, setup_numbers
from compendium.profiles import PAPER, QUICK
from slamlib.grid.model_grid import ModelGrid
from slamlib.io import read_ecsv

NAMES = ("teff", "logg", "mh", "vsini")


def forensics():
    """Rows of both instruments: the bound is 300 K, and 0.03 of every other label."""
    rows = [
        (name, row, 100, 300.0 * factor, *[0.03 * factor] * 3, 0.13, 0.58)
        for name in ("LRS", "MRS")
        for row, factor in (
            ("Cramer-Rao bound", 1),
            ("SVR", 3.2),
            ("SVR, no noise", 3),
            ("SVR, below 30,000 K", 2),
            ("KRR", 1.5),
        )
    ]
    return Table(rows=rows, names=("instrument", "row", "n", *NAMES, "hot_stars", "hot"))


def judged(claims, ours, simulated):
    return compare(claims, ours, simulated, forensics())


@pytest.fixture(scope="module")
def claims():
    return read_ecsv(EMBEDDED / "paper_claims.ecsv")


def catalogue(obsid, teff, logg, flag):
    n = len(obsid)
    return Table(
        {"obsid": obsid, "teff": teff, "logg": logg, "flag": flag, "mh": [0.1] * n, "vsini": [50.0] * n}
    )


@pytest.fixture
def ours():
    """Numbers of hand-made tables, small enough to count by eye."""
    cv = Table(
        {
            "instrument": ["LRS", "MRS", "LRS", "LRS"],
            "regressor": ["svr", "svr", "krr", "svr"],
            "snr": [100.0, 100.0, 100.0, 20.0],
            "label": ["teff", "vsini", "teff", "teff"],
            "scatter": [300.0, 2.0, 99.0, 999.0],
        }
    )
    lrs = catalogue([11, 12, 13], [20e3, np.nan, 18e3], [4.0, np.nan, 1.5], ["I", "", ""])
    mrs = catalogue([21, 22], [21e3, np.nan], [4.1, np.nan], ["I", ""])
    common = Table({"snr_lrs": [150.0, 90.0, 200.0], "snr_mrs": [101.0, 200.0, 100.0]})
    hrs = Table(
        {
            "star": ["a", "b", "a"],
            "instrument": ["LRS", "LRS", "MRS"],
            **{"flag": ["I"] * 3, "status": ["ok"] * 3, "vsini_limit": [np.nan] * 3},
            **{name: [3.0, 1.0, 7.0] for name in ("teff", "logg", "vsini")},
            **{f"{name}_hrs": [0.0, 0.0, 5.0] for name in ("teff", "logg", "vsini")},
        }
    )
    return our_numbers(cv, lrs, mrs, common, hrs, {"lrs": 13, "mrs": 404})


def test_numbers_are_counted_as_by_hand(ours):
    expected = {
        "n_lrs": 3,
        "n_mrs": 2,
        "n_mrs_table": 1,
        "n_lrs_in_grid": 1,
        "n_mrs_in_grid": 1,
        "n_lrs_low_logg": 1,
        "n_common": 1,
        "n_hrs": 2,
        "sigma_teff_lrs_snr100": 300,
        "sigma_vsini_mrs_snr100": 2,
        "sigma_teff_lrs_hrs": np.sqrt(5),
        "sigma_vsini_mrs_hrs": 2,
        "star703901108_teff_lrs": 18e3,
        "star703901108_logg_lrs": 1.5,
    }
    assert {key: ours[key] for key in expected} == pytest.approx(expected)
    # A showcase star that was not observed is left out, not invented.
    assert not [key for key in ours if key.startswith("star") and key.endswith("_mrs")]


def test_every_claim_gets_a_row_a_verdict_and_a_reason(claims, ours):
    table = judged(claims, ours, simulated=True)
    assert list(table["key"]) == list(claims["key"])
    np.testing.assert_array_equal(table["paper"], claims["value"])
    assert set(table["verdict"]) <= {"agrees", "differs", "not comparable", "no data"}
    assert all(str(why).strip() for why in table["why"])


def verdict(claims, key, value, simulated):
    table = judged(claims, {key: value}, simulated)
    row = table[table["key"] == key][0]
    return row["verdict"], row["why"]


@pytest.mark.parametrize(
    ("key", "value", "simulated", "expected"),
    [
        ("sigma_teff_lrs_snr100", 327 * 1.4, True, "agrees"),
        ("sigma_teff_lrs_snr100", 327 / 1.4, True, "agrees"),
        ("sigma_teff_lrs_snr100", 327 * 1.6, True, "differs"),
        ("sigma_vsini_mrs_snr100", 0.5, False, "differs"),
        ("n_lrs", 16032, False, "agrees"),
        ("n_lrs", 16032 * 1.2, False, "differs"),
        ("star703901108_mh_mrs", -0.18, False, "agrees"),
        # The same size and the other sign is not the same metallicity.
        ("star703901108_mh_mrs", 0.18, False, "differs"),
        ("n_lrs", np.nan, True, "no data"),
    ],
)
def test_verdicts_follow_the_limits(claims, key, value, simulated, expected):
    assert verdict(claims, key, value, simulated)[0] == expected


def test_the_grid_and_the_choices_are_the_papers_or_not(claims):
    """Nodes as published agree to the last; a step of the embedded grid differs, within any factor."""
    published = read_ecsv(EMBEDDED / "tlusty_nodes.ecsv")
    published["source"] = published["grid"]
    published["vturb"] = [2.0 if str(grid).startswith("BSTAR") else 10.0 for grid in published["grid"]]
    keys = [key for key in claims["key"] if key.startswith(("ostar_", "bstar_", "svr_", "n_train_"))]
    assert len(keys) == 21

    def verdicts(nodes, sizes):
        table = judged(claims, setup_numbers(nodes, sizes), simulated=True)
        return {row["key"]: row["verdict"] for row in table if row["key"] in keys}

    assert set(verdicts(published, PAPER).values()) == {"agrees"}
    ours = verdicts(ModelGrid.read(EMBEDDED / "tlusty_ob_grid.fits").nodes, QUICK)
    assert {key for key, verdict in ours.items() if verdict == "differs"} == {
        "bstar_teff_step",
        "ostar_teff_low",
        "ostar_logg_low",
        "n_train_lrs",
        "n_train_mrs",
    }
