"""The region of labels that a model grid covers: its irregular edge, what lies inside, and where."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from scipy.spatial import Delaunay

from slamlib.labels import as_labels
from slamlib.npz import check_shapes
from slamlib.threads import blas_threads

# Labels are inside when every barycentric weight is above minus this: the rounding of
# float32 node labels, far below any error of a label.
_ROUNDING = 1e-6
# Comparable node spacings in Teff [K] and log g make well-shaped triangles.
_SPACING = np.array([2000.0, 0.25])


@dataclass(frozen=True)
class GridEdge:
    """The region between neighbouring columns of nodes, in Teff and log g, and the ranges of other labels.

    The nodes form columns of constant Teff whose lowest log g follows the Eddington limit. Each strip between
    two columns is triangulated, so that the region is exact although it is not convex.

    Attributes
    ----------
    plane : ndarray, (n_plane, 2)
        Distinct Teff [K] and log g of the nodes, in ascending order.
    values : dict of str to ndarray
        Of every further label, such as mh: its values at the nodes, ascending.
    """

    plane: np.ndarray
    values: dict

    @classmethod
    def of(cls, teff, logg, **others):
        """Return the edge of a grid with nodes at these labels, (n_nodes,) each."""
        plane = np.unique(np.stack([teff, logg], axis=1).astype(float), axis=0)
        return cls(plane, {name: np.unique(np.asarray(of, dtype=float)) for name, of in others.items()})

    @cached_property
    def names(self):
        """Names of the labels, in the order of the columns that `contains` takes."""
        return ("teff", "logg", *self.values)

    def to_arrays(self):
        """Return all of it as named arrays, for a file."""
        return {"plane": self.plane} | self.values

    @classmethod
    def from_arrays(cls, arrays):
        """Return what `to_arrays` described; InputError if the arrays do not fit."""
        values = {name: of for name, of in arrays.items() if name != "plane"}
        check_shapes(arrays, plane="n2", **dict(zip(values, "abcdefgh", strict=False)))
        return cls(arrays["plane"], values)

    @cached_property
    def columns(self):
        """The columns of the grid: Teff [K] -> ascending log g, lists of floats."""
        teff, logg = self.plane.T
        return {float(t): sorted(logg[teff == t].tolist()) for t in np.unique(teff)}

    @cached_property
    def boundary(self):
        """Corners (Teff [K], log g) of the edge, counter-clockwise from low log g, (k, 2)."""
        low = [(teff, loggs[0]) for teff, loggs in self.columns.items()]
        high = [(teff, loggs[-1]) for teff, loggs in self.columns.items()]
        return np.array(low + high[::-1])

    @cached_property
    def ranges(self):
        """Least and greatest value of each label, (2, d): the box around the region."""
        return np.column_stack([[v.min(), v.max()] for v in (*self.plane.T, *self.values.values())])

    def contains(self, labels):
        """Tell which labels lie inside, the edge included, (n,).

        Labels (n, d) are Teff [K], log g, [M/H] and what else the grid has; the last ones may be left out,
        and then do not count.
        """
        return self.locate(labels)[0]

    def locate(self, labels):
        """Find the triangle of nodes around each label, of those that `contains` takes.

        Returns
        -------
        inside : ndarray of bool, (n,)
        corners : ndarray of int, (n, 3)
            Rows of `plane`.
        weights : ndarray, (n, 3)
            Barycentric, each >= 0, summing to 1.
        """
        labels = np.atleast_2d(np.asarray(labels, dtype=float))
        given = self.names[: labels.shape[-1]]
        labels = as_labels(labels, given if len(given) > 1 else self.names)
        inside = np.zeros(len(labels), dtype=bool)
        corners = np.zeros((len(labels), 3), dtype=int)
        weights = np.zeros((len(labels), 3))
        teff = np.array(list(self.columns))
        strip_of = np.clip(np.searchsorted(teff, labels[:, 0]) - 1, 0, len(teff) - 2)
        for index in np.unique(strip_of):
            stars = np.flatnonzero(strip_of == index)
            triangles, rows = self._strips[index]
            point = labels[stars, :2] / _SPACING
            simplex = triangles.find_simplex(point, tol=_ROUNDING)
            transform = triangles.transform[simplex]
            partial = np.einsum("nij,nj->ni", transform[:, :2], point - transform[:, 2])
            full = np.column_stack([partial, 1 - partial.sum(axis=1)])
            inside[stars] = simplex >= 0
            corners[stars] = rows[triangles.simplices[simplex]]
            weights[stars] = np.clip(full, 0, None) / np.clip(full, 0, None).sum(axis=1, keepdims=True)
        for name, column in zip(given[2:], labels[:, 2:].T, strict=True):
            low, high = self.values[name][[0, -1]]
            inside &= (column >= low - _ROUNDING) & (column <= high + _ROUNDING)
        return inside, corners, weights

    @cached_property
    def _strips(self):
        """For each pair of neighbouring columns: triangulation and rows of `plane` of its points."""
        teff = self.plane[:, 0]
        strips = []
        for left, right in pairwise(self.columns):
            rows = np.flatnonzero((teff == left) | (teff == right))
            strips.append((Delaunay(self.plane[rows] / _SPACING), rows))
        # Thousands of inverses of 2 x 2 matrices, made at first use: threads of a BLAS would only wait
        # for one another, for seconds on a busy machine.
        with blas_threads(1):
            for triangles, _ in strips:
                triangles.transform  # noqa: B018
        return strips
