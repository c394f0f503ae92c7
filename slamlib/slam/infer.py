"""Labels of many spectra at once: start, optimise, errors, flags."""

from dataclasses import dataclass

import numpy as np
from astropy.table import Column, Table
from joblib import Parallel, delayed
from tqdm import tqdm

from slamlib.errors import InputError
from slamlib.labels import LABELS, NAMES
from slamlib.slam.likelihood import Joint, Likelihood
from slamlib.slam.minimise import minimise
from slamlib.threads import blas_threads, n_cores

# How far beyond the range of the training labels a solution may lie, as a fraction of that
# range: stars outside the grid shall be seen to be outside, not pile up on its edge.
_MARGIN = 0.15
# An error of 10,000 standard deviations of the training labels means "unknown".
_LEAST_INFORMATION = 1e-8
# Training spectra that a star is compared with to find its start.
_TEMPLATES = 2000
# A second start differs from the first by this factor in Teff: hot and cool solutions compete.
_APART = 1.2
# Two minima are rivals if their chi-squares differ by less and they lie further apart [sigma^2].
_RIVAL = 9.0
# Times that pixels far from the fit are rejected and the fit taken up again.
_REJECTIONS = 2
# One-sided 95% of a normal distribution, and the least v sin i [km/s] at which its square,
# which is what widens lines, has a derivative to speak of.
_ONE_SIDED, _SLOW = 1.645, 20.0
_VSINI = NAMES.index("vsini")


@dataclass(frozen=True)
class Inference:
    """Labels of m spectra with their uncertainties.

    Attributes
    ----------
    labels : ndarray, (m, 4)
        NaN where there was nothing to fit.
    covariance : ndarray, (m, 4, 4)
        Inverse Fisher matrix at the solution, observation and model variance together.
    chi2 : ndarray, (m,)
        Per degree of freedom.
    n_pix : ndarray of int, (m,)
        Pixels that counted.
    status : ndarray of str, (m,)
        "ok", "multimodal" (another solution far away fits as well), "edge" (a label at its
        bound), "unconverged" or "no data".
    inside : ndarray of bool, (m,)
        The labels lie inside the model grid.
    vsini_limit : ndarray, (m,)
        Upper limit (95%) of v sin i [km/s] where it is too slow to be told from zero;
        NaN where it is measured.
    """

    labels: np.ndarray
    covariance: np.ndarray
    chi2: np.ndarray
    n_pix: np.ndarray
    status: np.ndarray
    inside: np.ndarray
    vsini_limit: np.ndarray

    @property
    def errors(self):
        """Standard errors of the labels, (m, 4)."""
        return np.sqrt(np.diagonal(self.covariance, axis1=1, axis2=2))

    def table(self):
        """Return a Table: labels, e_labels, chi2, n_pix, flag ("I" inside the grid) and status."""
        table = Table()
        for label, values in zip(LABELS, self.labels.T, strict=True):
            table[label.name] = Column(values, unit=label.unit, description=label.description)
        for label, values in zip(LABELS, self.errors.T, strict=True):
            table[f"e_{label.name}"] = Column(
                values, unit=label.unit, description=f"standard error of {label.name}"
            )
        table["vsini_limit"] = Column(
            self.vsini_limit,
            unit=LABELS[_VSINI].unit,
            description="upper limit (95%) where vsini is only that",
        )
        table["chi2"] = Column(self.chi2, description="chi-square per degree of freedom")
        table["n_pix"] = Column(self.n_pix, description="pixels used")
        table["flag"] = Column(np.where(self.inside, "I", ""), description="I: inside the model grid")
        table["status"] = Column(self.status, description="outcome of the fit")
        return table


def default_bounds(slam):
    """Bounds of the labels (2, 4): the training range and a margin; v sin i >= 0."""
    low, high = slam.training_labels_.min(axis=0), slam.training_labels_.max(axis=0)
    margin = _MARGIN * (high - low)
    bounds = np.stack([low - margin, high + margin])
    bounds[0, NAMES.index("vsini")] = 0.0
    return bounds


def infer(slam, flux, ivar, systematics=None, **options):
    """Find the labels that minimise chi-square, by Levenberg-Marquardt over a batch of stars.

    The covariance of the pixels is that of the observation and, if `systematics` is given,
    what it holds; otherwise the cross-validated variance of the model, pixel by pixel. Each
    star starts from the most similar training spectrum, and from the most similar one that
    is much hotter or cooler; the better solution is kept.

    Parameters
    ----------
    slam : Slam
        Fitted.
    flux, ivar : array_like, (m, n_pix) or (n_pix,)
        Normalised spectra at rest on the instrument's pixels and their inverse variance;
        ivar = 0 means ignore, whatever the flux.
    systematics : Systematics, optional
    **options
        As `infer_joint` takes them.

    Returns
    -------
    Inference

    Raises
    ------
    InputError
        If shapes do not fit the model, or flux is not finite where ivar > 0.
    """
    return infer_joint([(slam, flux, ivar, systematics)], **options)


def infer_joint(
    observations,
    inside=None,
    bounds=None,
    reject=None,
    starts=2,
    max_steps=200,
    chunk=64,
    progress=False,
):
    """Labels of stars that several instruments observed, from one likelihood.

    Parameters
    ----------
    observations : list of (Slam, flux, ivar, Systematics or None)
        One for each instrument, as `infer` takes them; row i of each is the same star. A
        star without a spectrum of one of them has ivar = 0 there.
    inside : callable, optional
        ``inside(labels3) -> bool (m,)`` tells what lies in the grid, such as
        `ModelGrid.contains`; without it, the box of the training labels.
    bounds : ndarray, (2, 4), optional
        Lowest and highest label; `default_bounds` of the first Slam otherwise.
    reject : float, optional
        Pixels further than this many standard deviations from the fit lose their weight.
    starts : {1, 2}
        1 leaves out the hotter or cooler start.
    max_steps : int
    chunk : int
        Stars in flight at once.
    progress : bool
        Show a bar.

    Returns
    -------
    Inference

    Raises
    ------
    InputError
        As `infer`, or if the numbers of stars differ.
    """
    slams, systematics = [part[0] for part in observations], [part[3] for part in observations]
    spectra = [checked(*part[:3]) for part in observations]
    for slam, known in zip(slams, systematics, strict=True):
        if known is not None:
            known.check(slam.flux_mean_.size)
    slam = slams[0]
    bounds = default_bounds(slam) if bounds is None else np.asarray(bounds, dtype=float)
    start_labels = slam.training_labels_[:_TEMPLATES]
    templates = [part.standardised(part.standardise(start_labels))[0].astype(np.float32) for part in slams]
    if len({len(flux) for flux, _ in spectra}) != 1:
        raise InputError(
            f"spectra of {[len(flux) for flux, _ in spectra]} stars; give each star one row of each"
        )
    n_pix = sum((ivar > 0).sum(axis=1) for _, ivar in spectra)
    m = len(n_pix)
    labels, covariance = np.full((m, 4), np.nan), np.full((m, 4, 4), np.nan)
    chi2, limit, status = np.full(m, np.nan), np.full(m, np.nan), np.full(m, "no data", dtype="U11")
    z_bounds = slam.standardise(bounds)
    nodes = np.stack(
        [
            np.zeros(m, int) if known is None else known.nearest(ivar)
            for known, (_, ivar) in zip(systematics, spectra, strict=True)
        ],
        axis=1,
    )

    def label(stars):
        parts = [
            Likelihood(own, flux[stars], ivar[stars], known, node)
            for own, (flux, ivar), known, node in zip(
                slams, spectra, systematics, nodes[stars[0]], strict=True
            )
        ]
        likelihood = parts[0] if len(parts) == 1 else Joint(parts)
        near = likelihood.nearest(templates[0] if len(parts) == 1 else templates)
        found = _solve(likelihood, near, start_labels, z_bounds, max_steps, starts)
        for _ in range(_REJECTIONS if reject else 0):
            again = np.flatnonzero(likelihood.reject(found.z, reject))
            if again.size:
                found.replace(again, minimise(likelihood[again], found.z[again], z_bounds, max_steps))
        inflation = [
            known.inflation[node] for known, node in zip(systematics, nodes[stars[0]], strict=True) if known
        ]
        scale = slam.label_scale_ * (np.mean(inflation, axis=0) if inflation else 1.0)
        labels[stars] = slam.label_mean_ + slam.label_scale_ * found.z
        covariance[stars] = _inverse(found.hessian) * np.outer(scale, scale)
        limit[stars] = _vsini_limit(likelihood, found.z, labels[stars], covariance[stars], scale)
        edge = (found.z <= z_bounds[0]) | (found.z >= z_bounds[1])
        # No rotation is a bound of nature, not of the grid: v sin i = 0 is an upper limit.
        edge[:, _VSINI] &= found.z[:, _VSINI] > z_bounds[0, _VSINI]
        status[stars] = np.select(
            [~found.converged, edge.any(axis=1), found.rival], ["unconverged", "edge", "multimodal"], "ok"
        )
        chi2[stars] = found.chi2

    usable = np.flatnonzero(n_pix > len(NAMES))
    groups = [usable[(nodes[usable] == row).all(axis=1)] for row in np.unique(nodes[usable], axis=0)]
    chunks = [group[first : first + chunk] for group in groups for first in range(0, len(group), chunk)]
    # Chunks side by side, one BLAS thread each: many small products leave threads of BLAS idle,
    # and on a busy machine waiting for one another.
    with blas_threads(1), tqdm(total=len(chunks), disable=not progress, desc="labels", unit="chunk") as bar:
        pool = Parallel(n_jobs=n_cores(), backend="threading", return_as="generator_unordered")
        for _ in pool(delayed(label)(stars) for stars in chunks):
            bar.update()
    chi2 /= np.maximum(n_pix - len(NAMES), 1)
    inside = _inside(slam, labels, inside)
    return Inference(labels, covariance, chi2, n_pix, status, inside, limit)


def _solve(likelihood, near, start_labels, z_bounds, max_steps, starts):
    """Best of the solutions from the nearest template and from the nearest hotter or cooler one."""
    slam = likelihood.slam
    first = near.argmin(axis=1)
    start = np.clip(slam.standardise(start_labels[first]), *z_bounds)
    best = minimise(likelihood, start, z_bounds, max_steps)
    if starts == 1:
        return best
    ratio = start_labels[:, 0] / start_labels[first, :1]
    apart = (ratio > _APART) | (ratio < 1 / _APART)
    others = np.flatnonzero(apart.any(axis=1))
    if others.size:
        second = np.where(apart, near, np.inf)[others].argmin(axis=1)
        start = np.clip(slam.standardise(start_labels[second]), *z_bounds)
        best.compare(others, minimise(likelihood[others], start, z_bounds, max_steps), _RIVAL)
    return best


def _vsini_limit(likelihood, z, labels, covariance, scale):
    """Upper limit of v sin i [km/s] where it is not measured, NaN elsewhere.

    Lines widen with the square of v sin i, so that square has a normal error, known from
    its derivative at a speed that is not too small.
    """
    limit = np.full(len(z), np.nan)
    v = labels[:, _VSINI]
    slow = np.flatnonzero(v < np.maximum(2 * np.sqrt(covariance[:, _VSINI, _VSINI]), _SLOW))
    if slow.size:
        reference = np.maximum(v[slow], _SLOW)
        moved = z[slow].copy()
        moved[:, _VSINI] += (reference - v[slow]) / likelihood.slam.label_scale_[_VSINI]
        error = np.sqrt(_inverse(likelihood[slow].evaluate(moved)[2])[:, _VSINI, _VSINI]) * scale[_VSINI]
        squared_error = 2 * reference * error
        unresolved = v[slow] ** 2 < 2 * squared_error
        limit[slow[unresolved]] = np.sqrt(v[slow] ** 2 + _ONE_SIDED * squared_error)[unresolved]
    return limit


def checked(slam, flux, ivar):
    """Return flux and ivar as float32 (m, n_pix) that agree with the model, or say why not."""
    with np.errstate(over="ignore"):  # what overflows becomes infinite and is told below, or is ignored
        flux, ivar = (np.atleast_2d(np.asarray(array, np.float32)) for array in (flux, ivar))
    n_pix = slam.flux_mean_.size
    if flux.shape != ivar.shape or flux.shape[1] != n_pix:
        raise InputError(
            f"flux {flux.shape} and ivar {ivar.shape} must both be (m, {n_pix}), the pixels this model was "
            "trained on; was the spectrum resampled for the other instrument?"
        )
    if not (np.isfinite(ivar) & (ivar >= 0)).all():
        raise InputError("ivar must be finite and >= 0; set it to 0 where a pixel is to be ignored")
    bad = ~np.isfinite(flux) & (ivar > 0)
    if bad.any():
        star, pixel = np.argwhere(bad)[0]
        raise InputError(f"flux of star {star}, pixel {pixel} is not finite; set its ivar to 0 to ignore it")
    return flux, ivar


def _inverse(fisher):
    """Covariance of standardised labels; what the data say nothing about gets a huge variance, not 0."""
    values, vectors = np.linalg.eigh(fisher)
    return (vectors / np.maximum(values, _LEAST_INFORMATION)[:, None, :]) @ vectors.transpose(0, 2, 1)


def _inside(slam, labels, inside):
    """Which labels are finite, within the training v sin i, and inside the grid."""
    known = np.isfinite(labels).all(axis=1)
    result = np.zeros(len(labels), dtype=bool)
    low, high = slam.training_labels_.min(axis=0), slam.training_labels_.max(axis=0)
    if known.any():
        labels3 = labels[known, :3]
        box = ((labels3 >= low[:3]) & (labels3 <= high[:3])).all(axis=1)
        result[known] = (box if inside is None else inside(labels3)) & (labels[known, 3] <= high[3])
    return result
