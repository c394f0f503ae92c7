"""Compendia in miniature, and what a command said."""

from pathlib import Path

ROOT = Path(__file__).parents[1]


def compendium_in(folder):
    """An empty compendium with the embedded data."""
    (folder / "notebooks").mkdir(parents=True)
    (folder / "pyproject.toml").touch()
    (folder / "data").mkdir()
    (folder / "data/embedded").symlink_to(ROOT / "data/embedded")
    return folder


def lines(text):
    return text.rstrip("\n").split("\n")
