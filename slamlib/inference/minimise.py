"""Levenberg-Marquardt in a box, for many stars at once."""

from dataclasses import dataclass

import numpy as np

# A step shorter than this, in units of its own standard error squared, ends the search: it gains as little,
# so that nothing is evaluated at its end. `NEARLY` is for what costs more to evaluate, `ROUGH` for what is
# only compared.
_CONVERGED, NEARLY, ROUGH = 1e-5, 1e-3, 1e-2
# Damping of the first step far from a minimum and near one, and where a star is given up whose steps fail.
_DAMPING, NEAR, _GIVE_UP = 0.1, 1e-3, 1e8
# A smaller predicted gain in chi-square is none.
_LEAST = 1e-12


@dataclass
class Minimum:
    """Where chi-square is least, for m stars: standardised labels `z` (m, d).

    `hessian` (m, d, d) is Gauss-Newton's, of half of chi-square; `rival` says whether another minimum, far
    away, is as good.
    """

    z: np.ndarray
    hessian: np.ndarray
    chi2: np.ndarray
    converged: np.ndarray
    rival: np.ndarray

    def replace(self, rows, other):
        """Take the solutions of `other` for some stars; a rival stays one."""
        for name in ("z", "hessian", "chi2", "converged"):
            getattr(self, name)[rows] = getattr(other, name)

    def __getitem__(self, rows):
        """Return some of the stars."""
        return Minimum(*(values[rows] for values in vars(self).values()))


def minimise(likelihood, start, bounds, max_steps, damping=_DAMPING, enough=_CONVERGED):
    """Minimise chi-square for the m stars of a likelihood: a `Minimum`.

    `start` (m, d) are standardised labels inside the `bounds` (2, d). The `damping`, that of the first step,
    follows how much of the predicted gain a step brings (Nielsen 1999, Damping parameter in Marquardt's
    method, IMM-REP-1999-05, equation 2.4); a step shorter than `enough` ends the search.
    """
    z = start.copy()
    chi2, gradient, hessian = likelihood.evaluate(z)
    damping, growth = np.full(len(z), damping), np.full(len(z), 2.0)
    converged = np.zeros(len(z), dtype=bool)
    running = np.arange(len(z))
    for _ in range(max_steps):
        step = _step(z[running], gradient[running], hessian[running], damping[running], bounds)
        moved = np.clip(z[running] + step, *bounds)
        step = moved - z[running]
        curved = distance(hessian[running], step)
        predicted = 2 * np.vecdot(step, gradient[running]) - curved
        small = curved < enough
        done = running[small]
        z[done], converged[done] = moved[small], True
        chi2[done] -= predicted[small]
        running, moved, step, predicted = (part[~small] for part in (running, moved, step, predicted))
        if running.size == 0:
            break
        trial = (likelihood if running.size == len(z) else likelihood[running]).evaluate(moved)
        gain = chi2[running] - trial[0]
        better = gain > 0
        kept = np.clip(gain / np.maximum(predicted, _LEAST), 0, 2)
        won = running[better]
        z[won], chi2[won], gradient[won], hessian[won] = moved[better], *(part[better] for part in trial)
        damping[running] *= np.where(better, np.maximum(1 / 3, 1 - (2 * kept - 1) ** 3), growth[running])
        growth[running] = np.where(better, 2.0, 2 * growth[running])
        running = running[damping[running] < _GIVE_UP]
    return Minimum(z, hessian, chi2, converged, np.zeros(len(z), dtype=bool))


def distance(matrix, vector):
    """Return v' M v for each of m stars: of an offset v, its square in standard deviations."""
    return np.vecdot(vector, np.matvec(matrix, vector))


def _step(z, gradient, hessian, damping, bounds):
    """Damped Gauss-Newton step; a label at its bound whose step would leave the box is held."""
    held = ((z <= bounds[0]) & (gradient < 0)) | ((z >= bounds[1]) & (gradient > 0))
    diagonal = np.maximum(np.einsum("mdd->md", hessian), 1e-10)
    matrix = hessian + (damping[:, None] * diagonal)[:, :, None] * np.eye(z.shape[1])
    free = ~held
    matrix = np.where(free[:, :, None] & free[:, None, :], matrix, np.eye(z.shape[1]))
    return np.linalg.solve(matrix, np.where(free, gradient, 0.0)[..., None])[..., 0]
