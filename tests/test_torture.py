"""The same bytes in another folder, and after interruptions: a short `make torture`.

It takes the quick run that `make test` has made, and makes one figure of it again.
"""

import contextlib
import shutil

import numpy as np
import pytest
from compendia import absent

from benchmarks import torture
from compendium.pipeline.build import Build
from compendium.run import Run

NOTEBOOK, TARGET = "09_lrs_vs_mrs", "fig-9"


def test_a_build_in_another_folder_after_three_disturbances_has_the_same_bytes(quick_run):
    if shutil.which("make") is None:
        absent("no make")
    reference = torture.results(torture.ROOT, [NOTEBOOK])
    assert None not in reference.values()
    with torture.workshop("400m") as (folder, small):
        root = folder / "a folder with another name"
        torture.copy_compendium(root, finished=True)
        torture.forget(root, NOTEBOOK)
        with contextlib.chdir(root):
            stale = Build(Run("quick")).stale(["fig09"])
        if set(stale) - {NOTEBOOK, "fig09"}:
            pytest.skip(f"the quick run is older than the code ({', '.join(stale)}): `make test`")
        ways = [way for way in torture.WAYS if small or way != "disk full"]
        rng = np.random.default_rng(1)
        counts = torture.disturb(root, [TARGET], 3, rng, ways, [NOTEBOOK], patience=3.0)
        assert sum(counts.values()) == 3
        left = [path for path in root.rglob(".[0-9]*.*") if path.name.split(".")[1].isdigit()]
        assert left == [], "nothing half-written is left"
        for path in torture.results(root, [NOTEBOOK]):
            published = root / "figures" / path.rpartition("/")[2]
            assert "figures" not in path or published.read_bytes() == (root / path).read_bytes()
        assert torture.results(root, [NOTEBOOK]) == reference
