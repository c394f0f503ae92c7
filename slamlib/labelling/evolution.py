"""Mass, age and luminosity of stars from their labels, by isochrones."""

import numpy as np
from scipy.interpolate import make_interp_spline

from slamlib.errors import InputError
from slamlib.io import embedded, read_ecsv

COLUMNS = ("mh", "log_age", "initial_mass", "log_teff", "logg", "log_l")
# Step of log age, and where stars are on an isochrone: mass over the largest of that age. Stars that have
# left the main sequence are within a few per cent of the latter.
_STEP = 0.02
_SHARES = np.concatenate([np.geomspace(0.005, 0.5, 120), 1 - np.geomspace(0.49, 1e-4, 120)])
# Errors of the isochrones themselves, in log Teff and log g; they also bridge the steps.
OWN_ERRORS = 0.005, 0.03
# Error of the logarithms half-way between two ages, for each dex between them (tests compare with eclipsing
# binaries). The largest star of the youngest isochrone is not near its end, so that equal shares are not
# equal stages there: the error is three times as large.
_BETWEEN, _YOUNGEST = 0.04, 3.0
# Exponent of the initial mass function (Salpeter 1955, ApJ 121, 161).
_SALPETER = 2.35
# Labels further than this [sigma^2] from every model star have no mass.
_APART = 9.0
_NEVER = 1e3  # of the logarithm of a prior
# Label of CMD's exports for stars that have left the asymptotic giant branch.
_REMNANT = 9


class Evolution:
    """Model stars on and between isochrones, and the posterior of a star among them.

    Between two ages, stars of the same share of the largest mass alive are interpolated: they are in about
    the same stage. The embedded isochrones have 1, 10 and 100 Myr and [M/H] of -1 and 0 alone, so that this
    adds to the errors, most of all for stars younger than 10 Myr, and stars older than 100 Myr have no mass;
    `slamlib fetch isochrones` converts a finer set. Stars before the main sequence are left out.

    `isochrones` is a Table with `COLUMNS`, `parsec_isochrones.ecsv` by default. InputError if it has fewer
    than three ages, or an age lacks a metallicity.
    """

    def __init__(self, isochrones=None):
        table = read_ecsv(embedded("parsec_isochrones.ecsv")) if isochrones is None else isochrones
        if missing := [name for name in COLUMNS if name not in table.colnames]:
            raise InputError(f"the isochrones lack {', '.join(missing)}; see `slamlib fetch isochrones`")
        if "phase" in table.colnames:
            # A remnant's gravity would be taken for that of the zero-age main sequence.
            table = table[np.asarray(table["phase"]) < _REMNANT]
        mh, ages, mass, *values = (np.asarray(table[name], dtype=float) for name in COLUMNS)
        self.mh, known = np.unique(mh), np.unique(ages)
        if known.size < 3:
            raise InputError(f"isochrones of {known.size} ages; at least three are needed")
        (largest, zero_age), points = np.empty((2, self.mh.size, known.size)), []
        for i, one in enumerate(self.mh):
            for j, age in enumerate(known):
                rows = np.flatnonzero((mh == one) & (ages == age))
                if rows.size < 2:
                    raise InputError(f"no isochrone of [M/H] {one:g} and log age {age:g}; export a full grid")
                rows = rows[np.argsort(mass[rows], kind="stable")]
                largest[i, j] = np.log10(mass[rows[-1]])
                # Gravity rises with mass before the main sequence, and falls on it.
                zero_age[i, j] = np.log10(mass[rows[values[1][rows].argmax()]])
                share = mass[rows] / mass[rows[-1]]
                points.append([np.interp(_SHARES, share, value[rows]) for value in values])
        points = np.reshape(points, (self.mh.size, known.size, len(values), _SHARES.size))
        log_age = np.arange(known[0], known[-1] + _STEP / 2, _STEP)
        between = make_interp_spline(known, points, k=1, axis=1)(log_age)
        # The lifetime is a bent function of mass.
        largest = make_interp_spline(known, largest, k=2, axis=1)(log_age)
        zero_age = make_interp_spline(known, zero_age, k=1, axis=1)(log_age)
        log_mass = largest[..., None] + np.log10(_SHARES)
        widths = np.gradient(10**log_mass, axis=-1)
        prior = np.log(widths) + np.log(10) * (log_age[:, None] - _SALPETER * log_mass)
        prior[log_mass < zero_age[..., None]] = -_NEVER
        gap = np.clip(np.searchsorted(known, log_age, "right") - 1, 0, known.size - 2)
        width = np.diff(known)[gap]
        part = (log_age - known[gap]) / width
        own = _BETWEEN * 4 * part * (1 - part) * width * np.where(gap == 0, _YOUNGEST, 1)
        log_age, own = (np.broadcast_to(values[:, None], log_mass.shape) for values in (log_age, own))
        teff, logg, log_l = np.moveaxis(between, 2, 0)
        # (n_mh, 7, n): what is interpolated between metallicities.
        stars = np.stack([teff, logg, log_mass, log_age, log_l, own, prior], axis=1)
        self.stars = stars.reshape(self.mh.size, len(stars[0]), -1)

    def estimate(self, labels, errors):
        """Find the stars that labels are of.

        The posterior of the model stars that are formed at a constant rate with the masses of
        Salpeter, given Teff and log g; [M/H] is taken as it is, within the range of the isochrones.

        Parameters
        ----------
        labels, errors : array_like, (m, 3)
            Teff [K], log g, [M/H].

        Returns
        -------
        mean, error : ndarray, (m, 3)
            Log mass [solar], log age [yr] and log luminosity [solar], and their standard
            deviations; NaN where no model star is within 3 sigma.
        """
        labels, errors = (np.atleast_2d(np.asarray(part, dtype=float)) for part in (labels, errors))
        mean, error = np.full((2, len(labels), 3), np.nan)
        for i, ((teff, logg, mh), (e_teff, e_logg, _)) in enumerate(zip(labels, errors, strict=True)):
            if not np.isfinite([teff, logg, mh, e_teff, e_logg]).all():
                continue
            place = np.interp(mh, self.mh, np.arange(self.mh.size))
            lower = min(int(place), max(self.mh.size - 2, 0))
            upper = min(lower + 1, self.mh.size - 1)
            own_teff, own_logg, *values, prior = self.stars[lower] + (place - lower) * (
                self.stars[upper] - self.stars[lower]
            )
            sigma = np.hypot([e_teff / teff / np.log(10), e_logg], OWN_ERRORS)
            off = ((own_teff - np.log10(teff)) / sigma[0]) ** 2 + ((own_logg - logg) / sigma[1]) ** 2
            if off[prior > -_NEVER / 2].min() > _APART:
                continue
            weight = prior - off / 2
            weight = np.exp(weight - weight.max())
            *mean[i], between = np.average(values, axis=1, weights=weight)
            variance = np.average((np.array(values[:3]) - mean[i][:, None]) ** 2, axis=1, weights=weight)
            error[i] = np.sqrt(variance + between**2)
        return mean, error
