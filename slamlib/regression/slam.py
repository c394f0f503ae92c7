"""Slam: from labels to the flux of every pixel, learned from a training set."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from slamlib.errors import InputError
from slamlib.labels import LABELS, Label, as_labels, rotation_of
from slamlib.npz import digest_of, reading_npz, write_npz
from slamlib.regression.checks import same_pixels, training_pairs, within
from slamlib.regression.expansion import Expansion
from slamlib.regression.search import choose, fit_pixels
from slamlib.regression.stored import learn_arrays, to_arrays

FORMAT = 4
# The low-rank form: what it costs in labels is a hundredth of their errors (`make bench`).
RANK, COMPONENTS = 1500, 300
# A pixel whose flux varies less than this over the whole training set is continuum.
_FLAT = 1e-5


class Slam:
    """The Stellar LAbel Machine: one regression per pixel, from labels to flux.

    Zhang, Liu & Deng 2020 (ApJS 246, 9). Labels and fluxes are standardised; all pixels
    share the kernel matrices of the training labels.

    Parameters
    ----------
    regressor : {"svr", "krr"}
        Support-vector regression (the paper's) or kernel ridge regression.
    C, gamma : sequence of float
        Candidates of the SVR's bound and of the kernel width; chosen for each pixel by
        cross-validation. "krr" uses neither: it stretches each label instead.
    epsilon : float
        Half-width of the SVR's tube in standard deviations of a pixel's flux.
    ridge : sequence of float
        Candidates of the ridge of "krr", chosen by exact leave-one-out.
    search : {"screened", "exhaustive"}
        How "svr" chooses: "exhaustive" tries every C and gamma in every pixel by
        cross-validation over all spectra; "screened" tries all in a few pixels and confirms
        those worth it, on at most `n_search` spectra. benchmarks/ says what that costs.
    n_folds : int
        Folds of the cross-validation of "svr".
    n_search : int, optional
        Spectra that a screened search, or that of "krr", looks at; `search.N_SEARCH` if None.
    seed : int
        Of the choice of the folds.
    labels : sequence of Label, str or dict
        What the columns of the training labels are, as `Label.of` takes them: the paper's four, or those
        of `ModelGrid.labels`.

    Attributes
    ----------
    label_mean_, label_scale_ : ndarray, (d,)
    flux_mean_, flux_scale_ : ndarray of float32, (n_pix,)
    training_labels_ : ndarray, (n, d)
    model_variance_ : ndarray of float32, (n_pix,)
        Cross-validated mean squared error of the predicted flux.
    hyper_ : dict of ndarray
        What was chosen: C and gamma of each pixel and their cross-validated error (squared,
        in standardised flux), or the ridge; and the stretch of each label.
    expansions_ : list of Expansion
    intercept_ : ndarray of float32, (n_pix,)
    wave_ : ndarray, (n_pix,) or (0,)
        Wavelength of each pixel [A]; empty if `fit` was not told.
    """

    label_mean_: np.ndarray
    label_scale_: np.ndarray
    flux_mean_: np.ndarray
    flux_scale_: np.ndarray
    compression_error_: float

    def __init__(
        self,
        regressor: str = "svr",
        C: Sequence[float] = (0.1, 1.0, 10.0),
        gamma: Sequence[float] = (0.1, 1.0),
        epsilon: float = 0.05,
        ridge: Sequence[float] = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1),
        search: str = "screened",
        n_folds: int = 5,
        n_search: int | None = None,
        seed: int = 0,
        labels: tuple[Label, ...] = LABELS,
    ):
        self.regressor = regressor
        self.C = C
        self.gamma = gamma
        self.epsilon = epsilon
        self.ridge = ridge
        self.search = search
        self.n_folds = n_folds
        self.n_search = n_search
        self.seed = seed
        self.labels = labels

    def get_params(self):
        """Return the constructor's arguments."""
        return self._method() | {"labels": [label.plain() for label in self.label_set]}

    def _method(self):
        """Return the arguments that the choice of hyper-parameters takes."""
        names = ("regressor", "C", "gamma", "epsilon", "ridge", "search", "n_folds", "n_search", "seed")
        return {name: getattr(self, name) for name in names}

    @property
    def label_set(self):
        """The labels as a tuple of `Label`, (d,)."""
        return tuple(map(Label.of, self.labels))

    @property
    def names(self):
        """Names of the labels, (d,)."""
        return tuple(label.name for label in self.label_set)

    @property
    def rotation(self):
        """Index of the label that broadens spectra, v sin i, or None."""
        return rotation_of(self.label_set)

    @property
    def nuisances(self):
        """Which labels are nuisances: ndarray of bool, (d,)."""
        return np.array([label.nuisance for label in self.label_set])

    def prior(self):
        """Mean and inverse variance of the Gaussian prior, in standardised labels: both (d,), 0 for none.

        A nuisance has those of a uniform distribution over the range of the training labels.
        """
        ends = self.to_standard(np.quantile(self.training_labels_, [0, 1], axis=0))
        mean, precision = np.zeros((2, len(self.names)))
        mean[self.nuisances] = ends.mean(axis=0)[self.nuisances]
        precision[self.nuisances] = 12 / np.ptp(ends, axis=0)[self.nuisances] ** 2
        return mean, precision

    def fit(
        self, labels: ArrayLike, flux: ArrayLike, hyper: dict | None = None, wave: ArrayLike = ()
    ) -> Self:
        """Learn the flux (n, n_pix) of every pixel, of normalised, noise-free model spectra at labels (n, d).

        `hyper`, the `hyper_` of another fit, skips the search. `wave` (n_pix,) are the wavelengths of the
        pixels [A], so that spectra of other pixels can be refused. InputError if a parameter is unknown,
        shapes disagree, or a value is not finite.
        """
        labels, flux = self._learn_scales(labels, flux)
        self.wave_ = np.asarray(wave, dtype=float)
        if self.wave_.size not in (0, flux.shape[1]):
            raise InputError(f"{self.wave_.size} wavelengths for flux of {flux.shape[1]} pixels")
        targets = (flux - self.flux_mean_) / self.flux_scale_
        fit = fit_pixels(self.to_standard(labels), targets, hyper, **self._method())
        self.training_labels_ = labels
        self.label_scale_ = self.label_scale_ / fit.hyper["stretch"]
        z = self.to_standard(labels)
        self.hyper_ = fit.hyper
        self.expansions_ = [Expansion(gamma, pixels, z, dual) for gamma, pixels, dual in fit.groups]
        self.intercept_ = fit.intercept
        self.model_variance_ = (fit.error * self.flux_scale_**2).astype(np.float32)
        return self

    def choose(self, labels, flux):
        """Return the hyper-parameters that `fit` would choose, without fitting."""
        scaled = Slam(**self.get_params())
        labels, flux = scaled._learn_scales(labels, flux)
        targets = (flux - scaled.flux_mean_) / scaled.flux_scale_
        return choose(scaled.to_standard(labels), targets, **self._method())

    def _learn_scales(self, labels, flux):
        """Set mean and scale of labels and flux; return both as arrays, or say what is wrong."""
        labels, flux = training_pairs(labels, flux, self.names, self.n_folds)
        self.label_mean_, self.label_scale_ = labels.mean(axis=0), labels.std(axis=0)
        self.flux_mean_ = flux.mean(axis=0, dtype=float).astype(np.float32)
        spread = flux.std(axis=0, dtype=float).astype(np.float32)
        self.flux_scale_ = np.where(spread > _FLAT, spread, np.float32(1))
        return labels, flux

    def predict(self, labels: ArrayLike, extrapolate: bool = False) -> np.ndarray:
        """Normalised flux at the labels (m, d): float32, (m, n_pix).

        Far from the training labels it is the mean of the training spectra. Nuisance labels, which come last,
        may be left out; they are then the middle of their range. InputError if a label lies outside the range
        of the training labels by more than a tenth of it, unless `extrapolate`.
        """
        standardised = self.predict_standardised(self.to_standard(self._known(labels, extrapolate)))[0]
        return (self.flux_mean_ + self.flux_scale_ * standardised).astype(np.float32)

    def jacobian(self, labels: ArrayLike, extrapolate: bool = False) -> np.ndarray:
        """Analytic derivative of `predict` with respect to each label: float32, (m, d, n_pix)."""
        z = self.to_standard(self._known(labels, extrapolate))
        slope = self.predict_standardised(z, gradient=True)[1]
        return (slope * self.flux_scale_ / self.label_scale_[:, None]).astype(np.float32)

    def predict_standardised(self, z, gradient=False):
        """Standardised flux (m, n_pix) and gradient (m, d, n_pix) at standardised labels `z`."""
        n_pix, first = self.flux_mean_.size, self.expansions_[0]
        slope: Any = None
        if len(self.expansions_) == 1 and first.pixels.size == n_pix:
            value, slope = first.evaluate(z, gradient)
            return value + self.intercept_, slope
        dtype = first.weights.dtype if first.components is None else first.components.dtype
        value = np.empty((len(z), n_pix), dtype)
        slope = np.empty((len(z), z.shape[1], n_pix), dtype) if gradient else None
        for part in self.expansions_:
            value[:, part.pixels], part_slope = part.evaluate(z, gradient)
            if gradient:
                slope[..., part.pixels] = part_slope
        value += self.intercept_
        return value, slope

    def compress(self, rank: int | None = RANK, components: int = COMPONENTS) -> Self:
        """Return a copy in low-rank form: fast to evaluate, and small.

        The spectra become sums of principal components. Unless `rank` is None, their coefficients are
        expanded in the kernels of `rank` training spectra, the pivots of a Cholesky factor, fitted by least
        squares to those of the exact form. `compression_error_` is the rms difference from that at the
        training labels, in units of the continuum.
        """
        compressed = type(self)(**self.get_params())
        compressed.__dict__.update(self.__dict__)
        compressed.expansions_, squares = [], 0.0
        for part in self.expansions_:
            low, error = part.compress(self.flux_scale_[part.pixels], rank, components)
            compressed.expansions_.append(low)
            squares += error * part.pixels.size
        compressed.compression_error_ = float(np.sqrt(squares / self.flux_mean_.size))
        return compressed

    def changed(self, change):
        """Return a compressed model whose flux is larger by ``change(flux)``, linear but for a constant."""
        part = self.expansions_[0]
        if len(self.expansions_) != 1 or part.components is None:
            raise InputError("only a compressed model with one kernel can be changed; train one by krr")
        changed = Slam(**self.get_params())
        changed.__dict__.update(self.__dict__)
        constant = self.flux_mean_ + self.flux_scale_ * self.intercept_
        scale, pixels = self.flux_scale_, part.pixels
        directions = np.zeros((len(part.components), scale.size), np.float32)
        directions[:, pixels] = part.components
        directions += (change(1 + directions * scale) - change(np.ones((1, scale.size)))) / scale
        changed.flux_mean_ = (self.flux_mean_ + change(constant[None])[0]).astype(np.float32)
        changed.expansions_ = [replace(part, components=directions[:, pixels].astype(np.float32))]
        return changed

    def to_arrays(self):
        """Return all that was learned as named arrays, for a file."""
        self._require_fit()
        return to_arrays(self)

    @classmethod
    def from_arrays(cls, params, arrays):
        """Return the model that `get_params` and `to_arrays` described; InputError if they do not fit."""
        return learn_arrays(cls(**params), arrays)

    def save(self, path: str | Path) -> None:
        """Write the fitted model to a versioned npz file, whole or not at all."""
        write_npz(path, FORMAT, self.get_params(), self.to_arrays())

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read what `save` wrote; FileError if it is missing, of another version or something else."""
        with reading_npz(path, FORMAT, "SLAM model", "train it again") as (params, arrays):
            return cls.from_arrays(params, arrays)

    def check_wave(self, wave):
        """Refuse wavelengths that are off those of the training spectra by over a hundredth of a pixel."""
        if self.wave_.size:
            same_pixels(np.asarray(wave, dtype=float), self.wave_)

    def digest(self) -> str:
        """Return a hash of all that was learned, by which systematics know their model."""
        return digest_of(self.get_params(), self.to_arrays())

    def _known(self, labels, extrapolate):
        """Labels as an array, refused outside the training range unless `extrapolate`."""
        self._require_fit()
        labels = np.atleast_2d(np.asarray(labels, dtype=float))
        left_out = len(self.names) - labels.shape[-1]
        if labels.ndim == 2 and left_out > 0 and self.nuisances[-left_out:].all():
            middle = np.quantile(self.training_labels_[:, -left_out:], [0, 1], axis=0).mean(axis=0)
            labels = np.column_stack([labels, np.broadcast_to(middle, (len(labels), left_out))])
        labels = as_labels(labels, self.names)
        if not extrapolate:
            within(labels, self.training_labels_, self.names)
        return labels

    def _require_fit(self):
        if not hasattr(self, "expansions_"):
            raise InputError("this Slam has learned nothing yet; call fit(labels, flux) or read a saved one")

    def to_standard(self, labels):
        """Labels in the units of the kernel: centred and scaled, shape as given."""
        return (labels - self.label_mean_) / self.label_scale_
