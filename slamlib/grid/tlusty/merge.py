"""Which TLUSTY models make one grid: expected against found, O joined to B, the file written.

A model grid is rectangular in [M/H]: a (Teff, log g) at which some composition has no spectrum cannot be
used. In the overlap of the two published grids (27,500-30,000 K) BSTAR2006 is taken, because it has the finer
steps of Teff and the microturbulence of the B stars: OSTAR2002 enters above the hottest column of BSTAR2006.
A (Teff, log g) with one microturbulence stands for all (`ModelGrid`), as in `slamlib.grid.joined`: towards
it, vturb fades out of the spectra.
"""

import filecmp
import math
import re
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy.io import fits
from astropy.table import Table

from slamlib.errors import InputError
from slamlib.grid.model_grid import FORMAT, digest
from slamlib.io import atomic

# Where both have a model, the first is taken.
GRIDS = ("BSTAR2006", "OSTAR2002")
OVERLAP_RULE = "BSTAR2006 is taken where both have models (27500-30000 K)"
# The flux file and the continuum file of a model; a spectrum needs both.
FLUX, CONTINUUM = "7", "17"
# Steps of the stored flux per unit of the continuum: as in the embedded grid, and the fewest
# that keep the rounding (half a step) below 1e-4.
_FINE, _COARSE = 30000, 10000
_LARGEST = np.iinfo(np.uint16).max
# The strongest normalised flux that a grid's file can hold.
MAX_FLUX = _LARGEST / _COARSE
_NAME = re.compile(r"([A-Z]+)(\d{5})g(\d{3})v(\d+)([A-Z]*)")


class Model(NamedTuple):
    """One TLUSTY model, as the name of its files tells it.

    `composition` are letters such as "BG" (B stars, solar) or "T" (O stars, a tenth of solar); teff [K], logg
    [dex], vturb [km/s]; `variant` is "CN" where the surface composition was altered.

    Examples
    --------
    >>> Model.parse("BG25000g275v10CN")
    Model(composition='BG', teff=25000, logg=2.75, vturb=10, variant='CN')
    >>> Model("G", 35000, 4.0, 10).name
    'G35000g400v10'
    """

    composition: str
    teff: int
    logg: float
    vturb: int
    variant: str = ""

    @property
    def name(self):
        """The name that its files share, without ending."""
        return f"{self.composition}{self.teff:05d}g{100 * self.logg:03.0f}v{self.vturb}{self.variant}"

    @classmethod
    def parse(cls, name):
        """Return the model of that name, or None if it is no model's name."""
        if match := _NAME.fullmatch(name):
            composition, teff, logg, vturb, variant = match.groups()
            return cls(composition, int(teff), int(logg) / 100, int(vturb), variant)
        return None


def choose(found, archives, nodes, vturb=None):
    """Choose the models of a grid that is rectangular in [M/H], and say why the others are left out.

    Parameters
    ----------
    found : dict of Model to set of str
        The files there are of each model: `FLUX`, `CONTINUUM` or both.
    archives : Table
        Columns composition, grid, mh [dex], vturb [km/s].
    nodes : Table
        The expected (Teff, log g): columns grid (such as "BSTAR2006_v2_solar"), teff [K], logg.
    vturb : int, optional
        Microturbulence [km/s] preferred where a grid has it in every composition; elsewhere the grid's lowest
        is taken (2 for BSTAR2006, 10 for OSTAR2002). By default every one is taken that has all compositions.

    Returns
    -------
    chosen : list of (Model, float)
        With [M/H], in the order Teff, log g, vturb, [M/H].
    table : Table
        As `slamlib.grid.tlusty.report.GridReport.table`.

    Raises
    ------
    InputError
        If no grid has that vturb, the table of archives names a grid that is not in `GRIDS`,
        or fewer than two Teff or two [M/H] are complete.
    """
    listed, grid_of, mh_of = _read_archives(archives, vturb)
    orders = {grid: _vturbs(grid, grid_of, listed, vturb) for grid in GRIDS}
    whole = {model for model in found if not _flaw(model, found, listed)}
    chosen, metals, floor = _rectangle(whole, grid_of, mh_of, orders, every=vturb is None)
    if len(metals) < 2 or len({model.teff for model, _ in chosen}) < 2:
        made = ", ".join(sorted({model.composition for model in whole})) or "nothing"
        raise InputError(
            f"{len(whole)} whole spectra of {made} make no grid: at least two [M/H] must be there at two "
            "Teff, in each of BSTAR2006 and OSTAR2002 that is there at all; add the missing archives"
        )
    expected = {
        Model(composition, int(row["teff"]), round(float(row["logg"]), 2), speed)
        for composition, speed in listed
        for row in expected_nodes(nodes, grid_of[composition], speed)
        if speed in orders[grid_of[composition]]
    }
    used = {model for model, _ in chosen}
    planes = {model[1:3] for model in used}

    def left_out(model, grid, mh):
        if model in used:
            return ""
        if model not in whole:
            return _flaw(model, found, listed)
        if model.vturb not in orders[grid]:
            return f"vturb {model.vturb} km/s is not asked for"
        if mh not in metals:
            return f"[M/H] = {mh:+.2f} is not in every grid"
        if model.teff <= floor[grid]:
            return OVERLAP_RULE
        if vturb is not None and model[1:3] in planes:
            return "another vturb is taken"
        return "its (Teff, log g) is not in every composition"

    rows = []
    for model in sorted(expected | found.keys()):
        grid, mh = grid_of.get(model.composition, ""), mh_of.get(model.composition, math.nan)
        status = ("found" if model in whole else "missing") if model in expected else "extra"
        reason = left_out(model, grid, mh)
        rows.append((model.name, grid, model.teff, model.logg, mh, model.vturb, status, not reason, reason))
    names = ("name", "grid", "teff", "logg", "mh", "vturb", "status", "used", "reason")
    units = {"teff": "K", "logg": "dex", "mh": "dex", "vturb": "km / s"}
    return chosen, Table(rows=rows, names=names, units=units)


def _read_archives(archives, vturb):
    """Return the listed pairs of composition and vturb, and the grid and the [M/H] of each composition."""
    unknown = sorted({str(grid) for grid in archives["grid"]} - set(GRIDS))
    if unknown:
        raise InputError(f"the table of archives names {unknown[0]!r}; its grids are {' and '.join(GRIDS)}")
    listed = {(str(row["composition"]), int(row["vturb"])) for row in archives}
    offered = sorted({speed for _, speed in listed})
    if vturb not in (None, *offered):
        raise InputError(f"vturb={vturb!r} km/s is in no archive; use one of {', '.join(map(str, offered))}")
    grid_of = {str(row["composition"]): str(row["grid"]) for row in archives}
    mh_of = {str(row["composition"]): float(row["mh"]) for row in archives}
    return listed, grid_of, mh_of


def _rectangle(whole, grid_of, mh_of, orders, every):
    """Return models at which every [M/H] is there, these [M/H], and the Teff above which a grid is taken."""
    models_of = {
        grid: {m for m in whole if grid_of[m.composition] == grid and m.vturb in orders[grid]}
        for grid in GRIDS
    }
    made_of = [{mh_of[model.composition] for model in models} for models in models_of.values() if models]
    metals = sorted(set.intersection(*made_of)) if made_of else []
    chosen, floor = [], {}
    for grid, models in models_of.items():
        floor[grid] = max((model.teff for model, _ in chosen), default=0)
        letters = {mh_of[name]: name for name in grid_of if grid_of[name] == grid}
        for teff, logg in sorted({(m.teff, m.logg) for m in models if m.teff > floor[grid]}):
            for speed in orders[grid]:
                row = [(Model(letters[mh], teff, logg, speed), mh) for mh in metals]
                if models.issuperset(model for model, _ in row):
                    chosen += row
                    if not every:
                        break
    return chosen, metals, floor


def expected_nodes(nodes, grid, vturb):
    """Return the rows of the table of nodes whose grid is named such as "BSTAR2006_v2_solar"."""
    name = f"{grid}_v{vturb}"
    return nodes[[str(value) == name or str(value).startswith(f"{name}_") for value in nodes["grid"]]]


def _vturbs(grid, grid_of, listed, wanted):
    """Microturbulences to take in a grid, the preferred first; all if none is."""
    offered = sorted({speed for composition, speed in listed if grid_of[composition] == grid})
    return offered if wanted is None else list(dict.fromkeys([wanted] * (wanted in offered) + offered[:1]))


def _flaw(model, found, listed):
    """Say what makes a model useless by itself; empty if nothing does."""
    if model not in found:
        return "no file"
    if (model.composition, model.vturb) not in listed:
        return "composition or vturb is not in the table of archives"
    if model.variant:
        return "its surface composition is altered"
    missing = {FLUX, CONTINUUM} - found[model]
    return f"its .vis.{missing.pop()} is missing" if missing else ""


def write_grid(path, nodes, wave0, dv, flux, header=()):
    """Write a model grid in the layout of `ModelGrid.read`; the same grid again keeps the file's date.

    `nodes` has columns teff [K], logg [dex], mh [dex], vturb [km/s] and source, (n_nodes,); `wave0` is the
    air wavelength [A] of pixel 0 and `dv` the width of a pixel [km/s]. `flux` (n_nodes, n_pix) is divided by
    the continuum, 0 to `MAX_FLUX`, and kept to 1.7e-5, to 5e-5 where it exceeds 2.18; InputError if it is
    beyond these or not finite. `header` has (keyword, value, comment) of what else the primary header shall
    say.
    """
    largest = float(flux.max())
    if not (flux.min() >= 0 and largest <= MAX_FLUX):
        raise InputError(
            f"normalised flux from {flux.min():.3g} to {largest:.3g} cannot be stored, the limits are 0 and "
            f"{MAX_FLUX:.3g}; check that each spectrum was divided by its own continuum"
        )
    scale = _FINE if largest <= _LARGEST / _FINE else _COARSE
    primary = fits.PrimaryHDU()
    primary.header["WAVE0"] = (wave0, "[Angstrom] air wavelength of pixel 0")
    primary.header["DV"] = (dv, "[km/s] pixel width: WAVE0*exp(i*DV/c)")
    primary.header["AIRORVAC"] = "air"
    primary.header["FSCALE"] = (scale, "normalised flux = FLUX / FSCALE")
    primary.header["GRIDFMT"] = (FORMAT, "version of this layout")
    for keyword, value, comment in header:
        if keyword == "HISTORY":
            primary.header.add_history(value)
        else:
            primary.header[keyword] = (value, comment)
    table = fits.BinTableHDU(nodes, name="NODES")
    stored = np.empty(flux.shape, dtype=np.uint16)
    for row, spectrum in zip(stored, flux, strict=True):
        row[:] = np.rint(spectrum * np.float64(scale))
    primary.header["DIGEST"] = digest(primary.header, table.data, stored)
    image = fits.CompImageHDU(stored, name="FLUX", compression_type="RICE_1")
    with atomic(path) as temporary:
        fits.HDUList([primary, table, image]).writeto(temporary)
        if Path(path).is_file() and filecmp.cmp(temporary, path, shallow=False):
            shutil.copystat(path, temporary)
