"""Instruments: resolving power, pixels, masks and continuum of each, from TOML files beside this module."""

import math
import tomllib
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import pairwise
from pathlib import Path
from typing import Self

import numpy as np

from slamlib.errors import FileError, InputError

# Speed of light [km/s].
C_KMS = 299792.458
# Diffuse interstellar bands: central wavelength in air and half-width masked [A]. The
# half-widths are about the FWHM of Hobbs et al. 2008 (ApJ 680, 1256) on each side, widened
# for the narrow bands by the 3.5 A resolution element of LRS.
INTERSTELLAR_BANDS = ((4430.0, 20.0), (5780.5, 6.0), (6196.0, 4.0), (6283.8, 8.0), (6613.6, 5.0))
_BANDS = tuple((centre - half, centre + half) for centre, half in INTERSTELLAR_BANDS)
# Bands of the Earth's atmosphere within the instruments' ranges [A, air], widened by the 0.7 A of
# the Earth's motion: oxygen's gamma band, water, oxygen's B band. Water goes on to 6600 A, about
# H alpha: there its single lines are left out, where they are seen (`slamlib.spectra.water`).
TELLURIC = ((6275.3, 6318.7), (6464.0, 6520.0), (6866.0, 6945.0))
# Interstellar sodium, and water beside it.
_SODIUM = (5887.0, 5990.0)
# Where the embedded models give labels [A].
_REACH = (3900.0, 7000.0)
# An instrument made for a file: no pixel is finer than this part of the wavelength, no arm shorter [A].
_FINEST, _SHORTEST = 1e-4, 200.0
# Its ranges end at multiples of this [A], so that files of one spectrograph share a model.
_ROUND = 50.0
# Stiffness times pixel [A^4] of the continuum of LRS.
_STIFFNESS = 1.1e6


@dataclass(frozen=True)
class Instrument:
    """A spectrograph as slamlib sees it.

    Attributes
    ----------
    name : str
    resolution : float
        Resolving power R = lambda / FWHM, typical of the range.
    arms : tuple of (first, last, step)
        Pixel centres of each arm in air [A].
    excluded : tuple of (first, last)
        Wavelength ranges in air [A] that carry no weight.
    sampling : float
        Width of the pixels of its files in log10(wavelength); finer ones are put together.
    stiffness : float
        Of the continuum's spline for pixels of that width [A^3]:
        `slamlib.spectra.continuum.pseudo_continuum`.
    profile : tuple of (wave, R)
        Resolving power along the spectrum; between, the variance of the profile is linear. Empty if
        it is constant.
    """

    name: str
    resolution: float
    arms: tuple
    excluded: tuple
    sampling: float = 1e-4
    stiffness: float = 1e6
    profile: tuple = ()

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

    @property
    def native_step(self):
        """Width of the pixels of its files in ln(wavelength)."""
        return self.sampling * math.log(10)

    @property
    def effective_resolution(self):
        """Resolving power with its pixels: lambda over FWHM, or over the first pixel where that is wider."""
        first, _, step = self.arms[0]
        return min(self.resolution, first / step)

    def widened(self, margin: float = 45.0) -> Self:
        """Return the same instrument, each arm longer by about `margin` [A] at both ends, nothing excluded.

        For spectra whose continuum is still to be fitted: the ends of the fit then lie outside the arms.
        """
        # Whole pixels, so that those within stay where they are.
        more = [step * round(margin / step) for _, _, step in self.arms]
        arms = tuple((arm[0] - m, arm[1] + m, arm[2]) for arm, m in zip(self.arms, more, strict=True))
        return replace(self, arms=arms, excluded=())

    @classmethod
    def of(cls, told: dict) -> Self:
        """Return the instrument that a dict describes, as a TOML file or a labeller has it."""
        ranges = {key: tuple(map(tuple, told.get(key, ()))) for key in ("arms", "excluded", "profile")}
        return cls(**told | ranges)


def _centres(first, last, step):
    return first + step * np.arange(round((last - first) / step) + 1)


def read_instrument(path):
    """Read the description of an instrument: a TOML file as those beside this module.

    FileError, naming what is wrong, if it is missing or describes none.
    """
    try:
        told = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        arms = [[float(value) for value in arm] for arm in told["arms"]]
        ranges = [sorted(float(value) for value in pair) for pair in told.get("excluded", [])]
        # The interstellar bands are no star's, whatever looks at them.
        told |= {"name": str(told["name"]), "arms": arms, "excluded": [*_BANDS, *ranges]}
        if isinstance(told["resolution"], list):
            table = told["profile"] = sorted([float(value) for value in pair] for pair in told["resolution"])
            middle = (min(first for first, _, _ in arms) + max(last for _, last, _ in arms)) / 2
            told["resolution"] = np.interp(middle, *zip(*table, strict=True))
        told["resolution"] = float(told["resolution"])
        found = Instrument.of(told)
        _check(found)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else error
        raise FileError(f"{path} describes no instrument ({what}); see docs/howto_instrument.md") from None
    return found


def _check(instrument):
    if not instrument.name.replace("_", "").replace("-", "").isalnum():
        raise ValueError(f"name = {instrument.name!r} must be of letters, digits, _ and -")
    numbers = [instrument.resolution, instrument.sampling, instrument.stiffness]
    numbers += [value for pair in instrument.profile for value in pair]
    if not all(0 < value < math.inf for value in numbers):
        raise ValueError("resolution, sampling and stiffness must be above 0")
    for (first, last, step), after in pairwise([*instrument.arms, (math.inf, math.inf, 1)]):
        if not (0 < step < last - first and last < after[0]):
            raise ValueError(f"arm {[first, last, step]} is not [first, last, step] below the next arm")
    if not instrument.arms:
        raise ValueError("it has no arm")


_FOLDER = Path(__file__).parent


@cache
def known_instruments():
    """Return the names of the instruments that come with slamlib."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


@cache
def _packaged(name):
    return read_instrument(_FOLDER / f"{name}.toml")


# Those of LAMOST, whose files the paper labels.
LRS, MRS = _packaged("LRS"), _packaged("MRS")
INSTRUMENTS = {"LRS": LRS, "MRS": MRS}
# Where the blue and the red arm of LRS meet: the flux calibration is unreliable.
LRS_GAP = LRS.excluded[-1]


def get_instrument(name: Instrument | str) -> Instrument:
    """Return the instrument of that name, or that a file NAME.toml describes.

    Examples
    --------
    >>> get_instrument("LRS").wave.size, get_instrument("MRS").wave.size
    (3101, 4502)
    """
    if isinstance(name, Instrument):
        return name
    if str(name).endswith(".toml"):
        return read_instrument(name)
    if name not in known_instruments():
        known = ", ".join(known_instruments())
        raise InputError(f"unknown instrument {name!r}; use one of {known}, or a .toml file")
    return _packaged(name)


def instrument_of_range(resolution, ranges):
    """Make an instrument for a file of which only its resolving power is known.

    `ranges` of (first, last) say where the file has flux, in air [A]; InputError if none is within that of
    the models. The name says what it is: files of one spectrograph share it, and a model.

    Examples
    --------
    >>> made = instrument_of_range(5430, [(3000, 5555)])
    >>> made.name, made.arms
    ('R5400_3900-5550', ((3900.0, 5550.0, 0.35),))
    """
    digits = 10.0 ** (math.floor(math.log10(resolution)) - 1)
    resolution = digits * round(resolution / digits)
    arms = []
    for low, high in ranges:
        first = _ROUND * math.ceil(max(low, _REACH[0]) / _ROUND)
        last = _ROUND * math.floor(min(high, _REACH[1]) / _ROUND)
        step = first * max(0.5 / resolution, _FINEST)
        step = max(0.05 * math.floor(step / 0.05), 0.05)
        if last - first >= _SHORTEST:
            arms.append((first, last, round(step, 2)))
    if not arms:
        told = ", ".join(f"{low:.0f}-{high:.0f} A" for low, high in ranges)
        raise InputError(
            f"flux at {told}, the models need {_SHORTEST:.0f} A or more within {_REACH[0]:.0f}-"
            f"{_REACH[1]:.0f} A; leave this spectrum out"
        )
    name = f"R{resolution:.0f}_" + "_".join(f"{first:.0f}-{last:.0f}" for first, last, _ in arms)
    half = arms[0][2] / 2
    sampling, stiffness = math.log10(1 + half / arms[0][0]), _STIFFNESS / half
    return Instrument(name, resolution, tuple(arms), (*_BANDS, *TELLURIC, _SODIUM), sampling, stiffness)
