"""Files spoilt at random and what becomes of them: the runner behind test_fuzz.py."""

import contextlib
import signal
from collections import Counter

import joblib
import numpy as np
from corruptions import as_vectors

from slamlib.errors import SlamlibError
from slamlib.io import read_ecsv
from slamlib.labelling.labeller import Labeller
from slamlib.labels import NAMES
from slamlib.spectra.lamost import read_bytes
from slamlib.spectra.prepare import read_many

# Seconds after which a file counts as a hang; good ones take a hundredth.
PATIENCE = 60
# Labels agree within this many of the larger of their errors: beyond is an outlier, as everywhere.
SIGMAS = 5.0


@contextlib.contextmanager
def patience(seconds=PATIENCE):
    def give_up(*_):
        raise TimeoutError("a hang")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def is_clear(message, path):
    """One line that names the file."""
    return path.name in message and message.isprintable()


class Lab:
    """The quick run's models of an instrument, and a few of its best stars in every layout of a file."""

    def __init__(self, instrument, products, n_stars=3):
        self.instrument = instrument
        self.labeller = Labeller.read(products / f"krr_{instrument}.npz")
        table = read_ecsv(products / f"labels_{instrument}.ecsv")
        good = table[(table["flag"] == "I") & (table["status"] == "ok") & (table["vsini"] > 60)]
        best = good[np.argsort(-good["snr"])][:n_stars]
        contents = [read_bytes(products / "survey" / name) for name in best["file"]]
        self.contents = [*contents, *map(as_vectors, contents)] if instrument == "LRS" else contents

    def read(self, path, content):
        path.write_bytes(content)
        flux, ivar, table = read_many([path], self.instrument, rv=self.labeller.templates, progress=False)
        return flux[0], ivar[0], table["reason"][0]

    def labels(self, flux, ivar):
        """Labels, errors (m, 4) and whether a user would believe them (m,)."""
        flux, ivar = np.array(flux), np.array(ivar)
        table = self.labeller.label(flux, ivar, [True] * len(flux))
        labels, errors = (np.stack([table[k + name] for name in NAMES], axis=1) for k in ("", "e_"))
        return labels, errors, (table["flag"] == "I") & (table["status"] == "ok")


def spoil_and_label(lab, corruptions, n, rng, path):
    """Spoil `n` files, every corruption in turn, and label them: [(kind, outcome, detail)]."""
    flux, ivar, _ = zip(*(lab.read(path, content) for content in lab.contents), strict=True)
    true, good_errors, believed = lab.labels(flux, ivar)
    assert believed.all()
    outcomes, survivors = [], []
    for i in range(n):
        kind = list(corruptions)[i % len(corruptions)]
        star = rng.integers(len(lab.contents))
        try:
            with patience():
                flux, ivar, reason = lab.read(path, corruptions[kind](lab.contents[star], rng))
        except TimeoutError:
            outcomes.append((kind, "hang", ""))
        except Exception as error:
            outcomes.append((kind, "traceback", repr(error)))
        else:
            if reason:
                clear = is_clear(reason, path) and not ivar.any()
                outcomes.append((kind, "reason" if clear else "unclear", reason))
            else:
                survivors.append((kind, star, flux, ivar))
    kinds, stars, flux, ivar = zip(*survivors, strict=True)
    labels, errors, believed = lab.labels(flux, ivar)
    for i, (kind, star) in enumerate(zip(kinds, stars, strict=True)):
        off = (labels[i] - true[star]) / np.maximum(errors[i], good_errors[star])
        verdict = ("agrees" if (np.abs(off) < SIGMAS).all() else "silent") if believed[i] else "flagged"
        outcomes.append((kind, verdict, f"off by {off.round(1)} sigma"))
    return outcomes


def spoil_and_read(content, read, corruptions, n, rng, path):
    """Spoil `n` files, every corruption in turn, and read them: [(kind, outcome, detail)]."""
    path.write_bytes(content)
    good = joblib.hash(read(path))
    outcomes = []
    for i in range(n):
        kind = list(corruptions)[i % len(corruptions)]
        path.write_bytes(corruptions[kind](content, rng))
        try:
            with patience():
                found = joblib.hash(read(path))
        except TimeoutError:
            outcomes.append((kind, "hang", ""))
        except SlamlibError as error:
            outcomes.append((kind, "error" if is_clear(str(error), path) else "unclear", str(error)))
        except Exception as error:
            outcomes.append((kind, "traceback", repr(error)))
        else:
            outcomes.append((kind, "same" if found == good else "other numbers", ""))
    return outcomes


def as_table(outcomes, columns):
    """Lines of a table: how many of each kind ended how."""
    count = Counter((kind, outcome) for kind, outcome, _ in outcomes)
    kinds = list(dict.fromkeys(kind for kind, _, _ in outcomes))
    rows = [(kind, *(count[kind, outcome] for outcome in columns)) for kind in sorted(kinds)]
    rows.append(("all", *(sum(column) for column in zip(*(row[1:] for row in rows), strict=True))))
    lines = [("", *columns), *((row[0], *(number or "" for number in row[1:])) for row in rows)]
    return "\n".join(f"{line[0]:32}" + "".join(f"{cell:>15}" for cell in line[1:]) for line in lines)
