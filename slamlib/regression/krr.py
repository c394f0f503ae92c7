"""Kernel ridge regression of all pixels at once, with exact leave-one-out errors."""

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.linalg.lapack import dpotri

from slamlib.errors import InputError


def fit_krr(kernel, targets, ridge):
    """Solve (K + ridge I) dual = targets (n, n_pix) by one Cholesky factorisation of the kernel (n, n).

    The leave-one-out residual of sample i is dual_i / [(K + ridge I)^-1]_ii (Rasmussen & Williams 2006,
    Gaussian Processes for Machine Learning, equation 5.12): no refit. Returns dual and these residuals, (n,
    n_pix) each; the prediction is ``kernel(x, samples) @ dual``. InputError if the kernel is not positive
    definite even with the ridge.
    """
    matrix = np.array(kernel, dtype=float)
    matrix.flat[:: len(matrix) + 1] += ridge
    try:
        factor = cho_factor(matrix, lower=True, overwrite_a=True)
    except np.linalg.LinAlgError:
        raise InputError(f"kernel + {ridge:g} I is not positive definite; use a larger ridge") from None
    dual = cho_solve(factor, targets)
    inverse, _ = dpotri(factor[0], lower=1)
    return dual, dual / np.diag(inverse)[:, None]
