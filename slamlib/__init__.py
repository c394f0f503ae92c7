"""Stellar labels of hot stars: train SLAM on TLUSTY models, label LAMOST spectra.

``slamlib.label("file.fits")`` gives the labels of a spectrum. The rooms, from the star to the page:

- `slamlib.synth`: what a star of given labels looks like;
- `slamlib.slam`: learn that, and invert it;
- `slamlib.survey`: the observed side;
- `slamlib.fetch`: the official grids, spectra and catalogues;
- `slamlib.paper`: figures, tables, claims and the pipeline that makes them;
- `slamlib.command`: labels of your own spectra, the command ``slamlib``.
"""

import importlib

__version__ = "0.1.0"


def __getattr__(name):
    # Loaded when asked for, by name: importing slamlib stays fast, and whoever imports one
    # room of it does not depend on all of them.
    if name == "label":
        return importlib.import_module("slamlib.command.labelling").label
    raise AttributeError(f"module 'slamlib' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), "label"])
