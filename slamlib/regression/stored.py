"""What a `Slam` has learned, as named arrays and back."""

import numpy as np

from slamlib.errors import InputError
from slamlib.npz import check_shapes
from slamlib.regression.expansion import Expansion

# What is learned, and its shape for `check_shapes`.
_LEARNED = {
    "label_mean_": "d",
    "label_scale_": "d",
    "flux_mean_": "p",
    "flux_scale_": "p",
    "training_labels_": "nd",
    "model_variance_": "p",
    "intercept_": "p",
}


def to_arrays(slam):
    """Return all that a `Slam` has learned as named arrays."""
    arrays = {f"hyper_{name}": values for name, values in slam.hyper_.items()}
    for i, part in enumerate(slam.expansions_):
        arrays |= {f"part{i}_{k}": v for k, v in vars(part).items() if v is not None}
    return arrays | {name: getattr(slam, name) for name in (*_LEARNED, "wave_")}


def learn_arrays(slam, arrays):
    """Give a new `Slam` what `to_arrays` described and return it; InputError if the arrays do not fit."""
    check_shapes(arrays, **_LEARNED | {"label_mean_": str(len(slam.names))})
    for name in (*_LEARNED, "wave_"):
        setattr(slam, name, arrays[name])
    slam.hyper_ = {k.removeprefix("hyper_"): v for k, v in arrays.items() if k.startswith("hyper_")}
    slam.expansions_ = []
    for part in sorted({k.split("_")[0] for k in arrays if k.startswith("part")}):
        values = {k.removeprefix(f"{part}_"): v for k, v in arrays.items() if k.startswith(f"{part}_")}
        shapes = {"gamma": "", "pixels": "g", "centres": "cd", "weights": "cr", "components": "rg"}
        if "components" not in values:
            # Every training spectrum is a centre, and weights are those of pixels.
            shapes |= {"training_labels_": "cd", "weights": "cg"}
            del shapes["components"]
        check_shapes(arrays | values, label_mean_="d", **shapes)
        slam.expansions_.append(Expansion(**values | {"gamma": float(values["gamma"])}))
    pixels = np.sort(np.concatenate([part.pixels for part in slam.expansions_]))
    if not np.array_equal(pixels, np.arange(slam.flux_mean_.size)):
        raise InputError("its parts are not one for each pixel")
    if slam.wave_.size not in (0, pixels.size):
        raise InputError(f"{slam.wave_.size} wavelengths for {pixels.size} pixels")
    return slam
