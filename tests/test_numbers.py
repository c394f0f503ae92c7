"""The numbers of README.md come from what a run made."""

import contextlib
import json
import re
from pathlib import Path

import pytest

from compendium import numbers
from compendium.profiles import PAPER, QUICK
from compendium.run import Run
from slamlib.errors import FileError
from slamlib.io import read_ecsv

ROOT = Path(__file__).parents[1]
KEPT = json.loads((ROOT / "docs/numbers.json").read_text(encoding="utf-8"))
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_shows_the_numbers_that_were_collected():
    """If this fails, `make numbers` (with the PROFILE of docs/numbers.json) mends it."""
    assert numbers.fill(README, numbers.render(KEPT)) == README


def test_sizes_and_times_in_the_text_are_those_of_the_profiles():
    """Only where the README states them."""
    stars = tuple(f"{PAPER.n_stars[name]:,}" for name in ("LRS", "MRS"))
    assert set(re.findall(r"([\d,]+) LRS and ([\d,]+) MRS stars", README)) <= {stars}
    assert set(re.findall(r"make quick +# .*?(about \d+ minutes)", README)) <= {QUICK.takes}


def test_a_number_typed_by_hand_would_be_noticed():
    typed = README.replace(
        numbers.render(KEPT).splitlines()[-1], "| MRS v sin i [km/s] | 1 | 0.1 | 0.1 | 0.1 |"
    )
    assert typed != README
    assert numbers.fill(typed, numbers.render(KEPT)) != typed


def test_the_time_is_told_only_if_it_was_recorded():
    machine = {"cores_used": 2, "processor": "a processor"}
    minutes = {"00_a": 0.1, "01_b": 3.0, "02_c": 9.4, "03_d": 1.0, "04_e": 2.0}
    took = {"minutes": minutes, "slamlib": "0.1.0", "machine": machine}
    told = "5 notebooks of slamlib 0.1.0 took 16 minutes on 2 x a processor; the longest of them: "
    told += "02_c 9.4, 01_b 3.0, 04_e 2.0, 03_d 1.0 minutes.\n"
    assert numbers.render(KEPT | {"took": took}).startswith(told)
    assert "minutes" not in numbers.render(KEPT | {"took": None})


def test_the_reason_for_the_error_of_teff_is_told_by_its_numbers():
    of = {"bound": 326.0, "floor": 808.0, "cool": 478.0, "hot": 0.6, "hot_stars": 0.13}
    told = numbers.render(KEPT | {"forensics": {"LRS": of, "MRS": of}}).splitlines()[-1]
    for part in (
        "327 K",
        "bound of these models, which no unbiased method beats, is 326 K",
        "60%",
        "13%",
        "478 K",
    ):
        assert part in told
    assert "Why" not in numbers.render(KEPT | {"forensics": None})


def test_the_first_page_of_the_site_tells_the_times_of_the_readme():
    page = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    times = r"make (quick|test) +#.*?(about \d+ minutes)"
    assert sorted(re.findall(times, page)) == sorted(re.findall(times, README)) != []


def test_what_the_paper_says_is_what_its_table_says():
    claims = read_ecsv(ROOT / "data/embedded/paper_claims.ecsv")
    stated = dict(zip(claims["key"], claims["value"], strict=True))
    for row in KEPT["numbers"]:
        assert row["paper"] == stated.get(f"sigma_{row['label']}_{row['instrument'].lower()}_snr100")


def test_the_numbers_are_those_of_the_run_they_name():
    """Another machine may differ in the last digits; another code would differ in more."""
    with contextlib.chdir(ROOT):
        run = Run(*(KEPT["run"][name] for name in ("profile", "source", "grid", "seed")))
        try:
            now = numbers.collect(run)
        except FileError as error:
            pytest.skip(f"nothing to compare with: {error}")
    for kept, made in zip(KEPT["numbers"], now["numbers"], strict=True):
        assert {key: kept[key] for key in ("svr", "krr", "star")} == pytest.approx(
            {key: made[key] for key in ("svr", "krr", "star")}, rel=0.1
        )


@pytest.mark.parametrize(
    "text", ["nothing", f"{numbers.END}\n{numbers.BEGIN}", f"{numbers.BEGIN}\n{numbers.BEGIN}\n{numbers.END}"]
)
def test_a_readme_without_its_marks_is_refused(text):
    with pytest.raises(FileError, match="must hold the line"):
        numbers.fill(text, "block")


def test_an_unfinished_run_gives_no_numbers(tmp_path, monkeypatch, capsys):
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path)
    assert numbers.main(["--profile", "quick"]) == 1
    assert "cv.ecsv; run the notebook that makes it first" in capsys.readouterr().err
