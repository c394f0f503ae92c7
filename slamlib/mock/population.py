"""Who is in the simulated survey: labels, brightness, place and motion of its stars."""

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Table

from slamlib.errors import InputError

# The groups that Guo et al. 2021 (4.2) see in the HR diagram, and their share here. The
# paper's share inside the grid is a quarter; half makes better statistics of recovery.
GROUPS = {"OB": 0.50, "late B": 0.34, "subdwarf": 0.10, "emission": 0.04, "featureless": 0.02}
# Share of the isochrones of 1, 10 and 100 Myr (keys: log10 age in years).
_AGES = {6.0: 0.25, 7.0: 0.45, 8.0: 0.30}
SALPETER = 2.35
# Single stars of one age are rare: rotation, binaries and ages between widen an isochrone.
_SCATTER_LOG_TEFF, _SCATTER_LOGG = 0.015, 0.07
_SOUTHERN_LIMIT = -10.0
_LATE_B = (11_500.0, 14_900.0)
# Greatest microturbulence [km/s] of supergiants, giants and dwarfs, at these log g: it grows as gravity falls
# (Hunter et al. 2007, A&A 466, 277).
_VTURB_LOGG, _VTURB_MOST, _VTURB_LEAST = (2.0, 3.0, 3.75), (20.0, 10.0, 5.0), 2.0
# Helium to hydrogen by number, and its logarithmic scatter.
_HELIUM, _HELIUM_SPREAD = 0.10, 0.04
_MH_MEAN, _MH_SPREAD, _MH_RANGE = -0.1, 0.2, (-0.9, 0.28)
# Median and logarithmic spread of SNR per pixel; faintest and brightest star.
_SNR_MEDIAN, _SNR_SPREAD, _SNR_RANGE = {"LRS": 60.0, "MRS": 50.0}, 0.7, (10.0, 500.0)


def salpeter_masses(n, low, high, rng):
    """Draw `n` initial masses [solar] by inversion of dN/dm ~ m^-2.35 (Salpeter 1955, ApJ 121, 161)."""
    power = 1 - SALPETER
    return (low**power + rng.random(n) * (high**power - low**power)) ** (1 / power)


def rotation(n, rng, slow=0.25, maximum=300.0):
    """Draw v sin i [km/s] of `n` B stars: slow and fast rotators seen from random directions.

    A quarter, `slow`, rotates slowly, the rest around 200 km/s, as in the two-peaked distributions of Dufton
    et al. 2013 (A&A 550, A109) and Zorec & Royer 2012 (A&A 537, A120). Stars faster than `maximum` are drawn
    anew.
    """
    vsini = np.full(n, np.inf)
    while (todo := np.flatnonzero(vsini > maximum)).size:
        is_slow = rng.random(todo.size) < slow
        speed = np.abs(np.where(is_slow, rng.normal(30, 20, todo.size), rng.normal(200, 80, todo.size)))
        sin_i = np.sqrt(1 - rng.random(todo.size) ** 2)
        vsini[todo] = speed * sin_i
    return vsini


def draw_population(n, isochrones, inside, rng):
    """Draw the labels of `n` stars in the proportions of `GROUPS`.

    ``inside(labels3) -> bool (m,)`` tells whether labels lie inside the model grid. Returns a Table of group,
    teff, logg, mh, vsini, vturb and he (helium to hydrogen by number), in random order.
    """
    counts = {group: round(share * n) for group, share in GROUPS.items()}
    counts["OB"] += n - sum(counts.values())
    parts = []
    for group, count in counts.items():
        labels = np.empty((0, 3))
        while len(labels) < count:
            drawn = _draw_group(group, 4 * count + 50, isochrones, rng)
            wanted = _late_b(drawn) if group == "late B" else inside(drawn) | (group == "subdwarf")
            labels = np.concatenate([labels, drawn[wanted]])
        parts.append((np.full(count, group), labels[:count]))
    order = rng.permutation(n)
    table = Table()
    table["group"] = np.concatenate([names for names, _ in parts])[order]
    labels = np.concatenate([labels for _, labels in parts])[order]
    table["teff"], table["logg"], table["mh"] = labels.T
    table["vsini"] = rotation(n, rng)
    # Subdwarfs are old and small: they hardly rotate.
    subdwarf = table["group"] == "subdwarf"
    table["vsini"][subdwarf] = rng.uniform(0, 30, subdwarf.sum())
    table["vturb"] = microturbulence(table["logg"], rng)
    table["he"] = _HELIUM * np.exp(rng.normal(0, _HELIUM_SPREAD, n))
    return table


def microturbulence(logg, rng):
    """Draw microturbulence [km/s]: 2 to 5 for dwarfs, up to 10 at log g 3, up to 20 for supergiants, (n,)."""
    return rng.uniform(_VTURB_LEAST, np.interp(logg, _VTURB_LOGG, _VTURB_MOST))


def _draw_group(group, n, isochrones, rng):
    """Teff, log g, [M/H] of `n` stars, some of which may not belong to the group."""
    mh = np.clip(rng.normal(_MH_MEAN, _MH_SPREAD, n), *_MH_RANGE)
    if group == "subdwarf":
        teff, logg = rng.uniform(25_000, 35_000, n), rng.uniform(5.25, 5.75, n)
        return np.column_stack([teff, logg, np.clip(mh, -0.5, 0)])
    return _along_isochrones(mh, isochrones, rng)


def _along_isochrones(mh, isochrones, rng):
    ages = rng.choice(list(_AGES), size=len(mh), p=list(_AGES.values()))
    available = np.unique(isochrones["mh"])
    nearest = available[np.abs(mh[:, None] - available).argmin(axis=1)]
    teff, logg = np.full(len(mh), np.nan), np.full(len(mh), np.nan)
    for age in _AGES:
        for metallicity in available:
            stars = np.flatnonzero((ages == age) & (nearest == metallicity))
            track = isochrones[(isochrones["log_age"] == age) & (isochrones["mh"] == metallicity)]
            track = track[10 ** track["log_teff"] > _LATE_B[0]]
            if not len(track) or not stars.size:
                continue
            mass = salpeter_masses(stars.size, track["initial_mass"].min(), track["initial_mass"].max(), rng)
            log_teff = np.interp(mass, track["initial_mass"], track["log_teff"])
            teff[stars] = 10 ** (log_teff + rng.normal(0, _SCATTER_LOG_TEFF, stars.size))
            logg[stars] = np.interp(mass, track["initial_mass"], track["logg"])
            logg[stars] += rng.normal(0, _SCATTER_LOGG, stars.size)
    labels = np.column_stack([teff, logg, mh])
    labels = labels[np.isfinite(teff)]
    if not len(labels):
        raise InputError(f"no isochrone is hotter than {_LATE_B[0]:.0f} K; use ages of 1 to 100 Myr")
    return labels


def _late_b(labels):
    teff, logg, mh = labels.T
    typical = (logg > 3.25) & (logg < 4.7) & (np.abs(mh + 0.25) < 0.25)
    return (teff > _LATE_B[0]) & (teff < _LATE_B[1]) & typical


def observing_conditions(n, instrument_name, rng):
    """Draw snr, rv [km/s], ebv [mag], ra, dec [deg] and mjd [d] of `n` stars of one instrument: a Table.

    They lie along the northern Milky Way.
    """
    table = Table()
    spread = np.exp(rng.normal(0, _SNR_SPREAD, n))
    table["snr"] = np.clip(_SNR_MEDIAN[instrument_name] * spread, *_SNR_RANGE)
    table["rv"] = rng.normal(-10, 35, n)
    table["ebv"] = np.minimum(rng.exponential(0.45, n), 2.5)
    # The Milky Way that LAMOST sees: Galactic longitudes of about 20 to 230 deg.
    table["ra"], table["dec"] = 0.0, -90.0
    while (south := np.flatnonzero(table["dec"] < _SOUTHERN_LIMIT)).size:
        longitude = rng.uniform(25, 225, south.size)
        latitude = np.clip(rng.laplace(0, 4, south.size), -30, 30)
        place = SkyCoord(longitude, latitude, unit=u.deg, frame="galactic").icrs
        table["ra"][south], table["dec"][south] = place.ra.deg, place.dec.deg
    table["mjd"] = rng.uniform(*{"LRS": (55_900, 58_000), "MRS": (58_000, 59_000)}[instrument_name], n)
    return table
