"""The teaching notebooks: solved, they run to their end; their checks refuse what is wrong."""

import ast
import re
from importlib import import_module
from pathlib import Path

import matplotlib
import nbformat
import numpy as np
import pytest
from matplotlib import pyplot as plt

from compendium.teaching import notebooks, t3, t4, t5
from compendium.teaching.checks import LESSONS, STRICT_VARIABLE, NotYetError, check, exercises, judge
from compendium.teaching.t2 import EPSILON, machine, pixel
from slamlib.errors import FileError, InputError
from slamlib.regression.kernel import rbf

BY_LESSON = pytest.mark.parametrize("lesson", LESSONS)
EXERCISES = [name for lesson in LESSONS for name in exercises(lesson)]


def source(lesson):
    return nbformat.read(notebooks.path_of(lesson), as_version=4)


@BY_LESSON
def test_each_opens_with_its_goals_and_the_time_it_takes(lesson):
    opening = source(lesson).cells[0].source
    assert opening.startswith(f"# {lesson}. ")
    fields = ("**Makes** ", "**You learn** ", "**You need** ", "**Takes** one class hour")
    assert all(field in opening for field in (*fields, "The computer needs about"))
    goals = opening.split("After this hour you can")[1].split("\n\n")[1]
    assert len(re.findall(r"^- ", goals, re.MULTILINE)) >= 3


@BY_LESSON
def test_each_exercise_has_three_dots_a_check_and_a_solution(lesson):
    cells = source(lesson).cells
    tagged = {name: i for i, cell in enumerate(cells) if (name := notebooks.exercise_of(cell))}
    assert list(tagged) == exercises(lesson) and len(tagged) >= 4
    for name, i in tagged.items():
        assert "..." in cells[i].source
        heading = f"## Exercise {name}: "
        assert any(cells[i - k].source.startswith(heading) for k in (1, 2))
        assert re.fullmatch(rf'check\("{name}", \w+\)', cells[i + 1].source)
    solutions = notebooks.read_solutions(notebooks.folder() / "solutions" / f"{lesson}.py")
    assert list(solutions) == list(tagged)
    assert not [name for name, code in solutions.items() if "..." in code]


@BY_LESSON
def test_an_exercise_left_open_stops_nothing_later(lesson):
    """What an exercise assigns is read by its own check alone."""
    cells = [cell for cell in source(lesson).cells if cell.cell_type == "code"]
    for i, cell in enumerate(cells):
        if notebooks.exercise_of(cell):
            answer = re.search(r", (\w+)\)", cells[i + 1].source).group(1)
            others = [cell.source for cell in cells[:i] + cells[i + 2 :]]
            used = {n.id for text in others for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Name)}
            assert answer not in used


@BY_LESSON
def test_each_picture_is_described_in_words(lesson):
    cells = source(lesson).cells
    shown = [i for i, cell in enumerate(cells) if "plt.show()" in cell.source]
    assert len(shown) >= 3
    for i in shown:
        assert "figure(" in cells[i].source  # which says that the stars are simulated
        words = cells[i].metadata["mystnb"]["image"]["alt"]
        assert len(words) > 60
        assert cells[i + 1].source == f"*Picture: {words}*"


def test_solved_it_runs_in_a_kernel_with_every_check_strict():
    notebook = notebooks.solved("T1")
    notebooks.run(notebook)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    text = "".join(output.text for output in outputs if output.output_type == "stream")
    assert re.findall(r"^(\S+) right: ", text, re.MULTILINE) == exercises("T1")
    assert "Warning" not in text


@pytest.mark.parametrize("lesson", list(LESSONS)[1:])
def test_solved_every_cell_runs_and_every_check_is_content(lesson, monkeypatch, capsys):
    """In this process, which keeps what lessons share."""
    monkeypatch.setenv(STRICT_VARIABLE, "1")
    monkeypatch.chdir(notebooks.folder())
    monkeypatch.setattr(plt, "show", lambda: plt.close("all"))
    names = {}
    with matplotlib.rc_context():
        for cell in notebooks.solved(lesson).cells:
            if cell.cell_type == "code":
                exec(cell.source, names)
    assert re.findall(r"^(\S+) right: ", capsys.readouterr().out, re.MULTILINE) == exercises(lesson)


@pytest.mark.parametrize("name", EXERCISES)
@pytest.mark.parametrize("answer", [..., lambda *_: ..., "many", np.nan], ids=["dots", "call", "text", "nan"])
def test_what_is_not_an_answer_is_not_yet_right(name, answer):
    with pytest.raises(NotYetError, match=rf"^{name} not yet: "):
        check(name, answer, strict=True)


def kernel():
    return rbf(pixel()[0][:, None], pixel()[0][:, None], 1.0)


def residual():
    x, y, *_ = pixel()
    return y - machine().predict(x[:, None])


# A usual mistake of each exercise, as a student makes it.
WRONG = [
    ("T1.1", lambda w, f: np.sum((f - 1) * np.gradient(w)), "sign"),
    ("T1.1", lambda w, f: f.missing, "AttributeError"),
    ("T1.2", 4.2, "too large"),
    ("T1.3", 20.0, "thousands"),
    ("T1.4", 38.3, "thousands"),
    ("T1.5", lambda s, w: 299_792.458 * s / w / 2, "halve"),
    ("T1.6", 10**-0.5, "saturated"),
    ("T2.1", lambda a, b, g: np.exp(g * (a[:, None] - b) ** 2), "minus"),
    ("T2.1", lambda a, b, g: np.exp(-g * (a - b) ** 2), "ValueError"),
    ("T2.2", lambda r, e: r**2, "least squares"),
    ("T2.3", lambda: np.abs(residual()) < EPSILON - 1e-4, "inside the tube"),
    ("T2.4", (0.1, 100.0), "worst"),
    ("T2.5", lambda: kernel() @ pixel()[1], "solve"),
    ("T2.6", 400, "needs fewer"),
    ("T3.1", lambda snr, n: 1 / snr / n, "square root of n"),
    ("T3.2", lambda: np.sum(t3.SNR * t3.slopes()[0] ** 2) ** -0.5, "sigma squared"),
    ("T3.3", lambda: np.diag(t3.slopes() * t3.ivar() @ t3.slopes().T) ** -0.5, "invert the whole"),
    ("T3.4", lambda: t3.near_balmer().mean(), "share of the pixels"),
    ("T3.5", lambda: t3.bound()[0] / t3.WANTED, "square root of the time"),
    ("T4.1", lambda f, i, m: np.sum((f - m) ** 2), "weigh each"),
    ("T4.2", 1.0, "39%"),
    ("T4.3", lambda: np.exp(np.diff(t4.solutions()[0])[0] / 2), "upside down"),
    ("T4.4", lambda old, new: min(1, np.exp(old - new)), "new minus old"),
    ("T4.5", lambda: np.cov(t4.chain()[:, :2].T)[0, 1], "covariance"),
    ("T4.6", lambda: t4.SNR * t4.DECISIVE / np.diff(t4.solutions(None)[0])[0], "square of SNR"),
    ("T5.1", lambda: -np.median(t5.errors_of("spline")[0][:, 1]), "negative"),
    ("T5.2", lambda found, true, error: (true - found) / error, "other way round"),
    ("T5.3", 0.683, "should be"),
    ("T5.4", 1.0, "too small"),
    ("T5.5", [1, 3, 5], "the others"),
    ("T5.6", lambda: np.mean(np.abs(np.divide(*t5.deeper_helium(0.15)[:2])[:, 1]) >= 1), "outside"),
    ("T5.5", [0, 4], "look at chi2"),
    ("T5.5", [2], "look at flag"),
    ("T5.5", [1, 3, 5, 9], "0 to 5"),
]


@pytest.mark.parametrize(("name", "answer", "hint"), WRONG)
def test_a_wrong_answer_is_refused_with_a_hint(name, answer, hint):
    if callable(answer) and answer.__code__.co_argcount == 0:
        answer = answer()
    with pytest.raises(NotYetError, match=hint):
        check(name, answer, strict=True)


@pytest.mark.parametrize("name", [name for name in EXERCISES if name != "T5.5"])
def test_each_usual_mistake_is_told_apart_from_the_truth_and_from_the_others(name, monkeypatch):
    assert name in {known for known, *_ in WRONG}
    lesson, asked = import_module(f"compendium.teaching.{name[:2].lower()}"), []
    monkeypatch.setattr(lesson, "call", lambda function, *arguments: None)
    monkeypatch.setattr(lesson, "judge", lambda answer, *rest, **options: asked.append((rest, options)))
    check(name, None, strict=True)
    hints, told = {why for (_, usual), _ in asked for _, why in usual}, set()
    for (truth, usual), options in asked:
        judge(truth, truth, usual, **options)
        for wrong, why in usual:
            # Some mistakes do no harm to some of the inputs.
            if not np.allclose(wrong, truth, atol=1e-9):
                with pytest.raises(NotYetError, match=re.escape(why)):
                    judge(wrong, truth, usual, **options)
                told.add(why)
    assert told == hints


def test_in_class_a_wrong_answer_prints_its_hint_and_goes_on(monkeypatch, capsys):
    monkeypatch.delenv(STRICT_VARIABLE, raising=False)
    for answer in (20.0, ...):
        check("T1.3", answer)
    check("T1.1", lambda wave, flux: ...)
    assert capsys.readouterr().out == (
        "T1.3 not yet: in K please, not in thousands of K\n"
        "T1.3 not yet: not filled in; replace the three dots by your answer\n"
        "T1.1 not yet: not filled in; your function returns nothing yet\n"
    )


def test_unknown_exercises_and_lessons_are_named():
    with pytest.raises(InputError, match=r"no exercise 'T1\.99'; there are T1\.1"):
        check("T1.99", 1)
    with pytest.raises(InputError, match="no lesson 'X1'"):
        check("X1.1", 1)


def test_solutions_and_exercises_must_match():
    with pytest.raises(InputError, match=r"T1\.2"):
        notebooks.fill(source("T1"), {"T1.1": "pass"})
    with pytest.raises(FileError, match="left out of this copy"):
        notebooks.read_solutions(Path("nowhere/T1.py"))
