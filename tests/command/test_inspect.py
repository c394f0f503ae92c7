"""`slamlib inspect`: which stars need a look, and the page of them."""

import re

import numpy as np
import pytest
from astropy.table import vstack

import slamlib
from slamlib.cli import pages
from slamlib.cli.main import main
from slamlib.labelling.inspection import fit_of, need, outside, worst_first
from slamlib.labelling.models import Models


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
    assert page.count('class="simulated"') == 2
    assert "20000 ± 200 K" in page
    # Nothing is loaded from elsewhere.
    assert not re.search(r'(src|href)="(?!data:|#)', page)


def test_a_solution_of_another_teff_is_a_minimum_or_not_given(survey, labelled):
    models = Models()
    row = slamlib.label(survey["LRS"][0], progress=False)[0]
    fit = fit_of(row, survey["LRS"][0], models, second=True)
    assert (fit.other is None) == (fit.words == "")
    # Beside a wrong Teff the right one comes second.
    labelled["teff"][0] = 1.6 * row["teff"] if row["teff"] < 30_000 else row["teff"] / 1.6
    fit = fit_of(labelled[0], survey["LRS"][0], models, second=True)
    found = float(re.search(r"teff (\d+)", fit.words)[1])
    assert found == pytest.approx(row["teff"], rel=0.05)
    assert fit.other.shape == fit.model.shape


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


def test_plots_of_many_stars_show_those_most_in_need_of_a_look(survey, labelled, tmp_path, monkeypatch):
    many = vstack([labelled] * 3, metadata_conflicts="silent")
    many["status"][[7, 11]] = "poor fit"
    monkeypatch.setattr(pages, "MOST", 4)
    shown = []
    monkeypatch.setattr(pages, "draw", lambda panel, row, fit: shown.append(row.index))
    assert pages.write_pages(many, survey["LRS"] * 3, Models(), tmp_path / "a.pdf", False) == 4
    assert shown == [7, 11, 0, 1]


def test_of_the_quick_surveys_wrong_labels_most_are_in_the_first_tenth(quick_run):
    from benchmarks.inspect import first_tenth

    wrong, found, tenth, n = first_tenth(quick_run)
    assert tenth == -(-n // 10)
    # By chance it would be a tenth of them.
    assert found > 0.5 * min(wrong, tenth)
