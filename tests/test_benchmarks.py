"""The benchmark runs and says what it promises; its numbers at this size mean nothing."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.cluster_page import fill
from benchmarks.drawing import exponent, straight
from slamlib.errors import FileError
from slamlib.inference.systematics import Systematics

ROOT = Path(__file__).parents[1]
KEYS = {"work", "instrument", "n", "method", "seconds", "speedup", "flux_rms", "peak_gb", "per_second"}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    command = [sys.executable, "-m", "benchmarks.bench", "--small", "--folder", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_each_method_has_its_row_beside_the_reference_of_the_same_run(small):
    rows = json.loads((small[0] / "bench.json").read_text())
    assert all(row.keys() >= KEYS for row in rows)
    train = {row["method"]: row for row in rows if row["work"] == "train"}
    assert list(train) == ["scikit-learn", "svr exhaustive", "svr screened", "krr"]
    for row in train.values():
        assert row["speedup"] == pytest.approx(train["scikit-learn"]["seconds"] / row["seconds"])
        assert 0 < row["flux_rms"] < 1
        assert row["peak_gb"] > 0.05
    infer = {row["method"]: row for row in rows if row["work"] == "infer"}
    assert list(infer) == ["scipy, star by star", "exact", "low-rank"]
    assert infer["low-rank"]["per_second"] > infer["scipy, star by star"]["per_second"] > 0


def test_the_report_states_losses_labels_and_growth(small):
    folder, printed = small
    for words in ("CV error", "labels move by", "time of stars (MRS)", "time of pixels, svr"):
        assert words in printed
    assert (folder / "bench.png").stat().st_size > 10_000
    assert (folder / "bench_labels.ecsv").exists()


def test_a_straight_law_is_found_with_its_fixed_part():
    points = [(size, 3 + 0.002 * size) for size in (500, 1000, 4000)]
    np.testing.assert_allclose(straight(points), (3, 0.002, 0), atol=1e-9)
    assert exponent([(10, 5.0), (100, 500.0)]) == pytest.approx(2)


# --- the cluster


@pytest.fixture(scope="module")
def forty(krr_slam, labeller, tmp_path_factory):
    """Figures of 40 stars, two workers, one killed; and what was printed."""
    folder, n_pix = tmp_path_factory.mktemp("cluster"), krr_slam.flux_mean_.size
    none = Systematics.measure([60.0], [np.random.default_rng(1).normal(0, 1e-3, (9, n_pix))], rank=2)
    labeller(krr_slam, systematics=none).save(folder / "krr_LRS.npz")
    command = [sys.executable, "-m", "benchmarks.cluster", "--stars", "40", "--part", "5", "--kill", "1"]
    command += ["--workers", "2", "--compare", "10", "--timed", "10"]
    command += ["--models", str(folder), "--folder", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "cluster.json").read_text()), done.stdout


def test_the_cluster_loses_and_doubles_nothing_though_a_worker_dies(forty):
    figures, _ = forty
    assert figures["killed"] == 1
    assert figures["rows"] == figures["distinct"] == figures["stars"] == 40
    assert figures["in_order"]
    assert figures["computed_again"] == 0
    assert (figures["compared"], figures["differing"]) == (10, 0)


def test_the_page_has_the_figures_that_are_printed(forty, tmp_path):
    figures, printed = forty
    page = tmp_path / "cluster.md"
    page.write_text((ROOT / "docs/cluster.md").read_text())
    fill(page, figures)
    once = page.read_text()
    assert "40 simulated LRS stars in 8 parts of 5, 2 workers, 1 of them killed" in once
    assert all(line in once for line in printed.splitlines()[:-1])
    fill(page, figures)
    assert page.read_text() == once
    page.write_text("without marks")
    with pytest.raises(FileError, match="lacks the marks"):
        fill(page, figures)
