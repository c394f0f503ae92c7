"""Arrays on disk: npz files with a version and nothing that could be executed, checked when read."""

import hashlib
import json
import zipfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from slamlib.errors import FileError, InputError
from slamlib.io import atomic, check_version


def write_npz(path, version, params, arrays):
    """Write `params`, what json can hold, and `arrays` to `path`, whole or not at all."""
    own = {"format": version, "params": _text(params), "digest": digest_of(params, arrays)}
    narrow = {name: _narrow(array) for name, array in arrays.items()}
    with atomic(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, **own, **narrow)


def half(array):
    """Return an array of float32 rounded to half precision, which files hold in half the bytes.

    It is returned as it is where a value is beyond the range of half precision.
    """
    with np.errstate(over="ignore"):
        rounded = array.astype(np.float16).astype(np.float32)
    return rounded if np.isfinite(rounded).all() else array


def _narrow(array):
    """Return an array in half precision if that loses nothing."""
    array = np.asarray(array)
    if array.dtype != np.float32 or array.ndim < 2 or not np.array_equal(half(array), array):
        return array
    return array.astype(np.float16)


def digest_of(params, arrays):
    """Return a hash of what a file of `params` and `arrays` would hold."""
    content = hashlib.sha256(_text(params).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        content.update(f"{name} {array.dtype} {array.shape}".encode())
        content.update(array)
    return content.hexdigest()


def _text(params):
    return json.dumps(params, default=lambda value: np.asarray(value).tolist(), sort_keys=True)


@contextmanager
def reading_npz(path, version, kind, remedy):
    """Give params and arrays of a file; what goes wrong inside the block is the file's fault.

    `version` is that which can be read; `kind` says what the file should be, such as "training set", and
    `remedy` what to run if there is none. FileError if it is missing, of another version, damaged, or
    something else.
    """
    try:
        with Path(path).open("rb") as stream, zipfile.ZipFile(stream) as members:
            # Ours are not compressed: whatever unpacks to more than itself shall not fill memory.
            if sum(member.file_size for member in members.infolist()) > Path(path).stat().st_size:
                raise InputError("it claims to hold more than its size")
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as file:
                arrays = {name: _wide(array) for name, array in file.items()}
        check_version(path, int(arrays.pop("format")), version)
        params, digest = json.loads(str(arrays.pop("params"))), str(arrays.pop("digest", ""))
        if digest not in ("", digest_of(params, arrays)):
            raise InputError("its content is not what was written")
        yield params, arrays
    except FileNotFoundError:
        raise FileError(f"no {kind} {path}; {remedy} first") from None
    except Exception as error:  # a damaged zip file can raise nearly anything
        if isinstance(error, FileError):
            raise
        raise FileError(f"{path} is not a readable {kind} ({error}); delete it and {remedy}") from error


def _wide(array):
    return array.astype(np.float32) if array.dtype == np.float16 else array


def check_shapes(arrays, **shapes):
    """Refuse arrays that are missing, hold anything but finite numbers, or do not fit together: InputError.

    `shapes` have one letter a dimension, the same letter for the same length; a digit is the length.

    Examples
    --------
    >>> check_shapes({"labels": np.zeros((7, 4)), "flux": np.zeros((7, 9))}, labels="n4", flux="np")
    >>> check_shapes({"labels": np.zeros((7, 3))}, labels="n4")
    Traceback (most recent call last):
    slamlib.errors.InputError: labels of shape (7, 3), expected (n, 4)
    """
    lengths = {digit: int(digit) for digit in "0123456789"}
    for name, letters in shapes.items():
        array = arrays[name]
        fits = array.ndim == len(letters) and all(
            lengths.setdefault(letter, length) == length
            for letter, length in zip(letters, array.shape, strict=True)
        )
        if not fits:
            raise InputError(f"{name} of shape {array.shape}, expected ({', '.join(letters)})")
        if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
            raise InputError(f"{name} holds something else than finite numbers")
