"""Computes what the explorer shows from where its controls stand; draws nothing."""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline

from compendium.explorer.words import STEPS, UNITS, number, quantity
from compendium.lines import strongest
from slamlib.grid.training import VSINI_MAX
from slamlib.inference.validate import cramer_rao
from slamlib.instruments import C_KMS, get_instrument
from slamlib.labels import NAMES

# Part of a label's step over which the derivative is taken.
_NEAR = 0.05
# Lines named on one picture.
_NAMED = 24


@dataclass(frozen=True)
class Controls:
    """Where every control stands: labels (4,), SNR per pixel, velocity [km/s] of the model.

    `slope` is the label that the flux is differentiated with respect to.
    """

    instrument: object
    labels: tuple
    snr: float = 100.0
    velocity: float = 0.0
    slope: str = "teff"


@dataclass(frozen=True)
class Overlay:
    """A spectrum over the model, each (n_pix,); nan where a pixel carries no weight.

    ``wave`` is where its light arrives, in air [A]; ``residual`` is flux minus model.
    """

    name: str
    wave: np.ndarray
    flux: np.ndarray
    sigma: np.ndarray
    residual: np.ndarray

    @property
    def misfit(self):
        """Typical ``|residual / sigma|``, by the median: 1 for noise alone, whatever a few cosmic rays do."""
        pulls = np.abs(self.residual / self.sigma)
        return 1.4826 * float(np.median(pulls[np.isfinite(pulls)]))


@dataclass(frozen=True)
class View:
    """What is to be drawn.

    Attributes
    ----------
    controls : Controls
    model_wave, model, slope : ndarray, (n_pix,)
        Where the model's light arrives, air [A]; its flux; the change of flux for one step
        (`STEPS`) of the chosen label.
    star : Overlay
        The star, or a simulated one of the model's own labels.
    kept : Overlay or None
        Another star, kept for comparison.
    lines : list of Line
        The strongest of the model, at rest.
    warnings : tuple of str
        One for each label outside the model grid; empty inside.
    bound : ndarray, (4,) or None
        Without a star: least standard errors that the photon noise of the SNR control allows.
    """

    controls: Controls
    model_wave: np.ndarray
    model: np.ndarray
    slope: np.ndarray
    star: Overlay
    kept: Overlay | None
    lines: list
    warnings: tuple
    bound: np.ndarray | None


def look(controls, slam, grid, noise, star=None, kept=None):
    """Work out what the controls show: a `View`.

    `slam` is that of the instrument; `noise`, standard normal draws (n_pix,), is scaled to the SNR when there
    is no star; `star` and `kept` are of the same instrument.
    """
    instrument, labels = get_instrument(controls.instrument), np.array(controls.labels, dtype=float)
    # One call for the model and its derivative: half the time of the analytic one, as good as drawn.
    nearby = np.tile(labels, (3, 1))
    nearby[1:, NAMES.index(controls.slope)] += STEPS[controls.slope] * np.array([_NEAR, -_NEAR])
    model, above, below = slam.predict(nearby, extrapolate=True).astype(float)
    slope = (above - below) / (2 * _NEAR)
    model_wave = instrument.wave * (1 + controls.velocity / C_KMS)
    if star is None:
        sigma = np.where(instrument.good, 1 / controls.snr, np.nan)
        name = f"simulated noise, SNR {controls.snr:.0f}"
        shown = Overlay(name, model_wave, model + noise * sigma, sigma, noise * sigma)
        bound = cramer_rao(slam, labels, controls.snr**2 * instrument.good)[0, : len(NAMES)]
    else:
        shown, bound = _over(model, instrument, controls.velocity, star), None
    other = None if kept is None else _over(model, instrument, controls.velocity, kept)
    lines, warnings = strongest(model, instrument, _NAMED), outside(grid, labels)
    return View(controls, model_wave, model, slope, shown, other, lines, warnings, bound)


def _over(model, instrument, velocity, star):
    """Lay a star over the model, on the star's own pixels."""
    used = star.ivar > 0
    sigma = 1 / np.sqrt(np.where(used, star.ivar, np.nan))
    flux = np.where(used, star.flux, np.nan)
    residual = flux - at_velocity(model, instrument, velocity, star.rv)
    name = star.name + " (simulated)" * star.simulated
    return Overlay(name, instrument.wave * (1 + star.rv / C_KMS), flux, sigma, residual)


def at_velocity(flux, instrument, velocity, frame):
    """Flux of a model receding at `velocity`, on the pixels of a star shifted to rest by `frame` [km/s].

    `flux`, (n_pix,), is at rest. Interpolated by a cubic spline in each arm; nan where the arm ends. The flux
    itself if both velocities are the same.
    """
    if velocity == frame:
        return flux
    shifted = np.empty(flux.size)
    for arm in instrument.arm_slices:
        wave = instrument.wave[arm]
        rest = wave * (1 + frame / C_KMS) / (1 + velocity / C_KMS)
        shifted[arm] = CubicSpline(wave, flux[arm], extrapolate=False)(rest)
    return shifted


def outside(grid, labels):
    """Say which labels (4,) lie outside the model grid, and what it spans there: a tuple of str."""
    teff, logg, mh, vsini = labels
    hot = list(grid.columns)
    low = np.interp(teff, hot, [column[0] for column in grid.columns.values()])
    high = np.interp(teff, hot, [column[-1] for column in grid.columns.values()])
    spans = {
        "teff": (teff, hot[0], hot[-1], ""),
        "logg": (logg, low, high, f" at {np.clip(teff, hot[0], hot[-1]):,.0f} K"),
        "mh": (mh, grid.mh_values[0], grid.mh_values[-1], ""),
        "vsini": (vsini, 0.0, VSINI_MAX, ""),
    }
    return tuple(
        f"{quantity(name, value)}: the grid spans {number(name, first)} to "
        f"{number(name, last)} {UNITS[name]}{where}"
        for name, (value, first, last, where) in spans.items()
        if not first <= value <= last
    )
