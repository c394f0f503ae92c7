"""The four stellar labels, always in this order: teff, logg, mh, vsini."""

from dataclasses import dataclass

import numpy as np
from astropy import units as u

from slamlib.errors import InputError


@dataclass(frozen=True)
class Label:
    """Name, unit and typography of one stellar label."""

    name: str
    unit: u.UnitBase
    symbol: str
    description: str
    decimals: int

    @property
    def unit_text(self):
        """Unit as a figure writes it."""
        return {"K": "K", "km / s": r"km s$^{-1}$"}.get(str(self.unit), "dex")

    @property
    def axis(self):
        """Axis label of a figure: symbol and unit."""
        return f"{self.symbol} [{self.unit_text}]"


TEFF = Label("teff", u.K, r"$T_{\rm eff}$", "effective temperature", 0)
# MRT files cannot carry a bare dex; log g has the cgs unit inside the logarithm anyway.
LOGG = Label("logg", u.dex(u.cm / u.s**2), r"$\log g$", "surface gravity", 2)
MH = Label("mh", u.dex, "[M/H]", "metallicity relative to solar", 2)
VSINI = Label("vsini", u.km / u.s, r"$v\,\sin i$", "projected rotational velocity", 0)

LABELS = (TEFF, LOGG, MH, VSINI)
NAMES = tuple(label.name for label in LABELS)


def as_labels(labels, n_labels=4):
    """Return labels as a float array (n, n_labels), checked.

    Parameters
    ----------
    labels : array_like, (n, n_labels) or (n_labels,)
        Teff [K], log g [dex], [M/H] [dex] and v sin i [km/s]; the first three with
        ``n_labels=3``.

    Raises
    ------
    InputError
        If the shape is wrong or a label is not finite.

    Examples
    --------
    >>> as_labels([22000, 3.95, 0.0, 9]).shape
    (1, 4)
    """
    array = np.atleast_2d(np.asarray(labels, dtype=float))
    if array.ndim != 2 or array.shape[1] != n_labels:
        raise InputError(
            f"labels have shape {np.shape(labels)}; expected (n, {n_labels}) "
            f"in the order {', '.join(NAMES[:n_labels])}"
        )
    if not np.isfinite(array).all():
        row = int(np.flatnonzero(~np.isfinite(array).all(axis=1))[0])
        raise InputError(f"labels of row {row} are not finite: {array[row]}; remove or mend that row")
    return array
