"""Model spectra as TLUSTY's official files and archives: a few, or a whole grid, plain or packed.

The pixels of a model grid hold means. They are written as irregular points, two or so a pixel, such that the
function linear between the points has exactly those means: what is read back is what was written.
"""

import gzip
import io
import re
import tarfile
import zipfile
import zlib

import numpy as np

from slamlib.grid.broaden import pixel_edges
from slamlib.grid.tlusty.merge import CONTINUUM, FLUX, Model, expected_nodes
from slamlib.grid.tlusty.read import ARCHIVES, NODES
from slamlib.io import read_ecsv

N_PIX = 400
WAVE = 4000 * np.exp(np.arange(N_PIX) * 4.0 / 299792.458)
# The files reach this far beyond the pixels at both ends [A].
_MARGIN = 20.0
# A flux of 1e-101 at the blue end, as cool models have in the far ultraviolet, so that the
# exponents without a letter are there to be read.
_FAINT = 2.58e-101
_CONTINUUM_STEP = 5.0
# Of the Planck function: h c / k [A K], and 2 h c^2 for wavelengths in A and flux per A.
_HC_K, _TWO_HC2 = 1.43877688e8, 1.19104297e27


def sample(means, edges, rng):
    """Points (position, value), each (2 n_pix + 1,), whose linear interpolant has the given pixel means.

    One point at each edge, half-way between the means of its two pixels, and one at a
    random place inside each pixel, which makes up for what is left: with a and b at the
    edges and c at the fraction t of the pixel, the mean is (c + t a + (1 - t) b) / 2.
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
    """The two files of a model, by name: wavelength [A] and flux, of the spectrum and of a black body."""
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


def write_archives(grid, folder, archives=ARCHIVES, nodes=NODES):
    """Write the nodes that a grid encloses as official tar files; return their paths."""
    archives, nodes = (t if hasattr(t, "colnames") else read_ecsv(t) for t in (archives, nodes))
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for row in archives:
        wanted = expected_nodes(nodes, row["grid"], row["vturb"])
        # log10 of twice solar, 0.30103, lies that much beyond the grid of 0.3.
        mh = np.full(len(wanted), np.clip(row["mh"], *grid.mh_values[[0, -1]]))
        labels = np.column_stack([wanted["teff"], wanted["logg"], mh])
        labels = labels[grid.contains(labels)] if len(labels) else labels
        if len(labels):
            paths.append(folder / str(row["archive"]))
            with tarfile.open(paths[-1], "w") as tar:
                for teff, logg, mh in labels:
                    model = Model(str(row["composition"]), int(teff), logg, int(row["vturb"]))
                    files = spectrum_files(model, grid.wave, grid.spectra([teff, logg, mh])[0])
                    _add(tar, str(row["folder"]), dict(sorted(files.items())), packed=True)
    return paths


def _add(tar, folder, files, packed):
    for name, text in files.items():
        member = tarfile.TarInfo(f"{folder}/{name}{'.gz' if packed else ''}")
        text = gzip.compress(text, 1, mtime=0) if packed else text
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text))


def flux_of(model):
    """Tell each model from every other: a line whose depth and place depend on its labels."""
    pixel = np.arange(N_PIX)
    depth = 0.1 + (model.logg - 3) / 4 + 0.05 * ord(model.composition[-1]) / 80 + 0.1 * (model.vturb > 2)
    centre = 100 + (model.teff - 25000) / 100 + 20 * len(model.composition)
    return 1 - depth * np.exp(-(((pixel - centre) / 4) ** 2))


def models(*, teff_b=(29000, 30000), teff_o=(27500, 30000, 32500), letters="GL", vturb=2):
    found = [Model(f"B{z}", t, g, vturb) for z in letters for t in teff_b for g in (3.0, 4.0)]
    return found + [Model(z, t, g, 10) for z in letters for t in teff_o for g in (3.0, 4.0)]


def files_of(found):
    files = {}
    for model in found:
        files |= spectrum_files(model, WAVE, flux_of(model))
    return files


def write_plain(folder, content):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in content.items():
        (folder / name).write_bytes(text)
    return folder


def tar_bytes(content, kind="", folder="BGvispec_v2", packed=False):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=f"w:{kind}") as tar:
        _add(tar, folder, content, packed)
    return stream.getvalue()


def zip_bytes(content):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in content.items():
            archive.writestr(f"down/{name}", text)
    return stream.getvalue()
