"""Stellar labels: what a model grid, a regression and a catalogue call the numbers of a star.

The paper's are `LABELS`, always in this order: teff, logg, mh, vsini. A grid may have others: what it has
it says itself (`slamlib.grid.model_grid.ModelGrid.labels`), and everything trained on it takes over.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from astropy import units as u

from slamlib.errors import InputError
from slamlib.io import check_units


@dataclass(frozen=True)
class Label:
    """Name, unit and typography of one stellar label, and what kind it is of.

    Attributes
    ----------
    name : str
    unit : Unit
    symbol, description : str
    decimals : int
        That a person reads.
    broadening : bool
        Spectra of a grid are broadened by it, where they are interpolated in the others: v sin i.
    nuisance : bool
        Fitted so that the errors of the other labels hold its uncertainty. It stays within the range
        of the training labels, with a Gaussian prior of the mean and the standard deviation of that range.
    """

    name: str
    unit: u.UnitBase = u.dimensionless_unscaled
    symbol: str = ""
    description: str = ""
    decimals: int = 2
    broadening: bool = False
    nuisance: bool = False

    @classmethod
    def of(cls, told):
        """Return a `Label` from itself, its name, or what `plain` gave; an unknown name has no unit.

        Examples
        --------
        >>> Label.of("vturb").nuisance, Label.of("he").symbol
        (True, 'he')
        """
        if isinstance(told, Label):
            return told
        if isinstance(told, Mapping):
            check_units(f"unit: {told['unit']}")
            return cls(**dict(told) | {"unit": u.Unit(told["unit"])})
        return _KNOWN.get(told) or cls(told, symbol=told, description=told)

    def plain(self):
        """Return what json can hold and `of` understands."""
        return self.name if Label.of(self.name) == self else asdict(self) | {"unit": str(self.unit)}

    @property
    def unit_text(self):
        """Unit as a figure writes it."""
        return {"K": "K", "km / s": r"km s$^{-1}$", "": ""}.get(str(self.unit), "dex")

    @property
    def axis(self):
        """Axis label of a figure: symbol and unit."""
        return f"{self.symbol} [{self.unit_text}]" if self.unit_text else self.symbol


TEFF = Label("teff", u.K, r"$T_{\rm eff}$", "effective temperature", 0)
# MRT files cannot carry a bare dex; log g has the cgs unit inside the logarithm anyway.
LOGG = Label("logg", u.dex(u.cm / u.s**2), r"$\log g$", "surface gravity", 2)
MH = Label("mh", u.dex, "[M/H]", "metallicity relative to solar", 2)
VSINI = Label("vsini", u.km / u.s, r"$v\,\sin i$", "projected rotational velocity", 0, broadening=True)
VTURB = Label("vturb", u.km / u.s, r"$\xi$", "microturbulence", 1, nuisance=True)

LABELS = (TEFF, LOGG, MH, VSINI)
NAMES = tuple(label.name for label in LABELS)
_KNOWN = {label.name: label for label in (*LABELS, VTURB)}


def in_order(labels):
    """Return labels as a tuple: those of the paper first, in its order, then the others as they come.

    Examples
    --------
    >>> [label.name for label in in_order([Label.of("he"), VSINI, TEFF])]
    ['teff', 'vsini', 'he']
    """
    labels = list(labels)
    return tuple([own for own in LABELS if own in labels] + [one for one in labels if one not in LABELS])


def rotation_of(labels):
    """Index of the label that broadens, or None.

    Examples
    --------
    >>> rotation_of(LABELS)
    3
    """
    return next((i for i, label in enumerate(labels) if label.broadening), None)


def as_labels(labels, names=NAMES):
    """Return labels such as Teff [K], log g [dex], [M/H] [dex] and v sin i [km/s] as a float array (n, d).

    InputError if the shape is not that of `names`, (d,), or a label is not finite.

    Examples
    --------
    >>> as_labels([22000, 3.95, 0.0, 9]).shape
    (1, 4)
    """
    array = np.atleast_2d(np.asarray(labels, dtype=float))
    if array.ndim != 2 or array.shape[1] != len(names):
        raise InputError(
            f"labels have shape {np.shape(labels)}; expected (n, {len(names)}) in the order "
            f"{', '.join(names)}"
        )
    if not np.isfinite(array).all():
        row = int(np.flatnonzero(~np.isfinite(array).all(axis=1))[0])
        raise InputError(f"labels of row {row} are not finite: {array[row]}; remove or mend that row")
    return array
