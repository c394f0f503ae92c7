"""`slamlib label`: the catalogue's own labels for any files, in order, with a status that scripts can use."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

import slamlib
from slamlib.command import main as command
from slamlib.command import models as found
from slamlib.command.labelling import label_files, list_files
from slamlib.command.main import main
from slamlib.command.models import Models, compendium
from slamlib.command.pages import ROWS, page
from slamlib.command.summary import summary, verdict
from slamlib.errors import FileError, InputError
from slamlib.files import read_ecsv
from slamlib.instruments import INSTRUMENTS, MRS
from slamlib.labels import LABELS, NAMES
from slamlib.paper import catalogue, profiles
from slamlib.paper.catalogue import label_survey
from slamlib.paper.templates import velocity_templates
from slamlib.paper.trained import Trained
from slamlib.slam.systematics import Systematics
from slamlib.survey.mock import draw_survey, write_survey

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT.parent / "shared" / "samples"
N_STARS = {"LRS": 5, "MRS": 2}


@pytest.fixture(scope="module")
def trained(matched_slam, matched_krr, tmp_path_factory):
    """A folder of small models with systematics."""
    folder = tmp_path_factory.mktemp("models")
    rng = np.random.default_rng(5)
    for name, slam in (("LRS", matched_slam), ("MRS", matched_krr(MRS, 150))):
        slam.save(folder / f"slam_{name}.npz")
        residuals = [rng.normal(0, 0.003, (12, slam.flux_mean_.size)).astype(np.float32)]
        Systematics.measure([80.0], residuals, 3).save(folder / f"systematics_{name}.npz")
    return folder


def compendium_in(folder):
    """An empty compendium with the embedded data."""
    (folder / "notebooks").mkdir(parents=True)
    (folder / "pyproject.toml").touch()
    (folder / "data").mkdir()
    (folder / "data/embedded").symlink_to(ROOT / "data/embedded")
    return folder


@pytest.fixture(scope="module")
def products(trained, tmp_path_factory):
    """A compendium where notebook 02 has run."""
    root = compendium_in(tmp_path_factory.mktemp("compendium") / "root")
    shutil.copytree(trained, root / "data/products/quick-mock-embedded")
    return root


@pytest.fixture
def here(products, monkeypatch):
    monkeypatch.chdir(products)
    return products


@pytest.fixture(scope="module")
def survey(isochrones, grid, library, tmp_path_factory):
    """LRS and MRS files of simulated stars, by instrument."""
    truth = draw_survey(N_STARS, 0, isochrones, grid.contains, np.random.default_rng(3))
    truth["snr"] = 100.0
    folder = tmp_path_factory.mktemp("survey")
    index = write_survey(truth, library, grid, folder, seed=4, progress=False)
    return {
        name: [folder / file for file in index["file"][index["instrument"] == name]] for name in INSTRUMENTS
    }


@pytest.fixture
def mixed(survey, tmp_path):
    """Files of both instruments in turn, bad ones between them."""
    text, missing = tmp_path / "note.fits", tmp_path / "missing.fits"
    text.write_text("this is no spectrum\n")
    lrs, mrs = survey["LRS"], survey["MRS"]
    return [text, mrs[0], lrs[0], missing, lrs[1], mrs[1]]


@pytest.fixture
def no_work(monkeypatch):
    """Whatever is refused is refused before anything is labelled or trained."""

    def fail(*arguments, **options):
        raise AssertionError("work began")

    for module, name in ((catalogue, "label_part"), (found, "train")):
        monkeypatch.setattr(module, name, fail)


def lines(text):
    return text.rstrip("\n").split("\n")


# --- labels


def test_labels_are_those_of_the_catalogue_in_the_order_of_the_files(mixed, here, grid, tmp_path):
    table = slamlib.label(mixed, progress=False)
    assert list(table["file"]) == [path.name for path in mixed]
    assert list(table["instrument"]) == ["", "MRS", "LRS", "", "LRS", "MRS"]
    for name in INSTRUMENTS:
        rows = table["instrument"] == name
        paths = [path for path, row in zip(mixed, rows, strict=True) if row]
        slams = {"slam": Trained.read(here / "data/products/quick-mock-embedded", name)}
        templates = velocity_templates(grid, name)
        expected = label_survey(paths, name, slams, templates, grid.contains, tmp_path, progress=False)
        assert set(table.colnames) == {*expected.colnames, "instrument"}
        for column in expected.colnames:
            np.testing.assert_array_equal(table[column][rows], expected[column], err_msg=column)
            assert table[column].unit == expected[column].unit
            assert table[column].description == expected[column].description
        assert np.isfinite(table["teff"][rows]).all()
    assert table.meta["models"] == "quick-mock-embedded"
    np.testing.assert_array_equal(table["simulated"], table["instrument"] != "")


def test_a_file_that_cannot_be_used_costs_its_row_and_says_why(mixed, here):
    table = slamlib.label(mixed, progress=False)
    bad = table["instrument"] == ""
    assert np.isnan(table["teff"][bad]).all()
    assert list(table["status"][bad]) == ["no data"] * 2
    assert "note.fits is not a FITS file" in table["reason"][0]
    assert "no file missing.fits" in table["reason"][3]


def test_one_file_is_one_row_and_a_folder_is_the_fits_files_in_it(survey, here, tmp_path):
    one = survey["LRS"][0]
    assert len(slamlib.label(one, progress=False)) == len(slamlib.label(str(one), progress=False)) == 1
    for path in survey["LRS"][:2]:
        shutil.copy(path, tmp_path)
    for other in ("readme.txt", ".7.half.fits"):
        (tmp_path / other).write_text("no spectrum")
    assert list_files(tmp_path) == sorted(tmp_path / path.name for path in survey["LRS"][:2])


def test_nothing_usable_is_an_error_that_gives_each_reason(mixed, here, no_work):
    with pytest.raises(InputError, match=r"note\.fits is not a FITS file[^\n]*; no file .*missing\.fits"):
        slamlib.label([mixed[0], mixed[3]], progress=False)
    with pytest.raises(InputError, match="no file given"):
        slamlib.label([])


# --- models


@pytest.mark.parametrize(
    ("there", "chosen"),
    [
        (("quick-mock", "paper-mock", "paper-lamost"), "paper-mock"),
        (("quick-lamost", "label-quick-mock"), "quick-lamost"),
        (("label-quick-mock",), "label-quick-mock"),
    ],
)
def test_the_best_models_that_are_there_are_used(there, chosen, trained, tmp_path, monkeypatch, no_work):
    monkeypatch.chdir(compendium_in(tmp_path / "root"))
    for key in there:
        shutil.copytree(trained, tmp_path / f"root/data/products/{key}-embedded")
    assert Models().trained("LRS").files[0].parent.name == f"{chosen}-embedded"


def test_systematics_of_a_former_model_are_not_used_with_a_new_one(trained, tmp_path, monkeypatch):
    """Notebook 02 writes the model first: an interrupted run leaves the old systematics beside it."""
    monkeypatch.chdir(compendium_in(tmp_path / "root"))
    for key in ("paper", "quick"):
        shutil.copytree(trained, tmp_path / f"root/data/products/{key}-mock-embedded")
    model = tmp_path / "root/data/products/paper-mock-embedded/slam_MRS.npz"
    later = (model.parent / "systematics_MRS.npz").stat().st_mtime_ns + 1_000_000
    os.utime(model, ns=(later, later))
    models = Models()
    assert models.trained("MRS").files[0].parent.name == "quick-mock-embedded"
    assert models.trained("LRS").files[0].parent.name == "paper-mock-embedded"


def test_models_are_trained_once_where_there_are_none(survey, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(compendium_in(tmp_path / "root"))
    counts = {"LRS": 40, "MRS": 40}
    small = replace(
        profiles.QUICK, n_train=counts, n_labels=counts, sample_sizes={"LRS": (40,), "MRS": (40,)}
    )
    small = replace(small, n_calibration=6, calibration_snrs=(60,))
    monkeypatch.setitem(profiles.PROFILES, "quick", small)
    assert main(["label", str(survey["LRS"][0])]) == 0
    assert "no trained model yet" in capsys.readouterr().err
    folder = tmp_path / "root/data/products/label-quick-mock-embedded"
    assert sorted(path.name for path in folder.glob("*.npz")) == ["slam_LRS.npz", "systematics_LRS.npz"]
    monkeypatch.setattr(found, "train", None)
    assert main(["label", str(survey["LRS"][0])]) == 0
    assert "LRS: models of data/products/label-quick-mock-embedded" in capsys.readouterr().err


def test_the_command_works_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert compendium() == ROOT
    root = compendium_in(tmp_path / "other")
    monkeypatch.chdir(root / "notebooks")
    assert compendium() == root


def test_a_grid_is_named_from_where_the_command_runs(here, monkeypatch):
    monkeypatch.chdir(here / "data")
    assert Models("embedded/tlusty_ob_grid.fits").folder.name.startswith("label-quick-mock-tlusty_ob_grid-")
    with pytest.raises(FileError, match="no model grid at"):
        Models("tlusty_ob_grid.fits")


# --- the command


def test_status_0_with_a_summary_when_every_file_has_labels(survey, here, capsys):
    assert main(["label", *map(str, survey["LRS"])]) == 0
    said = capsys.readouterr()
    out = lines(said.out)
    assert lines(said.err) == ["LRS: models of data/products/quick-mock-embedded"]
    shown = out[2 : 2 + len(survey["LRS"])]
    assert [line.split()[0] for line in shown] == [path.name for path in survey["LRS"]]
    assert all("simulated LRS" in line and line.count("+-") >= 3 for line in shown)
    assert out[-2].startswith("5 spectra: ")
    assert out[-2].endswith("docs/flags.md says what each flag means.")
    assert out[-1] == "5 of the spectra are simulated."


def test_status_3_with_a_line_for_each_bad_file_when_some_cannot_be_used(mixed, here, capsys):
    assert main(["label", "-q", *map(str, mixed), "-o", "out/labels.ecsv"]) == 3
    said = capsys.readouterr()
    assert said.out == ""
    first, second = lines(said.err)
    assert first.startswith("slamlib: note.fits is not a FITS file")
    assert second.startswith("slamlib: no file missing.fits")
    assert list(read_ecsv(here / "out/labels.ecsv")["file"]) == [path.name for path in mixed]


@pytest.mark.parametrize("case", ["bad file", "missing", "empty folder", "grid"])
def test_status_1_with_one_line_when_nothing_can_be_done(case, mixed, here, tmp_path, no_work, capsys):
    (tmp_path / "empty").mkdir()
    arguments, said = {
        "bad file": ([mixed[0]], "is not a FITS file"),
        "missing": ([mixed[3]], "check the path"),
        "empty folder": ([tmp_path / "empty"], "no FITS file in the folder"),
        "grid": ([mixed[1], "--grid", "none.fits"], "no model grid at"),
    }[case]
    assert main(["label", "-o", str(tmp_path / "labels.csv"), *map(str, arguments)]) == 1
    (line,) = lines(capsys.readouterr().err)
    assert said in line
    assert not (tmp_path / "labels.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "slamlib: the following arguments are required: COMMAND; try 'slamlib --help'"),
        (["label"], "slamlib label: the following arguments are required: FILE"),
        (["label", "a.fits", "-o", "labels.txt"], "'labels.txt' must end in .ecsv or .csv or .fits"),
        (["label", "a.fits", "--plot", "fits.png"], "'fits.png' must end in .pdf"),
        (["label", "a.fits", "--speed", "9"], "unrecognized arguments: --speed 9"),
    ],
)
def test_status_2_with_one_line_on_wrong_usage(arguments, said, no_work, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    (line,) = lines(capsys.readouterr().err)
    assert said in line


def test_an_input_is_never_overwritten(survey, here, tmp_path, no_work, capsys):
    shutil.copy(survey["LRS"][0], tmp_path / "star.fits")
    before = (tmp_path / "star.fits").read_bytes()
    same = tmp_path / "x" / ".." / "star.fits"
    assert main(["label", str(tmp_path), "-o", str(same)]) == 2
    assert "would be overwritten" in capsys.readouterr().err
    assert (tmp_path / "star.fits").read_bytes() == before


def test_an_interrupted_command_goes_on_where_it_stopped(survey, products, tmp_path, monkeypatch, capsys):
    root = shutil.copytree(products, tmp_path / "root", symlinks=True)
    shutil.rmtree(root / "data/products/label-quick-mock-embedded", ignore_errors=True)
    monkeypatch.chdir(root)
    monkeypatch.setattr(catalogue, "PART", 2)
    original, worked = catalogue.label_part, []

    def stop_at(paths, *arguments):
        if len(worked) == stop:
            raise KeyboardInterrupt
        worked.append(paths)
        return original(paths, *arguments)

    monkeypatch.setattr(catalogue, "label_part", stop_at)
    files, stop = survey["LRS"], 1
    arguments = ["label", "-q", *map(str, files), "-o", "labels.ecsv"]
    assert main(arguments) == 130
    assert "interrupted" in capsys.readouterr().err
    assert not Path("labels.ecsv").exists()
    stop = None
    assert main(arguments) == 0
    assert worked == [files[0:2], files[2:4], files[4:5]]
    assert list(read_ecsv("labels.ecsv")["file"]) == [path.name for path in files]


def test_a_cluster_gives_the_same_table(mixed, here, tmp_path):
    tables = []
    for name, options in (("here", []), ("cluster", ["--cluster", "local"])):
        output = tmp_path / f"{name}.ecsv"
        assert main(["label", *map(str, mixed), "-o", str(output), "-q", *options]) == 3
        tables.append(read_ecsv(output))
    assert tables[0].colnames == tables[1].colnames
    for name in tables[0].colnames:
        np.testing.assert_array_equal(tables[0][name], tables[1][name], err_msg=name)


def test_a_reader_that_stops_early_does_no_harm(survey, here):
    """As in ``slamlib label ... | head -1``: the summary finds its pipe closed."""
    code = "import sys; from slamlib.command.main import _show; _show('x' * 10**6); sys.exit(3)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 3
    process.stderr.close()


# --- what is written


@pytest.mark.parametrize("suffix", [".ecsv", ".csv", ".fits"])
def test_every_format_gives_the_same_table_back(suffix, mixed, here, tmp_path):
    output = tmp_path / f"labels{suffix.upper() if suffix == '.csv' else suffix}"
    assert main(["label", "-q", *map(str, mixed), "-o", str(output)]) == 3
    expected = slamlib.label(mixed, progress=False)
    table = Table.read(output, format={".ecsv": "ascii.ecsv", ".csv": "ascii.csv", ".fits": "fits"}[suffix])
    assert table.colnames == expected.colnames
    for name in table.colnames:
        values = expected[name]
        if values.dtype.kind in "Ub":
            gone = np.ma.getmaskarray(table[name])
            texts = ["" if empty else str(text) for empty, text in zip(gone, table[name], strict=True)]
            assert texts == [str(value) for value in values]
        else:
            np.testing.assert_allclose(table[name], values, rtol=1e-12)
    if suffix == ".ecsv":
        assert [table[label.name].unit for label in LABELS] == [label.unit for label in LABELS]
    if suffix != ".csv":
        assert table["e_teff"].unit == "K"
        assert table["vsini_limit"].description == expected["vsini_limit"].description
        assert "dex" in f"{table['mh'].unit} {table['mh'].description}"


def test_the_pages_show_every_fit_and_which_stars_are_simulated(survey, mixed, here, tmp_path):
    paths = [*mixed, mixed[2]]
    assert main(["label", "-q", *map(str, paths), "--plot", str(tmp_path / "fits.pdf")]) == 3
    content = (tmp_path / "fits.pdf").read_bytes()
    # Five of seven have labels.
    assert content.count(b"/Type /Page ") == -(-5 // ROWS) == 2
    models = Models()
    both = [mixed[2], mixed[1]]
    table = label_files(both, models, progress=False)
    table["simulated"][1] = False
    figure = page(list(zip(table, both, strict=True)), models)
    for i, (panel, row) in enumerate(zip(figure.subfigs, table, strict=False)):
        arms = len(INSTRUMENTS[row["instrument"]].arms)
        assert len(panel.axes) == 2 * arms
        title = panel.get_suptitle()
        assert row["file"] in title
        assert verdict(row) in title
        assert f"{row['teff']:.0f} ± {row['e_teff']:.0f} K" in title
        assert any("simulated" in axes.get_title(loc="right") for axes in panel.axes) == (i == 0)
        # Observed, and the model over all pixels.
        assert [line.get_label() for line in panel.axes[0].lines[:2]] == ["observed", "SLAM model"]
    assert not any(panel.axes for panel in figure.subfigs[2:])


def test_a_long_summary_is_cut_only_where_a_table_has_the_rest(survey, here):
    table = slamlib.label(survey["LRS"], progress=False)
    assert "... and 3 more" in summary(table, most=2)
    assert "more" not in summary(table)
    table["file"][0] = "two\nlines.fits"
    assert lines(summary(table))[2].startswith("two\\nlines.fits")


# --- the package


def test_importing_slamlib_and_asking_for_help_load_nothing_heavy():
    for code in ("import slamlib", "from slamlib.command.main import main; main(['label', '--help'])"):
        code = f"import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); {code}"
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0
        assert not {"numpy", "astropy", "numba", "matplotlib", "sklearn"} & set(done.stderr.split())


def test_help_tells_every_status_and_every_option(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["label", "--help"])
    assert stop.value.code == 0
    said = capsys.readouterr().out
    codes = (command.USED_ALL, command.USED_NONE, command.USAGE, command.USED_SOME, command.INTERRUPTED)
    told = [
        int(line.split()[0]) for line in lines(said) if line.startswith("  ") and line.split()[0].isdigit()
    ]
    assert sorted(told) == sorted(codes)


def test_slamlib_has_label_and_summary_and_nothing_it_has_not():
    assert {"label", "summary"} <= set(dir(slamlib))
    assert slamlib.summary is summary
    with pytest.raises(AttributeError, match="labelz"):
        _ = slamlib.labelz


# --- real spectra


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="no sample spectra beside the repository")
def test_real_files_have_labels_and_a_judgement_each(here, capsys):
    folders = [SAMPLES / "lamost_lrs", SAMPLES / "lamost_mrs"]
    assert main(["label", *map(str, folders), "-o", "real.ecsv"]) == 0
    table = read_ecsv(here / "real.ecsv")
    assert len(table) == sum(len(list(folder.iterdir())) for folder in folders)
    assert np.isfinite(np.array([table[name] for name in NAMES])).all()
    assert not table["simulated"].any()
    assert "simulated" not in capsys.readouterr().out
    # A stars of the LAMOST pipeline: too cool for the grid.
    cool = [row for row in table if row["subclass"].startswith("A")]
    assert len(cool) >= 4
    assert all(verdict(row).startswith("outside the model grid") for row in cool)
