"""Labels of many spectra at once: start, optimise, errors, flags."""

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import ArrayLike
from tqdm import tqdm

from slamlib.errors import InputError
from slamlib.inference.likelihood import Joint, Likelihood
from slamlib.inference.result import Inference
from slamlib.inference.solve import at_edge, inverse, solve, status
from slamlib.inference.systematics import Systematics
from slamlib.inference.vsini import remove_extra_broadening, vsini_limit
from slamlib.regression.slam import Slam
from slamlib.threads import blas_threads, n_cores

# How far beyond the range of the training labels a solution may lie, as a fraction of that
# range: stars outside the grid shall be seen to be outside, not pile up on its edge.
_MARGIN = 0.15
# Training spectra that a star is compared with to find its start.
_TEMPLATES = 2000
# A spectrum with less than this share of the pixels that its instrument does not exclude is incomplete.
_LEAST_COVERED = 0.75
# A normalised flux beyond this is an accident, and chi-square would overflow.
_LARGEST = 1e6
# However wide the margin, Teff [K] is positive: its logarithm counts.
_COLDEST = 1000.0


def default_bounds(slam):
    """Bounds of the labels (2, d): the training range, but for nuisances with a margin; v sin i >= 0."""
    low, high = slam.training_labels_.min(axis=0), slam.training_labels_.max(axis=0)
    margin = np.where(slam.nuisances, 0, _MARGIN * (high - low))
    bounds = np.stack([low - margin, high + margin])
    teff = slam.names.index("teff")
    bounds[0, teff] = max(bounds[0, teff], _COLDEST)
    if slam.rotation is not None:
        bounds[0, slam.rotation] = 0.0
    return bounds


def infer(
    slam: Slam,
    flux: ArrayLike,
    ivar: ArrayLike,
    systematics: Systematics | None = None,
    wave: ArrayLike | None = None,
    **options: object,
) -> Inference:
    """Find the labels that minimise chi-square, by Levenberg-Marquardt over a batch of stars.

    The covariance of the pixels is that of the observation and, if `systematics` is given,
    what it holds; otherwise the cross-validated variance of the model, pixel by pixel. The
    search starts in overlapping windows of Teff, from the training spectra most similar there;
    of the minima the one of least cost without outlying pixels is kept (`slamlib.inference.solve`).

    Parameters
    ----------
    slam : Slam
        Fitted.
    flux, ivar : array_like, (m, n_pix) or (n_pix,)
        Normalised spectra at rest on the instrument's pixels and their inverse variance;
        ivar = 0 means ignore, whatever the flux.
    systematics : Systematics, optional
    wave : array_like, (n_pix,), optional
        Wavelengths of the pixels [A], checked against the model's.
    **options
        As `infer_joint` takes them.

    Returns
    -------
    Inference

    Raises
    ------
    InputError
        If shapes or wavelengths do not fit the model, systematics are of another model, or flux is
        not finite or not normalised where ivar > 0.
    """
    if wave is not None:
        slam.check_wave(wave)
    return infer_joint([(slam, flux, ivar, systematics)], **options)


def infer_joint(
    observations,
    inside=None,
    bounds=None,
    reject=None,
    starts=2,
    max_steps=200,
    chunk=128,
    progress=False,
    templates=None,
):
    """Labels of stars that several instruments observed, from one likelihood.

    Parameters
    ----------
    observations : list of (Slam, flux, ivar, Systematics or None)
        One for each instrument, as `infer` takes them; row i of each is the same star. A
        star without a spectrum of one of them has ivar = 0 there.
    inside : callable, optional
        ``inside(labels) -> bool (m,)`` tells what lies in the grid, such as `ModelGrid.contains`, by the
        labels but v sin i; without it, the box of the training labels.
    bounds : ndarray, (2, d), optional
        Lowest and highest label, Teff above 0; `default_bounds` of the first Slam otherwise.
    reject : float, optional
        Pixels further than this many standard deviations from the fit lose their weight.
    starts : int
        1: the search starts from the nearest training spectrum alone; more: from the nearest in each of
        overlapping windows of Teff (`slamlib.inference.solve`).
    max_steps : int
    chunk : int
        Stars in flight at once.
    progress : bool
        Show a bar.
    templates : list of ndarray, optional
        `start_spectra` of each instrument, where they are at hand.

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
            known.check(slam)
    slam = slams[0]
    bounds = default_bounds(slam) if bounds is None else np.asarray(bounds, dtype=float)
    if not (coolest := bounds[0, slam.names.index("teff")]) > 0:
        raise InputError(f"the least Teff is {coolest:g} K; give a positive one")
    start_labels = slam.training_labels_[:_TEMPLATES]
    templates = templates or [start_spectra(part, start_labels) for part in slams]
    if len({len(flux) for flux, _ in spectra}) != 1:
        raise InputError(
            f"spectra of {[len(flux) for flux, _ in spectra]} stars; give each star one row of each"
        )
    n_pix = sum((ivar > 0).sum(axis=1) for _, ivar in spectra)
    incomplete = np.any(
        [_incomplete(ivar, known) for (_, ivar), known in zip(spectra, systematics, strict=True)], axis=0
    )
    m, d = len(n_pix), len(slam.names)
    labels, covariance = np.full((m, d), np.nan), np.full((m, d, d), np.nan)
    chi2, limit, outcome = np.full(m, np.nan), np.full(m, np.nan), np.full(m, "no data", dtype="U11")
    z_bounds = slam.to_standard(bounds)
    nodes = np.stack(
        [
            np.zeros(m, int) if known is None else known.nearest(ivar)
            for known, (_, ivar) in zip(systematics, spectra, strict=True)
        ],
        axis=1,
    )

    def label(stars):
        node = nodes[stars[0]]
        parts = [
            Likelihood(own, flux[stars], ivar[stars], known, k)
            for own, (flux, ivar), known, k in zip(slams, spectra, systematics, node, strict=True)
        ]
        likelihood = parts[0] if len(parts) == 1 else Joint(parts)
        near = likelihood.template_chi2(templates[0] if len(parts) == 1 else templates)
        before = likelihood.n_pix
        found, likelihood = solve(likelihood, near, start_labels, z_bounds, max_steps, starts, reject)
        rejected = before - likelihood.n_pix
        n_pix[stars] -= rejected
        values = slam.label_mean_ + slam.label_scale_ * found.z
        ivars, teff = [ivar[stars] for _, ivar in spectra], values[:, slam.names.index("teff")]
        several = len(parts) > 1 and slam.rotation is not None
        rotation = likelihood.information(found.z)[..., slam.rotation] if several else None
        inflation, offset, blur = _corrections(systematics, ivars, teff, rotation, d)
        variance = inverse(found.hessian) * np.outer(slam.label_scale_, slam.label_scale_)
        error = np.sqrt(np.diagonal(variance, axis1=1, axis2=2)).copy()
        if (v := slam.rotation) is not None:
            limit[stars] = vsini_limit(likelihood, found.z, error[:, v], inflation[:, v], blur)
            values[:, v], error[:, v] = remove_extra_broadening(values[:, v], error[:, v], blur)
            variance[:, v, v] = error[:, v] ** 2
        covariance[stars] = variance * inflation[:, :, None] * inflation[:, None, :]
        # A label at its bound is there, whatever others are freed of.
        edge = at_edge(found.z, z_bounds, slam)
        labels[stars] = np.clip(values - np.where(edge, 0, offset * error), *bounds)
        chi2[stars] = found.chi2
        outcome[stars] = status(found, edge, rejected / np.maximum(before, 1), incomplete[stars])

    usable = np.flatnonzero(n_pix > d)
    groups = [usable[(nodes[usable] == row).all(axis=1)] for row in np.unique(nodes[usable], axis=0)]
    chunks = [group[first : first + chunk] for group in groups for first in range(0, len(group), chunk)]
    # Chunks side by side, one BLAS thread each: many small products leave threads of BLAS idle,
    # and on a busy machine waiting for one another.
    with blas_threads(1), tqdm(total=len(chunks), disable=not progress, desc="labels", unit="chunk") as bar:
        pool = Parallel(n_jobs=n_cores(), backend="threading", return_as="generator_unordered")
        for _ in pool(delayed(label)(stars) for stars in chunks):
            bar.update()
    chi2 /= np.maximum(n_pix - d, 1)
    inside = inside_grid(slam, labels, inside)
    return Inference(labels, covariance, chi2, n_pix, outcome, inside, limit, slam.label_set)


def start_spectra(slam, labels=None):
    """Spectra (k, n_pix), standardised, that stars are compared with; at the first training labels."""
    labels = slam.training_labels_[:_TEMPLATES] if labels is None else labels
    return slam.predict_standardised(slam.to_standard(labels))[0].astype(np.float32)


def _corrections(systematics, ivars, teff, rotation, d):
    """Inflation and offset (m, d), the mean over the instruments that observed a star, and its blur (m, 2).

    The blur is that of the instrument with the most information on rotation; `rotation` (k, m) is how much
    each of k instruments has, or None for one instrument.
    """
    none = np.array([np.ones((len(teff), d)), np.zeros((len(teff), d))])
    pairs = list(zip(systematics, ivars, strict=True))
    each = [none if part is None else part.corrections(ivar, teff) for part, ivar in pairs]
    observed = np.array([(ivar > 0).any(axis=1) for ivar in ivars])
    inflation, offset = np.einsum("kcmd,km->cmd", each, observed / observed.sum(axis=0))
    blurs = np.array([np.zeros(2) if part is None else part.blur for part in systematics])
    most = np.zeros(len(teff), int) if rotation is None else rotation.argmax(axis=0)
    return inflation, offset, blurs[most]


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
    bad = ~(np.abs(flux) < _LARGEST) & (ivar > 0)
    if bad.any():
        star, pixel = np.argwhere(bad)[0]
        value = flux[star, pixel]
        what = f"{value:.3g}, far from a continuum of 1" if np.isfinite(value) else "not finite"
        raise InputError(f"flux of star {star}, pixel {pixel} is {what}; set its ivar to 0 to ignore it")
    return flux, ivar


def _incomplete(ivar, known):
    """Which spectra (m, n_pix) lack too many pixels; one that lacks all was not taken."""
    # No calibration star has a pixel that the instrument excludes.
    usable = np.ones(ivar.shape[1], bool) if known is None else (known.variance > 0).any(axis=0)
    covered = (ivar[:, usable] > 0).sum(axis=1) / max(usable.sum(), 1)
    return (covered > 0) & (covered < _LEAST_COVERED)


def inside_grid(slam, labels, inside=None):
    """Tell which labels (m, d) are finite, within the training v sin i, and inside the grid, (m,).

    `inside` is that of `infer_joint`.
    """
    known = np.isfinite(labels).all(axis=1)
    result = np.zeros(len(labels), dtype=bool)
    low, high = slam.training_labels_.min(axis=0), slam.training_labels_.max(axis=0)
    if known.any():
        box = (labels[known] >= low) & (labels[known] <= high) | slam.nuisances
        of_grid = np.array([not label.broadening for label in slam.label_set])
        grid = box[:, of_grid].all(axis=1) if inside is None else inside(labels[known][:, of_grid])
        # No rotation is too slow.
        result[known] = grid & (labels[known] <= high)[:, ~of_grid].all(axis=1)
    return result
