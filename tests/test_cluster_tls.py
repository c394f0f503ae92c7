"""The cluster of this machine lets only its own client in, and survives a start that fails."""

import os
import subprocess
import sys
from contextlib import closing
from http.client import HTTPConnection, HTTPException

import psutil
import pytest
from distributed import LocalCluster

from slamlib.errors import FileError
from slamlib.labelling.cluster import run as running
from slamlib.labelling.cluster.run import connected, local_cluster

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
