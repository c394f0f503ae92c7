"""Everything that turns a spectrum into labels, in one object and one file."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from astropy.table import Table, hstack
from numpy.typing import ArrayLike

import slamlib
from slamlib.errors import FileError
from slamlib.grid.edge import GridEdge
from slamlib.grid.model_grid import ModelGrid
from slamlib.grid.training import draw_labels
from slamlib.inference.infer import checked, infer, start_spectra
from slamlib.inference.model_error import model_error
from slamlib.inference.result import Inference
from slamlib.inference.systematics import Systematics
from slamlib.instruments import Instrument, get_instrument
from slamlib.labelling.calibration import REJECT, Observatory, matched_spectra, measure_systematics
from slamlib.labelling.given import list_files
from slamlib.labelling.label_table import label_table
from slamlib.labelling.recipe import training_code
from slamlib.labelling.stored import read_labeller, write_labeller
from slamlib.labelling.templates import velocity_templates
from slamlib.npz import half
from slamlib.regression.slam import Slam
from slamlib.spectra.prepare import read_many
from slamlib.spectra.velocity import VelocityTemplates
from slamlib.threads import n_cores

# Enough training spectra for errors near the Cramer-Rao bound.
N_TRAIN = 1500
# Principal components of the spectra in a labeller of `train`: few enough for a small file.
COMPONENTS = 160
# SNR per pixel of files, where the systematics are measured.
SNRS = (20, 45, 110, 280)
SEED = 257


@dataclass(frozen=True)
class Labeller:
    """A trained model, and all that its labels need: nothing has to stand beside it.

    Attributes
    ----------
    instrument : Instrument
        Whose pixels the model has.
    slam : Slam
    templates : VelocityTemplates
    edge : GridEdge
        Of the model grid, or of its core: labels inside it are flagged "I".
    systematics : Systematics or None
        None: the paper's way, independent pixels and one start.
    about : dict
        What it was made of: regressor, continuum ("matched" or "true"), n_train, labels (ranges), grid
        (sha256 of its file), notes (what to think of labels above a Teff), slamlib (version), code (hash of
        what trained it: `slamlib.labelling.recipe`), learned (what `learned` learned from, if it did).
    extension : GridEdge or None
        Of all of the grid, if that is more: labels inside it, but not in the core, are flagged "X".
    """

    instrument: Instrument
    slam: Slam
    templates: VelocityTemplates
    edge: GridEdge
    systematics: Systematics | None = None
    about: dict = field(default_factory=dict)
    extension: GridEdge | None = None

    @classmethod
    def train(
        cls,
        grid: ModelGrid,
        instrument: Instrument | str,
        n: int = N_TRAIN,
        seed: int = SEED,
        progress: bool = True,
        **calibration: Any,
    ) -> Self:
        """Train on spectra drawn from a grid and measure the systematics, in a few minutes.

        Parameters
        ----------
        grid : ModelGrid
        instrument : Instrument or str
        n : int
            Training spectra.
        seed : int
        progress : bool
        **calibration
            n_calibration, snrs and model_errors, as `calibrated` takes them.
        """
        rng = np.random.default_rng([seed, *get_instrument(instrument).name.encode()])
        labels = draw_labels(grid, n, rng)
        flux = matched_spectra(grid, instrument, labels, rng, progress)
        labeller = cls.learn(grid, instrument, labels, flux, seed=seed)
        labeller = replace(labeller, slam=labeller.slam.compress(components=COMPONENTS))
        return labeller.calibrated(grid, seed=seed, progress=progress, **calibration)

    @classmethod
    def learn(
        cls,
        grid: ModelGrid,
        instrument: Instrument | str,
        labels: ArrayLike,
        flux: ArrayLike,
        regressor: str = "krr",
        continuum: str = "matched",
        n_folds: int = 5,
        seed: int = SEED,
    ) -> Self:
        """Train on spectra that are there, without systematics: the paper's way of independent pixels.

        Parameters
        ----------
        grid : ModelGrid
            Where the training spectra come from.
        instrument : Instrument or str
        labels : ndarray, (n, d)
            Of `ModelGrid.labels`.
        flux : ndarray, (n, n_pix)
        regressor, n_folds, seed
            As `Slam` takes them.
        continuum : {"matched", "true"}
            What the training spectra were divided by.
        """
        instrument = get_instrument(instrument)
        slam = Slam(regressor, n_folds=n_folds, seed=seed, labels=grid.labels)
        slam.fit(labels, flux, wave=instrument.wave)
        return cls.of(instrument, slam.compress(), grid, continuum)

    @classmethod
    def of(
        cls,
        instrument: Instrument | str,
        slam: Slam,
        grid: ModelGrid,
        continuum: str,
        systematics: Systematics | None = None,
    ) -> Self:
        """Put a labeller together of a trained `Slam`, with what it is made of.

        Parameters
        ----------
        instrument, slam, systematics
            As the attributes.
        grid : ModelGrid
            Where the training spectra come from.
        continuum : {"matched", "true"}
            What the training spectra were divided by.
        """
        ranges = np.stack([slam.training_labels_.min(axis=0), slam.training_labels_.max(axis=0)], axis=1)
        about = {
            "regressor": slam.regressor,
            "continuum": continuum,
            "n_train": len(slam.training_labels_),
            "labels": dict(zip(slam.names, ranges.tolist(), strict=True)),
            "grid": grid.sha256,
            "notes": list(map(list, grid.notes)),
            "slamlib": slamlib.__version__,
            "code": training_code(),
        }
        templates = velocity_templates(grid, instrument)
        instrument, extension = get_instrument(instrument), grid.edge if grid.core else None
        return cls(instrument, slam, templates, grid.core or grid.edge, systematics, about, extension)

    def calibrated(
        self,
        grid: ModelGrid,
        n_calibration: int = 240,
        snrs: Iterable[float] = SNRS,
        seed: int = SEED,
        progress: bool = True,
        model_errors: float = 1.0,
    ) -> Self:
        """Return the labeller with its `Systematics`, measured on simulated stars.

        Parameters
        ----------
        grid : ModelGrid
        n_calibration : int
            Simulated stars at each SNR.
        snrs : sequence of float
            SNR per pixel of the files.
        seed : int
        progress : bool
        model_errors : float
            Factor of the amplitudes of `slamlib.inference.model_error`; 0: exact models, as in the paper.
        """
        observatory = Observatory.of(grid, self.instrument, self.templates)
        known = self.slam, self.instrument, model_errors, self.edge.contains
        further = model_error(*known) if model_errors else None
        systematics = measure_systematics(
            self.slam, observatory, n_calibration, seed, snrs, progress=progress, further=further
        )
        about = self.about | {"model_errors": model_errors}
        systematics = replace(systematics, components=half(systematics.components))
        return replace(self, systematics=systematics, about=about)

    @cached_property
    def _starts(self):
        return start_spectra(self.slam)

    @property
    def identity(self):
        """What a catalogue's header says: instrument, digest of the model, and what it learned from."""
        learned = self.about.get("learned")
        taught = f" learned from {learned['stars']} stars ({learned['spectra']})" if learned else ""
        return f"{self.instrument.name} {self.slam.digest()[:12]}{taught}"

    def predict(self, labels: ArrayLike, extrapolate: bool = False) -> np.ndarray:
        """Normalised flux at labels (m, d), as `Slam.predict`: float32, (m, n_pix)."""
        return self.slam.predict(labels, extrapolate)

    def fit(
        self, flux: ArrayLike, ivar: ArrayLike, wave: ArrayLike | None = None, **options: object
    ) -> Inference:
        """Find the labels of prepared spectra: `infer` with all that this model knows.

        Parameters
        ----------
        flux, ivar : ndarray, (m, n_pix) or (n_pix,)
            Normalised and at rest, on the pixels of the instrument.
        wave : ndarray, (n_pix,), optional
            Wavelengths of the pixels, to be checked.
        **options
            As `infer_joint` takes them.

        Returns
        -------
        Inference
        """
        known = {"starts": 1} if self.systematics is None else {"reject": REJECT}
        options = known | {"inside": self.edge.contains, "templates": [self._starts]} | options
        return infer(self.slam, flux, ivar, self.systematics, wave, **options)

    def label(
        self,
        spectra: object,
        ivar: ArrayLike | None = None,
        simulated: ArrayLike = False,
        snr: ArrayLike | None = None,
    ) -> Table:
        """Labels as a catalogue gives them, with the errors to quote.

        Parameters
        ----------
        spectra : object
            What `slamlib.label` takes; or the flux (m, n_pix) of prepared spectra, whose `ivar` is given.
        ivar : ndarray, (m, n_pix), optional
        simulated : array_like of bool, (m,)
            The errors of all others, and of simulated stars that the models do not describe to their
            noise, are at least those by blocks, and that of v sin i holds an error of the profile.
        snr : array_like, (m,), optional
            By the files, as `judged` takes it.

        Returns
        -------
        Table
            What files say (`read_many`), then that of `judged`, and, unless this is the paper's way, the
            errors by blocks, ``b_teff``, ... (`slamlib.inference.blocks`; NaN beside a limit of v sin i), and
            what a second star is like. Stars in emission are labelled without both lines (no log g at MRS).
        """
        if ivar is None:
            files = list_files(spectra)
            flux, ivar, table = read_many(files, self.instrument, self.templates, n_cores(), False)
            return hstack([table, self.label(flux, ivar, table["simulated"], table["snr"])])
        flux, ivar = (np.atleast_2d(part) for part in checked(self.slam, spectra, ivar))
        return label_table(self, flux, ivar, simulated, snr)

    def save(self, path: str | Path) -> None:
        """Write to one npz file, whole or not at all."""
        write_labeller(self, path)

    @classmethod
    def read(cls, path: str | Path, instrument: str | None = None, **about: object) -> Self:
        """Read what `save` wrote.

        Parameters
        ----------
        path : str or Path
        instrument : str, optional
        **about
            What the file must say of itself, such as ``regressor="krr"``.

        Raises
        ------
        FileError
            If the file is missing, of another version, damaged, or not what was asked for.
        """
        read = read_labeller(cls, path)
        said = read.about | {"instrument": read.instrument.name}
        for key, asked in {"instrument": instrument, **about}.items():
            if asked not in (None, said.get(key)):
                raise FileError(f"{path} says {key}: {said.get(key)}, not {asked}; name another file")
        return read
