"""A simulated survey, written as LAMOST FITS files with the true labels in a table apart.

Its spectra do not come from the interpolation that trains SLAM: nodes are blended by
cubic radial basis functions instead of linearly, microturbulence and helium vary from star to star,
macroturbulence is added, and the instrument profile varies. So results are not flattered.
"""

import hashlib
from dataclasses import dataclass, field

import numpy as np
from astropy.table import vstack
from joblib import Parallel, delayed
from scipy.interpolate import RBFInterpolator
from tqdm import tqdm

from slamlib.errors import InputError
from slamlib.grid.broaden import instrument_sigma, pixel_edges, rebin_matrix
from slamlib.grid.training import blurred
from slamlib.identity import code_digest
from slamlib.instruments import get_instrument
from slamlib.io import atomic, write_ecsv
from slamlib.labels import LABELS, VTURB
from slamlib.mock.lamost_write import write_lrs, write_mrs
from slamlib.mock.observation import emission, observed_counts
from slamlib.mock.population import draw_population, observing_conditions
from slamlib.mock.responses import HELIUM, coordinates, responses
from slamlib.spectra.spectrum import Spectrum, air_from_vacuum
from slamlib.threads import n_cores

_PROFILE_SPREAD = 0.03
_MACROTURBULENCE = 12.0
_COMMON_SNR = (105.0, 300.0)
_CHUNK = 64
# log10 of the vacuum wavelength of LAMOST's coadded pixels: first, last, step.
_NATIVE = {"LRS": ((3.5864, 3.8474, 1e-4),), "MRS": ((3.6896, 3.7306, 1e-5), (3.7972, 3.8354, 1e-5))}
_FIRST_OBSID = {"LRS": 900_000_001, "MRS": 950_000_001}
_WRITERS = {"LRS": write_lrs, "MRS": write_mrs}


@dataclass(frozen=True)
class SpectrumLibrary:
    """Model spectra blended smoothly between the nodes of one or more grids on the same pixels.

    Such as the training grid and its extension. Of labels other than Teff, log g and [M/H] the lowest value
    counts.
    """

    grids: tuple
    _flux: np.ndarray = field(init=False, repr=False, compare=False)
    _blend: RBFInterpolator = field(init=False, repr=False, compare=False)
    _varies: np.ndarray = field(init=False, repr=False, compare=False)

    def __post_init__(self):
        """Join the nodes and solve for the blending weights once."""
        if len({(grid.log_wave0, grid.dv, grid.flux.shape[1]) for grid in self.grids}) != 1:
            raise InputError("the grids of a library must share their pixels; use one wavelength axis")
        grids = [grid.plain() for grid in self.grids]
        flux = np.concatenate([grid.flux for grid in grids])
        nodes = np.concatenate([coordinates(*_plane(grid)) for grid in grids])
        varies = np.ptp(nodes, axis=0) > 0
        blend = RBFInterpolator(nodes[:, varies], np.eye(len(nodes)), kernel="cubic")
        object.__setattr__(self, "_flux", flux)
        object.__setattr__(self, "_blend", blend)
        object.__setattr__(self, "_varies", varies)

    def spectra(self, labels3):
        """Normalised spectra at Teff [K], log g, [M/H] (n, 3): float32, (n, n_pix)."""
        weights = self._blend(coordinates(*np.asarray(labels3, dtype=float).T)[:, self._varies])
        return weights.astype(np.float32) @ self._flux


def _plane(grid):
    # Stars of a grid without metallicities are those of the Sun.
    solar = np.zeros(len(grid.nodes))
    known = (grid.nodes[name] if name in grid.names else solar for name in ("teff", "logg", "mh"))
    return (np.asarray(values, dtype=float) for values in known)


def draw_survey(n_stars, n_common, isochrones, inside, rng, showcase=None):
    """Draw who is observed, by which instrument, and how.

    Parameters
    ----------
    n_stars : dict
        Spectra for each instrument, "LRS" and "MRS".
    n_common : int
        Stars that both observe, at SNR > 100; InputError if more than either instrument observes.
    isochrones, inside, rng
        As `draw_population` takes them.
    showcase : sequence of float, optional
        Labels of the first star that both observe.

    Returns
    -------
    Table
        One row a spectrum: star, obsid, instrument, group, the four labels, vturb, he, snr, rv, ebv,
        ra, dec, mjd, sigma [km/s] (the Gaussian part of its broadening) and file.
    """
    if not 0 <= n_common <= min(n_stars.values()):
        raise InputError(f"{n_common} common stars are wanted of {n_stars}; use 0 to {min(n_stars.values())}")
    n = n_stars["LRS"] + n_stars["MRS"] - n_common
    population = draw_population(n, isochrones, inside, rng)
    if showcase is not None:
        star = population[n_stars["LRS"] - n_common]
        star["group"] = "OB"
        for label, value in zip(LABELS, showcase, strict=True):
            star[label.name] = value
    first = {"LRS": 0, "MRS": n_stars["LRS"] - n_common}
    parts = []
    for name, count in n_stars.items():
        stars = np.arange(first[name], first[name] + count)
        rows = population[stars]
        rows["star"] = stars
        rows["obsid"] = _FIRST_OBSID[name] + np.arange(count)
        rows["instrument"] = name
        for column in (conditions := observing_conditions(count, name, rng)).columns.values():
            rows[column.name] = column
        common = (stars >= first["MRS"]) & (stars < n_stars["LRS"])
        rows["snr"][common] = np.maximum(rows["snr"][common], rng.uniform(*_COMMON_SNR, common.sum()))
        rows["sigma"] = broadening(get_instrument(name), count, rng)
        prefix = {"LRS": "spec", "MRS": "med"}[name]
        rows["file"] = [
            f"{prefix}-{int(c['mjd'])}-SIM_sp01-{obsid}.fits.gz"
            for c, obsid in zip(conditions, rows["obsid"], strict=True)
        ]
        parts.append(rows)
    lrs, mrs = parts
    # Same star, same place, same dust; each instrument has its own night and noise.
    shared_lrs, shared_mrs = np.isin(lrs["star"], mrs["star"]), np.isin(mrs["star"], lrs["star"])
    for column in ("ra", "dec", "ebv", "rv"):
        mrs[column][shared_mrs] = lrs[column][shared_lrs]
    truth = vstack(parts)
    for label in (*LABELS, VTURB):
        truth[label.name].unit, truth[label.name].description = label.unit, f"true {label.description}"
    truth["he"].description = "true helium to hydrogen by number"
    truth.meta["simulated"] = True
    return truth


def broadening(instrument, n, rng):
    """Draw the Gaussian sigma [km/s] of `n` stars: a profile that varies, and macroturbulence."""
    sigma = instrument_sigma(instrument.resolution * (1 + _PROFILE_SPREAD * rng.normal(size=n)))
    return np.hypot(sigma, rng.uniform(0, _MACROTURBULENCE, n))


def write_survey(truth, library, grid, folder, seed, progress=True):
    """Simulate and write every spectrum of a `draw_survey` table that is not yet in `folder`.

    Each spectrum has a random stream of its own, so that a survey interrupted and taken up again has the same
    bytes as one that was not. `grid` is one whose pixels the `SpectrumLibrary` has. Returns a Table of star,
    obsid, instrument and file of every spectrum; it is also written to ``folder/index.ecsv``, beside the
    truth in ``folder/truth.ecsv``.
    """
    _forget_other_surveys(truth, folder, seed)
    chunks = [
        rows[i : i + _CHUNK]
        for rows in truth.group_by("instrument").groups
        for i in range(0, len(rows), _CHUNK)
    ]
    # A chunk is simulated whole even if one file is missing: the last bits of a spectrum
    # depend on those computed with it.
    chunks = [rows for rows in chunks if not all((folder / file).exists() for file in rows["file"])]
    with Parallel(n_jobs=n_cores(), backend="threading") as pool:
        for rows in tqdm(chunks, desc="simulated spectra", unit="chunk", disable=not progress):
            name = rows["instrument"][0]
            spectra = simulate(rows, library, grid, name, seed)
            pool(
                delayed(_WRITERS[name])(folder / file, spectrum)
                for file, spectrum in zip(rows["file"], spectra, strict=True)
                if not (folder / file).exists()
            )
    index = truth["star", "obsid", "instrument", "file"]
    index.meta["simulated"] = True
    for table, name in ((truth, "truth.ecsv"), (index, "index.ecsv")):
        write_ecsv(table, folder / name)
    return index


def _forget_other_surveys(truth, folder, seed):
    """Delete the spectra in `folder` unless they come from this truth, seed and code."""
    drawn = repr([truth[name].tolist() for name in truth.colnames]).encode()
    recipe = f"{code_digest(__name__)} {seed} {hashlib.sha256(drawn).hexdigest()}"
    kept = folder / ".recipe"
    if not kept.exists() or kept.read_text() != recipe:
        for path in folder.glob("*-SIM_*.fits.gz"):
            path.unlink()
        with atomic(kept) as temporary:
            temporary.write_text(recipe)


def simulate(rows, library, grid, instrument, seed, noise=True, change=None):
    """Simulate the spectra of some rows of the truth table.

    Parameters
    ----------
    rows : Table
        Rows of one instrument. Without columns vturb and he, and with a grid on other pixels than the
        embedded ones, stars have the microturbulence and helium of the library.
    library, grid, seed
        As `write_survey` takes them.
    instrument : Instrument or str
    noise : bool
        False gives the same stars, as free of noise as `observed_counts` can.
    change : callable, optional
        ``change(flux, rows)`` gives the spectra that the telescope sees, of those at the surface (n,
        n_pix); by default they are broadened and shifted as `rows` say.

    Returns
    -------
    list of Spectrum
        In air, on the `native_pixels`, heliocentric, in counts.
    """
    instrument = get_instrument(instrument)
    streams = [np.random.default_rng([seed, int(obsid)]) for obsid in rows["obsid"]]
    flux = surface(rows, library, grid)
    for i, group in enumerate(rows["group"]):
        flux[i] = emission(grid.wave, flux[i], group, streams[i])
    if change is None:
        fine = blurred(flux, grid, instrument, rows["vsini"], rows["sigma"], rows["rv"])
    else:
        fine = change(flux, rows)
    arms = []
    for wave in native_pixels(instrument):
        arms.append((wave, fine @ rebin_matrix(pixel_edges(grid.wave), pixel_edges(wave))))
    return [
        expose([(wave, star[i]) for wave, star in arms], row, instrument.name, streams[i], noise)
        for i, row in enumerate(rows)
    ]


def surface(rows, library, grid):
    """Spectra (n, n_pix) of stars as `simulate` takes them, before they are broadened and shifted.

    Labels of the grid beyond [M/H] change spectra as the grid has it; microturbulence and helium that
    the grid lacks, as `Responses` have it.
    """
    labels = np.column_stack([rows["teff"], rows["logg"], rows["mh"]])
    flux, further = library.spectra(labels), [label.name for label in grid.further]
    if "vturb" in rows.colnames and responses().fits(grid):
        helium = np.full(len(rows), HELIUM) if "he" in further else rows["he"]
        flux = flux + responses()(labels, rows["vturb"], helium)
        further = [name for name in further if name != "vturb"]
    further = [name for name in further if name in rows.colnames]
    return flux + _further(rows, grid, further) if further else flux


def _further(rows, grid, names):
    """Change of flux (n, n_pix) from the lowest values of further labels of the grid to those of `rows`."""
    further = {label.name for label in grid.further}
    stars, lowest = np.empty((2, len(rows), len(grid.axes)))
    for i, (name, low, high) in enumerate(zip(grid.names, *grid.ranges, strict=True)):
        lowest[:, i] = low if name in further else rows[name]
        stars[:, i] = np.clip(rows[name], low, high) if name in names else lowest[:, i]
    inside, change = grid.contains(stars), np.zeros((len(rows), grid.wave.size), np.float32)
    change[inside] = grid.spectra(stars[inside]) - grid.spectra(lowest[inside])
    return change


def native_pixels(instrument):
    """Pixel centres of an instrument's files in air [A], one array (n,) for each arm.

    Of an instrument other than LAMOST's: as wide as it says, and 45 A beyond its arms.
    """
    instrument = get_instrument(instrument)
    wide = [(*np.log10(arm[:2]), instrument.sampling) for arm in instrument.widened().arms]
    ranges = _NATIVE.get(instrument.name) or wide
    grids = [first + step * np.arange(round((last - first) / step) + 1) for first, last, step in ranges]
    pixels = [10**grid for grid in grids]
    return [air_from_vacuum(wave) if instrument.name in _NATIVE else wave for wave in pixels]


def expose(arms, row, instrument, rng, noise=True):
    """Observe one star of known normalised spectrum: a `Spectrum`.

    `arms` has, of each arm, the `native_pixels` and the flux on them, broadened and shifted; `row` is of the
    truth table, with obsid, ra, dec, mjd, snr and ebv; `noise` is as `simulate` takes it.
    """
    pieces = [observed_counts(wave, flux, row, instrument, rng, noise) for wave, flux in arms]
    flux, ivar, mask = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
    header = {name: row[name] for name in ("obsid", "ra", "dec", "mjd")}
    header |= {"simulated": True, "release": "simulated, layout of DR7", "rv": np.nan, "e_rv": np.nan}
    snr = [row["snr"]]
    if instrument == "MRS":
        # Both arms are exposed alike; each file says what its own pixels have.
        snr = [float(np.median(arm_flux * np.sqrt(arm_ivar))) for arm_flux, arm_ivar, _ in pieces]
    header |= {"snr": min(snr), "snr_b": snr[0], "snr_r": snr[-1]}
    return Spectrum(np.concatenate([wave for wave, _ in arms]), flux, ivar, mask, header)
