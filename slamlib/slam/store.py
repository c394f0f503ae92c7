"""Fitted models on disk: an npz file with a version and nothing that could be executed."""

import json
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from slamlib.errors import FileError
from slamlib.files import atomic

FORMAT = 2


def save_model(path, params, arrays):
    """Write `params`, what json can hold, and `arrays` to `path`, whole or not at all."""
    with atomic(path) as temporary, temporary.open("wb") as stream:
        params = json.dumps(params, default=lambda value: np.asarray(value).tolist())
        np.savez(stream, format=FORMAT, params=params, **arrays)


@contextmanager
def reading_model(path):
    """Give params and arrays of a model; what goes wrong inside the block is the file's fault.

    Raises
    ------
    FileError
        If the file is missing, of another version, damaged, or something else.
    """
    try:
        with Path(path).open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = dict(file)
        version = int(arrays.pop("format"))
        if version != FORMAT:
            remedy = "upgrade slamlib" if version > FORMAT else "delete it and train again"
            age = "a newer" if version > FORMAT else "an older"
            raise FileError(f"{path} was written by {age} slamlib (format {version}); {remedy}")
        yield json.loads(str(arrays.pop("params"))), arrays
    except FileNotFoundError:
        raise FileError(f"no SLAM model {path}; run notebook 02_train_slam first") from None
    except Exception as error:  # a damaged zip file can raise nearly anything
        if isinstance(error, FileError):
            raise
        raise FileError(
            f"{path} is not a readable SLAM model ({error}); delete it and train again"
        ) from error
