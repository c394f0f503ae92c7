"""A regression as a sum of kernels: exact, and in low-rank form on principal components."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.linalg import eigh, solve_triangular

from slamlib.npz import half
from slamlib.regression.kernel import basis_transform, pivoted_cholesky, rbf, rbf_gradient
from slamlib.regression.rows import times

# Training spectra that the principal components are those of.
_SPECTRA = 2000
# Of at most so many centres these shares are tried, in single precision, and the first taken that
# moves the flux by less than this, rms: labels by less than a hundredth of their errors at SNR 100.
_SHARES, _LOSS = (0.3, 0.4, 0.5, 0.6, 0.8, 1.0), 8e-7


@dataclass(frozen=True)
class Expansion:
    """Kernel expansion of a group of pixels that share one kernel width.

    The standardised flux is ``rbf(z, centres) @ weights``; in the low-rank form that gives
    the coefficients of the `components` (rank, n_group), float32, instead.
    """

    gamma: float
    pixels: np.ndarray
    centres: np.ndarray
    weights: np.ndarray
    components: np.ndarray | None = None

    def evaluate(self, z, gradient=False):
        """Standardised flux (m, n_group) and its gradient (m, d, n_group), or None, at `z` (m, d)."""
        z = z.astype(self.centres.dtype)
        kernel = rbf(z, self.centres, self.gamma)
        # Both in one product: that of few rows costs as much as that of many.
        rows = kernel[:, None]
        if gradient:
            rows = np.concatenate([rows, rbf_gradient(z, self.centres, self.gamma, kernel)], axis=1)
        for matrix in (self.weights, self.components):
            if matrix is not None:
                rows = times(rows.astype(matrix.dtype), matrix)
        return rows[:, 0], rows[:, 1:] if gradient else None

    def first(self, n):
        """Return the low-rank form with the first `n` components alone, in single precision."""
        components: Any = self.components
        centres, weights = self.centres.astype(np.float32), self.weights[:, :n].astype(np.float32)
        return replace(self, centres=centres, weights=weights, components=components[:n])

    def coefficients(self, z, gradient=False):
        """Coefficients (m, rank) of the components at `z` (m, d), and their gradient (m, d, rank) or None."""
        return replace(self, components=None).evaluate(z, gradient)

    def kernel_row(self, k):
        """Kernel of centre `k` with every centre, (n,)."""
        return rbf(self.centres[k : k + 1], self.centres, self.gamma)[0]

    def compress(self, scale, rank, n_components):
        """Return the low-rank form, and its mean squared error in flux at the centres.

        `scale` (n_group,) is the standard deviation of each pixel's flux: what is kept is what matters for
        noise that is the same in all pixels. With `rank`, at most so many centres are kept.
        """
        full = self.weights if self.components is None else self.weights @ self.components.astype(float)
        some = self.centres[:: max(1, len(self.centres) // _SPECTRA)]
        spectra = rbf(some, self.centres, self.gamma).astype(full.dtype) @ full * scale
        values, vectors = eigh(spectra @ spectra.T)
        n_components = min(n_components, int((values > values[-1] * np.finfo(spectra.dtype).eps).sum()))
        directions = vectors[:, ::-1][:, :n_components].T @ spectra
        directions /= np.linalg.norm(directions, axis=1)[:, None]
        centres, weights = self.centres, (full * scale) @ directions.T
        components = (directions / scale).astype(np.float32)
        low = Expansion(self.gamma, self.pixels, centres, weights.astype(float), components)
        if rank is not None:
            low = replace(low._of_fewer(rank, n_components), components=half(components))
        return low, np.mean((low.evaluate(some)[0] * scale - spectra) ** 2)

    def _of_fewer(self, rank, n_components):
        """Return the low-rank form with as few of the centres, `rank` at most, as lose nothing."""
        coefficients = rbf(self.centres, self.centres, self.gamma) @ self.weights
        pivots, factor = pivoted_cholesky(self.kernel_row, len(self.centres), rank)
        orthogonal, triangular = np.linalg.qr(factor)
        projected = orthogonal.T @ coefficients
        for share in _SHARES:
            n = int(np.ceil(share * len(pivots)))
            # The first columns of a QR factor are those of the first columns.
            weights = basis_transform(factor[:, :n], pivots[:n]) @ solve_triangular(
                triangular[:n, :n], projected[:n]
            )
            low = replace(self, centres=self.centres[pivots[:n]], weights=weights)
            single = low.first(n_components)
            moved = single.coefficients(self.centres)[0] - coefficients
            if (moved**2).sum() < _LOSS**2 * len(self.centres) * self.pixels.size:
                return single
        # Weights of near neighbours are large and cancel: single precision loses digits.
        return low
