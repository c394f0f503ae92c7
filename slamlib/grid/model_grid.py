"""A grid of model spectra on its irregular boundary, interpolated linearly."""

import hashlib
import io
import json
import math
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Self

import numpy as np
from astropy.io import fits
from astropy.table import Table
from numpy.typing import ArrayLike
from scipy.sparse import csr_array

from slamlib.cards import check_cards
from slamlib.errors import FileError, InputError
from slamlib.grid.edge import GridEdge
from slamlib.instruments import C_KMS
from slamlib.io import check_version, embedded, read_ecsv
from slamlib.labels import LOGG, MH, NAMES, TEFF, VSINI, Label, as_labels, in_order, rotation_of

FORMAT = 1
# Rice's algorithm makes no image smaller than by this: a header that claims more is damaged.
_COMPRESSION = 200


def axes_of(header):
    """Return the labels of the nodes that a header names, in order; Teff, log g, [M/H] if it names none."""
    told = header.get("LABELS", None)
    return in_order(map(Label.of, json.loads(told))) if told else (TEFF, LOGG, MH)


def digest(header, nodes, stored):
    """Return the sha256 of what a grid's file says: its scales, labels and stored spectra."""
    content = hashlib.sha256(repr([float(header[key]) for key in ("WAVE0", "DV", "FSCALE")]).encode())
    content.update(header.get("LABELS", "").encode())
    for label in axes_of(header):
        content.update(np.asarray(nodes[label.name], dtype="<f8").tobytes())
    content.update(np.ascontiguousarray(stored, dtype="<u2"))
    return content.hexdigest()


@dataclass(frozen=True)
class ModelGrid:
    """Continuum-normalised model spectra at nodes in Teff, log g and other labels, such as [M/H].

    Between its nodes spectra are interpolated linearly, within the `edge`. Every (Teff, log g) needs all
    values of [M/H]. One that was computed for a single value of a further label stands for all its
    values: O stars, whose models have one microturbulence, then know nothing of it.

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
    axes : tuple of Label
        Of the nodes: Teff, log g, and others that have a column in `nodes`.
    notes : tuple of (float, str)
        What to think of labels above a Teff [K].
    core : GridEdge, optional
        The edge of the stars that it is made for, if it extends beyond them.
    """

    nodes: Table
    log_wave0: float
    dv: float
    flux: np.ndarray
    sha256: str = ""
    axes: tuple = (TEFF, LOGG, MH)
    notes: tuple = ()
    core: GridEdge | None = None

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read a grid file (layout: see data/DATASETS.md).

        FileError if it is missing, truncated, damaged, not a grid, or a newer slamlib's.
        """
        path = Path(path)
        try:
            content = path.read_bytes()
            # From memory: on a damaged file astropy would leave it open.
            with fits.open(io.BytesIO(check_cards(content)), memmap=False) as hdus:
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
            axes = axes_of(header)
            for label in axes:
                nodes[label.name] = np.asarray(nodes[label.name], dtype=float)
            labels = np.stack([nodes[label.name] for label in axes])
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
        sha256 = hashlib.sha256(content).hexdigest()
        notes = read_ecsv(embedded("grid_notes.ecsv"))
        notes = tuple((float(row["above"]), str(row["note"])) for row in notes[notes["sha256"] == sha256])
        return cls(nodes, log_wave0, dv, flux, sha256, axes, notes)

    @cached_property
    def names(self):
        """Names of `axes`: of the labels that spectra are interpolated in."""
        return tuple(label.name for label in self.axes)

    @property
    def further(self):
        """Those of `axes` beyond Teff, log g and [M/H]."""
        return tuple(label for label in self.axes if label.name not in NAMES)

    @cached_property
    def labels(self):
        """Every label of its spectra, those of `axes` and v sin i, in the order of arrays (n, d)."""
        return in_order([*self.axes, VSINI])

    def split(self, labels: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Return labels (n, d) as those of `axes`, (n, d - 1), and v sin i, (n,)."""
        labels = as_labels(labels, [label.name for label in self.labels])
        column = rotation_of(self.labels)
        order = [self.labels.index(label) for label in self.axes]
        return labels[:, order], labels[:, column]

    def join(self, coordinates: ArrayLike, vsini: ArrayLike) -> np.ndarray:
        """Return labels (n, d) from those of `axes`, (n, d - 1), and v sin i, (n,): what `split` undoes."""
        every = dict(zip(self.axes, np.transpose(coordinates), strict=True)) | {VSINI: vsini}
        return np.column_stack([every[label] for label in self.labels])

    def at(self, **known: ArrayLike) -> np.ndarray:
        """Return labels (n, d) of stars of which some are known; others are solar or of middling value.

        `known` has such as ``teff=[20_000, 25_000]``; labels that the grid lacks are ignored.
        """
        known = {"mh": 0.0, "vsini": 0.0} | known
        middle = dict(zip(self.names, self.ranges.mean(axis=0), strict=True))
        columns = (known.get(label.name, middle.get(label.name)) for label in self.labels)
        return np.column_stack(np.broadcast_arrays(*map(np.atleast_1d, columns))).astype(float)

    @cached_property
    def wave(self):
        """Pixel centres in air [A], (n_pix,)."""
        return np.exp(self.log_wave0 + np.arange(self.flux.shape[1]) * self.dv / C_KMS)

    @cached_property
    def edge(self):
        """The `GridEdge` of its nodes."""
        return GridEdge.of(**{name: self.nodes[name] for name in self.names})

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
        """Metallicities of the nodes, ascending."""
        return self.edge.values["mh"]

    @property
    def ranges(self):
        """As of `GridEdge`."""
        return self.edge.ranges

    def contains(self, coordinates: ArrayLike) -> np.ndarray:
        """As of `GridEdge`."""
        return self.edge.contains(coordinates)

    def plain(self) -> Self:
        """Return the grid of Teff, log g and [M/H] alone, at the lowest value of every further label."""
        if not self.further:
            return self
        n = len(self.axes) - len(self.further)
        rows = self._node.reshape(*self._node.shape[: n - 1], -1)[..., 0].ravel()
        return replace(self, nodes=self.nodes[rows], flux=self.flux[rows], axes=self.axes[:n])

    def weights(self, coordinates: ArrayLike) -> np.ndarray:
        """Weights of the nodes whose sum is the interpolated spectrum, a scipy.sparse.csr_array (n, n_nodes).

        Barycentric in (Teff, log g) on the triangle around the label, linear in the others: six of them a row
        with three labels, each >= 0, summing to 1.

        Parameters
        ----------
        coordinates : array_like, (n, d)
            Labels of `axes`: Teff [K], log g, [M/H], ...

        Raises
        ------
        InputError
            If a label lies outside the grid: the models are not extrapolated.
        """
        coordinates = as_labels(coordinates, self.names)
        inside, corners, plane_weights = self.edge.locate(coordinates)
        if not inside.all():
            row = int(np.flatnonzero(~inside)[0])
            raise InputError(
                f"{(~inside).sum()} of {len(coordinates)} labels lie outside the grid, first row {row}: "
                f"{', '.join(self.names)} = {coordinates[row].tolist()}; models are not extrapolated; use "
                "contains()"
            )
        parts: list = [((corners,), plane_weights)]
        for (name, values), column in zip(self.edge.values.items(), coordinates[:, 2:].T, strict=True):
            if len(values) < 2:
                raise InputError(
                    f"all nodes have {name} = {values[0]:g}; give models of two values or more, or "
                    f"leave {name} out of LABELS"
                )
            upper = np.clip(np.searchsorted(values, column), 1, len(values) - 1)
            fraction = np.clip((column - values[upper - 1]) / (values[upper] - values[upper - 1]), 0, 1)
            sides = ((upper - 1)[:, None], (1 - fraction)[:, None]), (upper[:, None], fraction[:, None])
            parts = [((*at, side), weight * share) for at, weight in parts for side, share in sides]
        node = np.stack([self._node[at] for at, _ in parts])
        weight = np.stack([weight for _, weight in parts])
        rows = np.broadcast_to(np.arange(len(coordinates))[:, None], node.shape)
        shape = (len(coordinates), len(self.nodes))
        return csr_array((weight.ravel(), (rows.ravel(), node.ravel())), shape=shape)

    def spectra(self, coordinates: ArrayLike) -> np.ndarray:
        """Interpolate float32 spectra (n, n_pix) at the grid's resolution, for labels as of `weights`."""
        return self.weights(coordinates).astype(np.float32) @ self.flux

    @cached_property
    def _node(self):
        """Row of `nodes` for each (Teff, log g) and value of every further label, (n_plane, n_mh, ...)."""
        needed = [self.names.index(name) for name in ("teff", "logg", "mh") if name in self.names]
        row_at, rows_of = {}, defaultdict(list)
        for row, at in enumerate(self.nodes[list(self.names)].iterrows()):
            row_at[at] = row
            rows_of[tuple(at[i] for i in needed)].append(row)
        found = []
        for plane, *others in product(self.edge.plane.tolist(), *self.edge.values.values()):
            at = (*plane, *others)
            alone = rows_of[tuple(at[i] for i in needed)]
            if at not in row_at and len(alone) != 1:
                raise InputError(
                    f"the grid has no node ({', '.join(self.names)}) = {at}; every (Teff, log g) needs all "
                    "[M/H], and of any other label all values or a single one"
                )
            found.append(row_at.get(at, alone[0]))
        return np.reshape(found, [len(self.edge.plane), *map(len, self.edge.values.values())])
