"""T1, what a spectrum tells: equivalent widths, and the labels that lines give away."""

from functools import cache

import numpy as np
from scipy.optimize import brentq

from compendium.teaching.checks import call, exercise, judge
from compendium.teaching.classroom import models, stars
from slamlib.instruments import C_KMS, LRS

# Centre in air and half of the range that belongs to the line [A].
LINES = {
    "H gamma": (4340.5, 40.0),
    "He I 4471": (4471.5, 4.0),
    "He II 4541": (4541.6, 8.0),
    "Si II 4128": (4129.0, 4.0),
    "Si III 4552": (4552.6, 1.5),
    "Mg II 4481": (4481.2, 2.5),
}
# The star whose gravity is wanted: its Teff and metals are told, its log g is not.
MYSTERY_TEFF, _MYSTERY_LOGG, _MYSTERY_SNR = 20_000.0, 3.62, 200.0


def equivalent_width(wave, flux, line):
    """Equivalent width [A] of a line of `LINES` in spectra (n, n_pix): (n,)."""
    centre, half = LINES[line]
    near = np.abs(wave - centre) < half
    return np.sum((1 - np.atleast_2d(flux)[:, near]) * np.gradient(wave)[near], axis=1)


def mystery():
    """Wavelength and flux of a simulated star of 20,000 K, solar metals, unknown gravity."""
    wave, flux = stars(MYSTERY_TEFF, _MYSTERY_LOGG)
    return wave, flux[0] + np.random.default_rng(1).normal(0, 1 / _MYSTERY_SNR, wave.size)


@cache
def _along_teff(line):
    """Teff [K] of main-sequence models and the equivalent width of a line in them."""
    teff = np.arange(15_000, 50_001, 250.0)
    wave, flux = stars(teff)
    return teff, equivalent_width(wave, flux, line)


@exercise("T1.1")
def _width(answer):
    wave, flux = stars(np.array([18_000.0, 30_000.0]))
    near = np.abs(wave - 4471.5) < 4
    for spectrum in flux[:, near]:
        truth = np.sum((1 - spectrum) * np.gradient(wave[near]))
        usual = [
            (-truth, "the sign is the other way round: absorption counts as positive, 1 - flux"),
            (np.sum(1 - spectrum), "you added pixels; multiply each by its width in A"),
            (np.mean(1 - spectrum), "that is the mean depth; the width is an area: depth times A, summed"),
            (np.sum(spectrum * np.gradient(wave[near])), "that is the light left over, not what is missing"),
            (1000 * truth, "that is in mA; A are asked for"),
        ]
        judge(call(answer, wave[near], spectrum), truth, usual, hint="add up (1 - flux) times pixel width")
    return "an equivalent width is an area, so no resolution and no rotation changes it."


@exercise("T1.2")
def _gravity(answer):
    usual = [
        (10**_MYSTERY_LOGG, "give log g, not g"),
        (_MYSTERY_LOGG - 2, "that is log g in m/s^2; astronomers use cm/s^2"),
    ]
    judge(answer, _MYSTERY_LOGG, usual, rtol=0, atol=0.12, hint="stronger wings mean higher log g")
    return f"it was made with log g = {_MYSTERY_LOGG}: a giant that has left the main sequence."


@exercise("T1.3")
def _strongest_helium(answer):
    teff, width = _along_teff("He I 4471")
    truth = teff[width.argmax()]
    usual = [
        (truth / 1000, "in K please, not in thousands of K"),
        (width.max(), "that is the width at the maximum; its Teff is asked for"),
    ]
    judge(answer, truth, usual, rtol=0, atol=600, hint="find where the curve of He I 4471 is highest")
    return "B2 stars: cooler ones do not excite the lower level, hotter ones ionise helium."


@exercise("T1.4")
def _o7(answer):
    teff, one = _along_teff("He I 4471")
    two = _along_teff("He II 4541")[1]
    truth = brentq(lambda t: np.interp(t, teff, one - two), 30_000, 45_000)
    usual = [(truth / 1000, "in K please, not in thousands of K")]
    judge(answer, truth, usual, rtol=0, atol=1000, hint="find where the two curves cross")
    return "equal He I 4471 and He II 4541 define spectral type O7; you have calibrated it."


@exercise("T1.5")
def _speed(answer):
    for shift, wave in ((2.0, 4481.2), (1.0, 6562.8)):
        truth = C_KMS * shift / wave
        usual = [
            (truth / 2, "half the width is already the shift of one edge: do not halve it again"),
            (shift / wave, "that is in units of the speed of light; multiply by c"),
            (1000 * truth, "in km/s please, not in m/s"),
            (C_KMS * wave / shift, "upside down: the shift is a small part of the wavelength"),
        ]
        judge(call(answer, shift, wave), truth, usual, rtol=1e-3, hint="Doppler: shift / wavelength = v / c")
    blur = C_KMS / LRS.resolution
    return f"at LRS the instrument alone blurs by {blur:.0f} km/s: slower rotation hides in that."


@exercise("T1.6")
def _metals(answer):
    wave, flux = stars(20_000.0, mh=models().mh_values[[1, 2]])
    poor, solar = equivalent_width(wave, flux, "Mg II 4481")
    usual = [
        (10**-0.5, "that is how much less metal there is; a strong line weakens by less: it is saturated"),
        (solar / poor, "upside down: the metal-poor star over the solar one"),
        (poor - solar, "a ratio is asked for, not a difference"),
    ]
    judge(answer, poor / solar, usual, rtol=0.02, hint="measure the line in both spectra")
    return f"a third of the metals ({10**-0.5:.2f}) still leaves {poor / solar:.2f} of the line."
