"""The numbers of README.md come from what a run made."""

import json
import re

import pytest
from compendia import ROOT

from compendium import numbers
from compendium.profiles import PAPER, QUICK
from slamlib.errors import FileError
from slamlib.io import read_ecsv

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


def test_what_the_paper_says_is_what_its_table_says():
    claims = read_ecsv(ROOT / "data/embedded/paper_claims.ecsv")
    stated = dict(zip(claims["key"], claims["value"], strict=True))
    for row in KEPT["numbers"]:
        assert row["paper"] == stated.get(f"sigma_{row['label']}_{row['instrument'].lower()}_snr100")


@pytest.mark.parametrize(
    "text", ["nothing", f"{numbers.END}\n{numbers.BEGIN}", f"{numbers.BEGIN}\n{numbers.BEGIN}\n{numbers.END}"]
)
def test_a_readme_without_its_marks_is_refused(text):
    with pytest.raises(FileError, match="must hold the line"):
        numbers.fill(text, "block")
