"""A labeller, trained: what notebook 02 does, and who labels before it ran."""

from dataclasses import replace

import numpy as np

from slamlib.grid.model_grid import ModelGrid
from slamlib.grid.training import draw_labels, synthesise
from slamlib.instruments import get_instrument
from slamlib.io import read_ecsv
from slamlib.labelling.calibration import Observatory, measure_systematics
from slamlib.labelling.labeller import Labeller
from slamlib.labelling.templates import velocity_templates
from slamlib.mock.survey import SpectrumLibrary
from slamlib.regression.slam import Slam
from slamlib.spectra.matching import match_continuum

# SNR of the spectra that the spline of the continuum is fitted to: high enough to leave the
# training flux quiet, low enough for the clipping to act as on data.
CONTINUUM_SNR = 200
# How stars are labelled: ours, with systematics; the paper's regression with our continuum; and the
# paper's way from end to end. The last two take pixels for independent and start once.
WAYS = {
    "krr": {"regressor": "krr", "continuum": "matched"},
    "svr": {"regressor": "svr", "continuum": "matched"},
    "paper": {"regressor": "svr", "continuum": "true"},
}


def matched_spectra(models, instrument, labels, rng, progress=False):
    """Model spectra divided by the survey's continuum.

    Parameters
    ----------
    models : ModelGrid
    instrument : Instrument or str
    labels : ndarray, (n, 4)
    rng : numpy.random.Generator
    progress : bool

    Returns
    -------
    ndarray of float32, (n, n_pix)
        A spectrum does not depend on those that follow it.
    """
    instrument = get_instrument(instrument)
    spectra = synthesise(models, labels, instrument.widened())
    return match_continuum(spectra, instrument, CONTINUUM_SNR, rng, progress=progress)


def fit_labeller(run, way, models, instrument, labels, flux):
    """Train a `Labeller` in one of the `WAYS`, without systematics, on spectra (n, n_pix)."""
    instrument, about = get_instrument(instrument), WAYS[way]
    slam = Slam(about["regressor"], n_folds=run.sizes.n_folds, seed=run.seed)
    slam = slam.fit(labels, flux, wave=instrument.wave).compress()
    return Labeller.of(instrument, slam, velocity_templates(models, instrument), models, about["continuum"])


def calibrate(run, models, labeller, progress=True):
    """Return the labeller with its `Systematics`, measured on simulated stars at the run's sizes."""
    name = labeller.instrument.name
    extension = ModelGrid.read(run.root / "data/embedded/tlusty_extension_grid.fits")
    isochrones = read_ecsv(run.root / "data/embedded/parsec_isochrones.ecsv")
    library = SpectrumLibrary((models, extension))
    observatory = Observatory(models, library, isochrones, name, labeller.templates)
    sizes = run.sizes
    systematics = measure_systematics(
        labeller.slam, observatory, sizes.n_calibration, run.seed, sizes.calibration_snrs, progress=progress
    )
    return replace(labeller, systematics=systematics)


def labeller_path(folder, instrument, way="krr"):
    """Return the file of a labeller in a folder of products."""
    return folder / f"{way}_{instrument}.npz"


def read_labeller(run, instrument, way="krr"):
    """Read a labeller that notebook 02 left, one of the `WAYS`."""
    return Labeller.read(labeller_path(run.products, instrument, way), instrument, **WAYS[way])


def train(run, models, instrument, folder, progress=True):
    """Train the labeller of the catalogue, as notebooks 01 and 02 do.

    Parameters
    ----------
    run : Run
    models : ModelGrid
    instrument : Instrument or str
    folder : Path
        Where ``krr_NAME.npz`` is written.
    progress : bool

    Returns
    -------
    Labeller
    """
    name = get_instrument(instrument).name
    drawn = np.random.default_rng(run.training_seed(name))
    labels = draw_labels(models, run.sizes.n_drawn(name), drawn)[: run.sizes.n_labels[name]]
    flux = matched_spectra(models, name, labels, run.rng(f"continuum {name}"), progress)
    path = labeller_path(folder, name)
    calibrate(run, models, fit_labeller(run, "krr", models, name, labels, flux), progress).save(path)
    # As from the file, so that the first call gives what all later ones do.
    return Labeller.read(path)
