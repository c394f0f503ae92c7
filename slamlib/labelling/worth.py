"""What a row of labels is worth: one rule, one word, for the catalogue and for anybody's files."""

import numpy as np
from astropy.table import Column, hstack

from slamlib.instruments import get_instrument
from slamlib.spectra.selection import CLEARLY, excess, line_widths

# Every status and what it means in short (docs/flags.md). The first that holds is given.
STATUSES = {
    "no data": "not usable",
    "not early-type": "lines of a cool star",
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


def judged(found, slam, instrument, flux, ivar, snr=None):
    """Return the table of a fit, with the widths of lines and a status that says what each row is worth.

    Parameters
    ----------
    found : Inference
    slam : Slam
    instrument : Instrument or str
    flux, ivar : ndarray, (m, n_pix)
        What was fitted.
    snr : array_like, (m,), optional
        Signal-to-noise ratio by the files; where it is not finite, that of ivar counts.

    Returns
    -------
    Table
        That of `Inference.table` with ``status`` one of `STATUSES`, and `line_widths`.
    """
    flux, ivar = np.atleast_2d(flux), np.atleast_2d(ivar)
    widths, table = line_widths(instrument, flux, ivar), found.table()
    told = np.full(len(ivar), np.nan) if snr is None else np.asarray(snr, dtype=float)
    snr = np.where(np.isfinite(told), told, snr_of(instrument, ivar))
    strange, spread = excess(widths), np.ptp(slam.training_labels_, axis=0) / np.sqrt(12)
    # The error of v sin i does not count: where it is large, its limit is given. Nor that of a nuisance.
    counted = [not (label.broadening or label.nuisance) for label in slam.label_set]
    doubts = {
        "not early-type": strange > CLEARLY,
        "poor fit": found.chi2 > GOOD_CHI2[1],
        "wrong ivar": found.chi2 < GOOD_CHI2[0],
        # Somebody who knew only the range of the training labels would err as much.
        "unconstrained": (found.errors > spread)[:, counted].any(axis=1),
        "incomplete": np.isnan(strange),
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
