"""`slamlib label` at its edges: streams, survives what lies about, and says what it did."""

import contextlib
import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import slamlib
from slamlib.cli.main import main
from slamlib.io import read_ecsv
from slamlib.labelling import catalogue
from slamlib.labelling.models import Models
from slamlib.spectra import prepare

INTERRUPTED = """
import sys, time
from joblib import delayed
from slamlib.cli import main
from slamlib.threads import in_processes

def run(options, tell):
    print("ready", flush=True)
    while True:
        list(in_processes(2, (delayed(time.sleep)(1) for _ in range(2))))

main.label.run = run
sys.exit(main.main(["label", "x.fits"]))
"""


def parts():
    return sorted(Models().parts.glob("*.ecsv"))


def test_each_file_is_read_once_and_labels_are_kept_before_the_next_part_is_read(survey, here, monkeypatch):
    monkeypatch.setattr(catalogue, "PART", 2)
    for part in parts():
        part.unlink()
    original, read = prepare.recognise, []

    def noted(path, hints):
        read.append((path, len(parts())))
        return original(path, hints)

    monkeypatch.setattr(prepare, "recognise", noted)
    slamlib.label(survey["LRS"], progress=False)
    assert [path for path, _ in read] == survey["LRS"]
    assert [kept for _, kept in read] == [0, 0, 1, 1, 2]


@pytest.mark.parametrize("spoil", ["empty", "cut", "no table", "an edited label", "a line"])
def test_a_kept_part_that_is_damaged_or_edited_is_made_again(
    spoil, survey, home, here, tmp_path, monkeypatch
):
    monkeypatch.setenv(
        "SLAMLIB_HOME", str(shutil.copytree(home, tmp_path / "own", ignore=shutil.ignore_patterns("parts")))
    )
    expected = slamlib.label(survey["LRS"][:2], progress=False)
    (part,) = parts()
    text = part.read_text()
    teff = repr(float(expected["teff"][0]))
    assert teff in text
    content = {
        "empty": "",
        "cut": text[:-300],
        "no table": "<html>\n",
        "an edited label": text.replace(teff, "12345.0"),
        "a line": ".",
    }
    part.write_text(content[spoil])
    again = slamlib.label(survey["LRS"][:2], progress=False)
    np.testing.assert_array_equal(again["teff"], expected["teff"])
    assert part.read_text() == text


def test_an_empty_folder_among_files_costs_a_row(survey, here, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    given = [survey["LRS"][0], tmp_path / "empty"]
    assert main(["label", "-q", *map(str, given), "-o", "labels.ecsv"]) == 3
    assert "empty, which is no file" in capsys.readouterr().err
    assert list(read_ecsv("labels.ecsv")["file"]) == [given[0].name, "empty"]


def test_pages_that_cannot_be_written_do_not_hide_that_the_table_is(survey, here, capsys):
    Path("fits.pdf").mkdir()
    given = ["label", str(survey["LRS"][0]), "-o", "labels.ecsv", "--plot", "fits.pdf"]
    assert main(given) == 3
    said = capsys.readouterr()
    assert said.err.splitlines()[-1].startswith("slamlib: fits.pdf is not written (")
    assert said.err.splitlines()[-1].endswith("; labels.ecsv is")
    assert "1 spectra" in said.out
    assert len(read_ecsv("labels.ecsv")) == 1


def test_a_thousand_reasons_are_no_line_of_many_pages(here, capsys):
    assert main(["label", *(f"none-{i}.fits" for i in range(1000))]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert len(line) < 1000
    assert line.endswith("and 995 more")


def test_no_cell_of_a_csv_file_is_a_formula(survey, here, tmp_path):
    names = [f"{sign}1.fits" for sign in "=+-@"]
    for name in names:
        (tmp_path / name).write_bytes(survey["LRS"][0].read_bytes())
    assert main(["label", "-q", *(str(tmp_path / name) for name in names), "-o", "labels.csv"]) == 0
    rows = list(csv.DictReader(Path("labels.csv").read_text().splitlines()))
    assert [row["file"] for row in rows] == [f"'{name}" for name in names]
    assert all(float(row["rv"]) == float(rows[0]["rv"]) for row in rows)


@pytest.mark.parametrize("wait", [0.2, 0.5, 3.0])
def test_interrupted_processes_end_in_one_line(wait):
    """Ctrl-C reaches every process of a terminal, those too that are being started."""
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout.readline() == "ready\n"
    time.sleep(wait)
    while process.poll() is None:  # again, if it came in the instant of the start
        os.killpg(process.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
    _, err = process.communicate()
    assert process.returncode == 130
    assert len(err.splitlines()) == 1
    assert "interrupted" in err
