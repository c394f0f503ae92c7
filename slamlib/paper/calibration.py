"""Simulated stars of known labels, observed and prepared like any other: what errors mean.

One sample of stars measures what observed spectra differ by from the models
(`slamlib.slam.systematics`); another, drawn apart, tells whether the errors of labels hold.
"""

from dataclasses import dataclass, replace

import numpy as np
from joblib import Parallel, delayed
from tqdm import tqdm

from slamlib.errors import InputError
from slamlib.labels import NAMES
from slamlib.slam.infer import infer
from slamlib.slam.systematics import Systematics
from slamlib.survey.mock import draw_survey, simulate
from slamlib.survey.prepare import prepare_twins
from slamlib.threads import blas_threads, n_cores

# Pixels further from a fit than this are taken for cosmic rays and other accidents.
REJECT = 5.0
# Principal components of what pixels share.
RANK = 20
_CHUNK = 64


@dataclass(frozen=True)
class Observed:
    """Prepared spectra of simulated stars.

    Attributes
    ----------
    labels : ndarray, (m, 4)
        True.
    flux, ivar : ndarray of float32, (m, n_pix)
    clean : ndarray of float32, (m, n_pix)
        The same, by the same continuum and velocity, free of photon noise.
    rv_error : ndarray, (m,)
        Measured minus true velocity [km/s].
    """

    labels: np.ndarray
    flux: np.ndarray
    ivar: np.ndarray
    clean: np.ndarray
    rv_error: np.ndarray

    def __getitem__(self, rows):
        """Return some of the stars."""
        return Observed(*(values[rows] for values in vars(self).values()))


@dataclass(frozen=True)
class Observatory:
    """Everything that turns labels into a prepared spectrum of an instrument.

    Attributes
    ----------
    grid : ModelGrid
    library : SpectrumLibrary
    isochrones : Table
    instrument : str
    templates : VelocityTemplates
    """

    grid: object
    library: object
    isochrones: object
    instrument: str
    templates: object

    def draw(self, n, snr, seed):
        """Rows of the truth table of `n` OB stars inside the grid, all of that SNR."""
        rng = np.random.default_rng([seed, int(snr)])
        many = 3 * n + 60
        truth = draw_survey({"LRS": many, "MRS": many}, 0, self.isochrones, self.grid.contains, rng)
        rows = truth[(truth["instrument"] == self.instrument) & (truth["group"] == "OB")][:n]
        rows["snr"] = float(snr)
        return rows

    def observe(self, rows, seed):
        """Simulate and prepare the stars of `rows`; those without a velocity are left out.

        Returns
        -------
        Observed
        """
        found = []
        with blas_threads(1), Parallel(n_jobs=n_cores()) as pool:
            for start in range(0, len(rows), _CHUNK):
                some = rows[start : start + _CHUNK]
                pairs = zip(
                    simulate(some, self.library, self.grid, self.instrument, seed),
                    simulate(some, self.library, self.grid, self.instrument, seed, noise=False),
                    strict=True,
                )
                jobs = (
                    delayed(_prepare)(star, twin.flux, self.instrument, self.templates)
                    for star, twin in pairs
                )
                found += pool(jobs)
        kept = np.array([part is not None for part in found])
        flux, ivar, velocity, clean = zip(*(part for part in found if part is not None), strict=True)
        labels = np.stack([np.asarray(rows[name], dtype=float) for name in NAMES], axis=1)[kept]
        rv_error = np.array([v["rv"] for v in velocity]) - np.asarray(rows["rv"])[kept]
        flux, ivar, clean = (np.array(part, dtype=np.float32) for part in (flux, ivar, clean))
        return Observed(labels, flux, ivar, clean, rv_error)


def _prepare(spectrum, twin, instrument, templates):
    try:
        return prepare_twins(spectrum, twin, instrument, templates)
    except InputError:
        return None


def measure_systematics(slam, observatory, n, seed, nodes, rank=RANK, progress=True):
    """Systematics of a model against simulated stars, and the inflation its errors still need.

    The inflation of each half of the stars is measured with the systematics of the other,
    and smoothed by a straight line in log SNR.

    Parameters
    ----------
    slam : Slam
    observatory : Observatory
    n : int
        Stars at each SNR.
    seed : int
    nodes : sequence of float
        SNR per pixel of the files.
    rank : int
    progress : bool

    Returns
    -------
    Systematics
    """
    samples = []
    for node in tqdm(nodes, desc=f"systematics {observatory.instrument}", unit="SNR", disable=not progress):
        samples.append(observatory.observe(observatory.draw(n, node, seed), seed))
    snr = [float(np.sqrt(np.median(stars.ivar[stars.ivar > 0]))) for stars in samples]
    residuals = [_residuals(slam, stars) for stars in samples]
    pulls = [[] for _ in nodes]
    for half in (0, 1):
        known = Systematics.measure(snr, [r[half::2] for r in residuals], rank)
        for node, stars in enumerate(samples):
            others = stars[slice(1 - half, None, 2)]
            found = infer(slam, others.flux, others.ivar, known, reject=REJECT)
            pulls[node].append(((found.labels - others.labels) / found.errors)[measured(found)])
    width = np.array([[spread(column) for column in np.concatenate(pull).T] for pull in pulls])
    line = np.polynomial.polynomial.polyfit(np.log(snr), np.log(width), min(1, len(snr) - 1))
    smooth = np.exp(np.polynomial.polynomial.polyval(np.log(snr), line)).T
    return replace(Systematics.measure(snr, residuals, rank), inflation=smooth)


def _residuals(slam, stars):
    """Observed minus model flux without photon noise, of stars whose velocity is not astray."""
    residual = np.where(stars.ivar > 0, stars.clean - slam.predict(stars.labels), 0)
    # Those few are not what the other stars suffer from.
    return residual[np.abs(stars.rv_error) < 5 * spread(stars.rv_error)]


def measured(found):
    """Which stars of an `Inference` have four labels with errors: converged, no edge, no limit."""
    return (found.status == "ok") & np.isnan(found.vsini_limit)


def spread(values):
    """Half the distance of the 16th and 84th percentile: the sigma of a normal distribution.

    Examples
    --------
    >>> round(float(spread(np.random.default_rng(0).normal(5, 2, 100_000))), 1)
    2.0
    """
    low, high = np.nanpercentile(values, [15.87, 84.13])
    return (high - low) / 2
