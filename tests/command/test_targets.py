"""Where `slamlib label` writes: into a folder that is there, and over a file only after saying so."""

import pytest

import slamlib
from slamlib.cli.main import main
from slamlib.cli.pages import _windows
from slamlib.errors import InputError
from slamlib.instruments import LRS, MRS


@pytest.mark.parametrize(("option", "name"), [("-o", "labels.ecsv"), ("--plot", "fits.pdf")])
def test_a_missing_folder_is_an_error_with_its_name(option, name, mixed, here, tmp_path, no_work, capsys):
    target = tmp_path / "typo" / name
    assert main(["label", str(mixed[1]), option, str(target)]) == 2
    said = capsys.readouterr().err.strip()
    assert said == f"slamlib: no folder {target.parent} for {name}; make it, or name another"
    assert not target.parent.exists()


def test_it_says_what_it_overwrites(mixed, here, tmp_path, capsys):
    target = tmp_path / "labels.ecsv"
    for said in ("", f"slamlib: {target} is there and will be overwritten"):
        assert main(["label", str(mixed[1]), "-o", str(target)]) == 0
        assert [line for line in capsys.readouterr().err.splitlines() if "overwritten" in line] == [said][
            : bool(said)
        ]


def test_what_is_no_file_is_told_what_is_wanted():
    with pytest.raises(InputError, match="5 names no file; give a path, or a list of paths"):
        slamlib.label(5)


def test_a_long_arm_is_drawn_in_three_parts_and_two_arms_as_they_are():
    assert _windows(LRS)[0][0] == 3900
    assert _windows(LRS)[-1][1] == 7000
    assert len(_windows(LRS)) == 3
    assert _windows(MRS) == [(4950, 5350), (6300, 6800)]
