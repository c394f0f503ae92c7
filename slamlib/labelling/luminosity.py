"""Luminosities from Gaia's parallaxes beside those that labels imply: mass, age, distance, companions."""

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Column, Table, hstack

from slamlib.errors import InputError
from slamlib.labelling.evolution import Evolution

# Our names of what Gaia says, and those of the archive, of VizieR and of CDS's cross-match.
GAIA = {
    "ra_gaia": ("ra", "RA_ICRS", "RAdeg"),
    "dec_gaia": ("dec", "DE_ICRS", "DEdeg"),
    "source_id": ("source_id", "Source"),
    "parallax": ("parallax", "Plx"),
    "e_parallax": ("parallax_error", "e_Plx"),
    "gmag": ("phot_g_mean_mag", "Gmag"),
    "bp_rp": ("bp_rp", "BP-RP"),
}
VIZIER = "vizier:I/355/gaiadr3"
# Largest distance of a star from its entry in Gaia [arcsec].
RADIUS = 2.0
# Teff [K], bolometric correction in V and B - V of unreddened dwarfs: Pecaut & Mamajek (2013, ApJS 208, 9),
# version of 2024.05.15. Among them G - V is 0.01 and, where it is known, BP - RP = 1.19 (B - V) - 0.037.
_ROWS = [(8840, -0.07, 0.070), (9700, -0.21, 0.000), (10700, -0.42, -0.070), (12300, -0.73, -0.109)]
_ROWS += [(14000, -1.05, -0.128), (15700, -1.34, -0.156), (18500, -1.77, -0.198), (20600, -2.03, -0.215)]
_ROWS += [(24500, -2.44, -0.252), (26000, -2.58, -0.278), (29000, -2.83, -0.289), (31400, -2.99, -0.301)]
_ROWS += [(33300, -3.11, -0.312), (37900, -3.41, -0.318), (41400, -3.76, -0.323), (45900, -4.01, -0.330)]
_DWARFS = np.transpose(_ROWS)
_G_V, _BP_RP = 0.01, (-0.037, 1.19)
# Extinction in G over the excess of BP - RP (Wang & Chen 2019, ApJ 877, 116), and its scatter with the dust.
A_G, E_A_G = 1.89, 0.1
# Errors of unreddened colours and of bolometric corrections [mag].
E_COLOUR, E_BC = 0.03, 0.06
# Median parallax of quasars (Lindegren et al. 2021, A&A 649, A4) [mas].
ZERO_POINT = -0.017
SUN_MBOL = 4.74
# A parallax of fewer standard errors gives no luminosity; so many part two luminosities.
_LEAST_PARALLAX, _TENSION = 4.0, 3.0
_COLUMNS = (
    ("mass", u.solMass, "initial mass, by isochrones"),
    ("e_mass", u.solMass, "standard error of mass"),
    ("log_age", u.dex(u.yr), "logarithm of the age, by isochrones"),
    ("e_log_age", u.dex, "standard error of log_age"),
    ("log_l", u.dex(u.solLum), "logarithm of the luminosity that the labels imply, by isochrones"),
    ("e_log_l", u.dex, "standard error of log_l"),
    ("a_g", u.mag, "extinction in G, by the excess of BP - RP"),
    ("e_a_g", u.mag, "standard error of a_g"),
    ("log_l_plx", u.dex(u.solLum), "logarithm of the luminosity by the parallax"),
    ("e_log_l_plx", u.dex, "standard error of log_l_plx"),
    ("distance", u.pc, "distance that the labels imply"),
    ("e_distance", u.pc, "standard error of distance"),
    ("tension", None, "log_l_plx less log_l, in standard errors"),
)


def luminosities(table: Table, gaia: Table, isochrones: Table | None = None, radius: float = RADIUS) -> Table:
    """Set the luminosities of stars by their parallaxes beside those that their labels imply.

    Parameters
    ----------
    table : Table
        With ra and dec [deg], teff [K], logg, mh and their errors, as `slamlib.label` gives it.
    gaia : Table
        With the columns of Gaia's archive or of VizieR: `GAIA`.
    isochrones : Table, optional
        As `Evolution` takes it.
    radius : float
        The nearest entry within so many arcsec is the star.

    Returns
    -------
    Table
        The `table` and, beside it, what Gaia says, `mass`, `log_age`, `log_l` by the labels, the
        extinction ``a_g``, ``log_l_plx`` by the parallax, the `distance` that the labels imply,
        their errors, the `tension` of both luminosities and ``company``: "too bright" where the
        parallax asks for more light than one star of these labels gives by 3 standard errors,
        "too faint" where for less. NaN where anything that is needed is missing. Columns of these names that
        the `table` had are replaced.

    Raises
    ------
    InputError
        If a column is missing.
    """
    needed = [name for label in ("teff", "logg", "mh") for name in (label, f"e_{label}")]
    _check(table, ("ra", "dec", *needed))
    matched = _matched(table, gaia, radius)
    teff, e_teff, logg, e_logg, mh, e_mh = (_floats(table[name]) for name in needed)
    plx, e_plx, gmag, bp_rp = (np.asarray(matched[n]) for n in ("parallax", "e_parallax", "gmag", "bp_rp"))
    errors = np.stack([e_teff, e_logg, e_mh], axis=1)
    mean, error = Evolution(isochrones).estimate(np.stack([teff, logg, mh], axis=1), errors)
    log_l, e_log_l = mean[:, 2], error[:, 2]
    correction, colour = unreddened(teff)
    a_g = A_G * (bp_rp - colour)
    e_a_g = np.hypot(A_G * E_COLOUR, E_A_G * (bp_rp - colour))
    e_magnitude = np.hypot(e_a_g, E_BC)
    # Absolute bolometric magnitude at 10 pc: distance in pc is 1000 / parallax.
    bolometric = gmag - a_g + correction
    plx = np.where(plx - ZERO_POINT > _LEAST_PARALLAX * e_plx, plx - ZERO_POINT, np.nan)
    modulus, e_modulus = 10 - 5 * np.log10(plx), 5 / np.log(10) * e_plx / plx
    log_l_plx = 0.4 * (SUN_MBOL - bolometric + modulus)
    e_log_l_plx = 0.4 * np.hypot(e_modulus, e_magnitude)
    distance = 10 ** (0.2 * (bolometric - SUN_MBOL) + 0.5 * log_l + 1)
    e_distance = distance * np.log(10) * np.hypot(0.2 * e_magnitude, 0.5 * e_log_l)
    tension = (log_l_plx - log_l) / np.hypot(e_log_l, e_log_l_plx)
    mass, e_mass = 10 ** mean[:, 0], np.log(10) * 10 ** mean[:, 0] * error[:, 0]
    values = [mass, e_mass, mean[:, 1], error[:, 1], log_l, e_log_l, a_g, e_a_g]
    values += [log_l_plx, e_log_l_plx, distance, e_distance, tension]
    for (name, unit, about), column in zip(_COLUMNS, values, strict=True):
        matched[name] = Column(column, unit=unit, description=about)
    company = np.select([tension > _TENSION, tension < -_TENSION], ["too bright", "too faint"], "")
    matched["company"] = Column(company, description="for one star of these labels, by 3 standard errors")
    # A table that has been here before has these columns already.
    rest = table[[name for name in table.colnames if name not in matched.colnames]]
    return hstack([rest, matched], metadata_conflicts="silent")


def _check(table, needed):
    if missing := [name for name in needed if name not in table.colnames]:
        raise InputError(f"the labels lack {', '.join(missing)}; give a table of `slamlib label`")


def unreddened(teff):
    """Bolometric correction in G and intrinsic BP - RP [mag] at Teff [K]; NaN outside 8,840 to 55,000 K.

    Above 45,900 K both go on as below.

    Examples
    --------
    >>> [round(float(value), 2) for value in unreddened(20600)]
    [-2.04, -0.29]
    """
    log_teff, known = np.log10(teff), np.log10(_DWARFS[0])
    usable = (log_teff >= known[0]) & (log_teff <= np.log10(55_000))
    bc_v, b_v = (np.interp(log_teff, known, values) for values in _DWARFS[1:])
    beyond = np.maximum(log_teff - known[-1], 0)
    bc_v = bc_v + beyond * np.diff(_DWARFS[1])[-1] / np.diff(known)[-1]
    colour = _BP_RP[0] + _BP_RP[1] * b_v
    return np.where(usable, bc_v - _G_V, np.nan), np.where(usable, colour, np.nan)


def _matched(table, gaia, radius):
    """Return the columns of Gaia for each row, NaN (and 0 for source_id) where there is no entry."""
    names = {}
    for ours, known in GAIA.items():
        found = [name for name in known if name in gaia.colnames]
        if not found:
            raise InputError(f"the Gaia table lacks {' or '.join(known)}; it has {', '.join(gaia.colnames)}")
        names[ours] = found[0]
    place = np.stack([_floats(table[name]) for name in ("ra", "dec")])
    theirs = np.stack([_floats(gaia[names[name]]) for name in ("ra_gaia", "dec_gaia")])
    # What has no place is neither a star of ours nor an entry.
    placed = np.flatnonzero(np.isfinite(place).all(axis=0))
    known = np.isfinite(theirs).all(axis=0)
    gaia, theirs = gaia[known], theirs[:, known]
    entry = np.full(len(table), -1)
    if placed.size and len(gaia):
        stars = SkyCoord(*place[:, placed], unit="deg")
        nearest, apart, _ = stars.match_to_catalog_sky(SkyCoord(*theirs, unit="deg"))
        entry[placed] = np.where(apart.arcsec <= radius, nearest, -1)
    matched, there = Table(), entry >= 0
    ids = np.zeros(len(table), dtype=np.int64)
    ids[there] = np.asarray(gaia[names["source_id"]])[entry[there]]
    matched["source_id"] = Column(ids, description="of Gaia; 0 if there is none")
    about = {
        "parallax": (u.mas, "parallax by Gaia"),
        "e_parallax": (u.mas, "standard error of parallax"),
        "gmag": (u.mag, "Gaia's G"),
        "bp_rp": (u.mag, "Gaia's BP - RP"),
    }
    for name, (unit, description) in about.items():
        values = np.full(len(table), np.nan)
        values[there] = _floats(gaia[names[name]])[entry[there]]
        matched[name] = Column(values, unit=unit, description=description)
    return matched


def _floats(column):
    """Return the numbers of a column, NaN where it is masked."""
    return np.ma.filled(np.ma.asarray(column, dtype=float), np.nan)


def fetch_gaia(table: Table, radius: float = RADIUS) -> Table:
    """Ask CDS's cross-match service for the entries of Gaia DR3 within `radius` [arcsec] of stars.

    `table` has their ra and dec [deg]. InputError if these are missing, astroquery is not installed, or the
    service does not answer.
    """
    _check(table, ("ra", "dec"))
    try:
        from astroquery.xmatch import XMatch
    except ModuleNotFoundError:
        raise InputError(
            "astroquery is not installed: pip install 'slamlib[gaia]', or give a file of Gaia's columns"
        ) from None
    known = np.isfinite(table["ra"]) & np.isfinite(table["dec"])
    # Names that are not Gaia's.
    places = Table([table["ra"][known], table["dec"][known]], names=["our_ra", "our_dec"])
    try:
        columns = {"colRA1": "our_ra", "colDec1": "our_dec"}
        return XMatch.query(cat1=places, cat2=VIZIER, max_distance=radius * u.arcsec, **columns)
    except Exception as error:  # of the network, of many kinds
        raise InputError(f"no cross-match ({error}); give a file with the columns of Gaia") from error
