"""Spoilt files: each ends as a row with its reason, as labels that agree or are flagged, or as one error.

`make fuzz` runs 1,500 of them and prints what became of each kind; the tests run some.
"""

import contextlib
import os
import signal
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from corruptions import ANY_FILE, CARDS, PIXELS, as_vectors

from slamlib.errors import FileError
from slamlib.files import read_ecsv
from slamlib.instruments import INSTRUMENTS
from slamlib.labels import NAMES
from slamlib.paper.run import Run
from slamlib.paper.templates import velocity_templates
from slamlib.paper.trained import Trained
from slamlib.survey.lamost import read_bytes
from slamlib.survey.prepare import read_many

ROOT = Path(__file__).parents[1]
# Seconds after which a file counts as a hang; the slowest good one takes a hundredth.
PATIENCE = 20
# Labels agree within this many of the larger of their errors.
SIGMAS = 4.0
# Above this chi-square per degree of freedom docs/flags.md says not to believe a fit.
CHI2 = 2.0
BAD = ("traceback", "hang", "silent")


@contextlib.contextmanager
def patience(seconds):
    def give_up(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


class Lab:
    """The quick run's models of one instrument, and a few of its best stars, in every layout of a file."""

    def __init__(self, instrument, grid, n_stars=3):
        with contextlib.chdir(ROOT):
            run = Run("quick")
            if not run.build.is_dir():
                message = "no quick run: `make notebooks PROFILE=quick` first"
                (pytest.fail if os.environ.get("CI", "").lower() == "true" else pytest.skip)(message)
            products = run.products.resolve()
        self.instrument, self.inside = instrument, grid.contains
        self.trained = Trained.read(products, instrument)
        self.templates = velocity_templates(grid, instrument)
        table = read_ecsv(products / f"labels_{instrument}.ecsv")
        good = (table["flag"] == "I") & (table["status"] == "ok") & (table["vsini"] > 60)
        best = table[good][np.argsort(-table["snr"][good])][:n_stars]
        contents = [read_bytes(products / "survey" / name) for name in best["file"]]
        self.contents = [*contents, *map(as_vectors, contents)] if instrument == "LRS" else contents

    def read(self, path):
        return read_many([path], self.instrument, rv=self.templates, progress=False)

    def labels(self, flux, ivar):
        return self.trained.infer(flux, ivar, inside=self.inside)


def spoil_and_label(lab, corruptions, n, rng, folder):
    """Spoil n files, going round the corruptions and the stars; rows of (kind, outcome, detail)."""
    path = folder / "spoilt.fits"
    bases = []
    for content in lab.contents:
        path.write_bytes(content)
        flux, ivar, _ = lab.read(path)
        bases.append((flux[0], ivar[0]))
    base = lab.labels(*(np.array(part) for part in zip(*bases, strict=True)))
    assert (base.status == "ok").all() and base.inside.all() and (base.chi2 < CHI2).all()
    outcomes, survivors = [], []
    for i in range(n):
        kind = list(corruptions)[i % len(corruptions)]
        star = rng.integers(len(lab.contents))
        path.write_bytes(corruptions[kind](lab.contents[star], rng))
        try:
            with patience(PATIENCE):
                flux, ivar, table = lab.read(path)
        except TimeoutError:
            outcomes.append((kind, "hang", ""))
        except Exception as error:
            outcomes.append((kind, "traceback", repr(error)))
        else:
            reason = table["reason"][0]
            if reason:
                clear = path.name in reason and "\n" not in reason and not ivar.any()
                outcomes.append((kind, "reason" if clear else "unclear reason", reason))
            else:
                survivors.append((kind, star, flux[0], ivar[0]))
    kinds, stars, flux, ivar = zip(*survivors, strict=True)
    found = lab.labels(np.array(flux), np.array(ivar))
    for i, (kind, star) in enumerate(zip(kinds, stars, strict=True)):
        error = np.maximum(found.errors[i], base.errors[star])
        agree = (np.abs(found.labels[i] - base.labels[star]) < SIGMAS * error).all()
        detail = f"{found.labels[i]} not {base.labels[star]} +- {error} chi2 {found.chi2[i]:.2f} base {base.chi2[star]:.2f}"
        if found.status[i] != "ok" or not found.inside[i] or not found.chi2[i] < CHI2:
            outcomes.append((kind, "flagged", detail))
        else:
            outcomes.append((kind, "agrees" if agree else "silent", detail))
    return outcomes


def test_x(grid, tmp_path):
    out=[]
    for name in INSTRUMENTS:
        lab = Lab(name, grid)
        out += spoil_and_label(lab, {**ANY_FILE, **CARDS, **PIXELS}, int(os.environ.get("N",400)), np.random.default_rng(257), tmp_path)
    kinds = list(dict.fromkeys(k for k,_,_ in out))
    names = sorted({o for _,o,_ in out})
    c = Counter((k,o) for k,o,_ in out)
    print()
    print(f"{'':36s}", *(f"{n:>10s}" for n in names))
    for k in kinds:
        print(f"{k:36s}", *(f"{c[k,n] or '':>10}" for n in names))
    for k,o,d in out:
        if o not in ("agrees","flagged","reason"): print(k,o,d[:400])
    for k,o,d in out:
        if o=="reason": print(k,d[:250])
