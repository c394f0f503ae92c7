"""What a survey's own stars tell of the errors of the models: empirical Bayes.

Each star's residual is a sum of the errors of `slamlib.inference.model_error`, of what its labels may be off
by, of the errors measured on simulated stars, and of noise. The amplitudes of the first have a mean, common
to all stars, and a scatter from star to star. Both are estimated by expectation maximisation, with the table
of terms as prior; the labels may take any value, so that what they can explain is learned from no star. The
models are changed by the mean, and the errors of labels get the scatter and what is still uncertain of the
mean; half of their variance stays that of the prior, for what no term contains. Rotation imitates a wider
profile in every star: how wide it is, the slowest stars tell. This is repeated with the new labels until they
stay (Bestenlehner et al. 2023, arXiv:2309.06474, learn one covariance of residuals in the same way).
"""

import hashlib
from dataclasses import replace

import numpy as np
from tqdm import tqdm

from slamlib.errors import InputError
from slamlib.inference.infer import checked, infer
from slamlib.inference.likelihood import Likelihood
from slamlib.inference.model_error import RANK, model_error, responses
from slamlib.labelling.calibration import REJECT
from slamlib.threads import blas_threads

# Fewer stars tell too little, and so do spectra with more noise than this SNR.
LEAST_STARS, LEAST_SNR = 200, 80.0
# More stars would cost time and tell nothing new.
_MOST_STARS = 1000
# Part of each term's variance that the prior takes for common to all stars, and how many stars the
# prior of the scatter counts for.
_COMMON, _PRIOR_STARS = 0.5, 2.0
# Part of the variance of errors that is always the prior's.
_KEPT = 0.5
# This share of the stars of a survey rotates too slowly to be told.
_SLOWEST = 0.05
# Rounds at most, and the median change of labels, in errors, that ends them; the same of the steps of
# expectation maximisation and of the scatter; sums of terms that are learned at most.
_ROUNDS, _STABLE = 4, 0.1
_STEPS, _SETTLED, _TOLD = 100, 1e-2, 60
# Precision of standardised labels: as good as none.
_UNKNOWN, _CHUNK = 1e-2, 32


def learned(labeller, flux, ivar, snr, progress=True, table=None):
    """Return a labeller that knows how the models differ from the stars of a survey.

    The `labeller` has systematics and has not learned before; `flux` and `ivar` (m, n_pix) are prepared
    spectra, `snr` (m,) is by the files, `table` that of `Labeller.label`, if it is at hand.
    ``about["learned"]`` says from how many stars, in how many rounds and of which spectra (a digest).
    InputError if fewer than `LEAST_STARS` are well fitted (flag I or X, status ok) at a SNR above
    `LEAST_SNR`, or the labeller cannot learn.
    """
    if labeller.systematics is None or not labeller.about.get("model_errors"):
        raise InputError("only a model with errors of the models can learn; train it with model_errors=1")
    if "learned" in labeller.about:
        raise InputError("this model has learned before; start from the one that was trained")
    flux, ivar = checked(labeller.slam, flux, ivar)
    if table is None:
        table = labeller.label(flux, ivar, np.zeros(len(flux), dtype=bool), snr)
    good = (table["status"] == "ok") & np.isin(table["flag"], ("I", "X")) & (np.asarray(snr) > LEAST_SNR)
    stars = np.flatnonzero(good)
    if stars.size < LEAST_STARS:
        raise InputError(
            f"{labeller.instrument.name}: {stars.size} of {len(flux)} stars are well fitted at SNR > "
            f"{LEAST_SNR:.0f}; learning needs {LEAST_STARS}: give more spectra"
        )
    stars = stars[np.unique(np.linspace(0, stars.size - 1, _MOST_STARS).astype(int))]
    flux, ivar = flux[stars], ivar[stars]
    base, now = without_model_error(labeller), labeller
    labels, changes = _fitted(now, flux, ivar), []
    for _ in tqdm(range(_ROUNDS), desc="learning", unit="round", disable=not progress):
        mean, covariance = estimate(*statistics(base, now, flux, ivar, labels.labels))
        now = corrected(base, mean, covariance, _blur(base, labels.labels))
        before, labels = labels, _fitted(now, flux, ivar)
        change = np.abs(labels.labels - before.labels) / before.errors
        changes.append(np.nanmedian(change, axis=0).max())
        if changes[-1] < _STABLE:
            break
    digest = hashlib.sha256(flux.tobytes() + ivar.tobytes()).hexdigest()[:12]
    # The slowest stars tell that a profile is wider, not that it is narrower.
    wider = bool(now.systematics.blur[0] > base.systematics.blur[0])
    told = {"stars": int(stars.size), "rounds": len(changes), "spectra": digest, "profile": wider}
    return replace(now, about=labeller.about | {"learned": told})


def _fitted(labeller, flux, ivar):
    """Fit without the corrections that calibration adds afterwards: as the likelihood has it."""
    known = labeller.systematics
    zero = {name: np.zeros_like(getattr(known, name)) for name in ("offset", "blur")}
    raw = replace(known, inflation=np.ones_like(known.inflation), **zero)
    return infer(labeller.slam, flux, ivar, raw, reject=REJECT, starts=1)


def _blur(base, labels):
    """Return the `blur` of `Systematics` if the slowest stars do not rotate."""
    blur = base.systematics.blur
    if base.slam.rotation is None:
        return blur
    slowest = np.nanquantile(labels[:, base.slam.rotation], _SLOWEST) ** 2
    further = max(slowest - blur[0], 0)
    # Their own rotation may be as much as half of it.
    return np.array([blur[0] + further, np.hypot(blur[1], further / 2)])


def without_model_error(labeller):
    """Return the labeller with the systematics of simulated stars alone."""
    scale = labeller.about["model_errors"]
    _, variance = model_error(labeller.slam, labeller.instrument, scale, labeller.edge.contains)
    known = labeller.systematics
    own = {"components": known.components[:, :-RANK], "variance": np.maximum(known.variance - variance, 0)}
    return replace(labeller, systematics=replace(known, **own))


def statistics(base, now, flux, ivar, labels):
    """Tell what each star says of the amplitudes: precision (m, t, t), and that times value (m, t).

    Labels are marginalised, at `labels` (m, d) of the fit; pixels that `now` rejects do not count.
    """
    slam, instrument, d = base.slam, base.instrument, labels.shape[1]
    precision, weighted = [], []
    nodes = base.systematics.nearest(ivar)
    order = np.argsort(nodes, kind="stable")
    with blas_threads(1):
        for node in np.unique(nodes):
            some = order[nodes[order] == node]
            for first in range(0, len(some), _CHUNK):
                rows = some[first : first + _CHUNK]
                z = slam.to_standard(labels[rows])
                full = Likelihood(now.slam, flux[rows], ivar[rows], now.systematics, node)
                kept = np.where(full.squares(z) < REJECT**2, ivar[rows], 0)
                likelihood = Likelihood(slam, flux[rows], kept, base.systematics, node)
                value, slope = slam.predict_standardised(z, gradient=True)
                model = slam.flux_mean_ + slam.flux_scale_ * value
                errors = np.swapaxes(responses(model, instrument), 0, 1) / slam.flux_scale_
                residual = (likelihood.target - value)[:, None]
                gram = likelihood.gram(np.concatenate([slope, residual, errors], axis=1).astype(np.float32))
                own = gram[:, :d, :d] + np.diag(likelihood.precision + _UNKNOWN)
                gram[:, :d, d] += likelihood.precision * (likelihood.expected - z)
                gram[:, d, :d] = gram[:, :d, d]
                left = gram[:, d:, d:] - gram[:, d:, :d] @ np.linalg.solve(own, gram[:, :d, d:])
                precision.append(left[:, 1:, 1:])
                weighted.append(left[:, 1:, 0])
    return np.concatenate(precision), np.concatenate(weighted)


def estimate(precision, weighted):
    """Estimate mean (t,) and covariance (t, t) of amplitudes, by expectation maximisation.

    `precision` (m, t, t) and `weighted` (m, t) are of m stars. The covariance is that of one star's
    amplitudes about the mean: their scatter, and what is not known of the mean.
    """
    # Sums of terms that the stars tell most about; of the others the prior is all that is known.
    told = np.linalg.eigh(precision.mean(axis=0))[1][:, -_TOLD:]
    precision, weighted = told.T @ precision @ told, weighted @ told
    m, t, _ = precision.shape
    scatter = np.full(t, 1 - _COMMON)
    for _ in range(_STEPS):
        own = np.linalg.inv(precision + np.diag(1 / scatter))
        onto = precision @ own
        total = (precision - onto @ precision).sum(axis=0) + np.eye(t) / _COMMON
        covariance = np.linalg.inv(total)
        mean = covariance @ (weighted - np.matvec(onto, weighted)).sum(axis=0)
        off = np.matvec(own, weighted + mean / scatter) - mean
        counted = m - np.diagonal(own, axis1=1, axis2=2).sum(axis=0) / scatter
        new = ((off**2).sum(axis=0) + _PRIOR_STARS * (1 - _COMMON)) / (counted + _PRIOR_STARS)
        settled = np.abs(np.log(new / scatter)).max() < _SETTLED
        scatter = new
        if settled:
            break
    known = covariance + np.diag(scatter)
    return told @ mean, np.eye(len(told)) + told @ (known - np.eye(t)) @ told.T


def corrected(base, mean, covariance, blur):
    """Return the labeller with models changed by the mean, and errors of what is left."""
    slam = base.slam.changed(lambda flux: np.tensordot(mean, responses(flux, base.instrument), 1))
    left = _KEPT * np.eye(len(mean)) + (1 - _KEPT) * covariance
    further = model_error(slam, base.instrument, np.linalg.cholesky(left).T, base.edge.contains)
    systematics = replace(base.systematics.joined(*further), model=slam.digest(), blur=blur)
    return replace(base, slam=slam, systematics=systematics)
