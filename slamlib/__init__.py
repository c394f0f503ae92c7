"""Stellar labels of hot stars: train SLAM on model spectra, label observed ones.

``slamlib.label("file.fits")`` gives the labels of a spectrum, ``slamlib.summary`` says what they are
worth. The rooms, each of which imports only from those before it:

- `slamlib.grid`, `slamlib.regression`, `slamlib.spectra`: model spectra; regressions from labels to
  flux; observed spectra;
- `slamlib.inference`, `slamlib.mock`: labels from spectra; simulated surveys;
- `slamlib.labelling`: from files to a catalogue;
- `slamlib.fetch`, `slamlib.cli`: the official data; the command ``slamlib``.
"""

import importlib

__version__ = "0.2.0"

# Where each public name is defined.
PUBLIC = {
    "FileError": "slamlib.errors",
    "Inference": "slamlib.inference.result",
    "InputError": "slamlib.errors",
    "Instrument": "slamlib.instruments",
    "LABELS": "slamlib.labels",
    "LRS": "slamlib.instruments",
    "Labeller": "slamlib.labelling.labeller",
    "MRS": "slamlib.instruments",
    "ModelGrid": "slamlib.grid.model_grid",
    "Slam": "slamlib.regression.slam",
    "Spectrum": "slamlib.spectra.spectrum",
    "TrainingSet": "slamlib.grid.training",
    "broaden": "slamlib.grid.broaden",
    "cramer_rao": "slamlib.inference.validate",
    "cross_validate": "slamlib.inference.validate",
    "infer": "slamlib.inference.infer",
    "label": "slamlib.labelling.files",
    "normalise": "slamlib.spectra.prepare",
    "radial_velocity": "slamlib.spectra.velocity",
    "read": "slamlib.spectra.reading",
    "read_hires": "slamlib.spectra.hires",
    "sample_posterior": "slamlib.inference.posterior",
    "summary": "slamlib.labelling.summary",
    "training_set": "slamlib.grid.training",
}


def __getattr__(name):
    # Loaded when asked for, by name: importing slamlib stays fast, and whoever imports one
    # room of it does not depend on all of them.
    if name in PUBLIC:
        return getattr(importlib.import_module(PUBLIC[name]), name)
    raise AttributeError(f"module 'slamlib' has no attribute {name!r}")


def __dir__():
    return ["__version__", *PUBLIC]
