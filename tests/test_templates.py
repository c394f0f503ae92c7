"""Velocity templates of model stars: they find the velocity of a star that is none of them."""

import numpy as np
import pytest

from slamlib.grid.training import observe
from slamlib.instruments import INSTRUMENTS
from slamlib.labelling.templates import velocity_templates
from slamlib.spectra.prepare import normalise

SNR = 100
# Between the templates in every label: Teff, log g, [M/H], v sin i.
STAR = (24_300, 3.7, -0.3, 60.0)


@pytest.fixture(scope="module", params=INSTRUMENTS)
def seen(request, grid):
    """The templates of an instrument, and a function giving the star at a velocity as it observes it."""
    instrument = INSTRUMENTS[request.param]
    spectrum, wide = grid.spectra([STAR[:3]]), instrument.widened()

    def star(rv, rng):
        flux = observe(spectrum, grid, wide, [STAR[3]], velocity=rv)[0]
        flux = flux * (wide.wave / 5000) ** -2 * (1 + rng.normal(0, 1 / SNR, flux.size))
        ivar = np.full(flux.size, float(SNR) ** 2)
        return wide.wave, *normalise(wide.wave, flux, ivar, instrument)

    return instrument, velocity_templates(grid, instrument), star


@pytest.mark.parametrize("rv", [-310.0, 12.0, 170.0])
def test_the_velocity_of_a_star_between_the_templates_is_found(seen, rv):
    """Two km/s beside the noise: a coarse set of templates fits no star exactly."""
    instrument, templates, star = seen
    found = [templates.measure(*star(rv, np.random.default_rng(seed))) for seed in range(4)]
    mean = np.mean([velocity.rv for velocity in found])
    noise = np.mean([velocity.e_rv for velocity in found])
    assert noise < {"LRS": 6, "MRS": 3}[instrument.name]
    assert mean == pytest.approx(rv, abs=2 + 4 * noise / np.sqrt(len(found)))
