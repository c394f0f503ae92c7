"""The errors slamlib raises on bad input: one message that names what is wrong and the remedy."""


def printable(text):
    r"""Return text on one line: line feeds and the like in a file's name are written as Python does.

    Examples
    --------
    >>> printable("two\nlines.fits")
    'two\\nlines.fits'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def enumerated(reasons, most=5):
    """Join reasons to one line; of many only the first.

    Examples
    --------
    >>> enumerated(["a.fits is empty", "b.fits is empty", "c.fits is empty"], most=1)
    'a.fits is empty; and 2 more'
    """
    more = [f"and {len(reasons) - most} more"] if len(reasons) > most else []
    return "; ".join([*reasons[:most], *more])


class SlamlibError(Exception):
    """Base of every error a user can mend; the command line prints it, one line, without a traceback."""

    def __str__(self):
        """Return the message, on one line whatever names it holds."""
        return printable(super().__str__())


class InputError(SlamlibError, ValueError):
    """A value that cannot be used: wrong shape, unit or range, NaN, unknown name."""


class FileError(SlamlibError, OSError):
    """A file that cannot be used: missing, truncated or of the wrong kind."""
