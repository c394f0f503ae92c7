"""Stellar labels of hot stars: train SLAM on TLUSTY models, label LAMOST spectra.

``slamlib.label("file.fits")`` gives the labels of a spectrum, ``slamlib.summary`` says what they are
worth. The rooms, from the star to the page:

- `slamlib.synth`: what a star of given labels looks like;
- `slamlib.slam`: learn that, and invert it;
- `slamlib.survey`: the observed side;
- `slamlib.fetch`: the official grids, spectra and catalogues;
- `slamlib.paper`: figures, tables, claims and the pipeline that makes them;
- `slamlib.command`: labels of your own spectra, the command ``slamlib``;
- `slamlib.labelling.cluster`: the same for ten million spectra, on a Dask cluster;
- `compendium.explorer` and `compendium.teaching`: the explorer, and the checks of the lessons.
"""

import importlib

__version__ = "0.1.0"


_PUBLIC = {"label": "slamlib.labelling.files", "summary": "slamlib.labelling.summary"}


def __getattr__(name):
    # Loaded when asked for, by name: importing slamlib stays fast, and whoever imports one
    # room of it does not depend on all of them.
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'slamlib' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_PUBLIC])
