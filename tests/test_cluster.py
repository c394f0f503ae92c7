"""A cluster labels as one process does: nothing lost or doubled, whatever dies; only its client is let in."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import closing
from http.client import HTTPConnection, HTTPException

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest
from distributed import LocalCluster

from slamlib.cli.cluster import FileList
from slamlib.cli.main import main as command
from slamlib.errors import FileError, InputError
from slamlib.labelling import catalogue
from slamlib.labelling.catalogue import label_survey
from slamlib.labelling.cluster import run as running
from slamlib.labelling.cluster.merge import merge, read_catalogue
from slamlib.labelling.cluster.parts import Recipe, load, work
from slamlib.labelling.cluster.run import connected, label_cluster, local_cluster

N_STARS, PART = 40, 10


@pytest.fixture(scope="module")
def survey(lrs_survey, tmp_path_factory):
    """Paths of simulated spectra, a broken file among them."""
    paths = list(lrs_survey[1])
    broken = tmp_path_factory.mktemp("broken") / paths[25].name
    broken.write_bytes(paths[25].read_bytes()[:3000])
    return [*paths[:25], broken, *paths[26:]]


@pytest.fixture(scope="module")
def labellers(krr_slam, labeller, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "krr_LRS.npz"
    labeller(krr_slam).save(path)
    return {"krr": path}


@pytest.fixture(scope="module")
def label(survey, labellers):
    """Give `label_cluster` with everything but the output filled in."""
    with local_cluster(2) as cluster:
        given = {"part": PART, "progress": False, "address": cluster}
        yield lambda output, paths=survey, **options: label_cluster(
            paths, labellers, output, **given | options
        )


@pytest.fixture(scope="module")
def finished(label, survey, tmp_path_factory):
    """A run during which a worker was killed, and the parts that were made: (report, list of str)."""
    output = tmp_path_factory.mktemp("finished") / "catalogue.parquet"

    third = str(survey[2 * PART])

    # Local, so that it travels to the workers as it is.
    def deadly(recipe, digest, paths, folder):
        if paths[0] == third and not (output.parent / "died").exists():
            (output.parent / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        done = work(recipe, digest, paths, folder)
        if done.computed:
            with (output.parent / "made.txt").open("a") as made:
                made.write(f"{paths[0]}\n")
        return done

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "work", deadly)
        report = label(output)
    assert (output.parent / "died").exists()
    return report, (output.parent / "made.txt").read_text().split()


def dates(report):
    """Name and date of every part of a run."""
    folder = report.output.with_suffix(".parts")
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


@pytest.fixture
def copied(finished, tmp_path):
    """A copy of the finished run, to be spoilt: output and parts in order."""
    folder = tmp_path / "catalogue.parts"
    shutil.copytree(finished[0].output.with_suffix(".parts"), folder)
    return tmp_path / "catalogue.parquet", sorted(folder.iterdir())


def test_labels_are_those_of_one_process(finished, survey, labellers, tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "PART", PART)
    serial = label_survey(survey, labellers, tmp_path, progress=False)
    ours = read_catalogue(finished[0].output)
    assert ours.colnames == serial.colnames
    for name in serial.colnames:
        if serial[name].dtype.kind == "f":
            np.testing.assert_allclose(ours[name], serial[name], rtol=1e-12, atol=0)
        else:
            np.testing.assert_array_equal(ours[name], serial[name])
        assert (ours[name].unit, ours[name].description) == (serial[name].unit, serial[name].description)


def test_nothing_is_lost_and_nothing_doubled(finished, survey):
    report, made = finished
    assert report.rows == N_STARS
    assert list(read_catalogue(report.output)["file"]) == [path.name for path in survey]
    assert len(dates(report)) == N_STARS // PART
    assert sorted(made) == sorted(str(path) for path in survey[::PART])


def test_a_second_run_computes_nothing(finished, label):
    report, _ = finished
    before, content = dates(report), report.output.read_bytes()
    again = label(report.output)
    assert again.computed == 0 and dates(again) == before
    assert again.output.read_bytes() == content


def test_damaged_parts_are_made_again_and_only_they(finished, copied, label):
    output, parts = copied
    parts[0].write_bytes(parts[0].read_bytes()[:-100])
    flipped = bytearray(parts[1].read_bytes())
    group = pq.read_metadata(parts[1]).row_group(0)
    teff = next(c for c in map(group.column, range(group.num_columns)) if c.path_in_schema == "teff")
    # The last byte of its data, which pages end with.
    flipped[(teff.dictionary_page_offset or teff.data_page_offset) + teff.total_compressed_size - 1] ^= 1
    parts[1].write_bytes(flipped)
    parts[2].unlink()
    assert label(output).computed == 3
    assert output.read_bytes() == finished[0].output.read_bytes()


def test_workers_of_other_code_or_models_are_refused(labellers):
    recipe = Recipe.of(labellers, rv={900000001: 12.5})
    assert list(load(recipe, recipe.digest())) == ["krr"]
    with pytest.raises(InputError, match="another slamlib"):
        load(recipe, "of the client")


def test_a_missing_part_spoils_no_catalogue(copied):
    output, parts = copied
    output.write_text("the former one")
    parts[-1].unlink()
    with pytest.raises(FileError, match=parts[-1].name):
        merge(parts, output)
    assert output.read_text() == "the former one"


def test_a_part_that_fails_is_named_and_the_others_are_kept(label, survey, tmp_path, monkeypatch):
    first = str(survey[PART])

    def failing(recipe, digest, paths, folder):
        if paths[0] == first:
            raise MemoryError("too large")
        return work(recipe, digest, paths, folder)

    monkeypatch.setattr(running, "work", failing)
    with pytest.raises(FileError, match=f"1 parts failed, one of them from {first} on.*too large"):
        label(tmp_path / "catalogue.parquet", survey[: 3 * PART])
    assert len(list((tmp_path / "catalogue.parts").iterdir())) == 2
    assert not (tmp_path / "catalogue.parquet").exists()


def test_an_address_where_nobody_answers_is_one_clear_error(monkeypatch, label, tmp_path):
    monkeypatch.setattr(running, "_ANSWER", 0.5)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        closed = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        for address in (closed, "nowhere", "http://127.0.0.1:80"):
            with pytest.raises(FileError, match=f"no Dask scheduler answers at {address}"):
                label(tmp_path / "catalogue.parquet", address=address)
        # Somebody else's port, who lets us in and says nothing.
        taken.listen()
        with pytest.raises(FileError, match="says nothing"):
            label(tmp_path / "catalogue.parquet", address=closed)


def test_the_command_labels_a_list(survey, labellers, tmp_path, monkeypatch, capsys):
    (tmp_path / "list.txt").write_text("\n".join(str(path) for path in survey[:3]) + "\n\n")
    assert len(FileList(tmp_path / "list.txt")) == 3
    seen = {}

    def note(paths, *_, **__):
        seen["paths"] = list(paths)
        return running.Report(tmp_path / "c.parquet", 3)

    monkeypatch.setattr(running, "label_cluster", note)
    given = ["cluster", "--list", str(tmp_path / "list.txt"), "-o", "c.parquet"]
    assert command([*given, "--models", str(labellers["krr"].parent)]) == 0
    assert seen["paths"] == [str(path) for path in survey[:3]]
    assert "3 spectra" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name either some files or a --list"),
        (["--list", "/nowhere"], "cannot read the list /nowhere"),
        (["a.fits", "--models", "/nowhere"], "no folder /nowhere of models"),
    ],
)
def test_a_mistake_is_one_line(arguments, words, capsys):
    assert command(["cluster", "-o", "catalogue.parquet", *arguments]) == 1
    told = capsys.readouterr().err
    assert words in told
    assert told.count("\n") == 1


def test_without_dask_the_command_says_how_to_install_it(monkeypatch, capsys):
    for name in ("distributed", "pyarrow"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, name, None)
            patch.delitem(sys.modules, "slamlib.labelling.cluster.run")
            assert command(["cluster", "a.fits", "-o", "c.parquet"]) == 1
        assert "pip install 'slamlib[cluster]'" in capsys.readouterr().err


STRANGER = """
import asyncio, sys
from distributed import Security
from distributed.core import connect

async def knock(address, **more):
    comm = await connect(address, timeout=3, **more)
    await comm.write({"op": "identity", "reply": True})
    print("let in:", await asyncio.wait_for(comm.read(), 3))

address = sys.argv[1].partition("://")[2]
for scheme, security in (("tcp", Security()), ("tls", Security.temporary())):
    try:
        asyncio.run(knock(f"{scheme}://{address}", **security.get_connection_args("client")))
    except Exception as error:
        print("kept out:", type(error).__name__)
"""


def asked_for_logs(port):
    """Status of an answer in plain HTTP; 0 if there is none."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        try:
            connection.request("GET", "/info/main/workers.html")
            return connection.getresponse().status
        except (OSError, HTTPException):
            return 0


def test_only_its_own_client_talks_to_a_local_cluster():
    with local_cluster(1) as cluster, connected(cluster) as client:
        assert cluster.scheduler_address.startswith("tls://127.0.0.1:")
        assert client.submit(abs, -1).result() == 1
        command = [sys.executable, "-c", STRANGER, cluster.scheduler_address]
        said = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout.splitlines()
        own = psutil.Process(os.getpid())
        links = [link for p in (own, *own.children(recursive=True)) for link in p.net_connections("inet")]
        heard = {link.laddr for link in links if link.status == psutil.CONN_LISTEN}
        assert {ip for ip, _ in heard} == {"127.0.0.1"}
        assert {asked_for_logs(port) for _, port in heard} <= {0, 404}
    assert [line.split(":")[0] for line in said] == ["kept out", "kept out"]


def failing_starts(monkeypatch, number):
    started = []

    def start(**options):
        started.append(options)
        if len(started) <= number:
            raise RuntimeError("Stream is closed")
        return LocalCluster(**options)

    monkeypatch.setattr(running, "LocalCluster", start)
    return started


def test_a_start_that_fails_is_tried_again(monkeypatch):
    started = failing_starts(monkeypatch, 1)
    with connected(None, 1) as client:
        assert client.submit(abs, -2).result() == 2
    assert len(started) == 2


def test_a_start_that_fails_always_is_one_clear_error(monkeypatch):
    started = failing_starts(monkeypatch, 99)
    told = r"no cluster can be started on this machine \(Stream is closed"
    with pytest.raises(FileError, match=told), connected():
        pass
    assert len(started) == 3
