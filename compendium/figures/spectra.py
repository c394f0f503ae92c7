"""Figures about spectra: observed, divided by the pseudo-continuum, fitted by SLAM (5, 6)."""

from itertools import pairwise

import numpy as np
from matplotlib.lines import Line2D

from slamlib.errors import InputError
from slamlib.instruments import get_instrument
from slamlib.labels import LABELS, VSINI
from slamlib.npz import reading_npz
from slamlib.spectra.drawing import REJECTED, draw_fit, inside, shade_excluded
from slamlib.style import (
    BLACK,
    CYAN,
    GREY,
    PAGE,
    apj_style,
    new_figure,
    note_simulated,
    require_columns,
)

_FITTED = ("wave", "flux", "ivar", "model", "rejected")
_OBSERVED = ("wave", "flux", "ivar", "continuum")
_LRS_ROWS = 3
_WAVELENGTH = r"Wavelength [$\rm\AA$]"


@apj_style()
def fig_fit(spectrum, observed, instrument, fit, text, simulated):
    """Draw a spectrum with its pseudo-continuum, divided by it with SLAM's model, and residuals (Figs 5, 6).

    A column an arm. Above, the observed spectrum; below, the normalised one, of LRS in three rows of
    wavelength; under each row the residuals, with the noise of one sigma on both sides of zero. Rejected
    pixels are crosses, at the edge of the panel if they lie beyond.

    Parameters
    ----------
    spectrum : dict of ndarray, (n_pix,)
        wave in air at rest [A]; normalised flux; ivar, its inverse variance (0 hides a pixel);
        model, SLAM's prediction; rejected, whether the fit gave a pixel no weight.
    observed : dict of ndarray, (n,)
        The same star as its file has it: wave in air, shifted to rest [A]; flux and continuum
        in the same units; ivar (0 where a pixel is masked).
    instrument : str or Instrument
    fit : mapping
        The labels, their errors (e_teff, ...) and vsini_limit [km/s], NaN where v sin i is measured.
    text : str
        What to call the star.
    simulated : bool
        Whether the spectrum is simulated; the figure then says so.
    """
    instrument = get_instrument(instrument)
    for arrays, names in ((spectrum, _FITTED), (observed, _OBSERVED)):
        require_columns(arrays, names, f"the spectrum of {text}")
        _same_length(arrays, names)
    arms = [(first, last) for first, last, _ in instrument.arms]
    if len(arms) == 1:
        windows, height = list(pairwise(np.linspace(*arms[0], _LRS_ROWS + 1))), 8.9
    else:
        windows, height = arms, 5.4
    n_columns = len(arms)
    n_rows = len(windows) // n_columns
    figure = new_figure(PAGE, height)
    ratios = {"height_ratios": (2.4, *(3, 1) * n_rows), "hspace": 0}
    panels = figure.subplots(1 + 2 * n_rows, n_columns, squeeze=False, gridspec_kw=ratios)
    raws, mains, strips = panels[0], panels[1::2], panels[2::2]
    for raw, arm in zip(raws, arms, strict=True):
        _draw_observed(raw, observed, spectrum, instrument, arm)
        raw.tick_params(labelbottom=n_rows > 1)
    for main, strip, window in zip(mains.flat, strips.flat, windows, strict=True):
        draw_fit(main, strip, spectrum, instrument, window, n_columns)
    raws[0].set_ylabel("Relative flux")
    for main, strip in zip(mains[:, 0], strips[:, 0], strict=True):
        main.set_ylabel("Normalised flux")
        strip.set_ylabel("Residual")
    for strip in strips[-1]:
        strip.set_xlabel(_WAVELENGTH)
    figure.align_ylabels(panels[:, 0])
    quantities = ",   ".join(_quantity(label, fit) for label in LABELS)
    figure.suptitle(f"{instrument.name}: {text}\n{quantities}", x=0.01, ha="left", fontsize=9)
    handles = [line for axes in (raws[0], mains[0, 0], strips[0, 0]) for line in axes.get_lines()]
    named = {line.get_label(): line for line in handles if not line.get_label().startswith("_")}
    named[REJECTED["label"]] = Line2D([], [], **REJECTED)
    figure.legend(handles=named.values(), loc="outside lower left", ncols=len(named), columnspacing=1.2)
    if simulated:
        note_simulated(raws[-1])
    return figure


def _draw_observed(axes, observed, spectrum, instrument, window):
    """One arm as observed, with its pseudo-continuum; pixels that no fit saw are pale."""
    wave, show = inside(observed["wave"], window, "the observed spectrum")
    columns = (np.asarray(observed[name], dtype=float)[show] for name in ("flux", "ivar", "continuum"))
    flux, ivar, continuum = columns
    # A pixel of the file is rejected if one of the fit's next to it is.
    rejected = np.interp(wave, spectrum["wave"], np.asarray(spectrum["rejected"], dtype=float)) > 0
    seen = (ivar > 0) & np.isfinite(flux) & ~rejected
    scale = np.nanmedian(np.asarray(observed["continuum"], dtype=float))
    axes.plot(wave, flux / scale, color=GREY, linewidth=0.5, label="masked or rejected")
    axes.plot(wave, np.where(seen, flux, np.nan) / scale, color=BLACK, linewidth=0.6, label="observed")
    axes.plot(wave, continuum / scale, color=CYAN, linewidth=1.2, label="pseudo-continuum")
    # A wild pixel must not squeeze the spectrum: the continuum and the good pixels set the range.
    low, high = np.percentile(flux[seen], (0.5, 99.5)) if seen.any() else (0, 0)
    axes.set_ylim(0.7 * max(low, 0) / scale, 1.1 * max(high, np.nanmax(continuum)) / scale)
    axes.set_xlim(window)
    shade_excluded((axes,), instrument, window)


def _same_length(arrays, names):
    shapes = {name: np.shape(arrays[name]) for name in names}
    if len(set(shapes.values())) != 1 or len(shapes[names[0]]) != 1:
        raise InputError(f"arrays must be one-dimensional and of one length; got {shapes}")


def _quantity(label, fit):
    if label is VSINI and np.isfinite(fit["vsini_limit"]):
        return f"{label.symbol} $< {fit['vsini_limit']:.{label.decimals}f}$ {label.unit_text} (95%)"
    value, error = (f"{fit[prefix + label.name]:z.{label.decimals}f}" for prefix in ("", "e_"))
    return rf"{label.symbol} $= {value} \pm {error}$ {label.unit_text}"


def fig05(run):
    """Draw Fig. 5 from the products of a run."""
    return _fitted("MRS", run)


def fig06(run):
    """Draw Fig. 6 from the products of a run."""
    return _fitted("LRS", run)


def _fitted(name, run):
    path = run.products / f"fit_{name}.npz"
    with reading_npz(path, 1, "fit of a spectrum", "run notebook 05") as (fit, arrays):
        spectrum = {part: arrays[part] for part in _FITTED}
        observed = {part: arrays[f"observed_{part}"] for part in _OBSERVED}
    return fig_fit(spectrum, observed, name, fit, fit["text"], run.simulated)
