"""What v sin i means when lines are not only widened by rotation.

Lines widen with the square of v sin i, and so they do with those of macroturbulence and of the instrument's
profile, which differ from star to star and which no fit can tell from slow rotation. So all is done with the
square: it is freed of what the others add on average, and their scatter is added to its error.
"""

import numpy as np

from slamlib.inference.solve import inverse

# One-sided 95% of a normal distribution: v sin i is measured where the square is so many of its errors above
# zero, and has an upper limit, so many above the square, elsewhere.
_ONE_SIDED = 1.645
# The least v sin i [km/s] at which the lines' width has a derivative to speak of.
_SLOW = 20.0
# The error of the square is that at the limit itself, which takes some steps to find.
_LIMIT_STEPS = 3


def measured_blur(found, error, true):
    """Mean and scatter [km^2 / s^2] of what else than rotation adds to the square of v sin i, (2,).

    `found`, `error` and `true` (m,) are v sin i of stars [km/s], as fitted, its standard error, and as it is;
    the scatter is what the errors do not account for.
    """
    added = np.square(found) - np.square(true)
    low, median, high = np.percentile(added, [15.87, 50, 84.13])
    known = np.median(np.square(2 * np.asarray(found) * error))
    # Lines narrower than those of the models are an error of the models: to take off a negative square
    # would make stars without rotation rotate.
    return np.array([max(median, 0.0), np.sqrt(max(((high - low) / 2) ** 2 - known, 0.0))])


def remove_extra_broadening(speed, error, blur):
    """Return v sin i and its error, freed of `blur` (2,) or (m, 2), from those of the fit [km/s].

    Examples
    --------
    >>> speed, error = remove_extra_broadening(np.array([13.0, 200.0]), np.array([1.0, 1.0]), (100.0, 100.0))
    >>> speed.round(1), error.round(1)
    (array([  8.3, 199.7]), array([6.2, 1. ]))
    """
    added, scatter = np.transpose(blur)
    square = np.maximum(np.square(speed) - added, 0)
    width = np.hypot(2 * speed * error, scatter)
    freed = np.sqrt(square)
    # Near zero the square alone has a normal error.
    widened = np.divide(
        width, 2 * np.maximum(freed, np.sqrt(width) / 2), out=np.zeros_like(width), where=width > 0
    )
    return freed, np.maximum(error, widened)


def with_scatter(speed, error, limit, scatter):
    """Return error and upper limit of v sin i with a further scatter of its square.

    Parameters
    ----------
    speed, error, limit : ndarray, (m,)
        As the fit has them [km/s]; limit NaN where v sin i is measured.
    scatter : float
        [km^2 / s^2].

    Examples
    --------
    >>> speed, error = np.array([30.0, 200.0]), np.array([5.0, 5.0])
    >>> error, limit = with_scatter(speed, error, np.array([np.nan, np.nan]), 9000.0)
    >>> error.round(1), limit.round(0)
    (array([94.9, 23. ]), array([125.,  nan]))
    """
    square, width = np.square(speed), np.hypot(2 * speed * error, scatter)
    error = remove_extra_broadening(speed, error, (0.0, scatter))[1]
    new = np.sqrt(square + _ONE_SIDED * width)
    return error, np.where(square < _ONE_SIDED * width, np.fmax(limit, new), limit)


def vsini_limit(likelihood, z, error, inflation, blur):
    """Return the upper limit of v sin i [km/s] where it is not measured, NaN elsewhere, (m,).

    `z` (m, d) are the standardised labels of the fit, `error` (m,) its standard error of v sin i [km/s],
    `inflation` (m,) what errors are multiplied by, `blur` (2,) or (m, 2) as `measured_blur` gives it.
    """
    slam = likelihood.slam
    column = slam.rotation
    scale, mean = slam.label_scale_[column], slam.label_mean_[column]
    added, scatter = np.broadcast_to(blur, (len(z), 2)).T
    limit = np.full(len(z), np.nan)
    v = mean + scale * z[:, column]
    square = np.maximum(np.square(v) - added, 0)
    near = square < _ONE_SIDED * inflation * np.hypot(2 * v * error, scatter)
    slow = np.flatnonzero(near | (v < _SLOW))
    if slow.size:
        some, at, square, inflation = likelihood[slow], z[slow].copy(), square[slow], inflation[slow]
        added, scatter = added[slow], scatter[slow]

        def width(speed):
            speed = np.maximum(speed, _SLOW)
            at[:, column] = (speed - mean) / scale
            spread = np.sqrt(inverse(some.evaluate(at)[2])[:, column, column])
            return inflation * np.hypot(2 * speed * spread * scale, scatter)

        found = width(v[slow])
        unresolved = square < _ONE_SIDED * found
        # Where noise makes a star look slow, the error at its own speed is too small.
        for _ in range(_LIMIT_STEPS):
            found = width(np.sqrt(np.maximum(square + _ONE_SIDED * found + added, 0)))
        limit[slow[unresolved]] = np.sqrt(square + _ONE_SIDED * found)[unresolved]
    return limit
