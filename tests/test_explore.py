"""The explorer, without a browser: what it computes and what it says."""

import contextlib
from functools import partial

import numpy as np
import pytest
import written
from astropy.table import Table

from compendium.explorer.app import Explorer
from compendium.explorer.library import Library, Star
from compendium.explorer.view import Controls, look, outside
from compendium.explorer.words import STEPS
from compendium.lines import KNOWN, strongest
from compendium.run import Run
from slamlib.errors import FileError, InputError
from slamlib.grid.training import VSINI_MAX, synthesise
from slamlib.instruments import C_KMS, INSTRUMENTS, LRS
from slamlib.labelling.labeller import Labeller
from slamlib.labelling.worth import STATUSES
from slamlib.labels import NAMES

B_STAR = (22_000.0, 4.0, 0.0, 50.0)
CONTROLS = {"velocity": "0", "snr": "100"} | dict(zip(NAMES, map(str, B_STAR), strict=True))


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(0).normal(size=LRS.wave.size)


@pytest.fixture
def see(krr_slam, grid, noise):
    """Look at an LRS model: the explorer's arrays for these controls."""

    def look_at(labels=B_STAR, star=None, kept=None, **others):
        return look(Controls("LRS", labels, **others), krr_slam, grid, noise, star, kept)

    return look_at


@pytest.mark.parametrize("name", NAMES)
def test_the_derivative_is_that_of_the_regression(see, krr_slam, name):
    exact = krr_slam.jacobian(np.array(B_STAR))[0, NAMES.index(name)] * STEPS[name]
    np.testing.assert_allclose(see(slope=name).slope, exact, atol=0.01 * np.abs(exact).max())


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
    assert fitted.star.misfit == pytest.approx(1, abs=0.1)
    off = see(star=star, velocity=120.0)
    assert np.nanstd(off.star.residual) > 2 * np.nanstd(fitted.star.residual)


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


@pytest.fixture(scope="module")
def explorer(quick_run):
    return Explorer(quick_run)


@pytest.fixture(params=INSTRUMENTS)
def asked(explorer, request):
    """The explorer, and where its controls stand without a star."""
    return explorer, CONTROLS | {"instrument": request.param}


def test_a_star_stands_at_the_catalogues_labels_and_says_what_it_is(asked):
    explorer, query = asked
    for row in explorer.library.labelled(query["instrument"])[::40]:
        found = explorer.look(query | {"star": str(row["obsid"]), "fit": "1"})
        assert found["labels"] == {name: row[name] for name in NAMES} | {"velocity": row["rv"]}
        assert found["star"]["name"] == f"obsid {row['obsid']} (simulated)"
        assert "simulated star" in found["told"]
        assert bool(found["warnings"]) == (row["flag"] != "I")


def test_suspicious_stars_come_one_after_the_other_the_worst_first(asked):
    explorer, query = asked
    catalogue, words = explorer.library.labelled(query["instrument"]), list(STATUSES)
    rank = dict(zip(catalogue["obsid"], map(words.index, catalogue["status"]), strict=True))
    order = [obsid for obsid, _ in explorer.start["instruments"][query["instrument"]]["suspicious"]]
    assert set(catalogue["obsid"][catalogue["status"] != "ok"]) <= set(order)
    assert [rank[obsid] for obsid in order] == sorted(rank[obsid] for obsid in order)


def test_a_file_gets_the_labels_that_the_catalogue_has_for_it(asked):
    explorer, query = asked
    name = query["instrument"]
    catalogue = explorer.library.catalogues[name]
    row = catalogue[(catalogue["flag"] == "I") & (catalogue["status"] == "ok")][0]
    picked = explorer.take("mine.fits.gz", explorer.library.paths[name, row["file"]].read_bytes())
    assert (picked["star"], picked["instrument"]) == ("mine.fits.gz", name)
    found = explorer.look(query | {"star": "mine.fits.gz", "fit": "1"})
    for label in NAMES:
        assert found["labels"][label] == pytest.approx(row[label], abs=0.05 * row[f"e_{label}"])
    other = next(other for other in INSTRUMENTS if other != name)
    with pytest.raises(InputError, match=f"mine.fits.gz is a spectrum of {name}, not of {other}"):
        explorer.look(query | {"star": "mine.fits.gz", "instrument": other})


def test_a_file_of_another_spectrograph_brings_its_own(explorer, grid, tmp_path, monkeypatch):
    monkeypatch.setenv("SLAMLIB_HOME", str(tmp_path))
    small = partial(Labeller.train, n=300, n_calibration=20, snrs=(100.0,))
    monkeypatch.setattr(Labeller, "train", small)
    wave = np.arange(4200.0, 4702.0, 0.5)
    flux, error = written.Star(grid, 3000, 100, seed=6)(wave)
    rows = zip(wave, flux, error, strict=True)
    text = "\n".join(f"{w / 10:.3f} {f:.6e} {e:.3e}" for w, f, e in rows).encode()
    with pytest.raises(InputError, match=r"^mine.txt: the file does not tell its resolving power"):
        explorer.take("mine.txt", text, "nm")
    with pytest.raises(InputError, match="'fast' says nothing of a spectrum"):
        explorer.take("mine.txt", text, "fast")
    picked = explorer.take("mine.txt", text, "3000 nm air")
    name = picked["instrument"]
    assert name == "R3000_4200-4700"
    assert picked["about"]["stars"]["obsid"] == picked["about"]["suspicious"] == []
    assert explorer.start["instruments"][name] == picked["about"]
    query = CONTROLS | {"instrument": name, "star": "mine.txt", "fit": "1"}
    found = explorer.look(query)
    table = Table.read(explorer.save(query | {"what": "labels"}), format="ascii.ecsv")
    assert table.meta["instrument"] == name
    for label, true in zip(NAMES, written.LABELS, strict=True):
        assert found["labels"][label] == pytest.approx(true, abs=3 * table[f"e_{label}"][1])


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"star": "17"}, "no obsid 17 in the"),
        ({"kept": "<b>"}, "'<b>' is neither an obsid"),
        ({"teff": "nan"}, "teff=nan is not a number"),
        ({"instrument": "HRS"}, "no instrument HRS; there are LRS, MRS"),
    ],
)
def test_what_cannot_be_shown_is_told_in_a_line(asked, wrong, told):
    explorer, query = asked
    with pytest.raises(InputError, match=told):
        explorer.look(query | wrong)
    far = explorer.look(query | {"teff": "1e9"})
    assert far["labels"]["teff"] == explorer.start["sliders"][0]["span"][1]


def test_without_a_run_it_says_what_to_type(grid_path):
    with contextlib.chdir(grid_path.parents[2]):
        run = Run("quick", seed=987654)
        with pytest.raises(FileError, match="run `make notebooks PROFILE=quick SOURCE=mock GRID=embedded"):
            Library(run)
        run.products.rmdir()
