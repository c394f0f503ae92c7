"""The one picture that the README shows: learn model spectra, fit a star, trust the labels.

python -m compendium.overview [--profile quick]    write docs/overview.png
"""

import argparse
import sys

import numpy as np

from compendium.run import Run
from compendium.train import read_labeller
from slamlib.errors import InputError, SlamlibError
from slamlib.instruments import LRS
from slamlib.io import atomic, read_ecsv
from slamlib.labels import NAMES, TEFF
from slamlib.spectra.prepare import read_many
from slamlib.style import (
    BLACK,
    BLUE,
    GREY,
    INSTRUMENT_STYLE,
    PAGE,
    RED,
    apj_style,
    new_figure,
    note_simulated,
)

# Around the lines that tell temperature: He I 4388 and 4471, Mg II 4481, He II 4542, Si III 4553.
_LEARNED = (4360, 4580)
_FITTED = (4030, 4950)
# Between one spectrum and the next.
_SHIFT = 0.28
_TEMPERATURES = {16_000: RED, 22_000: BLACK, 38_000: BLUE}


@apj_style()
def fig_overview(models, star, found):
    """Draw what SLAM learns, one fit and the labels of a simulated survey, side by side.

    `models` has the LRS flux (n_pix,) that SLAM predicts for each Teff [K], coolest first; `star` LRS flux,
    inverse variance and model of a simulated star; `found` true and found Teff [K] of simulated stars, for
    each instrument.
    """
    figure = new_figure(PAGE, 2.6)
    learned, fitted, compared = figure.subplots(1, 3, width_ratios=(1, 1.5, 1))
    for rank, (teff, flux) in enumerate(models.items()):
        learned.plot(LRS.wave, flux + _SHIFT * rank, color=_TEMPERATURES[teff])
        where = (_LEARNED[1] - 4, 1.02 + _SHIFT * rank)
        learned.text(*where, f"{teff:,} K", color=_TEMPERATURES[teff], ha="right", va="bottom", fontsize=8)
    learned.set(xlim=_LEARNED, ylim=(0.72, 1.7), ylabel="normalised flux (shifted)", yticks=[])
    learned.set_title("1. Learn model spectra", loc="left")
    flux, ivar, model = star
    fitted.plot(LRS.wave, np.where(ivar > 0, flux, np.nan), color="0.6", label="spectrum")
    fitted.plot(LRS.wave, model, color=RED, linewidth=0.9, label="fit")
    fitted.set(xlim=_FITTED, ylim=(0.45, 1.1), ylabel="normalised flux")
    fitted.legend(loc="lower center", bbox_to_anchor=(0.66, 0.15))
    fitted.set_title("2. Fit a star", loc="left")
    for axes in (learned, fitted):
        axes.set_xlabel(r"wavelength [$\rm\AA$]")
    ends = np.array([14, 48])
    compared.plot(ends, ends, color=GREY, zorder=0)
    for name, (true, ours) in found.items():
        look = INSTRUMENT_STYLE[name] | {"markersize": 3, "linestyle": "none", "markeredgewidth": 0}
        compared.plot(true / 1e3, ours / 1e3, **look, label=name, alpha=0.8)
    compared.set(xlim=ends, ylim=ends, xlabel=f"true {TEFF.symbol} [$10^3$ K]", ylabel=f"found {TEFF.symbol}")
    compared.legend(loc="upper left", handletextpad=0.1)
    compared.set_title("3. Labels", loc="left")
    for axes in (fitted, compared):
        note_simulated(axes)
    return figure


def overview_of(run):
    """Gather what `fig_overview` draws from the products of a run, and draw it.

    InputError if the run has real stars: their true labels are not known.
    """
    if not run.simulated:
        raise InputError("the picture needs true labels, which only simulated stars have")
    labeller = read_labeller(run, "LRS")
    labels = [[teff, 4.0, 0.0, 20.0] for teff in _TEMPERATURES]
    models = dict(zip(_TEMPERATURES, labeller.predict(labels), strict=True))
    truth = read_ecsv(run.products / "survey/truth.ecsv")
    found = {}
    for name in INSTRUMENT_STYLE:
        table = read_ecsv(run.products / f"labels_{name}.ecsv")
        true = dict(zip(truth["obsid"], truth["teff"], strict=True))
        good = table[(table["flag"] == "I") & (table["status"] == "ok")]
        found[name] = np.array([true[obsid] for obsid in good["obsid"]]), np.asarray(good["teff"])
        if name == "LRS":
            # The survey's typical SNR, among stars whose lines are neither faint nor blurred.
            sharp = good[(good["vsini"] < 150) & (good["teff"] < 25_000)]
            chosen = sharp[np.argmin(np.abs(sharp["snr"] - 60))]
    file = run.products / "survey" / chosen["file"]
    flux, ivar, _ = read_many([file], "LRS", rv=float(chosen["rv"]), progress=False)
    model = labeller.predict([[chosen[label] for label in NAMES]])[0]
    return fig_overview(models, (flux[0], ivar[0], model), found)


def main(arguments=None):
    """Write `docs/overview.png` from the products of a run; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m compendium.overview")
    parser.add_argument("--profile", default="quick")
    options = parser.parse_args(arguments)
    try:
        run = Run(options.profile)
        figure = overview_of(run)
        with atomic(run.root / "docs" / "overview.png") as path:
            figure.savefig(path, dpi=200)
    except SlamlibError as error:
        print(error, file=sys.stderr)
        return 1
    print("Made:\n  docs/overview.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
