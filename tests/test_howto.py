"""The how-to pages are right: what they tell the reader to type gives what they say."""

import contextlib
import doctest

import pytest
from compendia import ROOT


@pytest.mark.parametrize("page", ["howto_grid", "howto_instrument", "howto_new_label"])
def test_the_code_of_a_page_does_what_the_page_says(page, tmp_path):
    (tmp_path / "data").symlink_to(ROOT / "data")
    (tmp_path / "build").mkdir()
    path = str(ROOT / "docs" / f"{page}.md")
    with contextlib.chdir(tmp_path):
        failed, tried = doctest.testfile(path, module_relative=False, encoding="utf-8")
    assert tried
    assert failed == 0
