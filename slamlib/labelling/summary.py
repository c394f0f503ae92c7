"""Labels in words: a compact table for people, with what to think of each row."""

import numpy as np
from astropy.table import Table

from slamlib.errors import printable
from slamlib.labelling.files import usable
from slamlib.labelling.worth import STATUSES
from slamlib.labels import LABELS, VSINI

# Words of these statuses are followed by the number that says how much.
_NUMBERS = {"poor fit": "chi2 {chi2:.1f}", "wrong ivar": "chi2 {chi2:.2f}", "noisy": "SNR {snr:.0f}"}
_HEADS = ("file", "", "Teff [K]", "log g", "[M/H]", "v sin i [km/s]", "what it is worth")


def verdict(row):
    """Say in words what the labels of a row are worth, by its flag and status: "ok", or what is wrong.

    Examples
    --------
    >>> verdict({"status": "poor fit", "flag": "O", "chi2": 7.31, "snr": 90})
    'outside the model grid; the models do not describe the spectrum (chi2 7.3)'
    >>> verdict({"status": "not early-type", "flag": "I", "chi2": 1.0, "snr": 90, "subclass": "G7"})
    'lines of a cool star (header says G7)'
    >>> verdict({"status": "ok", "flag": "I", "chi2": 1.0, "snr": 90, "note": "weak He II"})
    'ok; weak He II'
    """
    words = STATUSES[row["status"]]
    number = _NUMBERS.get(row["status"], "").format(chi2=row["chi2"], snr=row["snr"])
    words += f" ({number})" if number and "nan" not in number else ""
    has = getattr(row, "colnames", row)
    # Masked where a CSV file has none at all.
    header = str(row["subclass"] or "").strip() if "subclass" in has else ""
    words += f" (header says {header})" if row["status"] == "not early-type" and header else ""
    if row["flag"] == "O":
        words = "outside the model grid" + f"; {words}" * (row["status"] != "ok")
    if row["flag"] == "X":
        words += ", inside the extension to late B and A stars"
    # Tables of older versions have neither.
    return "; ".join([words, *(str(row[name]) for name in ("note", "assumed") if name in has and row[name])])


def quantities(row):
    """Each label of the paper with its error, or v sin i with its limit, as text; "" where there is none.

    Examples
    --------
    >>> star = {"teff": 21870.2, "logg": 3.951, "mh": -0.1, "vsini": 9.0, "vsini_limit": 38.2}
    >>> quantities(star | {"e_teff": 210.0, "e_logg": 0.024, "e_mh": 0.05, "e_vsini": 20.0})
    ['21870 +- 210', '3.95 +- 0.02', '-0.10 +- 0.05', '< 38']
    """
    has = getattr(row, "colnames", row)
    texts = [
        f"{row[k.name]:.{k.decimals}f} +- {row['e_' + k.name]:.{k.decimals}f}" if k.name in has else ""
        for k in LABELS
    ]
    if np.isfinite(row["vsini_limit"]):
        texts[LABELS.index(VSINI)] = f"< {row['vsini_limit']:.{VSINI.decimals}f}"
    return texts


def summary(table: Table, most: int | None = None) -> str:
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
    good = np.isin(table["flag"], ("I", "X")) & (table["status"] == "ok")
    ok, known = int(good.sum()), int(has_labels.sum())
    counts = f"{ok} ok, {known - ok} to distrust, {len(table) - known} without labels"
    lines += ["", f"{len(table)} spectra: {counts}. docs/flags.md says what each flag means."]
    simulated = int(np.sum(table["simulated"]))
    lines += [f"{simulated} of the spectra are simulated."] if simulated else []
    return "\n".join(line.rstrip() for line in lines)
