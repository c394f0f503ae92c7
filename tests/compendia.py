"""Where things are, what a command said, and what a machine lacks."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EMBEDDED = ROOT / "data" / "embedded"
SAMPLES = ROOT.parent / "shared" / "samples"


def lines(text):
    return text.rstrip("\n").split("\n")


def absent(what):
    """A reason not to test: fatal in CI, where all of it must be there."""
    pytest.fail(what) if os.environ.get("CI", "").lower() == "true" else pytest.skip(what)
