"""The optical spectra of TLUSTY's OSTAR2002 and BSTAR2006, from the official files to one model grid.

A model has two files of two columns, wavelength [A] and Eddington flux: the spectrum
(``BG19000g400v2.vis.7``) and its continuum on a coarser sampling (``.vis.17``). They come in archives of one
folder a composition. Wavelengths are in air: Synspec, which computed them, writes air wavelengths above 2000
A unless its input asks for vacuum by a negative last wavelength (``vaclim=2000.`` in its source). That is
what a `ModelGrid` uses, so nothing is converted.

The files must reach half a pixel beyond the centres of the first and the last pixel
(3849.97-7050.05 A by default); the official ones reach from about 3,000 to 10,000 A.
"""

import hashlib
import json
import math
import re
from collections import defaultdict
from pathlib import Path

import numpy as np
from astropy.table import Table
from tqdm import tqdm

from slamlib.errors import FileError
from slamlib.grid.broaden import pixel_edges
from slamlib.grid.model_grid import ModelGrid
from slamlib.grid.tlusty.archives import entries
from slamlib.grid.tlusty.merge import (
    CONTINUUM,
    FLUX,
    MAX_FLUX,
    OVERLAP_RULE,
    Model,
    choose,
    write_grid,
)
from slamlib.grid.tlusty.report import GridReport
from slamlib.instruments import C_KMS
from slamlib.io import embedded, read_ecsv

ARCHIVES = embedded("tlusty_archives.ecsv")
NODES = embedded("tlusty_nodes.ecsv")
# Pixels of the embedded grid: air wavelength of the first [A], width [km/s], number.
PIXELS = (3850.0, 4.0, 45340)

_FILE = re.compile(rf"(\w+)\.vis\.({FLUX}|{CONTINUUM})(?:\.gz)?")
# Fortran has no room for the letter of a three-digit exponent: 2.58-101 is 2.58E-101.
_LETTERLESS = re.compile(rb"(?<=[\d.])([+-]\d{3})(?!\d)")
_FORTRAN_LETTERS = bytes.maketrans(b"Dd", b"EE")
# Synspec works piece by piece; where pieces meet, points may repeat, or step back this far [A].
_STEP_BACK = 0.05


def read_columns(content, where):
    """Read the two columns of an official file: air wavelength [A], not descending, and Eddington flux, (n,).

    Numbers are as Fortran writes them: 1.2E+05, 1.2D+05 or 1.2-101. A last line that does not end is left
    out, for it may be cut inside a number. FileError, which names `where`, if there is anything but two
    columns of finite numbers, or the wavelengths are out of order.
    """
    content = content[: content.rfind(b"\n") + 1].strip()
    text = _LETTERLESS.sub(rb"E\1", content.translate(_FORTRAN_LETTERS))
    try:
        values = np.fromstring(text, dtype=float, sep=" ")
    except ValueError:
        values = np.empty(0)
    if values.size == 0 or values.size != 2 * (content.count(b"\n") + 1) or not np.isfinite(values).all():
        raise FileError(f"{where} is not two columns of numbers; delete it and fetch it again")
    wave, flux = values.reshape(-1, 2).T
    step = np.diff(wave)
    if step.size and step.min() < 0:
        if step.min() < -_STEP_BACK:
            at = wave[np.argmin(step)]
            raise FileError(f"{where}: wavelengths go back after {at:.3f} A; delete it and fetch it again")
        order = np.argsort(wave, kind="stable")
        wave, flux = wave[order], flux[order]
    return wave, flux


def pixel_means(wave, flux, edges):
    """Mean over each pixel of the function that is linear between points (n,), not descending; exact.

    A wavelength given twice is a jump. `edges` (n_pix + 1,) ascend inside the range of `wave`.

    Examples
    --------
    >>> pixel_means(np.array([0.0, 1.0, 4.0]), np.array([0.0, 2.0, 2.0]), np.array([0.0, 0.5, 3.0])).tolist()
    [0.5, 1.9]
    """
    area = np.concatenate([[0.0], np.cumsum(np.diff(wave) * (flux[1:] + flux[:-1]) / 2)])
    left = np.searchsorted(wave, edges, side="right") - 1
    at_edge = np.interp(edges, wave, flux)
    return np.diff(area[left] + (edges - wave[left]) * (flux[left] + at_edge) / 2) / np.diff(edges)


def normalised_means(spectrum, continuum, edges, where):
    """Divide a spectrum by its continuum and bin it: float32, (n_pix,).

    Both are wavelength [A] and flux, as `read_columns` returns them; `edges` (n_pix + 1,) are those of the
    pixels [A]. FileError, which names `where`, if either does not cover the pixels, or the quotient is no
    normalised spectrum.
    """
    for (wave, _), name in ((spectrum, "flux"), (continuum, "continuum")):
        if wave[0] > edges[0] or wave[-1] < edges[-1]:
            raise FileError(
                f"{where}: its {name} covers {wave[0]:.2f}-{wave[-1]:.2f} A of the {edges[0]:.2f}-"
                f"{edges[-1]:.2f} A wanted; if it was cut short, delete it and fetch it again"
            )
    wave, flux = spectrum
    level = np.interp(wave, *continuum)
    means = pixel_means(wave, flux / np.where(level > 0, level, np.nan), edges)
    if not (means.min() >= 0 and means.max() <= MAX_FLUX):
        raise FileError(
            f"{where}: flux over continuum runs from {means.min():.3g} to {means.max():.3g}, which is no "
            f"normalised spectrum; check that the .vis.{FLUX} and .vis.{CONTINUUM} belong together"
        )
    return means.astype(np.float32)


def build_grid(
    folder, output, *, vturb=None, reference=None, date=None, archives=ARCHIVES, nodes=NODES, progress=True
):
    """Make one model grid of the TLUSTY spectra in a folder.

    In the overlap of the grids BSTAR2006 is taken; a (Teff, log g) that lacks a composition
    is left out, and so is an [M/H] that one of the two grids lacks altogether (see
    `slamlib.grid.tlusty.merge`). The report says all of it; the file's header says where the
    spectra came from. The same files, however packed, give the same bytes.

    Parameters
    ----------
    folder : str or Path
        Holds archives, folders or files of the official site, in any nesting.
    output : str or Path
        The grid's FITS file, written whole or not at all.
    vturb : int, optional
        Microturbulence [km/s] preferred for the B stars: 2, or 10 where there are such
        models in every composition (elsewhere 2). By default both are taken, and vturb is a
        label of the grid if any star has both.
    reference : str or Path, optional
        A grid whose pixels to use; by default 3850-7050 A at 4 km/s, as the embedded grid.
    date : str, optional
        Date to write into the header.
    archives, nodes : str or Path
        ECSV tables of the compositions and of the nodes to expect.
    progress : bool
        Show progress bars.

    Returns
    -------
    GridReport
        Print it for the summary.

    Raises
    ------
    FileError
        If the folder holds no spectra, or an archive or a file in it is damaged.
    InputError
        If what was found makes no grid.
    """
    wave0, dv, n_pix = PIXELS if reference is None else _pixels_of(ModelGrid.read(reference))
    lower, upper = pixel_edges(wave0 * np.exp(np.arange(n_pix) * dv / C_KMS))
    edges = np.append(lower, upper[-1])
    archives, nodes = read_ecsv(archives), read_ecsv(nodes)
    places, continua, digests, repeated = _look_through(folder, progress)
    if not places:
        raise FileError(
            f"no TLUSTY spectra in {folder}; it needs archives such as {archives['archive'][0]} or files "
            f"such as BG19000g400v2.vis.{FLUX} and BG19000g400v2.vis.{CONTINUUM}"
        )
    chosen, table = choose({model: set(files) for model, files in places.items()}, archives, nodes, vturb)
    row_at = {places[model][FLUX]: row for row, (model, _) in enumerate(chosen)}
    flux = np.empty((len(chosen), n_pix), dtype=np.float32)
    with tqdm(total=len(chosen), desc="TLUSTY spectra", unit="spectrum", disable=not progress) as bar:
        for where, read in entries(folder):
            if where in row_at:
                row, content = row_at[where], read()
                model = chosen[row][0]
                digests[model, FLUX] = hashlib.sha256(content).hexdigest()
                spectrum = read_columns(content, where)
                flux[row] = normalised_means(spectrum, continua[model], edges, where)
                bar.update()
    sources = [
        f"{model.name}.vis.{kind} {digests[model, kind]}" for model, _ in chosen for kind in (CONTINUUM, FLUX)
    ]
    header = [] if vturb is None else [("VTURB", vturb, "[km/s] preferred for the B stars")]
    if len({(m.teff, m.logg) for m, _ in chosen}) < len({m[1:4] for m, _ in chosen}):
        header.append(("LABELS", json.dumps(["teff", "logg", "mh", "vturb"]), ""))
    header += [
        ("NFILES", len(sources), "files read: flux and continuum of each node"),
        ("INPUTSHA", hashlib.sha256("\n".join(sources).encode()).hexdigest(), ""),
        ("HISTORY", "Non-LTE spectra of OSTAR2002 (Lanz & Hubeny 2003) and BSTAR2006 (2007),", ""),
        ("HISTORY", "each divided by its continuum, mean over each pixel.", ""),
        ("HISTORY", f"{OVERLAP_RULE},", ""),
        ("HISTORY", "OSTAR2002 above the hottest column of BSTAR2006.", ""),
        ("HISTORY", "INPUTSHA is the sha256 of the lines 'file sha256' of the unpacked files.", ""),
    ]
    header += [] if date is None else [("DATE", str(date), "when this grid was built")]
    grids = {row["name"]: row["grid"] for row in table}
    names = ("teff", "logg", "mh", "vturb", "source")
    rows = [(m.teff, m.logg, mh, m.vturb, grids[m.name]) for m, mh in chosen]
    node_table = Table(rows=rows, names=names, dtype=("f8", "f8", "f8", "f8", "U9"))
    write_grid(output, node_table, wave0, dv, flux, header)
    return GridReport(table, Path(output), repeated)


def _look_through(folder, progress):
    """Where each model's files are, the continua, their digests, and how many files come again.

    The continua are read at once: they are small, and an archive may hold them in any order.
    """
    places, continua, digests, repeated = defaultdict(dict), {}, {}, 0
    for where, read in tqdm(entries(folder), desc="TLUSTY files", unit="file", disable=not progress):
        match = _FILE.fullmatch(re.split("[/:]", where)[-1])
        model = Model.parse(match[1]) if match else None
        if match is None or model is None:
            continue
        kind = match[2]
        if kind in places[model]:
            repeated += 1
            continue
        places[model][kind] = where
        if kind == CONTINUUM:
            content = read()
            continua[model] = read_columns(content, where)
            digests[model, kind] = hashlib.sha256(content).hexdigest()
    return places, continua, digests, repeated


def _pixels_of(grid):
    return round(math.exp(grid.log_wave0), 9), grid.dv, grid.flux.shape[1]
