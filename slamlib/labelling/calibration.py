"""Simulated stars of known labels, observed and prepared like any other: what errors mean.

One sample of stars measures what observed spectra differ by from the models
(`slamlib.inference.systematics`); another, drawn apart, tells whether the errors of labels hold.
"""

from dataclasses import dataclass, replace

import numpy as np
from astropy.table import Table
from joblib import Parallel, delayed
from tqdm import tqdm

from slamlib.errors import InputError
from slamlib.grid.model_grid import ModelGrid
from slamlib.grid.training import draw_labels, synthesise
from slamlib.inference.infer import infer, start_spectra
from slamlib.inference.systematics import Systematics
from slamlib.inference.validate import cramer_rao
from slamlib.inference.vsini import measured_blur, remove_extra_broadening
from slamlib.instruments import C_KMS, INSTRUMENTS, Instrument, get_instrument
from slamlib.io import embedded, read_ecsv
from slamlib.labels import VTURB, rotation_of
from slamlib.mock.survey import SpectrumLibrary, broadening, draw_survey, simulate
from slamlib.spectra.matching import match_continuum
from slamlib.spectra.prepare import prepare_pair
from slamlib.spectra.velocity import VelocityTemplates
from slamlib.threads import blas_threads, n_cores

# SNR of the spectra that the spline of the continuum is fitted to: high enough to leave the
# training flux quiet, low enough for the clipping to act as on data.
CONTINUUM_SNR = 200
# Pixels further from a fit than this are taken for cosmic rays and other accidents.
REJECT = 5.0
# Principal components of what pixels share.
RANK = 20
# v sin i is measurable if it exceeds its Cramer-Rao bound this many times, and its square the
# scatter of what else widens lines this many times.
_MEASURABLE, _CLEAR = 4.0, 2.0
# Rotation that tells what else widens lines: in units of the speed that an instrument resolves,
# and the part of the SNR nodes whose noise is small enough.
_BLURRED, _QUIET = (0.3, 1.0), 0.5
_CHUNK = 64
# Teff [K] where the paper's stars end, and which of the stars are cooler if the grid goes on there.
COOLEST_B, _COOL = 15_000.0, 3
# Errors depend on Teff: calibration stars are divided by it into groups of so many, but not into more groups.
_GROUP, _GROUPS = 60, 5
# So few pulls have no width.
_LEAST = 5
# A pull beyond this is of another kind than noise.
_OUTLYING = 5.0


def matched_spectra(models, instrument, labels, rng, progress=False):
    """Model spectra at labels (n, d), divided by the survey's continuum: float32, (n, n_pix).

    A spectrum does not depend on those that follow it.
    """
    instrument = get_instrument(instrument)
    spectra = synthesise(models, labels, instrument.widened())
    return match_continuum(spectra, instrument, CONTINUUM_SNR, rng, progress=progress)


@dataclass(frozen=True)
class Observed:
    """Prepared spectra of m simulated stars, and their true labels, those of `ModelGrid.labels`.

    `clean` is flux (m, n_pix) by the same continuum and velocity, free of photon noise; `rv_error` is the
    measured minus the true velocity [km/s].
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
    """Everything that turns labels into a prepared spectrum of an instrument."""

    grid: ModelGrid
    library: SpectrumLibrary
    isochrones: Table
    instrument: Instrument
    templates: VelocityTemplates

    def __post_init__(self):
        """Take an instrument by its name, too."""
        object.__setattr__(self, "instrument", get_instrument(self.instrument))

    @classmethod
    def of(cls, grid, instrument, templates):
        """Return one of stars of `grid` and, unless that reaches there, of the embedded ones around it."""
        cool = grid.ranges[0, 0] < COOLEST_B
        around = () if cool else (ModelGrid.read(embedded("tlusty_extension_grid.fits")),)
        library = SpectrumLibrary((grid, *around))
        isochrones = read_ecsv(embedded("parsec_isochrones.ecsv"))
        return cls(grid, library, isochrones, instrument, templates)

    def draw(self, n, snr, seed):
        """Rows of the truth table of `n` OB stars inside the grid, all of that SNR.

        Where the grid reaches below the B stars, every third star is drawn there, evenly. Labels of the grid
        that the simulated survey does not have are drawn evenly, and so is helium.
        """
        rng = np.random.default_rng([seed, int(snr)])
        many = 3 * n + 60
        truth = draw_survey({"LRS": many, "MRS": many}, 0, self.isochrones, self._of_b_stars, rng)
        name = self.instrument.name if self.instrument.name in INSTRUMENTS else "LRS"
        rows = truth[(truth["instrument"] == name) & (truth["group"] == "OB")][:n]
        if self.instrument.name != name:
            rows["sigma"] = broadening(self.instrument, n, rng)
        rows["snr"] = float(snr)
        if self.grid.ranges[0, 0] < COOLEST_B:
            drawn = self.grid.split(draw_labels(self.grid, 20 * n, rng))[0]
            drawn = drawn[drawn[:, 0] < COOLEST_B][: len(rows[::_COOL])]
            for name, values in zip(("teff", "logg", "mh"), drawn.T, strict=False):
                rows[name][::_COOL] = values
        if "mh" not in self.grid.names:
            rows["mh"] = 0.0
        for label in self.grid.further:
            if label != VTURB:
                ends = self.grid.ranges[:, self.grid.names.index(label.name)]
                rows[label.name] = rng.uniform(*ends, len(rows))
        # `simulate` draws noise by number: other stars, other noise.
        rows["obsid"] += int(snr) * many
        return rows

    def _of_b_stars(self, labels3):
        known = labels3[:, : len(self.grid.axes) - len(self.grid.further)]
        return self.grid.contains(known) & (labels3[:, 0] >= COOLEST_B)

    def observe(self, rows, seed, change=None):
        """Simulate and prepare the stars of `rows`, an `Observed`; those without a velocity are left out.

        `change` is that of `simulate`.
        """
        found = []
        with blas_threads(1), Parallel(n_jobs=n_cores()) as pool:
            for start in range(0, len(rows), _CHUNK):
                some = rows[start : start + _CHUNK]
                pairs = zip(
                    simulate(some, self.library, self.grid, self.instrument, seed, change=change),
                    simulate(some, self.library, self.grid, self.instrument, seed, False, change),
                    strict=True,
                )
                jobs = (
                    delayed(_prepare)(star, twin.flux, self.instrument, self.templates)
                    for star, twin in pairs
                )
                found += pool(jobs)
        kept = np.array([part is not None for part in found])
        flux, ivar, velocity, clean = zip(*(part for part in found if part is not None), strict=True)
        names = [label.name for label in self.grid.labels]
        labels = np.stack([np.asarray(rows[name], dtype=float) for name in names], axis=1)[kept]
        rv_error = np.array([v["rv"] for v in velocity]) - np.asarray(rows["rv"])[kept]
        flux, ivar, clean = (np.array(part, dtype=np.float32) for part in (flux, ivar, clean))
        return Observed(labels, flux, ivar, clean, rv_error)


def _prepare(spectrum, twin, instrument, templates):
    try:
        return prepare_pair(spectrum, twin, instrument, templates)
    except InputError:
        return None


def measure_systematics(slam, observatory, n, seed, nodes, rank=RANK, progress=True, further=None):
    """Systematics of a model against `n` simulated stars at each SNR of `nodes`, and what pulls still need.

    The pulls of each half of the stars are measured with the systematics of the other half. `further` are
    components and variance of errors that simulated stars do not have, as `model_error` gives them.
    """
    samples = []
    name = observatory.instrument.name
    for node in tqdm(nodes, desc=f"systematics {name}", unit="SNR", disable=not progress):
        samples.append(observatory.observe(observatory.draw(n, node, seed), seed))
    snr = [float(np.sqrt(np.median(stars.ivar[stars.ivar > 0]))) for stars in samples]
    residuals = [_residuals(slam, stars) for stars in samples]
    fits, starts = [[] for _ in nodes], [start_spectra(slam)]
    for half in (0, 1):
        known = Systematics.measure(snr, [r[half::2] for r in residuals], rank, len(slam.names))
        known = known.joined(*further) if further else known
        for fit, stars in zip(fits, samples, strict=True):
            others = stars[slice(1 - half, None, 2)]
            fit.append(
                (infer(slam, others.flux, others.ivar, known, reject=REJECT, templates=starts), others)
            )
    blur = _blur(slam, observatory.instrument, fits[int(_QUIET * len(fits)) :])
    pulls = [np.concatenate([_pulls(slam, found, others, blur) for found, others in fit]) for fit in fits]
    groups, teff = _by_teff(
        [np.concatenate([others.labels for _, others in fit])[:, slam.names.index("teff")] for fit in fits],
        np.clip(n // _GROUP, 1, _GROUPS),
    )
    each = np.array(
        [
            [_width_and_mean(pull[group == number]) for number in range(len(teff))]
            for pull, group in zip(pulls, groups, strict=True)
        ]
    )
    inflation, offset = each[:, :, 0], each[:, :, 1]
    known = Systematics.measure(snr, residuals, rank, len(slam.names))
    if further:
        known = known.joined(*further)
    return replace(known, teff=teff, inflation=inflation, offset=offset, blur=blur, model=slam.digest())


def _by_teff(teffs, n):
    """Divide stars with these Teff, a list of arrays, into `n` groups: group of each, and median Teff."""
    every = np.concatenate(teffs)
    ends = np.quantile(every, np.arange(1, n) / n)
    medians = [np.median(every[np.searchsorted(ends, every) == number]) for number in range(n)]
    return [np.searchsorted(ends, teff) for teff in teffs], np.array(medians)


def _width_and_mean(pulls):
    """Width and mean of each column of pulls (m, d), of most of them: (2, d); 1 and 0 of too few."""
    pulls = np.where(np.isfinite(pulls).sum(axis=0) < _LEAST, np.nan, pulls)
    known = np.isfinite(pulls).any(axis=0)
    widths = [spread(column) if told else 1.0 for column, told in zip(pulls.T, known, strict=True)]
    means = [width * mean_of_most(column / width) for column, width in zip(pulls.T, widths, strict=True)]
    return np.array([widths, means])


def _blur(slam, instrument, fits):
    v = slam.rotation
    resolved = C_KMS / instrument.effective_resolution
    speeds = []
    for found, stars in (part for fit in fits for part in fit):
        true = stars.labels[:, v]
        some = (true > _BLURRED[0] * resolved) & (true < _BLURRED[1] * resolved) & (found.status == "ok")
        speeds.append(np.stack([found.labels[some, v], found.errors[some, v], true[some]]))
    speeds = np.concatenate(speeds, axis=1)
    return measured_blur(*speeds) if speeds.shape[1] else np.zeros(2)


def _pulls(slam, found, stars, blur):
    v = slam.rotation
    speed, error = remove_extra_broadening(found.labels[:, v], found.errors[:, v], blur)
    found.labels[:, v], found.covariance[:, v, v] = speed, error**2
    return pulls_of(found, stars, cramer_rao(slam, stars.labels, stars.ivar), blur)


def _residuals(slam, stars):
    """Observed minus model flux without photon noise, of stars whose velocity is not astray."""
    # A nuisance beyond what the model knows, as the microturbulence of supergiants, is an error of the model.
    known = [slam.training_labels_.min(axis=0), slam.training_labels_.max(axis=0)]
    labels = np.where(slam.nuisances, np.clip(stars.labels, *known), stars.labels)
    residual = np.where(stars.ivar > 0, stars.clean - slam.predict(labels), 0)
    # Those few are not what the other stars suffer from.
    return residual[np.abs(stars.rv_error) < 5 * spread(stars.rv_error)]


def pulls_of(found, stars, bound, blur):
    """(label - truth) / error of stars that a fit converged for inside the bounds: (m, d).

    NaN where it did not; and for v sin i where the true one is too slow to be measured: less
    than four times its Cramer-Rao `bound` (m, d), or lost in the `blur` (2,) of other causes.
    This is a choice by truth, since one by outcome would bias.
    """
    pulls = (found.labels - stars.labels) / found.errors
    pulls[~np.isin(found.status, ("ok", "multimodal"))] = np.nan
    v = rotation_of(found.label_set)
    true = stars.labels[:, v]
    slow = (true <= _MEASURABLE * bound[:, v]) | (true**2 <= _CLEAR * blur[1])
    pulls[slow, v] = np.nan
    return pulls


def spread(values):
    """Half the distance of the 16th and 84th percentile: the sigma of a normal distribution.

    Examples
    --------
    >>> round(float(spread(np.random.default_rng(0).normal(5, 2, 100_000))), 1)
    2.0
    """
    low, high = np.nanpercentile(values, [15.87, 84.13])
    return (high - low) / 2


def mean_of_most(pulls):
    """Mean of the pulls within 5, outliers apart, or 0 if there are none.

    Examples
    --------
    >>> float(mean_of_most(np.array([1.0, 2.0, 3.0, 700.0, np.nan])))
    2.0
    """
    most = pulls[np.abs(pulls) < _OUTLYING]
    return np.mean(most) if most.size else 0.0
