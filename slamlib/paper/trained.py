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
        files = cls.files_of(folder, instrument, (regressor,))
        systematics = Systematics.read(files[1]) if regressor == "slam" else None
        return cls(Slam.read(files[0]), systematics, files)

    @staticmethod
    def files_of(folder, instrument, regressors):
        """Return the files that `read` reads for each of some regressors."""
        kinds = [k for name in regressors for k in ((name, "systematics") if name == "slam" else (name,))]
        return tuple(Path(folder) / f"{kind}_{instrument}.npz" for kind in kinds)

    def infer(self, flux, ivar, **options):
        """Labels of spectra: `slamlib.slam.infer.infer` with everything this model knows."""
        if self.systematics is None:
            return infer(self.slam, flux, ivar, starts=1, **options)
        return infer(self.slam, flux, ivar, self.systematics, reject=REJECT, **options)
