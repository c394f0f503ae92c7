"""What the notebooks make at quick size: every promised file, and the claims of the paper in kind.

`make test` runs the notebooks before the tests; pytest alone takes what lies in build/.
"""

import re
from itertools import pairwise

import nbformat
import numpy as np
import pytest
from astropy.table import Table
from compendia import ROOT
from matplotlib.image import imread

from compendium.hrs_stars import SIMULATED, SPUN
from compendium.pipeline.build import Build
from compendium.pipeline.graph import GRAPH
from compendium.run import Run
from slamlib.instruments import INSTRUMENTS
from slamlib.io import read_ecsv as read
from slamlib.labels import NAMES

NOTEBOOKS = {notebook.name: notebook for notebook in GRAPH}
BY_INSTRUMENT = pytest.mark.parametrize("instrument", INSTRUMENTS)
BY_LABEL = pytest.mark.parametrize("label", NAMES)
BY_REGRESSOR = pytest.mark.parametrize("regressor", ["svr", "krr"])
# Largest rms, typical scatter and bias of kernel ridge at SNR > 60.
RECOVERY = {
    "teff": (1500, 600, 200),
    "logg": (0.15, 0.10, 0.06),
    "mh": (0.25, 0.15, 0.08),
    # The width of the profile is uncertain, which rotation must be told from.
    "vsini": (30, 20, 6),
}


def source(name):
    return nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)


@pytest.fixture(scope="module")
def run(quick_run):
    return quick_run


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_each_opens_with_what_it_makes_and_has_one_cell_of_parameters(name):
    opening = source(name).cells[0]
    assert opening.cell_type == "markdown" and opening.source.startswith("# ")
    parts = ("Makes", "You learn", "You need", "Takes")
    assert re.search(" .+".join(rf"\*\*{part}\*\*" for part in parts) + " .+", opening.source, re.DOTALL)
    tagged = [cell for cell in source(name).cells if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    names = [line.split(":")[0] for line in tagged[0].source.splitlines() if line]
    assert names == list(Run().parameters)


@pytest.mark.parametrize(("name", "after"), list(pairwise([*NOTEBOOKS, next(iter(NOTEBOOKS))])))
def test_each_ends_with_a_link_to_the_next(name, after):
    last = source(name).cells[-1]
    assert last.cell_type == "markdown"
    assert f"({after}.ipynb)" in last.source.strip().splitlines()[-1]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_each_ran_to_its_end_without_a_warning_and_made_what_it_promises(run, name):
    executed = nbformat.read(run.build / "notebooks" / f"{name}.ipynb", as_version=4)
    cells = [cell for cell in executed.cells if cell.cell_type == "code" and cell.source.strip()]
    assert all(cell.execution_count for cell in cells)
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    text = "".join(output.text for output in outputs if output.output_type == "stream")
    assert not re.findall(r"^.*Warning: .*$", text, re.MULTILINE)
    promised = [*NOTEBOOKS[name].outputs(run), *NOTEBOOKS[name].published(run)]
    assert [path.name for path in promised if not (path.is_file() and path.stat().st_size > 100)] == []


def test_nothing_of_a_finished_run_is_stale(run):
    build = Build(run)
    assert build.stale(build.selection("notebooks")) == {}


@pytest.mark.parametrize("number", range(1, 11))
def test_every_figure_shows_something(run, number):
    image = imread(run.figures / f"fig{number:02d}.png")[..., :3]
    assert min(image.shape[:2]) > 600
    shades = np.unique((image[::3, ::3] * 255).astype(int) @ [1 << 16, 1 << 8, 1])
    assert len(shades) > 50
    inked = image.min(axis=2) < 0.9
    assert 0.01 < inked.mean() < 0.6
    # No empty margin or panel beyond a third of the page in either direction.
    for axis in (0, 1):
        used = np.flatnonzero(inked.any(axis=axis))
        assert np.diff(used).max() < image.shape[1 - axis] / 3
        assert np.ptp(used) > 0.8 * image.shape[1 - axis]


def test_tables_of_simulated_stars_say_so(run):
    for name in ("labels_LRS", "labels_MRS", "common", "hrs", "survey/truth", "survey/index"):
        assert read(run.products / f"{name}.ecsv").meta["simulated"] is True, name
    for name in ("table1", "table2", "claims", "recovery", "hrs_errors"):
        assert read(run.tables / f"{name}.ecsv").meta["simulated"] is True, name
        for path in (run.tables / f"{name}.mrt", run.tables / f"{name}.tex"):
            assert not path.exists() or "SIMULATED" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "instrument"), [("table1", "LRS"), ("table2", "MRS")])
def test_the_machine_readable_catalogue_holds_every_star(run, name, instrument):
    table = Table.read(run.tables / f"{name}.mrt", format="ascii.mrt")
    labels = read(run.products / f"labels_{instrument}.ecsv")
    assert len(table) == run.sizes.n_stars[instrument] == len(labels)
    np.testing.assert_array_equal(np.sort(table["obsid"]), np.sort(labels["obsid"]))
    both = (one[np.argsort(one["obsid"])]["teff"] for one in (table, labels))
    found, teff = (np.ma.filled(column.astype(float), np.nan) for column in both)
    np.testing.assert_allclose(found, teff, atol=0.51)
    assert str(table["teff"].unit) == "K"


def one(table, **where):
    """The only row of a table with these values."""
    chosen = np.logical_and.reduce([table[name] == value for name, value in where.items()])
    assert chosen.sum() == 1, where
    return table[chosen][0]


@BY_INSTRUMENT
@BY_LABEL
@BY_REGRESSOR
def test_cross_validated_scatter_falls_with_snr(run, instrument, label, regressor):
    cv = read(run.products / "cv.ecsv")
    where = {"instrument": instrument, "label": label, "regressor": regressor}
    noisy, quiet = (one(cv, snr=snr, **where) for snr in (20, 100))
    # The rms is ruled by a few stars; the typical star gains more.
    assert quiet["scatter"] < noisy["scatter"] and quiet["mad"] < 0.8 * noisy["mad"]


@BY_INSTRUMENT
@BY_LABEL
def test_simulated_stars_inside_the_grid_are_recovered(run, instrument, label):
    found = read(run.tables / "recovery.ecsv")
    row = one(found, instrument=instrument, label=label, regressor="krr")
    scatter, mad, bias = RECOVERY[label]
    assert row["n"] >= 40
    assert row["scatter"] < scatter and row["mad"] < mad
    assert abs(row["bias"]) < bias


@BY_INSTRUMENT
def test_main_sequence_stars_are_inside_the_grid_and_the_outlying_groups_are_not(run, instrument):
    group = dict(read(run.products / "survey/truth.ecsv")["obsid", "group"].iterrows())
    table = read(run.products / f"labels_{instrument}.ecsv")
    group = np.array([group[obsid] for obsid in table["obsid"]])
    inside = table["flag"] == "I"
    assert np.mean(inside[(group == "OB") & (table["snr"] > 60)]) > 0.75
    inside &= table["status"] == "ok"
    for outlying in (("late B",), ("subdwarf",), ("emission", "featureless")):
        members = np.isin(group, outlying)
        assert members.sum() >= 10
        assert np.mean(inside[members]) <= 0.1, outlying


@BY_LABEL
def test_the_two_instruments_agree_on_their_common_stars(run, label):
    common = read(run.products / "common.ecsv")
    inside = common[(common["flag_lrs"] == "I") & (common["flag_mrs"] == "I")]
    assert len(inside) >= 15
    limits = {"teff": 500, "logg": 0.1, "mh": 0.15, "vsini": 15}
    assert abs(np.median(inside[f"{label}_lrs"] - inside[f"{label}_mrs"])) < limits[label]


@BY_INSTRUMENT
@pytest.mark.parametrize("origin", [SIMULATED, SPUN])
def test_the_28_stars_known_from_high_resolution_are_labelled(run, instrument, origin):
    hrs = read(run.products / "hrs.ecsv")
    stars = hrs[(hrs["instrument"] == instrument) & (hrs["origin"] == origin)]
    assert len(set(stars["star"])) == len(stars) == 28
    assert np.median(np.abs(stars["teff"] - stars["teff_hrs"])) < 500
    # MRS, with one Balmer line, has an rms error of 0.13 dex: the median of 28 is 0.09 +- 0.015.
    assert np.median(np.abs(stars["logg"] - stars["logg_hrs"])) < {"LRS": 0.05, "MRS": 0.12}[instrument]
    assert (stars["vsini_hrs"] > 45).any() == (origin == SPUN)
    # Noise is as the inverse variance says.
    assert np.median(stars["chi2"]) == pytest.approx(1, abs=0.15)


def test_the_posterior_agrees_with_the_best_fit(run):
    with np.load(run.products / "posterior.npz") as saved:
        samples, best, covariance = saved["samples"], saved["labels"], saved["covariance"]
        correlations = saved["correlation"], saved["fisher_correlation"]
        # As the paper's: an MRS star.
        assert saved["obsid"] in read(run.products / "labels_MRS.ecsv")["obsid"]
    assert samples.shape == (run.sizes.n_walkers * run.sizes.n_steps, 4)
    low, high = np.percentile(samples, [1, 99], axis=0)
    assert (low < best).all() and (best < high).all()
    # v sin i cannot be negative, so that only the others can have Gaussian errors.
    ratio = samples.std(axis=0)[:3] / np.sqrt(np.diag(covariance))[:3]
    assert (ratio > 0.6).all() and (ratio < 1.7).all()
    np.testing.assert_allclose(correlations[0], np.corrcoef(samples.T))
    np.testing.assert_allclose(correlations[0][:3, :3], correlations[1][:3, :3], atol=0.2)


def test_every_number_of_the_paper_stands_beside_ours_with_a_reason(run):
    ours = read(run.tables / "claims.ecsv")
    paper = read(ROOT / "data/embedded/paper_claims.ecsv")
    assert list(ours["key"]) == list(paper["key"])
    assert np.isfinite(np.asarray(ours["ours"], dtype=float)).all()
    assert all(str(why).strip() for why in ours["why"])
    assert set(ours["verdict"][paper["data"] != "models"]) == {"not comparable"}
