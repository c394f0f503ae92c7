"""Catalogues compared: with the truth, and one instrument with the other."""

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table

from compendium.hrs import floats
from slamlib.errors import InputError
from slamlib.labels import NAMES


def recovery(catalogue, truth, instrument, snr=60.0, suffixes=("",), group="OB"):
    """Scatter and bias of the labels of simulated stars, by default those inside the grid, against the truth.

    The stars are those of status "ok", the same for all regressors, above `snr`, of `group` by the `truth`:
    it has obsid, group and the four labels. `suffixes` are of the label columns, "" or "_svr".

    Returns
    -------
    Table
        instrument, regressor, label, n, scatter (rms about zero, as eq. 1 of the paper),
        bias (mean, eq. 2), mad (1.4826 times the median absolute deviation), error (median
        quoted) and outliers (fraction beyond 5 quoted errors).
    """
    row = {obsid: i for i, obsid in enumerate(truth["obsid"])}
    # A file that could not be read has no obsid.
    catalogue = catalogue[[obsid in row for obsid in catalogue["obsid"]]]
    true = truth[[row[obsid] for obsid in catalogue["obsid"]]]
    known = np.isfinite([catalogue["teff" + suffix] for suffix in suffixes]).all(axis=0)
    ok = (catalogue["status"] == "ok") & (true["group"] == group) & (true["snr"] > snr)
    chosen = np.flatnonzero(known & ok)
    rows = []
    for suffix in suffixes:
        for label in NAMES:
            error = np.asarray(catalogue[label + suffix] - true[label], dtype=float)[chosen]
            quoted = np.asarray(catalogue[f"e_{label}{suffix}"], dtype=float)[chosen]
            rows.append(
                {
                    "instrument": instrument,
                    "regressor": suffix.removeprefix("_") or "krr",
                    "label": label,
                    "n": chosen.size,
                    "scatter": np.sqrt(np.mean(error**2)),
                    "bias": np.mean(error),
                    "mad": 1.4826 * np.median(np.abs(error - np.median(error))),
                    "error": np.median(quoted),
                    "outliers": np.mean(np.abs(error) > 5 * quoted),
                }
            )
    return Table(rows)


def common_stars(lrs, mrs, radius=2.0):
    """Pair the stars of two catalogues by position, within `radius` [arcsec].

    Returns a Table of obsid, snr, flag, vsini_limit, the labels and their errors of each, ending in _lrs and
    _mrs.
    """
    names = [*NAMES, *(f"e_{label}" for label in NAMES)]
    placed = [table[np.isfinite(table["ra"]) & np.isfinite(table["teff"])] for table in (lrs, mrs)]
    if not all(len(table) for table in placed):
        raise InputError("LRS and MRS must both have labelled stars to be compared; give spectra of each")
    sky = [SkyCoord(table["ra"], table["dec"], unit=u.deg) for table in placed]
    nearest, distance, _ = sky[0].match_to_catalog_sky(sky[1])
    close = np.flatnonzero(distance.arcsec < radius)
    pairs = Table()
    for suffix, table in (("lrs", placed[0][close]), ("mrs", placed[1][nearest[close]])):
        for name in ("obsid", "snr", "flag", "vsini_limit", *names):
            pairs[f"{name}_{suffix}"] = table[name]
    return pairs


def compare_published(ours, published, radius=3.0):
    """Set our labels beside the published ones, star by star.

    Rows are matched by obsid where both have it, else each of ours with the nearest on the sky, at most
    `radius` [arcsec] off. InputError if a column is missing, or no star is in both.

    Returns
    -------
    Table
        One row a star of both: obsid (of ours), ra, dec, and for each label ours,
        ``*_published`` and ``d_*`` = ours - published. ``meta`` has matched_by, n_ours,
        n_published, and the median and scatter (1.48 MAD) of each difference.
    """
    by_obsid = "obsid" in ours.colnames and "obsid" in published.colnames
    for what, table in (("our", ours), ("the published", published)):
        if missing := sorted({*NAMES, *(() if by_obsid else ("ra", "dec"))} - set(table.colnames)):
            lacks, has = ", ".join(missing), ", ".join(table.colnames)
            raise InputError(f"{what} catalogue has no {lacks}; it has {has}")
    if by_obsid:
        place = {int(obsid): i for i, obsid in enumerate(published["obsid"]) if obsid is not np.ma.masked}
        pairs = [(i, place[int(obsid)]) for i, obsid in enumerate(ours["obsid"]) if int(obsid) in place]
    else:
        pairs = _neighbours(ours, published, radius)
    matched_by = "obsid" if by_obsid else "position"
    if not pairs:
        told = f"no star is in both catalogues (matched by {matched_by})"
        raise InputError(f"{told}; check that they belong together")
    mine, theirs = (list(rows) for rows in zip(*pairs, strict=True))
    table = ours[[name for name in ("obsid", "ra", "dec") if name in ours.colnames]][mine]
    table.meta = {"matched_by": matched_by, "n_ours": len(ours), "n_published": len(published)}
    for name in NAMES:
        a, b = floats(ours, name)[mine], floats(published, name)[theirs]
        table[name], table[f"{name}_published"], table[f"d_{name}"] = a, b, a - b
        gap = (a - b)[np.isfinite(a - b)]
        middle = np.median(gap) if gap.size else np.nan
        scatter = 1.4826 * np.median(np.abs(gap - middle)) if gap.size else np.nan
        table.meta |= {f"median_d_{name}": float(middle), f"scatter_d_{name}": float(scatter)}
    return table


def _neighbours(ours, published, radius):
    """Pairs of rows that are the same place on the sky."""
    found = []
    for table in (ours, published):
        ra, dec = floats(table, "ra"), floats(table, "dec")
        usable = np.flatnonzero(np.isfinite(ra) & np.isfinite(dec))
        found.append((usable, SkyCoord(ra[usable] * u.deg, dec[usable] * u.deg)))
    (rows, sky), (rows_there, sky_there) = found
    if not rows.size or not rows_there.size:
        return []
    nearest, distance, _ = sky.match_to_catalog_sky(sky_there)
    near = distance < radius * u.arcsec
    return list(zip(rows[near].tolist(), rows_there[nearest[near]].tolist(), strict=True))
