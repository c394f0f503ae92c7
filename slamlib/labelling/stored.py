"""A labeller as one file of named arrays, and back."""

from collections import defaultdict
from dataclasses import asdict

import numpy as np

from slamlib.errors import InputError
from slamlib.grid.edge import GridEdge
from slamlib.inference.systematics import Systematics
from slamlib.instruments import Instrument
from slamlib.npz import check_shapes, reading_npz, write_npz
from slamlib.regression.slam import Slam
from slamlib.spectra.velocity import VelocityTemplates

FORMAT = 4


def write_labeller(labeller, path):
    """Write a `Labeller` to one npz file, whole or not at all."""
    params = {
        "instrument": asdict(labeller.instrument),
        "slam": labeller.slam.get_params(),
        "templates": {"max_velocity": labeller.templates.max_velocity, "step": labeller.templates.step},
        "systematics_of": labeller.systematics.model if labeller.systematics else None,
        "about": labeller.about,
    }
    parts = {
        "slam": labeller.slam.to_arrays(),
        "systematics": _once(labeller.systematics.to_arrays()) if labeller.systematics else {},
        "templates": {"wave": labeller.templates.wave, "flux": labeller.templates.flux.astype(np.float32)},
        "edge": labeller.edge.to_arrays(),
        "extension": labeller.extension.to_arrays() if labeller.extension else {},
    }
    arrays = {f"{part}.{name}": array for part, some in parts.items() for name, array in some.items()}
    write_npz(path, FORMAT, params, arrays)


def read_labeller(make, path):
    """Return ``make(...)`` of what `write_labeller` wrote; FileError if the file is damaged or another."""
    with reading_npz(path, FORMAT, "labeller", "train again") as (params, arrays):
        parts: dict = defaultdict(dict)
        for name, array in arrays.items():
            part, _, name = name.partition(".")
            parts[part][name] = array
        check_shapes(parts["templates"], wave="p", flux="tp")
        systematics = None
        if parts["systematics"]:
            systematics = Systematics.from_arrays(_repeated(parts["systematics"]), params["systematics_of"])
        read = make(
            Instrument.of(params["instrument"]),
            Slam.from_arrays(params["slam"], parts["slam"]),
            VelocityTemplates(**parts["templates"], **params["templates"]),
            GridEdge.from_arrays(parts["edge"]),
            systematics,
            params["about"],
            GridEdge.from_arrays(parts["extension"]) if parts["extension"] else None,
        )
        _check(read)
        return read


def _once(arrays):
    """Return arrays of systematics where the last components, if the same at each SNR, stand once."""
    components = arrays["components"]
    same = (components == components[0]).all(axis=(0, 2))
    n = int(np.cumprod(same[::-1]).sum())
    own = components.shape[1] - n
    return arrays | {"components": components[:, :own], "shared": components[0, own:]}


def _repeated(arrays):
    """Return what `_once` was given."""
    shared = np.repeat(arrays.pop("shared")[None], len(arrays["components"]), axis=0)
    return arrays | {"components": np.concatenate([arrays["components"], shared], axis=1)}


def _check(labeller):
    """Refuse parts that do not belong together."""
    labeller.slam.check_wave(labeller.instrument.wave)
    if labeller.systematics is not None:
        labeller.systematics.check(labeller.slam)
    if labeller.slam.flux_mean_.size != labeller.instrument.wave.size:
        raise InputError(f"a model of {labeller.slam.flux_mean_.size} pixels for {labeller.instrument.name}")
