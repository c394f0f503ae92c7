"""Three ways to label, and where notebook 02 leaves the labeller of each."""

from slamlib.grid.joined import EMBEDDED, turbulent_grid
from slamlib.grid.model_grid import ModelGrid
from slamlib.labelling.labeller import Labeller
from slamlib.labelling.models import labeller_path

# How stars are labelled: ours, with systematics; the paper's regression with our continuum; and the
# paper's way from end to end. The last two take pixels for independent and start once.
WAYS = {
    "krr": {"regressor": "krr", "continuum": "matched"},
    "svr": {"regressor": "svr", "continuum": "matched"},
    "paper": {"regressor": "svr", "continuum": "true"},
}


def labelling_grid(run):
    """Return the grid that the catalogue's labeller is trained on: with microturbulence, if it has it."""
    return turbulent_grid() if run.grid == EMBEDDED else ModelGrid.read(run.grid_path)


def fit_labeller(run, way, models, instrument, labels, flux):
    """Train a `Labeller` in one of the `WAYS`, without systematics, on spectra (n, n_pix)."""
    options = {"n_folds": run.sizes.n_folds, "seed": run.seed, **WAYS[way]}
    return Labeller.learn(models, instrument, labels, flux, **options)


def calibrate(run, models, labeller, progress=True):
    """Return the labeller with its `Systematics`, measured on simulated stars at the run's sizes."""
    sizes = run.sizes
    return labeller.calibrated(models, sizes.n_calibration, sizes.calibration_snrs, run.seed, progress)


def read_labeller(run, instrument, way="krr"):
    """Read a labeller that notebook 02 left, one of the `WAYS`."""
    return Labeller.read(labeller_path(run.products, instrument, way), instrument, **WAYS[way])
