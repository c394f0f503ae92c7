"""How model spectra may be wrong, as shared errors of their pixels: which lines, by how much, and why.

Models of the same atmosphere by independent codes differ by 5 to 10% in helium and by 5% in Balmer lines;
line lists, microturbulence and the instrument's profile are not exact either. Each such error moves many
pixels together. As components of the covariance (as Starfish has them, Czekala et al. 2015, ApJ 812, 128, and
the pipeline of Bestenlehner et al. 2023, arXiv:2309.06474, learns them) they take weight from what the models
do not know, and widen the errors of labels by what that costs.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh

from slamlib.inference.infer import inside_grid
from slamlib.instruments import C_KMS
from slamlib.spectra.lines import HELIUM, HYDROGEN, IONISED, lines_by_ion, of_lines

# Training spectra that tell what a line looks like, components kept, and those of one term; of sums of
# terms, which are many, every so many of the spectra tell.
_SPECTRA, RANK, _OF_TERM, _OF_MIXED = 200, 40, 4, 4
_FWHM = 2.3548


@dataclass(frozen=True)
class Term:
    """One way in which models may be wrong.

    `wave` are the centres of lines in air [A], `reach` how far from them the depth may be wrong [A],
    `amplitude` the standard deviation of its relative error; `together`, if all lines err alike, instead of
    each alone.
    """

    name: str
    wave: tuple
    reach: float
    amplitude: float
    together: bool
    why: str


TERMS = (
    Term("helium", HELIUM, 8.0, 0.10, True, "abundance, and 5-10% between codes (Najarro et al. 2006)"),
    Term("helium, each line", HELIUM, 8.0, 0.04, False, "broadening; singlets hang on the line at 584 A"),
    Term("ionised helium", IONISED, 8.0, 0.15, True, "temperature structure, winds"),
    Term("Balmer wings", HYDROGEN, 60.0, 0.02, False, "Stark profiles and continuum, 5% between codes"),
    Term("Balmer lines", HYDROGEN, 60.0, 0.02, True, "the same, of all lines"),
    Term("Balmer cores", HYDROGEN, 6.0, 0.04, False, "non-LTE, nebula, chromosphere"),
    Term(
        "H alpha",
        (6562.8,),
        60.0,
        0.08,
        True,
        "stronger than in models: tau Sco 16%, gamma Peg 6%",
    ),
)
# All lines of an ion of a metal err alike by this standard deviation (abundances, ionisation), within this
# many A, or so many times the FWHM.
_IONS, _REACH, _WIDE = 0.1, 5.0, 2.0
# Metal lines err by this standard deviation too, alike within this many A only: oscillator strengths.
_METALS, _ALIKE = 0.2, 30.0
# Relative error of the width of the instrument's profile, and of its change along the spectrum: a profile
# whose FWHM is constant in A is wider than one of constant resolving power by this share at 4000 A in LRS.
# Over a shorter range the two differ less, by the ratio of the middle to the first wavelength, less one; but
# no width is known better than the second number.
_PROFILE, _LEAST = 0.36, 0.1
# Interstellar Ca II K and H: centres [A] and standard deviation of the depth at LRS resolution.
_CALCIUM, _DEPTH = (3933.66, 3968.47), 0.15


def model_error(slam, instrument, scale=1.0, inside=None):
    """Return the components of the model's error and what they leave to single pixels.

    The spectra of `slam` tell what lines look like: those `inside` the core of the grid (as of
    `slamlib.inference.infer.infer_joint`), for lines of others are of another strength. `scale` is a factor
    of every amplitude, or (k, t): k independent errors as sums of those of `responses`. The covariance is
    ``components.T @ components``, in flux squared, of components (RANK, n_pix), and variances (n_pix,); both
    are float32.
    """
    labels = slam.training_labels_
    core = inside_grid(slam, labels, inside)
    spectra = slam.predict(labels[core if core.any() else slice(None)][:_SPECTRA], extrapolate=True)
    single = responses(spectra, instrument)
    if np.ndim(scale):
        some = single[:, ::_OF_MIXED]
        parts = [_leading(np.tensordot(row, some, 1)) for row in np.asarray(scale, np.float32)]
    else:
        parts = [scale * _leading(each) for each in single]
    parts = np.concatenate(parts)
    vectors = eigh(parts @ parts.T)[1]
    components = vectors[:, ::-1][:, :RANK].T @ parts
    variance = np.maximum((parts**2).sum(axis=0) - (components**2).sum(axis=0), 0)
    return components.astype(np.float32), variance.astype(np.float32)


def responses(flux, instrument):
    """How spectra (n, n_pix) change by one standard deviation of each of t errors: float32, (t, n, n_pix).

    Linear in `flux`, which is normalised, but for a constant.
    """
    wave = instrument.wave
    reach = 3 * wave.mean() / instrument.effective_resolution
    factors, lines = [], np.zeros(wave.size)
    for term in TERMS:
        shapes = [_window(wave, centre, max(term.reach, reach)) for centre in term.wave]
        lines = np.maximum(lines, np.max(shapes, axis=0))
        factors += [term.amplitude * each for each in ([np.max(shapes, axis=0)] if term.together else shapes)]
    for first in np.arange(wave[0], wave[-1], _ALIKE):
        factors.append(_METALS * (1 - lines) * ((wave >= first) & (wave < first + _ALIKE)))
    factors = np.array([factor for factor in factors if factor.any()], np.float32)
    reach = max(_REACH, _WIDE * wave.mean() / instrument.effective_resolution)
    metals = [_IONS * of_lines(wave, flux, centres, reach)[None] for centres in lines_by_ion().values()]
    parts = [factors[:, None] * (flux - 1), *metals, _of_profile(flux, instrument)]
    for centre in _CALCIUM:
        width = 1.3 * centre / instrument.effective_resolution / _FWHM
        depth = _DEPTH * np.exp(-0.5 * ((wave - centre) / width) ** 2)
        parts.append(np.broadcast_to(depth, (1, *flux.shape)))
    return np.concatenate(parts).astype(np.float32)


def profile_scatter(slam, instrument):
    """Scatter of the square of v sin i [km^2 / s^2] if the width of the profile is off by its error.

    It is nearly the same at all speeds, and no fit can tell it from rotation.
    """
    labels = slam.training_labels_.mean(axis=0, keepdims=True)
    speed = labels[0, slam.rotation] = C_KMS / instrument.effective_resolution
    change = _of_profile(slam.predict(labels, extrapolate=True), instrument)[0, 0]
    slope = slam.jacobian(labels, extrapolate=True)[0, slam.rotation]
    # `change` is linear in the share; the variance of the profile, and with it the square, is not.
    return (2 + _share(instrument)) * speed * float(change @ slope / (slope @ slope))


def _share(instrument):
    first, last = instrument.wave[[0, -1]]
    return np.clip((first + last) / 2 / first - 1, _LEAST, _PROFILE)


def _of_profile(flux, instrument):
    """Change of flux with the width of the profile: the second derivative (diffusion)."""
    wave, curvature = instrument.wave, np.zeros_like(flux)
    for arm in instrument.arm_slices:
        slope = np.gradient(flux[:, arm], wave[arm], axis=1)
        curvature[:, arm] = np.gradient(slope, wave[arm], axis=1)
    # The variance of the profile grows by twice that share, and flux by half of that times curvature.
    change = _share(instrument) * curvature * (wave / instrument.effective_resolution / _FWHM) ** 2
    return np.stack([change, change * 2 * (wave - wave.mean()) / np.ptp(wave)])


def _window(wave, centre, reach):
    """1 near the centre, falling to 0 at `reach` [A] from half of it on."""
    return np.clip(2 - 2 * np.abs(wave - centre) / reach, 0, 1)


def _leading(responses):
    """Leading components (_OF_TERM, n_pix) of the mean square of responses (n, n_pix)."""
    vectors = eigh(responses @ responses.T / len(responses))[1]
    return vectors[:, ::-1][:, :_OF_TERM].T @ responses / np.sqrt(len(responses))
