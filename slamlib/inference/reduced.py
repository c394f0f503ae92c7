"""Chi-square in the space of a model's principal components: a fast stand-in for the search of minima.

With the model's components A and the inverse covariance M of a star's pixels, A M A' and A M r,
of the residual r at one point, give chi-square everywhere (the model is linear in its
components); a step then costs nothing that grows with the number of pixels.
"""

import numpy as np

from slamlib.regression.rows import gram, times

# Components that the search keeps; a fit to all pixels with all components follows it.
_COMPONENTS = 100


class Reduced:
    """A likelihood of m stars, evaluated on the first principal components of its model.

    The `Likelihood` is of a compressed model with one kernel; `z` (m, d) are standardised labels near which
    it is exact but for rounding.
    """

    def __init__(self, likelihood, z):
        part = likelihood.slam.expansions_[0]
        self.slam, self._expansion = likelihood.slam, part.first(_COMPONENTS)
        self._prior = likelihood.expected, likelihood.precision
        basis = np.zeros((len(self._expansion.components), likelihood.target.shape[1]), np.float32)
        basis[:, part.pixels] = self._expansion.components
        residual = likelihood.target - self.slam.predict_standardised(z)[0]
        weighted = likelihood.weight * residual
        self._chi2 = np.vecdot(weighted.astype(float), residual)
        self._linear = times(weighted, basis.T).astype(float)
        shared = np.zeros((0, basis.shape[1]), np.float32) if likelihood.shared is None else likelihood.shared
        # One product a star: it does not depend on its company.
        rows, n = np.concatenate([basis, shared]), len(basis)
        products = np.array([gram(rows, weight)[:, :n] for weight in likelihood.weight])
        self._gram, cross = products[:, :n], products[:, n:]
        if likelihood.shared is not None:
            onto, cross = likelihood.onto_shared(weighted[:, None])[:, 0], likelihood.root @ cross
            self._chi2 -= np.vecdot(onto, onto)
            self._linear -= np.vecmat(onto, cross)
            self._gram = self._gram - cross.transpose(0, 2, 1) @ cross
        self._origin = self._expansion.coefficients(z.astype(np.float32))[0]

    def __len__(self):
        """Return the number of stars."""
        return len(self._chi2)

    def __getitem__(self, rows):
        """Return the likelihood of some of the stars."""
        part = object.__new__(Reduced)
        part.slam, part._expansion, part._prior = self.slam, self._expansion, self._prior
        for name in ("_chi2", "_linear", "_gram", "_origin"):
            setattr(part, name, getattr(self, name)[rows])
        return part

    def without_prior(self):
        """As `Likelihood.without_prior`."""
        part = self[:]
        part._prior = self._prior[0], np.zeros_like(self._prior[1])
        return part

    def evaluate(self, z):
        """As `Likelihood.evaluate`."""
        value, slope = self._expansion.coefficients(z.astype(np.float32), gradient=True)
        offset = value - self._origin
        moved = np.matvec(self._gram, offset)
        chi2 = self._chi2 - 2 * np.vecdot(self._linear, offset) + np.vecdot(offset, moved)
        gradient = np.matvec(slope, self._linear - moved)
        hessian = slope @ self._gram @ slope.transpose(0, 2, 1)
        expected, precision = self._prior
        chi2 += (precision * (expected - z) ** 2).sum(axis=1)
        return chi2, gradient + precision * (expected - z), hessian + np.diag(precision)
