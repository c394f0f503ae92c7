"""The benchmark runs and says what it promises; its numbers at this size mean nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

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
    for words in ("CV error", "labels move by", "time grows with stars (MRS)", "time grows with pixels, svr"):
        assert words in printed
    assert (folder / "bench.png").stat().st_size > 10_000
    assert (folder / "bench_labels.ecsv").exists()
