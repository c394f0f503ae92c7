"""The errors slamlib raises on bad input: one message that names what is wrong and the remedy."""


class SlamlibError(Exception):
    """Base of every error a user can mend; the command line prints it without a traceback."""


class InputError(SlamlibError, ValueError):
    """A value that cannot be used: wrong shape, unit or range, NaN, unknown name."""


class FileError(SlamlibError, OSError):
    """A file that cannot be used: missing, truncated or of the wrong kind."""
