"""Small models, simulated files of both instruments."""

import shutil

import numpy as np
import pytest

from slamlib.inference.systematics import Systematics
from slamlib.instruments import INSTRUMENTS, LRS, MRS
from slamlib.labelling import catalogue
from slamlib.labelling.labeller import Labeller
from slamlib.labelling.models import Models
from slamlib.mock.survey import draw_survey, write_survey


@pytest.fixture(scope="session")
def trained(matched_slam, matched_krr, labeller, tmp_path_factory):
    """A folder of small labellers with systematics."""
    folder = tmp_path_factory.mktemp("models")
    rng = np.random.default_rng(5)
    for instrument, slam in ((LRS, matched_slam), (MRS, matched_krr(MRS, 150))):
        residuals = [rng.normal(0, 0.003, (12, slam.flux_mean_.size)).astype(np.float32)]
        known = Systematics.measure([80.0], residuals, 3)
        labeller(slam, instrument, known).save(folder / f"krr_{instrument.name}.npz")
    return folder


@pytest.fixture(scope="session")
def home(trained, tmp_path_factory):
    """What slamlib keeps of a user whose models are trained; finished parts are taken from test to test."""
    home = tmp_path_factory.mktemp("home")
    shutil.copytree(trained, home / "models" / Models().folder.name)
    return home


@pytest.fixture
def here(home, tmp_path, monkeypatch):
    """A folder of that user to work in."""
    monkeypatch.setenv("SLAMLIB_HOME", str(home))
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="session")
def survey(isochrones, grid, library, tmp_path_factory):
    """LRS and MRS files of simulated stars, by instrument."""
    truth = draw_survey({"LRS": 5, "MRS": 2}, 0, isochrones, grid.contains, np.random.default_rng(3))
    truth["snr"] = 100.0
    folder = tmp_path_factory.mktemp("survey")
    index = write_survey(truth, library, grid, folder, seed=4, progress=False)
    files = {name: index["file"][index["instrument"] == name] for name in INSTRUMENTS}
    return {name: [folder / file for file in some] for name, some in files.items()}


@pytest.fixture
def mixed(survey, tmp_path):
    """Files of both instruments in turn, bad ones between them."""
    text, missing = tmp_path / "note.fits", tmp_path / "missing.fits"
    text.write_text("this is no spectrum\n")
    lrs, mrs = survey["LRS"], survey["MRS"]
    return [text, mrs[0], lrs[0], missing, lrs[1], mrs[1]]


@pytest.fixture
def no_work(monkeypatch):
    """Whatever is refused is refused before anything is labelled or trained."""

    def fail(*arguments, **options):
        raise AssertionError("work began")

    for module, name in ((catalogue, "label_part"), (Labeller, "train")):
        monkeypatch.setattr(module, name, fail)
