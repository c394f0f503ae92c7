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

    `labellers` are pairs of name and file, in the order of `slamlib.labelling.catalogue.label_survey`; `rv`
    and `hints` are as it takes them.
    """

    labellers: tuple
    rv: object = MEASURED
    hints: object = None

    @classmethod
    def of(cls, labellers, rv=MEASURED, hints=None):
        """Return a recipe with absolute paths, since a worker may live in another folder."""
        return cls(tuple((name, str(Path(path).resolve())) for name, path in labellers.items()), rv, hints)

    def digest(self):
        """Return a hash of code and labellers: of what they hold, not of where they lie."""
        return recipe_digest(dict(self.labellers), self.rv, self.hints)


@lru_cache(maxsize=1)
def load(recipe, digest):
    """Read the labellers, once in a process: a dict of `Labeller`.

    InputError if this process has other code or labellers than the client, which found `digest`.
    """
    if recipe.digest() != digest:
        raise InputError(
            "a worker has another slamlib or other models than the client; "
            "install the same version on both and let both see the same files"
        )
    return {name: Labeller.read(path) for name, path in recipe.labellers}
