"""The figure of forensics shows every row, and the paper's numbers where the paper has some."""

from astropy.table import Table

from compendium import figures

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
