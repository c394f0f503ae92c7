"""The paper's conclusions hold where the numbers say so, and are not shown where none can."""

import numpy as np
import pytest
from astropy.table import Table

from compendium.conclusions import of_models, of_stars

NAMES = ("teff", "logg", "mh", "vsini")
PAPER, OTHER = ("LRS", "LRS", "LRS", "MRS"), ("MRS", "MRS", "MRS", "LRS")


def cross_validation(better, bias):
    """Errors of both regressions: 1 for the `better` instrument of a label, 2 for the other."""
    rows = [
        (instrument, regressor, snr, label, 1000, size, size, bias * snr)
        for instrument in ("LRS", "MRS")
        for regressor in ("svr", "krr")
        for snr in (20.0, 100.0)
        for label, best in zip(NAMES, better, strict=True)
        for size in [1.0 if instrument == best else 2.0]
    ]
    names = ("instrument", "regressor", "snr", "label", "n", "scatter", "mad", "bias")
    return Table(rows=rows, names=names)


def sizes(gain):
    rows = [
        (instrument, 100.0, label, n, 1.0 if n < 9000 else 1 - gain)
        for instrument in ("LRS", "MRS")
        for label in NAMES
        for n in (1000, 9000)
    ]
    return Table(rows=rows, names=("instrument", "snr", "label", "n_train", "scatter"))


def ladder():
    rms = {"noise alone": 300.0, "+ continuum": 800.0, "+ systematics": 310.0}
    rows = [(name, step, "teff", value) for name in ("LRS", "MRS") for step, value in rms.items()]
    return Table(rows=rows, names=("instrument", "step", "label", "rms"))


def hrs(origin, error, slow=-2.0):
    """Two stars that each instrument measures, and one with a limit of v sin i."""
    table = Table({"instrument": ["LRS"] * 3 + ["MRS"] * 3, "origin": [origin] * 6})
    table["flag"], table["status"] = "I", "ok"
    for name in ("teff", "vsini"):
        table[f"{name}_hrs"] = 100.0
    table["teff"], table["vsini"] = 100.0 + error, 100.0 + slow
    table["vsini"][[2, 5]], table["vsini_limit"] = 900.0, [np.nan, np.nan, 20.0] * 2
    return table


def common(shift):
    """Four stars, the last of low SNR and far off."""
    table = Table({"snr_lrs": [200.0, 200, 200, 20], "snr_mrs": [200.0] * 4})
    table["flag_lrs"] = table["flag_mrs"] = "I"
    for label in NAMES:
        table[f"{label}_lrs"], table[f"{label}_mrs"] = 1.0, 1.0 + np.array([shift, shift, -9, 9])
    return table


def labels():
    teff, logg = [20e3, 12e3, 30e3, 22e3, np.nan], [4.0, 4.0, 5.5, 1.5, np.nan]
    return Table({"teff": teff, "logg": logg, "flag": ["I", "O", "O", "O", "N"]})


def posterior(correlation):
    covariance = np.diag([4e4, 1e-4, 1e-4, 4.0])
    covariance[0, 1] = covariance[1, 0] = correlation * 2.0
    samples = np.random.default_rng(1).multivariate_normal(np.zeros(4), covariance, 20000)
    return {"samples": samples, "covariance": covariance}


def told(table):
    return {row["conclusion"]: (row["holds"], row["evidence"]) for row in table}


def stars(simulated, *, error=900.0, origin="real", shift=1.0, slow=-2.0, correlation=0.1):
    both = {"LRS": labels(), "MRS": labels()}
    return told(
        of_stars(ladder(), both, common(shift), hrs(origin, error, slow), posterior(correlation), simulated)
    )


@pytest.mark.parametrize(
    ("better", "bias", "gain", "c", "holds"), [(PAPER, 0, 0.1, 0.3, "yes"), (OTHER, 1, 0.3, 0.986, "no")]
)
def test_conclusions_about_models_follow_the_numbers(better, bias, gain, c, holds):
    table = of_models(cross_validation(better, bias), sizes(gain), {"LRS": 1000, "MRS": 1000}, {"LRS": c})
    found = told(table)
    assert found.pop("section 6: MRS is better in Teff, log g and [M/H]")[0] == "unclear"
    assert {verdict for verdict, _ in found.values()} == {holds}
    assert len(found) == 8 + 2 + 1 + 2
    assert f"with 9000 over that with 1000: teff {1 - gain:.2f}" in found["1000 spectra suffice for LRS"][1]
    assert f"{100 * c:.3g}% of the pixels" in found["the values of C tried suffice for LRS"][1]


@pytest.mark.parametrize(
    ("given", "holds"),
    [({}, "yes"), ({"error": 310.0, "shift": -1.0, "slow": 3.0, "correlation": 0.8}, "no")],
)
def test_conclusions_about_real_stars_follow_the_numbers(given, holds):
    found = stars(False, **given)
    for conclusion in (
        "real stars scatter more than models (LRS)",
        "vsini of MRS lies mostly above that of LRS (Fig. 9)",
        "v sin i of MRS is slightly low against high resolution (Fig. 8)",
        "Teff and log g of one star correlate weakly (Fig. 10)",
    ):
        assert found[conclusion][0] == holds, conclusion


def test_what_is_said_of_real_stars_is_not_shown_by_simulated_ones():
    found = stars(True, origin="simulated")
    about_stars = [
        "real stars scatter more than models (LRS)",
        "outside the grid: late B, high gravity, few or filled lines (MRS)",
        "teff of MRS lies mostly above that of LRS (Fig. 9)",
        "v sin i of MRS is slightly low against high resolution (Fig. 8)",
    ]
    assert {found[conclusion][0] for conclusion in about_stars} == {"not shown"}
    assert all("simulated" in found[conclusion][1] for conclusion in about_stars)
