"""Is a spectrum that of two stars? The gain in chi-square of a second star at another velocity.

A second star of share f of the light changes a spectrum by f times the difference of the two
stars' spectra. For each template and velocity that f is found in one linear step, while the labels
and the velocity of the first star, and all shared errors of the pixels, are free: what an error
of the models explains is no companion. Where the gain is large, both stars are fitted; so are two like
stars, wherever one rotates fast enough to be two.
"""

import numpy as np

from slamlib.inference.infer import default_bounds
from slamlib.inference.minimise import minimise
from slamlib.instruments import C_KMS

# Templates of the second star: Teff [K] as far as the model knows them; log g, v sin i [km/s].
_TEFF, _OTHERS = (10_500.0, 15_500.0, 20_000.0, 27_000.0), {"logg": 4.0, "mh": 0.0, "vsini": 80.0}
# Velocities of the second star: up to this [km/s], in steps of this share of the instrument's FWHM.
_FASTEST, _STEP = 400.0, 0.6
# Least flux ratio: real stars differ from models by as much as a fainter companion changes them.
FAINTEST = 0.1
_SHARES = FAINTEST / (1 + FAINTEST), 1 / (1 + FAINTEST)
# Two like stars whose lines are blended look like one that rotates faster: the variance of the lines is the
# same if each rotates half as fast and moves with this part of that speed. Such a pair is tried where its
# velocities are further from the middle than this, in units of the FWHM; the second star has this share.
_BLENDED, _APART, _EVEN = 0.4, 0.2, 0.45
# Gain from which on two stars are fitted, and the steps of that fit: the first, and at most.
_WORTH, _FIRST, _STEPS = 4.0, 4, 16
# Prior precision of what is free: next to nothing.
_FREE = 1e-4


class Pair:
    """Spectra of two stars, as `Likelihood` takes them from a `Slam`.

    Parameters are the standardised labels of both, their velocities in units of the instrument's
    FWHM, and the second's share of the light: (m, 2 d + 3).
    """

    def __init__(self, slam, instrument):
        self.slam, self.wave, self.unit = slam, instrument.wave, C_KMS / instrument.effective_resolution
        self.flux_scale_, self.flux_mean_ = slam.flux_scale_, slam.flux_mean_
        self.model_variance_, self.d = slam.model_variance_, len(slam.names)
        reach = np.full(2, _FASTEST / self.unit)
        labels = slam.to_standard(default_bounds(slam))
        ends = zip(labels, (-reach, reach), _SHARES, strict=True)
        self.bounds = np.array([[*label, *label, *speed, share] for label, speed, share in ends])

    def prior(self):
        """Mean and inverse variance: the second star is one of the grid, velocities are within reach."""
        expected, precision = self.slam.prior()
        slow = np.full(2, (2 * self.unit / _FASTEST) ** 2)
        return np.r_[expected, np.zeros(self.d + 3)], np.r_[precision, np.ones(self.d), slow, 0]

    def predict_standardised(self, z, gradient=False):
        """As that of a `Slam`."""
        d, share = self.d, z[:, -1, None].astype(np.float32)
        stars, slopes = [], []
        of_both = self.slam.predict_standardised(z[:, : 2 * d].reshape(-1, d), gradient)
        for i, light in enumerate((1 - share, share)):
            velocity = z[:, 2 * d + i] * self.unit
            stars.append(self.shifted(of_both[0][i::2, None], velocity)[:, 0])
            if gradient:
                slope = self.shifted(of_both[1][i::2], velocity, change=True)
                slopes.append(
                    light[..., None] * np.append(slope, self.with_velocity(stars[i])[:, None], axis=1)
                )
        value = (1 - share) * stars[0] + share * stars[1]
        if not gradient:
            return value, None
        of_labels, of_velocities = [s[:, :-1] for s in slopes], [s[:, -1:] for s in slopes]
        return value, np.concatenate([*of_labels, *of_velocities, (stars[1] - stars[0])[:, None]], axis=1)

    def shifted(self, values, velocity, change=False):
        """Standardised spectra, or a `change` of such, (m, k, n_pix) of receding stars (m,) [km/s]."""
        depth = values * self.flux_scale_
        if not change:
            depth += self.flux_mean_
        for star, v in zip(depth, velocity, strict=True):
            at = np.interp(self.wave / (1 + v / C_KMS), self.wave, np.arange(self.wave.size))
            left = np.minimum(at.astype(int), self.wave.size - 2)
            part = (at - left).astype(np.float32)
            before = star.take(left, axis=1)
            star[:] = before + part * (star.take(left + 1, axis=1) - before)
        return ((depth if change else depth - self.flux_mean_) / self.flux_scale_).astype(np.float32)

    def with_velocity(self, value):
        """Differentiate standardised spectra (m, n_pix) by velocity."""
        slope = np.gradient(value * self.flux_scale_ + self.flux_mean_, self.wave, axis=1)
        return (-slope * self.wave * self.unit / C_KMS / self.flux_scale_).astype(np.float32)


class SecondStar:
    """What a second star would gain, and what it is like: a measure for `slamlib.inference.fitted.at_fits`.

    For spectra labelled as single stars it gives six columns: by how much a second star of at least a tenth
    of the first's flux lowers chi-square; the flux of the fainter star over that of the brighter one; the
    velocities of the brighter and the fainter one from rest [km/s], all three NaN unless two stars gain more
    than 4; the velocity of the last arm minus that of the first, and its error [km/s], NaN for one arm.
    """

    width = 6

    def __init__(self, slam, instrument):
        self.pair, self.arms = Pair(slam, instrument), instrument.arm_slices
        low, high = slam.training_labels_.min(axis=0), slam.training_labels_.max(axis=0)
        teff = slam.names.index("teff")
        known = [t for t in _TEFF if low[teff] <= t <= high[teff]] or [(low + high)[teff] / 2]
        labels = np.tile((low + high) / 2, (len(known), 1))
        for name, value in ({"teff": known} | _OTHERS).items():
            if name in slam.names:
                labels[:, slam.names.index(name)] = value
        z = slam.to_standard(np.clip(labels, low, high))
        spectra = slam.predict_standardised(z)[0][:, None]
        steps = np.arange(1, int(_FASTEST / self.pair.unit / _STEP) + 1) * _STEP
        steps = np.r_[-steps, steps]
        at = [self.pair.shifted(spectra, np.full(len(z), v * self.pair.unit))[:, 0] for v in steps]
        self.spectra, self.labels = np.concatenate(at), np.tile(z, (len(steps), 1))
        self.velocities = np.repeat(steps, len(z))

    def __call__(self, likelihood, z):
        """Return the columns (m, 6) at standardised labels (m, d)."""
        linear = self._linear(likelihood, z)
        found = np.full((len(z), self.width), np.nan)
        found[:, 0], found[:, 4:] = -np.inf, linear["arms"]
        alone = likelihood.evaluate(z)[0] - linear["alone"]
        best, still = linear["best"], np.zeros(len(z))
        start = z, self.labels[best], still, self.velocities[best], linear["share"]
        self._fit_both(found, likelihood, alone, linear["gain"] > _WORTH, start)
        if self.pair.slam.rotation is not None:
            alike, speed = self._alike(z)
            start = alike, alike, speed, -speed, still + _EVEN
            self._fit_both(found, likelihood, alone, speed > _APART, start)
        found[:, 0] = np.maximum(found[:, 0], linear["gain"])
        return found

    def _fit_both(self, found, likelihood, alone, rows, start):
        """Fit two stars to `rows` (m,) from a `start`, and keep in `found` what gains more than before.

        `alone` (m,) is the chi-square of one star at any velocity.
        """
        rows, begin = np.flatnonzero(rows), np.clip(np.column_stack(start), *self.pair.bounds)
        # A few steps tell most single stars.
        for steps in (_FIRST, _STEPS):
            if not rows.size:
                return
            end = minimise(likelihood[rows].of(self.pair), begin[rows], self.pair.bounds, steps)
            gain, begin[rows] = alone[rows] - end.chi2, end.z
            worth = gain > _WORTH
            rows, gain, end = rows[worth], gain[worth], end[worth]
        share, velocities = end.z[:, -1], end.z[:, -3:-1] * self.pair.unit
        fainter = np.minimum(share, 1 - share)
        ordered = np.where(share[:, None] > 0.5, velocities[:, ::-1], velocities)
        both = np.column_stack([gain, fainter / (1 - fainter), ordered])
        more = gain > found[rows, 0]
        found[rows[more], :4] = both[more]

    def _alike(self, z):
        """Labels (m, d) of a star that rotates half as fast, and how fast two such move to look like one."""
        slam, alike = self.pair.slam, z.copy()
        mean, scale = (part[slam.rotation] for part in (slam.label_mean_, slam.label_scale_))
        speed = mean + scale * z[:, slam.rotation]
        alike[:, slam.rotation] = (speed / 2 - mean) / scale
        return alike, _BLENDED * speed / self.pair.unit

    def _linear(self, likelihood, z):
        """Largest gain of each star, of which template and share; what free velocities gain alone; arms."""
        value, slope = likelihood.slam.predict_standardised(z, gradient=True)
        moved = self.pair.with_velocity(value)
        free = [slope]
        for arm in self.arms:
            free.append(np.zeros_like(moved)[:, None])
            free[-1][:, 0, arm] = moved[:, arm]
        free.append((likelihood.target - value)[:, None])
        free = np.concatenate(free, axis=1)
        columns = {name: np.empty(len(z)) for name in ("gain", "share", "alone")}
        columns |= {"best": np.empty(len(z), int), "arms": np.full((len(z), 2), np.nan)}
        for i, weight in enumerate(likelihood.weight):
            # Changes of the spectrum by a second star of all the light, and what else may change it.
            change = self.spectra - value[i]
            weighted, fixed = change * weight, free[i] * weight
            square = np.vecdot(weighted, change).astype(float)
            cross, own = (weighted @ free[i].T).astype(float), (fixed @ free[i].T).astype(float)
            whiten = likelihood.root[i].T
            onto = weighted @ likelihood.shared.T @ whiten
            fixed = (fixed @ likelihood.shared.T @ whiten).astype(float)
            square, cross = square - np.vecdot(onto, onto), cross - onto @ fixed.T
            own -= fixed @ fixed.T
            inner = np.linalg.inv(own[:-1, :-1] + _FREE * np.eye(len(own) - 1))
            step = inner @ own[:-1, -1]
            square -= np.vecdot(cross[:, :-1] @ inner, cross[:, :-1])
            pull = cross[:, -1] - cross[:, :-1] @ step
            share = np.clip(pull / np.maximum(square, _FREE), *_SHARES)
            gain = 2 * share * pull - share**2 * square
            best = gain.argmax()
            columns["gain"][i], columns["best"][i], columns["share"][i] = gain[best], best, share[best]
            columns["alone"][i] = own[:-1, -1] @ step
            if len(self.arms) > 1:
                ends = np.zeros(len(step))
                ends[[-1, -len(self.arms)]] = 1, -1
                columns["arms"][i] = self.pair.unit * np.array([ends @ step, np.sqrt(ends @ inner @ ends)])
        return columns
