"""What a row of labels is worth: one rule, one word, for the catalogue and for anybody's files."""

import numpy as np
from astropy.table import Column, hstack

from slamlib.inference.double import FAINTEST
from slamlib.instruments import C_KMS, get_instrument
from slamlib.labelling.emission import lacks_h_alpha
from slamlib.spectra.selection import CLEARLY, excess, line_widths

# Every status and what it means in short (docs/flags.md). The first that holds is given.
STATUSES = {
    "no data": "not usable",
    "not early-type": "lines of a cool star",
    "double": "two stars",
    "emission": "emission in H alpha or H beta",
    "arms apart": "the arms differ in velocity",
    "unconverged": "not converged",
    "outliers": "too many outlying pixels",
    "poor fit": "the models do not describe the spectrum",
    "wrong ivar": "less noise than ivar says",
    "edge": "a label at its bound",
    "unconstrained": "an error as large as the grid",
    "multimodal": "another solution fits as well",
    "incomplete": "too few pixels",
    "noisy": "too low a signal-to-noise ratio",
    "ok": "ok",
}
# Chi-square per degree of freedom. Simulated stars inside the grid have 0.7 to 1.1, real OB stars up
# to 1.7 at SNR 100 and about 2 at 200; smoothed pixels have less than 0.6.
GOOD_CHI2 = (0.6, 2.0)
# Above this, more than noise is in a fit: errors are at least those by blocks, of simulated stars too.
NOISE_ALONE = 1.2
# Signal-to-noise ratio per pixel of the files below which noise hides what a star is.
NOISY = 20.0
# The blue, where LAMOST counts SNR [A].
_BLUE = (4000.0, 5500.0)


# A second star counts if it lowers chi-square, over its reduced value, by more than this; by more still, in
# proportion, from the second number on, a resolving power. Few simulated single stars have as much.
DOUBLE_GAIN, _SHARP = 11.0, 3600.0
# Above this SNR it is more by the square of the ratio: there models err by more than noise.
_CLEAR = 160.0
# Added to that is this share of what two stars do not describe beyond noise, as of real stars that differ
# from the models: single stars of MILES that meet the rest gain up to 0.04 of it, pi And 0.3.
_OF_MISFIT = 0.05
# Its flux ratio lies clear of its bound, where other causes end.
_FREE_OF_BOUND = 1.3
# The velocities differ by more than this share of the instrument's FWHM, less than half of it since blends
# draw them together, and by more than this [km/s], since nearer stars look like one of another profile.
_SEPARATE, _NEAREST = 1 / 3, 25.0
# Where a line is in emission, a second star must gain so many times more: without that line a fit is looser,
# and a second star mends it by 10 to 80; a double whose H alpha looks filled gains 140 and more. Where a star
# that is no double gains as much, hidden emission is looked for.
_BESIDE_EMISSION = 10.0
# Arms whose velocities differ by more [km/s], and by so many standard errors, are not at rest together.
_APART, _APART_ERRORS = 10.0, 5.0


def of_more_than_a_star(instrument, chi2, n_pix, second, snr=0.0, emission=False):
    """Tell what a second star explains: rows (m,) of "double" and "arms apart", and those to look at again.

    `chi2` and `n_pix` (m,) are of the fit of one star, `second` (m, 6) is as
    `slamlib.inference.double.SecondStar` gives it, `snr` (m,) is as of `snr_of`, `emission` (m,) says
    that a line is in emission. To be looked at again are stars that are no double, but that a second star
    would describe far better.
    """
    gain, ratio, v_1, v_2, apart, error = second.T
    rest = chi2 - gain / np.maximum(n_pix, 1)
    least = DOUBLE_GAIN * np.fmax(chi2, 1) * max(instrument.effective_resolution / _SHARP, 1)
    least *= np.fmax(np.asarray(snr) / _CLEAR, 1) ** 2
    least += _OF_MISFIT * np.fmax(rest - 1, 0) * n_pix
    much = gain > _BESIDE_EMISSION * least
    double = np.where(emission, much, gain > least) & (ratio > _FREE_OF_BOUND * FAINTEST)
    double &= np.abs(v_2 - v_1) > max(_SEPARATE * C_KMS / instrument.effective_resolution, _NEAREST)
    # What two stars do not describe either is something else.
    double &= rest < GOOD_CHI2[1]
    arms = np.abs(apart) > np.maximum(_APART, _APART_ERRORS * error)
    return {"double": double, "arms apart": arms}, much & ~double & ~emission


def judged(found, slam, instrument, flux, ivar, snr=None, doubts=None):
    """Return the table of a fit, with the widths of lines and a status that says what each row is worth.

    `flux` and `ivar` (m, n_pix) are what was fitted; `snr` (m,) is by the files: where it is not finite, that
    of ivar counts; `doubts` say which rows, (m,) of bool, have another of `STATUSES`.
    """
    flux, ivar, instrument = np.atleast_2d(flux), np.atleast_2d(ivar), get_instrument(instrument)
    widths, table = line_widths(instrument, flux, ivar), found.table()
    told = np.full(len(ivar), np.nan) if snr is None else np.asarray(snr, dtype=float)
    snr = np.where(np.isfinite(told), told, snr_of(instrument, ivar))
    strange, spread = excess(widths), np.ptp(slam.training_labels_, axis=0) / np.sqrt(12)
    # The error of v sin i does not count: where it is large, its limit is given. Nor that of a nuisance.
    counted = [not (label.broadening or label.nuisance) for label in slam.label_set]
    doubts = (doubts or {}) | {
        "not early-type": strange > CLEARLY,
        "poor fit": found.chi2 > GOOD_CHI2[1],
        "wrong ivar": found.chi2 < GOOD_CHI2[0],
        # Somebody who knew only the range of the training labels would err as much.
        "unconstrained": (found.errors > spread)[:, counted].any(axis=1),
        "incomplete": np.isnan(strange) | ((instrument.name == "MRS") & lacks_h_alpha(instrument, ivar)),
        "noisy": ~(snr >= NOISY),
    }
    words = list(STATUSES)
    rank = np.array([words.index(word) for word in found.status], dtype=int)
    for word, rows in doubts.items():
        rank[rows] = np.minimum(rank[rows], words.index(word))
    table["status"] = Column(np.array(words)[rank], description="what the row is worth")
    return hstack([table, widths])


def snr_of(instrument, ivar):
    """Signal-to-noise ratio per pixel of the files that the ivar (m, n_pix) of normalised spectra tells.

    The median of the good blue pixels, or of all if none is blue; for real LRS files 0 to 13% above the
    header's, for MRS 14%. 0 where there is none.
    """
    instrument = get_instrument(instrument)
    blue = (instrument.wave > _BLUE[0]) & (instrument.wave < _BLUE[1])
    some = np.ma.masked_less_equal(ivar[:, blue] if blue.any() else ivar, 0)
    native = instrument.native_step * np.mean(_BLUE)
    return np.sqrt(np.ma.median(some, axis=1).filled(0) * native / instrument.arms[0][2])
