"""`slamlib label` and `inspect`: a status that scripts can use, tables and pages, a line for each failure."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table, vstack
from compendia import ROOT, lines

import slamlib
from slamlib.cli import inspect, pages
from slamlib.cli.main import main
from slamlib.cli.output import read_table
from slamlib.io import read_ecsv
from slamlib.labelling import catalogue
from slamlib.labelling.files import label_files
from slamlib.labelling.inspection import fit_of, need, outside, worst_first
from slamlib.labelling.models import Models
from slamlib.labelling.summary import verdict
from slamlib.labels import LABELS


def test_status_0_with_a_summary_when_every_file_has_labels(survey, here, capsys):
    assert main(["label", *map(str, survey["LRS"])]) == 0
    said = capsys.readouterr()
    out = lines(said.out)
    assert lines(said.err) == [f"LRS: model {Models().path('LRS')}"]
    shown = out[2 : 2 + len(survey["LRS"])]
    assert [line.split()[0] for line in shown] == [path.name for path in survey["LRS"]]
    assert all("simulated LRS" in line and line.count("+-") >= 3 for line in shown)
    assert out[-2].startswith("5 spectra: ")
    assert out[-2].endswith("docs/flags.md says what each flag means.")
    assert out[-1] == "5 of the spectra are simulated."


def test_status_3_with_a_line_for_each_bad_file_when_some_cannot_be_used(mixed, here, capsys):
    (here / "out").mkdir()
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
        (["train", "--seed", "-1"], "argument --seed: '-1' is not 0, 1, ..."),
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


def test_an_interrupted_command_goes_on_where_it_stopped(survey, home, here, tmp_path, monkeypatch, capsys):
    own = shutil.copytree(home, tmp_path / "own", ignore=shutil.ignore_patterns("parts"))
    monkeypatch.setenv("SLAMLIB_HOME", str(own))
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
    names = [path.name for path in files]
    assert [[one.name for one in some] for some in worked] == [names[0:2], names[2:4], names[4:5]]
    assert list(read_ecsv("labels.ecsv")["file"]) == [path.name for path in files]


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
    # An empty text would be masked, and no comparison would count it.
    for name, good in (("flag", "I"), ("status", "ok")):
        assert sum(table[name] != good) == sum(expected[name] != good) >= 2
    assert table["flag"][[0, 3]].tolist() == ["N", "N"]
    if suffix == ".ecsv":
        assert [table[label.name].unit for label in LABELS] == [label.unit for label in LABELS]
    if suffix != ".csv":
        assert table["e_teff"].unit == "K"
        assert table["vsini_limit"].description == expected["vsini_limit"].description
        assert "dex" in f"{table['mh'].unit} {table['mh'].description}"
    read = read_table(output)
    # Where the class that files tell would be named, were there any.
    read["status"] = expected["status"] = np.full(len(read), "not early-type")
    assert slamlib.summary(read) == slamlib.summary(expected)


def test_the_pages_show_every_fit_and_which_stars_are_simulated(mixed, here, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(pages, "ROWS", 2)
        assert main(["label", "-q", *map(str, mixed[:5]), "--plot", str(tmp_path / "fits.pdf")]) == 3
    # Three of five have labels.
    assert (tmp_path / "fits.pdf").read_bytes().count(b"/Type /Page ") == 2
    models = Models()
    both = [mixed[2], mixed[1]]
    table = label_files(both, models, progress=False)
    table["simulated"][1] = False
    figure = pages.page(list(zip(table, both, strict=True)), models)
    for i, (panel, row) in enumerate(zip(figure.subfigs, table, strict=False)):
        parts = {"LRS": 3, "MRS": 2}[row["instrument"]]  # one long arm is drawn in three
        assert len(panel.axes) == 2 * parts
        title = panel.get_suptitle()
        assert row["file"] in title
        assert verdict(row) in title
        assert f"{row['teff']:.0f} ± {row['e_teff']:.0f} K" in title
        assert any("simulated" in axes.get_title(loc="right") for axes in panel.axes) == (i == 0)
        # Observed, and the model over all pixels.
        assert [line.get_label() for line in panel.axes[0].lines[:2]] == ["observed", "SLAM model"]
    assert not any(panel.axes for panel in figure.subfigs[2:])


def test_importing_slamlib_and_asking_for_help_load_nothing_heavy():
    for code in ("import slamlib", "from slamlib.cli.main import main; main(['label', '--help'])"):
        code = f"import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); {code}"
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0
        assert not {"numpy", "astropy", "numba", "matplotlib", "sklearn"} & set(done.stderr.split())


@pytest.fixture
def labelled(survey, here):
    """Labels of five LRS stars, written."""
    table = slamlib.label(survey["LRS"], progress=False)
    table["status"], table["flag"] = np.full(len(table), "ok", dtype="U20"), "I"
    for name, value in {"teff": 20000.0, "logg": 4.0, "mh": 0.0}.items():
        table[name], table[f"e_{name}"] = value, {"teff": 200.0}.get(name, 0.05)
    table.write("labels.ecsv", overwrite=True)
    return table


def test_a_label_outside_the_grid_counts_in_its_errors(labelled):
    labeller = Models().labeller("LRS")
    assert not outside(labelled, labeller).any()
    highest = labeller.slam.training_labels_[:, 1].max()
    labelled["logg"][1:3] = highest + 0.5
    labelled["e_logg"][2] = 0.1
    found = outside(labelled, labeller)
    np.testing.assert_array_equal(found > 0, [False, True, True, False, False])
    # At this Teff no more than the highest log g is inside; how much less is the grid's.
    assert 10 <= found[1] < 20
    assert found[1] == pytest.approx(2 * found[2])


def test_the_worst_come_first_and_rows_without_labels_never(labelled):
    labelled["status"][3] = "emission"
    labelled["status"][1], labelled["gain_2"][1], labelled["chi2"][1] = "double", 400.0, 1.0
    labelled["teff"][0] = np.nan
    labelled["instrument"][4] = "R5k"  # made for a file: not known by its name
    assert need(labelled, Models())[[1, 3]] == pytest.approx([20.0, 5.0])
    assert list(worst_first(labelled, Models())) == [1, 3, 2, 4]


def test_the_page_shows_fit_residual_reason_and_what_came_second(survey, labelled, here, capsys):
    labelled["status"][2] = "poor fit"
    labelled["note"] = ["", "", "<b>no markup</b>", "", ""]
    labelled.write("labels.ecsv", overwrite=True)
    folder = survey["LRS"][0].parent
    assert main(["inspect", "labels.ecsv", str(folder), "-n", "2", "-o", "look.html"]) == 0
    assert capsys.readouterr().out == "look.html\n"
    page = (here / "look.html").read_text()
    heads = re.findall(r"<h2.*?</h2>", page)
    assert len(heads) == page.count("data:image/png;base64,") == 2
    assert labelled["file"][2] in heads[0]
    assert "the models do not describe the spectrum" in heads[0]
    assert "&lt;b&gt;no markup" in heads[0]
    assert page.count('class="simulated"') == 2 and "20000 ± 200 K" in page
    # Nothing is loaded from elsewhere.
    assert not re.search(r'(src|href)="(?!data:|#)', page)


def test_a_solution_of_another_teff_is_a_minimum_or_not_given(survey, labelled):
    models = Models()
    row = slamlib.label(survey["LRS"][0], progress=False)[0]
    fit = fit_of(row, survey["LRS"][0], models, second=True)
    assert (fit.other is None) == (fit.words == "")
    # Beside a wrong Teff the right one comes second.
    labelled["e_teff"][0] = np.nan
    labelled["teff"][0] = 1.6 * row["teff"] if row["teff"] < 30_000 else row["teff"] / 1.6
    fit = fit_of(labelled[0], survey["LRS"][0], models, second=True)
    found = float(re.search(r"teff (\d+)", fit.words)[1])
    assert found == pytest.approx(row["teff"], rel=0.05) and fit.other.shape == fit.model.shape


def test_what_cannot_be_shown_costs_a_line(labelled, here, tmp_path, capsys):
    assert main(["inspect", "labels.ecsv", "-n", "1"]) == 3
    said = capsys.readouterr().err
    assert said.startswith(f"slamlib: no file {labelled['file'][0]} beside the table; name its folder")
    assert "not drawn: no file" in (here / "labels.html").read_text()
    labelled["teff"] = np.nan
    labelled.write("labels.ecsv", overwrite=True)
    assert main(["inspect", "labels.ecsv"]) == 1
    assert "has no row with labels" in capsys.readouterr().err
    labelled["file", "teff"].write("other.ecsv")
    assert main(["inspect", "other.ecsv"]) == 1
    assert "no table of 'slamlib label'" in capsys.readouterr().err


def test_files_of_one_name_go_with_their_own_rows(survey, labelled, here, monkeypatch, capsys):
    drawn = []

    def picture(row, path, *_):
        drawn.append((row["obsid"], path.parent.name))
        return "", ""

    monkeypatch.setattr(inspect, "_picture", picture)
    for folder, path in zip("ABC", survey["LRS"][:2] + survey["LRS"][:1], strict=True):
        Path(folder).mkdir()
        shutil.copy(path, f"{folder}/x.fits.gz")
    a, b = labelled["obsid"][:2]
    for rows, folders, status, expected in (
        ([1, 0], "AB", 0, [(b, "B"), (a, "A")]),
        ([1], "AB", 0, [(b, "B")]),
        ([1, 0], "A", 3, [(a, "A")]),
        ([0, 1], "ABC", 3, [(b, "B")]),
    ):
        some = labelled[rows]
        some["file"] = "x.fits.gz"
        some.write("some.ecsv", overwrite=True)
        drawn.clear()
        assert main(["inspect", "-q", "some.ecsv", *folders]) == status
        assert drawn == expected
    assert capsys.readouterr().err.endswith("3 files are called x.fits.gz; name one folder\n")


def test_without_obsid_the_snr_tells_files_of_one_name_apart():
    known = {"A": {"obsid": 0, "snr": 50.0}, "B": {"obsid": 0, "snr": 60.0}, "damaged": {}}
    for found in "AB":
        assert inspect._file({"file": "x", **known[found]}, list(known), True, known.get) == found


def test_plots_of_many_stars_show_those_most_in_need_of_a_look(survey, labelled, tmp_path, monkeypatch):
    many = vstack([labelled] * 3, metadata_conflicts="silent")
    many["status"][[7, 11]] = "poor fit"
    monkeypatch.setattr(pages, "MOST", 4)
    shown = []
    monkeypatch.setattr(pages, "draw", lambda panel, row, fit: shown.append(row.index))
    assert pages.write_pages(many, survey["LRS"] * 3, Models(), tmp_path / "a.pdf", False) == 4
    assert shown == [7, 11, 0, 1]


def test_of_the_quick_surveys_wrong_labels_most_are_in_the_first_tenth(quick_run):
    from benchmarks.inspect import ranked

    wrong, warned = ranked(quick_run)
    tenth = -(-len(wrong) // 10)
    assert wrong[:tenth].sum() > 0.8 * min(wrong.sum(), tenth)
    # A row that the table says to use is wrong hardly ever.
    assert (wrong & ~warned).sum() < 0.02 * (~warned).sum()
