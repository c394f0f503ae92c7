"""What labels depend on beside the spectra, small enough to travel with every part."""

import hashlib
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from slamlib.errors import FileError, InputError
from slamlib.files import code_digest
from slamlib.instruments import get_instrument
from slamlib.paper.templates import velocity_templates
from slamlib.paper.trained import Trained
from slamlib.synth.grid import ModelGrid

TEMPLATES = "templates"


@dataclass(frozen=True)
class Recipe:
    """Models and grid by the names of their files, which every worker sees under the same path.

    Attributes
    ----------
    instrument : str
        "LRS" or "MRS".
    models : str
        Folder of the trained models, as notebook 02 leaves it.
    grid : str
        File of the model grid.
    regressors : tuple of str
        "slam" or "svr" or both, in the order of `slamlib.paper.catalogue.label_survey`.
    rv : "templates", None or float
        Velocities by cross-correlation with templates from the grid, from the headers, or
        one for all [km/s].
    """

    instrument: str
    models: str
    grid: str
    regressors: tuple = ("slam",)
    rv: object = TEMPLATES

    @classmethod
    def of(cls, instrument, models, grid, regressors=("slam",), rv=TEMPLATES):
        """Return a recipe with absolute paths, since a worker may live in another folder."""
        name = get_instrument(instrument).name
        return cls(name, str(Path(models).resolve()), str(Path(grid).resolve()), tuple(regressors), rv)

    def digest(self):
        """Return a hash of the code, the models and the grid: of what they hold, not of where they lie.

        Raises
        ------
        FileError
            If a file is missing.
        """
        settings = {key: value for key, value in asdict(self).items() if key not in ("models", "grid")}
        total = hashlib.sha256((code_digest() + repr(settings)).encode())
        for path in (*Trained.files_of(self.models, self.instrument, self.regressors), Path(self.grid)):
            try:
                total.update(path.read_bytes())
            except OSError as error:
                raise FileError(f"cannot read {path} ({error.strerror}), which the labels need") from None
        return total.hexdigest()


@lru_cache(maxsize=1)
def load(recipe, digest):
    """Read models and grid, once in a process.

    Parameters
    ----------
    recipe : Recipe
    digest : str
        What the client found for it.

    Returns
    -------
    slams, rv, inside
        As `slamlib.paper.catalogue.label_part` takes them.

    Raises
    ------
    InputError
        If this process has other code, models or grid than the client.
    """
    if recipe.digest() != digest:
        raise InputError(
            "a worker has another slamlib, other models or another grid than the client; "
            "install the same version on both and let both see the same files"
        )
    slams = {name: Trained.read(recipe.models, recipe.instrument, name) for name in recipe.regressors}
    grid = ModelGrid.read(recipe.grid)
    rv = velocity_templates(grid, recipe.instrument) if recipe.rv == TEMPLATES else recipe.rv
    return slams, rv, grid.contains
