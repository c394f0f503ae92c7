"""Chi-square of labels: of one instrument or of several that observed the same stars.

With C the components shared by pixels and W the weights of independent errors, the inverse of the covariance
is W - W C' (1 + C W C')^-1 C W (Woodbury): a thin product more than independent pixels would cost.
"""

from itertools import pairwise

import numpy as np

from slamlib.errors import InputError
from slamlib.inference.reduced import Reduced
from slamlib.regression.rows import dropped, gram, times


class Likelihood:
    """Chi-square of m spectra of one instrument as a function of standardised labels.

    It holds the prior of nuisance labels (`slamlib.labels.Label`) as one more term. `flux` and `ivar` (m,
    n_pix) are float32, as `checked` returns them; `node` is which SNR of the systematics.
    """

    def __init__(self, slam, flux, ivar, systematics=None, node=0):
        self.slam = slam
        mean, variance = 0.0, slam.model_variance_
        self.shared = np.zeros((0, slam.flux_mean_.size), np.float32)
        if systematics is not None:
            # The systematics hold the model's own errors too.
            mean, variance = systematics.mean_at(ivar), systematics.variance[node]
            self.shared = (systematics.components[node] / slam.flux_scale_).astype(np.float32)
        used = ivar > 0
        flux = np.where(used, flux, 0)
        self.target = np.where(used, (flux - mean - slam.flux_mean_) / slam.flux_scale_, 0).astype(np.float32)
        with np.errstate(divide="ignore", over="ignore"):
            variance = 1 / ivar + variance
        self.weight = np.where(used, slam.flux_scale_**2 / variance, 0).astype(np.float32)
        self.expected, self.precision = slam.prior()
        self.normal = np.array([gram(self.shared, weight) for weight in self.weight])
        self.root = _inverse_factor(self.normal)

    def __len__(self):
        """Return the number of spectra."""
        return len(self.target)

    def __getitem__(self, rows):
        """Return the likelihood of some of the spectra."""
        part = object.__new__(Likelihood)
        part.slam, part.shared = self.slam, self.shared
        part.expected, part.precision = self.expected, self.precision
        part.target, part.weight = self.target[rows], self.weight[rows]
        part.normal, part.root = self.normal[rows], self.root[rows]
        return part

    def reduced(self, z, more=None):
        """Return what a search evaluates: `Reduced` about `z` (m, d) if the model allows it.

        `more` is the reduced form of the same stars with these pixels and maybe others (see `Reduced`).
        """
        compressed = len(self.slam.expansions_) == 1 and self.slam.expansions_[0].components is not None
        return Reduced(self, z, more) if compressed else self

    def coarse(self):
        """Return itself: only `Reduced` has a form of fewer components."""
        return self

    def of(self, slam):
        """Return the same pixels as a function of the labels of another model in the same flux units."""
        part = self[:]
        part.slam, (part.expected, part.precision) = slam, slam.prior()
        return part

    @property
    def n_pix(self):
        """Number of pixels that count, (m,)."""
        return (self.weight > 0).sum(axis=1)

    def evaluate(self, z):
        """Chi-square (m,), half its negative gradient (m, d) and Gauss-Newton Hessian (m, d, d)."""
        value, slope = self.slam.predict_standardised(z, gradient=True)
        residual = self.target - value
        weighted = self.weight * residual
        chi2 = np.vecdot(weighted.astype(float), residual)
        gradient = (slope @ weighted[..., None])[..., 0].astype(float)
        slope_weighted = slope * self.weight[:, None]
        hessian = (slope_weighted @ slope.transpose(0, 2, 1)).astype(float)
        shared = self.onto_shared(weighted[:, None])
        shared_slope = self.onto_shared(slope_weighted)
        chi2 -= (shared**2).sum(axis=(1, 2))
        gradient -= (shared_slope @ shared.transpose(0, 2, 1))[..., 0]
        hessian -= shared_slope @ shared_slope.transpose(0, 2, 1)
        off = self.expected - z
        chi2 += (self.precision * off**2).sum(axis=1)
        return chi2, gradient + self.precision * off, hessian + np.diag(self.precision)

    def information(self, z):
        """Return what the instrument tells of each label at `z`: the diagonal of the Hessian, (1, m, d)."""
        return np.diagonal(self.evaluate(z)[2], axis1=1, axis2=2)[None]

    def without_prior(self):
        """Return the same without the prior of nuisance labels."""
        part = self[:]
        part.precision = np.zeros_like(self.precision)
        return part

    def without_each(self, z, firsts):
        """Differentiate chi-square at `z` (m, d), whole and without each of b blocks of pixels.

        `firsts` (b,) say where the blocks begin; each ends where the next begins. Returns gradient (m, 1 + b,
        d) and Hessian (m, 1 + b, d, d) as of `evaluate`, first of all pixels, then without a block; and
        whether the block has pixels that count, (m, b).
        """
        value, slope = self.slam.predict_standardised(z, gradient=True)
        d = slope.shape[1]
        rows = np.concatenate([slope, (self.target - value)[:, None]], axis=1)
        blocks = [slice(*ends) for ends in pairwise([*firsts, None])]
        own = []
        for row, weight, root in zip(rows, np.sqrt(self.weight), self.root, strict=True):
            own.append(_left_out(row * weight, root @ (self.shared * weight), blocks))
        own = np.array(own)
        used = np.stack([(self.weight[:, b] > 0).any(axis=1) for b in blocks], axis=1)
        gradient = own[..., :d, d] + (self.precision * (self.expected - z))[:, None]
        return gradient, own[..., :d, :d] + np.diag(self.precision), used

    def chi2(self, z):
        """Chi-square (k,) of the only spectrum at many labels `z` (k, d)."""
        residual = self.target - self.slam.predict_standardised(z)[0]
        weighted = self.weight * residual
        chi2 = np.vecdot(weighted.astype(float), residual)
        shared = (weighted @ self.shared.T) @ self.root[0].T
        chi2 -= (shared.astype(float) ** 2).sum(axis=1)
        return chi2 + (self.precision * (self.expected - z) ** 2).sum(axis=1)

    def gram(self, rows):
        """Products (m, k, k) of `rows` (m, k, n_pix) with one another, by the inverse covariance."""
        weighted = rows * self.weight[:, None]
        onto = self.onto_shared(weighted)
        return (weighted @ rows.transpose(0, 2, 1)).astype(float) - onto @ onto.transpose(0, 2, 1)

    def template_chi2(self, templates):
        """Chi-square (m, k), without what pixels share, of standardised spectra (k, n_pix)."""
        weighted = self.weight * self.target
        constant = np.vecdot(weighted.astype(float), self.target)
        return times(self.weight, (templates**2).T) - times(2 * weighted, templates.T) + constant[:, None]

    def squares(self, z):
        """Squared residuals over their variance, (m, n_pix), freed of the most likely shared errors."""
        residual = self.target - self.slam.predict_standardised(z)[0]
        amplitude = self.onto_shared((self.weight * residual)[:, None])[:, 0]
        amplitude = (self.root.transpose(0, 2, 1) @ amplitude[..., None].astype(np.float32))[..., 0]
        residual = residual - times(amplitude, self.shared)
        return residual**2 * self.weight

    def rejecting(self, z, sigmas):
        """Return the likelihood without the pixels further than `sigmas` from the fit at `z`."""
        part = self[np.arange(len(self))]
        part.weight = np.where(self.squares(z) > sigmas**2, np.float32(0), self.weight)
        rows = np.flatnonzero(part.differs(self))
        if rows.size:
            part.normal[rows] -= dropped(self.shared, self.weight[rows], part.weight[rows])
            part.root[rows] = _inverse_factor(part.normal[rows])
        return part

    def differs(self, other):
        """Tell which stars have other pixels than in `other`, (m,)."""
        return ((self.weight > 0) != (other.weight > 0)).any(axis=1)

    def capped(self, z, sigmas):
        """Sum of the `squares` at `z`, each at most ``sigmas**2``: (m,)."""
        return np.minimum(self.squares(z), sigmas**2).sum(axis=1, dtype=float)

    def replaced(self, rows, other):
        """Return the likelihood with some stars, (m,) of bool, replaced by those of `other`."""
        part = self[np.arange(len(self))]
        part.weight[rows] = other.weight
        part.normal[rows], part.root[rows] = other.normal, other.root
        return part

    def onto_shared(self, weighted):
        """Project (m, d, n_pix) on the shared components, whitened: (m, d, rank), in double precision."""
        onto = times(weighted, self.shared.T)
        return (onto @ self.root.transpose(0, 2, 1)).astype(float)


def _left_out(rows, shared, blocks):
    """Products of rows (k, n) by the inverse covariance: of all pixels and without each block, (1 + b, k, k).

    Both are in units of independent errors, `shared` (rank, n) whitened: the covariance is the inverse of 1 -
    V' V, and without a block b the products lack X (1 + V' (1 - V V')^-1 V) X', with V and X those of the
    block of `shared` and of the rows freed of it.
    """
    free = rows - (rows @ shared.T) @ shared
    own = np.array([free[:, b] @ free[:, b].T for b in blocks])
    onto = np.array([shared[:, b] @ free[:, b].T for b in blocks])
    left = np.array([np.eye(len(shared), dtype=np.float32) - shared[:, b] @ shared[:, b].T for b in blocks])
    own += onto.transpose(0, 2, 1) @ np.linalg.solve(left, onto)
    whole = (free @ rows.T).astype(float)
    return np.concatenate([whole[None], whole - own])


def _inverse_factor(normal):
    """Inverse of the Cholesky factor of one plus each of matrices (m, k, k), in single precision."""
    root = np.linalg.cholesky(np.eye(normal.shape[-1]) + normal.astype(float))
    return np.linalg.inv(root).astype(np.float32)


class Joint:
    """The likelihoods of several instruments that observed the same m stars, as one.

    Labels are standardised as those of the first instrument.
    """

    def __init__(self, likelihoods):
        if len({len(part) for part in likelihoods}) != 1:
            raise InputError(
                f"spectra of {[len(part) for part in likelihoods]} stars; give each star one of each"
            )
        if len({part.slam.names for part in likelihoods}) != 1:
            raise InputError("the models have different labels; train them on one grid")
        # What is expected of a star counts once.
        self.parts = [likelihoods[0], *(part.without_prior() for part in likelihoods[1:])]
        self.slam = likelihoods[0].slam

    def __len__(self):
        """Return the number of stars."""
        return len(self.parts[0])

    def __getitem__(self, rows):
        """Return the likelihood of some of the stars."""
        return Joint([part[rows] for part in self.parts])

    @property
    def n_pix(self):
        """Number of pixels that count, (m,)."""
        return sum(part.n_pix for part in self.parts)

    def _own(self, part, z):
        """Labels in the units of `part`, and how those grow with ours."""
        ratio = self.slam.label_scale_ / part.slam.label_scale_
        return (self.slam.label_mean_ - part.slam.label_mean_) / part.slam.label_scale_ + ratio * z, ratio

    def evaluate(self, z):
        """As `Likelihood.evaluate`, summed."""
        total = 0.0, 0.0, 0.0
        for part in self.parts:
            own, ratio = self._own(part, z)
            chi2, gradient, hessian = part.evaluate(own)
            own = chi2, gradient * ratio, hessian * np.outer(ratio, ratio)
            total = tuple(a + b for a, b in zip(total, own, strict=True))
        return total

    def information(self, z):
        """As `Likelihood.information`, (k, m, d)."""
        own = [(part, *self._own(part, z)) for part in self.parts]
        return np.concatenate([part.information(at) * ratio**2 for part, at, ratio in own])

    def template_chi2(self, templates):
        """As `Likelihood.template_chi2`; `templates` holds one array for each instrument."""
        return sum(part.template_chi2(own) for part, own in zip(self.parts, templates, strict=True))

    def rejecting(self, z, sigmas):
        """As `Likelihood.rejecting`, in each instrument."""
        return Joint([part.rejecting(self._own(part, z)[0], sigmas) for part in self.parts])

    def differs(self, other):
        """As `Likelihood.differs`, in any instrument."""
        pairs = zip(self.parts, other.parts, strict=True)
        return np.any([part.differs(others) for part, others in pairs], axis=0)

    def capped(self, z, sigmas):
        """As `Likelihood.capped`, summed."""
        return sum(part.capped(self._own(part, z)[0], sigmas) for part in self.parts)

    def replaced(self, rows, other):
        """As `Likelihood.replaced`."""
        parts = zip(self.parts, other.parts, strict=True)
        return Joint([part.replaced(rows, new) for part, new in parts])

    def reduced(self, z, more=None):
        """As `Likelihood.reduced`."""
        pairs = zip(self.parts, more.parts if more else [None] * len(self.parts), strict=True)
        return Joint([part.reduced(self._own(part, z)[0], own) for part, own in pairs])

    def coarse(self):
        """As `Reduced.coarse`."""
        return Joint([part.coarse() for part in self.parts])


def rejected_pixels(slam, flux, ivar, labels, systematics=None, sigmas=5.0):
    """Tell which pixels (n_pix,) of one spectrum are further than `sigmas` from the model at its labels (d,).

    The labels are those that `infer` found with these `systematics` and with ``reject=sigmas``. A pixel of
    ivar = 0 never counted, and is not among them.
    """
    flux, ivar = (np.atleast_2d(np.asarray(array, dtype=np.float32)) for array in (flux, ivar))
    node = 0 if systematics is None else systematics.nearest(ivar)[0]
    likelihood = Likelihood(slam, flux, ivar, systematics, node)
    squares = likelihood.squares(slam.to_standard(np.atleast_2d(labels)))
    return ((squares > sigmas**2) & (ivar > 0))[0]
