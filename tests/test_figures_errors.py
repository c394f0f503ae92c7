"""Figures of errors: bars of the calibration, numbers of the paper beside the forensics."""

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


PAPER = {("LRS", "teff"): 327.0, ("LRS", "logg"): 0.03, ("MRS", "teff"): 562.0}


def tables():
    rows = [
        (name, row, 400.0 * factor, 0.03 * factor, 6.0 * factor)
        for name, known in (("LRS", ("bound", "SVR", "SVR, other")), ("MRS", ("bound", "SVR")))
        for factor, row in enumerate(known, start=1)
    ]
    rows = Table(rows=rows, names=("instrument", "row", "teff", "logg", "vsini"))
    bins = [
        (name, teff, 0.02 * teff, 0.01 * teff, 0.005 * teff)
        for name in ("LRS", "MRS")
        for teff in (17.5e3, 32.5e3, 52.5e3)
    ]
    return rows, Table(rows=bins, names=("instrument", "teff", "svr", "krr", "bound"))


def panels(figure):
    return [axes for part in figure.subfigs for axes in part.axes]


def test_the_papers_numbers_are_dashed_where_it_has_some():
    above_lrs, above_mrs, teff, logg, vsini = panels(figures.fig_forensics(*tables(), PAPER))

    def dashed(axes, along):
        return [line.get_data()[along][0] for line in axes.lines if line.get_linestyle() == "--"]

    assert (dashed(above_lrs, 1), dashed(above_mrs, 1)) == ([327], [562])
    assert (dashed(teff, 0), dashed(logg, 0), dashed(vsini, 0)) == ([327, 562], [0.03], [])
