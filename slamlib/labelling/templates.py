"""Template spectra for radial velocities: a few model stars over the whole grid."""

from dataclasses import replace
from itertools import product

import numpy as np

from slamlib.grid.training import synthesise
from slamlib.instruments import C_KMS, get_instrument
from slamlib.npz import half
from slamlib.spectra.velocity import VelocityTemplates

# Teff [K] and v sin i [km/s] of the templates, where the grid has them; all of log g 4 and solar metallicity.
_TEFF = (9_500, 12_000, 15_500, 18_000, 22_000, 27_000, 33_000, 42_000)
_VSINI = (20, 100, 200)
# Step of the correlation: an eighth of what the instrument resolves, in multiples of this [km/s].
_STEP = 5.0
_MARGIN = 40.0


def velocity_templates(grid, instrument):
    """`VelocityTemplates` of a grid on one continuous range that spans an instrument's arms."""
    instrument = get_instrument(instrument)
    span = (instrument.wave[0] - _MARGIN, instrument.wave[-1] + _MARGIN, instrument.arms[0][2])
    continuous = replace(instrument, arms=(span,), excluded=())
    teff, vsini = np.transpose(list(product(_TEFF, _VSINI)))
    labels = grid.at(teff=teff, logg=4.0, vsini=vsini)
    labels = labels[grid.contains(grid.split(labels)[0])]
    step = _STEP * max(round(C_KMS / instrument.effective_resolution / 8 / _STEP), 1)
    # Half precision is a hundredth of the noise at SNR 100, and half of the file.
    return VelocityTemplates(continuous.wave, half(synthesise(grid, labels, continuous)), step=step)
