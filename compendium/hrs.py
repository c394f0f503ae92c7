"""Labels of stars known from high-resolution spectra, and how they compare."""

import math

import numpy as np
from astropy.table import Table, vstack

from compendium.hrs_stars import KNOWN, ORIGINS, REAL, SIMULATED, SNR, SPUN
from compendium.libraries import prepare_library
from slamlib.errors import SlamlibError
from slamlib.inference.validate import scatter_and_bias
from slamlib.instruments import INSTRUMENTS
from slamlib.labels import LOGG, TEFF, VSINI
from slamlib.spectra.degrade import prepare_hires

# Fewer stars have no scatter worth printing.
_LEAST_STARS = 3
READING = """How to read the arms: where those of MRS ask for different metallicities, metal lines disagree
with the models. One [M/H] for all elements cannot suit both arms, and log g, which H alpha alone does not
fix, takes up the difference; LRS has four more Balmer lines to hold on to. Errors are at least those by
blocks, save with the true continuum, where they know of noise and regression only."""


def label_stars(stars, labellers, rng_of):
    """Label stars as each instrument would have observed them, at a SNR of `SNR`.

    Parameters
    ----------
    stars : sequence of HrsStar
    labellers : dict of Labeller
        By the instrument's name.
    rng_of : callable
        Generator of the noise that a name stands for, such as `Run.rng`: no star's noise
        depends on which others there are.

    Returns
    -------
    table : Table
        One row a star and instrument: star, file, origin, instrument, resolution, assumed, reason, rv, the
        labels and errors that `Labeller.label` gives, vsini_limit, chi2, flag, status, and the known labels
        ending in _hrs. A star that an instrument cannot use has its row, with the reason.
    spectra : dict
        Flux and ivar on the instrument's pixels, (n_stars, n_pix) each, by its name.
    """
    tables, spectra = [], {}
    for name, labeller in labellers.items():
        instrument = labeller.instrument
        flux = np.ones((len(stars), instrument.wave.size))
        ivar, rows = np.zeros_like(flux), []
        for i, star in enumerate(stars):
            row = {"star": star.star, "file": star.file, "origin": star.origin, "instrument": name}
            row |= {"resolution": math.nan, "assumed": star.assumed, "reason": star.reason, "rv": math.nan}
            if star.spectrum is not None:
                row["resolution"] = star.spectrum.resolution
                try:
                    rng = rng_of(f"noise of {star.file or star.star} {star.origin} {name}")
                    if math.isfinite(star.fwhm) and name == "LRS":
                        prepared = prepare_library(star, instrument, SNR, labeller.templates, rng)
                    else:
                        prepared = prepare_hires(
                            *(star.spectrum.wave, star.spectrum.flux, star.spectrum.resolution),
                            *(instrument, SNR, labeller.templates, {"file": star.file or star.star}, rng),
                        )
                    flux[i], ivar[i], velocity = prepared
                    row["rv"] = velocity["rv"]
                except SlamlibError as error:
                    row["reason"] = str(error)
            rows.append(row | {f"{key}_hrs": value for key, value in star.known.items()})
        table = Table(rows)
        fit = labeller.label(flux, ivar, [star.simulated for star in stars])
        for column in (*KNOWN, "vsini_limit", "chi2", "flag", "status"):
            table[column] = fit[column]
        tables.append(table)
        spectra[name] = flux, ivar
    table = vstack(tables)
    table.meta["simulated"] = any(star.simulated for star in stars)
    return table, spectra


def arms_apart(table, spectra, labellers, exact):
    """Label real spectra by each arm alone, and by models divided by their true continuum.

    `table` and `spectra` are as `label_stars` gives them; `exact` are labellers trained on spectra divided by
    their true continuum. Returns a Table: of each real star and instrument all pixels, each arm, and all by
    true continuum; file, instrument, pixels, labels and errors, vsini_limit, status.
    """
    tables = []
    for name, labeller in labellers.items():
        instrument = labeller.instrument
        mine = table[table["instrument"] == name]
        seen = {"all": np.ones(instrument.wave.size, bool)}
        if len(instrument.arms) > 1:
            for first, last, _ in instrument.arms:
                within = (instrument.wave >= first) & (instrument.wave <= last)
                seen[f"{first:.0f}-{last:.0f} A"] = within
        flux, ivar = spectra[name]
        stars = np.flatnonzero((mine["origin"] == REAL) & ivar.any(axis=1))
        for pixels, within in seen.items():
            fit = labeller.label(flux[stars], ivar[stars] * within, [False] * len(stars))
            tables.append(_of_files(mine["file"][stars], name, pixels, fit))
        fit = exact[name].label(flux[stars], ivar[stars], [False] * len(stars))
        tables.append(_of_files(mine["file"][stars], name, "true continuum", fit))
    table = vstack(tables)
    return table[np.lexsort((table["instrument"], table["file"]))]


def _of_files(files, instrument, pixels, fit):
    columns = {"file": files, "instrument": [instrument] * len(files), "pixels": [pixels] * len(files)}
    return Table(columns | {name: fit[name] for name in (*KNOWN, "vsini_limit", "status")})


def trusted(table):
    """Tell which rows have labels to trust: inside the grid, with status ok."""
    return (np.asarray(table["flag"]) == "I") & (np.asarray(table["status"]) == "ok")


def comparable(table, label):
    """Tell which rows count in the scatter of a label, (n,): `trusted`, known, and no upper limit."""
    known = np.isfinite(floats(table, label)) & np.isfinite(floats(table, f"{label}_hrs"))
    if label == VSINI.name:
        known &= ~np.isfinite(floats(table, "vsini_limit"))
    return known & trusted(table)


def floats(table, name):
    """Return a column as floats, nan where it is masked."""
    return np.ma.filled(np.ma.asarray(table[name], dtype=float), np.nan)


def hrs_errors(table, published=None):
    """Scatter and bias of SLAM against labels from high-resolution spectra (paper eqs 1 and 2).

    `table` is as `label_stars` gives it; `published` has the paper's own scatter by the keys of
    `paper_claims.ecsv`.

    Returns
    -------
    Table
        One row an instrument, kind of spectra and label: unit, n (stars that count, see `comparable`),
        scatter, bias, error (median of those quoted), n_limits and limits_hold (upper limits of v sin i of
        trusted stars, and how many are not below the known value), paper; within1 and within2, the shares
        that agree within one and two joint errors. Of fewer than three stars there is no scatter.
    """
    rows = []
    for name in INSTRUMENTS:
        for origin in (origin for origin in ORIGINS if (table["origin"] == origin).any()):
            some = table[(table["instrument"] == name) & (table["origin"] == origin)]
            for label in (TEFF, LOGG, VSINI):
                counts = some[comparable(some, label.name)]
                values, known, error, own = (
                    floats(counts, column.format(label.name))
                    for column in ("{}", "{}_hrs", "e_{}", "e_{}_hrs")
                )
                scatter = bias = quoted = math.nan
                pull = np.abs(values - known) / np.hypot(error, np.nan_to_num(own))
                if len(counts) >= _LEAST_STARS:
                    (scatter,), (bias,) = scatter_and_bias(values[:, None], known[:, None])
                    quoted = np.median(error)
                limit = floats(some, "vsini_limit") if label is VSINI else np.full(len(some), np.nan)
                known = floats(some, f"{label.name}_hrs")
                limited = np.isfinite(limit) & np.isfinite(known) & trusted(some)
                rows.append(
                    {"instrument": name, "origin": origin, "label": label.name, "unit": unit_of(label)}
                    | {"n": len(counts), "scatter": scatter, "bias": bias, "error": quoted}
                    | {"n_limits": limited.sum(), "limits_hold": (known <= limit)[limited].sum()}
                    | {f"within{n}": np.mean(pull < n) if len(pull) else math.nan for n in (1, 2)}
                    | {"paper": (published or {}).get(f"sigma_{label.name}_{name.lower()}_hrs", math.nan)}
                )
    errors = Table(rows)
    errors.meta["simulated"] = bool(np.isin(table["origin"], (SIMULATED, SPUN)).any())
    return errors


def unit_of(label):
    """Name the unit of a label's errors: log g has dex, whatever is inside the logarithm."""
    return {TEFF.name: "K", VSINI.name: "km/s"}.get(label.name, "dex")
