"""How often is a star told that is not single or not plain? Rates on simulated spectra."""

from dataclasses import replace

import numpy as np
from astropy.table import Table

from compendium.strangers import strangers
from slamlib.errors import InputError
from slamlib.grid.broaden import broaden, pixel_edges, rebin_matrix
from slamlib.instruments import C_KMS
from slamlib.mock.survey import expose, native_pixels, surface
from slamlib.spectra.prepare import prepare_with_velocity

# Companions: their velocities differ from half the instrument's FWHM to this [km/s].
_FASTEST = 300.0
# Height of H alpha emission in units of the continuum, and its standard width [A].
_HEIGHT, _WIDTH = (0.05, 0.3), (1.5, 5.0)
# What the pixels, arms, sky and rotation of the other changes are.
_ARM, _SKY, _FAST = 40.0, 0.1, (350.0, 450.0)
# The status that each change should have; "" where none is made for it.
CHANGES = {
    "none: single stars": "ok",
    "companion, flux ratio 0.2-0.5": "double",
    "companion, flux ratio 0.5-1": "double",
    "H alpha emission of 5-30%": "emission",
    "smoothed over 3 pixels": "wrong ivar",
    "arms 40 km/s apart": "arms apart",
    "sky of 10% left in": "",
    "v sin i of 350-450 km/s": "",
}


def changed(observatory, change, n, snr, seed):
    """Simulate and prepare `n` stars of an `Observatory` that one of `CHANGES` was done to.

    Returns flux and ivar, float32 (m, n_pix), m <= n: without those that have no velocity.
    """
    rng, name = np.random.default_rng([seed, *change.encode()]), observatory.instrument.name
    rows = observatory.draw(n, snr, seed)
    if "v sin i" in change:
        rows["vsini"] = rng.uniform(*_FAST, n)
    flux = _fine(observatory, rows, rows["rv"])
    if "companion" in change:
        ratio = rng.uniform(*((0.2, 0.5) if "0.2" in change else (0.5, 1.0)), n)
        flux = (flux + ratio[:, None] * _companions(observatory, rows, ratio, rng)) / (1 + ratio[:, None])
    if "emission" in change:
        flux = flux + _emission(observatory.grid.wave, rows["rv"], rng)
    pixels = native_pixels(name)
    arms = [flux @ rebin_matrix(pixel_edges(observatory.grid.wave), pixel_edges(wave)) for wave in pixels]
    found = []
    for i, row in enumerate(rows):
        star = expose([(w, arm[i]) for w, arm in zip(pixels, arms, strict=True)], row, name, rng)
        try:
            found.append(prepare_with_velocity(_spoilt(star, change), name, observatory.templates)[:2])
        except InputError:
            continue
    return tuple(np.array(part, dtype=np.float32) for part in zip(*found, strict=True))


def _fine(observatory, rows, rv):
    flux = surface(rows, observatory.library, observatory.grid)
    return broaden(flux, observatory.grid.dv, rows["vsini"], rows["sigma"], rv)


def _companions(observatory, rows, ratio, rng):
    """Fainter stars of the same [M/H], on or near the main sequence, where Teff goes as flux^0.2."""
    others, n = rows.copy(), len(rows)
    coolest = observatory.grid.ranges[0, 0]
    others["teff"] = np.maximum(rows["teff"] * ratio**0.2 * rng.uniform(0.9, 1.1, n), coolest)
    others["logg"] = np.minimum(rows["logg"] + rng.uniform(0, 0.3, n), 4.4)
    others["vsini"] = rng.permutation(np.asarray(rows["vsini"]))
    half = C_KMS / observatory.instrument.resolution / 2
    return _fine(observatory, others, rows["rv"] + rng.choice([-1, 1], n) * rng.uniform(half, _FASTEST, n))


def _emission(wave, rv, rng):
    """Gaussian emission (n, n_pix) in H alpha, and a quarter of it in H beta."""
    n = len(rv)
    height, width, moved = rng.uniform(*_HEIGHT, n), rng.uniform(*_WIDTH, n), 1 + np.asarray(rv) / C_KMS
    lines = ((6562.8, 1.0), (4861.3, 0.25))
    at = ((wave - centre * moved[:, None]) / (width[:, None] * centre / 6562.8) for centre, _ in lines)
    return height[:, None] * sum(s * np.exp(-0.5 * x**2) for x, (_, s) in zip(at, lines, strict=True))


def _spoilt(star, change):
    """Do to a `Spectrum` what no star, but an instrument or a pipeline does."""
    if "smoothed" in change:
        return replace(star, flux=np.convolve(star.flux, np.full(3, 1 / 3), mode="same"))
    if "arms" in change:
        red = star.wave > 6000
        return replace(star, wave=np.where(red, star.wave * (1 + _ARM / C_KMS), star.wave))
    if "sky" in change:
        return replace(star, flux=star.flux + _SKY * np.median(star.flux))
    return star


def detection(labeller, observatory, n, snr, seed):
    """Count what becomes of `n` stars of each change, and of `n` things, `strangers`, that are no OB stars.

    Returns a Table of instrument, what, snr, n, status (made for it), told (fraction that has it), double,
    emission (fractions that have these) and believed (fraction of status ok inside the grid).
    """
    name, spectra = observatory.instrument.name, []
    for change, status in CHANGES.items():
        if "arms" not in change or len(labeller.instrument.arms) > 1:
            flux, ivar = changed(observatory, change, n, snr, seed)
            spectra.append((change, status, flux, ivar, np.full(len(flux), float(snr))))
    kinds, *rest = strangers(name, labeller.templates, n, np.random.default_rng([seed, 1]))
    spectra += [(kind, "", *(part[kinds == kind] for part in rest)) for kind in dict.fromkeys(kinds)]
    # Together: a fit of few stars takes nearly as long as one of many.
    flux, ivar, own = (np.concatenate(part) for part in list(zip(*spectra, strict=True))[2:])
    every, first, rows = labeller.label(flux, ivar, np.ones(len(flux), bool), own), 0, []
    for what, status, flux, *_ in spectra:
        table, first = every[first : first + len(flux)], first + len(flux)
        found = np.asarray(table["status"])
        believed = (found == "ok") & (np.asarray(table["flag"]) == "I")
        told = [np.mean(found == word) for word in (status, "double", "emission")]
        told[0] = told[0] if status else np.nan
        shown = snr if what in CHANGES else np.nan
        rows.append((name, what, shown, len(flux), status, *told, believed.mean()))
    names = ("instrument", "what", "snr", "n", "status", "told", "double", "emission", "believed")
    return Table(rows=rows, names=names, meta={"simulated": True})
