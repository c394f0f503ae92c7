"""What became of the TLUSTY models that were expected, and of those that were found."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.table import Table

from slamlib.grid.tlusty.merge import Model

_N_NAMED = 3


@dataclass(frozen=True)
class GridReport:
    """What was found, what is missing, and what became of it; `print` gives the summary.

    Attributes
    ----------
    table : Table
        One row a model, expected or found: name, grid, teff [K], logg [dex], mh [dex] (nan
        if the composition is unknown), vturb [km/s], status ("found", "missing" or
        "extra"), used, and the reason where it is not.
    path : Path
        The grid's file.
    repeated : int
        Files that were met again under another path; the first was read.
    """

    table: Table
    path: Path
    repeated: int = 0

    def __str__(self):
        """Return the summary: a few lines."""
        used = self.table[self.table["used"]]
        plane = len(set(zip(used["teff"], used["logg"], strict=True)))
        lines = [
            f"{self.path}: {len(used)} spectra, {plane} (Teff, log g) x {len(set(used['mh']))} [M/H] "
            f"({', '.join(f'{mh:+.2f}' for mh in np.unique(used['mh']))})"
        ]
        for grid in sorted(set(self.table["grid"])):
            status = list(self.table["status"][self.table["grid"] == grid])
            counts = ", ".join(f"{status.count(word)} {word}" for word in ("found", "missing", "extra"))
            lines.append(f"  {grid or 'other models'}: {counts}")
        reasons = list(self.table["reason"][self.table["status"] != "missing"])
        for reason in sorted(set(reasons) - {""}):
            lines.append(f"  not used, {reasons.count(reason)}: {reason}")
        missing = defaultdict(list)
        for name in self.table["name"][self.table["status"] == "missing"]:
            missing[Model.parse(name).composition].append(str(name))
        for composition, names in missing.items():
            shown = ", ".join(names[:_N_NAMED]) + (", ..." if len(names) > _N_NAMED else "")
            lines.append(f"  missing of {composition}, {len(names)}: {shown}")
        if self.repeated:
            lines.append(f"  {self.repeated} files were met more than once; the first of each was read")
        return "\n".join(lines)
