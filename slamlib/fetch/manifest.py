"""The manifest: which files of a folder arrived whole, from where, and how to know them again."""

import csv
import errno
import hashlib
import io
import os
import threading
from datetime import UTC, datetime
from pathlib import Path

from astropy.table import Table

from slamlib.errors import FileError
from slamlib.fetch.policy import redact
from slamlib.io import read_ecsv, write_ecsv

NAME = "manifest.ecsv"
COLUMNS = ("name", "url", "size", "sha256", "date")
_TYPES = ("U1", "U1", "i8", "U1", "U1")


class Manifest:
    """The manifest of one folder: `manifest.ecsv` in it, one row a file, the last row of a name counts.

    A row is appended when its file is whole and checked. The table is never rewritten, so that ten thousand
    files cost ten thousand lines; a line torn by a crash is dropped when the manifest is next opened, and its
    file is fetched again. `rows` has them as dicts, by the names of the files, in the order of their first
    arrival. FileError if there is a manifest that cannot be read.
    """

    def __init__(self, folder):
        self.path = Path(folder) / NAME
        self._lock = threading.Lock()
        self.rows = {}
        if self.path.exists():
            content = self.path.read_bytes()
            if not content.endswith(b"\n"):
                os.truncate(self.path, content.rfind(b"\n") + 1)
            table = read_ecsv(self.path)
            if missing := sorted(set(COLUMNS) - set(table.colnames)):
                raise FileError(
                    f"{self.path} has no column {', '.join(missing)}; delete it: its files are then "
                    "fetched again"
                )
            self.rows = {str(row["name"]): dict(zip(row.colnames, row, strict=True)) for row in table}

    def holds(self, path):
        """Whether `path` exists and is, byte for byte, what the manifest says arrived."""
        row = self.rows.get(path.name)
        return (
            row is not None
            and path.is_file()
            and path.stat().st_size == row["size"]
            and sha256_of(path) == row["sha256"]
        )

    def add(self, name, url, size, sha256):
        """Append a row; the URL is stored without its secrets.

        If the row cannot be written (OSError), the manifest is as it was.
        """
        date = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        row = dict(zip(COLUMNS, (name, redact(url), int(size), sha256, date), strict=True))
        line = io.StringIO()
        csv.writer(line, delimiter=" ", lineterminator="\n").writerow(row.values())
        with self._lock:
            if not self.path.exists():
                write_ecsv(Table(names=COLUMNS, dtype=_TYPES), self.path, grows=True)
            _append(self.path, line.getvalue().encode())
            self.rows[name] = row


def _append(path, line):
    before = path.stat().st_size
    with path.open("ab", buffering=0) as file:
        try:
            if file.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            file.truncate(before)
            raise


def sha256_of(path):
    """Return the sha256 of a file as hexadecimal text."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
