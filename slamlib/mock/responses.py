"""How spectra of B stars change with microturbulence and helium, which their training grid may not have."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.interpolate import RBFInterpolator

from slamlib.grid.model_grid import ModelGrid
from slamlib.io import embedded

# Node spacings that make one step in each of ln Teff, log g and [M/H] about equal.
SPACING = np.array([0.08, 0.25, 0.4])
# Microturbulence [km/s] of the embedded grids, and helium to hydrogen by number of their stars.
VTURB, HELIUM = (2.0, 10.0, 20.0), 0.10
# Between the inner two of these Teff [K] are B stars. Models of hotter and of cooler stars have one
# microturbulence: the response fades over the next step, as in the grid.
_FADES = (14_000.0, 15_000.0, 30_000.0, 32_500.0)


def coordinates(teff, logg, mh):
    """Return labels in units in which a step of each counts about the same, (n, 3)."""
    return np.column_stack([np.log(teff), logg, mh]) / SPACING


@dataclass(frozen=True)
class Response:
    """Change of flux over the nodes of a grid, blended smoothly between them."""

    blend: RBFInterpolator
    change: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, nodes, change, kernel="cubic"):
        """Return that of nodes (teff, logg, mh) at which flux changes by `change` (n_nodes, n_pix)."""
        at = coordinates(*(np.asarray(nodes[name], dtype=float) for name in ("teff", "logg", "mh")))
        varies = np.ptp(at, axis=0) > 0
        blend = RBFInterpolator(at[:, varies], np.eye(len(at)), kernel=kernel)
        return cls(blend, change, np.where(varies, at.min(axis=0), np.nan), at.max(axis=0))

    def __call__(self, labels3):
        """Change of flux (n, n_pix) at Teff [K], log g, [M/H] (n, 3), of the nearest node beyond all."""
        varies = np.isfinite(self.low)
        at = np.clip(coordinates(*np.transpose(labels3))[:, varies], self.low[varies], self.high[varies])
        return self.blend(at).astype(np.float32) @ self.change


class Responses:
    """Changes of the spectra of B stars from those of vturb 2 km/s and He/H 0.1, of the embedded grids.

    Linear in vturb between 2, 10 and 20 km/s, and in the logarithm of helium.
    """

    def __init__(self):
        slow, fast, faster, helium = (
            ModelGrid.read(embedded(f"tlusty_{name}.fits"))
            for name in ("ob_grid", "bstar_v10", "bstar_v20", "bstar_he")
        )
        self.grid = fast
        nodes = fast.nodes["teff", "logg", "mh"]
        row = {at: i for i, at in enumerate(nodes.iterrows())}
        of_faster = [row[at] for at in faster.nodes["teff", "logg", "mh"].iterrows()]
        rich = helium.nodes["source"] == "HEx2.0"
        self._slow = Response.of(nodes, fast.flux - slow.flux[: len(nodes)])
        self._fast = Response.of(faster.nodes, faster.flux - fast.flux[of_faster])
        # From half to double: two factors of two.
        half = (helium.flux[rich] - helium.flux[~rich]) / 2
        self._helium = Response.of(helium.nodes[rich], half, kernel="linear")

    def fits(self, grid):
        """Tell whether a grid has the pixels of the responses."""
        own = self.grid
        return (own.log_wave0, own.dv, own.flux.shape[1]) == (grid.log_wave0, grid.dv, grid.flux.shape[1])

    def __call__(self, labels3, vturb, he):
        """Change of flux of stars at Teff [K], log g, [M/H] (n, 3): float32, (n, n_pix).

        `vturb` [km/s] is microturbulence and `he` helium to hydrogen by number, (n,) each.
        """
        labels3, vturb, he = (np.asarray(values, dtype=float) for values in (labels3, vturb, he))
        low, middle, high = VTURB
        fade = np.interp(labels3[:, 0], _FADES, (0, 1, 1, 0))
        first = fade * (np.minimum(vturb, middle) - low) / (middle - low)
        second = fade * np.maximum(vturb - middle, 0) / (high - middle)
        change = first[:, None] * self._slow(labels3) + np.log2(he / HELIUM)[:, None] * self._helium(labels3)
        return (change + second[:, None] * self._fast(labels3)).astype(np.float32)


@lru_cache(maxsize=1)
def responses():
    """Return the `Responses`, read once in a process."""
    return Responses()
