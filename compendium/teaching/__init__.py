"""Lessons: what the teaching notebooks work with, and the checks of their exercises."""

from compendium.teaching.checks import check

__all__ = ["check"]
