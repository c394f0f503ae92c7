"""Atomic writing: a file is whole or absent, never half written."""

import os
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic(path):
    """Yield a temporary path beside `path` that replaces it when the block succeeds.

    The temporary name keeps the suffix of `path`, because writers such as astropy
    choose the format (and gzip) from it.

    Parameters
    ----------
    path : str or Path
        Where the file shall be; missing parent folders are made.

    Yields
    ------
    Path
        Where to write it.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> target = Path(tempfile.mkdtemp()) / "new" / "labels.txt"
    >>> with atomic(target) as temporary:
    ...     _ = temporary.write_text("teff logg mh vsini")
    >>> target.read_text()
    'teff logg mh vsini'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
