"""One observed spectrum, air and vacuum, and the step onto an instrument's pixels."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.interpolate import CubicSpline

from slamlib.errors import InputError
from slamlib.instruments import get_instrument

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# No spectrograph has more: what more costs, in time and memory, only a hostile file asks for.
_MOST_PIXELS = 2_000_000
# Native pixels this far beyond an arm [A] steady the spline at the arm's ends.
_MARGIN = 20.0
# A native pixel this many times wider than the median of its arm spans a gap.
_GAP_WIDTHS = 3.0


@dataclass(frozen=True)
class Spectrum:
    """An observed spectrum in air, before normalisation and at its own velocity.

    Attributes
    ----------
    wave : ndarray, (n,)
        Pixel centres in air [A], strictly increasing.
    flux : ndarray, (n,)
        Flux in the units of the file; 0 where the file held no finite number.
    ivar : ndarray, (n,)
        Inverse variance of the flux; 0 where the pixel is bad.
    mask : ndarray of bool, (n,)
        True where the pixel is bad.
    header : dict
        obsid (int), ra and dec [deg], mjd [d], rv [km/s] or nan, snr, instrument, file and
        what else the reader found.

    Raises
    ------
    InputError
        If the lengths differ, or the wavelengths do not increase strictly.
    """

    wave: np.ndarray
    flux: np.ndarray
    ivar: np.ndarray
    mask: np.ndarray
    header: dict = field(default_factory=dict)

    def __post_init__(self):
        """Refuse what no later step could use."""
        shapes = {np.shape(array) for array in (self.wave, self.flux, self.ivar, self.mask)}
        if len(shapes) != 1 or len(shapes.pop()) != 1:
            raise InputError("wave, flux, ivar and mask must be vectors of one length")
        if len(self.wave) > _MOST_PIXELS:
            raise InputError(f"{len(self.wave)} pixels, where {_MOST_PIXELS} is the most")
        if not (np.isfinite(self.wave).all() and (np.diff(self.wave) > 0).all()):
            raise InputError("the wavelengths do not increase strictly; sort them and drop repeated pixels")

    def plot(self, axes: "Axes | None" = None, **options: Any) -> "Axes":
        """Draw the flux of the good pixels against the wavelength, into `axes` or the current ones of pyplot.

        `options` are those of `matplotlib.axes.Axes.plot`.

        Examples
        --------
        >>> import slamlib
        >>> slamlib.read("spec-55859-F5902_sp01-001.fits.gz").plot()  # doctest: +SKIP
        """
        from matplotlib import pyplot

        axes = pyplot.gca() if axes is None else axes
        simulated = " (simulated)" * bool(self.header.get("simulated"))
        options = {
            "color": "black",
            "linewidth": 0.6,
            "label": self.header.get("file", "") + simulated,
        } | options
        axes.plot(self.wave, np.where(self.mask, np.nan, self.flux), **options)
        title = options["label"].replace("$", r"\$")
        axes.set(xlabel=r"Wavelength in air [$\rm\AA$]", ylabel="Flux", title=title)
        return axes


def air_from_vacuum(wave):
    """Wavelengths in standard air [A] from wavelengths in vacuum [A], above 2000 A.

    Index of refraction by Morton 2000, ApJS 130, 403 (IAU standard).

    Examples
    --------
    >>> round(float(air_from_vacuum(6564.61)), 2)
    6562.8
    """
    wave = np.asarray(wave, dtype=float)
    s2 = (1e4 / wave) ** 2
    return wave / (1 + 8.34254e-5 + 2.406147e-2 / (130 - s2) + 1.5998e-4 / (38.9 - s2))


def vacuum_from_air(wave):
    """Wavelengths in vacuum [A] from wavelengths in standard air [A]; `air_from_vacuum` undoes it to 1e-4 A.

    The inverse of Morton's formula fitted by N. Piskunov for VALD3 (Ryabchikova et al. 2015, Phys. Scr. 90,
    054005).

    Examples
    --------
    >>> round(float(vacuum_from_air(6562.8)), 2)
    6564.61
    """
    wave = np.asarray(wave, dtype=float)
    s2 = (1e4 / wave) ** 2
    refraction = 8.336624212083e-5 + 2.408926869968e-2 / (130.1065924522 - s2)
    return wave * (1 + refraction + 1.599740894897e-4 / (38.92568793293 - s2))


def to_instrument(wave, flux, ivar, instrument):
    """Rebin a spectrum onto the pixels of an instrument, conserving flux and information.

    The integral of the flux up to each native pixel edge is interpolated by a cubic spline and differenced at
    the edges of the output pixels: no smoothing beyond that of the output pixel. Each native pixel shares its
    inverse variance among the output pixels in proportion to the overlap, so that sums of ivar (the
    information) are unchanged. The correlation between neighbouring output pixels is not carried.

    Parameters
    ----------
    wave, flux, ivar : array_like, (n,)
        The native spectrum; wave in air [A], increasing. Pixels whose ivar is not positive
        or whose flux is not finite are bad.
    instrument : Instrument or str

    Returns
    -------
    flux, ivar : ndarray, (n_pix,)
        On ``instrument.wave``. Where an output pixel touches a bad native pixel, a gap or
        the end of the spectrum, or where the instrument excludes it, ivar = 0 and flux = 1.
    """
    instrument = get_instrument(instrument)
    wave, flux, ivar = (np.asarray(array, dtype=float) for array in (wave, flux, ivar))
    out_flux, out_ivar = np.ones(instrument.wave.size), np.zeros(instrument.wave.size)
    for arm in instrument.arm_slices:
        low, high = instrument.edges[:, arm]
        near = (wave > low[0] - _MARGIN) & (wave < high[-1] + _MARGIN)
        out_flux[arm], out_ivar[arm] = rebin(wave[near], flux[near], ivar[near], np.append(low, high[-1]))
    bad = ~instrument.good | (out_ivar <= 0)
    return np.where(bad, 1.0, out_flux), np.where(bad, 0.0, out_ivar)


def rebin(wave, flux, ivar, edges):
    """Mean flux and summed ivar (n_edges - 1,) between successive `edges` [A], as `to_instrument` gives them.

    Where a pixel is not fully covered, ivar = 0.
    """
    nothing = np.ones(edges.size - 1), np.zeros(edges.size - 1)
    if wave.size < 4:
        return nothing
    middles = (wave[1:] + wave[:-1]) / 2
    native = np.concatenate([[2 * wave[0] - middles[0]], middles, [2 * wave[-1] - middles[-1]]])
    width = np.diff(native)
    good = np.isfinite(flux) & np.isfinite(ivar) & (ivar > 0) & (width < _GAP_WIDTHS * np.median(width))
    if not good.any():
        return nothing
    # A straight line across bad pixels: their values would make the spline ring.
    flux = np.interp(wave, wave[good], flux[good])
    integral = CubicSpline(native, _running_sum(flux * width))
    out_flux = np.diff(integral(np.clip(edges, native[0], native[-1]))) / np.diff(edges)
    covered = np.diff(np.interp(edges, native, _running_sum(good * width)))
    out_ivar = np.diff(np.interp(edges, native, _running_sum(np.where(good, ivar, 0.0))))
    return out_flux, np.where(covered > (1 - 1e-6) * np.diff(edges), out_ivar, 0.0)


def _running_sum(values):
    return np.concatenate([[0.0], np.cumsum(values)])
