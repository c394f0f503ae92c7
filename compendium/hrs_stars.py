"""Stars known from high-resolution spectra: files of real ones, and simulated stand-ins."""

import math
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from slamlib.errors import FileError, SlamlibError, printable
from slamlib.grid.broaden import broaden, instrument_sigma
from slamlib.io import read_ecsv
from slamlib.labels import NAMES
from slamlib.mock.survey import SpectrumLibrary
from slamlib.spectra.degrade import without_telluric
from slamlib.spectra.hires import HighResolution, read_hires

REAL, SIMULATED, SPUN = "real", "simulated", "simulated, spun"
# Real stars too, of the libraries MILES and STELIB: at the resolution of LRS from the beginning.
LIBRARY = "real, library"
# Kinds of spectra, in the order of figures and tables.
ORIGINS = (SIMULATED, SPUN, LIBRARY, REAL)
# Resolving power and SNR of a pixel of the simulated spectra.
RESOLUTION, SNR = 45_000, 150
# v sin i of the stars that are spun [km/s].
SPIN = (0.0, 300.0)
# Resolving power of a file that gives none.
ASSUMED_RESOLUTION = 40_000
LISTED = "stars.ecsv"
# Columns of known labels.
KNOWN = tuple(f"{prefix}{label}" for label in NAMES for prefix in ("", "e_"))


@dataclass(frozen=True)
class HrsStar:
    """A star with its high-resolution spectrum.

    Attributes
    ----------
    star, file, origin : str
        Its name; the file, empty if the spectrum is simulated; one of `ORIGINS`.
    spectrum : HighResolution or None
    known : dict
        Labels from high-resolution work and their errors (teff, e_teff, ...), nan if unknown.
    assumed, reason : str
        What the file did not tell; why there is no spectrum.
    fwhm : float
        Of a spectrum whose profile is the same in A everywhere; nan if it has a resolving power.
    """

    star: str
    file: str
    origin: str
    spectrum: HighResolution | None = None
    known: dict = field(default_factory=dict)
    assumed: str = ""
    reason: str = ""
    fwhm: float = math.nan

    @property
    def simulated(self):
        """Whether its spectrum is simulated."""
        return self.origin in (SIMULATED, SPUN)


def real_stars(folder, known):
    """Read every spectrum of a folder; a file that cannot be read keeps its place, with the reason.

    The folder may be missing. Its table `stars.ecsv`, if there is one, has a column file and may have star,
    resolution and the labels with their errors (teff, e_teff, ...) of each; FileError if it cannot be used.
    `known` is as `hrs_labels.ecsv`: the labels of a star whose name the file's name begins with. Returns
    `HrsStar` by file name. Without a resolving power in the table or the header, `ASSUMED_RESOLUTION` is
    taken, or less if two pixels are wider: no spectrograph resolves less than two.
    """
    folder = Path(folder)
    listed = _listed(folder / LISTED)
    names = {path.name for path in folder.glob("[!.]*") if path.is_file() and path.name != LISTED}
    return [_real_star(folder / name, listed.get(name, {}), known) for name in sorted(names | set(listed))]


def _listed(path):
    if not path.exists():
        return {}
    table = read_ecsv(path)
    columns = {"file", "star", "resolution", *KNOWN}
    if "file" not in table.colnames or set(table.colnames) - columns:
        raise FileError(
            f"{path} has the columns {', '.join(table.colnames)}; it needs file, and may have the others of "
            f"{', '.join(sorted(columns))}"
        )
    try:
        numbers = {
            name: np.ma.filled(np.ma.asarray(table[name], dtype=float), np.nan)
            for name in set(table.colnames) - {"file", "star"}
        }
    except ValueError as error:
        raise FileError(f"{path}: {error}; give numbers") from None
    return {
        str(row["file"]): {name: row[name] for name in {"star"} & set(table.colnames)}
        | {name: float(values[i]) for name, values in numbers.items()}
        for i, row in enumerate(table)
    }


def _real_star(path, listed, known):
    match = [row for row in known if re.match(rf"{re.escape(row['star'])}(?!\d)", path.name)]
    star = str(listed.get("star") or (match[0]["star"] if match else re.split(r"[_.]", path.name)[0]))
    labels = dict.fromkeys(KNOWN, math.nan)
    for row in known[known["star"] == star]:
        labels |= {name: float(row[name]) for name in KNOWN if name in row.colnames}
    labels |= {name: listed[name] for name in KNOWN if math.isfinite(listed.get(name, math.nan))}
    made = HrsStar(printable(star), printable(path.name), REAL, known=labels)
    try:
        spectrum = read_hires(path)
    except SlamlibError as error:
        return replace(made, reason=str(error).replace(printable(path), made.file))
    assumed = [spectrum.assumed] if spectrum.assumed else []
    resolution = listed.get("resolution", math.nan)
    if not math.isfinite(resolution):
        resolution = spectrum.resolution
    if not math.isfinite(resolution):
        two_pixels = 2 * np.median(np.gradient(np.log(spectrum.wave)))
        resolution = float(min(ASSUMED_RESOLUTION, 1 / two_pixels))
        assumed.append(f"R = {resolution:.0f}: neither the file nor {LISTED} tells")
    flux = without_telluric(spectrum.wave, spectrum.flux)
    spectrum = replace(spectrum, flux=flux, resolution=resolution)
    return replace(made, spectrum=spectrum, assumed="; ".join(assumed))


def simulated_stars(known, grid, rng, spin=None):
    """Simulate stars of known labels, at solar metallicity, `RESOLUTION` and `SNR`: a list of HrsStar.

    `known` is as `hrs_labels.ecsv`; v sin i is that of the table, or drawn from the range `spin` [km/s].
    """
    library = SpectrumLibrary((grid,))
    stars = []
    for row in known:
        labels = {name: float(row[name]) if name in row.colnames else math.nan for name in KNOWN}
        if spin is not None:
            labels |= {"vsini": float(rng.uniform(*spin)), "e_vsini": 0.0}
        flux = library.spectra([[row["teff"], row["logg"], 0.0]])
        flux = broaden(flux, grid.dv, labels["vsini"], instrument_sigma(RESOLUTION))[0]
        spectrum = HighResolution(grid.wave, flux + rng.normal(0, 1 / SNR, flux.size), RESOLUTION)
        stars.append(HrsStar(str(row["star"]), "", SIMULATED if spin is None else SPUN, spectrum, labels))
    return stars
