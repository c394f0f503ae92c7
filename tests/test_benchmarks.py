"""The benchmark runs and says what it promises; its numbers at this size mean nothing."""

import contextlib
import io
import os

import numpy as np
import pytest
from compendia import ROOT

from benchmarks import bench
from benchmarks.cluster_page import fill
from benchmarks.drawing import exponent, straight
from benchmarks.isolated import run
from slamlib.errors import FileError

KEYS = {"work", "instrument", "n", "method", "seconds", "speedup", "flux_rms", "peak_gb", "per_second"}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """All of the benchmark in this process, and what it printed."""
    folder, printed = tmp_path_factory.mktemp("bench"), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.setattr(bench, "run", lambda function, *args, children=0: (function(*args), 0.5))
        # scipy takes a minute for a star, to tell how long it takes.
        patch.setattr(bench.inference, "one_by_one", lambda model, unseen, stars: {"seconds": 60.0})
        made = bench.Bench(folder, bench.SMALL)
        for part in (made.train, made.turbulence, made.infer, made.scale, made.report):
            part()
    return made, printed.getvalue()


def test_each_method_has_its_row_beside_the_reference_of_the_same_run(small):
    rows = small[0].rows
    assert all(row.keys() >= KEYS for row in rows)
    train = {row["method"]: row for row in rows if row["work"] == "train"}
    assert list(train) == ["scikit-learn", "svr exhaustive", "svr screened", "krr"]
    for row in train.values():
        assert row["speedup"] == pytest.approx(train["scikit-learn"]["seconds"] / row["seconds"])
        assert 0 < row["flux_rms"] < 3
    infer = {row["method"]: row for row in rows if row["work"] == "infer"}
    assert list(infer) == ["scipy, star by star", "exact", "low-rank"]
    assert infer["low-rank"]["per_second"] > infer["scipy, star by star"]["per_second"] > 0


def test_the_report_states_losses_labels_and_growth(small):
    made, printed = small
    five = [row for row in made.labels if row[2] == "krr with vturb"]
    assert [row[4] for row in five] == 2 * ["teff", "logg", "mh", "vsini", "vturb"]
    assert f"Cramer-Rao bound at most {max(row[-1] for row in five):.2f}" in printed
    for words in ("CV error", "labels move by", "time of stars (MRS)", "time of pixels, svr"):
        assert words in printed
    assert {path.name for path in made.folder.iterdir()} >= {"bench.json", "bench.png", "bench_labels.ecsv"}


def test_a_function_runs_in_a_process_of_its_own_and_its_failure_is_told():
    pid, peak = run(os.getpid)
    assert pid != os.getpid() and 0.05 < peak < 5
    with pytest.raises(RuntimeError, match="int failed"):
        run(int, "x")


def test_a_straight_law_is_found_with_its_fixed_part():
    points = [(size, 3 + 0.002 * size) for size in (500, 1000, 4000)]
    np.testing.assert_allclose(straight(points), (3, 0.002, 0), atol=1e-9)
    assert exponent([(10, 5.0), (100, 500.0)]) == pytest.approx(2)


def test_the_page_of_the_cluster_is_filled_between_its_marks(tmp_path):
    names = ("stars", "parts", "part", "workers", "killed", "rows", "distinct", "labelled", "computed_again")
    names += ("differing", "compared", "seconds", "per_second", "worker_mb_max", "cpu_seconds_per_star")
    figures = dict.fromkeys((*names, "merged_per_second"), 40) | {"date": "today", "models": "quick"}
    figures |= {"machine": {"cores": 2, "processor": "P", "memory_gb": 8}, "in_order": False}
    figures |= {"bytes_per_star": dict.fromkeys(("fits", "parts", "catalogue"), 1), "client_mb": (1, 2)}
    figures |= {"throughput": [{"workers": 1, "stars": 40, "seconds": 2, "per_second": 20}]}
    page = tmp_path / "cluster.md"
    page.write_text((ROOT / "docs/cluster.md").read_text())
    fill(page, figures | {"worker_mb": (1, 2)})
    once = page.read_text()
    assert "40 different stars, NOT in the order of the files" in once and "A short run" in once
    fill(page, figures | {"worker_mb": (1, 2)})
    assert page.read_text() == once
    page.write_text("without marks")
    with pytest.raises(FileError, match="lacks the marks"):
        fill(page, figures)
