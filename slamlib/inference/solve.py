"""The labels of a few stars: every minimum that may be the deepest, without outlying pixels."""

import numpy as np

from slamlib.inference.minimise import NEAR, NEARLY, ROUGH, distance, minimise

# An error of 10,000 standard deviations of the training labels means "unknown".
LEAST_INFORMATION = 1e-8
# Hot and cool solutions compete: the search begins in each of overlapping windows of Teff, whose
# ends are in this ratio, and leaves those that after the first steps are at their ends, or whose chi-square
# is worse by this factor.
_WINDOW, _FIRST, _HOPELESS = 1.5, 3, 1.5
# So many minima are refined without outlying pixels, if their capped cost exceeds the least by no
# more than this share or this amount.
_REFINED, _SHARE, _AMOUNT = 3, 0.3, 50.0
# Two minima are rivals if their costs, over the reduced chi-square, differ by less and they lie
# further apart [sigma^2].
_RIVAL = 9.0
# Pixels further from a fit than this are outlying, if the caller does not say.
_SIGMAS = 5.0
# A star whose cost a pixel is larger is searched once more, in every window, rejecting as the search goes.
_TROUBLED, _ROBUST = 1.5, 3
# Times that outlying pixels are rejected and the fit taken up again.
_REJECTIONS = 5
# A fit without more than this share of the pixels is no fit; ordinary spectra lose up to 0.04.
_MOST_REJECTED = 0.1


def solve(likelihood, near, start_labels, bounds, max_steps, starts, reject=None):
    """Find the minimum of least cost: chi-square, and what a pixel at the limit adds for each rejected.

    Emission or a cosmic ray may make a wrong minimum the deepest one as long as all pixels count, so minima
    are compared after rejection.

    `near` (m, k) is the chi-square of m stars with k templates of labels `start_labels` (k, d); `bounds` (2,
    d) are standardised. With 1 of `starts` the search begins at the nearest template alone, with more at the
    nearest in each window of Teff. Pixels further than `reject` standard deviations from the fit are
    outlying. Returns a `Minimum`, and the likelihood without them.
    """
    sigmas = reject or _SIGMAS
    start = np.clip(likelihood.slam.to_standard(start_labels[near.argmin(axis=1)]), *bounds)
    search = likelihood.reduced(start)
    if starts == 1:
        start = minimise(search, start, bounds, max_steps).z
        return _refine(likelihood, search, start, bounds, max_steps, reject)
    first, *others = _minima(likelihood, search.coarse(), near, start_labels, bounds, max_steps, sigmas)
    found, kept = _refine(likelihood, search, first, bounds, max_steps, reject)
    ends, costs = [found.z.copy()], [_cost(found, likelihood, kept, sigmas)]
    if reject:
        troubled = costs[0] > _TROUBLED * likelihood.n_pix
        others.append(_robust(likelihood, search, troubled, near, start_labels, bounds, reject))
    for z in others:
        rows = np.flatnonzero(np.isfinite(z).all(axis=1))
        if not rows.size:
            continue
        part = likelihood[rows]
        other, without = _refine(part, search[rows], z[rows], bounds, max_steps, reject)
        cost = np.full(len(likelihood), np.inf)
        cost[rows] = _cost(other, part, without, sigmas)
        won = cost[rows] < np.min(costs, axis=0)[rows]
        ends.append(found.z.copy())
        ends[-1][rows] = other.z
        costs.append(cost)
        found.replace(rows[won], other[won])
        kept = kept.replaced(rows[won], without[won])
    least = _RIVAL * np.maximum(found.chi2 / np.maximum(kept.n_pix - first.shape[1], 1), 1)
    apart = distance(found.hessian, np.array(ends) - found.z) > least
    found.rival[:] = (apart & (costs < np.min(costs, axis=0) + least)).any(axis=0)
    return found, kept


def _minima(likelihood, search, near, start_labels, bounds, max_steps, sigmas):
    """Return the minima worth refining, by capped cost: (c, m, d), NaN where there is no other."""
    column = likelihood.slam.names.index("teff")
    boxes, starts = _starts(likelihood.slam, near, start_labels, bounds)
    ended = [minimise(search, start, box, _FIRST) for box, start in zip(boxes, starts, strict=True)]
    found, cost = np.array([end.z for end in ended]), np.array([end.chi2 for end in ended])
    # The end of a window is no minimum, unless it is the end of all.
    ends = np.array([np.where(box == bounds, np.nan, box)[:, column] for box in boxes])[..., None]
    at_end = (found[..., column][:, None] == ends).any(axis=1)
    worth = (cost < _HOPELESS * cost.min(axis=0) + _AMOUNT) & (~at_end | (cost == cost.min(axis=0)))
    for i, box in enumerate(boxes):
        rows = np.flatnonzero(worth[i])
        if rows.size:
            found[i, rows] = minimise(search[rows], found[i, rows], box, max_steps, enough=ROUGH).z
            cost[i, rows] = likelihood[rows].capped(found[i, rows], sigmas)
            at_end[i, rows] = (found[i, rows, column] == ends[i]).any(axis=0)
    order = np.lexsort((cost, at_end | ~worth), axis=0)
    found = np.take_along_axis(found, order[..., None], axis=0)
    cost = np.take_along_axis(np.where(at_end | ~worth, np.inf, cost), order, axis=0)
    hessian = search.evaluate(found[0])[2]
    chosen = np.full((_REFINED, *found.shape[1:]), np.nan)
    chosen[0], number = found[0], np.ones(len(near), dtype=int)
    for other, its_cost in zip(found[1:], cost[1:], strict=True):
        wanted = np.isfinite(its_cost) & (its_cost <= cost[0] + np.maximum(_SHARE * cost[0], _AMOUNT))
        wanted &= number < _REFINED
        for earlier in chosen:
            wanted &= ~(distance(hessian, other - earlier) < _RIVAL)
        rows = np.flatnonzero(wanted)
        chosen[number[rows], rows] = other[rows]
        number[rows] += 1
    return chosen


def _robust(likelihood, search, troubled, near, start_labels, bounds, reject):
    """Search each window again and reject pixels on the way: the best end (m, d), NaN but for some stars."""
    some = np.flatnonzero(troubled)
    ends = np.full((len(near), bounds.shape[1]), np.nan)
    if not some.size:
        return ends
    part, search, least = likelihood[some], search[some], np.full(some.size, np.inf)
    for box, z in zip(*_starts(likelihood.slam, near[some], start_labels, bounds), strict=True):
        for _ in range(_ROBUST):
            z = minimise(part.rejecting(z, reject).reduced(z, search), z, box, _FIRST).z
        cost = part.capped(z, reject)
        won = cost < least
        ends[some[won]], least[won] = z[won], cost[won]
    return ends


def _starts(slam, near, start_labels, bounds):
    """Bounds (w, 2, d) of windows of Teff, and the best template (w, m, d) in each, standardised."""
    column = slam.names.index("teff")
    scale, mean, teff = slam.label_scale_[column], slam.label_mean_[column], start_labels[:, column]
    boxes, starts = [], []
    for ends in _windows(*(mean + scale * bounds[:, column])):
        inside = np.flatnonzero((teff >= ends[0]) & (teff <= ends[1]))
        if inside.size:
            boxes.append(bounds.copy())
            boxes[-1][:, column] = np.clip((ends - mean) / scale, *bounds[:, column])
            best = inside[near[:, inside].argmin(axis=1)]
            starts.append(np.clip(slam.to_standard(start_labels[best]), *boxes[-1]))
    if not boxes:
        # No training spectrum lies within the bounds: the nearest one is where to begin.
        boxes = [bounds.copy()]
        starts = [np.clip(slam.to_standard(start_labels[near.argmin(axis=1)]), *bounds)]
    return boxes, starts


def _windows(lowest, highest):
    """First and last Teff [K] of windows that overlap by half, (n, 2)."""
    n = max(int(np.ceil(2 * np.log(highest / lowest) / np.log(_WINDOW))), 2)
    ends = np.geomspace(lowest, highest, n + 1)
    ends[[0, -1]] = lowest, highest
    return np.stack([ends[:-2], ends[2:]], axis=1)


def _refine(likelihood, search, start, bounds, max_steps, reject):
    """Fit from near a minimum without the pixels that lie far from the fit, which change with it.

    `search` is the `Likelihood.reduced` of the same stars. Returns a `Minimum` of all components of the
    model, and the likelihood without those pixels.
    """
    kept, z, rows = likelihood, start.copy(), np.arange(len(start))
    for _ in range(_REJECTIONS if reject else 1):
        without = likelihood.rejecting(z, reject) if reject else likelihood
        rows = np.flatnonzero(without.differs(kept)) if kept is not likelihood else rows
        kept = without
        if not rows.size:
            break
        near = kept[rows].reduced(z[rows], search[rows])
        z[rows] = minimise(near, z[rows], bounds, max_steps, NEAR).z
    # What the reduced form lacks, if anything, moves this by next to nothing.
    return minimise(kept, z, bounds, max_steps, NEAR, NEARLY), kept


def _cost(found, likelihood, kept, sigmas):
    """Chi-square and the price of the pixels that `kept` lacks; infinite where nothing converged."""
    return np.where(found.converged, found.chi2 + sigmas**2 * (likelihood.n_pix - kept.n_pix), np.inf)


def at_edge(z, bounds, slam):
    """Tell which labels lie at a bound: (m, d).

    No rotation is a bound of nature, not of the grid: v sin i = 0 is an upper limit. A nuisance is held
    within its bounds on purpose.
    """
    edge = ((z <= bounds[0]) | (z >= bounds[1])) & ~slam.nuisances
    if slam.rotation is not None:
        edge[:, slam.rotation] &= z[:, slam.rotation] > bounds[0, slam.rotation]
    return edge


def status(found, edge, rejected, incomplete):
    """Say how a fit ended that `rejected` a share of the pixels of spectra, some `incomplete`: str, (m,)."""
    reasons = [~found.converged, rejected > _MOST_REJECTED, edge.any(axis=1), found.rival, incomplete]
    return np.select(reasons, ["unconverged", "outliers", "edge", "multimodal", "incomplete"], "ok")


def inverse(fisher):
    """Invert Fisher matrices (m, d, d); what the data say nothing about gets a huge variance, not 0."""
    values, vectors = np.linalg.eigh(fisher)
    return (vectors / np.maximum(values, LEAST_INFORMATION)[:, None, :]) @ vectors.transpose(0, 2, 1)
