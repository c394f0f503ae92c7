"""Rough multipliers of many support-vector regressions, by matrix products alone.

The alternating direction method of multipliers (Boyd et al. 2011, Found. Trends Mach.
Learn. 3, 1) splits the problem into a ridge regression, which all pixels share but for its
right-hand side, and a threshold for each multiplier. Some tens of steps find nearly all
multipliers that are zero or at their bound; exactness is left to `slamlib.regression.svr.smo`.
"""

import numpy as np
from numba import njit
from scipy.linalg import cho_factor, eigh
from scipy.linalg.lapack import spotri

from slamlib.regression.kernel import pivoted_cholesky
from slamlib.regression.svr.reductions import larger, smaller

_STEPS = 30
# Over-relaxation (Boyd et al., section 3.4.3).
_RELAX = np.float32(1.7)
# The ridge is this over C: about the residual that pushes a multiplier to its bound.
_RIDGE = 0.12
# Two thin products replace a square one if this fraction of the samples, as rank, leaves no
# more of the kernel than this part of the ridge.
_THIN, _LEFT = 0.1, 0.01


class SharedRidge:
    """Kernel ridge regression with ridge 0.12 / C for many targets, kernel (n, n)."""

    def __init__(self, kernel, C):
        n = len(kernel)
        self.ridge = np.float32(_RIDGE / C)
        most = int(_THIN * n)
        pivots, factor = pivoted_cholesky(kernel.__getitem__, n, most, tolerance=_LEFT * self.ridge)
        self._thin = len(pivots) < most
        if self._thin:
            values, vectors = eigh(factor.T @ factor)
            self._matrix = (factor @ (vectors / np.sqrt(values + self.ridge))).astype(np.float32)
        else:
            self._matrix = _inverse(kernel, self.ridge)
        # What an intercept of one takes from the multipliers, for the sake of their sum.
        self.intercept = self.solve(np.ones((1, n), np.float32))[0]

    def solve(self, targets):
        """(K + ridge I)^-1 for each row of `targets` (p, n)."""
        if self._thin:
            return (targets - (targets @ self._matrix) @ self._matrix.T) / self.ridge
        return targets @ self._matrix


def _inverse(kernel, ridge):
    # Single precision: the ridge keeps eigenvalues far above its rounding errors.
    matrix = kernel.copy()
    matrix.flat[:: len(matrix) + 1] += ridge
    factor = cho_factor(matrix, lower=True, overwrite_a=True, check_finite=False)[0]
    inverse = spotri(factor, lower=1, overwrite_c=1)[0]
    return np.tril(inverse) + np.tril(inverse, -1).T


def approach(shared, targets, bounds, epsilon):
    """Return float32 multipliers (p, n) near the optimum, feasible: within `bounds`, each row's sum zero.

    `targets` and `bounds` (p, n) have one row for each regression; a sample of bound zero takes no part.
    """
    epsilon = np.float32(epsilon)
    beta, dual, aim = np.zeros_like(targets), np.zeros_like(targets), targets.copy()
    for _ in range(_STEPS):
        solution = shared.solve(aim)
        _threshold(solution, shared.intercept, shared.ridge, targets, bounds, epsilon, beta, dual, aim)
    _balance(beta, bounds)
    return beta


@njit(fastmath=True, nogil=True, cache=True)
def _threshold(solution, intercept, ridge, targets, bounds, epsilon, beta, dual, aim):
    """One step: solutions without the bounds in, thresholded multipliers and next targets out."""
    zero, one = np.float32(0), np.float32(1)
    edge = epsilon / ridge
    unit = intercept.sum()
    for p in range(len(targets)):
        shift = solution[p].sum() / unit
        for k in range(len(intercept)):
            value = (
                _RELAX * (solution[p, k] - shift * intercept[k]) + (one - _RELAX) * beta[p, k] + dual[p, k]
            )
            shrunk = larger(value - edge, zero) + smaller(value + edge, zero)
            shrunk = larger(smaller(shrunk, bounds[p, k]), -bounds[p, k])
            dual[p, k] = value - shrunk
            beta[p, k] = shrunk
            aim[p, k] = targets[p, k] + ridge * (shrunk - dual[p, k])


@njit(nogil=True, cache=True)
def _balance(beta, bounds):
    """Make each row sum to zero by shrinking what is in excess: free multipliers if they suffice."""
    for p in range(len(beta)):
        row = beta[p]
        for all_of_them in (False, True):
            excess = row.astype(np.float64).sum()
            sign = np.sign(excess)
            reach = 0.0
            for k in range(len(row)):
                if row[k] * sign > 0 and (all_of_them or abs(row[k]) < bounds[p, k]):
                    reach += abs(row[k])
            if reach > 0:
                kept = np.float32(1 - min(1.0, abs(excess) / reach))
                for k in range(len(row)):
                    if row[k] * sign > 0 and (all_of_them or abs(row[k]) < bounds[p, k]):
                        row[k] *= kept
