"""Spectra of things that are not single OB stars, from simple physics: none may pass for one.

Simulated, and roughly: the shapes of continua and of the strongest lines, at LAMOST's pixels.
"""

import numpy as np

from slamlib.errors import SlamlibError
from slamlib.instruments import get_instrument
from slamlib.mock.survey import native_pixels
from slamlib.spectra.prepare import prepare_with_velocity
from slamlib.spectra.spectrum import Spectrum

_BALMER = (6562.8, 4861.3, 4340.5, 4101.7, 3970.1, 3889.1)
_HELIUM = (3888.6, 4026.2, 4387.9, 4471.5, 4713.1, 4921.9, 5015.7, 5047.7, 5875.6, 6678.2)
# Lines of cool stars and old galaxies: centre [A], equivalent width [A] at 5,000 K.
_METALS = [(3933.7, 8), (3968.5, 7), (4226.7, 1.5), (4305, 6), (4383, 2), (4531, 1.5), (4668, 2.5)]
_METALS += [(5175, 5), (5270, 2.5), (5335, 2), (5406, 1.2), (5890, 2.5), (6495, 1.0)]
# Emission of nebulae: centre [A], flux relative to H alpha.
_NEBULA = [(6562.8, 1), (4861.3, 0.33), (4340.5, 0.15), (5006.8, 0.6), (4958.9, 0.2), (6583.4, 0.35)]
_NEBULA += [(3727.5, 0.7), (6716.4, 0.2), (6730.8, 0.15)]
# Broad emission of quasars: centre [A], equivalent width [A].
_QUASAR = [(1215.7, 90), (1549, 50), (1909, 25), (2799, 35), (4340, 15), (4861, 45), (4959, 8)]
_QUASAR += [(5007, 22), (6563, 190)]


def _planck(wave, teff):
    return (wave / 5000) ** -5 / np.expm1(1.4388e8 / (wave * teff)) * np.expm1(1.4388e8 / (5000 * teff))


def _gauss(wave, centre, sigma):
    return np.exp(-0.5 * ((wave - centre) / sigma) ** 2)


def _lines(wave, lines, sigma):
    """Sum of Gaussian lines of given equivalent widths [A]."""
    return sum(width * _gauss(wave, at, sigma) / sigma / np.sqrt(2 * np.pi) for at, width in lines)


def noise(wave, rng):
    """Nothing but noise, about zero or about a level."""
    return np.full(wave.size, rng.choice([0.0, 0.3, 1.0]))


def ramp(wave, rng):
    """Return a smooth continuum without a line."""
    x = (wave - wave.mean()) / np.ptp(wave) * 2
    return np.exp(np.polynomial.legendre.legval(x, [0, *rng.normal(0, [1.0, 0.5, 0.3, 0.2])]))


def galaxy(wave, rng):
    """Old stars, and in every second one a nebula, receding."""
    rest = wave / (1 + rng.uniform(0, 0.3))
    flux = _planck(rest, rng.uniform(4_200, 7_000)) * np.exp(-_lines(rest, _METALS, rng.uniform(3, 6)))
    flux *= np.where(rest < 4000, rng.uniform(0.5, 0.9), 1)
    if rng.random() < 0.5:
        flux = flux + rng.uniform(5, 80) * _lines(rest, _NEBULA, rng.uniform(1.5, 4)) * flux.mean()
    return flux


def quasar(wave, rng):
    """Return a power law with broad lines, at redshift 0.05 to 3.5."""
    rest = wave / (1 + rng.uniform(0.05, 3.5))
    broad = sum(_lines(rest, [line], line[0] * rng.uniform(2_000, 6_000) / 7.1e5) for line in _QUASAR)
    return (rest / 3000) ** rng.uniform(-2, -0.5) * (1 + broad)


def white_dwarf(wave, rng):
    """Hydrogen lines 60 to 200 A wide, those of helium, or none."""
    flux, kind = _planck(wave, rng.uniform(9_000, 40_000)), rng.choice(3, p=[0.7, 0.2, 0.1])
    centres, width = ((_BALMER, rng.uniform(30, 100)), (_HELIUM, rng.uniform(15, 40)), ((), 1))[kind]
    depth = sum(1 / (1 + ((wave - at) / width) ** 2) for at in centres) + 0 * wave
    return flux * np.exp(-rng.uniform(0.3, 0.9) * depth)


def cool_star(wave, rng):
    """Make a star of 3,500 to 9,500 K: Balmer and metal lines, and TiO bands below 4,200 K."""
    teff = rng.uniform(3_500, 9_500)
    hydrogen = np.interp(teff, (4_500, 6_000, 9_000), (0.02, 0.25, 1.1))
    depth = hydrogen * sum(1 / (1 + ((wave - at) / 7) ** 2) for at in _BALMER)
    metals = np.interp(teff, (3_500, 5_000, 6_500, 8_000, 9_500), (1.6, 1.0, 0.5, 0.2, 0.08))
    flux = _planck(wave, teff) * np.exp(-depth - metals * _lines(wave, _METALS, 2.5))
    for head in (4761, 4954, 5167, 5448, 5847, 6159) if teff < 4_200 else ():
        flux = flux * (1 - 0.5 * (4_400 - teff) / 900 * np.where(wave > head, np.exp((head - wave) / 90), 0))
    return flux


STRANGERS = {"noise": noise, "ramps": ramp, "galaxies": galaxy, "quasars": quasar}
STRANGERS |= {"white dwarfs": white_dwarf, "A to M stars": cool_star}


def strangers(instrument, templates, n, rng):
    """Prepare spectra of `n` things, in turn of each of `STRANGERS`, at SNR 20 to 150.

    Returns kinds, (n,), flux and ivar, float32 (n, n_pix), ivar = 0 where preparation finds no velocity or no
    continuum, and snr, (n,).
    """
    wave = np.concatenate(native_pixels(instrument))
    n_pix, kinds = get_instrument(instrument).wave.size, np.resize(list(STRANGERS), n)
    snr = rng.uniform(20, 150, n)
    flux, ivar = np.ones((n, n_pix), np.float32), np.zeros((n, n_pix), np.float32)
    for i, kind in enumerate(kinds):
        counts = 1e3 * STRANGERS[kind](wave, rng)
        sigma = max(np.median(counts), 1.0) / snr[i]
        counts = counts + rng.normal(0, sigma, wave.size)
        weight, mask = np.full(wave.size, sigma**-2), np.zeros(wave.size, bool)
        spectrum = Spectrum(wave, counts, weight, mask, {"snr": snr[i]})
        try:
            flux[i], ivar[i], _ = prepare_with_velocity(spectrum, instrument, templates)
        except SlamlibError:
            continue
    return kinds, flux, ivar, snr
