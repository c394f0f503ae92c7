"""How well stars that are not early-type are told: rates on simulated stars and on the MILES library."""

import numpy as np
from astropy.table import Table

from compendium.miles import observe_miles, read_miles
from slamlib.errors import SlamlibError
from slamlib.instruments import get_instrument
from slamlib.mock.population import observing_conditions
from slamlib.spectra.prepare import prepare_with_velocity

# Stars of the library by temperature: from [K], and what the spectral type is about.
KINDS = ((0, "K, M"), (5_200, "G"), (6_000, "F"), (7_500, "A"), (10_000, "late B"), (15_000, "O, B"))


def miles_spectra(folder, instrument, templates, snr, n, rng):
    """Observe and prepare `n` stars of the MILES library, spread evenly over it; all if it has fewer.

    Returns kinds, of `KINDS`, (n,), and flux and ivar, float32 (n, n_pix); ivar = 0 where no velocity was
    found.
    """
    stars, wave, flux = read_miles(folder)
    some = np.unique(np.linspace(0, len(stars) - 1, n).astype(int))
    rows = observing_conditions(len(some), instrument, rng)
    rows["snr"], rows["obsid"] = float(snr), 0
    found = [
        _prepared(observe_miles(wave, flux[i], row, instrument, rng), instrument, templates)
        for i, row in zip(some, rows, strict=True)
    ]
    first = np.searchsorted([start for start, _ in KINDS], stars["teff"][some], side="right") - 1
    return np.array([name for _, name in KINDS])[first], *map(np.array, zip(*found, strict=True))


def _prepared(spectrum, instrument, templates):
    try:
        flux, ivar, _ = prepare_with_velocity(spectrum, instrument, templates)
    except SlamlibError:
        flux = np.ones(get_instrument(instrument).wave.size)
        ivar = 0 * flux
    return flux.astype(np.float32), ivar.astype(np.float32)


def rates(table, kinds, instrument, snr):
    """Count what becomes of stars of several kinds, (n,), by the table of their labels.

    Returns a Table of instrument, stars (the kind), snr, n, no_velocity, not_early (fractions that no label,
    or the status "not early-type", tells apart) and believed (fraction of flag I and status ok).
    """
    status, inside = np.asarray(table["status"]), np.asarray(table["flag"]) == "I"
    rows = []
    for kind in dict.fromkeys(kinds):
        some = np.asarray(kinds) == kind
        shares = [
            np.mean(what[some])
            for what in (status == "no data", status == "not early-type", inside & (status == "ok"))
        ]
        rows.append((instrument, kind, snr, int(some.sum()), *shares))
    return Table(rows=rows, names=("instrument", "stars", "snr", "n", "no_velocity", "not_early", "believed"))
