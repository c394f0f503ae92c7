"""T5, trust: a continuum that biases, errors that are too small, labels that are lies."""

from functools import cache

import numpy as np
from astropy.table import Table

from compendium.run import Run
from compendium.teaching.checks import NotYetError, call, exercise, judge, require
from compendium.teaching.classroom import models, trained, training
from slamlib.grid.model_grid import ModelGrid
from slamlib.grid.training import observe, synthesise
from slamlib.inference.infer import infer
from slamlib.instruments import LRS
from slamlib.regression.slam import Slam
from slamlib.spectra.lines import HELIUM
from slamlib.spectra.matching import match_continuum
from slamlib.spectra.prepare import normalise

SNR, LOGG = 100.0, 1
WIDE = LRS.widened()
# The SNR of the spectra on which the continuum of training spectra is fitted, as in notebook 02.
_CONTINUUM_SNR, _N_STARS, _SEED = 200, 100, 3
_HELIUM_REACH = 8.0
_INNER = np.searchsorted(WIDE.wave, LRS.wave - 0.5)


@cache
def truth():
    """Labels of a hundred simulated stars, (100, 4)."""
    return training(_N_STARS, _SEED).labels


@cache
def observed():
    """Those stars as a telescope sees them on `WIDE` pixels: noisy flux and true continuum (100, n)."""
    rng = np.random.default_rng(_SEED)
    spectra = synthesise(models(), truth(), WIDE)
    # A hot star's light under dust, blue to red.
    slope = (WIDE.wave / WIDE.wave.mean()) ** rng.uniform(-4.0, 1.0, (_N_STARS, 1))
    return slope * (spectra + rng.normal(0, 1 / SNR, spectra.shape)), slope


@cache
def splined():
    """Return flux and ivar of the stars divided by the survey's pseudo-continuum, (100, n_pix)."""
    seen = zip(*observed(), strict=True)
    pairs = [normalise(WIDE.wave, flux, (SNR / slope) ** 2, LRS) for flux, slope in seen]
    flux, ivar = (np.array(part)[:, _INNER] for part in zip(*pairs, strict=True))
    return flux, ivar * LRS.good


@cache
def matched():
    """Kernel ridge on training spectra that went through the same spline as the stars."""
    labels = training().labels
    wide = synthesise(models(), labels, WIDE)
    flux = match_continuum(wide, LRS, _CONTINUUM_SNR, np.random.default_rng(_SEED), draws=1)
    return Slam("krr").fit(labels, flux).compress(rank=None)


@cache
def labelled(how):
    """Labels of the stars, an `Inference`.

    `how` is "true": stars and models divided by their true continua; "spline": the stars by the
    spline, the models by their true continua; "matched": both by the spline.
    """
    if how == "true":
        flux, slope = observed()
        flux, ivar = (flux / slope)[:, _INNER], np.broadcast_to(SNR**2 * LRS.good, (_N_STARS, LRS.wave.size))
    else:
        flux, ivar = splined()
    return infer(matched() if how == "matched" else trained(), flux, ivar, inside=models().contains)


def errors_of(how):
    """Found minus true labels of the stars found inside the grid, and their standard errors, (n, 4)."""
    found = labelled(how)
    return (found.labels - truth())[found.inside], found.errors[found.inside]


@cache
def deeper_helium(share):
    """Return `errors_of` and chi-square of the stars whose lines of He I are deeper than the models'."""
    near = np.min(np.abs(LRS.wave - np.array(HELIUM)[:, None]), axis=0) < _HELIUM_REACH
    flux, slope = observed()
    flux = (flux / slope)[:, _INNER]
    depth = synthesise(models(), truth(), LRS) - 1
    ivar = np.broadcast_to(SNR**2 * LRS.good, flux.shape)
    found = infer(trained(), flux + share * depth * near, ivar, inside=models().contains)
    wrong, inside = found.labels - truth(), found.inside
    return wrong[inside], found.errors[inside], found.chi2[inside]


@cache
def visitors():
    """Six simulated stars at SNR 100: flux (6, n_pix), table of labels, whose labels describe the star."""
    rng = np.random.default_rng(11)
    extension = ModelGrid.read(Run().root / "data/embedded/tlusty_extension_grid.fits")
    cool = int(np.argmin(np.abs(extension.nodes["teff"] - 11_500)))
    compact = int(np.argmax(np.asarray(extension.nodes["logg"])))
    stars = [[18_000, 3.9, -0.1, 180], [30_000, 4.1, 0, 60], [24_000, 3.6, -0.3, 20]]
    ours = synthesise(models(), stars, LRS)
    strangers = observe(extension.flux[[cool, compact]], extension, LRS, [60, 10])
    # A star of this grid whose velocity [km/s] nobody has taken out.
    moving = observe(models().spectra([[26_000, 3.8, 0]]), models(), LRS, [40], velocity=80.0)[0]
    flux = np.stack([strangers[0], ours[0], moving, ours[1], strangers[1], ours[2]])
    flux = flux + rng.normal(0, 1 / SNR, flux.shape)
    ivar = np.broadcast_to(SNR**2 * LRS.good, flux.shape)
    table = infer(trained(), flux, ivar, inside=models().contains).table()
    return flux, table, np.array([False, True, False, True, False, True])


def binary():
    """Labels found for the blended light of two stars, and chi-square: a Table of one row."""
    pair = synthesise(models(), [[24_000, 4.2, 0, 120], [17_000, 4.3, 0, 150]], LRS)
    # The hotter star gives 70% of the light.
    flux = [0.7, 0.3] @ pair + np.random.default_rng(5).normal(0, 1 / SNR, LRS.wave.size)
    found = infer(trained(), flux, SNR**2 * LRS.good.astype(float), inside=models().contains)
    return Table(found.table())


@exercise("T5.1")
def _bias(answer):
    wrong, _ = errors_of("spline")
    middle = np.median(wrong[:, LOGG])
    usual = [
        (-middle, "found minus true: a label that comes out too low has a negative bias"),
        (np.median(wrong[:, 0]), "that is Teff; log g is column 1"),
        (np.std(wrong[:, LOGG]), "that is the scatter"),
    ]
    judge(answer, middle, usual, rtol=0.02, hint="median of column 1 of the errors")
    return "gravity lost in the continuum: the spline ate the Balmer wings."


@exercise("T5.2")
def _pulls(answer):
    found, true, error = np.array([4.1, 3.8, 3.0]), np.array([4.0, 4.0, 3.1]), np.array([0.05, 0.2, 0.4])
    pull = (found - true) / error
    usual = [
        (-pull, "found minus true, not the other way round"),
        ((found - true) / error**2, "divide by the error, not by its square"),
        ((found - true) / true, "divide by the error, not by the label"),
    ]
    judge(call(answer, found, true, error), pull, usual, rtol=1e-6, hint="(found - true) / error")
    return "of honest errors, pulls have mean 0 and width 1."


@exercise("T5.3")
def _coverage(answer):
    wrong, error = errors_of("spline")
    pull = (wrong / error)[:, LOGG]
    share = np.mean(np.abs(pull) < 1)
    usual = [
        (100 * share, "a fraction please, not per cent"),
        (0.683, "that is what it should be; count what it is"),
        (1 - share, "that is the share outside"),
    ]
    judge(answer, share, usual, rtol=0.01, atol=0.001, hint="mean of |pull| < 1, column 1")
    return "two thirds were promised."


@exercise("T5.4")
def _inflation(answer):
    wrong, error = errors_of("matched")
    pull = (wrong / error)[:, LOGG]
    low, high = np.percentile(pull, [15.87, 84.13])
    width = (high - low) / 2
    usual = [
        (1 / width, "upside down: pulls wider than 1 ask for larger errors"),
        (2 * width, "half of the range from 15.87 to 84.13 per cent"),
    ]
    judge(answer, width, usual, rtol=0.03, hint="half of the range that holds 68.3% of the pulls")
    return "pixels share the wander of the continuum; taken for independent they promise too much."


@exercise("T5.5")
def _strangers(answer):
    _, table, sound = visitors()
    right = set(np.flatnonzero(~sound).tolist())
    try:
        given = {int(number) for number in answer}
    except (TypeError, ValueError):
        raise NotYetError("give a list of numbers, such as [0, 5]") from None
    good = set(np.flatnonzero(sound).tolist())
    require(given <= right | good, "numbers run from 0 to 5")
    require(given != good, "those can be used; the others are asked for")
    require(not given & good, f"number {min(given & good, default='')} is inside and fits well")
    missing = right - given
    outside = {row for row in missing if table["flag"][row] != "I"}
    require(not outside, "look at flag: outside the grid the machine extrapolates, however small its errors")
    require(not missing, "look at chi2: what fits badly is not described by its labels, normal as they look")
    return (
        "number 0 is a star of 11,500 K, cooler than any model; number 4 a hot subdwarf of 25,000 K and "
        "log g = 5.75, denser than any; number 2 a B star whose velocity of 80 km/s nobody took out."
    )


@exercise("T5.6")
def _model_error(answer):
    wrong, error, _ = deeper_helium(0.15)
    share = np.mean(np.abs(wrong / error)[:, LOGG] < 1)
    usual = [
        (100 * share, "a fraction please, not per cent"),
        (1 - share, "that is the share outside"),
        (np.mean(np.abs(wrong / error)[:, 0] < 1), "that is Teff; log g is column 1"),
    ]
    judge(answer, share, usual, rtol=0.01, atol=0.001, hint="mean of |pull| < 1, column 1")
    return "an error that knows only noise says nothing of models that are wrong, and chi-square hardly does."
