"""What the explorer's page asks for: what there is, how it looks where the sliders stand, tables to save."""

import base64
import tempfile
from functools import lru_cache
from pathlib import Path
from threading import Thread

import numpy as np
from IPython.display import IFrame, display

from compendium.explorer.library import Library
from compendium.explorer.server import Server
from compendium.explorer.view import Controls, look
from compendium.explorer.words import DIGITS, STEPS, SYMBOLS, UNITS, hints_of, step_text, table_of, told
from compendium.lines import KNOWN
from slamlib.errors import InputError
from slamlib.inference.infer import default_bounds
from slamlib.labels import NAMES

# Where the sliders start, and their steps: an early B star.
_START = {"teff": 22_000.0, "logg": 4.0, "mh": 0.0, "vsini": 50.0}
_SLIDER_STEPS = {"teff": 100.0, "logg": 0.05, "mh": 0.05, "vsini": 5.0}
# The fastest star that velocities are measured for [km/s].
_FASTEST = 600.0
_AGES = {6.0: "1 Myr", 7.0: "10 Myr", 8.0: "100 Myr"}
_FILES_KEPT = 8


class Explorer:
    """Models, catalogues and spectra of a run, as the page shows them.

    `start` has what the page begins with: sliders, instruments and their stars, isochrones, names of lines.
    FileError if the notebooks have not been run.
    """

    def __init__(self, run):
        self.library, self._files = Library(run), {}
        self._star = lru_cache(32)(self.library.star)
        self._noise = lru_cache(None)(lambda name, n: run.rng(f"explorer {name}").normal(size=n))
        labellers = self.library.labellers.values()
        bounds = np.stack([default_bounds(labeller.slam) for labeller in labellers])
        steps = np.array([_SLIDER_STEPS[name] for name in NAMES])
        low = np.floor(bounds[:, 0, : len(NAMES)].min(axis=0) / steps) * steps
        high = np.ceil(bounds[:, 1, : len(NAMES)].max(axis=0) / steps) * steps
        self._spans = dict(zip(NAMES, zip(low.tolist(), high.tolist(), strict=True), strict=True))
        self._spans |= {"velocity": (-_FASTEST, _FASTEST), "snr": (10.0, 1000.0)}
        self.start = self._start()

    def show(self, height=900):
        """Display the page in a notebook; it lives as long as the kernel."""
        server = Server(self)
        Thread(target=server.serve_forever, daemon=True).start()
        display(IFrame(server.address, "100%", height))

    def _start(self):
        library = self.library
        tracks = library.isochrones[np.isclose(library.isochrones["mh"], 0)]
        tracks = tracks[np.argsort(tracks["initial_mass"], kind="stable")]
        tracks = [(name, tracks[np.isclose(tracks["log_age"], age)]) for age, name in _AGES.items()]
        sliders = [
            {"name": name, "text": SYMBOLS[name], "unit": UNITS[name], "digits": DIGITS[name]}
            | {"step": _SLIDER_STEPS[name], "value": _START[name], "span": self._spans[name]}
            for name in NAMES
        ]
        return {
            "simulated": library.run.simulated,
            "sliders": sliders,
            "steps": {name: step_text(name) for name in STEPS},
            "lines": KNOWN,
            "edge": np.concatenate([library.grid.boundary, library.grid.boundary[:1]]).tolist(),
            "tracks": [[n, np.stack([10.0 ** t["log_teff"], t["logg"]], axis=1).tolist()] for n, t in tracks],
            "instruments": {name: self._of_instrument(name) for name in library.labellers},
        }

    def _of_instrument(self, name):
        instrument, stars = self.library.labellers[name].instrument, self.library.labelled(name)
        obsid, teff, logg, inside = _lists(stars["obsid"], stars["teff"], stars["logg"], stars["flag"] == "I")
        return {
            "wave": _packed(instrument.wave),
            "arms": [arm[:2] for arm in instrument.arms],
            "excluded": instrument.excluded,
            "resolution": instrument.resolution,
            "models": self.library.models(name),
            "stars": {"obsid": obsid, "teff": teff, "logg": logg, "inside": inside},
            "suspicious": self.library.doubts(name),
        }

    def look(self, query):
        """Return as a dict what is seen where the controls stand.

        `query` has the values of the controls as text, by name; ``star`` and ``kept`` are an obsid or the
        name of a file. With ``fit`` the labels and the velocity are those found for the star. InputError if
        there is no such star or instrument.
        """
        view, star, kept = self._view(query)
        controls = view.controls
        return {
            "labels": dict(zip(NAMES, controls.labels, strict=True)) | {"velocity": controls.velocity},
            "model": _packed(view.model),
            "derivative": _packed(view.slope),
            "star": _over(view.star),
            "kept": view.kept and _over(view.kept),
            "lines": [line[:2] for line in view.lines],
            "warnings": view.warnings,
            "told": told(view, view.star, star),
            "kept_told": told(view, view.kept, kept) if kept else "",
        }

    def save(self, query):
        """Return as ECSV text what is seen: with ``what=labels`` the labels, else the spectra."""
        view, star, kept = self._view(query)
        return table_of(view, star, kept, query.get("what"))

    def take(self, name, content, told=""):
        """Label a file, `content`, that the user picked, of any spectrograph.

        `told` says what the file does not tell, as `hints_of` takes it. Returns the name of the star, its
        instrument, and what the page must know of the latter. SlamlibError if the file cannot be used.
        """
        with tempfile.TemporaryDirectory() as folder:
            # The reader takes what is named FITS for nothing else.
            path = Path(folder) / ("picked.fits" if ".fit" in name.lower() else "picked.txt")
            path.write_bytes(content)
            star = self.library.file(path, name, hints_of(told))
        self._files[name] = star
        for old in list(self._files)[:-_FILES_KEPT]:
            del self._files[old]
        instruments = self.start["instruments"]
        if star.instrument not in instruments:
            instruments[star.instrument] = self._of_instrument(star.instrument)
        return {"star": name, "instrument": star.instrument, "about": instruments[star.instrument]}

    def _view(self, query):
        name = query.get("instrument")
        if name not in self.library.labellers:
            raise InputError(f"no instrument {name}; there are {', '.join(self.library.labellers)}")
        star, kept = (self._chosen(name, query.get(which, "")) for which in ("star", "kept"))
        if star is not None and "fit" in query:
            labels, velocity = star.labels, star.rv
        else:
            labels, velocity = [self._value(query, label) for label in NAMES], self._value(query, "velocity")
        slope = query.get("slope") if query.get("slope") in NAMES else NAMES[0]
        labeller = self.library.labellers[name]
        instrument, noise = labeller.instrument, self._noise(name, labeller.instrument.wave.size)
        controls = Controls(instrument, tuple(map(float, labels)), self._value(query, "snr"), velocity, slope)
        return look(controls, labeller.slam, self.library.grid, noise, star, kept), star, kept

    def _value(self, query, name):
        """Return where a control stands, within its span."""
        try:
            value = float(query[name])
        except (KeyError, ValueError):
            value = np.nan
        if not np.isfinite(value):
            raise InputError(f"{name}={query.get(name)} is not a number")
        return float(np.clip(value, *self._spans[name]))

    def _chosen(self, instrument, text):
        if not text or text in self._files:
            star = self._files.get(text)
            if star is not None and star.instrument != instrument:
                raise InputError(f"{text} is a spectrum of {star.instrument}, not of {instrument}")
            return star
        if not text.strip().isdecimal():
            raise InputError(f"{text!r} is neither an obsid, a whole number, nor a file that was picked")
        return self._star(instrument, int(text))


def _lists(*columns):
    return [np.asarray(column).tolist() for column in columns]


def _packed(values):
    """Text of an array for the page: float32, little-endian, base64."""
    return base64.b64encode(np.asarray(values, dtype="<f4").tobytes()).decode()


def _over(some):
    """Make an `Overlay` ready for the page."""
    arrays = {name: _packed(getattr(some, name)) for name in ("wave", "flux", "sigma", "residual")}
    return {"name": some.name} | arrays
