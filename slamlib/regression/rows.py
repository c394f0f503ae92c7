"""Matrix products whose rows do not know of each other.

A BLAS may sum the same row in another order when it stands elsewhere in a matrix or has other
company, so that its last bits differ. The labels of a star would then depend on the stars that
are fitted with it.
"""

import numpy as np

# Rows that are multiplied at once. They lie along the vector registers of the BLAS, which holds
# a whole number of registers, so that every row goes through the same instructions.
_TOGETHER = 16


def times(rows, matrix):
    """Product of rows with a matrix: each row of the result depends on its own row only, to the last bit.

    Parameters
    ----------
    rows : ndarray, (..., k)
    matrix : ndarray, (k, n)
        Of the same dtype.

    Returns
    -------
    ndarray, (..., n)

    Examples
    --------
    >>> rows, matrix = np.arange(6.0).reshape(2, 3), np.eye(3)
    >>> times(rows, matrix)
    array([[0., 1., 2.],
           [3., 4., 5.]])
    """
    flat = rows.reshape(-1, rows.shape[-1])
    result = np.empty((len(flat), matrix.shape[1]), np.result_type(rows, matrix))
    for first in range(0, len(flat), _TOGETHER):
        some = flat[first : first + _TOGETHER]
        missing = _TOGETHER - len(some)
        if missing:
            some = np.pad(some, ((0, missing), (0, 0)))
        result[first : first + _TOGETHER] = (matrix.T @ some.T).T[: _TOGETHER - missing]
    return result.reshape(*rows.shape[:-1], matrix.shape[1])
