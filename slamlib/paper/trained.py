"""A trained model with what its errors need, as notebook 02 leaves it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.table import Column

from slamlib.instruments import get_instrument
from slamlib.labels import LABELS, VSINI
from slamlib.paper.calibration import REJECT
from slamlib.slam.blocks import BLOCK, block_errors
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

    def label(self, instrument, flux, ivar, simulated, inside=None):
        """Labels of prepared spectra as a catalogue gives them, with the errors to quote.

        Parameters
        ----------
        instrument : Instrument or str
        flux, ivar : ndarray, (m, n_pix) or (n_pix,)
        simulated : array_like of bool, (m,)
            The others are real stars: where the models are wrong from line to line, more than
            the noise is uncertain, so that their errors are at least those by blocks.
        inside : callable, optional
            As `infer` takes it.

        Returns
        -------
        Table
            That of `Inference.table`, and, unless this is the paper's way, the errors by blocks
            ``b_teff``, ``b_logg``, ``b_mh`` and ``b_vsini`` (`slamlib.slam.blocks`); that of a
            v sin i too slow to be measured is NaN.
        """
        found = self.infer(flux, ivar, inside=inside)
        table = found.table()
        if self.systematics is None:
            return table
        wave = get_instrument(instrument).wave
        errors = block_errors(self.slam, wave, flux, ivar, found.labels, self.systematics, REJECT)
        errors[np.isfinite(found.vsini_limit), LABELS.index(VSINI)] = np.nan
        for label, error in zip(LABELS, errors.T, strict=True):
            about = f"error of {label.name} from the disagreement of blocks of {BLOCK:.0f} A"
            table[f"b_{label.name}"] = Column(error, unit=label.unit, description=about)
            quoted = table[f"e_{label.name}"]
            quoted[:] = np.where(simulated, quoted, np.fmax(quoted, error))
        return table
