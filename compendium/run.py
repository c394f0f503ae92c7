"""One run of the paper: its size, its origin of spectra, its grid, its seed, and its folders."""

import hashlib
import shlex
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from compendium.profiles import PROFILES
from slamlib.errors import FileError, InputError
from slamlib.grid.model_grid import ModelGrid

SOURCES = ("mock", "lamost")
EMBEDDED_GRID = Path("data/embedded/tlusty_ob_grid.fits")
# Grids known by name, and what makes their file: `make data` builds "tlusty" of the official spectra.
GRIDS = {
    "embedded": (EMBEDDED_GRID, "restore it from git"),
    "tlusty": (Path("data/raw/tlusty_grid.fits"), "`make data` fetches the official spectra and builds it"),
}
DEFAULT_SEED = 257
VELOCITIES = ("measured", "catalogue")


def find_root(start=None):
    """Return the folder of the compendium: the first one upward with pyproject.toml and notebooks/.

    It begins at `start`, the working directory by default. FileError if no folder upward is the compendium.
    """
    start = Path.cwd() if start is None else Path(start).resolve()
    for folder in (start, *start.parents):
        if (folder / "pyproject.toml").is_file() and (folder / "notebooks").is_dir():
            return folder
    raise FileError(f"{start} is not inside the compendium (no pyproject.toml beside notebooks/); cd into it")


def add_options(parser):
    """Add the parameters of a `Run` to a parser, as options."""
    for name, value in (("profile", "quick"), ("source", "mock"), ("grid", "embedded"), ("rv", "measured")):
        parser.add_argument(f"--{name}", default=value)
    parser.add_argument("--seed", type=_seed, default=DEFAULT_SEED)


def _seed(text):
    # Run says what is wrong with a seed that is no number.
    return int(text) if text.isdecimal() else text


@dataclass(frozen=True)
class Run:
    """The parameters every notebook takes, and what follows from them.

    Attributes
    ----------
    profile : str
        "quick" or "paper": the sizes.
    source : str
        "mock" (a simulated survey) or "lamost" (real spectra).
    grid : str
        "embedded", "tlusty" (the official grids, as `make data` builds them), or the path of
        another model grid of the same layout; a relative path counts from the root.
    seed : int
        Seed of every random draw.
    rv : str
        "measured" (radial velocities by cross-correlation) or "catalogue" (of Zhang et al. 2021, as
        in the paper; measured where it has none).

    Raises
    ------
    InputError
        If a parameter has an unknown value.

    Examples
    --------
    >>> run = Run(profile="quick")
    >>> run.key, run.simulated, run.sizes.n_folds
    ('quick-mock-embedded', True, 5)
    """

    profile: str = "quick"
    source: str = "mock"
    grid: str = "embedded"
    seed: int = DEFAULT_SEED
    rv: str = "measured"

    def __post_init__(self):
        """Check every parameter: invalid ones raise at once."""
        _choose("profile", self.profile, PROFILES)
        _choose("source", self.source, SOURCES)
        _choose("rv", self.rv, VELOCITIES)
        if not isinstance(self.grid, str) or not self.grid.strip():
            raise InputError(f"grid={self.grid!r} is none of {', '.join(GRIDS)}, nor a path of a model grid")
        if not isinstance(self.seed, int) or isinstance(self.seed, bool) or self.seed < 0:
            raise InputError(f"seed={self.seed!r} is not a whole number, zero or larger")

    @classmethod
    def at(cls, root, *parameters):
        """Return a run of the compendium at `root`, wherever the working directory is."""
        run = cls(*parameters)
        vars(run)["root"] = Path(root)
        return run

    @cached_property
    def root(self):
        """The folder of the compendium."""
        return find_root()

    @cached_property
    def grid_path(self):
        """The model grid's file; FileError if there is none."""
        if self.grid in GRIDS:
            relative, remedy = GRIDS[self.grid]
            path = self.root / relative
        else:
            path = (self.root / Path(self.grid).expanduser()).resolve()
            remedy = f"name an existing FITS file, or one of {', '.join(GRIDS)}"
        if not path.is_file():
            raise FileError(f"no model grid at {path}; {remedy}")
        return path

    @cached_property
    def models(self):
        """The model grid as the paper has it: of Teff, log g and [M/H] alone (`ModelGrid.plain`)."""
        return ModelGrid.read(self.grid_path).plain()

    @cached_property
    def key(self):
        """The name of this run's folders; runs that may differ in result differ in key."""
        grid = self.grid
        if grid not in GRIDS:
            # Two grids may share a file name: six digits of the path's hash tell them apart.
            grid = f"{self.grid_path.stem}-{_digest(str(self.grid_path))[:3].hex()}".replace(" ", "_")
        seed = "" if self.seed == DEFAULT_SEED else f"-seed{self.seed}"
        rv = "" if self.rv == VELOCITIES[0] else f"-rv-{self.rv}"
        return f"{self.profile}-{self.source}-{grid}{seed}{rv}"

    @property
    def build(self):
        """Folder of the executed notebooks, stamps, figures and tables of this run."""
        return self.root / "build" / self.key

    @property
    def products(self):
        """Folder of the intermediate products; made when asked for."""
        return _made(self.root / "data" / "products" / self.key)

    @property
    def figures(self):
        """Folder of the figures; made when asked for."""
        return _made(self.build / "figures")

    @property
    def tables(self):
        """Folder of the tables; made when asked for."""
        return _made(self.build / "tables")

    @property
    def parameters(self):
        """What the notebooks' parameters cell is given."""
        return asdict(self)

    @property
    def variables(self):
        """The same as the variables of make, such as ``PROFILE=quick SEED=257``, for advice."""
        return shlex.join(f"{name.upper()}={value}" for name, value in self.parameters.items())

    @property
    def sizes(self):
        """The `Profile`: how many spectra, stars, folds and steps."""
        return PROFILES[self.profile]

    @property
    def simulated(self):
        """True when the stars are simulated, and figures and tables must say so."""
        return self.source == "mock"

    def rng(self, name):
        """Return the random generator of one purpose, such as "training LRS".

        Each name has a stream of its own, so that a draw more or less in one notebook does not change the
        others.
        """
        return np.random.default_rng([self.seed, *np.frombuffer(_digest(name), dtype="<u4")])

    def training_seed(self, instrument):
        """Seed of the training labels of an instrument, by name."""
        return int(self.rng(f"training {instrument}").integers(2**31))


def _digest(text):
    # Python's own hash of a string changes from process to process.
    return hashlib.sha256(text.encode()).digest()


def _choose(name, value, allowed):
    if value not in tuple(allowed):
        raise InputError(f"{name}={value!r} is unknown; use one of {', '.join(allowed)}")


def _made(folder):
    folder.mkdir(parents=True, exist_ok=True)
    return folder
