"""Velocities of a catalogue: read, averaged, used where it has the star, measured where not."""

from types import SimpleNamespace

import numpy as np
import pytest
from astropy.table import Table

from compendium.velocities import catalogue_velocities, simulated_catalogue
from slamlib.errors import FileError
from slamlib.io import write_ecsv
from slamlib.spectra.prepare import read_many
from slamlib.spectra.velocity import KnownVelocities


def test_several_velocities_of_one_spectrum_are_averaged_and_missing_ones_left_out(tmp_path):
    run = SimpleNamespace(root=tmp_path, simulated=False)
    with pytest.raises(FileError, match=r"fetch it with .*catalogues zhang2021"):
        catalogue_velocities(run)
    rows = Table({"obsid": [7, 8, 7, 9], "RV": [10.0, -3.0, 14.0, np.nan]})
    write_ecsv(rows, tmp_path / "data/raw/catalogues/zhang2021/table1.ecsv")
    columns = Table({"name": ["zhang2021"] * 2, "label": ["obsid", "rv"], "columns": ["ObsID obsid", "RV"]})
    columns["needed"] = True
    write_ecsv(columns, tmp_path / "data/embedded/vizier_columns.ecsv")
    assert catalogue_velocities(run) == {7: 12.0, 8: -3.0}


def test_the_simulated_catalogue_has_the_stated_errors():
    n = 4000
    truth = Table(
        {"obsid": np.arange(2 * n), "instrument": ["LRS"] * n + ["MRS"] * n, "rv": np.full(2 * n, 20.0)}
    )
    off = simulated_catalogue(truth, np.random.default_rng(1))["rv"] - truth["rv"]
    assert np.std(off[:n]) == pytest.approx(5, rel=0.05)
    assert np.std(off[n:]) == pytest.approx(2, rel=0.05)


def test_the_catalogue_is_used_where_it_has_the_star(lrs_survey, lrs_templates):
    truth, paths = (part[:3] for part in lrs_survey)
    measured = read_many(paths, "LRS", lrs_templates, progress=False)[2]
    known = KnownVelocities({int(truth["obsid"][0]): 33.0}, lrs_templates)
    mixed = read_many(paths, "LRS", known, progress=False)[2]
    assert mixed["rv"][0] == 33.0
    assert np.isnan(mixed["e_rv"][0])
    np.testing.assert_array_equal(mixed["rv"][1:], measured["rv"][1:])
