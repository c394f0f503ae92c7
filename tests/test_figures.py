from functools import cache

import matplotlib
import numpy as np
import pictured
import pytest
from astropy.table import Table
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.path import Path
from matplotlib.text import Text

from compendium import figures
from slamlib.errors import InputError
from slamlib.instruments import LRS, MRS
from slamlib.style import SIMULATED_NOTE, lay_out

CV_SIZES = {"LRS": (1000,), "MRS": (5000,)}
UNITS = ("K", "dex", "km/s")
SAMPLE_SIZES = {"LRS": (1000, 5000), "MRS": (1000, 5000, 10000)}
EVERY_FIGURE = {
    "fig01": lambda: figures.fig01_sky(pictured.sky(), True),
    "fig02": pictured.training_set,
    "fig03": lambda: figures.fig03_cross_validation(pictured.cv_table(CV_SIZES)),
    "fig04": lambda: figures.fig04_sample_size(pictured.cv_table(SAMPLE_SIZES)),
    "fig05": lambda: pictured.fit(LRS),
    "fig06": lambda: pictured.fit(MRS),
    "fig07": pictured.hr_diagram,
    "fig08": lambda: figures.fig08_hrs(pictured.hrs_table()),
    "fig09": lambda: figures.fig09_lrs_vs_mrs(pictured.common_table(), pictured.RANGES, True),
    "fig10": lambda: figures.fig10_corner(pictured.posterior()[0], True),
}


built = cache(lambda name: EVERY_FIGURE[name]())  # for tests that only look


@pytest.mark.parametrize("name", ["fig02", "fig03"])
def test_a_figure_built_twice_has_identical_bytes_whatever_the_readers_settings(name, tmp_path):
    first = figures.save(EVERY_FIGURE[name](), tmp_path / "a", name)
    with matplotlib.rc_context({"font.size": 30, "lines.linewidth": 9, "savefig.dpi": 50}):
        second = figures.save(EVERY_FIGURE[name](), tmp_path / "b", name)
    assert sorted(path.name for path in first.parent.iterdir()) == [f"{name}.pdf", f"{name}.png"]
    for suffix in (".png", ".pdf"):
        assert first.with_suffix(suffix).read_bytes() == second.with_suffix(suffix).read_bytes()


@pytest.mark.parametrize("name", EVERY_FIGURE)
def test_no_text_is_smaller_than_seven_points(name):
    figure = built(name)
    assert min(text.get_fontsize() for text in figure.findobj(Text) if text.get_text()) >= 7


@pytest.mark.parametrize("name", ["fig01", "fig05", "fig06", "fig07", "fig08", "fig09", "fig10"])
def test_figures_of_simulated_stars_say_so(name):
    assert SIMULATED_NOTE in pictured.texts(built(name))


def test_figures_of_real_stars_do_not_say_simulated():
    real = pictured.hrs_table()
    real["origin"] = "real"
    for figure in (
        figures.fig01_sky(pictured.sky(), False),
        pictured.fit(LRS, False),
        pictured.hr_diagram(False),
        figures.fig08_hrs(real),
        figures.fig09_lrs_vs_mrs(pictured.common_table(), pictured.RANGES, False),
        figures.fig10_corner(pictured.posterior()[0], False),
    ):
        assert not any("simulated" in text for text in pictured.texts(figure))


def hrs_numbers(figure, column):
    """What is written below a panel: its title, and {(instrument, kind): text}."""
    axes = figure.axes[6 + column]
    cells = {tuple(np.round(t.get_position(), 2)): t.get_text() for t in axes.texts}
    rows = {y: text for (x, y), text in cells.items() if x == 0 and y < 0.8}
    columns = {x: text.removeprefix("HRS-") for (x, y), text in cells.items() if y == 0.8}
    numbers = {(columns[x], rows[y]): text for (x, y), text in cells.items() if x > 0 and y < 0.8}
    return cells[0, 1], numbers


def test_hrs_comparison_gives_the_rms_of_the_stars_that_count_and_its_unit():
    table = pictured.hrs_table()
    table["logg"][1] = np.nan
    table["status"][2] = "multimodal"
    rms = np.sqrt(np.nanmean((table["logg"] - table["logg_hrs"])[3:12] ** 2))
    title, numbers = hrs_numbers(figures.fig08_hrs(table), 1)
    assert title == "rms [dex] (n)" and numbers["LRS", "simulated"] == f"{rms:.3f} (9)"
    title, numbers = hrs_numbers(figures.fig08_hrs(table), 0)
    assert title == "rms [K] (n)" and numbers["MRS", "simulated"].endswith(" (12)")


def test_upper_limits_have_an_arrow_a_legend_and_a_line_of_numbers_of_their_own():
    assert "upper limit (95%)" not in pictured.texts(built("fig08"))
    table = pictured.hrs_table()
    for row, limit in ((3, 1.0), (4, 900.0), (13, 900.0)):
        table["vsini_limit"][row] = limit
    figure = figures.fig08_hrs(table)
    assert "upper limit (95%)" in pictured.texts(figure)
    assert [axes.texts[0].get_text() for axes in figure.axes[6:]] == [f"rms [{u}] (n)" for u in UNITS]
    held = [text.get_text() for text in figure.axes[8].texts[-3:]]
    assert held == ["  limits that hold", "1 of 2", "1 of 1"]
    arrows = [line for line in figure.axes[2].lines if isinstance(line.get_marker(), Path)]
    assert [sorted(line.get_ydata()) for line in arrows] == [[1, 900], [900]]


def test_numbers_of_hrs_stars_do_not_meet():
    table = pictured.hrs_table()
    table["vsini_limit"][[*range(2), *range(12, 23)]] = 900.0
    figure = figures.fig08_hrs(table)
    lay_out(figure)
    renderer = FigureCanvasAgg(figure).get_renderer()
    for axes in figure.axes[6:]:
        boxes = [text.get_window_extent(renderer) for text in axes.texts]
        assert max(box.x1 for box in boxes) <= axes.bbox.x1
        pairs = [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if abs(a.y0 - b.y0) < 5]
        assert not any(a.x0 < b.x1 and b.x0 < a.x1 for a, b in pairs)


def test_data_that_cannot_be_drawn_are_refused_with_the_reason():
    samples = pictured.posterior(600)[0]
    stuck, lost = samples.copy(), samples.copy()
    stuck[:, 2] = 0.0
    lost[0, 0] = np.nan
    failed, strange = pictured.hrs_table(), pictured.hrs_table()
    failed["teff"] = np.nan
    strange["origin"][0] = "guessed"
    lacking = pictured.cv_table(CV_SIZES)
    lacking.remove_column("bias")
    shown, observed = pictured.fitted(LRS)
    del observed["continuum"]
    short, far = pictured.fitted(LRS, flux=np.ones(9)), pictured.fitted(LRS, wave=LRS.wave / 10)
    isochrones = Table({name: [0.0] for name in ("mh", "log_age", "initial_mass", "log_teff", "logg")})
    stars = {"LRS": pictured.catalogue(50, 1), "MRS": pictured.catalogue(50, 2)}
    for message, draw in {
        "same mh": lambda: figures.fig10_corner(stuck, True),
        "not all finite": lambda: figures.fig10_corner(lost, True),
        "at least 500": lambda: figures.fig10_corner(samples[:100], True),
        "finite teff": lambda: figures.fig08_hrs(failed),
        "guessed": lambda: figures.fig08_hrs(strange),
        "lacks bias;": lambda: figures.fig03_cross_validation(lacking),
        "has no rows": lambda: figures.fig03_cross_validation(pictured.cv_table(CV_SIZES)[:0]),
        "lacks continuum;": lambda: figures.fig_fit(shown, observed, LRS, pictured.FIT, "star 1", True),
        "lacks logg;": lambda: pictured.training_set(pictured.grid_nodes()["teff", "mh"]),
        "one length": lambda: figures.fig_fit(*short, LRS, pictured.FIT, "star 1", True),
        "is its wavelength in Angstrom": lambda: figures.fig_fit(*far, LRS, pictured.FIT, "star 1", True),
        "no log_age = 6.0": lambda: figures.fig07_hr_diagram(stars, isochrones, pictured.BOX, True),
    }.items():
        with pytest.raises(InputError, match=message):
            draw()
