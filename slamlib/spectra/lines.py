"""Spectral lines of OB stars, by the ion that makes them.

Air wavelengths [A] are of the NIST Atomic Spectra Database. Figures name the lines, and errors of the models
rest on them (`slamlib.inference.model_error`).
"""

import numpy as np

# Strong lines; blends and multiplets that share a name on the figures stand together.
LINES = (
    (r"H$\epsilon$", (3970.07,)),
    ("He I", (4026.19,)),
    (r"H$\delta$", (4101.73,)),
    ("He I", (4143.76,)),
    ("He II", (4199.83,)),
    (r"H$\gamma$", (4340.46,)),
    ("He I", (4387.93,)),
    ("He I", (4471.48,)),
    ("Mg II", (4481.2,)),
    ("He II", (4541.59,)),
    ("Si III", (4552.62, 4567.84, 4574.76)),
    ("He II", (4685.7,)),
    ("He I", (4713.15,)),
    (r"H$\beta$", (4861.33,)),
    ("He I", (4921.93,)),
    ("He I", (5015.68,)),
    ("He I", (5047.74,)),
    ("He II", (5411.52,)),
    ("He I", (5875.62,)),
    ("Si II", (6347.11,)),
    ("Si II", (6371.37,)),
    (r"H$\alpha$", (6562.8,)),
    ("He I", (6678.15,)),
)
# Weaker lines than the figures name; close pairs by their mean.
WEAKER = {
    "He I": (3964.73, 4009.26, 4120.82),
    "C II": (4267.18, 5145.16, 6578.05, 6582.88),
    "C III": (4650.25,),
    "N II": (3995.00, 4630.54, 5001.47, 5005.15, 5045.10, 5666.63, 5679.56, 6482.05),
    "N III": (4640.64,),
    "O II": (4075.86, 4349.43, 4414.90, 4590.97, 4641.81, 4649.13, 4661.63, 4676.24, 4699.20, 4941.07),
    "O III": (5592.25,),
    "Ne I": (6402.25, 6506.53),
    "Al III": (4529.19, 5696.60, 5722.73),
    "Si II": (4128.05, 4130.89, 5041.02, 5055.98),
    "Si III": (5739.73,),
    "Si IV": (4088.86, 4116.10),
    "S II": (5009.57, 5014.04, 5032.43, 5212.62, 5320.72, 5345.71, 5453.86),
    "S III": (4253.59,),
    "Fe II": (5169.03,),
    "Fe III": (5073.90, 5086.70, 5127.39, 5156.11, 5193.91, 5243.31),
}

# All lines of hydrogen and helium that models of OB stars show.
HYDROGEN = (3970.07, 4101.73, 4340.46, 4861.33, 6562.8)
HELIUM = (
    *(3926.54, 3964.73, 4009.26, 4026.19, 4120.81, 4143.76, 4168.97, 4387.93, 4437.55, 4471.48, 4713.15),
    *(4921.93, 5015.68, 5047.74, 5875.62, 6678.15),
)
IONISED = (4199.83, 4541.59, 4685.7, 4859.32, 5411.52, 6310.8, 6406.4, 6527.1, 6560.1, 6683.2)
# A line of a metal is left out within so many times its reach of these: it cannot be told from their wings.
_FROM_HYDROGEN, _FROM_HELIUM = 3.0, 1.6


def lines_by_ion():
    """Return the lines [A] of each ion of a metal: a dict of tuples.

    Examples
    --------
    >>> lines_by_ion()["Si III"]
    (4552.62, 4567.84, 4574.76, 5739.73)
    """
    found = {}
    for ion, waves in (*LINES, *WEAKER.items()):
        # Hydrogen and helium are no metals.
        if not ion.startswith("H"):
            found[ion] = (*found.get(ion, ()), *waves)
    return found


def of_lines(wave, flux, centres, reach):
    """Part of flux (n, n_pix) that lines of metals make: its difference from a straight line across each.

    It is 0 elsewhere. Lines that lie within twice the `reach` [A] of one another are one; lines near those of
    hydrogen and helium are left out, for the straight line would end in their wings.

    Examples
    --------
    >>> wave = np.arange(4550.0, 4570.0)
    >>> slope = 1 - 0.01 * (wave - 4550)
    >>> found = of_lines(wave, slope - 0.2 * (wave == 4560), [4560.0], 5)
    >>> np.flatnonzero(found.round(9)), float(found.min().round(9))
    (array([10]), -0.2)
    """
    flux, centres = np.asarray(flux), np.asarray(centres)
    for others, times in ((HYDROGEN, _FROM_HYDROGEN), (HELIUM + IONISED, _FROM_HELIUM)):
        centres = centres[np.abs(centres[:, None] - others).min(axis=1) > times * reach]
    found = np.zeros_like(flux)
    near = np.flatnonzero((np.abs(wave[:, None] - centres) < reach).any(axis=1))
    for line in np.split(near, np.flatnonzero(np.diff(near) > 1) + 1):
        if line.size:
            first, last = flux[..., line[:1]], flux[..., line[-1:]]
            found[..., line] = flux[..., line] - first - (last - first) * np.linspace(0, 1, line.size)
    return found
