"""Files spoilt at random and what becomes of them: the runner of test_fuzz.py, and ways to spoil others."""

import contextlib
import io
import re
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


def on_arrays(edit):
    def corrupt(content, rng):
        with np.load(io.BytesIO(content)) as file:
            arrays = dict(file)
        names = [name for name in arrays if name not in ("format", "params", "digest") and arrays[name].size]
        edit(arrays, rng.choice(names), rng)
        out = io.BytesIO()
        np.savez(out, **arrays)
        return out.getvalue()

    return corrupt


def set_array(change):
    return on_arrays(lambda arrays, name, rng: arrays.update({name: change(arrays[name])}))


def filled(array, value):
    spoilt = np.array(array, dtype=float)
    spoilt.flat[0] = value
    return spoilt


def claims_more(content, rng):
    """A member whose header claims a million million rows."""
    return re.sub(rb"'shape': \(\d+,", lambda found: b"'shape': (%d," % 10**12, content, count=1)


def compressed(content, rng):
    with np.load(io.BytesIO(content)) as file:
        out = io.BytesIO()
        np.savez_compressed(out, **dict(file), zeros=np.zeros(10**6))
    return out.getvalue()


ARRAYS = {
    "array missing": on_arrays(lambda arrays, name, rng: arrays.pop(name)),
    "array renamed": on_arrays(lambda arrays, name, rng: arrays.update({name + "2": arrays.pop(name)})),
    "array too short": set_array(lambda array: np.atleast_1d(array)[:-1]),
    "array of another shape": set_array(lambda array: array[None]),
    "array nan": set_array(lambda array: filled(array, np.nan)),
    "array infinite": set_array(lambda array: filled(array, np.inf)),
    "array of text": set_array(lambda array: array.astype(str)),
    "array of objects (a pickle)": set_array(lambda array: array.astype(object)),
    "array claims more": claims_more,
    "array unpacks to more": compressed,
    "newer format": on_arrays(lambda arrays, name, rng: arrays.update(format=99)),
    "older format": on_arrays(lambda arrays, name, rng: arrays.update(format=0)),
    "parameters damaged": on_arrays(lambda arrays, name, rng: arrays.update(params='{"regressor": ')),
    "parameters unknown": on_arrays(lambda arrays, name, rng: arrays.update(params='{"os": "rm"}')),
}


def on_line(change, comments=False):
    """Change one line, or with `comments` one of those that begin with #, in a list of all lines."""

    def corrupt(content, rng):
        lines = content.split(b"\n")
        some = [i for i, line in enumerate(lines) if line and line.startswith(b"#") == comments]
        change(lines, rng.choice(some), rng)
        return b"\n".join(lines)

    return corrupt


def put(old, new):
    """Write `new` for `old`, or, where there is no `old`, in place of the line's end."""

    def change(lines, i, rng):
        lines[i] = lines[i].replace(old, new, 1) if old in lines[i] else lines[i][:-1] + new

    return change


def pop(lines, i, rng):
    del lines[i]


LINES = {
    "line lost": on_line(pop),
    "line repeated": on_line(lambda lines, i, rng: lines.insert(i, lines[i])),
    "lines exchanged": on_line(lambda lines, i, rng: lines.insert(len(lines) // 2, lines.pop(i))),
    "word among numbers": on_line(put(b".", b"words")),
    "nan among numbers": on_line(lambda lines, i, rng: lines.insert(i, b"nan nan")),
    "decimal comma": on_line(put(b".", b",")),
    "another column": on_line(lambda lines, i, rng: lines.insert(i, lines[i] + b" 1")),
    "column lost": on_line(lambda lines, i, rng: lines.insert(i, lines.pop(i).split()[0])),
    "letters of another alphabet": on_line(put(b".", b"\xff\xfe")),
}
HEADER = {
    "header line lost": on_line(pop, comments=True),
    "unit unknown": on_line(put(b"unit: ", b"unit: furlong "), comments=True),
    "type unknown": on_line(put(b"datatype: ", b"datatype: x"), comments=True),
    "type is another": on_line(put(b"datatype: string", b"datatype: int64"), comments=True),
    "newer format": lambda content, rng: content.replace(b"format: 1", b"format: 99"),
    "code in the header": lambda content, rng: content.replace(
        b"# schema:", b"# - !!python/object/apply:os.abort []\n# schema:"
    ),
}
