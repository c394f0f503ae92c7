"""Ways to spoil other files, as those of corruptions.py: `ARRAYS` the members of an npz file,
`LINES` the lines of a text, `HEADER` those of an ECSV header.
"""

import io
import re

import numpy as np


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
