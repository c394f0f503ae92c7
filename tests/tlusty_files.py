"""A few models as TLUSTY's official files, plain or packed."""

import gzip
import io
import tarfile
import zipfile

import numpy as np

from slamlib.grid.tlusty.merge import Model
from slamlib.grid.tlusty.write import spectrum_files

N_PIX = 400
WAVE = 4000 * np.exp(np.arange(N_PIX) * 4.0 / 299792.458)
# The embedded grid has [M/H] = -0.5 and 0.3, which no official composition has exactly.
EMBEDDED_MH = {"C": 0.3, "G": 0.0, "L": -0.5, "T": -1.0}


def flux_of(model):
    """Tell each model from every other: a line whose depth and place depend on its labels."""
    pixel = np.arange(N_PIX)
    depth = (
        0.1 + 0.5 * (model.logg - 3) / 2 + 0.05 * ord(model.composition[-1]) / 80 + 0.1 * (model.vturb > 2)
    )
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
        for name, text in content.items():
            member = tarfile.TarInfo(f"{folder}/{name}{'.gz' if packed else ''}")
            text = gzip.compress(text, 1) if packed else text
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text))
    return stream.getvalue()


def zip_bytes(content):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in content.items():
            archive.writestr(f"down/{name}", text)
    return stream.getvalue()


def reason_of(report, name):
    row = report.table[report.table["name"] == name]
    assert len(row) == 1
    return row["status"][0], bool(row["used"][0]), str(row["reason"][0])
