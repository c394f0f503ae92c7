"""Sequential minimal optimisation, compiled: one pixel at a time, on one kernel for all.

Second-order working pairs as in libsvm (Fan, Chen & Lin 2005, JMLR 6, 1889). Each pair of
multipliers (alpha, alpha*) of one sample is kept as its difference beta: at the solution
one of the two is zero. A sample whose bound on ``|beta|`` is zero takes no part.
"""

import numpy as np
from numba import njit

from slamlib.regression.svr.reductions import index_of, larger, smaller

# More steps than this per sample lead nowhere.
_STEPS_PER_SAMPLE = 2000
# How much of its violation a pixel may keep in one round: later rounds see better residuals.
_KEPT = np.float32(0.1)
# Violators of either side that enter a working set: this many, or this fraction of the samples.
_LEAST_WIDTH, _WIDTH = 10, 1 / 80

# fastmath lets the reductions use vector registers. Every float that is searched for is
# stored first: recomputed, it may differ in its last bit and the search would find nothing.
# Infinities are forbidden under fastmath, so "not allowed" is a large finite number.
_FAR = np.float32(1e30)


@njit(nogil=True, cache=True)
def improve(kernel, residuals, bounds, epsilon, tol, beta):
    """Take each regression that violates its conditions by more than `tol` nearer its optimum.

    It is solved exactly over a working set, the free multipliers and the worst violators (Joachims 1999,
    Making large-scale SVM learning practical). `residuals`, `bounds` and `beta` (p, n) are targets minus
    ``beta @ kernel``, the greatest ``|beta|``, and the multipliers, changed in place. Returns intercept and
    violation (p,) of the multipliers that were passed in.
    """
    found = np.empty((2, len(beta)), np.float32)
    for p in range(len(beta)):
        found[0, p], found[1, p] = _improve_one(kernel, residuals[p], bounds[p], epsilon, tol, beta[p])
    return found


@njit(fastmath=True, nogil=True, cache=True)
def _improve_one(kernel, residual, bound, epsilon, tol, beta):
    n = len(beta)
    rise, fall = np.empty(n, np.float32), np.empty(n, np.float32)
    up, low = np.empty(n, np.float32), np.empty(n, np.float32)
    for k in range(n):
        _set_shifts(k, beta, bound, epsilon, rise, fall)
    highest, lowest = _extremes(residual, rise, fall, up, low)
    violation = highest - lowest
    if violation > tol:
        chosen = _working_set(beta, bound, up, low, highest, lowest)
        q = len(chosen)
        sub_kernel = np.empty((q, q), np.float32)
        for a in range(q):
            row = kernel[chosen[a]]
            for b in range(q):
                sub_kernel[a, b] = row[chosen[b]]
        sub_beta = beta[chosen]
        goal = max(np.float32(0.5) * tol, _KEPT * violation)
        _minimise(sub_kernel, residual[chosen], bound[chosen], epsilon, goal, sub_beta)
        for a in range(q):
            beta[chosen[a]] = sub_beta[a]
    return (highest + lowest) / 2, violation


@njit(fastmath=True, nogil=True, cache=True)
def _working_set(beta, bound, up, low, highest, lowest):
    """Return the indices of the free multipliers and of the worst violators of either side."""
    n = len(beta)
    width = min(max(_LEAST_WIDTH, int(_WIDTH * n)), n)
    # Only those that violate something: the others have nothing to gain.
    high = max(_smallest(up.copy(), n - width), lowest)
    deep = min(_smallest(low.copy(), width - 1), highest)
    chosen = np.empty(n, np.int32)
    q = 0
    for k in range(n):
        free = beta[k] != 0 and abs(beta[k]) < bound[k]
        if free or up[k] >= high or low[k] <= deep:
            chosen[q] = k
            q += 1
    return chosen[:q]


@njit(fastmath=True, nogil=True, cache=True)
def _smallest(values, k):
    """Return the value at place k of sorted `values`, which are reordered (Hoare 1961, CACM 4, 321).

    ``numpy.partition`` does the same, but numba compiles it longer than all else in this module.
    """
    first, last = 0, len(values) - 1
    while first < last:
        pivot, i, j = values[k], first, last
        while i <= j:
            while values[i] < pivot:
                i += 1
            while pivot < values[j]:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i, j = i + 1, j - 1
        first, last = i if j < k else first, j if k < i else last
    return values[k]


@njit(fastmath=True, nogil=True, cache=True)
def _set_shifts(k, beta, bound, epsilon, rise, fall):
    """Set what a residual is shifted by when beta[k] is to rise or to fall."""
    b = beta[k]
    rise[k] = -_FAR if b >= bound[k] else (epsilon if b < 0 else -epsilon)
    fall[k] = _FAR if b <= -bound[k] else (-epsilon if b > 0 else epsilon)


@njit(fastmath=True, nogil=True, cache=True)
def _extremes(residual, rise, fall, up, low):
    """Set `up` and `low`; return the highest and the lowest: equal, within tol, at the optimum."""
    highest, lowest = -_FAR, _FAR
    for k in range(len(residual)):
        up[k] = residual[k] + rise[k]
        low[k] = residual[k] + fall[k]
        highest = larger(highest, up[k])
        lowest = smaller(lowest, low[k])
    return highest, lowest


@njit(fastmath=True, nogil=True, cache=True)
def _minimise(kernel, residual, bound, epsilon, tol, beta):
    """Move pairs of multipliers, worst first, until no two conditions differ by more than `tol`."""
    n = len(beta)
    rise, fall = np.empty(n, np.float32), np.empty(n, np.float32)
    up, low, gain = np.empty(n, np.float32), np.empty(n, np.float32), np.empty(n, np.float32)
    for k in range(n):
        _set_shifts(k, beta, bound, epsilon, rise, fall)
    for _ in range(_STEPS_PER_SAMPLE * n):
        highest, lowest = _extremes(residual, rise, fall, up, low)
        if highest - lowest <= tol:
            break
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
        step = min(step, -beta[i] if beta[i] < 0 else bound[i] - beta[i])
        step = min(step, beta[j] if beta[j] > 0 else bound[j] + beta[j])
        beta[i] += step
        beta[j] -= step
        _set_shifts(i, beta, bound, epsilon, rise, fall)
        _set_shifts(j, beta, bound, epsilon, rise, fall)
        for k in range(n):
            residual[k] -= step * (row_i[k] - row_j[k])
