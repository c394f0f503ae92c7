"""What labels depend on beside the spectra, small enough to travel with every part."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from slamlib.errors import InputError
from slamlib.labelling.catalogue import MEASURED, recipe_digest
from slamlib.labelling.labeller import Labeller


@dataclass(frozen=True)
class Recipe:
    """Labellers by the names of their files, which every worker sees under the same path.

    Attributes
    ----------
    labellers : tuple of (str, str)
        Names and files, in the order of `slamlib.labelling.catalogue.label_survey`.
    rv : "measured", None or float
    hints : Hints or None
        As `label_survey` takes them.
    """

    labellers: tuple
    rv: object = MEASURED
    hints: object = None

    @classmethod
    def of(cls, labellers, rv=MEASURED, hints=None):
        """Return a recipe with absolute paths, since a worker may live in another folder."""
        return cls(tuple((name, str(Path(path).resolve())) for name, path in labellers.items()), rv, hints)

    def digest(self):
        """Return a hash of code and labellers: of what they hold, not of where they lie.

        Raises
        ------
        FileError
            If a file is missing.
        """
        return recipe_digest(dict(self.labellers), self.rv, self.hints)


@lru_cache(maxsize=1)
def load(recipe, digest):
    """Read the labellers, once in a process.

    Parameters
    ----------
    recipe : Recipe
    digest : str
        What the client found for it.

    Returns
    -------
    dict of Labeller

    Raises
    ------
    InputError
        If this process has other code or labellers than the client.
    """
    if recipe.digest() != digest:
        raise InputError(
            "a worker has another slamlib or other models than the client; "
            "install the same version on both and let both see the same files"
        )
    return {name: Labeller.read(path) for name, path in recipe.labellers}
