"""Look at the fits of many spectra once more, a few spectra at a time."""

import numpy as np
from joblib import Parallel, delayed

from slamlib.inference.infer import checked
from slamlib.inference.likelihood import Likelihood
from slamlib.threads import blas_threads, n_cores

# Stars in flight at once.
_CHUNK = 128


def at_fits(measures, slam, flux, ivar, labels, systematics=None, reject=None):
    """Measure something of every spectrum at the labels (m, d) that `infer` found: a list of (m, width).

    A measure is called as ``measure(likelihood, z)``, with a `Likelihood` of some spectra without their
    outlying pixels and their standardised labels, and returns ``measure.width`` numbers a spectrum; NaN
    stands for a star without labels. The other arguments, and errors, are as of
    `slamlib.inference.infer.infer`.
    """
    flux, ivar = checked(slam, flux, ivar)
    known = np.isfinite(labels).all(axis=1) & (ivar > 0).any(axis=1)
    nodes = np.zeros(len(flux), int) if systematics is None else systematics.nearest(ivar)

    def look(stars):
        likelihood = Likelihood(slam, flux[stars], ivar[stars], systematics, nodes[stars[0]])
        z = slam.to_standard(labels[stars])
        if reject is not None:
            likelihood = likelihood.rejecting(z, reject)
        return stars, [measure(likelihood, z) for measure in measures]

    groups = [np.flatnonzero(known & (nodes == node)) for node in np.unique(nodes[known])]
    chunks = [group[first : first + _CHUNK] for group in groups for first in range(0, len(group), _CHUNK)]
    with blas_threads(1):
        parts = Parallel(n_jobs=n_cores(), backend="threading")(delayed(look)(stars) for stars in chunks)
    results = []
    for i, measure in enumerate(measures):
        results.append(np.full((len(flux), measure.width), np.nan))
        for stars, found in parts:
            results[i][stars] = found[i]
    return results
