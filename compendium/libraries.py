"""Observed spectra of hot stars in two libraries, MILES and STELIB, as LRS would have taken them.

``python -m compendium.libraries`` takes both out of the Python package `sdss-mangadap`, a zip
file, as data: nothing of it is installed or imported.
"""

import subprocess
import sys
import tempfile
import warnings
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.io.fits.verify import VerifyWarning
from astropy.table import Table

from compendium.hrs_stars import KNOWN, LIBRARY, HrsStar
from compendium.miles import FOLDER, read_miles
from slamlib.errors import FileError
from slamlib.fetch.manifest import sha256_of
from slamlib.grid.model_grid import ModelGrid
from slamlib.grid.training import blurred
from slamlib.instruments import C_KMS
from slamlib.io import atomic
from slamlib.spectra.hires import HighResolution
from slamlib.spectra.prepare import prepare_with_velocity
from slamlib.spectra.spectrum import Spectrum

PACKAGE, SHA256 = "sdss-mangadap==4.5.0", "b8478bb24c32fe736fa6a2881805458719281862313838f8b032f3c10527ff34"
STELIB = Path("raw/stelib")
_INSIDE = {
    FOLDER: "mangadap/data/spectral_templates/miles/",
    STELIB: "mangadap/data/spectral_templates/stelib/",
}
# FWHM [A] of the libraries, and Teff of the hot stars [K].
MILES_FWHM, STELIB_FWHM, _HOT = 2.5, 3.0, (15_000.0, np.inf)
# Errors of the parameters of MILES, which it does not give for single stars: share of Teff, and log g.
_TEFF_ERROR, _LOGG_ERROR = 0.05, 0.15
# What counts as agreement with them (share of Teff, log g); error of their [Fe/H]; joint errors that differ.
NEAR_TEFF, NEAR_LOGG, _MH_ERROR, _DIFFER = 0.05, 0.25, 0.15, 3.0
# Step [km/s] of the broadened spectra, and the wavelengths that its width is interpolated between.
_STEP, _NODES = 30.0, 12


def fetch(data):
    """Put both libraries into the folder `data`, unless they are there; return what was done, in a line.

    FileError if pip cannot download the package, or it is not the one that was checked.
    """
    missing = [folder for folder in _INSIDE if not (data / folder).is_dir()]
    if not missing:
        return f"MILES and STELIB are in {data / FOLDER} and {data / STELIB}"
    with tempfile.TemporaryDirectory() as temporary:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--dest", temporary, PACKAGE]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            told = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise FileError(f"pip cannot download {PACKAGE} ({told}); notebooks go on without the libraries")
        unpack(next(Path(temporary).iterdir()), data, missing)
    return f"{' and '.join(str(data / folder) for folder in missing)} taken from {PACKAGE}"


def unpack(wheel, data, folders=tuple(_INSIDE), sha256=SHA256):
    """Take the libraries out of a downloaded package; FileError if it is another one."""
    if (found := sha256_of(wheel)) != sha256:
        raise FileError(f"{wheel.name} has the sha256 {found}, not {sha256}; nothing was taken from it")
    with zipfile.ZipFile(wheel) as archive:
        for folder in folders:
            # The table of parameters comes last: without it a library is not whole.
            inside = [n for n in archive.namelist() if n.startswith(_INSIDE[folder]) and n[-1] != "/"]
            for name in sorted(inside, key=lambda name: not name.endswith(".fits")):
                with atomic(data / folder / Path(name).name) as path:
                    path.write_bytes(archive.read(name))


def library_stars(data, known, between=_HOT):
    """Read the stars of both libraries in `data`, of MILES those `between` two Teff [K]: a list of HrsStar.

    They have constant FWHM [A]. Teff and log g of MILES are of Cenarro et al. 2007; errors of 5% and 0.15 dex
    are assumed. STELIB has no parameters: only its stars that are `known`, as `hrs_labels.ecsv`, count.
    """
    stars = []
    if (data / FOLDER).is_dir():
        table, wave, flux = read_miles(data / FOLDER)
        for row, spectrum in zip(table, flux, strict=True):
            if between[0] < row["teff"] < between[1]:
                labels = dict.fromkeys(KNOWN, np.nan)
                labels |= {"teff": row["teff"], "logg": row["logg"], "mh": row["feh"]}
                labels |= {"e_teff": _TEFF_ERROR * row["teff"], "e_logg": _LOGG_ERROR}
                stars.append(_star(f"MILES {row['name']}", wave, spectrum, MILES_FWHM, labels))
    for row in known:
        path = data / STELIB / f"STELIB_v3.2_HD{int(row['star'].removeprefix('HD')):06d}.fits"
        if path.is_file():
            labels = {name: float(row[name]) if name in row.colnames else np.nan for name in KNOWN}
            wave, flux = _read_stelib(path)
            stars.append(_star(f"STELIB {row['star']}", wave, flux, STELIB_FWHM, labels))
    return stars


def _star(name, wave, flux, fwhm, labels):
    labels = {key: float(value) for key, value in labels.items()}
    spectrum = HighResolution(wave, flux, float(np.mean(wave) / fwhm))
    return HrsStar(name, name, LIBRARY, spectrum, labels, fwhm=fwhm)


def _read_stelib(path):
    with warnings.catch_warnings():
        # Cards that nothing here reads.
        warnings.simplefilter("ignore", VerifyWarning)
        flux, header = fits.getdata(path, header=True)
        wave = header["CRVAL1"] + header["CDELT1"] * np.arange(flux.size)
    return wave, np.asarray(flux, dtype=float)


def prepare_library(star, instrument, snr, templates, rng):
    """Prepare a star of constant FWHM: as `slamlib.spectra.degrade.prepare_hires`.

    Where it is sharper than the instrument it is broadened; where it is not, it stays.
    """
    spectrum, fwhm = star.spectrum, star.fwhm
    fine = np.exp(np.arange(*np.log(spectrum.wave[[0, -1]]), _STEP / C_KMS))
    nodes = np.linspace(*fine[[0, -1]], _NODES)
    sigma = np.sqrt(np.maximum(instrument.resolution**-2 - (fwhm / nodes) ** 2, 1e-10))
    flux = np.interp(fine, spectrum.wave, spectrum.flux / np.median(spectrum.flux))[None]
    # A grid of this one spectrum, and an instrument whose profile is what the library's lacks.
    grid = ModelGrid(Table(), np.log(fine[0]), _STEP, flux)
    lacking = replace(instrument, profile=tuple(zip(nodes, 1 / sigma, strict=True)))
    smooth = blurred(flux, grid, lacking, 0.0)[0]
    wide = instrument.widened()
    flux = np.interp(wide.wave, fine, smooth)
    missing = (flux <= 0) | (wide.wave < fine[0]) | (wide.wave > fine[-1])
    noise = np.where(missing, 1, flux) / snr
    flux = flux + noise * rng.normal(size=flux.size)
    header = {"file": star.file}
    observed = Spectrum(wide.wave, flux, np.where(missing, 0, noise**-2), missing, header)
    return prepare_with_velocity(observed, instrument, templates)


def beside_literature(table):
    """Return the `table` of `label_stars` with its differences from the literature, and why a star misses.

    ``pull_teff``, ``pull_logg`` and ``pull_mh`` are differences in joint errors. ``why`` is empty where Teff
    agrees within `NEAR_TEFF` and log g within `NEAR_LOGG`. Else it says what the data show: the first that
    holds of flag O, a status, another [M/H] than the literature's, and less than 3 joint errors.
    """
    table, assumed = table.copy(), {"teff": 0.0, "logg": 0.0, "mh": _MH_ERROR}
    for name, least in assumed.items():
        known = np.fmax(np.asarray(table[f"e_{name}_hrs"], dtype=float), least)
        error = np.hypot(np.asarray(table[f"e_{name}"]), known)
        table[f"pull_{name}"] = np.asarray(table[name] - table[f"{name}_hrs"]) / error
    agrees = np.abs(table["teff"] / table["teff_hrs"] - 1) < NEAR_TEFF
    agrees &= np.abs(table["logg"] - table["logg_hrs"]) < NEAR_LOGG
    reasons = [
        (agrees, ""),
        (~np.isin(table["flag"], ["I", "X"]), "outside the models"),
        (table["status"] != "ok", np.asarray(table["status"])),
        (np.abs(table["pull_mh"]) > _DIFFER, "another [M/H] than the literature's"),
        (np.fmax(np.abs(table["pull_teff"]), np.abs(table["pull_logg"])) < _DIFFER, "within 3 joint errors"),
    ]
    table["why"] = np.select(*map(list, zip(*reasons, strict=True)), "unexplained")
    return table


def main():
    """Fetch the libraries into data/; say what happened in one line, and go on without them."""
    from compendium.run import find_root

    try:
        print(fetch(find_root() / "data"))
    except FileError as error:
        print(error, file=sys.stderr)


if __name__ == "__main__":
    main()
