"""Instruments from files: what they say, what models they make, and how they are refused."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from written import LABELS

from slamlib import instruments
from slamlib.cli.main import main
from slamlib.errors import FileError, InputError
from slamlib.grid.broaden import broaden, instrument_sigma
from slamlib.grid.training import blurred, synthesise
from slamlib.instruments import LRS, MRS, Instrument, get_instrument, instrument_of_range, known_instruments
from slamlib.labelling.labeller import Labeller
from slamlib.labelling.models import Models
from slamlib.spectra.matching import match_continuum

SMALL = """
name = "SMALL"
resolution = [[4000, 2000], [4500, 4000]]
arms = [[4250, 4450, 0.5]]
sampling = 5e-5
stiffness = 2e6
"""


def test_those_of_lamost_are_what_the_paper_says():
    """To the last digit: trained models and kept labels stand on them."""
    bands = tuple((centre - half, centre + half) for centre, half in instruments.INTERSTELLAR_BANDS)
    assert Instrument("LRS", 1800.0, ((3900.0, 7000.0, 1.0),), (*bands, (5800.0, 6000.0))) == LRS
    arms = ((4950.0, 5350.0, 0.2), (6300.0, 6800.0, 0.2))
    assert Instrument("MRS", 7500.0, arms, bands, sampling=1e-5) == MRS


@pytest.mark.parametrize("name", known_instruments())
def test_every_instrument_is_within_the_models_and_its_pixels_survive_widening(name, grid):
    instrument = get_instrument(name)
    spectra = synthesise(grid, [LABELS], instrument.widened())
    matched = match_continuum(spectra, instrument, 200, np.random.default_rng(1), draws=1)
    assert matched.shape == (1, instrument.wave.size)
    assert np.isin(instrument.wave.round(6), instrument.widened().wave.round(6)).all()
    # Two pixels or more in what the spectrograph resolves, or pixels that are the limit.
    first, _, step = instrument.arms[0]
    resolution = np.interp(first, *zip(*instrument.profile, strict=True)) if instrument.profile else None
    assert step <= max(0.55 * first / (resolution or instrument.resolution), 1.05e-4 * first)


def test_the_resolving_power_follows_its_table(grid, tmp_path):
    (tmp_path / "a.toml").write_text(SMALL)
    instrument = get_instrument(tmp_path / "a.toml")
    assert instrument.resolution == 3400
    spectrum = np.ones((1, grid.wave.size), np.float32)
    centres = np.searchsorted(grid.wave, [4000, 4250, 4500])
    spectrum[0, centres] = 0
    mixed = blurred(spectrum, grid, instrument, [30.0])[0]
    # Between, variances are linear.
    between = ((2000**-2 + 4000**-2) / 2) ** -0.5
    for centre, resolution in zip(centres, (2000, between, 4000), strict=True):
        part = slice(centre - 60, centre + 60)
        expected = broaden(spectrum, grid.dv, [30.0], instrument_sigma(resolution))[0, part]
        offset = grid.dv * np.arange(-60, 60)
        widths = [np.sum(offset**2 * (1 - f)) / np.sum(1 - f) for f in (mixed[part], expected)]
        assert widths[0] == pytest.approx(widths[1], rel=0.01)
    # The table may begin anywhere, and two of its points may lie beyond the models.
    wide = "[[4500, 4000], [3500, 1000], [3000, 1000], [4000, 2000]]"
    (tmp_path / "b.toml").write_text(SMALL.replace("[[4000, 2000], [4500, 4000]]", wide))
    other = blurred(spectrum, grid, get_instrument(tmp_path / "b.toml"), [30.0])[0]
    np.testing.assert_allclose(other[centres[1] :], mixed[centres[1] :], atol=1e-6)


def test_an_instrument_of_a_file_is_named_by_what_it_is():
    made = instrument_of_range(48_000, [(3700, 4612), (4700, 4750), (4780, 9000)])
    assert made.name == "R48000_3900-4600_4800-7000"
    # Pixels no finer than R = 10,000 needs.
    assert [step for _, _, step in made.arms] == [0.35, 0.45]
    assert made == instrument_of_range(48_400, [(3710, 4640), (4780, 8000)])
    with pytest.raises(InputError, match="flux at 7100-9000 A, the models need"):
        instrument_of_range(5000, [(7100, 9000)])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("resolution", "resolutoin", "no 'resolution'"),
        ('"SMALL"', '"../SMALL"', "must be of letters"),
        ("4450, 0.5", "4450, -0.5", r"arm \[4250.0, 4450.0, -0.5\]"),
        ("[[4250, 4450, 0.5]]", "[[4250, 4450, 0.5], [4400, 4500, 0.5]]", "below the next arm"),
        ("arms", "colour = 1\narms", "colour"),
        ("2e6", "0", "above 0"),
        ("=", ":", "Expected '='"),
    ],
)
def test_a_file_that_describes_none_is_named_with_what_is_wrong(old, new, message, tmp_path):
    (tmp_path / "a.toml").write_text(SMALL.replace(old, new))
    with pytest.raises(FileError, match=rf"a\.toml describes no instrument.*{message}"):
        get_instrument(tmp_path / "a.toml")
    with pytest.raises(FileError, match="describes no instrument"):
        get_instrument(str(tmp_path / "missing.toml"))
    with pytest.raises(InputError, match=r"unknown instrument 'XRS'; use one of BOSS, .*\.toml file"):
        get_instrument("XRS")


def test_training_by_the_command_makes_what_label_uses(grid_path, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SLAMLIB_HOME", str(tmp_path / "home"))
    quickly = partial(Labeller.train, n_calibration=8, snrs=(60,))
    monkeypatch.setattr(Labeller, "train", staticmethod(quickly))
    (tmp_path / "a.toml").write_text(SMALL)
    arguments = ["train", "-i", str(tmp_path / "a.toml"), "--grid", str(grid_path), "--n", "60", "-q"]
    assert main(arguments) == 0
    models = Models(grid_path)
    instrument = get_instrument(tmp_path / "a.toml")
    assert models.labeller(instrument).instrument == instrument
    assert models.path(instrument).parent == models.folder
    # Another content under that name is another instrument: what was trained is not used for it.
    other = replace(instrument, resolution=3000.0, profile=())
    with pytest.raises(FileError, match="was trained for another SMALL"):
        Models(grid_path, models.folder).labeller(other)
