"""Compendia in miniature, and what a command said."""

from pathlib import Path

ROOT = Path(__file__).parents[1]


def lines(text):
    return text.rstrip("\n").split("\n")
