"""Write model spectra as files and archives of the official TLUSTY site, so that a copy of it can be served.

The spectra come from a `ModelGrid`, whose pixels hold means. They are written as irregular
points, two or so a pixel, such that the function linear between the points has exactly those
means: what is read back is what was written.
"""

import gzip
import io
import re
import tarfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from slamlib.errors import InputError
from slamlib.grid.broaden import pixel_edges
from slamlib.grid.tlusty.merge import CONTINUUM, FLUX, Model, expected_nodes
from slamlib.grid.tlusty.read import ARCHIVES, NODES
from slamlib.io import atomic, read_ecsv

# The files reach this far beyond the pixels at both ends [A].
_MARGIN = 20.0
# A flux of 1e-101 at the blue end, as cool models have in the far ultraviolet, so that the
# exponents without a letter are there to be read.
_FAINT = 2.58e-101
_CONTINUUM_STEP = 5.0
# [M/H] of a composition may lie this far outside the grid (log10 2 is 0.30103, not 0.3).
_MH_SLACK = 0.01
# Of the Planck function: h c / k [A K], and 2 h c^2 for wavelengths in A and flux per A.
_HC_K, _TWO_HC2 = 1.43877688e8, 1.19104297e27


def sample(means, edges, rng):
    """Points whose linear interpolant has the given pixel means.

    One point at each edge, half-way between the means of its two pixels, and one at a
    random place inside each pixel, which makes up for what is left: with a and b at the
    edges and c at the fraction t of the pixel, the mean is (c + t a + (1 - t) b) / 2.

    Parameters
    ----------
    means : ndarray, (n_pix,)
    edges : ndarray, (n_pix + 1,)
    rng : numpy.random.Generator

    Returns
    -------
    position, value : ndarray, (2 n_pix + 1,)

    Examples
    --------
    >>> _, value = sample(np.array([1.0, 0.5]), np.array([0.0, 1.0, 2.0]), np.random.default_rng(0))
    >>> value[::2].tolist()
    [1.0, 0.75, 0.5]
    """
    means = np.asarray(means, dtype=float)
    at_edge = np.concatenate([means[:1], (means[1:] + means[:-1]) / 2, means[-1:]])
    part = rng.uniform(0.3, 0.7, means.size)
    position, value = np.empty(2 * means.size + 1), np.empty(2 * means.size + 1)
    position[::2], value[::2] = edges, at_edge
    position[1::2] = edges[:-1] + part * np.diff(edges)
    value[1::2] = 2 * means - part * at_edge[:-1] - (1 - part) * at_edge[1:]
    return position, value


def spectrum_files(model, wave, means):
    """Return the two files of a model in the official format.

    Parameters
    ----------
    model : Model
    wave : ndarray, (n_pix,)
        Centres of the pixels, air [A].
    means : ndarray, (n_pix,)
        Normalised flux.

    Returns
    -------
    dict of str to bytes
        File name to content: wavelength [A] and Eddington flux [erg / (s cm^2 A)], the
        spectrum and its continuum (a black body's). The same input gives the same bytes.
    """
    rng = np.random.default_rng(zlib.crc32(model.name.encode()))
    lower, upper = pixel_edges(wave)
    position, value = sample(means, np.append(lower, upper[-1]), rng)
    blue = lower[0] - np.sort(rng.uniform(0.1, _MARGIN, 200))[::-1]
    red = upper[-1] + np.sort(rng.uniform(0.1, _MARGIN, 200))
    position = np.concatenate([blue, position, red])
    value = np.concatenate([np.ones(blue.size), value, np.ones(red.size)])
    steps = int((position[-1] - position[0]) / _CONTINUUM_STEP) + 2
    coarse = np.linspace(position[0] - 1, position[-1] + 1, steps)
    coarse[1:-1] += rng.uniform(-0.3, 0.3, steps - 2) * _CONTINUUM_STEP
    level = _TWO_HC2 / coarse**5 / np.expm1(_HC_K / (coarse * model.teff)) / 4
    flux = value * np.interp(position, coarse, level)
    flux[: blue.size // 2] = _FAINT
    root = f"{model.name}.vis."
    return {root + FLUX: _columns(position, flux), root + CONTINUUM: _columns(coarse, level)}


def _columns(wave, flux):
    """Two columns as Fortran writes them; three-digit exponents lose their letter."""
    text = "".join(map("%12.5f%14.6E\n".__mod__, zip(wave.tolist(), flux.tolist(), strict=True)))
    return re.sub(r"E([+-]\d{3})", r"\1", text).replace("E", "D").encode()


def write_archives(grid, folder, *, archives=ARCHIVES, nodes=NODES, progress=True):
    """Write a model grid as the archives of the official site: tar files of gzipped members.

    Parameters
    ----------
    grid : ModelGrid
        Interpolated at the nodes that it encloses; the others are left out.
    folder : str or Path
        Where the archives shall be.
    archives : str, Path or Table
        Compositions, [M/H], vturb, and names of archive and folder.
    nodes : str, Path or Table
        The (Teff, log g) of each grid; pass fewer for a smaller copy.
    progress : bool

    Returns
    -------
    list of Path
        The archives; one with no node inside the grid is not written.

    Raises
    ------
    InputError
        If a composition's [M/H] lies outside the grid.
    """
    archives, nodes = (read_ecsv(t) if isinstance(t, str | Path) else t for t in (archives, nodes))
    low, high = grid.mh_values[[0, -1]]
    paths = []
    for row in tqdm(archives, desc="TLUSTY archives", unit="archive", disable=not progress):
        mh = float(np.clip(row["mh"], low, high))
        if abs(mh - row["mh"]) > _MH_SLACK:
            raise InputError(f"[M/H] = {row['mh']} of composition {row['composition']} is outside the grid")
        wanted = expected_nodes(nodes, row["grid"], row["vturb"])
        labels = np.column_stack([wanted["teff"], wanted["logg"], np.full(len(wanted), mh)])
        labels = labels[grid.contains(labels)] if len(labels) else labels
        if len(labels):
            path = Path(folder) / str(row["archive"])
            composition, vturb = str(row["composition"]), int(row["vturb"])
            spectra = (
                (Model(composition, int(label[0]), label[1], vturb), grid.spectra(label)[0])
                for label in labels
            )
            _write_tar(path, str(row["folder"]), grid.wave, spectra)
            paths.append(path)
    return paths


def _write_tar(path, folder, wave, spectra):
    mode: Any = "w:" + (path.suffix.lstrip(".") if path.suffix in (".gz", ".bz2", ".xz") else "")
    with atomic(path) as temporary, tarfile.open(temporary, mode) as tar:
        for model, means in spectra:
            for name, content in sorted(spectrum_files(model, wave, means).items()):
                content = gzip.compress(content, compresslevel=1, mtime=0)
                member = tarfile.TarInfo(f"{folder}/{name}.gz")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
