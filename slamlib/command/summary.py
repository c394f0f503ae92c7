"""Labels in words: a compact table for people, with what to think of each row."""

import numpy as np
from astropy.table import Table

from slamlib.command.labelling import usable
from slamlib.errors import printable
from slamlib.labels import LABELS, VSINI
from slamlib.slam.inference import DOUBTS

# Chi-square per degree of freedom above which the models do not describe a star.
POOR_CHI2 = 2.0
# Signal-to-noise ratio below which noise hides that a star does not belong.
NOISY = 20.0
_HEADS = ("file", "", "Teff [K]", "log g", "[M/H]", "v sin i [km/s]", "what it is worth")


def verdict(row):
    """Say in words what the labels of a row are worth: "ok", or what is wrong.

    Examples
    --------
    >>> verdict({"reason": "", "status": "edge", "flag": "", "chi2": 7.31, "snr": 90})
    'outside the model grid; a label at its bound; poor fit (chi2 7.3)'
    >>> verdict({"reason": "", "status": "outliers", "flag": "I", "chi2": 1.0, "snr": 90})
    'too many outlying pixels'
    """
    if row["reason"] or row["status"] == "no data":
        return "not usable"
    doubts = [] if row["flag"] == "I" else ["outside the model grid"]
    doubts += [DOUBTS[row["status"]]] if row["status"] in DOUBTS else []
    doubts += [f"poor fit (chi2 {row['chi2']:.1f})"] if row["chi2"] > POOR_CHI2 else []
    doubts += [f"noisy (SNR {row['snr']:.0f})"] if row["snr"] < NOISY else []
    return "; ".join(doubts) or "ok"


def quantities(row):
    """Each label with its error, or v sin i with its limit, as text.

    Examples
    --------
    >>> star = {"teff": 21870.2, "logg": 3.951, "mh": -0.1, "vsini": 9.0, "vsini_limit": 38.2}
    >>> quantities(star | {"e_teff": 210.0, "e_logg": 0.024, "e_mh": 0.05, "e_vsini": 20.0})
    ['21870 +- 210', '3.95 +- 0.02', '-0.10 +- 0.05', '< 38']
    """
    texts = [f"{row[k.name]:.{k.decimals}f} +- {row['e_' + k.name]:.{k.decimals}f}" for k in LABELS]
    if np.isfinite(row["vsini_limit"]):
        texts[LABELS.index(VSINI)] = f"< {row['vsini_limit']:.{VSINI.decimals}f}"
    return texts


def summary(table, most=None):
    """Describe a table of labels as text.

    Parameters
    ----------
    table : Table
        As `slamlib.label` gives it.
    most : int, optional
        Show at most so many rows.

    Returns
    -------
    str
        A line for each row, counts, and where flags are explained.
    """
    has_labels = usable(table)
    rows = []
    for row, known in zip(table[:most], has_labels, strict=False):
        name = "simulated " * bool(row["simulated"]) + row["instrument"]
        rows.append((printable(row["file"]), name, *(quantities(row) if known else [""] * 4), verdict(row)))
    shown = Table(rows=rows, names=[head or "instrument" for head in _HEADS])
    align = ["<", "<", ">", ">", ">", ">", "<"]
    lines = shown.pformat(max_lines=-1, max_width=-1, align=align)
    if len(table) > len(rows):
        lines.append(f"... and {len(table) - len(rows)} more")
    ok, known = sum(verdict(row) == "ok" for row in table), int(has_labels.sum())
    counts = f"{ok} ok, {known - ok} to distrust, {len(table) - known} without labels"
    lines += ["", f"{len(table)} spectra: {counts}. docs/flags.md says what each flag means."]
    simulated = int(np.sum(table["simulated"]))
    lines += [f"{simulated} of the spectra are simulated."] if simulated else []
    return "\n".join(line.rstrip() for line in lines)
