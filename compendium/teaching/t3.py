"""T3, noise and information: the Fisher matrix of a spectrum and the Cramer-Rao bound."""

from functools import cache

import numpy as np

from compendium.teaching.checks import call, exercise, judge
from compendium.teaching.classroom import trained
from slamlib.inference.validate import cramer_rao
from slamlib.instruments import LRS
from slamlib.labels import NAMES

# The star of this lesson: Teff [K], log g, [M/H], v sin i [km/s]; its SNR per pixel.
STAR, SNR = (20_000.0, 4.0, 0.0, 50.0), 100.0
BALMER = {"H epsilon": 3970.1, "H delta": 4101.7, "H gamma": 4340.5, "H beta": 4861.3, "H alpha": 6562.8}
# Half of the range that belongs to a Balmer line [A]; the Teff error that is wanted [K].
HALF, WANTED = 40.0, 50.0


def ivar():
    """Inverse variance of each LRS pixel at the SNR of this lesson, 0 where the pixel is masked."""
    return SNR**2 * LRS.good.astype(float)


@cache
def slopes():
    """Return the derivative of the star's flux with respect to each label, (4, n_pix)."""
    return trained().jacobian(STAR)[0].astype(float)


def near_balmer():
    """Tell which pixels lie near a Balmer line, (n_pix,)."""
    return np.any([np.abs(LRS.wave - centre) < HALF for centre in BALMER.values()], axis=0)


@cache
def bound():
    """Cramer-Rao bound of each label of the star, (4,)."""
    return cramer_rao(trained(), STAR, ivar())[0]


@exercise("T3.1")
def _mean(answer):
    for snr, n in ((20.0, 25), (100.0, 9)):
        truth = 1 / snr / np.sqrt(n)
        usual = [
            (1 / snr / n, "errors add in squares: the mean gains the square root of n"),
            (np.sqrt(n) / snr, "that is the error of the sum; the mean is n times smaller"),
            (snr * np.sqrt(n), "that is the SNR of the mean; its error is asked for"),
            (truth**2, "that is the variance; take its square root"),
        ]
        judge(call(answer, snr, n), truth, usual, rtol=1e-6, hint="one pixel has the error 1 / snr")
    return "this is why many weak lines are worth one strong one."


@exercise("T3.2")
def _alone(answer):
    information = np.sum(ivar() * slopes()[0] ** 2)
    truth = information**-0.5
    usual = [
        (1 / information, "that is the variance; take its square root"),
        (np.sum(np.sqrt(ivar()) * slopes()[0] ** 2) ** -0.5, "ivar is 1 / sigma squared; use it whole"),
        (bound()[0], "right with all four labels unknown; here the other three are known"),
    ]
    judge(answer, truth, usual, rtol=0.01, hint="information = sum of ivar * slope^2")
    return f"{truth:.0f} K, if an oracle told you the other labels."


@exercise("T3.3")
def _all(answer):
    fisher = (slopes() * ivar()) @ slopes().T
    covariance = np.linalg.inv(fisher)
    usual = [
        (np.diag(fisher) ** -0.5, "that takes the other labels for known: invert the whole matrix first"),
        (np.diag(covariance), "those are variances; take square roots"),
    ]
    hint = "square roots of the diagonal of the inverse of the Fisher matrix"
    judge(answer, bound(), usual, rtol=0.01, hint=hint)
    ratio = bound()[0] * np.sqrt(fisher[0, 0])
    return f"Teff is {ratio:.1f} times less certain than with the others known: they can stand in for it."


@exercise("T3.4")
def _share(answer):
    content = ivar() * slopes()[NAMES.index("logg")] ** 2
    near = near_balmer()
    truth = content[near].sum() / content.sum()
    size = np.abs(slopes()[1]) * (ivar() > 0)
    usual = [
        (100 * truth, "a fraction please, not per cent"),
        (near.mean(), "that is the share of the pixels; weigh each by its information"),
        (size[near].sum() / size.sum(), "information goes with the square of the slope"),
    ]
    judge(answer, truth, usual, rtol=0.01, hint="sum over near_balmer() pixels, divided by the sum over all")
    return f"{truth:.0%} of what LRS knows about log g, from {near.mean():.0%} of its pixels."


@exercise("T3.5")
def _longer(answer):
    ratio = bound()[0] / WANTED
    usual = [
        (ratio, "that is how much more SNR is needed; SNR grows with the square root of the time"),
        (ratio**-2, "upside down: a smaller error needs more time"),
        (ratio**4, "squared once too often"),
    ]
    hint = "errors go as 1 / SNR, SNR as the square root of the exposure time"
    judge(answer, ratio**2, usual, rtol=0.03, hint=hint)
    return "halving an error costs four times the telescope."
