"""A laboratory of mismatches: choose what is wrong with simulated stars and by how much, and see labels.

``python -m compendium.laboratory`` prints the table of several mismatches, for both instruments.
"""

import argparse
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
from astropy.table import Table, vstack

from compendium.hrs import floats
from compendium.run import Run
from compendium.train import labelling_grid, read_labeller
from slamlib.errors import InputError, SlamlibError
from slamlib.grid.broaden import instrument_sigma
from slamlib.grid.training import blurred
from slamlib.instruments import C_KMS
from slamlib.labelling.calibration import Observatory, Observed
from slamlib.labels import NAMES, VSINI
from slamlib.spectra.lines import HELIUM, lines_by_ion, of_lines

# What can be wrong, how much of it the table has, and what the amount means.
MISMATCHES = {
    "nothing": (0.0, "models and stars share their physics"),
    "helium": (0.15, "lines of He I deeper or shallower by this share, by chance"),
    "companion": (0.5, "a second star of 0.1 to this flux ratio, up to 200 km/s apart"),
    "profile": (1.0, "FWHM constant in A, in units of that in the middle of the spectrum"),
    "H alpha": (0.15, "H alpha filled by up to this share of the continuum"),
    "interstellar": (0.3, "interstellar Ca II H and K up to this deep"),
    "all helium": (0.1, "lines of He I deeper by this share, in all stars alike"),
    "metals": (0.25, "lines of each metal ion off by this share (standard deviation), in all alike"),
    "width": (0.08, "profile wider by this share, in all stars alike"),
}
ROWS = ("nothing", "helium", "companion", "profile", "H alpha", "interstellar")
# Reach of a line [A]; FWHM [A] of what fills H alpha, sigma [km/s] of an interstellar cloud; how fast
# a companion is at most against its star [km/s].
_HELIUM, _METAL, _FILLING, _CLOUD, _APART = 8.0, 2.0, 6.0, 6.0, 200.0
_CALCIUM, _H_ALPHA = (3933.66, 3968.47), 6562.8


class Mismatch:
    """What a telescope sees of stars that differ from the models: the `change` of `simulate`.

    `amounts` have keys of `MISMATCHES`. `seed` is of what differs from star to star, which does not depend on
    their company, and of `metals`.
    """

    def __init__(self, observatory, amounts, seed):
        if unknown := set(amounts) - set(MISMATCHES):
            raise InputError(f"no mismatch {sorted(unknown)}; choose from {', '.join(MISMATCHES)}")
        self._grid, self._library = observatory.grid, observatory.library
        self._amounts = dict.fromkeys(MISMATCHES, 0.0) | amounts
        self._seed, self._instrument = seed, observatory.instrument
        self._sigma = instrument_sigma(self._instrument.resolution)
        if fixed := self._amounts["profile"]:
            wave = self._instrument.wave[[0, -1]]
            powers = self._instrument.resolution * wave / (fixed * wave.mean())
            self._instrument = replace(self._instrument, profile=tuple(zip(wave, powers, strict=True)))

    def __call__(self, flux, rows):
        """Spectra at the telescope (n, n_pix) of surface spectra (n, n_pix) of `rows` of the truth table."""
        amounts, wave = self._amounts, self._grid.wave
        draws = [np.random.default_rng([self._seed, int(obsid)]).uniform(-1, 1, 3) for obsid in rows["obsid"]]
        sign, share, apart = np.transpose(draws)[..., None]
        share = np.abs(share)
        of_star = amounts["helium"] * np.sign(sign) + amounts["all helium"]
        change = (flux - 1) * of_star * _near(wave, HELIUM, _HELIUM) + self._metals(flux)
        fine = self._broadened(flux + change, rows, 0)
        if amounts["companion"]:
            ratio = 0.1 + (amounts["companion"] - 0.1) * share
            # Fainter, it is cooler: along the main sequence.
            teff = np.maximum(rows["teff"] * ratio[:, 0] ** 0.2, self._grid.ranges[0, 0])
            labels = np.column_stack([teff, np.full(len(rows), 4.2), rows["mh"]])
            second = self._broadened(self._library.spectra(labels), rows, _APART * apart[:, 0])
            fine = (fine + ratio * second) / (1 + ratio)
        centre = _H_ALPHA * (1 + np.asarray(rows["rv"])[:, None] / C_KMS)
        fine = fine + amounts["H alpha"] * share * np.exp(-0.5 * ((wave - centre) / (_FILLING / 2.355)) ** 2)
        cloud = np.hypot(_CLOUD, self._sigma) / C_KMS
        depth = sum(np.exp(-0.5 * (np.log(wave / line) / cloud) ** 2) for line in _CALCIUM)
        return (fine * (1 - amounts["interstellar"] * share * depth)).astype(np.float32)

    def _metals(self, flux):
        if not self._amounts["metals"]:
            return 0
        rng, wave, lines = np.random.default_rng(self._seed), self._grid.wave, lines_by_ion()
        changes = (rng.normal() * of_lines(wave, flux, lines[ion], _METAL) for ion in sorted(lines))
        return self._amounts["metals"] * sum(changes)

    def _broadened(self, flux, rows, velocity):
        wider = (1 + self._amounts["width"]) ** 2 - 1
        sigma = np.sqrt(np.asarray(rows["sigma"]) ** 2 + wider * self._sigma**2)
        return blurred(flux, self._grid, self._instrument, rows["vsini"], sigma, rows["rv"] + velocity)


def _near(wave, centres, reach):
    return np.any([np.abs(wave - centre) < reach for centre in centres], axis=0).astype(np.float32)


def try_out(labeller, observatory, wrong, n, snr, seed):
    """Label `n` simulated stars for each of several mismatches, with the errors that real stars get.

    `wrong` are amounts of `MISMATCHES`, a dict each, `snr` is per pixel of the files. Returns a Table each,
    one row a star: that of `Labeller.label`, and true labels as ``true_teff``, ...
    """
    rows = observatory.draw(n, snr, seed)
    stars = [observatory.observe(rows, seed, Mismatch(observatory, amounts, seed)) for amounts in wrong]
    # Together: a fit of few stars takes nearly as long as one of many.
    every = Observed(*map(np.concatenate, zip(*(vars(some).values() for some in stars), strict=True)))
    table = with_truth(labeller, every, np.full(len(every.flux), float(snr)))
    ends = np.cumsum([len(some.flux) for some in stars])
    return [table[end - len(some.flux) : end] for some, end in zip(stars, ends, strict=True)]


def with_truth(labeller, stars, snr):
    """Label `Observed` stars as real ones; the table of `try_out`."""
    table = labeller.label(stars.flux, stars.ivar, np.zeros(len(stars.flux), dtype=bool), snr)
    for name, true in zip(NAMES, stars.labels.T, strict=False):
        table[f"true_{name}"] = true
    table.meta["simulated"] = True
    return table


def summarised(table):
    """Sum up a table of `try_out`: a Table, one row a label.

    It has n, rms and bias (mean) of found minus true, quoted (median error), cover68 and cover95 (shares of
    stars within one and 1.96 errors), of stars that are not outside the grid and whose status is ok; upper
    limits of v sin i do not count. And of all stars chi2 (median), ok (the share with that status) and
    statuses (how often others were given).
    """
    status = np.asarray(table["status"])
    good = (status == "ok") & (np.asarray(table["flag"]) != "O")
    others = Counter(status[status != "ok"].tolist())
    told = ", ".join(f"{word} {n}" for word, n in others.most_common())
    chi2, rows = np.nanmedian(np.asarray(table["chi2"], dtype=float)), []
    for name in NAMES:
        found, true, quoted = (floats(table, column.format(name)) for column in ("{}", "true_{}", "e_{}"))
        kept = good & np.isfinite(found) & np.isfinite(quoted)
        if name == VSINI.name:
            kept &= ~np.isfinite(floats(table, "vsini_limit"))
        error = (found - true)[kept]
        pull = np.abs(error) / quoted[kept]
        if not len(pull):
            pull = error = np.array([np.nan])
        values = [
            np.sqrt(np.mean(error**2)),
            np.mean(error),
            np.median(quoted[kept]) if kept.any() else np.nan,
        ]
        covers = [np.mean(pull < sigmas) for sigmas in (1, 1.96)]
        rows.append((name, int(kept.sum()), *values, *covers, chi2, np.mean(good), told))
    names = ("label", "n", "rms", "bias", "quoted", "cover68", "cover95", "chi2", "ok", "statuses")
    table = Table(rows=rows, names=names, meta={"simulated": True})
    for name in names[2:9]:
        table[name].info.format = ".3g"
    return table


def laboratory(run, n, snr=100.0, rows=ROWS, instruments=("LRS", "MRS"), say=print):
    """Try one mismatch after the other on `n` stars: `summarised`, with instrument and mismatch."""
    grid, parts = labelling_grid(run), []
    for name in instruments:
        labeller = read_labeller(run, name)
        observatory = Observatory.of(grid, name, labeller.templates)
        wrong = [row if isinstance(row, dict) else {row: MISMATCHES[row][0]} for row in rows]
        tables = try_out(labeller, observatory, wrong, n, snr, run.seed)
        for amounts, part in zip(wrong, map(summarised, tables), strict=True):
            what = ", ".join(f"{key} {amount:g}" for key, amount in amounts.items())
            part.add_column([what] * len(part), 0, name="mismatch")
            part.add_column([name] * len(part), 0, name="instrument")
            parts.append(part)
        say(f"{name}: done")
    return vstack(parts, metadata_conflicts="silent")


def main(arguments=None):
    """Print the table; return the exit status."""
    text = __doc__.split("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m compendium.laboratory", description=text)
    parser.add_argument(
        "--wrong",
        nargs="+",
        default=[],
        metavar="WHAT=AMOUNT",
        help="; ".join(f"{name} ({amount:g}): {about}" for name, (amount, about) in MISMATCHES.items()),
    )
    parser.add_argument("--n", type=int, default=120, help="stars, default %(default)s")
    parser.add_argument("--snr", type=float, default=100.0, help="default %(default)s")
    parser.add_argument("--profile", default="quick", help="of the models, quick or paper")
    options = parser.parse_args(arguments)
    try:
        amounts = {name: float(amount) for name, _, amount in (text.partition("=") for text in options.wrong)}
        rows = (amounts,) if amounts else ROWS
        laboratory(Run(options.profile), options.n, options.snr, rows, say=lambda _: None).pprint_all()
    except ValueError as error:
        parser.error(f"{error}; write for instance --wrong helium=0.1 'H alpha=0.2'")
    except SlamlibError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
