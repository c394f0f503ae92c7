"""A trained model with what its errors need, as notebook 02 leaves it."""

from dataclasses import dataclass
from pathlib import Path

from slamlib.paper.calibration import REJECT
from slamlib.slam.infer import infer
from slamlib.slam.model import Slam
from slamlib.slam.systematics import Systematics


@dataclass(frozen=True)
class Trained:
    """A Slam, its systematics if they were measured, and the files of both.

    Attributes
    ----------
    slam : Slam
    systematics : Systematics or None
        None: the paper's way, independent pixels and one start.
    files : tuple of Path
    """

    slam: Slam
    systematics: Systematics | None = None
    files: tuple = ()

    @classmethod
    def read(cls, folder, instrument, regressor="slam"):
        """Read the model of an instrument: "slam", ours with systematics, or "svr", the paper's."""
        files = [Path(folder) / f"{regressor}_{instrument}.npz"]
        if regressor == "svr":
            return cls(Slam.read(files[0]), None, tuple(files))
        files.append(Path(folder) / f"systematics_{instrument}.npz")
        return cls(Slam.read(files[0]), Systematics.read(files[1]), tuple(files))

    def infer(self, flux, ivar, **options):
        """Labels of spectra: `slamlib.slam.infer.infer` with everything this model knows."""
        if self.systematics is None:
            return infer(self.slam, flux, ivar, starts=1, **options)
        return infer(self.slam, flux, ivar, self.systematics, reject=REJECT, **options)
