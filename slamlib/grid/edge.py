"""The region of labels that a model grid covers: its irregular edge, what lies inside, and where."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from scipy.spatial import Delaunay

from slamlib.labels import as_labels

# Labels are inside when every barycentric weight is above minus this: the rounding of
# float32 node labels, far below any error of a label.
_ROUNDING = 1e-6
# Comparable node spacings in Teff [K] and log g make well-shaped triangles.
_SPACING = np.array([2000.0, 0.25])


@dataclass(frozen=True)
class GridEdge:
    """The region between neighbouring columns of nodes, in Teff and log g, and a range of [M/H].

    The nodes form columns of constant Teff whose lowest log g follows the Eddington limit. Each
    strip between two columns is triangulated, so that the region is exact although it is not
    convex.

    Attributes
    ----------
    plane : ndarray, (n_plane, 2)
        Distinct Teff [K] and log g of the nodes, in ascending order.
    mh_values : ndarray, (n_mh,)
        Metallicities of the nodes, ascending.
    """

    plane: np.ndarray
    mh_values: np.ndarray

    @classmethod
    def of(cls, teff, logg, mh):
        """Return the edge of a grid with nodes at these labels, (n_nodes,) each."""
        plane = np.unique(np.stack([teff, logg], axis=1).astype(float), axis=0)
        return cls(plane, np.unique(np.asarray(mh, dtype=float)))

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
        """Least and greatest Teff [K], log g and [M/H], (2, 3): the box around the region."""
        return np.column_stack([[v.min(axis=0), v.max(axis=0)] for v in (*self.plane.T, self.mh_values)])

    def contains(self, labels3):
        """Tell which labels lie inside, the edge included.

        Parameters
        ----------
        labels3 : array_like, (n, 3)
            Teff [K], log g, [M/H].

        Returns
        -------
        ndarray of bool, (n,)
        """
        return self.locate(labels3)[0]

    def locate(self, labels3):
        """Find the triangle of nodes around each label.

        Parameters
        ----------
        labels3 : array_like, (n, 3)

        Returns
        -------
        inside : ndarray of bool, (n,)
        corners : ndarray of int, (n, 3)
            Rows of `plane`.
        weights : ndarray, (n, 3)
            Barycentric, each >= 0, summing to 1.
        """
        labels3 = as_labels(labels3, 3)
        inside = np.zeros(len(labels3), dtype=bool)
        corners = np.zeros((len(labels3), 3), dtype=int)
        weights = np.zeros((len(labels3), 3))
        teff = np.array(list(self.columns))
        strip_of = np.clip(np.searchsorted(teff, labels3[:, 0]) - 1, 0, len(teff) - 2)
        for index in np.unique(strip_of):
            stars = np.flatnonzero(strip_of == index)
            triangles, rows = self._strips[index]
            point = labels3[stars, :2] / _SPACING
            simplex = triangles.find_simplex(point, tol=_ROUNDING)
            transform = triangles.transform[simplex]
            partial = np.einsum("nij,nj->ni", transform[:, :2], point - transform[:, 2])
            full = np.column_stack([partial, 1 - partial.sum(axis=1)])
            inside[stars] = simplex >= 0
            corners[stars] = rows[triangles.simplices[simplex]]
            weights[stars] = np.clip(full, 0, None) / np.clip(full, 0, None).sum(axis=1, keepdims=True)
        low, high = self.mh_values[0] - _ROUNDING, self.mh_values[-1] + _ROUNDING
        inside &= (labels3[:, 2] >= low) & (labels3[:, 2] <= high)
        return inside, corners, weights

    @cached_property
    def _strips(self):
        """For each pair of neighbouring columns: triangulation and rows of `plane` of its points."""
        teff = self.plane[:, 0]
        strips = []
        for left, right in pairwise(self.columns):
            rows = np.flatnonzero((teff == left) | (teff == right))
            strips.append((Delaunay(self.plane[rows] / _SPACING), rows))
        return strips
