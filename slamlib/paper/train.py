"""The model that labels stars, trained: what notebook 02 does, and who labels before it ran."""

import numpy as np

from slamlib.files import read_ecsv
from slamlib.instruments import get_instrument
from slamlib.paper.calibration import Observatory, measure_systematics
from slamlib.paper.templates import velocity_templates
from slamlib.paper.trained import Trained
from slamlib.slam.model import Slam
from slamlib.survey.matching import match_continuum
from slamlib.survey.mock import SpectrumLibrary
from slamlib.synth.grid import ModelGrid
from slamlib.synth.training import draw_labels, synthesise

# SNR of the spectra that the spline of the continuum is fitted to: high enough to leave the
# training flux quiet, low enough for the clipping to act as on data.
CONTINUUM_SNR = 200


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


def fit_slam(run, regressor, labels, flux):
    """Train a `Slam` on spectra (n, n_pix) of labels (n, 4), in its low-rank form."""
    slam = Slam(regressor, n_folds=run.sizes.n_folds, seed=run.seed)
    return slam.fit(labels, flux).compress()


def measure(run, models, instrument, slam, progress=True):
    """`Systematics` of a trained model against simulated stars, at the run's sizes."""
    name = get_instrument(instrument).name
    extension = ModelGrid.read(run.root / "data/embedded/tlusty_extension_grid.fits")
    isochrones = read_ecsv(run.root / "data/embedded/parsec_isochrones.ecsv")
    library = SpectrumLibrary((models, extension))
    observatory = Observatory(models, library, isochrones, name, velocity_templates(models, name))
    sizes = run.sizes
    return measure_systematics(
        slam, observatory, sizes.n_calibration, run.seed, sizes.calibration_snrs, progress=progress
    )


def train(run, models, instrument, folder, progress=True):
    """Train the model that labels stars and measure its systematics, as notebooks 01 and 02 do.

    Parameters
    ----------
    run : Run
    models : ModelGrid
    instrument : Instrument or str
    folder : Path
        Where ``slam_NAME.npz`` and ``systematics_NAME.npz`` are written.
    progress : bool

    Returns
    -------
    Trained
    """
    name = get_instrument(instrument).name
    drawn = np.random.default_rng(run.training_seed(name))
    labels = draw_labels(models, run.sizes.n_drawn(name), drawn)[: run.sizes.n_labels[name]]
    flux = matched_spectra(models, name, labels, run.rng(f"continuum {name}"), progress)
    slam = fit_slam(run, "krr", labels, flux)
    slam.save(folder / f"slam_{name}.npz")
    measure(run, models, name, slam, progress).save(folder / f"systematics_{name}.npz")
    return Trained.read(folder, name)
