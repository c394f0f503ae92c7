"""What Gaia would say of simulated stars, some of which have an unseen companion."""

import numpy as np
from astropy.table import Column, Table

from slamlib.labelling.evolution import OWN_ERRORS, Evolution
from slamlib.labelling.luminosity import A_G, E_A_G, E_BC, E_COLOUR, SUN_MBOL, ZERO_POINT, unreddened

# Distances are drawn evenly in their logarithm between these [pc].
_DISTANCES = (150.0, 2500.0)
# Share of stars with a companion whose spectrum is not seen, of up to the same light.
_COMPANIONS = 0.3
# Error of a parallax [mas] up to G = 15, and of a magnitude [mag] (Gaia Collaboration 2021, A&A 649, A1).
_E_PARALLAX, _E_MAGNITUDE = 0.02, 0.003
# E(BP - RP) over E(B - V) (Wang & Chen 2019, ApJ 877, 116).
_EXCESS = 1.32


def observe(truth, rng):
    """Draw distances and companions, and observe with Gaia.

    The companion adds light and no lines: the survey's spectra are those of single stars. Stars scatter about
    isochrones, colours, bolometric corrections and the law of extinction as much as errors allow for. `truth`
    has ra, dec [deg], ebv and the true labels.

    Returns
    -------
    gaia : Table
        As `slamlib.labelling.luminosity.luminosities` takes it; magnitudes are NaN of stars that no
        isochrone has.
    stars : Table
        Row by row with `truth`: true ``log_l``, ``distance`` [pc] and ``ratio``, the companion's
        light over the star's.
    """
    n = len(truth)
    labels = np.stack([np.asarray(truth[name], dtype=float) for name in ("teff", "logg", "mh")], axis=1)
    mean, own = Evolution().estimate(labels, np.tile([50.0, 0.01, 0.01], (n, 1)))
    log_l = mean[:, 2] + own[:, 2] * rng.normal(size=n)
    distance = 10 ** rng.uniform(*np.log10(_DISTANCES), n)
    ratio = np.where(rng.random(n) < _COMPANIONS, rng.uniform(0, 1, n), 0)
    correction, colour = unreddened(labels[:, 0])
    correction, colour = correction + rng.normal(0, E_BC, n), colour + rng.normal(0, E_COLOUR, n)
    excess = _EXCESS * np.asarray(truth["ebv"], dtype=float)
    magnitude = SUN_MBOL - 2.5 * log_l - correction + 5 * np.log10(distance / 10)
    magnitude += rng.normal(A_G, E_A_G, n) * excess - 2.5 * np.log10(1 + ratio)
    error = _E_PARALLAX * 10 ** (0.2 * np.maximum(np.nan_to_num(magnitude) - 15, 0))
    gaia = Table({"source_id": 1 + np.arange(n), "ra": truth["ra"], "dec": truth["dec"]})
    gaia["parallax"] = 1000 / distance + ZERO_POINT + rng.normal(0, error)
    gaia["parallax_error"] = error
    gaia["phot_g_mean_mag"] = magnitude + rng.normal(0, _E_MAGNITUDE, n)
    gaia["bp_rp"] = colour + excess + rng.normal(0, _E_MAGNITUDE, n)
    gaia.meta["simulated"] = True
    stars = Table()
    stars["true_log_l"] = Column(log_l, description="true logarithm of the luminosity of the star [solar]")
    stars["true_distance"] = Column(distance, unit="pc", description="true distance")
    stars["ratio"] = Column(ratio, description="light of the companion over that of the star; 0 for none")
    return gaia, stars


def pulls_of_the_prior(n, e_teff, e_logg, coolest, rng):
    """Return pulls of log luminosity of stars that follow the prior of `Evolution`: constant star formation.

    Of solar metallicity, with Gaussian errors of Teff, in shares of it, and of log g. Of `n` stars above
    9,000 K those count whose observed Teff [K] is above `coolest`; their mean is 0 and their width 1.
    """
    evolution = Evolution()
    log_teff, logg, _, _, log_l, own, prior = evolution.stars[-1]
    weight = np.exp(prior - prior.max()) * (log_teff > np.log10(9000))
    some = rng.choice(weight.size, n, p=weight / weight.sum())
    scatter, noise = rng.normal(size=(3, n)), rng.normal(size=(2, n))
    teff = 10 ** (log_teff[some] + OWN_ERRORS[0] * scatter[0]) * (1 + e_teff * noise[0])
    logg = logg[some] + OWN_ERRORS[1] * scatter[1] + e_logg * noise[1]
    true = log_l[some] + own[some] * scatter[2]
    hot = teff > coolest
    labels = np.stack([teff, logg, np.full(n, evolution.mh[-1])], axis=1)[hot]
    mean, error = evolution.estimate(labels, labels * [e_teff, 0, 0] + [0, e_logg, 0.1])
    return (mean[:, 2] - true[hot]) / error[:, 2]
