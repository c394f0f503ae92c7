"""What several tests share: the embedded grids, a small training set, small fitted SLAMs."""

import contextlib
import signal

import numpy as np
import pytest
from astropy.table import Table
from compendia import EMBEDDED, ROOT, absent

from compendium.run import Run
from slamlib.grid.model_grid import ModelGrid
from slamlib.grid.training import draw_labels, synthesise, training_set
from slamlib.instruments import LRS
from slamlib.labelling.labeller import Labeller
from slamlib.labelling.templates import velocity_templates
from slamlib.mock.survey import SpectrumLibrary, draw_survey, write_survey
from slamlib.regression.slam import Slam
from slamlib.spectra.matching import match_continuum
from slamlib.threads import blas_threads

# Few tests that take long: begun last, they would keep one process waiting for the other.
_LONG = {"test_torture", "test_site", "test_model_error", "test_lab", "test_cluster"}


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.stem not in _LONG)


@pytest.fixture(scope="session", autouse=True)
def one_blas_thread():
    """Small matrices gain nothing from threads, and lose much where others use the cores."""
    with blas_threads(1):
        yield


@pytest.fixture(scope="session", autouse=True)
def interrupts_arrive():
    """A shell that runs the tests in its background makes them deaf to Ctrl-C, which some test."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def grid_path():
    return EMBEDDED / "tlusty_ob_grid.fits"


@pytest.fixture(scope="session")
def grid(grid_path):
    return ModelGrid.read(grid_path)


@pytest.fixture(scope="session")
def extension():
    return ModelGrid.read(EMBEDDED / "tlusty_extension_grid.fits")


@pytest.fixture(scope="session")
def isochrones():
    return Table.read(EMBEDDED / "parsec_isochrones.ecsv")


@pytest.fixture(scope="session")
def library(grid, extension):
    return SpectrumLibrary((grid, extension))


@pytest.fixture(scope="session")
def training(grid):
    return training_set(grid, "LRS", 300, seed=1)


@pytest.fixture(scope="session")
def unseen(grid):
    """150 LRS spectra that no fixture is trained on."""
    return training_set(grid, "LRS", 150, seed=2)


@pytest.fixture(scope="session")
def krr_slam(training):
    return Slam("krr").fit(training.labels, training.flux)


@pytest.fixture(scope="session")
def thin_slam(training):
    """Kernel ridge on every tenth LRS pixel: quick to evaluate many times."""
    return Slam("krr").fit(training.labels[:150], training.flux[:150, ::10])


@pytest.fixture(scope="session")
def svr_slam(training):
    """Support vectors, searched and fitted, on every hundredth LRS pixel."""
    return Slam("svr", search="exhaustive").fit(training.labels[:120], training.flux[:120, ::100])


@pytest.fixture(scope="session")
def matched_krr(grid):
    """Give a function that trains kernel ridge on n spectra divided by the survey's continuum."""

    def train(instrument, n):
        rng = np.random.default_rng(7)
        labels = draw_labels(grid, n, rng)
        spectra = synthesise(grid, labels, instrument.widened())
        flux = match_continuum(spectra, instrument, 200, rng, draws=1)
        # As those that label: the search of minima stands on their components.
        return Slam("krr", n_search=500).fit(labels, flux).compress()

    return train


@pytest.fixture(scope="session")
def matched_slam(matched_krr):
    """Trained on 800 LRS spectra: good enough for real stars."""
    return matched_krr(LRS, 800)


@pytest.fixture(scope="session")
def labeller(grid):
    """Give a function that puts a Slam and its systematics into a `Labeller`."""

    def made(slam, instrument=LRS, systematics=None):
        return Labeller.of(instrument, slam, grid, "matched", systematics)

    return made


@pytest.fixture(scope="session")
def lrs_survey(isochrones, grid, library, tmp_path_factory):
    """Forty simulated LRS stars at SNR 100: their truth and the paths of their files, not to be changed."""
    folder = tmp_path_factory.mktemp("survey")
    truth = draw_survey({"LRS": 40, "MRS": 1}, 0, isochrones, grid.contains, np.random.default_rng(21))
    truth = truth[truth["instrument"] == "LRS"]
    truth["snr"] = 100.0
    write_survey(truth, library, grid, folder, seed=6, progress=False)
    return truth, [folder / file for file in truth["file"]]


@pytest.fixture(scope="session")
def lrs_templates(grid):
    return velocity_templates(grid, LRS)


@pytest.fixture(scope="session")
def quick_run():
    """The quick run, if its notebooks have been run; CI runs them before the tests."""
    with contextlib.chdir(ROOT):
        run = Run("quick")
        if not (run.products / "labels_MRS.ecsv").is_file():
            absent("no quick run: `make notebooks PROFILE=quick` first")
    return run
