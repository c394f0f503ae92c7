"""A grid of model spectra on its irregular boundary, interpolated linearly."""

import hashlib
import io
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table
from scipy.sparse import csr_array

from slamlib.errors import FileError, InputError
from slamlib.grid.edge import GridEdge
from slamlib.instruments import C_KMS
from slamlib.io import check_version
from slamlib.labels import as_labels

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

    Between its nodes spectra are interpolated linearly, within the `edge`.

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
    sha256 : str
        Of the file it was read from.
    """

    nodes: Table
    log_wave0: float
    dv: float
    flux: np.ndarray
    sha256: str = ""

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
            content = path.read_bytes()
            # From memory: on a damaged file astropy would leave it open.
            with fits.open(io.BytesIO(content), memmap=False) as hdus:
                header = hdus[0].header
                check_version(path, header.get("GRIDFMT", FORMAT), FORMAT)
                nodes = Table(hdus["NODES"].data)
                n_pix = hdus["FLUX"].shape[1]
                largest = _COMPRESSION * len(content)
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
        return cls(nodes, log_wave0, dv, flux, hashlib.sha256(content).hexdigest())

    @cached_property
    def wave(self):
        """Pixel centres in air [A], (n_pix,)."""
        return np.exp(self.log_wave0 + np.arange(self.flux.shape[1]) * self.dv / C_KMS)

    @cached_property
    def edge(self):
        """The `GridEdge` of its nodes."""
        return GridEdge.of(*(self.nodes[name] for name in ("teff", "logg", "mh")))

    @property
    def columns(self):
        """As of `GridEdge`."""
        return self.edge.columns

    @property
    def boundary(self):
        """As of `GridEdge`."""
        return self.edge.boundary

    @property
    def mh_values(self):
        """As of `GridEdge`."""
        return self.edge.mh_values

    @property
    def ranges(self):
        """As of `GridEdge`."""
        return self.edge.ranges

    def contains(self, labels3):
        """As of `GridEdge`."""
        return self.edge.contains(labels3)

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
        inside, corners, plane_weights = self.edge.locate(labels3)
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
    def _node(self):
        """Row of `nodes` for each (Teff, log g) and metallicity, (n_plane, n_mh)."""
        key = {(t, g, m): i for i, (t, g, m) in enumerate(self.nodes["teff", "logg", "mh"].iterrows())}
        try:
            return np.array([[key[t, g, m] for m in self.mh_values] for t, g in self.edge.plane])
        except KeyError as missing:
            raise InputError(
                f"the grid has no node (teff, logg, mh) = {missing}; every [M/H] needs all"
            ) from None
