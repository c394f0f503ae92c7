"""The explorer's page: widgets, and what happens when one is moved."""

import tempfile
from contextlib import contextmanager
from html import escape
from pathlib import Path

import ipywidgets as widgets
import numpy as np
from IPython.display import display

from compendium.explorer.library import Library
from compendium.explorer.picture import HRDiagram, spectrum, thin
from compendium.explorer.style import PAGE, star_places
from compendium.explorer.view import Controls, look
from compendium.explorer.words import FORMATS, SYMBOLS, UNITS, quantity, told, warning
from slamlib.errors import SlamlibError
from slamlib.inference.infer import default_bounds
from slamlib.instruments import get_instrument
from slamlib.labels import NAMES

# Where the sliders start: an early B star.
_START = {"teff": 22_000.0, "logg": 4.0, "mh": 0.0, "vsini": 50.0}
_SLIDER_STEPS = {"teff": 100.0, "logg": 0.05, "mh": 0.05, "vsini": 5.0}
_WIDE = {"layout": {"width": "100%"}, "style": {"description_width": "105px"}}
# The fastest star that velocities are measured for [km/s].
_FASTEST = 600.0
# Stars on the HR diagram that can be clicked.
_STARS = 300


class Explorer:
    """Sliders, spectrum and HR diagram of a run.

    Parameters
    ----------
    run : Run

    Attributes
    ----------
    page : ipywidgets.Box
        To be displayed.
    star : Star or None
        What lies over the model.

    Raises
    ------
    FileError
        If the notebooks have not been run.
    """

    def __init__(self, run):
        self.library, self.star, self._quiet = Library(run), None, False
        self._noise = {
            name: run.rng(f"explorer {name}").normal(size=labeller.instrument.wave.size)
            for name, labeller in self.library.labellers.items()
        }
        self._choice = run.rng("explorer stars").integers(2**32)
        self._make_controls()
        self._make_outputs()
        self._hr = HRDiagram(self.library.grid, self.library.isochrones, self._bounds, run.simulated)
        self.page = self._lay_out()
        self._change_instrument()

    def show(self):
        """Display the page."""
        display(self.page)

    def controls(self):
        """Return where the controls stand.

        Browsers round what they are given to the step of a slider: one that stands nearest to
        the fit of the star stands at the fit.
        """
        sliders = [*self.sliders.values(), self.velocity]
        values = [slider.value for slider in sliders]
        if self.star is not None:
            fit = [*self.star.labels, self.star.rv]
            near = [abs(f - v) <= 0.5001 * s.step for f, v, s in zip(fit, values, sliders, strict=True)]
            values = [f if n else v for f, v, n in zip(fit, values, near, strict=True)]
        *labels, velocity = map(float, values)
        return Controls(self.instrument.value, tuple(labels), self.snr.value, velocity, self.slope.value)

    def _make_controls(self):
        slams = {name: labeller.slam for name, labeller in self.library.labellers.items()}
        bounds = np.stack([default_bounds(slam) for slam in slams.values()])
        steps = np.array([_SLIDER_STEPS[name] for name in NAMES])
        low, high = (
            np.floor(bounds[:, 0].min(axis=0) / steps) * steps,
            np.ceil(bounds[:, 1].max(axis=0) / steps) * steps,
        )
        self._bounds = np.stack([low, high])
        self.instrument = widgets.ToggleButtons(options=list(slams), style={"button_width": "80px"})
        self.sliders = {
            name: _slider(
                f"{SYMBOLS[name]} [{UNITS[name]}]", _START[name], low[i], high[i], steps[i], FORMATS[name]
            )
            for i, name in enumerate(NAMES)
        }
        self.snr = widgets.FloatLogSlider(
            100.0, description="SNR per pixel", min=1, max=3, step=0.01, readout_format=".0f", **_WIDE
        )
        self.velocity = _slider("velocity [km/s]", 0.0, -_FASTEST, _FASTEST, 1.0, ".0f")
        spans = [_span(name) for name in slams]
        first, last = min(span[0] for span in spans), max(span[1] for span in spans)
        self.window = widgets.IntRangeSlider(
            value=(first, last),
            min=first,
            max=last,
            step=10,
            description="window [Å]",
            readout_format="d",
            layout={"width": "430px", "max_width": "100%"},
        )
        self.slope = widgets.ToggleButtons(
            options=[(SYMBOLS[name], name) for name in NAMES], style={"button_width": "74px"}
        )
        self.obsid = widgets.Text(
            placeholder="obsid, then Enter", continuous_update=False, layout={"width": "170px"}
        )
        self.upload = widgets.FileUpload(
            accept=".fits,.gz,.fit", description="LAMOST file", layout={"width": "150px"}
        )
        self.reset = widgets.Button(description="Back to its fit", layout={"width": "130px"})
        self.clear = widgets.Button(description="No star", layout={"width": "100px"})
        self.stars = widgets.ToggleButtons(options=[], index=None)
        self.instrument.observe(lambda _: self._quiet or self._change_instrument(), "value")
        for control in (*self.sliders.values(), self.snr, self.velocity, self.window, self.slope):
            control.observe(lambda _: self.draw(), "value")
        self.stars.observe(lambda change: self._choose(change["new"]), "value")
        self.obsid.observe(lambda change: self._choose(change["new"]), "value")
        self.upload.observe(lambda change: self._take(change["new"]), "value")
        self.reset.on_click(lambda _: self.star and self.overlay(self.star))
        self.clear.on_click(lambda _: self.overlay(None))

    def _make_outputs(self):
        self.spectrum, self.diagram, self.places = widgets.HTML(), widgets.HTML(), widgets.HTML()
        self.warning, self.told, self.message = widgets.HTML(), widgets.HTML(), widgets.HTML()
        self.shown = widgets.HTML()

    def _lay_out(self):
        diagram = widgets.Box([self.diagram, self.stars])
        for widget, name in (
            (diagram, "slam-hr-box"),
            (self.stars, "slam-stars"),
            (self.spectrum, "slam-spectrum-box"),
            (self.warning, "slam-warning"),
            (self.told, "slam-told"),
            (self.message, "slam-message"),
            (self.window, "slam-window"),
        ):
            widget.add_class(name)
        row = {"flex_flow": "row wrap"}
        side = [
            self.instrument,
            *self.sliders.values(),
            self.snr,
            self.velocity,
            widgets.Box([self.obsid, self.upload, self.reset, self.clear], layout=row),
            self.message,
            diagram,
            self.shown,
        ]
        main = [
            widgets.Box([widgets.Label("derivative by"), self.slope, self.window], layout=row),
            widgets.VBox([self.told, self.warning], layout={"min_height": "100px"}),
            self.spectrum,
        ]
        page = widgets.Box(
            [
                widgets.HTML(PAGE),
                self.places,
                widgets.VBox(side, layout={"width": "390px", "max_width": "100%", "flex": "0 1 auto"}),
                widgets.VBox(main, layout={"flex": "1 1 600px", "min_width": "0", "max_width": "1150px"}),
            ],
            layout=row,
        )
        page.add_class("slam-page")
        return page

    def draw(self):
        """Draw what the controls show, unless several of them are being set."""
        if self._quiet:
            return
        controls = self.controls()
        name = controls.instrument
        view = look(
            controls, self.library.labellers[name].slam, self.library.grid, self._noise[name], self.star
        )
        self.spectrum.value = spectrum(view, controls, self.window.value, self.star)
        self.diagram.value = self._hr.draw(controls.labels)
        self.warning.value = warning(view.warnings)
        self.told.value = told(view, controls, self.star)

    def overlay(self, star):
        """Lay a star over the model, which becomes its fit; None for simulated noise alone."""
        with self._together():
            self.star = star
            self.message.value = ""
            if star is not None:
                if star.instrument != self.instrument.value:
                    self.instrument.value = star.instrument
                    self._set_instrument()
                for slider, value in zip(self.sliders.values(), star.labels, strict=True):
                    slider.value = float(np.clip(value, slider.min, slider.max))
                self.velocity.value = star.rv
            obsid = None if star is None else star.obsid
            self.stars.value = obsid if obsid in self._clickable else None
            self.obsid.value = "" if obsid is None else str(obsid)
            self.reset.disabled = self.clear.disabled = star is None
            self.snr.disabled = star is not None  # its noise is its own

    def _change_instrument(self):
        with self._together():
            self._set_instrument()
            self.overlay(None)

    def _set_instrument(self):
        """Put the stars of the chosen instrument onto the diagram, and show its whole range."""
        name = self.instrument.value
        self.window.value = _span(name)
        catalogue = self.library.catalogues[name]
        labelled = catalogue[np.isfinite(catalogue["teff"])]
        x, y = self._hr.place(np.array(labelled["teff"]), np.array(labelled["logg"]))
        chosen = thin(x, y, _STARS, np.random.default_rng(self._choice))
        some = labelled[chosen]
        texts = [
            f"obsid {row['obsid']}: {quantity('teff', row['teff'])}, {quantity('logg', row['logg'])}"
            for row in some
        ]
        self.stars.value = None
        self.stars.options = list(zip(texts, some["obsid"].tolist(), strict=True))
        self.stars.tooltips = texts
        self._clickable = set(some["obsid"].tolist())
        self.places.value = star_places(x[chosen], y[chosen], np.array(some["flag"] == "I"))
        what = "simulated stars" if self.library.run.simulated else "stars"
        self.shown.value = (
            f"{len(some)} of {len(labelled):,} {name} {what}, chosen so that none hides another; click "
            "one, or type any obsid. Grey: outside the model grid. The cross is where the sliders stand."
        )

    def _choose(self, obsid):
        """Show a star of the catalogue, by a click on the diagram or by its number."""
        if self._quiet or obsid in (None, ""):
            return
        if not str(obsid).strip().isdecimal():
            self._say(f"{obsid!r} is not an obsid; it is a whole number, as in the catalogue")
            return
        try:
            self.overlay(self.library.star(self.instrument.value, int(obsid)))
        except SlamlibError as error:
            self._say(error)

    def _take(self, files):
        """Show a file that the user picked."""
        if self._quiet or not files:
            return
        file = files[0]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "uploaded.fits"
            path.write_bytes(file["content"])
            try:
                self.overlay(self.library.file(path, file["name"]))
            except SlamlibError as error:
                self._say(error)
        with self._together(draw=False):
            self.upload.value = ()  # so that the same file can be picked again

    def _say(self, text):
        self.message.value = f'<p role="alert">{escape(str(text))}</p>'

    @contextmanager
    def _together(self, draw=True):
        """Set several controls, then draw once."""
        before, self._quiet = self._quiet, True
        try:
            yield
        finally:
            self._quiet = before
        if draw:
            self.draw()


def _span(instrument):
    """Return the first and last wavelength of an instrument [A], rounded outwards."""
    wave = get_instrument(instrument).wave
    return int(np.floor(wave[0])), int(np.ceil(wave[-1]))


def _slider(description, value, low, high, step, readout_format):
    return widgets.FloatSlider(
        value,
        min=low,
        max=high,
        step=step,
        description=description,
        readout_format=readout_format,
        **_WIDE,
    )
