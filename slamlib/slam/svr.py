"""Many epsilon support-vector regressions that share one kernel matrix.

Sequential minimal optimisation with second-order working sets, as in libsvm (Fan, Chen &
Lin 2005, JMLR 6, 1889), over a precomputed kernel, one pixel a thread. Each pair of
multipliers (alpha, alpha*) of one sample is kept as its difference beta: at the solution
one of the two is zero.
"""

import numpy as np
from numba import njit, prange

from slamlib.errors import InputError
from slamlib.slam.reductions import index_of, larger, smaller

# A pixel that needs more steps than this per sample is not going to converge.
_STEPS_PER_SAMPLE = 2000


def fit_svr(kernel, targets, C, epsilon, tol=1e-3):
    """Solve one epsilon-SVR for each column of `targets`.

    Minimises beta' K beta / 2 - beta' y + epsilon |beta|_1 subject to |beta| <= C and
    sum(beta) = 0 (Smola & Schoelkopf 2004, Stat. Comput. 14, 199).

    Parameters
    ----------
    kernel : ndarray, (n, n)
        Symmetric, with a unit diagonal.
    targets : ndarray, (n, n_pix)
    C, epsilon : float
        Bound of the multipliers; half-width of the tube inside which errors are free.
    tol : float
        Greatest violation of the optimality conditions, in units of the targets.

    Returns
    -------
    beta : ndarray of float32, (n, n_pix)
    intercept : ndarray of float32, (n_pix,)
        The prediction is ``kernel(x, samples) @ beta + intercept``.

    Raises
    ------
    InputError
        If shapes disagree, a value is not finite, or a pixel does not converge.
    """
    kernel = np.ascontiguousarray(kernel, dtype=np.float32)
    targets = np.ascontiguousarray(np.asarray(targets, dtype=np.float32).T)
    n = len(kernel)
    if kernel.shape != (n, n) or targets.shape[1] != n:
        raise InputError(f"kernel {kernel.shape} and targets {targets.T.shape} do not belong together")
    if not (np.isfinite(targets).all() and np.isfinite(kernel).all()):
        raise InputError("kernel or targets are not finite; remove those samples")
    beta = np.zeros_like(targets)
    intercept = np.empty(len(targets), dtype=np.float32)
    violation = np.empty(len(targets), dtype=np.float32)
    _fit_pixels(
        kernel, targets, np.float32(C), np.float32(epsilon), np.float32(tol), beta, intercept, violation
    )
    if not (violation <= tol).all():
        worst = int(np.argmax(violation))
        raise InputError(
            f"SVR of pixel {worst} violates its optimality conditions by {violation[worst]:.2g}, more than "
            f"tol = {tol}, after {_STEPS_PER_SAMPLE} steps a sample; raise tol or lower C"
        )
    return beta.T, intercept


@njit(parallel=True, cache=True)
def _fit_pixels(kernel, targets, C, epsilon, tol, beta, intercept, violation):
    for pixel in prange(len(targets)):
        intercept[pixel], violation[pixel] = _fit_one(kernel, targets[pixel], C, epsilon, tol, beta[pixel])


# fastmath lets the reductions use vector registers. Every float that is searched for is
# stored first: recomputed, it may differ in its last bit and the search would find nothing.
# Infinities are forbidden under fastmath, so "not allowed" is a large finite number.
_FAR = np.float32(1e30)


@njit(fastmath=True, cache=True)
def _residuals(kernel, target, beta, residual):
    """Set residual to target - kernel @ beta, summed in double precision."""
    total = np.zeros(len(target), dtype=np.float64)
    for k in range(len(target)):
        if beta[k] != 0:
            b = np.float64(beta[k])
            row = kernel[k]
            for m in range(len(target)):
                total[m] += b * row[m]
    for m in range(len(target)):
        residual[m] = target[m] - total[m]


@njit(fastmath=True, cache=True)
def _set_shifts(k, beta, C, epsilon, rise, fall):
    """Set what a residual is shifted by when beta[k] is to rise or to fall."""
    b = beta[k]
    rise[k] = -_FAR if b >= C else (epsilon if b < 0 else -epsilon)
    fall[k] = _FAR if b <= -C else (-epsilon if b > 0 else epsilon)


@njit(fastmath=True, cache=True)
def _fit_one(kernel, target, C, epsilon, tol, beta):
    n = len(target)
    residual = np.empty(n, dtype=np.float32)
    rise = np.empty(n, dtype=np.float32)
    fall = np.empty(n, dtype=np.float32)
    up = np.empty(n, dtype=np.float32)
    low = np.empty(n, dtype=np.float32)
    gain = np.empty(n, dtype=np.float32)
    for k in range(n):
        _set_shifts(k, beta, C, epsilon, rise, fall)
    _residuals(kernel, target, beta, residual)
    fresh = True
    gap = _FAR
    highest = np.float32(0)
    lowest = np.float32(0)
    steps = 0
    while True:
        highest = -_FAR
        lowest = _FAR
        for k in range(n):
            up[k] = residual[k] + rise[k]
            low[k] = residual[k] + fall[k]
            highest = larger(highest, up[k])
            lowest = smaller(lowest, low[k])
        gap = highest - lowest
        if gap <= tol or steps >= _STEPS_PER_SAMPLE * n:
            # Rounding has crept into the residuals: believe the gap only when they are fresh.
            if fresh or steps >= _STEPS_PER_SAMPLE * n:
                break
            _residuals(kernel, target, beta, residual)
            fresh = True
            continue
        i = index_of(up, highest)
        row_i = kernel[i]
        best = np.float32(0)
        for k in range(n):
            drop = larger(highest - low[k], np.float32(0))
            gain[k] = drop * drop / larger(np.float32(2) - np.float32(2) * row_i[k], np.float32(1e-6))
            best = larger(best, gain[k])
        j = index_of(gain, best)
        row_j = kernel[j]
        step = (highest - low[j]) / max(np.float32(2) - np.float32(2) * row_i[j], np.float32(1e-6))
        step = min(step, -beta[i] if beta[i] < 0 else C - beta[i])
        step = min(step, beta[j] if beta[j] > 0 else C + beta[j])
        beta[i] += step
        beta[j] -= step
        _set_shifts(i, beta, C, epsilon, rise, fall)
        _set_shifts(j, beta, C, epsilon, rise, fall)
        for k in range(n):
            residual[k] -= step * (row_i[k] - row_j[k])
        fresh = False
        steps += 1
    return (highest + lowest) / 2, gap
