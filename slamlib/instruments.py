"""The two LAMOST instruments: resolving power, wavelength grid, masks."""

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np

from slamlib.errors import InputError

# Speed of light [km/s].
C_KMS = 299792.458
# Diffuse interstellar bands: central wavelength in air and half-width masked [A]. The
# half-widths are about the FWHM of Hobbs et al. 2008 (ApJ 680, 1256) on each side, widened
# for the narrow bands by the 3.5 A resolution element of LRS.
INTERSTELLAR_BANDS = ((4430.0, 20.0), (5780.5, 6.0), (6196.0, 4.0), (6283.8, 8.0), (6613.6, 5.0))
# Where the blue and the red arm of LRS meet: the flux calibration is unreliable.
LRS_GAP = (5800.0, 6000.0)


@dataclass(frozen=True)
class Instrument:
    """A spectrograph as slamlib sees it.

    Attributes
    ----------
    name : str
    resolution : float
        Resolving power R = lambda / FWHM, constant over the range.
    arms : tuple of (first, last, step)
        Pixel centres of each arm in air [A].
    excluded : tuple of (first, last)
        Wavelength ranges in air [A] that carry no weight.
    """

    name: str
    resolution: float
    arms: tuple
    excluded: tuple

    @cached_property
    def wave(self):
        """Pixel centres in air [A], all arms joined, (n_pix,)."""
        return np.concatenate([_centres(*arm) for arm in self.arms])

    @cached_property
    def good(self):
        """True where a pixel may be used, (n_pix,)."""
        good = np.ones(self.wave.size, dtype=bool)
        for first, last in self.excluded:
            good &= (self.wave < first) | (self.wave > last)
        return good

    @cached_property
    def arm_slices(self):
        """The slice of the pixel axis that each arm occupies."""
        stops = np.cumsum([0, *(_centres(*arm).size for arm in self.arms)]).tolist()
        return tuple(slice(start, stop) for start, stop in pairwise(stops))

    @cached_property
    def edges(self):
        """Lower and upper edge of every pixel in air [A], (2, n_pix)."""
        half = np.concatenate([np.full(_centres(*arm).size, arm[2] / 2) for arm in self.arms])
        return np.stack([self.wave - half, self.wave + half])

    def widened(self, margin=45.0):
        """Return the same instrument with each arm longer by `margin` [A] at both ends, nothing excluded.

        For spectra whose continuum is still to be fitted: the ends of the fit then lie
        outside the arms.
        """
        arms = tuple((first - margin, last + margin, step) for first, last, step in self.arms)
        return replace(self, arms=arms, excluded=())


def _centres(first, last, step):
    return first + step * np.arange(round((last - first) / step) + 1)


_BANDS = tuple((centre - half, centre + half) for centre, half in INTERSTELLAR_BANDS)

LRS = Instrument("LRS", 1800.0, ((3900.0, 7000.0, 1.0),), (*_BANDS, LRS_GAP))
MRS = Instrument("MRS", 7500.0, ((4950.0, 5350.0, 0.2), (6300.0, 6800.0, 0.2)), _BANDS)
INSTRUMENTS = {"LRS": LRS, "MRS": MRS}


def get_instrument(name):
    """Return the instrument of that name.

    Examples
    --------
    >>> get_instrument("LRS").wave.size, get_instrument("MRS").wave.size
    (3101, 4502)
    """
    if isinstance(name, Instrument):
        return name
    try:
        return INSTRUMENTS[name]
    except KeyError:
        raise InputError(f"unknown instrument {name!r}; use one of {', '.join(INSTRUMENTS)}") from None
