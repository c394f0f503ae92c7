"""The explorer, without a browser: what it computes, what it says, and what its widgets do."""

import base64
import contextlib
import datetime
import re
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import ascii

from compendium.explorer.app import Explorer
from compendium.explorer.library import Library, Star
from compendium.explorer.lines import KNOWN, strongest
from compendium.explorer.view import Controls, look, outside
from compendium.explorer.words import STEPS
from compendium.run import Run
from slamlib.errors import FileError
from slamlib.grid.training import VSINI_MAX, synthesise
from slamlib.instruments import C_KMS, INSTRUMENTS, LRS
from slamlib.labelling.worth import STATUSES
from slamlib.labels import NAMES

B_STAR = (22_000.0, 4.0, 0.0, 50.0)


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(0).normal(size=LRS.wave.size)


@pytest.fixture
def see(krr_slam, grid, noise):
    """Look at an LRS model: the explorer's arrays for these controls."""

    def look_at(labels=B_STAR, star=None, kept=None, **others):
        return look(Controls("LRS", labels, **others), krr_slam, grid, noise, star, kept)

    return look_at


# --- what it computes


@pytest.mark.parametrize("name", NAMES)
def test_the_derivative_is_the_change_of_the_spectrum_drawn(see, name):
    small = np.where(np.array(NAMES) == name, 0.02 * STEPS[name], 0)
    lower, upper = (see(tuple(B_STAR + sign * small)).model for sign in (-1, 1))
    change = (upper - lower) / 0.04
    np.testing.assert_allclose(see(slope=name).slope, change, atol=0.02 * np.abs(change).max())


def test_it_warns_if_and_only_if_the_labels_lie_outside_the_grid(grid):
    rng = np.random.default_rng(1)
    labels = rng.uniform((9_000, 1.4, -1.2, 0), (61_000, 5.2, 0.5, 345), (4000, 4))
    inside = grid.contains(labels[:, :3]) & (labels[:, 3] <= VSINI_MAX)
    assert 200 < inside.sum() < 3800
    assert [not outside(grid, star) for star in labels] == inside.tolist()
    (text,) = outside(grid, (30_000, 2.0, 0.0, 50.0))
    assert text == "log g 2.00 dex: the grid spans 3.00 to 4.75 dex at 30,000 K"
    told = [text.split(":")[0] for text in outside(grid, (12_000, 4.0, -1.1, 320.0))]
    assert told == ["Teff 12,000 K", "[M/H] −1.10 dex", "v sin i 320 km/s"]


def test_velocity_moves_every_line_by_its_doppler_shift(see):
    at_rest, moving = see(), see(velocity=150.0)
    np.testing.assert_array_equal(at_rest.model, moving.model)
    np.testing.assert_allclose(moving.model_wave / at_rest.model_wave - 1, 150.0 / C_KMS)
    hbeta = np.abs(LRS.wave - 4861) < 20
    found = moving.model_wave[hbeta][moving.model[hbeta].argmin()]
    assert found == pytest.approx(4861.33 * (1 + 150.0 / C_KMS), abs=1.0)


def test_a_star_at_its_fit_leaves_its_noise_and_another_velocity_leaves_more(see, krr_slam, noise):
    ivar, labels = np.where(LRS.good, 1e4, 0.0), np.array(B_STAR)
    flux = krr_slam.predict(B_STAR)[0] + 0.01 * noise
    star = Star("a star", 1, "LRS", flux, ivar, -30.0, 100.0, labels, 0.01 * np.abs(labels), (), True)
    fitted = see(star=star, kept=star, velocity=-30.0)
    used = ivar > 0
    np.testing.assert_allclose(fitted.star.residual[used], 0.01 * noise[used], atol=1e-6)
    np.testing.assert_array_equal(fitted.kept.residual, fitted.star.residual)
    assert np.isnan(fitted.star.residual[~used]).all()
    assert fitted.misfit == pytest.approx(1, abs=0.1)
    off = see(star=star, velocity=120.0)
    assert np.nanstd(off.star.residual) > 2 * np.nanstd(fitted.star.residual)


# --- which lines it names


def test_every_line_it_can_name_is_a_dip_of_some_model(grid):
    """Names and wavelengths are right: the models, which know nothing of the list, have a line there."""
    for wave, name in KNOWN:
        centre = np.abs(grid.wave - wave).argmin()
        flux = grid.flux[:, centre - 25 : centre + 26]
        core = flux[:, 21:30].min(axis=1)
        shoulder = np.minimum(flux[:, :21].max(axis=1), flux[:, 30:].max(axis=1))
        assert (shoulder - core).max() > 0.04, f"no model has {name} {wave}"


def test_it_names_what_stars_of_a_type_are_known_for(grid):
    labels = np.array([[17_000, 4.0, 0.0, 20.0], [45_000, 4.0, 0.0, 20.0]])
    lines = [strongest(flux, LRS, 40) for flux in synthesise(grid, labels, LRS)]
    b_star, o_star = ({line.name: line.depth for line in reversed(some)} for some in lines)
    assert {"Hβ", "Hγ", "He I", "Mg II"} <= set(b_star)
    assert "He II" not in b_star
    assert {"Hβ", "Hγ", "He II"} <= set(o_star)
    assert b_star["Mg II"] > 3 * o_star.get("Mg II", 0)


# --- how it draws


# --- what its widgets do, on the quick run


@pytest.fixture(scope="module")
def explorer(quick_run):
    return Explorer(quick_run)


@pytest.fixture(params=INSTRUMENTS)
def shown(explorer, request):
    """Show an explorer with this instrument and no star."""
    explorer.instrument.value = request.param
    explorer.overlay(None)
    return explorer


def upload(name, content):
    long_ago = datetime.datetime(2021, 1, 1, tzinfo=datetime.UTC)
    return ({"name": name, "type": "", "size": len(content), "content": content, "last_modified": long_ago},)


def test_a_clicked_star_puts_the_sliders_at_the_catalogues_labels(shown):
    catalogue = shown.library.catalogues[shown.instrument.value]
    for _, obsid in shown.stars.options[::40]:
        shown.stars.value = obsid
        row = catalogue[catalogue["obsid"] == obsid][0]
        assert [slider.value for slider in shown.sliders.values()] == [row[name] for name in NAMES]
        assert shown.velocity.value == row["rv"]
        assert f"obsid {obsid} (simulated)" in shown.spectrum.value
        assert "simulated star" in shown.told.value
        assert bool(shown.warning.value) == (row["flag"] != "I")
    shown.overlay(replace(shown.star, simulated=False))
    assert "simulated" not in shown.spectrum.value + shown.told.value


def test_sliders_that_a_browser_rounds_to_their_steps_still_show_the_fit(shown):
    shown.stars.value = shown.stars.options[3][1]
    fitted = shown.spectrum.value
    for slider in (*shown.sliders.values(), shown.velocity):
        slider.value = slider.min + round((slider.value - slider.min) / slider.step) * slider.step
    assert shown.controls().labels == tuple(shown.star.labels)
    assert shown.spectrum.value == fitted
    shown.sliders["teff"].value += shown.sliders["teff"].step
    assert shown.spectrum.value != fitted


def test_suspicious_stars_come_one_after_the_other_the_worst_first(shown):
    catalogue, words = shown.library.labelled(shown.instrument.value), list(STATUSES)
    rank = dict(zip(catalogue["obsid"], map(words.index, catalogue["status"]), strict=True))
    order = list(shown.suspicious)
    assert set(catalogue["obsid"][catalogue["status"] != "ok"]) <= set(order)
    assert [rank[obsid] for obsid in order] == sorted(rank[obsid] for obsid in order)
    for button, place in ((shown.after, 0), (shown.after, 1), (shown.before, 0), (shown.before, -1)):
        button.click()
        assert shown.star.obsid == shown.doubts.value == order[place]


def test_a_star_is_kept_for_comparison_until_it_is_let_go(shown):
    first, second = (obsid for _, obsid in shown.stars.options[:2])
    shown.stars.value = first
    shown.keep.click()
    shown.stars.value = second
    assert f"obsid {first} (" in shown.spectrum.value
    assert f"obsid {second} (" in shown.spectrum.value
    shown.keep.click()
    assert f"obsid {first} (" not in shown.spectrum.value


def test_what_is_shown_can_be_saved(shown):
    shown.stars.value = shown.stars.options[0][1]
    shown.save.click()
    svg, ecsv = (base64.b64decode(text) for text in re.findall(r'base64,([^"]+)"', shown.links.value))
    assert svg.decode() == shown.spectrum.value
    table = ascii.read(ecsv.decode(), format="ecsv")
    np.testing.assert_array_equal(table["flux"], shown.view.star.flux)
    np.testing.assert_array_equal(table["model"], shown.view.model)
    assert [table.meta["fit"][name] for name in NAMES] == shown.star.labels.tolist()


def test_a_file_gets_the_labels_that_the_catalogue_has_for_it(shown):
    name = shown.instrument.value
    catalogue = shown.library.catalogues[name]
    row = catalogue[(catalogue["flag"] == "I") & (catalogue["status"] == "ok")][0]
    shown.instrument.value = next(key for key in INSTRUMENTS if key != name)
    content = shown.library.paths[name, row["file"]].read_bytes()
    shown.upload.value = upload("mine.fits.gz", content)
    assert shown.message.value == ""
    assert shown.instrument.value == name
    assert shown.star.name == "mine.fits.gz"
    found = [row[label] for label in NAMES]
    assert (np.abs(shown.star.labels - found) < 0.05 * shown.star.errors).all()
    assert "simulated" in shown.told.value


def test_what_cannot_be_shown_costs_one_line_and_nothing_else(shown):
    before = shown.spectrum.value
    shown.upload.value = upload("holiday.fits", b"no star at all")
    assert shown.message.value == (
        '<p role="alert">holiday.fits is not a FITS file; check what was downloaded</p>'
    )
    assert shown.upload.value == ()
    for typed, told in (("17", "no obsid 17 in the"), ("<b>", "&lt;b&gt;")):
        shown.obsid.value = typed
        assert told in shown.message.value
    assert shown.spectrum.value == before
    shown.overlay(None)
    assert shown.message.value == ""


def test_each_arm_has_panels_and_the_window_chooses_among_them(shown):
    arms = INSTRUMENTS[shown.instrument.value].arms
    assert shown.spectrum.value.count("Wavelength in air") == len(arms)
    shown.window.value = (6500, 6620)
    assert shown.spectrum.value.count("Wavelength in air") == 1
    assert "Hα" in shown.spectrum.value
    assert "Hβ" not in shown.spectrum.value


def test_without_a_run_it_says_what_to_type(grid_path):
    with contextlib.chdir(grid_path.parents[2]):
        run = Run("quick", seed=987654)
        with pytest.raises(FileError, match="run `make notebooks PROFILE=quick SOURCE=mock GRID=embedded"):
            Library(run)
        run.products.rmdir()
