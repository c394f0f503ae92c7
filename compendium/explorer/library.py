"""What a run offers to explore: its models, its catalogues, and the spectra behind them."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from compendium.train import read_labeller
from slamlib.errors import FileError, InputError, SlamlibError
from slamlib.grid.joined import EMBEDDED
from slamlib.instruments import INSTRUMENTS
from slamlib.io import read_ecsv
from slamlib.labelling.models import Models, labeller_path
from slamlib.labelling.worth import NOISE_ALONE, STATUSES
from slamlib.labels import NAMES
from slamlib.spectra.lamost import read
from slamlib.spectra.prepare import prepare_with_velocity
from slamlib.spectra.recognise import recognise


@dataclass(frozen=True)
class Star:
    """An observed (or simulated) spectrum and the labels that were found for it.

    Attributes
    ----------
    name : str
    obsid : int or None
        In the catalogue; None for a file of the user's.
    instrument : str
    flux, ivar : ndarray, (n_pix,)
        Normalised, at rest; ivar = 0 where a pixel carries no weight.
    rv, snr : float
        Radial velocity by which it was shifted to rest [km/s].
    labels, errors : ndarray, (4,)
    notes : tuple of str
        What to know about the fit, such as "outside the grid".
    simulated : bool
    """

    name: str
    obsid: int | None
    instrument: str
    flux: np.ndarray
    ivar: np.ndarray
    rv: float
    snr: float
    labels: np.ndarray
    errors: np.ndarray
    notes: tuple
    simulated: bool


class Library:
    """Models, catalogues and spectra of a run.

    Labellers, those of the run and those that files of the user's asked for, and catalogues, as notebook 06
    leaves them, are by instrument. FileError, saying what to type, if the notebooks have not been run.
    """

    def __init__(self, run):
        self.run = run
        self.grid = run.models
        missing = [
            path
            for name in INSTRUMENTS
            for path in (labeller_path(run.products, name), run.products / f"labels_{name}.ecsv")
            if not path.is_file()
        ]
        if missing:
            told = f"nothing to explore yet: no {missing[0]}"
            raise FileError(f"{told}; run `make notebooks {run.variables}` first")
        self.labellers = {name: read_labeller(run, name) for name in INSTRUMENTS}
        self.catalogues = {name: read_ecsv(run.products / f"labels_{name}.ecsv") for name in INSTRUMENTS}

    @cached_property
    def isochrones(self):
        """PARSEC isochrones, for the HR diagram."""
        return read_ecsv(self.run.root / "data/embedded/parsec_isochrones.ecsv")

    @cached_property
    def paths(self):
        """The file of each spectrum: (instrument, file name) -> path."""
        index = read_ecsv(self.run.products / "survey/index.ecsv")
        folder = self.run.products / "survey" if self.run.simulated else self.run.root / "data/raw"
        columns = (index["instrument"], index["file"])
        return {(name, Path(file).name): folder / file for name, file in zip(*columns, strict=True)}

    @cached_property
    def _others(self):
        """Models of other instruments than the run's, trained once if need be."""
        return Models(self.run.grid if self.run.grid == EMBEDDED else self.run.grid_path)

    def labeller(self, instrument):
        """Return the labeller of an `Instrument`: the run's, or slamlib's own, trained if there is none."""
        known = self.labellers.get(instrument.name)
        if known is None:
            known = self.labellers[instrument.name] = self._others.labeller(instrument)
        return known

    def labelled(self, instrument):
        """Return the stars of a catalogue that have labels: none where there is no catalogue."""
        catalogue = self.catalogues.get(instrument, next(iter(self.catalogues.values()))[:0])
        return catalogue[np.isfinite(catalogue["teff"]) & np.isfinite(catalogue["logg"])]

    def models(self, instrument):
        """Say which models predict the spectra of an instrument: file, grid, regression."""
        labeller = self.labellers[instrument]
        if instrument in self.catalogues:
            path = labeller_path(self.run.products, instrument).relative_to(self.run.root)
        else:
            path = self._others.path(labeller.instrument)
        n = len(labeller.slam.training_labels_)
        return f"{path} ({n:,} training spectra, grid {self.run.grid})"

    def doubts(self, instrument):
        """Return obsid and why of the stars to look at: the gravest status first, then by chi-square."""
        stars, words = self.labelled(instrument), list(STATUSES)
        stars = stars[(stars["status"] != "ok") | (stars["chi2"] > NOISE_ALONE)]
        order = np.lexsort((-stars["chi2"], [words.index(status) for status in stars["status"]]))
        return [
            (int(row["obsid"]), f"{row['obsid']}: {row['status']}, chi2 {row['chi2']:.2f}")
            for row in stars[order]
        ]

    def star(self, instrument, obsid):
        """Return a star of the catalogue, with the catalogue's labels and velocity.

        InputError if the catalogue has no such star, or no labels for it; FileError if its file is gone.
        """
        catalogue = self.catalogues[instrument]
        rows = catalogue[catalogue["obsid"] == obsid]
        if not len(rows):
            raise InputError(f"no obsid {obsid} in the {instrument} catalogue of {len(catalogue)} stars")
        row = rows[0]
        if not _complete(row):
            raise InputError(f"obsid {obsid} lacks labels: {row['reason'] or row['status']}")
        spectrum = read(self.paths[instrument, row["file"]])
        flux, ivar, _ = prepare_with_velocity(spectrum, instrument, float(row["rv"]))
        return _star(f"obsid {obsid}", obsid, instrument, flux, ivar, row, row, self.run.simulated)

    def file(self, path, name=None, hints=None):
        """Return the star of a file of any spectrograph, labelled as `slamlib label` does.

        It is called `name`, in errors too, else as the file. SlamlibError, one line, if it cannot be used.
        """
        path = Path(path)
        name = name or path.name
        try:
            instrument, spectrum = recognise(path, hints)
            labeller, header = self.labeller(instrument), spectrum.header
            flux, ivar, velocity = prepare_with_velocity(spectrum, instrument, labeller.templates)
            fit = labeller.label(flux, ivar, [header["simulated"]], [header["snr"]])[0]
        except SlamlibError as error:
            raise type(error)(str(error).replace(str(path), name).replace(path.name, name)) from None
        if not _complete(fit):
            raise InputError(f"{name} has too few good pixels to be labelled")
        told = header | velocity, fit, header["simulated"], header.get("assumed", "")
        return _star(name, None, instrument.name, flux, ivar, *told)


def _complete(row):
    return bool(np.isfinite([float(row[name]) for name in NAMES]).all())


def _star(name, obsid, instrument, flux, ivar, header, fit, simulated, assumed=""):
    notes = [STATUSES[fit["status"]]] if fit["status"] != "ok" else []
    if fit["flag"] != "I":
        notes.append("outside the grid")
    if np.isfinite(fit["vsini_limit"]):
        notes.append(f"v sin i below {fit['vsini_limit']:.0f} km/s (95%)")
    if assumed:
        notes.append(assumed)
    labels, errors = (np.array([fit[kind + label] for label in NAMES], dtype=float) for kind in ("", "e_"))
    rv, snr = float(header["rv"]), float(header["snr"])
    return Star(name, obsid, instrument, flux, ivar, rv, snr, labels, errors, tuple(notes), bool(simulated))
