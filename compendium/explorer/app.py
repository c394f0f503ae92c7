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
from compendium.explorer.words import FORMATS, SYMBOLS, UNITS, describe, download, save_picture, told, warning
from slamlib.errors import SlamlibError
from slamlib.inference.infer import default_bounds
from slamlib.instruments import get_instrument
from slamlib.labels import NAMES

# Where the sliders start: an early B star.
_START = {"teff": 22_000.0, "logg": 4.0, "mh": 0.0, "vsini": 50.0}
_SLIDER_STEPS = {"teff": 100.0, "logg": 0.05, "mh": 0.05, "vsini": 5.0}
_WIDE = {"layout": {"width": "100%"}, "style": {"description_width": "105px"}}
_ROW = {"flex_flow": "row wrap"}
# The fastest star that velocities are measured for [km/s].
_FASTEST = 600.0


class Explorer:
    """Sliders, spectrum and HR diagram of a run.

    Parameters
    ----------
    run : Run

    Attributes
    ----------
    page : ipywidgets.Box
        To be displayed.
    star, kept : Star or None
        What lies over the model, and what is compared with it.
    view : View
        What is drawn.

    Raises
    ------
    FileError
        If the notebooks have not been run.
    """

    def __init__(self, run):
        self.library, self.star, self.kept, self._quiet = Library(run), None, None, False
        self._noise = {
            name: run.rng(f"explorer {name}").normal(size=labeller.instrument.wave.size)
            for name, labeller in self.library.labellers.items()
        }
        self._make_controls()
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
        every = [default_bounds(labeller.slam) for labeller in self.library.labellers.values()]
        bounds = np.stack(every)[..., : len(NAMES)]
        steps = np.array([_SLIDER_STEPS[name] for name in NAMES])
        low = np.floor(bounds[:, 0].min(axis=0) / steps) * steps
        high = np.ceil(bounds[:, 1].max(axis=0) / steps) * steps
        self._bounds = np.stack([low, high])
        self.instrument = _choice(list(self.library.labellers), "80px")
        self.sliders = {
            name: _slider(
                f"{SYMBOLS[name]} [{UNITS[name]}]", _START[name], low[i], high[i], steps[i], FORMATS[name]
            )
            for i, name in enumerate(NAMES)
        }
        self.velocity = _slider("velocity [km/s]", 0.0, -_FASTEST, _FASTEST, 1.0, ".0f")
        self.snr = widgets.FloatLogSlider(
            100.0, description="SNR per pixel", min=1, max=3, step=0.01, readout_format=".0f", **_WIDE
        )
        self.window = widgets.IntRangeSlider(
            min=0,
            max=10_000,
            step=10,
            description="window [Å]",
            layout={"width": "430px", "max_width": "100%"},
        )
        self.slope = _choice([(SYMBOLS[name], name) for name in NAMES], "66px")
        self.obsid = widgets.Text(
            placeholder="obsid, then Enter", continuous_update=False, layout={"width": "170px"}
        )
        self.upload = widgets.FileUpload(
            accept=".fits,.gz,.fit", description="LAMOST file", layout={"width": "150px"}
        )
        self.doubts = widgets.Dropdown(description="suspicious", layout={"width": "300px"})
        self.reset, self.clear = _button("Back to its fit"), _button("No star")
        self.keep, self.save = _button("Keep to compare"), _button("Save ...")
        self.before, self.after = _button("◀", "40px"), _button("▶", "40px")
        self.stars = widgets.ToggleButtons(options=[], index=None)
        self.warning, self.told, self.message, self.shown = (widgets.HTML() for _ in range(4))
        self.spectrum, self.diagram, self.places, self.links = (widgets.HTML() for _ in range(4))
        self.instrument.observe(lambda _: self._quiet or self._change_instrument(), "value")
        for control in (*self.sliders.values(), self.velocity, self.snr, self.window, self.slope):
            control.observe(lambda _: self.draw(), "value")
        for control in (self.stars, self.obsid, self.doubts):
            control.observe(lambda change: self._choose(change["new"]), "value")
        self.upload.observe(lambda change: self._take(change["new"]), "value")
        self.reset.on_click(lambda _: self.star and self.overlay(self.star))
        self.clear.on_click(lambda _: self.overlay(None))
        self.keep.on_click(lambda _: self._keep())
        self.save.on_click(lambda _: self._save())
        self.before.on_click(lambda _: self._step(-1))
        self.after.on_click(lambda _: self._step(1))

    def _lay_out(self):
        diagram = widgets.Box([self.diagram, self.stars])
        controls = widgets.Box([widgets.Label("derivative by"), self.slope, self.window], layout=_ROW)
        main = [controls, self.spectrum]
        side = [
            self.instrument,
            *self.sliders.values(),
            self.velocity,
            self.snr,
            self.warning,
            self.told,
            widgets.Box([self.reset, self.clear, self.keep, self.save, self.links], layout=_ROW),
            widgets.HBox([self.doubts, self.before, self.after]),
            widgets.Box([self.obsid, self.upload], layout=_ROW),
            self.message,
            diagram,
            self.shown,
        ]
        names = {"hr-box": diagram, "stars": self.stars, "spectrum-box": self.spectrum, "window": self.window}
        names |= {"warning": self.warning, "told": self.told, "message": self.message}
        for name, widget in names.items():
            widget.add_class(f"slam-{name}")
        page = widgets.Box(
            [
                widgets.HTML(PAGE),
                self.places,
                widgets.VBox(main, layout={"flex": "1 1 600px", "min_width": "0", "max_width": "1150px"}),
                widgets.VBox(side, layout={"width": "390px", "max_width": "100%", "flex": "0 1 auto"}),
            ],
            layout={"flex_flow": "row-reverse wrap", "justify_content": "flex-end"},
        )
        page.add_class("slam-page")
        return page

    def draw(self):
        """Draw what the controls show, unless several of them are being set."""
        if self._quiet:
            return
        controls = self.controls()
        name = controls.instrument
        slam, grid = self.library.labellers[name].slam, self.library.grid
        self.view = look(controls, slam, grid, self._noise[name], self.star, self.kept)
        self.spectrum.value = spectrum(self.view, self.window.value)
        self.diagram.value = self._hr.draw(controls.labels)
        self.warning.value = warning(self.view.warnings)
        self.told.value = told(self.view, self.star)
        self.links.value = ""

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
            self.doubts.value = obsid if obsid in self.suspicious else None
            self.obsid.value = "" if obsid is None else str(obsid)
            self.reset.disabled = self.clear.disabled = self.keep.disabled = star is None
            self.snr.disabled = star is not None  # its noise is its own

    def _change_instrument(self):
        with self._together():
            self._set_instrument()
            self.overlay(None)

    def _set_instrument(self):
        """Put the stars of the chosen instrument onto the diagram, and show its whole range."""
        name = self.instrument.value
        wave = get_instrument(name).wave
        self.window.min, self.window.max = 0, 10_000  # so that no order of setting is refused
        self.window.value = int(np.floor(wave[0])), int(np.ceil(wave[-1]))
        self.window.min, self.window.max = self.window.value
        self._set_kept(None)
        labelled = self.library.labelled(name)
        x, y = self._hr.place(np.array(labelled["teff"]), np.array(labelled["logg"]))
        chosen = thin(x, y)
        some = labelled[chosen]
        self._clickable = some["obsid"].tolist()
        texts = [describe(row) for row in some]
        self.stars.value = None
        self.stars.options, self.stars.tooltips = list(zip(texts, self._clickable, strict=True)), texts
        self.places.value = star_places(x[chosen], y[chosen], np.array(some["flag"] == "I"))
        kind = "simulated stars" if self.library.run.simulated else "stars"
        self.suspicious = {
            obsid: f"{i + 1}. {text}" for i, (obsid, text) in enumerate(self.library.doubts(name))
        }
        self.doubts.options = [
            ("choose ...", None),
            *((text, obsid) for obsid, text in self.suspicious.items()),
        ]
        self.shown.value = (
            f"{len(some)} of {len(labelled):,} {name} {kind}, {len(self.suspicious)} of them suspicious; "
            "click one, or type any obsid. Grey: outside the grid. The cross is where the sliders stand."
        )

    def _step(self, by):
        """Go to the next suspicious star, or the one before, from the one that is shown."""
        some = list(self.suspicious)
        if some:
            now = some.index(self.doubts.value) if self.doubts.value in self.suspicious else min(-by, 0)
            self.doubts.value = some[(now + by) % len(some)]

    def _save(self):
        """Offer what is shown: the picture, and a table of the spectra with the labels."""
        self.links.value = save_picture(self.spectrum.value) + " " + download(self.view, self.star)

    def _keep(self):
        """Keep the star for comparison with those chosen next; a second time, keep none."""
        self._set_kept(self.star if self.kept is None else None)
        self.draw()

    def _set_kept(self, star):
        self.kept = star
        self.keep.description = "Keep to compare" if star is None else "End comparison"

    def _choose(self, obsid):
        """Show a star of the catalogue, by a click on the diagram, its number or the list."""
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


def _slider(description, value, low, high, step, readout_format):
    return widgets.FloatSlider(
        value, min=low, max=high, step=step, description=description, readout_format=readout_format, **_WIDE
    )


def _choice(options, width):
    return widgets.ToggleButtons(options=options, style={"button_width": width})


def _button(description, width="140px"):
    return widgets.Button(description=description, layout={"width": width})
