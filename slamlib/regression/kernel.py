"""The radial basis function kernel, its derivative, and a low-rank basis for it."""

import numpy as np
from scipy.linalg import solve_triangular

from slamlib.regression.rows import times


def squared_distance(a, b):
    """Squared Euclidean distance between all rows of `a` (m, d) and `b` (n, d): (m, n)."""
    distance = (a**2).sum(1)[:, None] + (b**2).sum(1) - times(2 * a, b.T)
    return np.maximum(distance, 0, out=distance)


def rbf(a, b, gamma):
    """Kernel ``exp(-gamma |a - b|^2)`` between all rows of `a` (m, d) and `b` (n, d): (m, n).

    Examples
    --------
    >>> rbf(np.zeros((1, 4)), np.ones((1, 4)), 0.25).round(6)
    array([[0.367879]])
    """
    return np.exp(-gamma * squared_distance(a, b))


def rbf_gradient(a, b, gamma, kernel):
    """Return the derivative of ``kernel = rbf(a, b, gamma)`` with respect to `a`: (m, d, n)."""
    return (a[:, :, None] - b.T) * (-2 * gamma * kernel)[:, None, :]


def pivoted_cholesky(row, n, max_rank, tolerance=1e-7):
    """Greedy low-rank factor of a kernel matrix (n, n) with a unit diagonal.

    Each step takes the point that the points taken before represent worst (Harbrecht, Peters & Schneider
    2012, Appl. Numer. Math. 62, 428); the matrix is never formed: ``row(k)`` (n,) is its row k. It stops when
    no diagonal element of the remainder exceeds `tolerance`. Returns the pivots (rank,) and a factor (n,
    rank), of which ``factor @ factor.T`` approximates the matrix.
    """
    factor = np.zeros((n, min(max_rank, n)))
    remainder = np.ones(n)
    pivots = []
    for column in range(factor.shape[1]):
        pivot = int(remainder.argmax())
        if remainder[pivot] < tolerance:
            break
        done = factor[:, :column]
        factor[:, column] = (row(pivot) - done @ done[pivot]) / np.sqrt(remainder[pivot])
        remainder = np.maximum(remainder - factor[:, column] ** 2, 0)
        remainder[pivot] = 0
        pivots.append(pivot)
    return np.array(pivots), factor[:, : len(pivots)]


def basis_transform(factor, pivots):
    """Matrix that turns kernels with the pivots into the columns of `factor`: (rank, rank)."""
    return solve_triangular(factor[pivots], np.eye(len(pivots)), lower=True).T
