"""Many epsilon support-vector regressions that share one kernel matrix.

First a rough solution of all pixels at once (`slamlib.regression.svr.admm`). Then rounds: the
residuals of all pixels as one matrix product, and for each pixel an exact solution over the
few multipliers that still violate the conditions of the optimum (`slamlib.regression.svr.smo`).
"""

import numpy as np
from joblib import Parallel, delayed

from slamlib.errors import InputError
from slamlib.regression.svr.admm import SharedRidge, approach
from slamlib.regression.svr.smo import improve
from slamlib.threads import blas_threads, n_cores

# Pixels in flight at once on one core.
_CHUNK = 256
# Products of fewer samples than this are too small for threads of the BLAS: they only wait for each other.
_SMALL = 1000
# A pixel that needs more rounds than this is not going to converge.
_ROUNDS = 1000


def fit_svr(kernel, targets, C, epsilon, tol=1e-3):
    """Solve one epsilon-SVR for each column of `targets` (n, n_pix); NaN leaves a sample out of that pixel.

    Minimises ``beta' K beta / 2 - beta' y + epsilon |beta|_1`` subject to ``|beta| <= C`` and ``sum(beta) =
    0`` (Smola & Schoelkopf 2004, Stat. Comput. 14, 199), for a symmetric kernel (n, n) with a unit diagonal,
    until no optimality condition is violated by more than `tol`, in units of the targets. Returns beta (n,
    n_pix), zero for a sample that was left out, and intercepts (n_pix,), both float32: the prediction is
    ``kernel(x, samples) @ beta + intercept``. InputError if shapes disagree, a value is infinite, a pixel has
    fewer than two samples, or does not converge.
    """
    kernel = np.ascontiguousarray(kernel, dtype=np.float32)
    targets = np.ascontiguousarray(np.asarray(targets, dtype=np.float32).T)
    n = len(kernel)
    if kernel.shape != (n, n) or targets.shape[1] != n:
        raise InputError(f"kernel {kernel.shape} and targets {targets.T.shape} do not belong together")
    if np.isinf(targets).any() or not np.isfinite(kernel).all():
        raise InputError("kernel or targets are not finite; remove those samples or set their target to NaN")
    few = np.flatnonzero(np.isfinite(targets).sum(axis=1) < 2)
    if few.size:
        raise InputError(f"pixel {few[0]} has fewer than two samples that are not NaN; leave that pixel out")
    beta = np.empty_like(targets)
    intercept, violation = np.empty((2, len(targets)), np.float32)
    with blas_threads(1 if n < _SMALL else n_cores()):
        shared = SharedRidge(kernel, C)
    chunks = [slice(first, first + _CHUNK) for first in range(0, len(targets), _CHUNK)]

    def solve(some):
        solved = _solve(kernel, shared, targets[some], np.float32(C), np.float32(epsilon), np.float32(tol))
        beta[some], intercept[some], violation[some] = solved

    with blas_threads(1):
        Parallel(n_jobs=n_cores(), backend="threading")(delayed(solve)(some) for some in chunks)
    if not (violation <= tol).all():
        worst = int(np.argmax(violation))
        raise InputError(
            f"SVR of pixel {worst} violates its optimality conditions by {violation[worst]:.2g}, more than "
            f"tol = {tol}, after {_ROUNDS} rounds; raise tol or lower C"
        )
    return beta.T, intercept


def _solve(kernel, shared, targets, C, epsilon, tol):
    """Multipliers (p, n), intercepts and violations (p,) of some pixels."""
    used = np.isfinite(targets)
    targets, bounds = np.where(used, targets, np.float32(0)), np.where(used, C, np.float32(0))
    beta = approach(shared, targets, bounds, epsilon)
    intercept, violation = np.empty((2, len(targets)), np.float32)
    running = np.arange(len(targets))
    for _ in range(_ROUNDS):
        trial = beta[running]
        residuals = targets[running] - trial @ kernel
        found = improve(kernel, residuals, bounds[running], epsilon, tol, trial)
        intercept[running], violation[running] = found
        beta[running] = trial
        running = running[violation[running] > tol]
        if running.size == 0:
            break
    return beta, intercept, violation
