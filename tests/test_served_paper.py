"""The paper on a served copy of the official sites: `make data`, then `make paper` with what it fetched.

Several minutes, so `make test-served` runs it and `make test` does not.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from serving import serving
from tlusty_files import write_archives

from benchmarks.torture import copy_compendium
from compendium.pipeline.graph import GRAPH
from compendium.run import Run
from slamlib.fetch.manifest import Manifest
from slamlib.grid.model_grid import ModelGrid
from slamlib.grid.tlusty.read import NODES
from slamlib.instruments import INSTRUMENTS
from slamlib.io import read_ecsv
from slamlib.mock.survey import draw_survey, write_survey

pytestmark = [
    pytest.mark.served,
    pytest.mark.skipif(shutil.which("make") is None, reason="needs make"),
    # Of the server, where a column is named as VizieR names it, [M/H].
    pytest.mark.filterwarnings("ignore:.*Implicitly generating an ID from a name"),
]
BY_INSTRUMENT = pytest.mark.parametrize("instrument", INSTRUMENTS)
# Columns of the served grid [K]; 27,500 K lies in the overlap of B and O stars.
TEFF = {"BSTAR2006": (15000, 18000, 22000, 26000, 30000), "OSTAR2002": (27500, 32500, 37500, 42500, 50000)}
STARS = {"LRS": 24, "MRS": 16}
COMMON = 10
PAPER = ("PROFILE=quick", "SOURCE=lamost", "GRID=tlusty")
TOKEN = "served-token"


def thinned_nodes():
    """The nodes of some columns, every other log g and both ends."""
    nodes = read_ecsv(NODES)
    kept = np.zeros(len(nodes), dtype=bool)
    for i, row in enumerate(nodes):
        column = nodes["logg"][(nodes["grid"] == row["grid"]) & (nodes["teff"] == row["teff"])]
        wanted = TEFF[str(row["grid"]).split("_")[0]]
        ends = (column.min(), column.max())
        kept[i] = row["teff"] in wanted and (row["logg"] in ends or row["logg"] % 0.5 == 0)
    return nodes[kept]


def published(truth, instrument):
    """The true labels as VizieR would have published them."""
    rows = truth[truth["instrument"] == instrument]
    columns = {"ObsID": "obsid", "RAJ2000": "ra", "DEJ2000": "dec", "Teff": "teff", "log(g)": "logg"}
    columns |= {"[M/H]": "mh", "vsini": "vsini"}
    return Table({theirs: np.asarray(rows[ours]) for theirs, ours in columns.items()})


@dataclass
class Served:
    """The compendium after `make data` and `make paper`, and what it was served."""

    root: Path
    server: object
    truth: Table
    base: str
    run: Run
    printed: str

    def make(self, *arguments):
        return make(self.root, *arguments)

    def data(self):
        """Call `make data`, pointed at the server."""
        options = f"--base-tlusty {self.base}/database/ --base-lamost {self.base} --base-vizier {self.base}"
        return self.make("data", f"FETCH={options} --token-over-http --vturb 2 --rate 1e6 --quiet")

    def catalogue(self, instrument):
        return read_ecsv(self.run.products / f"labels_{instrument}.ecsv")


def make(root, *arguments):
    """Run make in a copy of the compendium, with this Python; return what it printed."""
    # A make that runs these tests would hand down its own variables.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    environment["LAMOST_TOKEN"] = TOKEN
    # -o: whatever the dates say, nothing is ever installed into this Python.
    command = ["make", "-o", ".venv/.ready", f"PY={sys.executable}", *arguments]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    if done.returncode:
        pytest.fail(done.stdout + done.stderr, pytrace=False)
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def served(tmp_path_factory, grid, library, isochrones):
    folder = tmp_path_factory.mktemp("served")
    root = folder / "compendium"
    root.mkdir()
    copy_compendium(root)
    write_archives(grid, folder / "server/database", nodes=thinned_nodes())
    truth = draw_survey(STARS, COMMON, isochrones, grid.contains, np.random.default_rng(5))
    write_survey(truth, library, grid, folder / "survey", seed=5, progress=False)
    with serving(folder / "server") as server, contextlib.chdir(root):
        server.token, server.private = TOKEN, ("/medspectrum/",)
        for row in truth:
            place = {"LRS": "spectrum", "MRS": "medspectrum"}[row["instrument"]]
            server.put(f"{place}/fits/{row['obsid']}", (folder / "survey" / row["file"]).read_bytes())
        labels = read_ecsv(root / "data/embedded/hrs_labels.ecsv")
        columns = {"star": "Name", "teff": "Teff", "logg": "log(g)", "vsini": "vsini"}
        careful = Table({theirs: np.asarray(labels[ours]) for ours, theirs in columns.items()})
        server.catalogues = {
            "J/ApJS/241/32": {"table3": published(truth, "LRS")["ObsID",]},
            "J/ApJS/257/54": {"table1": published(truth, "LRS"), "table2": published(truth, "MRS")},
            "J/A+A/539/A143": {"table2": careful},
            "J/A+A/532/A2": {"table1": careful},
        }
        copy = Served(root, server, truth, server.base, Run("quick", "lamost", "tlusty"), "")
        copy.printed = copy.data() + copy.make("paper", *PAPER)
        _ = copy.run.root  # found from here, once
        yield copy


def test_everything_served_was_fetched_whole_and_nothing_is_asked_for_twice(served):
    raw = served.root / "data/raw"
    for name in INSTRUMENTS:
        folder = raw / f"lamost_{name.lower()}"
        assert len(Manifest(folder).rows) == len(list(folder.glob("*.fits.gz"))) == STARS[name]
    assert len(Manifest(raw / "tlusty").rows) == 10
    assert not list(raw.rglob("*.part"))
    before = len(served.server.seen)
    assert ", 0 failed" in served.data()
    assert len(served.server.seen) == before


def test_the_token_went_to_the_server_and_nowhere_else(served):
    assert served.server.count(f"medspectrum/fits/{served.truth['obsid'][-1]}?token={TOKEN}") == 1
    assert TOKEN not in served.printed
    written = [path for path in served.root.rglob("*") if path.is_file() and path.suffix != ".npz"]
    assert [path for path in written if TOKEN.encode() in path.read_bytes()] == []


def test_the_grid_made_of_official_files_is_the_one_they_were_written_from(served, grid):
    made = ModelGrid.read(served.root / "data/raw/tlusty_grid.fits")
    assert list(made.columns) == sorted({*TEFF["BSTAR2006"], *TEFF["OSTAR2002"]} - {27500})
    assert len(made.mh_values) == 5
    labels = np.stack([made.nodes["teff"], made.nodes["logg"], made.nodes["mh"]], axis=1)
    # log10 of twice solar, 0.30103, lies that much beyond the grid of 0.3.
    labels[:, 2] = np.clip(labels[:, 2], *grid.mh_values[[0, -1]])
    assert np.abs(made.flux - grid.spectra(labels)).max() < 1e-4


@pytest.mark.parametrize("notebook", [n for n in GRAPH if not n.extra], ids=lambda notebook: notebook.name)
def test_every_promised_file_was_made(served, notebook):
    lacking = [path for path in notebook.outputs(served.run) if not path.is_file()]
    top = [served.root / path.parent.name / path.name for path in notebook.published(served.run)]
    assert lacking + [path for path in top if not path.is_file()] == []


@BY_INSTRUMENT
def test_every_spectrum_has_its_row_and_labels_near_the_truth(served, instrument):
    table, truth = served.catalogue(instrument), served.truth[served.truth["instrument"] == instrument]
    assert sorted(table["obsid"]) == sorted(truth["obsid"])
    assert table.meta["simulated"] is False
    row = {obsid: i for i, obsid in enumerate(table["obsid"])}
    inside = truth[(truth["group"] == "OB") & (truth["snr"] > 60)]
    found = table[[row[obsid] for obsid in inside["obsid"]]]
    assert len(found) >= 5 and np.mean(found["flag"] == "I") > 0.5
    assert np.median(np.abs(found["teff"] / inside["teff"] - 1)) < 0.07
    assert np.median(np.abs(found["logg"] - inside["logg"])) < 0.2


@BY_INSTRUMENT
def test_our_labels_stand_beside_the_published_ones_star_by_star(served, instrument):
    both = read_ecsv(served.run.products / f"published_{instrument}.ecsv")
    table = served.catalogue(instrument)
    assert both.meta["matched_by"] == "obsid"
    assert sorted(both["obsid"]) == sorted(table["obsid"][table["flag"] == "I"])


def test_a_second_make_paper_runs_nothing(served):
    assert " took " not in served.make("paper", *PAPER)
