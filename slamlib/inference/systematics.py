"""What observed spectra differ by from the model, beyond photon noise.

The continuum of an observed spectrum wanders with its noise, velocities are off, profiles
vary, models are interpolated: errors that neighbouring pixels share. Taken for independent
they make the errors of labels far too small.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import eigh

from slamlib.errors import InputError
from slamlib.npz import check_shapes
from slamlib.regression.rows import times


@dataclass(frozen=True)
class Systematics:
    """Mean and covariance of observed minus model flux without photon noise, for several SNR.

    The covariance at a node is ``components.T @ components + diag(variance)``.

    Attributes
    ----------
    snr : ndarray, (k,)
        Ascending.
    mean : ndarray of float32, (k, n_pix)
    components : ndarray of float32, (k, rank, n_pix)
    variance : ndarray of float32, (k, n_pix)
    teff : ndarray, (q,)
        Ascending: median Teff [K] of groups of calibration stars.
    inflation, offset : ndarray, (k, q, d)
        Width and mean of the pulls of these groups, (label - truth) / error: what is left when all of the
        above is in the likelihood (`corrections`); below 1 if that holds errors that simulated stars lack.
    blur : ndarray, (2,)
        What else than rotation adds to the square of v sin i, and how much that scatters
        [km^2 / s^2] (`slamlib.inference.vsini`).
    model : str
        Digest of the `Slam` that they were measured with; empty if they serve any.
    """

    snr: np.ndarray
    mean: np.ndarray
    components: np.ndarray
    variance: np.ndarray
    teff: np.ndarray
    inflation: np.ndarray
    offset: np.ndarray
    blur: np.ndarray
    model: str = ""

    @classmethod
    def measure(cls, snr, residuals, rank=20, n_labels=4):
        """Mean and covariance of residuals at each SNR, with an inflation of 1, no offset and no blur.

        `snr` (k,) ascend; `residuals`, k of (n, n_pix), are observed minus model flux of stars of known
        labels, free of photon noise. `rank` principal components are kept; the rest goes to the variance of
        each pixel.
        """
        mean, components, variance = [], [], []
        rank = min(rank, *(len(residual) - 1 for residual in residuals))
        for residual in residuals:
            centred = residual - residual.mean(axis=0)
            n = len(centred)
            vectors = eigh(centred @ centred.T / n)[1]
            kept = vectors[:, ::-1][:, :rank].T @ centred / np.sqrt(n)
            mean.append(residual.mean(axis=0))
            components.append(kept)
            variance.append(np.maximum((centred**2).mean(axis=0) - (kept**2).sum(axis=0), 0))
        arrays = (np.array(part, dtype=np.float32) for part in (mean, components, variance))
        shape = (len(mean), 1, n_labels)
        none = {
            "teff": np.ones(1),
            "inflation": np.ones(shape),
            "offset": np.zeros(shape),
            "blur": np.zeros(2),
        }
        return cls(np.asarray(snr, dtype=float), *arrays, **none)

    def joined(self, components, variance):
        """Return these and further shared errors: components (rank, n_pix) and variance (n_pix,)."""
        further = np.repeat(components[None], len(self.snr), axis=0)
        together = np.concatenate([self.components, further], axis=1)
        return replace(self, components=together, variance=self.variance + variance)

    def nearest(self, ivar):
        """Index of the SNR node nearest in ratio to each spectrum's: (m,) for ivar (m, n_pix)."""
        return np.abs(np.log(self._snr_of(ivar)[:, None] / self.snr)).argmin(axis=1)

    def mean_at(self, ivar):
        """Mean at each spectrum's own SNR (m, n_pix): linear in 1 / SNR, as noise is, between nodes."""
        weights = _between(1 / self._snr_of(ivar), 1 / self.snr[::-1])[:, ::-1]
        return times(weights.astype(np.float32), self.mean)

    def corrections(self, ivar, teff):
        """Return inflation and offset at each spectrum's own SNR and `teff` (m,): both (m, d).

        They are linear in the logarithms of both. Errors are multiplied by the one; labels are freed of the
        other, in units of the error before that.
        """
        by_snr = _between(np.log(self._snr_of(ivar)), np.log(self.snr))
        by_teff = _between(np.log(teff), np.log(self.teff))
        weights = (by_snr[:, :, None] * by_teff[:, None]).reshape(len(ivar), -1)
        inflation, offset = (part.reshape(weights.shape[1], -1) for part in (self.inflation, self.offset))
        return times(weights, inflation), times(weights, offset)

    def of_real_stars(self):
        """Return these, with errors of labels that are at least what the likelihood says."""
        return replace(self, inflation=np.maximum(self.inflation, 1))

    def _snr_of(self, ivar):
        usable = (ivar > 0).any(axis=1)
        snr = np.full(len(ivar), self.snr[0])
        snr[usable] = np.sqrt(np.nanmedian(np.where(ivar > 0, ivar, np.nan)[usable], axis=1))
        return snr

    def widen(self, slam, draws, ivar, bounds, rng):
        """Correct draws (n, d) from the posterior of a spectrum as `infer` corrects the labels of its fit.

        A label that reaches its lower bound (2, d), such as slow rotation, is stretched away
        from it and not shifted: cut off there, draws would pile up.
        """
        draws = draws.copy()
        teff = draws[:, slam.names.index("teff")].mean(keepdims=True)
        inflation, offset = (each[0] for each in self.corrections(ivar, teff))
        added, scatter = self.blur
        if slam.rotation is not None:
            square = draws[:, slam.rotation] ** 2 - added + scatter * rng.normal(size=len(draws))
            # Folded at zero, which is as likely as any other speed.
            draws[:, slam.rotation] = np.sqrt(np.abs(square))
        mean, error = draws.mean(axis=0), draws.std(axis=0)
        at_bound = mean - 2 * error < bounds[0]
        pivot, shift = np.where(at_bound, bounds[0], mean), np.where(at_bound, 0, offset * error)
        return np.clip(pivot + (draws - pivot) * inflation - shift, *bounds)

    def to_arrays(self):
        """Return all that was measured as named arrays, for a file."""
        return {name: values for name, values in vars(self).items() if name != "model"}

    @classmethod
    def from_arrays(cls, arrays, model):
        """Return what `to_arrays` described; InputError if the arrays do not fit."""
        shapes = {"snr": "k", "mean": "kp", "components": "krp", "variance": "kp"}
        check_shapes(arrays, **shapes, teff="q", inflation="kqd", offset="kqd", blur="2")
        return cls(**arrays, model=model)

    def check(self, slam):
        """Refuse a model that these systematics were not measured with, or of other pixels."""
        n_pix = slam.flux_mean_.size
        if self.inflation.shape[2] != len(slam.names):
            raise InputError(
                f"systematics of {self.inflation.shape[2]} labels for a model of {len(slam.names)}; measure "
                "them with this model"
            )
        if self.mean.shape[1] != n_pix or self.model not in ("", slam.digest()):
            raise InputError(
                f"systematics of {self.mean.shape[1]} pixels, measured with another model, cannot serve "
                f"this one of {n_pix}; measure them with this model"
            )


def _between(values, nodes):
    """Weights (m, k) of ascending nodes that interpolate linearly; beyond them the last one counts alone."""
    return np.stack([np.interp(values, nodes, unit) for unit in np.eye(len(nodes))], axis=1)
