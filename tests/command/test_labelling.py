"""`slamlib.label`: the catalogue's own labels for any files, in order, by the best models there are."""

import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
from compendia import SAMPLES

import slamlib
from slamlib.cli.main import main
from slamlib.errors import FileError
from slamlib.grid.joined import named_grid
from slamlib.instruments import INSTRUMENTS
from slamlib.io import embedded, read_ecsv
from slamlib.labelling.calibration import Observatory
from slamlib.labelling.catalogue import label_survey
from slamlib.labelling.files import list_files
from slamlib.labelling.labeller import Labeller
from slamlib.labelling.models import SHIPPED, Models, labeller_path
from slamlib.labelling.recipe import training_code
from slamlib.labelling.summary import verdict
from slamlib.labels import NAMES


def test_labels_are_those_of_the_catalogue_in_the_order_of_the_files(mixed, here, tmp_path):
    table = slamlib.label(mixed, progress=False)
    assert list(table["file"]) == [path.name for path in mixed]
    assert list(table["instrument"]) == ["", "MRS", "LRS", "", "LRS", "MRS"]
    for name in INSTRUMENTS:
        rows = table["instrument"] == name
        paths = [path for path, row in zip(mixed, rows, strict=True) if row]
        expected = label_survey(paths, {"krr": Models().path(name)}, tmp_path, progress=False)
        assert set(table.colnames) == {*expected.colnames, "instrument"}
        for column in expected.colnames:
            np.testing.assert_array_equal(table[column][rows], expected[column], err_msg=column)
            assert table[column].unit == expected[column].unit
            assert table[column].description == expected[column].description
        assert np.isfinite(table["teff"][rows]).all()
    assert table.meta["models"].startswith(f"LRS {Models().labeller('LRS').slam.digest()[:12]}, MRS ")
    np.testing.assert_array_equal(table["simulated"], table["instrument"] != "")


def test_one_file_is_one_row_and_a_folder_is_the_fits_files_in_it(survey, here, tmp_path):
    one = survey["LRS"][0]
    assert len(slamlib.label(one, progress=False)) == len(slamlib.label(str(one), progress=False)) == 1
    for path in survey["LRS"][:2]:
        shutil.copy(path, tmp_path)
    for other in ("readme.txt", ".7.half.fits"):
        (tmp_path / other).write_text("no spectrum")
    assert list_files(tmp_path) == sorted(tmp_path / path.name for path in survey["LRS"][:2])


def test_copied_models_are_used_whatever_their_dates(trained, here, tmp_path, capsys):
    folder = shutil.copytree(trained, tmp_path / "copied")
    for i, path in enumerate(sorted(folder.iterdir())):
        os.utime(path, ns=(10**18 * i, 10**18 * i))
    assert Models(folder=folder).path("LRS") == folder / "krr_LRS.npz"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"regressor": "svr"}, "says regressor: svr, not krr"),
        ({"continuum": "true"}, "says continuum: true, not matched"),
        ({"grid": "another"}, "was trained on another grid than"),
    ],
)
def test_an_unusable_model_is_named_with_the_reason(change, reason, home, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SLAMLIB_HOME", str(shutil.copytree(home, tmp_path / "own")))
    kept = Models().path("LRS")
    labeller = Labeller.read(kept)
    replace(labeller, about=labeller.about | change).save(kept)
    shipped = Labeller.read(embedded("models") / "krr_LRS.npz")
    assert Models(talk=False).labeller("LRS").about == shipped.about
    told = capsys.readouterr().err
    assert f"LRS: a model is not used: {kept} {reason}" in told
    assert told.count("\n") == 1
    # A folder that was named is not written to.
    replace(labeller, about=labeller.about | change).save(kept)
    with pytest.raises(FileError, match=reason):
        Models(folder=kept.parent).path("LRS")


def test_models_that_come_with_slamlib_are_of_this_code():
    for name in SHIPPED:
        code = Labeller.read(embedded("models") / f"krr_{name}.npz").about["code"]
        assert code == training_code(), "run: make models"


def test_a_named_folder_without_models_is_an_error(here, tmp_path):
    with pytest.raises(FileError, match=r"no folder .*absent of models; train them with: slamlib train"):
        Models(folder=tmp_path / "absent")
    with pytest.raises(FileError, match=r"no labeller .*krr_LRS\.npz"):
        Models(folder=tmp_path).path("LRS")


def test_models_are_trained_once_where_there_are_none(survey, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SLAMLIB_HOME", str(tmp_path))
    train = Labeller.train
    small = {"n": 40, "n_calibration": 16, "snrs": (60,)}
    monkeypatch.setattr(Labeller, "train", lambda *some, progress: train(*some, progress=progress, **small))
    # With the embedded grid the model that comes with slamlib would serve.
    command = ["label", str(survey["LRS"][0]), "--grid", str(embedded("tlusty_ob_grid.fits"))]
    assert main(command) == 0
    assert "no trained model yet" in capsys.readouterr().err
    assert [path.name for path in tmp_path.glob("models/*/*.npz")] == ["krr_LRS.npz"]
    monkeypatch.setattr(Labeller, "train", None)
    assert main(command) == 0
    assert f"LRS: model {tmp_path}/models/" in capsys.readouterr().err
    assert main(["info"]) == 0
    said = capsys.readouterr().out
    assert "n_train: 40" in said and "scatters the square of v sin i by 12949 km2/s2" in said
    (old := tmp_path / "models" / "0" / "krr_LRS.npz").parent.mkdir()
    np.savez(old, format=0)
    assert main(["info"]) == 3 and main(["info", str(old)]) == 1
    said = capsys.readouterr()
    assert "n_train: 40" in said.out and said.err.count("an older slamlib (format 0); delete it") == 2


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_models_come_with_slamlib_and_label_without_training(survey, name, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SLAMLIB_HOME", str(tmp_path))
    monkeypatch.setattr(Labeller, "train", None)
    table = slamlib.label(survey[name])
    assert f"{name}: model {embedded('models')}" in capsys.readouterr().err
    folder = next(parent for parent in survey[name][0].parents if (parent / "truth.ecsv").is_file())
    star = dict(read_ecsv(folder / "index.ecsv")["obsid", "star"].iterrows())
    truth = {row["star"]: row for row in read_ecsv(folder / "truth.ecsv")}
    fine = table[(table["status"] == "ok") & (table["flag"] == "I")]
    assert len(fine)
    for row in fine:
        for label in ("teff", "logg", "mh"):
            assert abs(row[label] - truth[star[row["obsid"]]][label]) < 4 * row[f"e_{label}"]


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="no sample spectra beside the repository")
def test_real_files_have_labels_and_a_judgement_each(here, capsys):
    folders = [SAMPLES / "lamost_lrs", SAMPLES / "lamost_mrs"]
    assert main(["label", *map(str, folders), "-o", "real.ecsv"]) == 0
    table = read_ecsv(here / "real.ecsv")
    assert len(table) == sum(sum(path.is_file() for path in folder.iterdir()) for folder in folders)
    known = np.isfinite(np.array([table[name] for name in NAMES]))
    # MRS without its H alpha line, which emission takes, has no log g, and a status that warns.
    refused = (table["instrument"] == "MRS") & (table["status"] != "ok")
    assert (known | (refused & (np.array(NAMES) == "logg")[:, None])).all()
    assert not table["simulated"].any()
    assert "simulated" not in capsys.readouterr().out
    # A stars of the LAMOST pipeline: too cool for the grid.
    cool = [row for row in table if row["subclass"].startswith("A")]
    assert len(cool) >= 4
    assert all(verdict(row).startswith("outside the model grid") for row in cool)


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_two_thirds_of_the_errors_of_models_that_come_with_slamlib_hold(name):
    """Of OB, late B and early A stars at SNR 100; their errors were measured on other stars."""
    labeller = Labeller.read(labeller_path(embedded("models"), name))
    observatory = Observatory.of(named_grid("embedded"), name, labeller.templates)
    stars = observatory.observe(observatory.draw(200, 100, seed=5), seed=5)
    table = labeller.label(stars.flux, stars.ivar, True, np.full(len(stars.flux), 100.0))
    good = (table["status"] == "ok") & (table["flag"] != "O")
    real = labeller.label(stars.flux, stars.ivar, False, np.full(len(stars.flux), 100.0))
    # Those of real stars hold what models have wrong, too.
    assert all((real[f"e_{label}"] >= table[f"e_{label}"])[good].all() for label in NAMES)
    wider = np.median(real["e_logg"][good] / table["e_logg"][good])
    # At MRS interpolation between models errs as much: errors measured on simulated stars are nearly as wide.
    assert wider > (1.05 if name == "LRS" else 1.0)
    for label, true in zip(NAMES, stars.labels.T, strict=False):
        some = good & np.isnan(table["vsini_limit"]) if label == "vsini" else good
        pulls = (table[label] - true)[some] / table[f"e_{label}"][some]
        assert len(pulls) > 100
        # Two thirds by definition; the share of so many stars scatters by 0.04.
        assert 0.58 < np.mean(np.abs(pulls) < 1) < 0.78, label


def test_rotation_below_the_resolution_of_lrs_is_seldom_taken_for_measured():
    labeller = Labeller.read(labeller_path(embedded("models"), "LRS"))
    observatory = Observatory.of(named_grid("embedded"), "LRS", labeller.templates)
    rows = observatory.draw(150, 100, seed=6)
    rows["vsini"] = np.linspace(5, 40, len(rows))
    stars = observatory.observe(rows, seed=6)
    table = labeller.label(stars.flux, stars.ivar, True, np.full(len(stars.flux), 100.0))
    limited, true = np.isfinite(table["vsini_limit"]), stars.labels[:, 3]
    # 5% of stars without rotation look faster than their limit, by definition; these rotate a little.
    assert limited.mean() > 0.88
    assert (table["vsini_limit"] > true)[limited].mean() > 0.95
