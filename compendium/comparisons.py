"""Catalogues compared: with the truth, and one instrument with the other."""

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table

from slamlib.errors import InputError
from slamlib.labels import NAMES


def recovery(catalogue, truth, instrument, snr=60.0, suffixes=("",)):
    """Scatter and bias of the labels of simulated stars inside the grid, against the truth.

    The stars are those of status "ok", the same for all regressors.

    Parameters
    ----------
    catalogue : Table
        As `label_survey` gives it.
    truth : Table
        With obsid, group and the four labels.
    instrument : str
    snr : float
        Only stars above this.
    suffixes : sequence of str
        Of the label columns: "" or "_svr".

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
    ok = (catalogue["status"] == "ok") & np.isfinite([catalogue["teff" + suffix] for suffix in suffixes]).all(
        axis=0
    )
    chosen = np.flatnonzero(ok & (true["group"] == "OB") & (true["snr"] > snr))
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
    """Pair the stars that both instruments observed, by position.

    Parameters
    ----------
    lrs, mrs : Table
        Catalogues with ra and dec [deg].
    radius : float
        [arcsec].

    Returns
    -------
    Table
        obsid, snr, flag, vsini_limit, the labels and their errors of each, ending in _lrs and _mrs.
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
