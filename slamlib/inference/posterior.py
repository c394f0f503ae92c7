"""The posterior of one star's labels, sampled with emcee."""

import numpy as np
from numpy.typing import ArrayLike

from slamlib.errors import InputError
from slamlib.inference.infer import checked, default_bounds, infer
from slamlib.inference.likelihood import Likelihood
from slamlib.inference.systematics import Systematics
from slamlib.regression.slam import Slam

try:
    import emcee
except ImportError:
    raise InputError("a posterior needs emcee; install it with: pip install 'slamlib[posterior]'") from None


class LogPosterior:
    """Logarithm of the posterior of the labels of one star, for many labels at once.

    Gaussian likelihood with observation and model variance, uniform prior in a box of `bounds` (2, d),
    Gaussian for nuisance labels (`slamlib.labels.Label`). `flux` and `ivar` (n_pix,) are as of
    `slamlib.inference.infer.infer`.
    """

    def __init__(self, slam, flux, ivar, bounds=None, systematics=None):
        flux, ivar = checked(slam, flux, ivar)
        if len(flux) != 1:
            raise InputError(f"a posterior is of one star; got {len(flux)} spectra")
        if not ivar.any():
            raise InputError("all pixels are masked (ivar = 0): there is nothing to sample")
        self.slam = slam
        self.bounds = default_bounds(slam) if bounds is None else np.asarray(bounds, dtype=float)
        node = systematics.nearest(ivar)[0] if systematics is not None else 0
        self._likelihood = Likelihood(slam, flux, ivar, systematics, node)

    def __call__(self, labels):
        """Log-posterior (m,) up to a constant at labels (m, d); -inf outside the box."""
        labels = np.atleast_2d(labels)
        allowed = ((labels >= self.bounds[0]) & (labels <= self.bounds[1])).all(axis=1)
        result = np.full(len(labels), -np.inf)
        if allowed.any():
            result[allowed] = -0.5 * self._likelihood.chi2(self.slam.to_standard(labels[allowed]))
        return result


def sample_posterior(
    slam: Slam,
    flux: ArrayLike,
    ivar: ArrayLike,
    seed: int,
    bounds: ArrayLike | None = None,
    systematics: Systematics | None = None,
    n_walkers: int = 32,
    n_steps: int = 2000,
    n_burn: int = 500,
    progress: bool = False,
) -> np.ndarray:
    """Draw labels from the posterior of one star.

    The walkers start around the solution of `infer`, spread by its covariance.

    Parameters
    ----------
    slam : Slam
    flux, ivar : array_like, (n_pix,)
    seed : int
        Of walkers and moves: same seed, same samples.
    bounds : ndarray, (2, d), optional
    systematics : Systematics, optional
    n_walkers, n_steps, n_burn : int
        emcee's ensemble, steps kept, steps thrown away before.
    progress : bool

    Returns
    -------
    samples : ndarray, (n_steps * n_walkers, d)
    best : Inference
        The solution of `infer` for the same star.
    autocorrelation : ndarray, (d,)
        Integrated autocorrelation time in steps; emcee asks for n_steps of 50 times that.

    Raises
    ------
    InputError
        If there is nothing to fit, or the numbers of walkers and steps make no chain.
    """
    if n_walkers < 2 * len(slam.names) or n_steps < 1 or n_burn < 0:
        raise InputError(
            f"n_walkers {n_walkers}, n_steps {n_steps}, n_burn {n_burn}: emcee needs {2 * len(slam.names)} "
            "walkers or more, and one step; none may be negative"
        )
    posterior = LogPosterior(slam, flux, ivar, bounds, systematics)
    best = infer(slam, flux, ivar, systematics, bounds=posterior.bounds)
    if best.status[0] == "no data":
        raise InputError(f"{best.n_pix[0]} good pixels are too few to find labels; leave this star out")
    rng = np.random.default_rng(seed)
    # In standardised units the covariance is well scaled even where a label is unknown.
    spread = best.covariance[0] / np.outer(slam.label_scale_, slam.label_scale_)
    offset = rng.multivariate_normal(np.zeros(len(spread)), spread, size=n_walkers)
    # Strictly inside the box and apart, or walkers on a bound could never leave it.
    inset = 1e-3 * (posterior.bounds[1] - posterior.bounds[0]) * rng.random(offset.shape)
    start = best.labels[0] + slam.label_scale_ * offset
    start = np.clip(start, posterior.bounds[0] + inset, posterior.bounds[1] - inset)
    sampler = emcee.EnsembleSampler(n_walkers, start.shape[1], posterior, vectorize=True)
    state = emcee.State(start, random_state=np.random.RandomState(seed).get_state())
    if n_burn:
        state = sampler.run_mcmc(state, n_burn, progress=progress)
        sampler.reset()
    sampler.run_mcmc(state, n_steps, progress=progress)
    samples = sampler.get_chain(flat=True)
    if systematics is not None:
        samples = systematics.widen(slam, samples, np.atleast_2d(ivar), posterior.bounds, rng)
    return samples, best, sampler.get_autocorr_time(quiet=True)
