"""`slamlib label` at its edges: streams, survives what lies about, says what it writes, and where."""

import contextlib
import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

import slamlib
from slamlib.cli import output
from slamlib.cli.main import main
from slamlib.errors import InputError
from slamlib.io import read_ecsv
from slamlib.labelling import catalogue
from slamlib.labelling.cluster import run
from slamlib.labelling.cluster.parts import write_part
from slamlib.labelling.labeller import Labeller
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
def test_a_kept_part_that_is_damaged_or_edited_is_remade(spoil, survey, home, here, tmp_path, monkeypatch):
    own = shutil.copytree(home, tmp_path / "own", ignore=shutil.ignore_patterns("parts"))
    monkeypatch.setenv("SLAMLIB_HOME", str(own))
    expected = slamlib.label(survey["LRS"][:2], progress=False)
    (part,) = parts()
    text = part.read_text()
    teff = repr(float(expected["teff"][0]))
    assert teff in text
    content = {"empty": "", "cut": text[:-300], "no table": "<html>\n", "a line": "."}
    part.write_text(content.get(spoil, text.replace(teff, "12345.0")))
    again = slamlib.label(survey["LRS"][:2], progress=False)
    np.testing.assert_array_equal(again["teff"], expected["teff"])
    assert part.read_text() == text


def test_an_empty_folder_among_files_costs_a_row(survey, here, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    given = [survey["LRS"][0], tmp_path / "empty"]
    assert main(["label", "-q", *map(str, given), "-o", "labels.ecsv"]) == 3
    assert "empty, which is no file" in capsys.readouterr().err
    assert list(read_ecsv("labels.ecsv")["file"]) == [given[0].name, "empty"]


@pytest.mark.parametrize(
    ("more", "told"), [(["--plot", "fits.pdf"], "fits.pdf is not written ("), (["--samp"], "no hub")]
)
def test_pages_and_topcat_that_fail_do_not_hide_that_the_table_is(
    more, told, survey, here, capsys, monkeypatch
):
    Path("fits.pdf").mkdir()
    monkeypatch.setattr(output, "send", Mock(side_effect=InputError("no hub")))
    assert main(["label", str(survey["LRS"][0]), "-o", "labels.ecsv", *more]) == 3
    said = capsys.readouterr()
    assert told in said.err.splitlines()[-1] and "; labels.ecsv is" in said.err.splitlines()[-1]
    assert "1 spectra" in said.out
    assert len(read_ecsv("labels.ecsv")) == 1


def test_a_thousand_reasons_are_no_line_of_many_pages(here, capsys):
    assert main(["label", *(f"none-{i}.fits" for i in range(1000))]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert len(line) < 1000 and line.endswith("and 995 more")


def test_no_cell_of_a_csv_file_is_a_formula(survey, here, tmp_path):
    names = [f"{sign}1.fits" for sign in "=+-@"]
    for name in names:
        (tmp_path / name).write_bytes(survey["LRS"][0].read_bytes())
    assert main(["label", "-q", *(str(tmp_path / name) for name in names), "-o", "labels.csv"]) == 0
    rows = list(csv.DictReader(Path("labels.csv").read_text().splitlines()))
    assert [row["file"] for row in rows] == [f"'{name}" for name in names]
    assert output.read_table(Path("labels.csv"))["file"].tolist() == names
    assert all(float(row["rv"]) == float(rows[0]["rv"]) for row in rows)


@pytest.mark.parametrize("wait", [0.2, 0.5, 3.0])
def test_interrupted_processes_end_in_one_line(wait):
    """Ctrl-C reaches every process of a terminal, those too that are being started."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED], **pipes, start_new_session=True)
    assert process.stdout.readline() == "ready\n"
    time.sleep(wait)
    while process.poll() is None:  # again, if it came in the instant of the start
        os.killpg(process.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
    _, err = process.communicate()
    assert process.returncode == 130 and len(err.splitlines()) == 1
    assert "interrupted" in err


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
        told = [line for line in capsys.readouterr().err.splitlines() if "overwritten" in line]
        assert told == ([said] if said else [])


def test_what_is_no_file_is_told_what_is_wanted():
    with pytest.raises(InputError, match="5 names no file; give a path, or a list of paths"):
        slamlib.label(5)


def test_what_a_cluster_made_is_of_one_call_alone_and_a_folder_is_its_files(survey, here, monkeypatch):
    outputs, given = [], []

    def note(paths, labellers, output, *_, **__):
        outputs.append(Path(output))
        given.append([Path(path) for path in paths])
        read = {name: Labeller.read(path) for name, path in labellers.items()}
        write_part(catalogue.label_part(given[-1], read), output)
        return run.Report(output)

    monkeypatch.setattr(run, "label_cluster", note)
    files = survey["LRS"][:2]
    for _ in range(2):
        assert main(["label", "-q", "--cluster", "local", *map(str, files)]) == 0
    assert outputs[0] != outputs[1] and not any(output.exists() for output in outputs)
    night = here / "night"
    night.mkdir()
    copies = [Path(shutil.copy(path, night)) for path in files]
    assert main(["cluster", "-q", str(night), "-o", "c.parquet"]) == 0
    assert given[-1] == sorted(copies)
