"""One file that says what it is: read back whole, and refused where it does not fit."""

from dataclasses import replace

import numpy as np
import pytest

from slamlib.errors import FileError, InputError
from slamlib.inference.systematics import Systematics
from slamlib.inference.validate import noisy
from slamlib.instruments import LRS, MRS
from slamlib.labelling.labeller import Labeller
from slamlib.regression.slam import Slam

STAR = np.array([[22_000.0, 3.9, -0.1, 90.0]])


@pytest.fixture(scope="module")
def made(training, labeller):
    """A labeller that knows its wavelengths, with systematics measured for its model."""
    slam = Slam("krr", n_search=200).fit(training.labels, training.flux, wave=LRS.wave).compress()
    residuals = np.random.default_rng(6).normal(0, 0.003, (20, LRS.wave.size))
    known = Systematics.measure([50.0], [residuals], rank=3)
    return labeller(slam, LRS, replace(known, model=slam.digest()))


@pytest.fixture(scope="module")
def star(made):
    return noisy(made.predict(STAR), 100, LRS.good, np.random.default_rng(1))


def test_a_labeller_that_was_read_gives_the_same_labels_and_says_what_it_is(made, star, grid, tmp_path):
    made.save(tmp_path / "a.npz")
    read = Labeller.read(tmp_path / "a.npz", "LRS", regressor="krr", continuum="matched")
    assert read.instrument == LRS
    assert read.about == made.about
    assert read.about["grid"] == grid.sha256
    assert read.about["n_train"] == 300
    assert read.about["labels"]["teff"] == pytest.approx([15_000, 55_000], abs=1500)
    for name, values in made.label(*star, [False]).items():
        np.testing.assert_array_equal(read.label(*star, [False])[name], values)
    drawn = np.random.default_rng(3).uniform([14_000, 2, -1.1], [57_000, 5, 0.4], (500, 3))
    np.testing.assert_array_equal(read.edge.contains(drawn), grid.contains(drawn))
    velocities = [one.templates.measure(LRS.wave, *(part[0] for part in star)) for one in (made, read)]
    assert velocities[0] == velocities[1]
    read.save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_what_was_not_asked_for_is_refused(made, tmp_path):
    made.save(tmp_path / "a.npz")
    for expected, words in ((("MRS",), "instrument: LRS, not MRS"), ((), "regressor: krr, not svr")):
        with pytest.raises(FileError, match=words):
            Labeller.read(tmp_path / "a.npz", *expected, regressor="svr")
    with pytest.raises(FileError, match=r"no labeller .*none\.npz; train again first"):
        Labeller.read(tmp_path / "none.npz")


def test_spectra_on_other_pixels_are_refused(made, star):
    made.fit(*star, wave=LRS.wave)
    with pytest.raises(InputError, match="up to 5 A from those the model was trained on"):
        made.fit(*star, wave=LRS.wave + 5)
    with pytest.raises(InputError, match="4502 pixels for a model of 3101"):
        made.fit(*star, wave=MRS.wave)


def test_parts_of_different_labellers_are_refused(made, training, star, tmp_path):
    other = Slam("krr", n_search=100).fit(training.labels[:200], training.flux[:200], wave=LRS.wave)
    with pytest.raises(InputError, match="measured with another model"):
        replace(made, slam=other).fit(*star)
    replace(made, slam=other).save(tmp_path / "mixed.npz")
    with pytest.raises(FileError, match=r"mixed\.npz is not a readable labeller .*another model"):
        Labeller.read(tmp_path / "mixed.npz")
    shifted = replace(LRS, arms=((3905.0, 7005.0, 1.0),))
    replace(made, instrument=shifted).save(tmp_path / "shifted.npz")
    with pytest.raises(FileError, match=r"shifted\.npz .*5 A from those the model was trained on"):
        Labeller.read(tmp_path / "shifted.npz")
