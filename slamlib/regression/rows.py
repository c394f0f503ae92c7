"""Matrix products whose rows do not know of each other.

A BLAS may sum the same row in another order when it stands elsewhere in a matrix or has other company, so
that its last bits differ. The labels of a star would then depend on the stars that are fitted with it.
"""

import math

import numpy as np

# Rows that are multiplied at once. They lie along the vector registers of the BLAS, which holds
# a whole number of registers, so that every row goes through the same instructions.
_TOGETHER = 16


def times(rows, matrix):
    """Product of rows (..., k) with a matrix (k, n): each depends on its own row only, to the last bit.

    Examples
    --------
    >>> rows, matrix = np.arange(6.0).reshape(2, 3), np.eye(3)
    >>> times(rows, matrix)
    array([[0., 1., 2.],
           [3., 4., 5.]])
    """
    flat = rows.reshape(math.prod(rows.shape[:-1]), rows.shape[-1])
    result = np.empty((len(flat), matrix.shape[1]), np.result_type(rows, matrix))
    for first in range(0, len(flat), _TOGETHER):
        some = flat[first : first + _TOGETHER]
        if len(some) < _TOGETHER:
            some = np.concatenate([some, np.zeros((_TOGETHER - len(some), flat.shape[1]), flat.dtype)])
        result[first : first + _TOGETHER] = (matrix.T @ some.T).T[: len(flat) - first]
    return result.reshape(*rows.shape[:-1], matrix.shape[1])


def gram(rows, weight):
    """Product of rows (k, n) with themselves, (k, k), each column counted by its weight (n,) >= 0."""
    scaled = rows * np.sqrt(weight)
    # A matrix times its own transpose is half the work for the BLAS.
    return scaled @ scaled.T


def dropped(rows, weight, left):
    """Differences (m, k, k) of `gram` of rows (k, n) by weights (m, n), some of which are 0 in `left`."""
    return np.array(
        [gram(rows[:, gone], own[gone]) for own, gone in zip(weight, weight != left, strict=True)]
    )
