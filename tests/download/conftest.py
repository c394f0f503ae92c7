"""A server on this machine and a folder to download to."""

import pytest
import serving
from downloading import CONTENT


@pytest.fixture
def server(tmp_path):
    with serving.serving(tmp_path / "server") as running:
        for name, content in CONTENT.items():
            running.put(f"data/{name}", content)
        yield running


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "here"
