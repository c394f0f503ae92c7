"""Fitted models on disk: what `slamlib.npz` writes, with the version of models."""

from functools import partial

from slamlib.npz import reading_npz, write_npz

FORMAT = 2


def save_model(path, params, arrays):
    """Write `params`, what json can hold, and `arrays` to `path`, whole or not at all."""
    write_npz(path, FORMAT, params, arrays)


reading_model = partial(
    reading_npz, version=FORMAT, kind="SLAM model", remedy="train again (notebook 02_train_slam)"
)
