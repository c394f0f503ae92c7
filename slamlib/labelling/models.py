"""Trained models for whoever labels: the best that are there, or trained at once."""

import hashlib
import sys
from functools import cached_property
from pathlib import Path

from compendium.profiles import PAPER, QUICK
from compendium.run import GRIDS, SOURCES, Run, find_root
from compendium.train import WAYS, labeller_path, train
from slamlib.errors import FileError, printable
from slamlib.grid.model_grid import ModelGrid
from slamlib.labelling.labeller import Labeller


def compendium():
    """Return the compendium's folder: upward from here, or else the one slamlib itself lies in."""
    try:
        return find_root()
    except FileError:
        return find_root(Path(__file__).parent)


class Models:
    """Models trained on one grid, each found or trained when it is first asked for.

    Those of a run at paper size come before those of a quick one. Where notebook 02 has never
    run, the models are trained at quick size, once, and kept in ``data/products/label-...``.

    Parameters
    ----------
    grid : str
        "embedded", "tlusty" or the path of a grid, from the working directory.
    talk : bool
        Say on standard error which models are used. A model that is there and cannot be used
        is named with the reason in any case.
    progress : bool
        Show bars while training.

    Raises
    ------
    InputError, FileError
        If there is no such grid, or no compendium around.
    """

    def __init__(self, grid="embedded", talk=False, progress=False):
        self.root, self.talk, self.progress = compendium(), talk, progress
        self._name = grid if grid in GRIDS else str(Path(grid).expanduser().resolve())
        self._run = self._of(QUICK.name, SOURCES[0])
        self.grid_path = self._run.grid_path  # at once: a missing grid is told before any work
        self._found = {}

    @property
    def folder(self):
        """Where models trained here are kept, and labels of finished parts."""
        return self.root / "data" / "products" / f"label-{self._run.key}"

    @cached_property
    def grid(self):
        """The `ModelGrid`."""
        return ModelGrid.read(self.grid_path)

    def labeller(self, instrument):
        """Return the `Labeller` of an instrument, by name."""
        return self._of_instrument(instrument)[0]

    def path(self, instrument):
        """Return the file of the labeller of an instrument, by name."""
        return self._of_instrument(instrument)[1]

    def _of_instrument(self, instrument):
        if instrument not in self._found:
            self._found[instrument] = self._read(instrument) or self._train(instrument)
        return self._found[instrument]

    def _read(self, instrument):
        runs = [self._of(profile.name, source) for profile in (PAPER, QUICK) for source in SOURCES]
        folders = (*(self.root / "data" / "products" / run.key for run in runs), self.folder)
        for path in (labeller_path(folder, instrument) for folder in folders):
            if not path.is_file():
                continue
            try:
                labeller = Labeller.read(path, instrument, **WAYS["krr"])
                if labeller.about["grid"] != self._grid_sha256:
                    raise FileError(
                        f"{path} was trained on another grid than {self.grid_path}; train it again"
                    )
            except FileError as error:
                _tell(f"{instrument}: a model is not used: {error}")
                continue
            self._say(f"{instrument}: models of {path.parent.relative_to(self.root)}")
            return labeller, path
        return None

    @cached_property
    def _grid_sha256(self):
        return hashlib.sha256(self.grid_path.read_bytes()).hexdigest()

    def _train(self, instrument):
        self._say(
            f"{instrument}: no trained model yet; training one, once, which takes about a minute "
            "(`make paper` trains on more spectra)"
        )
        labeller = train(self._run, self.grid, instrument, self.folder, progress=self.progress)
        return labeller, labeller_path(self.folder, instrument)

    def _of(self, profile, source):
        return Run.at(self.root, profile, source, self._name)

    def _say(self, text):
        if self.talk:
            _tell(text)


def _tell(text):
    print(printable(text), file=sys.stderr)
