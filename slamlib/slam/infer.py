"""Labels of many spectra at once: start, optimise, errors, flags."""

from dataclasses import dataclass

import numpy as np
from astropy.table import Column, Table
from joblib import Parallel, delayed
from tqdm import tqdm

from slamlib.errors import InputError
from slamlib.labels import LABELS, NAMES
from slamlib.threads import blas_threads, n_cores

# How far beyond the range of the training labels a solution may lie, as a fraction of that
# range: stars outside the grid shall be seen to be outside, not pile up on its edge.
_MARGIN = 0.15
# A step shorter than this, in units of its own standard error squared, ends the search.
_CONVERGED = 1e-4
# Damping of the first step, and where a star whose every step fails is given up.
_DAMPING, _GIVE_UP = 1e-2, 1e8
# An error of 10,000 standard deviations of the training labels means "unknown".
_LEAST_INFORMATION = 1e-8
# Training spectra that a star is compared with to find its start.
_TEMPLATES = 2000


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
        "ok", "edge" (a label at its bound), "unconverged" or "no data".
    inside : ndarray of bool, (m,)
        The labels lie inside the model grid.
    """

    labels: np.ndarray
    covariance: np.ndarray
    chi2: np.ndarray
    n_pix: np.ndarray
    status: np.ndarray
    inside: np.ndarray

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


def infer(slam, flux, ivar, inside=None, bounds=None, max_steps=200, chunk=64, progress=False):
    """Find the labels that minimise chi-square, by Levenberg-Marquardt over a batch of stars.

    The variance of a pixel is that of the observation plus the cross-validated variance of
    the model. Each star starts from the most similar training spectrum.

    Parameters
    ----------
    slam : Slam
        Fitted.
    flux, ivar : array_like, (m, n_pix) or (n_pix,)
        Normalised spectra at rest on the instrument's pixels and their inverse variance;
        ivar = 0 means ignore, whatever the flux.
    inside : callable, optional
        ``inside(labels3) -> bool (m,)`` tells what lies in the grid, such as
        `ModelGrid.contains`; without it, the box of the training labels.
    bounds : ndarray, (2, 4), optional
        Lowest and highest label; `default_bounds` otherwise.
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
        If shapes do not fit the model, or flux is not finite where ivar > 0.
    """
    flux, ivar = checked(slam, flux, ivar)
    bounds = default_bounds(slam) if bounds is None else np.asarray(bounds, dtype=float)
    templates = slam.training_labels_[:_TEMPLATES]
    template_flux = slam.standardised(slam.standardise(templates))[0].astype(np.float32)
    m = len(flux)
    labels, covariance = np.full((m, 4), np.nan), np.full((m, 4, 4), np.nan)
    chi2, n_pix, status = np.full(m, np.nan), (ivar > 0).sum(axis=1), np.full(m, "no data", dtype="U11")
    usable = np.flatnonzero(n_pix > len(NAMES))
    z_bounds = slam.standardise(bounds)

    def label(stars):
        target, weight = standardise_spectra(slam, flux[stars], ivar[stars])
        start = slam.standardise(templates[_nearest(target, weight, template_flux)])
        z, fisher, chi2[stars], converged = _minimise(
            slam, target, weight, np.clip(start, *z_bounds), z_bounds, max_steps
        )
        labels[stars] = slam.label_mean_ + slam.label_scale_ * z
        covariance[stars] = _inverse(fisher) * np.outer(slam.label_scale_, slam.label_scale_)
        edge = ((z <= z_bounds[0]) | (z >= z_bounds[1])).any(axis=1)
        status[stars] = np.where(~converged, "unconverged", np.where(edge, "edge", "ok"))

    chunks = [usable[first : first + chunk] for first in range(0, len(usable), chunk)]
    # Chunks side by side, one BLAS thread each: many small products leave threads of BLAS idle,
    # and on a busy machine waiting for one another.
    with blas_threads(1), tqdm(total=len(chunks), disable=not progress, desc="labels", unit="chunk") as bar:
        pool = Parallel(n_jobs=n_cores(), backend="threading", return_as="generator_unordered")
        for _ in pool(delayed(label)(stars) for stars in chunks):
            bar.update()
    chi2 /= np.maximum(n_pix - len(NAMES), 1)
    return Inference(labels, covariance, chi2, n_pix, status, _inside(slam, labels, inside))


def standardise_spectra(slam, flux, ivar):
    """Spectra and their weights in standardised flux; 0 in pixels to be ignored, whatever they hold."""
    target = np.where(ivar > 0, (flux - slam.flux_mean_) / slam.flux_scale_, 0).astype(np.float32)
    with np.errstate(divide="ignore", over="ignore"):
        variance = 1 / ivar + slam.model_variance_
    return target, np.where(ivar > 0, slam.flux_scale_**2 / variance, 0).astype(np.float32)


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


def _nearest(target, weight, template_flux):
    """Index of the template of least chi-square for each star, by two matrix products."""
    return (weight @ (template_flux**2).T - 2 * (weight * target) @ template_flux.T).argmin(axis=1)


def _evaluate(slam, target, weight, z):
    """Chi-square (m,), gradient (m, 4) and Gauss-Newton Hessian (m, 4, 4) at `z`."""
    value, slope = slam.standardised(z, gradient=True)
    residual = target - value
    weighted = weight * residual
    chi2 = np.einsum("mp,mp->m", weighted, residual, dtype=float)
    gradient = (slope @ weighted[..., None])[..., 0].astype(float)
    hessian = ((slope * weight[:, None]) @ slope.transpose(0, 2, 1)).astype(float)
    return chi2, gradient, hessian


def _minimise(slam, target, weight, z, bounds, max_steps):
    """Levenberg-Marquardt in a box. Returns z, Hessian, chi-square and what converged."""
    chi2, gradient, hessian = _evaluate(slam, target, weight, z)
    damping = np.full(len(z), _DAMPING)
    converged = np.zeros(len(z), dtype=bool)
    running = np.arange(len(z))
    for _ in range(max_steps):
        if running.size == 0:
            break
        step = _step(z[running], gradient[running], hessian[running], damping[running], bounds)
        moved = np.clip(z[running] + step, *bounds)
        step = moved - z[running]
        small = np.einsum("md,mde,me->m", step, hessian[running], step) < _CONVERGED
        trial = _evaluate(slam, target[running], weight[running], moved)
        better = trial[0] < chi2[running]
        won = running[better]
        z[won], chi2[won], gradient[won], hessian[won] = moved[better], *(part[better] for part in trial)
        damping[running] *= np.where(better, 0.1, 10.0)
        converged[running] = small
        running = running[~small & (damping[running] < _GIVE_UP)]
    return z, hessian, chi2, converged


def _step(z, gradient, hessian, damping, bounds):
    """Damped Gauss-Newton step; a label at its bound whose step would leave the box is held."""
    held = ((z <= bounds[0]) & (gradient < 0)) | ((z >= bounds[1]) & (gradient > 0))
    diagonal = np.maximum(np.einsum("mdd->md", hessian), 1e-10)
    matrix = hessian + (damping[:, None] * diagonal)[:, :, None] * np.eye(z.shape[1])
    free = ~held
    matrix = np.where(free[:, :, None] & free[:, None, :], matrix, np.eye(z.shape[1]))
    return np.linalg.solve(matrix, np.where(free, gradient, 0.0)[..., None])[..., 0]


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
