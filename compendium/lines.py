"""Which spectral lines stand out in a model spectrum, by name."""

from typing import NamedTuple

import numpy as np
from scipy.signal import find_peaks

from slamlib.spectra.drawing import LINES

_GREEK = {r"H$\alpha$": "Hα", r"H$\beta$": "Hβ", r"H$\gamma$": "Hγ", r"H$\delta$": "Hδ", r"H$\epsilon$": "Hε"}
# Weaker lines than the figures name, for those who look closer: air wavelengths [A] from the
# NIST Atomic Spectra Database, close pairs by their mean.
_WEAKER = {
    "He I": (3964.73, 4009.26, 4120.82),
    "C II": (4267.18, 5145.16, 6578.05, 6582.88),
    "C III": (4650.25,),
    "N II": (3995.00, 4630.54, 5001.47, 5005.15, 5045.10, 5666.63, 5679.56, 6482.05),
    "N III": (4640.64,),
    "O II": (4075.86, 4349.43, 4414.90, 4590.97, 4641.81, 4649.13, 4661.63, 4676.24, 4699.20, 4941.07),
    "O III": (5592.25,),
    "Ne I": (6402.25, 6506.53),
    "Al III": (4529.19, 5696.60, 5722.73),
    "Si II": (4128.05, 4130.89, 5041.02, 5055.98),
    "Si III": (5739.73,),
    "Si IV": (4088.86, 4116.10),
    "S II": (5009.57, 5014.04, 5032.43, 5212.62, 5320.72, 5345.71, 5453.86),
    "S III": (4253.59,),
    "Fe II": (5169.03,),
    "Fe III": (5073.90, 5086.70, 5127.39, 5156.11, 5193.91, 5243.31),
}
KNOWN = sorted(
    [(wave, _GREEK.get(name, name)) for name, waves in LINES for wave in waves]
    + [(wave, name) for name, waves in _WEAKER.items() for wave in waves]
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
