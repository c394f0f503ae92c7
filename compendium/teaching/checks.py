"""Exercises that a notebook checks itself: a judge for each knows the answer and the usual mistakes.

In class a wrong answer prints a hint and the notebook goes on; with ``SLAMLIB_TEACH_STRICT=1`` it raises.
"""

import os
from importlib import import_module

import numpy as np

from slamlib.errors import InputError, SlamlibError

LESSONS = ("T1", "T2", "T3", "T4", "T5")
STRICT_VARIABLE = "SLAMLIB_TEACH_STRICT"
# How near a wrong answer must be to a usual one to be taken for it.
_SIMILAR = 0.03
_JUDGES = {}


class NotYetError(SlamlibError):
    """An answer that is missing or wrong; the message is the hint."""


def exercise(name):
    """Register a judge: ``judge(answer)`` returns what there is to add, or raises NotYetError."""

    def register(judge):
        _JUDGES[name] = judge
        return judge

    return register


def exercises(lesson):
    """Names of the exercises of a lesson such as "T1", in order."""
    if lesson not in LESSONS:
        raise InputError(f"no lesson {lesson!r}; there are {', '.join(LESSONS)}")
    import_module(f"compendium.teaching.{lesson.lower()}")
    return [name for name in _JUDGES if name.split(".")[0] == lesson]


def check(name, answer, strict=None):
    """Judge the answer to an exercise and print the verdict.

    Parameters
    ----------
    name : str
        Such as "T1.2"; InputError if there is no such exercise.
    answer : object
        Number, array or function, as the exercise asks; ``...`` is an exercise not filled in.
    strict : bool, optional
        Raise NotYetError if the answer is not right; by default only if SLAMLIB_TEACH_STRICT is 1.
    """
    known = exercises(name.split(".")[0])
    if name not in known:
        raise InputError(f"no exercise {name!r}; there are {', '.join(known)}")
    strict = os.environ.get(STRICT_VARIABLE) == "1" if strict is None else strict
    try:
        require(answer is not ..., "not filled in; replace the three dots by your answer")
        print(f"{name} right: {_JUDGES[name](answer)}")
    except NotYetError as hint:
        if strict:
            raise NotYetError(f"{name} not yet: {hint}") from None
        print(f"{name} not yet: {hint}")


def require(condition, hint):
    """Raise NotYetError with the hint unless the condition holds."""
    if not condition:
        raise NotYetError(hint)


def call(function, *arguments):
    """Return what a student's function returns; whatever stops it becomes a hint."""
    require(callable(function), "a function is asked for; keep the line that begins with def")
    try:
        result = function(*arguments)
    except Exception as error:  # a student's code can raise anything
        raise NotYetError(f"your function stopped with {type(error).__name__}: {error}") from None
    require(result is not ... and result is not None, "not filled in; your function returns nothing yet")
    return result


def judge(answer, truth, usual=(), rtol=0.02, atol=0.0, hint="compare with the text above"):
    """Require a number or an array equal to the truth, and explain the usual wrong ones.

    An array of one number is a number. `usual` are pairs of wrong answers and what to say to each; `hint` is
    for all others. `rtol` and `atol` are as `numpy.allclose` takes them.

    Examples
    --------
    >>> judge(2.0, 2.01)
    >>> judge(-2.0, 2.01, [(-2.01, "the sign is the other way round")])
    Traceback (most recent call last):
    compendium.teaching.checks.NotYetError: the sign is the other way round
    """
    truth = np.asarray(truth, dtype=float)
    try:
        given = np.asarray(answer, dtype=float)
    except (TypeError, ValueError):
        raise NotYetError(f"numbers are asked for, not {answer!r}") from None
    require(given.size > 0 and np.isfinite(given).all(), "your answer is empty or not finite")
    given = given.reshape(truth.shape) if given.size == truth.size == 1 else given
    wanted = truth.shape or "one number"
    require(given.shape == truth.shape, f"your answer has shape {given.shape}; {wanted} is asked for")
    if np.allclose(given, truth, rtol, atol):
        return
    for wrong, why in usual:
        require(not np.allclose(given, wrong, max(rtol, _SIMILAR), 0), why)
    size = f"your {given:.4g} is too {'large' if given > truth else 'small'}; " if not given.ndim else ""
    raise NotYetError(size + hint)
