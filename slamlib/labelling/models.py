"""Trained labellers for whoever labels: found in a folder, or trained once and kept."""

import os
import sys
from pathlib import Path

from slamlib.errors import FileError, printable
from slamlib.grid.joined import EMBEDDED, digests, named_grid
from slamlib.instruments import get_instrument
from slamlib.io import embedded
from slamlib.labelling.labeller import Labeller
from slamlib.labelling.recipe import training_code

# What a labeller that gives the labels of a catalogue says of itself.
KIND = {"regressor": "krr", "continuum": "matched"}
# Instruments whose labellers come with slamlib; `make models` makes them.
SHIPPED = ("LRS", "MRS", "BOSS", "HERMES")
# The environment variable that names the folder of what slamlib keeps for a user.
HOME = "SLAMLIB_HOME"


def home():
    """Return the folder of what slamlib keeps: that of SLAMLIB_HOME, or ~/.slamlib."""
    return Path(os.environ.get(HOME) or "~/.slamlib").expanduser()


def labeller_path(folder, instrument, regressor="krr"):
    """Return the file of a labeller in a folder."""
    return Path(folder) / f"{regressor}_{instrument}.npz"


class Models:
    """Labellers of one grid, each found or trained when it is first asked for.

    Parameters
    ----------
    grid : str or Path
        "embedded" (9,000 to 55,000 K, with microturbulence), or the file of a model grid.
    folder : str or Path, optional
        Of labellers, such as ``data/products/paper-mock-embedded`` of `make paper`. By default
        those of `SHIPPED` come with slamlib; others are trained once, in a few minutes each, and
        kept in `home`, where one that the user has trained is taken first. One that other code has
        trained is not used, unless its folder is named.
    talk : bool
        Say on standard error which models are used. A model that is there and cannot be used
        is named with the reason in any case.
    progress : bool
        Show bars while training.

    Raises
    ------
    FileError
        If there is no such grid or folder.
    """

    def __init__(self, grid="embedded", folder=None, talk=False, progress=False):
        self.grid = grid if grid == EMBEDDED else Path(grid).expanduser()
        self._digests = digests(self.grid)
        self._named = folder is not None
        self.folder = Path(folder).expanduser() if self._named else home() / "models" / self._digests[0][:12]
        if self._named and not self.folder.is_dir():
            raise FileError(f"no folder {self.folder} of models; train them with: slamlib train")
        self.talk, self.progress = talk, progress
        self._found = {}

    @property
    def parts(self):
        """Where labels of finished parts are kept."""
        return home() / "parts"

    def path(self, instrument):
        """Return the file of the labeller of an instrument."""
        self.labeller(instrument)
        return self._found[get_instrument(instrument)][0]

    def labeller(self, instrument):
        """Return the `Labeller` of an instrument, which may be given by name.

        Raises
        ------
        FileError
            If the folder was named and has no labeller of this instrument and grid.
        """
        instrument = get_instrument(instrument)
        if instrument not in self._found:
            own, shipped = (labeller_path(of, instrument.name) for of in (self.folder, embedded("models")))
            found = self._read(instrument, own)
            if found is None and self.grid == EMBEDDED:
                found = self._read(instrument, shipped)
            self._found[instrument] = found or self._train(instrument, own)
        return self._found[instrument][1]

    def _read(self, instrument, path):
        """Return the path and the labeller that is there, or None if there is none that serves."""
        name = instrument.name
        if not self._named and not path.is_file():
            return None
        try:
            labeller = Labeller.read(path, name, **KIND)
            if labeller.instrument != instrument:
                raise FileError(f"{path} was trained for another {name} than that of now; train it again")
            if labeller.about["grid"] not in self._digests:
                raise FileError(f"{path} was trained on another grid than {self.grid}; train it again")
            if not self._named and labeller.about.get("code") != training_code():
                raise FileError(f"{path} was trained by another version of the code; train it again")
        except FileError as error:
            if self._named:
                raise
            _print_error(f"{name}: a model is not used: {error}")
            return None
        self._say(f"{name}: model {path}")
        return path, labeller

    def _train(self, instrument, path):
        self._say(f"{instrument.name}: no trained model yet; training one, once, which takes a few minutes")
        Labeller.train(named_grid(self.grid), instrument, progress=self.progress).save(path)
        # As from the file, so that the first call gives what all later ones do.
        return path, Labeller.read(path)

    def _say(self, text):
        if self.talk:
            _print_error(text)


def _print_error(text):
    print(printable(text), file=sys.stderr)
