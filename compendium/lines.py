"""Which spectral lines stand out in a model spectrum, by name."""

from typing import NamedTuple

import numpy as np
from scipy.signal import find_peaks

from slamlib.spectra.lines import LINES, WEAKER

_GREEK = {r"H$\alpha$": "Hα", r"H$\beta$": "Hβ", r"H$\gamma$": "Hγ", r"H$\delta$": "Hδ", r"H$\epsilon$": "Hε"}
KNOWN = sorted(
    [(wave, _GREEK.get(name, name)) for name, waves in LINES for wave in waves]
    + [(wave, name) for name, waves in WEAKER.items() for wave in waves]
)
# A dip is a line's own if its bottom is this close, in resolution elements.
_NEAR = 0.7
# The shallowest dip that is named [continuum].
_SHALLOWEST = 0.004


class Line(NamedTuple):
    """A named line: rest wavelength in air [A] and how far its dip stands out [continuum]."""

    name: str
    wave: float
    depth: float


def strongest(flux, instrument, n):
    """Return the `n` lines whose dips stand out most in a model spectrum (n_pix,), by wavelength.

    A dip counts by its prominence, its depth below the lower of its two shoulders, so that a weak line in the
    wing of a Balmer line is not taken for a strong one. Of several known lines that share a dip, the nearest
    gives the name.

    Examples
    --------
    >>> from slamlib.instruments import LRS
    >>> flux = 1 - 0.4 * np.exp(-0.5 * ((LRS.wave - 4861) / 6) ** 2)
    >>> [(line.name, round(line.depth, 1)) for line in strongest(flux, LRS, 5)]
    [('Hβ', 0.4)]
    """
    waves = np.array([wave for wave, _ in KNOWN])
    found = []
    for arm in instrument.arm_slices:
        dips, properties = find_peaks(-flux[arm], prominence=_SHALLOWEST)
        for wave, depth in zip(instrument.wave[arm][dips], properties["prominences"], strict=True):
            nearest = np.abs(waves - wave).argmin()
            if abs(waves[nearest] - wave) < _NEAR * wave / instrument.resolution:
                found.append(Line(KNOWN[nearest][1], KNOWN[nearest][0], float(depth)))
    return sorted(sorted(found, key=lambda line: -line.depth)[:n], key=lambda line: line.wave)
