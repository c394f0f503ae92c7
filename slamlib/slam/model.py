"""Slam: from labels to the flux of every pixel, learned from a training set."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.linalg import solve_triangular

from slamlib.errors import FileError, InputError
from slamlib.files import atomic
from slamlib.labels import as_labels
from slamlib.slam.kernel import basis_transform, pivoted_cholesky, rbf, rbf_gradient
from slamlib.slam.search import choose, fit_pixels

FORMAT = 1
# A pixel whose flux varies less than this over the whole training set is continuum.
_FLAT = 1e-5


@dataclass(frozen=True)
class Expansion:
    """Kernel expansion of a group of pixels that share one kernel width.

    The standardised flux is ``rbf(z, centres) @ transform @ coefficients``; the transform
    (float64) is absent in the exact form, where each centre is a training spectrum.
    """

    gamma: float
    pixels: np.ndarray
    centres: np.ndarray
    coefficients: np.ndarray
    transform: np.ndarray | None = None

    def kernel_row(self, k):
        """Kernel of centre `k` with every centre, (n,)."""
        return rbf(self.centres[k : k + 1], self.centres, self.gamma)[0]

    def basis(self, z, gradient=False):
        """Value (m, rank) and gradient (m, d, rank) of the basis functions at `z` (m, d)."""
        kernel = rbf(z, self.centres, self.gamma)
        slope = rbf_gradient(z, self.centres, self.gamma, kernel) if gradient else None
        if self.transform is None:
            return kernel, slope
        dtype = self.coefficients.dtype
        value = (kernel @ self.transform).astype(dtype)
        return value, _times(slope, self.transform).astype(dtype) if gradient else None


def _times(stack, matrix):
    """Product of a stack (m, d, k) with a matrix (k, p) as one large product, not m small ones."""
    m, d, k = stack.shape
    return (stack.reshape(m * d, k) @ matrix).reshape(m, d, -1)


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

    Attributes
    ----------
    label_mean_, label_scale_ : ndarray, (4,)
    flux_mean_, flux_scale_ : ndarray of float32, (n_pix,)
    training_labels_ : ndarray, (n, 4)
    model_variance_ : ndarray of float32, (n_pix,)
        Cross-validated mean squared error of the predicted flux.
    hyper_ : dict of ndarray
        What was chosen: C and gamma of each pixel and their cross-validated error (squared,
        in standardised flux), or the ridge; and the stretch of each label.
    expansions_ : list of Expansion
    intercept_ : ndarray of float32, (n_pix,)
    """

    def __init__(
        self,
        regressor="svr",
        C=(0.1, 1.0, 10.0),
        gamma=(0.1, 1.0),
        epsilon=0.05,
        ridge=(1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1),
        search="screened",
        n_folds=5,
        n_search=None,
        seed=0,
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

    def get_params(self):
        """Return the constructor's arguments."""
        names = ("regressor", "C", "gamma", "epsilon", "ridge", "search", "n_folds", "n_search", "seed")
        return {name: getattr(self, name) for name in names}

    def fit(self, labels, flux, hyper=None):
        """Learn the flux of every pixel.

        Parameters
        ----------
        labels : array_like, (n, 4)
            Teff [K], log g, [M/H], v sin i [km/s].
        flux : array_like, (n, n_pix)
            Normalised, noise-free model spectra.
        hyper : dict, optional
            `hyper_` of another fit: skips the search.

        Returns
        -------
        Slam

        Raises
        ------
        InputError
            If a parameter is unknown, shapes disagree, or a value is not finite.
        """
        labels, flux = self._learn_scales(labels, flux)
        targets = (flux - self.flux_mean_) / self.flux_scale_
        fit = fit_pixels(self.standardise(labels), targets, hyper, **self.get_params())
        self.training_labels_ = labels
        self.label_scale_ = self.label_scale_ / fit.hyper["stretch"]
        z = self.standardise(labels)
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
        return choose(scaled.standardise(labels), targets, **self.get_params())

    def _learn_scales(self, labels, flux):
        """Set mean and scale of labels and flux; return both as arrays, or say what is wrong."""
        labels = as_labels(labels)
        flux = np.asarray(flux, dtype=np.float32)
        if flux.ndim != 2 or len(flux) != len(labels):
            raise InputError(f"{len(labels)} labels but flux of shape {flux.shape}; expected one row a star")
        if not np.isfinite(flux).all():
            row = int(np.flatnonzero(~np.isfinite(flux).all(axis=1))[0])
            raise InputError(f"the flux of training spectrum {row} is not finite; remove that spectrum")
        if len(labels) < 2 * self.n_folds:
            raise InputError(f"{len(labels)} training spectra are too few for {self.n_folds} folds")
        self.label_mean_, self.label_scale_ = labels.mean(axis=0), labels.std(axis=0)
        if not (self.label_scale_ > 0).all():
            raise InputError(
                "one of the labels is the same for every training spectrum; it cannot be learned"
            )
        self.flux_mean_ = flux.mean(axis=0, dtype=float).astype(np.float32)
        spread = flux.std(axis=0, dtype=float).astype(np.float32)
        self.flux_scale_ = np.where(spread > _FLAT, spread, np.float32(1))
        return labels, flux

    def predict(self, labels):
        """Normalised flux at the labels (m, 4): float32, (m, n_pix)."""
        self._require_fit()
        standardised = self.standardised(self.standardise(as_labels(labels)))[0]
        return (self.flux_mean_ + self.flux_scale_ * standardised).astype(np.float32)

    def jacobian(self, labels):
        """Analytic derivative of the flux with respect to each label: float32, (m, 4, n_pix)."""
        self._require_fit()
        slope = self.standardised(self.standardise(as_labels(labels)), gradient=True)[1]
        return (slope * self.flux_scale_ / self.label_scale_[:, None]).astype(np.float32)

    def standardised(self, z, gradient=False):
        """Standardised flux (m, n_pix) and gradient (m, 4, n_pix) at standardised labels `z`."""
        n_pix = self.flux_mean_.size
        dtype = self.expansions_[0].coefficients.dtype
        value = np.empty((len(z), n_pix), dtype)
        slope = np.empty((len(z), z.shape[1], n_pix), dtype) if gradient else None
        for part in self.expansions_:
            basis, basis_slope = part.basis(z, gradient)
            value[:, part.pixels] = basis @ part.coefficients
            if gradient:
                slope[..., part.pixels] = _times(basis_slope, part.coefficients)
        value += self.intercept_
        return value, slope

    def compress(self, rank=400):
        """Return a copy whose expansions use at most `rank` basis functions each.

        The basis is a pivoted Cholesky factor of the kernel; its coefficients are the
        least-squares fit to the exact prediction at the training labels, kept in float32.

        Returns
        -------
        Slam
            With `compression_error_`, the rms difference from the exact form at the
            training labels in standard deviations of a pixel's flux.
        """
        compressed = Slam(**self.get_params())
        compressed.__dict__.update(self.__dict__)
        compressed.expansions_, squares = [], 0.0
        for part in self.expansions_:
            dtype = part.coefficients.dtype
            exact = part.basis(part.centres)[0].astype(dtype) @ part.coefficients
            pivots, factor = pivoted_cholesky(part.kernel_row, len(part.centres), rank)
            orthogonal, triangular = np.linalg.qr(factor)
            orthogonal = orthogonal.astype(dtype)
            within = orthogonal.T @ exact
            coefficients = solve_triangular(triangular, within)
            squares += ((exact - orthogonal @ within) ** 2).mean(axis=0).sum()
            compressed.expansions_.append(
                replace(
                    part,
                    centres=part.centres[pivots],
                    coefficients=coefficients.astype(np.float32),
                    transform=basis_transform(factor, pivots),
                )
            )
        compressed.compression_error_ = float(np.sqrt(squares / self.flux_mean_.size))
        return compressed

    def save(self, path):
        """Write the fitted model to a versioned npz file, whole or not at all."""
        arrays = {f"hyper_{name}": values for name, values in self.hyper_.items()}
        for i, part in enumerate(self.expansions_):
            for name in ("gamma", "pixels", "centres", "coefficients", "transform"):
                if getattr(part, name) is not None:
                    arrays[f"part{i}_{name}"] = getattr(part, name)
        for name in _LEARNED:
            arrays[name] = getattr(self, name)
        with atomic(path) as temporary, temporary.open("wb") as stream:
            params = json.dumps(self.get_params(), default=lambda value: np.asarray(value).tolist())
            np.savez(stream, format=FORMAT, params=params, **arrays)

    @classmethod
    def read(cls, path):
        """Read what `save` wrote; FileError if it is missing, newer or something else."""
        try:
            with Path(path).open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                arrays = dict(file)
            if int(arrays["format"]) > FORMAT:
                raise FileError(
                    f"{path} was written by a newer slamlib (format {arrays['format']}); upgrade slamlib"
                )
            slam = cls(**json.loads(str(arrays["params"])))
            for name in _LEARNED:
                setattr(slam, name, arrays[name])
            slam.hyper_ = {k.removeprefix("hyper_"): v for k, v in arrays.items() if k.startswith("hyper_")}
            parts = sorted({k.split("_")[0] for k in arrays if k.startswith("part")})
            slam.expansions_ = [_read_part(arrays, part) for part in parts]
        except FileNotFoundError:
            raise FileError(f"no SLAM model {path}; run notebook 02_train_slam first") from None
        except Exception as error:  # a damaged zip file can raise nearly anything
            if isinstance(error, FileError):
                raise
            raise FileError(
                f"{path} is not a readable SLAM model ({error}); delete it and train again"
            ) from error
        return slam

    def _require_fit(self):
        if not hasattr(self, "expansions_"):
            raise InputError("this Slam has learned nothing yet; call fit(labels, flux) or read a saved one")

    def standardise(self, labels):
        """Labels in the units of the kernel: centred and scaled, shape as given."""
        return (labels - self.label_mean_) / self.label_scale_


_LEARNED = (
    "label_mean_",
    "label_scale_",
    "flux_mean_",
    "flux_scale_",
    "training_labels_",
    "model_variance_",
    "intercept_",
)


def _read_part(arrays, part):
    names = ("pixels", "centres", "coefficients")
    values = {name: arrays[f"{part}_{name}"] for name in names}
    return Expansion(float(arrays[f"{part}_gamma"]), transform=arrays.get(f"{part}_transform"), **values)
