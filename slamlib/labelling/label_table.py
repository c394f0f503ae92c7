"""The table of labels of prepared spectra: the fit, what it is worth, and the errors to quote."""

import astropy.units as u
import numpy as np
from astropy.table import Column

from slamlib.errors import InputError
from slamlib.inference.blocks import BLOCK, BlockErrors
from slamlib.inference.double import SecondStar
from slamlib.inference.fitted import at_fits
from slamlib.inference.infer import inside_grid
from slamlib.inference.model_error import profile_scatter
from slamlib.inference.vsini import with_scatter
from slamlib.labelling.calibration import REJECT
from slamlib.labelling.emission import excess, lacks_h_alpha, without_lines
from slamlib.labelling.worth import NOISE_ALONE, judged, of_more_than_a_star, snr_of
from slamlib.threads import blas_threads

# Columns of what a second star is like: name, unit, description.
SECOND_COLUMNS = (
    ("gain_2", None, "by how much a second star lowers chi-square"),
    ("ratio_2", None, "flux of the fainter star over the brighter one's, where two stars gain more than 4"),
    ("v_1", u.km / u.s, "velocity of the brighter star, less rv"),
    ("v_2", u.km / u.s, "velocity of the fainter star, less rv"),
)


# With more threads a BLAS sums in another order, and labels would depend on the machine in their last bits.
@blas_threads(1)
def label_table(labeller, flux, ivar, simulated=False, snr=None):
    """Label prepared spectra, (m, n_pix): arguments and table as `Labeller.label` has them."""
    for name, values in (("simulated", simulated), ("snr", snr)):
        if np.ndim(values) and np.shape(values) != flux.shape[:1]:
            raise InputError(
                f"{name} has {np.size(values)} values for {len(flux)} spectra; give one for each"
            )
    slam, instrument, systematics = labeller.slam, labeller.instrument, labeller.systematics
    found, doubts = labeller.fit(flux, ivar), {}
    if systematics is not None:
        emission, bare = _in_emission(labeller, found.labels, flux, ivar), without_lines(instrument, ivar)
        if emission.any():
            _replace(found, emission, labeller.fit(flux[emission], bare[emission]))
        ivar = np.where(emission[:, None], bare, ivar)
        measures = [BlockErrors(slam, instrument.wave), SecondStar(slam, instrument)]
        errors, second = at_fits(measures, slam, flux, ivar, found.labels, systematics, REJECT)
        by_ivar = snr_of(instrument, ivar)
        doubts, again = of_more_than_a_star(instrument, found.chi2, found.n_pix, second, by_ivar, emission)
        if again.any():
            # At MRS a broad filled H alpha is taken for low gravity; above that fit there is no emission.
            fit, rows = labeller.fit(flux[again], bare[again]), np.flatnonzero(again)
            told = _in_emission(labeller, fit.labels, flux[rows], ivar[rows])
            rows = rows[told]
            _replace(found, rows, fit, told)
            ivar[rows], emission[rows] = bare[rows], True
            few = flux[rows], ivar[rows], found.labels[rows], systematics, REJECT
            errors[rows], second[rows] = at_fits(measures, slam, *few)
            doubts, _ = of_more_than_a_star(instrument, found.chi2, found.n_pix, second, by_ivar, emission)
        doubts["emission"] = emission
    table = judged(found, slam, instrument, flux, ivar, snr, doubts)
    if labeller.extension is not None:
        beyond = inside_grid(slam, found.labels, labeller.extension.contains)
        table["flag"][(table["flag"] == "O") & beyond] = "X"
    table["note"] = Column(
        ["; ".join(note for over, note in labeller.about["notes"] if teff > over) for teff in table["teff"]],
        dtype="U",
        description="a known fault of the models of this star",
    )
    if systematics is None:
        return table
    _quote(table, labeller, found, ivar, errors, np.asarray(simulated) & (found.chi2 < NOISE_ALONE))
    for (name, unit, about), values in zip(SECOND_COLUMNS, second.T, strict=False):
        table[name] = Column(values, unit=unit, description=about)
    if instrument.name == "MRS":
        # Nothing else there tells gravity: without H alpha log g would be a guess.
        for name in ("logg", "e_logg", "b_logg"):
            table[name][lacks_h_alpha(instrument, ivar)] = np.nan
    return table


def _quote(table, labeller, found, ivar, errors, noise_alone):
    """Add errors by blocks (m, d); raise the errors of stars that err by more than noise alone, (m,)."""
    slam, known = labeller.slam, labeller.systematics
    teff = found.labels[:, slam.names.index("teff")]
    real, simulated = (part.corrections(ivar, teff)[0] for part in (known.of_real_stars(), known))
    if slam.rotation is not None:
        errors[np.isfinite(found.vsini_limit), slam.rotation] = np.nan
    for label, error, wider in zip(found.label_set, errors.T, (real / simulated).T, strict=True):
        table[f"e_{label.name}"][:] *= np.where(noise_alone, 1, wider)
        if label.nuisance:
            continue
        about = f"error of {label.name} from the disagreement of blocks of {BLOCK:.0f} A"
        table[f"b_{label.name}"] = Column(error, unit=label.unit, description=about)
        quoted = table[f"e_{label.name}"]
        quoted[:] = np.where(noise_alone, quoted, np.fmax(quoted, error))
    if scatter := unknown_profile(labeller):
        name = slam.names[slam.rotation]
        speed, error, limit = table[name], table[f"e_{name}"], table["vsini_limit"]
        known = with_scatter(speed.data, error.data, limit.data, scatter)
        for column, values in zip((error, limit), known, strict=True):
            column[:] = np.where(noise_alone, column, values)


def unknown_profile(labeller):
    """Scatter of the square of v sin i [km^2 / s^2] that an unknown width of the profile causes.

    0 if the model is taken for exact, has no rotation, or knows the profile from a survey's slowest stars.
    """
    scale = labeller.about.get("model_errors", 0)
    if labeller.slam.rotation is None or not scale or labeller.about.get("learned", {}).get("profile"):
        return 0.0
    return scale * profile_scatter(labeller.slam, labeller.instrument)


def _in_emission(labeller, labels, flux, ivar):
    """Tell which stars have a line in emission above the models of `labels` (m, d), (m,)."""
    known = np.isfinite(labels).all(axis=1)
    model = np.full_like(flux, np.nan)
    model[known] = labeller.predict(labels[known], extrapolate=True)
    return excess(labeller.instrument, flux, ivar, model)[1]


def _replace(found, rows, fit, of_fit=slice(None)):
    """Put some rows of another fit in the place of `rows` of the one that was found."""
    for name in ("labels", "covariance", "chi2", "n_pix", "status", "inside", "vsini_limit"):
        getattr(found, name)[rows] = getattr(fit, name)[of_fit]
