"""The figures of trust: error bars are those of the number of stars, words explain themselves."""

import numpy as np
import pytest
from astropy.stats import mad_std
from astropy.table import Table

from compendium import figures
from slamlib.labelling.calibration import spread
from slamlib.labels import NAMES

N = 400


def calibration(**values):
    names = ("pull_width", "pull_mean", "cover68", "cover95", "crb_ratio")
    rows = [
        (instrument, snr, label, N, *(values.get(name, 1.0) for name in names))
        for instrument in ("LRS", "MRS")
        for snr in (50, 100)
        for label in NAMES
    ]
    return Table(rows=rows, names=("instrument", "snr", "label", "n", *names))


def bars(panel):
    """Half the length of the error bars of each curve of a panel."""
    return [
        (np.array(container.lines[2][0].get_segments())[:, 1, 1] - container.lines[0].get_ydata())
        for container in panel.containers
    ]


def test_error_bars_of_the_calibration_are_the_scatter_of_samples_of_that_size():
    panels = np.reshape(figures.fig_calibration(calibration()).axes, (3, 4))[:, 0]
    found = [float(bar[0]) for panel in panels for bar in bars(panel)[: 1 + (panel is not panels[2])]]
    draws = np.random.default_rng(5).normal(size=(3000, N))
    expected = [np.std([spread(draw) for draw in draws]), draws.mean(axis=1).std()]
    expected += [np.mean(np.abs(draws) < limit, axis=1).std() for limit in (1, 1.96)]
    expected.append(np.std([mad_std(draw) for draw in draws]))
    assert found == pytest.approx(expected, rel=0.05)
