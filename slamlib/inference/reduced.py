"""Chi-square in the space of a model's principal components: a fast stand-in for the search of minima.

With the model's components A and the inverse covariance M of a star's pixels, A M A' and A M r,
of the residual r at one point, give chi-square everywhere (the model is linear in its
components); a step then costs nothing that grows with the number of pixels.
"""

import numpy as np

from slamlib.regression.rows import dropped, gram, times

# Components that are kept, all that the models in the package have (the last step of every fit takes all,
# also of a larger model), and those that suffice to find where minima are.
_COMPONENTS, _COARSE = 160, 100


class Reduced:
    """A likelihood of m stars, evaluated on the first principal components of its model.

    The `Likelihood` is of a compressed model with one kernel; `z` (m, d) are standardised labels near which
    it is exact but for rounding. `more` is the reduced form of the same stars with these pixels and maybe
    others, if there is one: to subtract what the others added costs less than to sum over all pixels.
    """

    def __init__(self, likelihood, z, more=None):
        part = likelihood.slam.expansions_[0]
        self.slam, self._expansion = likelihood.slam, part.first(_COMPONENTS)
        self._prior = likelihood.expected, likelihood.precision
        rows = np.zeros((len(self._expansion.components), likelihood.target.shape[1]), np.float32)
        rows[:, part.pixels] = self._expansion.components
        n = len(rows)
        rows = np.concatenate([rows, likelihood.shared])
        residual = likelihood.target - self.slam.predict_standardised(z)[0]
        weighted = likelihood.weight * residual
        self._chi2 = np.vecdot(weighted.astype(float), residual)
        self._linear = times(weighted, rows[:n].T).astype(float)
        weight = likelihood.weight
        # One product a star: it does not depend on its company.
        if more is None:
            products = np.array([gram(rows, own)[:, :n] for own in weight])
        else:
            before, products = (each[more._rows] for each in more._made_of)
            products -= dropped(rows, before, weight)[:, :, :n]
        self._made_of, self._rows = (weight, products), np.arange(len(weight))
        self._gram, cross = products[:, :n], products[:, n:]
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
        part.__dict__.update(self.__dict__)
        for name in ("_chi2", "_linear", "_gram", "_origin", "_rows"):
            setattr(part, name, getattr(self, name)[rows])
        return part

    def coarse(self):
        """Return a form of fewer components, cheaper, with which minima are found."""
        part, n = self[:], _COARSE
        part._expansion = self._expansion.first(n)
        part._origin, part._linear = self._origin[:, :n], self._linear[:, :n]
        part._gram = np.ascontiguousarray(self._gram[:, :n, :n])
        return part

    def without_prior(self):
        """As `Likelihood.without_prior`."""
        part = self[:]
        part._prior = self._prior[0], np.zeros_like(self._prior[1])
        return part

    def evaluate(self, z):
        """As `Likelihood.evaluate`."""
        value, slope = self._expansion.coefficients(z.astype(np.float32), gradient=True)
        rows = np.concatenate([(value - self._origin)[:, None], slope], axis=1)
        linear = np.matvec(rows, self._linear)
        square = (rows @ self._gram @ rows.transpose(0, 2, 1)).astype(float)
        chi2 = self._chi2 - 2 * linear[:, 0] + square[:, 0, 0]
        gradient, hessian = linear[:, 1:] - square[:, 1:, 0], square[:, 1:, 1:]
        expected, precision = self._prior
        chi2 += (precision * (expected - z) ** 2).sum(axis=1)
        return chi2, gradient + precision * (expected - z), hessian + np.diag(precision)
