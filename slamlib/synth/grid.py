"""A grid of model spectra on its irregular boundary, interpolated linearly."""

import hashlib
import io
import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table
from scipy.sparse import csr_array
from scipy.spatial import Delaunay

from slamlib.errors import FileError, InputError
from slamlib.files import check_version
from slamlib.instruments import C_KMS
from slamlib.labels import as_labels

# Labels are inside when every barycentric weight is above minus this: the rounding of
# float32 node labels, far below any error of a label.
_EDGE = 1e-6
FORMAT = 1
# Rice's algorithm makes no image smaller than by this: a header that claims more is damaged.
_COMPRESSION = 200


def digest(header, nodes, stored):
    """Return the sha256 of what a grid's file says: its scales, labels and stored spectra."""
    content = hashlib.sha256(repr([float(header[key]) for key in ("WAVE0", "DV", "FSCALE")]).encode())
    for name in ("teff", "logg", "mh"):
        content.update(np.asarray(nodes[name], dtype="<f8").tobytes())
    content.update(np.ascontiguousarray(stored, dtype="<u2"))
    return content.hexdigest()


@dataclass(frozen=True)
class ModelGrid:
    """Continuum-normalised model spectra at the nodes of a (Teff, log g, [M/H]) grid.

    The nodes form columns of constant Teff whose lowest log g follows the Eddington
    limit. The grid is the region between neighbouring columns; each strip between two of
    them is triangulated, so that the region is exact although it is not convex.

    Attributes
    ----------
    nodes : Table
        Columns teff [K], logg [dex], mh [dex] and whatever else the file holds, (n_nodes,).
    log_wave0 : float
        Natural logarithm of the air wavelength [A] at the centre of pixel 0.
    dv : float
        Width of a pixel [km/s]; pixel i is centred at exp(log_wave0 + i dv / c).
    flux : ndarray of float32, (n_nodes, n_pix)
        Flux divided by the continuum.
    """

    nodes: Table
    log_wave0: float
    dv: float
    flux: np.ndarray

    @classmethod
    def read(cls, path):
        """Read a grid file (layout: see data/DATASETS.md).

        Raises
        ------
        FileError
            If the file is missing, truncated, damaged, not a grid, or a newer slamlib's.
        """
        path = Path(path)
        try:
            # From memory: on a damaged file astropy would leave it open.
            with fits.open(io.BytesIO(path.read_bytes()), memmap=False) as hdus:
                header = hdus[0].header
                check_version(path, header.get("GRIDFMT", FORMAT), FORMAT)
                nodes = Table(hdus["NODES"].data)
                n_pix = hdus["FLUX"].shape[1]
                largest = _COMPRESSION * path.stat().st_size
                if hdus["FLUX"].shape != (len(nodes), n_pix) or 2 * len(nodes) * n_pix > largest:
                    raise InputError(f"{len(nodes)} nodes but flux of shape {hdus['FLUX'].shape}")
                stored = hdus["FLUX"].data
            log_wave0, dv = math.log(header["WAVE0"]), float(header["DV"])
            if header.get("DIGEST", None) not in (None, digest(header, nodes, stored)):
                raise InputError("it is not what was written")
            flux = stored.astype(np.float32) / np.float32(header["FSCALE"])
            for name in ("teff", "logg", "mh"):
                nodes[name] = np.asarray(nodes[name], dtype=float)
            labels = np.stack([nodes[name] for name in ("teff", "logg", "mh")])
            if not (np.isfinite(labels).all() and np.isfinite(flux).all() and log_wave0 > 0 and dv > 0):
                raise InputError("labels, flux or wavelengths are not finite and positive")
        except FileNotFoundError:
            raise FileError(f"no grid file {path}; check the path or fetch the grid first") from None
        except Exception as error:  # a damaged file can raise anything, down to the decompressor's own errors
            if isinstance(error, FileError):
                raise
            raise FileError(
                f"{path} is not a readable model grid ({error}); it needs WAVE0, DV and FSCALE in its "
                "primary header and the HDUs NODES and FLUX: fetch it again"
            ) from error
        return cls(nodes, log_wave0, dv, flux)

    @cached_property
    def wave(self):
        """Pixel centres in air [A], (n_pix,)."""
        return np.exp(self.log_wave0 + np.arange(self.flux.shape[1]) * self.dv / C_KMS)

    @cached_property
    def columns(self):
        """The columns of the grid: Teff [K] -> ascending log g, lists of floats."""
        teff, logg = self._plane.T
        return {float(t): sorted(logg[teff == t].tolist()) for t in np.unique(teff)}

    @cached_property
    def boundary(self):
        """Corners (Teff [K], log g) of the grid's edge, counter-clockwise from low log g, (k, 2)."""
        low = [(teff, loggs[0]) for teff, loggs in self.columns.items()]
        high = [(teff, loggs[-1]) for teff, loggs in self.columns.items()]
        return np.array(low + high[::-1])

    @cached_property
    def mh_values(self):
        """Metallicities of the nodes, ascending, (n_mh,)."""
        return np.unique(np.asarray(self.nodes["mh"]))

    @cached_property
    def ranges(self):
        """Least and greatest Teff [K], log g and [M/H], (2, 3): the box around the grid."""
        points = np.stack([self.nodes[name] for name in ("teff", "logg", "mh")], axis=1)
        return np.stack([points.min(axis=0), points.max(axis=0)])

    def contains(self, labels3):
        """Tell which labels lie inside the grid, its edge included.

        Parameters
        ----------
        labels3 : array_like, (n, 3)
            Teff [K], log g, [M/H].

        Returns
        -------
        ndarray of bool, (n,)
        """
        return self._locate(as_labels(labels3, 3))[0]

    def weights(self, labels3):
        """Weights of the nodes whose sum is the interpolated spectrum.

        Barycentric in (Teff, log g) on the triangle around the label, linear in [M/H].

        Parameters
        ----------
        labels3 : array_like, (n, 3)
            Teff [K], log g, [M/H]; all inside the grid.

        Returns
        -------
        scipy.sparse.csr_array, (n, n_nodes)
            Six weights a row, each >= 0, summing to 1.

        Raises
        ------
        InputError
            If a label lies outside the grid: the models are not extrapolated.
        """
        labels3 = as_labels(labels3, 3)
        inside, corners, plane_weights = self._locate(labels3)
        if not inside.all():
            row = int(np.flatnonzero(~inside)[0])
            raise InputError(
                f"{(~inside).sum()} of {len(labels3)} labels lie outside the grid, first row {row}: "
                f"teff, logg, mh = {labels3[row].tolist()}; models are not extrapolated; use contains()"
            )
        upper = np.clip(np.searchsorted(self.mh_values, labels3[:, 2]), 1, len(self.mh_values) - 1)
        step = self.mh_values[upper] - self.mh_values[upper - 1]
        fraction = np.clip((labels3[:, 2] - self.mh_values[upper - 1]) / step, 0, 1)
        node = np.stack([self._node[corners, (upper - 1)[:, None]], self._node[corners, upper[:, None]]])
        weight = np.stack([plane_weights * (1 - fraction)[:, None], plane_weights * fraction[:, None]])
        rows = np.broadcast_to(np.arange(len(labels3))[:, None], corners.shape)
        rows = np.stack([rows, rows])
        shape = (len(labels3), len(self.nodes))
        return csr_array((weight.ravel(), (rows.ravel(), node.ravel())), shape=shape)

    def spectra(self, labels3):
        """Interpolate normalised spectra at the grid's own resolution.

        Parameters
        ----------
        labels3 : array_like, (n, 3)
            Teff [K], log g, [M/H]; all inside the grid.

        Returns
        -------
        ndarray of float32, (n, n_pix)
        """
        return self.weights(labels3).astype(np.float32) @ self.flux

    @cached_property
    def _plane(self):
        """Distinct (Teff, log g) of the nodes, (n_plane, 2)."""
        return np.unique(np.stack([self.nodes["teff"], self.nodes["logg"]], axis=1), axis=0)

    @cached_property
    def _node(self):
        """Row of `nodes` for each (Teff, log g) and metallicity, (n_plane, n_mh)."""
        key = {(t, g, m): i for i, (t, g, m) in enumerate(self.nodes["teff", "logg", "mh"].iterrows())}
        try:
            return np.array([[key[t, g, m] for m in self.mh_values] for t, g in self._plane])
        except KeyError as missing:
            raise InputError(
                f"the grid has no node (teff, logg, mh) = {missing}; every [M/H] needs all"
            ) from None

    @cached_property
    def _strips(self):
        """For each pair of neighbouring columns: triangulation and rows of `_plane` of its points."""
        teff = self._plane[:, 0]
        strips = []
        for left, right in pairwise(self.columns):
            rows = np.flatnonzero((teff == left) | (teff == right))
            strips.append((Delaunay(self._scaled(self._plane[rows])), rows))
        return strips

    def _scaled(self, plane):
        # Comparable node spacings in both directions make well-shaped triangles.
        return plane / np.array([2000.0, 0.25])

    def _locate(self, labels3):
        """Whether each label is inside, the corners of its triangle and their weights."""
        inside = np.zeros(len(labels3), dtype=bool)
        corners = np.zeros((len(labels3), 3), dtype=int)
        weights = np.zeros((len(labels3), 3))
        edges = np.array(list(self.columns))
        strip_of = np.clip(np.searchsorted(edges, labels3[:, 0]) - 1, 0, len(edges) - 2)
        for index in np.unique(strip_of):
            stars = np.flatnonzero(strip_of == index)
            triangles, rows = self._strips[index]
            point = self._scaled(labels3[stars, :2])
            simplex = triangles.find_simplex(point, tol=_EDGE)
            transform = triangles.transform[simplex]
            partial = np.einsum("nij,nj->ni", transform[:, :2], point - transform[:, 2])
            full = np.column_stack([partial, 1 - partial.sum(axis=1)])
            inside[stars] = simplex >= 0
            corners[stars] = rows[triangles.simplices[simplex]]
            weights[stars] = np.clip(full, 0, None) / np.clip(full, 0, None).sum(axis=1, keepdims=True)
        low, high = self.mh_values[0] - _EDGE, self.mh_values[-1] + _EDGE
        inside &= (labels3[:, 2] >= low) & (labels3[:, 2] <= high)
        return inside, corners, weights
