"""Every number the paper states, beside ours, with the reason where they differ."""

import numpy as np
from astropy.table import Table

from compendium.hrs import comparable
from compendium.hrs_stars import LIBRARY, REAL, SIMULATED
from slamlib.inference.validate import scatter_and_bias
from slamlib.labels import NAMES
from slamlib.regression.slam import Slam

# Ours may differ from the paper's by this factor and still count as the same finding.
_FACTOR = 1.5
# What is chosen, not found: the same, or not the same. Key and why it is not.
_CHOSEN = {
    "ostar_": "the grid of this run; the official nodes come with GRID=tlusty",
    "bstar_": "the grid of this run; the official nodes come with GRID=tlusty",
    "n_train_": "the size of this profile; the paper's comes with PROFILE=paper",
    "svr_": "chosen otherwise here",
}
_WHY_HRS = (
    "other stars than the paper's 28; those simulated from their published labels have no wind, companion, "
    "abundance or microturbulence that the models lack"
)
_WHY_COUNTS = "a simulated survey of the profile's size; its share inside the grid is chosen, not found"
_WHY_REAL = "the spectra in data/raw/ may be others than the paper's, and so are models and continuum"
_WHY_STAR = "a simulated star with the paper's MRS labels: what is found again is those, by LRS too"
# Decimals and unit in the reasons.
_PRINTED = {"teff": (0, " K"), "logg": (3, " dex"), "mh": (3, " dex"), "vsini": (1, " km/s")}


def our_numbers(cv, labels_lrs, labels_mrs, common, hrs, showcase):
    """Return ours for each key of `paper_claims.ecsv` that can be checked, a dict.

    Parameters
    ----------
    cv : Table
        As `slamlib.inference.validate.cross_validate` gives it.
    labels_lrs, labels_mrs : Table
        Catalogues.
    common : Table
        Pairs of both, with snr_lrs and snr_mrs.
    hrs : Table
        The stars known from high-resolution spectra, one row a star and instrument: of the real ones, if
        there are any, or else of the simulated ones that are not spun, those `comparable` count.
    showcase : dict
        Obsid of the star that stands for 703901108, for "lrs" and "mrs".
    """
    real = np.isin(hrs["origin"], (REAL, LIBRARY))
    compared = hrs[real if real.any() else hrs["origin"] == SIMULATED]
    ours: dict[str, float] = {
        "n_lrs": len(labels_lrs),
        "n_mrs": len(labels_mrs),
        "n_mrs_table": int(np.isfinite(np.asarray(labels_mrs["teff"], dtype=float)).sum()),
        "n_lrs_in_grid": int((labels_lrs["flag"] == "I").sum()),
        "n_mrs_in_grid": int((labels_mrs["flag"] == "I").sum()),
        "n_lrs_low_logg": int((np.asarray(labels_lrs["logg"], dtype=float) < 2).sum()),
        "n_common": int(((common["snr_lrs"] > 100) & (common["snr_mrs"] > 100)).sum()),
        "n_hrs": len(set(compared["star"])),
    }
    for row in cv[(cv["snr"] == 100) & (cv["regressor"] == "svr")]:
        ours[f"sigma_{row['label']}_{row['instrument'].lower()}_snr100"] = row["scatter"]
    for instrument in ("LRS", "MRS"):
        for label in ("teff", "logg", "vsini"):
            stars = compared[(compared["instrument"] == instrument) & comparable(compared, label)]
            if len(stars):
                scatter, _ = scatter_and_bias(_column(stars[label]), _column(stars[f"{label}_hrs"]))
                ours[f"sigma_{label}_{instrument.lower()}_hrs"] = scatter[0]
    for name, table in (("lrs", labels_lrs), ("mrs", labels_mrs)):
        star = table[table["obsid"] == showcase.get(name, -1)]
        if len(star):
            ours.update({f"star703901108_{label}_{name}": float(star[label][0]) for label in NAMES})
    return ours


def setup_numbers(nodes, sizes):
    """Return ours for the keys of `paper_claims.ecsv` about choices: grid, training, hyper-parameters.

    `nodes` has teff, logg, vturb and source of the nodes of the model grid, `sizes` is the Profile. A dict:
    of the ranges of Teff and log g, steps are the most common ones.
    """
    slam = Slam()
    ours: dict[str, float] = {f"n_train_{name.lower()}": n for name, n in sizes.n_train.items()}
    for name in ("C", "gamma"):
        offered = getattr(slam, name)
        ours |= {f"svr_{name}_low": min(offered), f"svr_{name}_high": max(offered)}
    ours["svr_epsilon"] = slam.epsilon
    cool = np.char.startswith(np.asarray(nodes["source"], dtype=str), "BSTAR")
    for grid, rows in (("ostar", nodes[~cool]), ("bstar", nodes[cool])):
        for label in ("teff", "logg"):
            values = np.unique(np.asarray(rows[label], dtype=float).round(3))
            steps, counts = np.unique(_steps(rows, label), return_counts=True)
            if len(steps):
                ours |= {f"{grid}_{label}_low": values[0], f"{grid}_{label}_high": values[-1]}
                ours[f"{grid}_{label}_step"] = steps[counts.argmax()]
        if len(rows):
            ours[f"{grid}_vturb"] = np.median(rows["vturb"])
    return ours


def _steps(nodes, label):
    """Return steps from node to node: of Teff over the grid, of log g at each Teff."""
    groups = [nodes[label]]
    if label == "logg":
        groups = [nodes[label][nodes["teff"] == teff] for teff in np.unique(nodes["teff"])]
    values = [np.unique(np.asarray(group, dtype=float).round(3)) for group in groups]
    return np.concatenate([[], *map(np.diff, values)]).round(3)


def compare(claims, ours, simulated, forensics):
    """Put ours, as `our_numbers` gives them, beside the paper's `claims`, `paper_claims.ecsv`.

    Returns a Table of key, unit, where, paper, ours (to four digits), verdict ("agrees", "differs", "not
    comparable" or "no data") and why; the reasons quote rows of `forensics`.
    """
    table = Table()
    for name in ("key", "unit", "where"):
        table[name] = claims[name]
    table["paper"] = claims["value"]
    table["ours"] = [_four_digits(ours.get(key, np.nan)) for key in claims["key"]]
    rows = zip(claims["key"], claims["data"], table["paper"], table["ours"], strict=True)
    judged = [_judge(*row, simulated, forensics) for row in rows]
    table["verdict"], table["why"] = zip(*judged, strict=True)
    table.meta["simulated"] = simulated
    return table


def _judge(key, data, paper, value, simulated, forensics):
    if not np.isfinite(value):
        return "no data", "this run has no such number"
    for prefix, why in _CHOSEN.items():
        if key.startswith(prefix):
            return ("agrees", "the same") if np.isclose(value, paper, rtol=1e-3) else ("differs", why)
    # The paper does not list its 28 stars: those of "hrs" are others, simulated or real.
    if data == "hrs" or (data == "lamost" and simulated):
        return "not comparable", _reason(key)
    ratio = value / paper if paper else np.inf
    if data == "models":
        close, range_ = 1 / _FACTOR <= ratio <= _FACTOR, f"a factor of {_FACTOR}"
        why = _from_forensics(key, paper, forensics)
    else:
        close, range_, why = 0.9 < ratio < 1.1, "10%", _WHY_REAL
    return ("agrees", f"within {range_}") if close else ("differs", why)


def _reason(key):
    if key.startswith("n_"):
        return _WHY_COUNTS if key != "n_hrs" else "the same number of stars, not the same stars"
    return _WHY_STAR if key.startswith("star") else _WHY_HRS


def _from_forensics(key, paper, forensics):
    """Say by rows of `forensics` what makes the error of a label at SNR = 100."""
    _, label, instrument, _ = key.split("_")
    rows = forensics[forensics["instrument"] == instrument.upper()]
    of = dict(zip(rows["row"], rows[label], strict=True))
    digits, unit = _PRINTED[label]
    shown = ("Cramer-Rao bound", "SVR, no noise", "SVR, below 30,000 K", "KRR")
    told = "; ".join(f"{row}: {of[row]:.{digits}f}{unit}" for row in shown)
    ratio = paper / of["Cramer-Rao bound"]
    where = "below" if ratio < 0.9 else "at" if ratio < 1.2 else f"{ratio:.1f} times"
    told = f"forensics.ecsv has {told}. The paper's number is {where} the bound of these models; "
    if label == "teff":
        hot = rows[rows["row"] == "SVR"][0]
        told += f"{hot['hot']:.0%} of our squared error comes from the {hot['hot_stars']:.0%} of stars above "
        told += "45,000 K; "
    return told + "how its training stars were drawn is not known"


def _four_digits(value):
    """Round to four digits, but never a whole one away."""
    if not np.isfinite(value) or value == 0:
        return float(value)
    return float(np.round(value, max(0, 3 - int(np.floor(np.log10(abs(value)))))))


def _column(values):
    return np.asarray(values, dtype=float)[:, None]
