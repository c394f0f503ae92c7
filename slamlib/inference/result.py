"""What a fit finds: labels, errors, flags, and the table of them."""

from dataclasses import dataclass

import numpy as np
from astropy.table import Column, Table

from slamlib.labels import LABELS, VSINI


@dataclass(frozen=True)
class Inference:
    """Labels of m spectra with their uncertainties.

    Attributes
    ----------
    labels : ndarray, (m, d)
        NaN where there was nothing to fit.
    covariance : ndarray, (m, d, d)
        Inverse Fisher matrix at the solution, observation and model variance together.
    chi2 : ndarray, (m,)
        Per degree of freedom.
    n_pix : ndarray of int, (m,)
        Pixels that counted, without those rejected.
    status : ndarray of str, (m,)
        "ok", "multimodal" (another solution far away fits as well), "edge" (a label at its
        bound), "incomplete" (less than three quarters of an instrument's pixels), "outliers"
        (more than a tenth of the pixels was rejected), "unconverged" or "no data".
    inside : ndarray of bool, (m,)
        The labels lie inside the model grid.
    vsini_limit : ndarray, (m,)
        Upper limit (95%) of v sin i [km/s] where it is too slow to be told from zero;
        NaN where it is measured.
    label_set : tuple of Label, (d,)
    """

    labels: np.ndarray
    covariance: np.ndarray
    chi2: np.ndarray
    n_pix: np.ndarray
    status: np.ndarray
    inside: np.ndarray
    vsini_limit: np.ndarray
    label_set: tuple = LABELS

    @property
    def errors(self):
        """Standard errors of the labels, (m, d)."""
        return np.sqrt(np.diagonal(self.covariance, axis1=1, axis2=2))

    def table(self) -> Table:
        """Return a Table: labels, e_labels, vsini_limit, chi2, n_pix, flag ("I", "O" or "N") and status."""
        table = Table()
        for label, values in zip(self.label_set, self.labels.T, strict=True):
            table[label.name] = Column(values, unit=label.unit, description=label.description)
        for label, values in zip(self.label_set, self.errors.T, strict=True):
            table[f"e_{label.name}"] = Column(
                values, unit=label.unit, description=f"standard error of {label.name}"
            )
        table["vsini_limit"] = Column(
            self.vsini_limit,
            unit=VSINI.unit,
            description="upper limit (95%) where vsini is only that",
        )
        table["chi2"] = Column(self.chi2, description="chi-square per degree of freedom")
        table["n_pix"] = Column(self.n_pix, description="pixels used")
        flag = np.where(self.inside, "I", np.where(np.isfinite(self.labels).all(axis=1), "O", "N"))
        meaning = "I: inside the model grid; X: inside its extension; O: outside; N: no labels"
        table["flag"] = Column(flag, description=meaning)
        table["status"] = Column(self.status, description="outcome of the fit")
        return table
