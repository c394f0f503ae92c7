"""What comes between the star and the file: dust, bands, arms, sky, noise, bad pixels.

Simulation only. Shapes are smooth and plausible; none is LAMOST's own calibration.
"""

import numpy as np

from slamlib.instruments import LRS_GAP

# Diffuse interstellar bands: air wavelength [A], FWHM [A], equivalent width [A] per magnitude of E(B-V)
# (strengths after Friedman et al. 2011, ApJ 727, 33; 4430 after Krelowski et al. 1992, MNRAS 258, 693).
_BANDS = (
    (4430.0, 17.0, 2.2),
    (5780.5, 2.1, 0.50),
    (6196.0, 0.7, 0.05),
    (6283.8, 4.8, 1.1),
    (6613.6, 1.1, 0.21),
)
# Strong lines of the night sky in the optical: [O I], Na I, [O I], [O I] [A].
_SKY_LINES = (5577.3, 5892.9, 6300.3, 6363.8)
# Hydrogen lines that go into emission together: air wavelength [A] and relative strength.
_EMISSION_LINES = ((6562.8, 1.0), (4861.3, 0.25))
_BAD_FRACTION, _COSMIC_RAYS = 0.002, 2.0


def extinction(wave, ebv, r_v=3.1):
    """Fraction of light at `wave` [A] that passes the dust of reddening E(B-V) [mag].

    The optical curve of Cardelli, Clayton & Mathis 1989 (ApJ 345, 245), equations 3a and 3b, 3030-9090 A.
    """
    y = 1e4 / wave - 1.82
    a = np.polyval([0.32999, -0.77530, 0.01979, 0.72085, -0.02427, -0.50447, 0.17699, 1.0], y)
    b = np.polyval([-2.09002, 5.30260, -0.62251, -5.38434, 1.07233, 2.28305, 1.41338, 0.0], y)
    return 10 ** (-0.4 * r_v * ebv * (a + b / r_v))


def emission(wave, flux, group, rng):
    """Turn a normalised spectrum, (n,), into one of the groups that no photospheric model fits.

    Of `group` "emission" a disc's emission fills the hydrogen lines, of "featureless" a continuum dilutes all
    lines; any other is returned as it is.
    """
    if group == "featureless":
        return 1 + (flux - 1) * rng.uniform(0.02, 0.15)
    if group != "emission":
        return flux
    height, width = rng.uniform(0.6, 4.0), rng.uniform(2.0, 5.0)
    profile = sum(s * np.exp(-0.5 * ((wave - centre) / width) ** 2) for centre, s in _EMISSION_LINES)
    # The disc also veils the photosphere's lines.
    return 1 + (flux - 1) * rng.uniform(0.5, 0.9) + height * profile


def observed_counts(wave, normalised, row, instrument, rng, noise=True):
    """Add dust, sky and noise: counts, inverse variance and mask of one arm of one star.

    Parameters
    ----------
    wave : ndarray, (n,)
        Native pixels in air [A].
    normalised : ndarray, (n,)
        Normalised flux on them, broadened and shifted.
    row : Row
        snr, ebv and teff of the star.
    instrument : str
    rng : numpy.random.Generator
    noise : bool
        Without it the same star comes as it is on average: no noise, no bad pixels; ivar is
        that of the noise that is not there.

    Returns
    -------
    flux, ivar : ndarray, (n,)
    mask : ndarray of bool, (n,)
        The bad pixels that the pipeline noticed.
    """
    reference = np.median(wave)
    # The Rayleigh-Jeans slope of a hot star, dust, and an imperfect flux calibration.
    x = (wave - reference) / np.ptp(wave) * 2
    shape = (wave / reference) ** -4 * extinction(wave, row["ebv"]) / extinction(reference, row["ebv"])
    shape = shape * np.exp(np.polynomial.legendre.legval(x, [0, *rng.normal(0, [0.10, 0.05, 0.02])]))
    bands = np.zeros_like(wave)
    for centre, fwhm, width in _BANDS:
        sigma = fwhm / 2.3548
        strength = row["ebv"] * width / (sigma * np.sqrt(2 * np.pi))
        bands += strength * np.exp(-0.5 * ((wave - centre) / sigma) ** 2)
    signal = shape * np.clip(normalised, 0, None) * np.exp(-bands)
    noise_factor = np.ones_like(wave)
    if instrument == "LRS":
        gap = (wave > LRS_GAP[0]) & (wave < LRS_GAP[1])
        # Where the arms are joined neither has light: the level jumps and the noise grows.
        signal[wave > LRS_GAP[0] + 100] *= rng.normal(1, 0.03)
        noise_factor[gap] = 4
        noise_factor *= 1 + np.exp((3950 - wave) / 60)
    sky = 0.05 + sum(np.exp(-0.5 * ((wave - line) / 1.5) ** 2) for line in _SKY_LINES)
    level = 1.0 + np.median(sky)
    variance = (signal + sky) / level / row["snr"] ** 2 * noise_factor**2
    if not noise:
        return 1e3 * signal, 1e-6 / variance, np.zeros(wave.size, dtype=bool)
    flux = signal + rng.normal(0, np.sqrt(variance))
    bad = rng.random(wave.size) < _BAD_FRACTION
    flux[bad] *= rng.uniform(0, 3, bad.sum())
    hits = rng.integers(0, wave.size, rng.poisson(_COSMIC_RAYS))
    flux[hits] += rng.exponential(1.0, hits.size)
    # The pipeline notices every bad pixel and two thirds of the cosmic rays.
    noticed = bad.copy()
    noticed[hits] |= rng.random(hits.size) < 2 / 3
    # About a thousand counts: the files hold counts, not normalised flux.
    return 1e3 * flux, np.where(noticed, 0, 1e-6 / variance), noticed
