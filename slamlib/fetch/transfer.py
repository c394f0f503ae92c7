"""One file: asked for, taken up where it was cut, checked, and only then given its name."""

import errno
import fcntl
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import requests
import urllib3

from slamlib.errors import SlamlibError
from slamlib.fetch.manifest import sha256_of
from slamlib.fetch.polite import redact, retry_after

# A piece that is not complete when the server falls silent is lost, so pieces are small.
_CHUNK = 1 << 14
_REFUSED = (401, 403)
_ABSENT = (404, 410)
_PASSING = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Job:
    """One file to download.

    Attributes
    ----------
    url : str
    path : Path
        Where it shall be; its name must tell apart whatever differs in content.
    size : int, optional
        Bytes that it must have.
    sha256 : str, optional
        Checksum that it must have.
    check : callable, optional
        Called with the path of what arrived; raises SlamlibError if that is not what was
        asked for, such as a web page with an apology.
    remedy : str
        What to do if the server refuses (401, 403).
    """

    url: str = field(repr=False)  # it may bear a token
    path: Path
    size: int | None = None
    sha256: str | None = None
    check: Callable[[Path], None] | None = None
    remedy: str = "check whether it is public"


class TransferError(SlamlibError):
    """A file that cannot be had; the text is the reason."""


class DiskFull(TransferError):  # noqa: N818
    """No room for this file, nor for any other."""


class Unreachable(TransferError):  # noqa: N818
    """The host of the file cannot be reached, so no other file of it can be had either."""


class _Again(Exception):  # noqa: N818
    """A failure that time may cure; `after` is the wait [s] that the server asks for."""

    def __init__(self, reason, after=None, unreachable=False):
        super().__init__(reason)
        self.after = after
        self.unreachable = unreachable


def part_of(path):
    """Where a file lies until it is whole: a folder of its own, so that no pattern of names catches it."""
    return path.parent / "partial" / f"{path.name}.part"


def rejected_of(path):
    """Where a file lies that arrived whole but is not what was asked for, under a name nobody reads."""
    return path.parent / "rejected" / f"{path.name}.rejected"


def transfer(job, session, pace, manners, rng, manifest, grown=lambda n: None):
    """Download one file, politely and stubbornly.

    Parameters
    ----------
    job : Job
    session : requests.Session
    pace : Pace
    manners : Manners
    rng : numpy.random.Generator
    manifest : Manifest
        Of the job's folder.
    grown : callable
        Called with the number of bytes of each piece that arrives.

    Raises
    ------
    TransferError
        If the file cannot be had; the text is the reason, without secrets.
    Stopped
        If the pace is stopped.
    """
    part = part_of(job.path)
    for attempt in range(manners.attempts):
        pace.wait_turn(job.url)
        try:
            with _opened(part) as file:
                _receive(job, session, pace, manners, file, grown)
            break
        except _Again as failure:
            wait = manners.pause(attempt, rng) if failure.after is None else failure.after
            if attempt + 1 == manners.attempts:
                kind = Unreachable if failure.unreachable else TransferError
                tried = f" (tried {attempt + 1} times)" if attempt else ""
                raise kind(f"{failure}{tried}") from None
            if wait > manners.longest_wait:
                raise TransferError(
                    f"{failure}, and asks to come back in {wait:.0f} s; run this again then"
                ) from None
            if failure.after is not None:
                pace.hold(job.url, wait)
            pace.sleep(wait)
        except OSError as error:
            raise _disk_error(error, part) from None
    _accept(job, part, manifest)


def _opened(part):
    part.parent.mkdir(parents=True, exist_ok=True)
    # Unbuffered: what is written is written, and a full disk speaks at once.
    file = part.open("ab", buffering=0)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise TransferError("another download is fetching it") from None
    return file


def _receive(job, session, pace, manners, file, grown):
    """Ask for what is missing and append it to the open partial file."""
    start, headers = file.tell(), {}
    note = _note_of(job.path)
    if start and (validator := _read_note(note, job.url)):
        headers = {"Range": f"bytes={start}-", "If-Range": validator}
    with _ask(session, job.url, headers, manners) as answer:
        total = _place(job, answer, file, start if headers else 0, note)
        if job.size is not None and total is not None and total != job.size:
            raise TransferError(f"the server offers {total:,} bytes where {job.size:,} are expected")
        try:
            if answer.status_code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                # The bytes as sent: a file that is gzipped stays so, whatever the headers claim.
                for piece in answer.raw.stream(_CHUNK, decode_content=False):
                    _write(file, piece)
                    grown(len(piece))
                    pace.check()
        except urllib3.exceptions.ReadTimeoutError:
            raise _Again(f"stalled for {manners.timeout:g} s after {_of(file, total)}") from None
        except urllib3.exceptions.HTTPError:
            raise _Again(f"connection cut after {_of(file, total)}") from None
    if total is not None and file.tell() < total:
        raise _Again(f"connection cut after {_of(file, total)}")
    if total is not None and file.tell() > total:
        file.truncate(0)
        raise _Again(f"more than the promised {total:,} bytes arrived")


def _ask(session, url, headers, manners):
    host = urlsplit(url).hostname
    try:
        return session.get(url, headers=headers, stream=True, timeout=manners.timeout)
    except requests.exceptions.SSLError:
        raise TransferError(f"the certificate of {host} is not accepted; check the address") from None
    except requests.ReadTimeout:
        raise _Again(f"no answer from {host} for {manners.timeout:g} s") from None
    except requests.ConnectionError as error:
        # What urllib3 itself gave up never reached the host; anything else broke on the way.
        if any(isinstance(arg, urllib3.exceptions.MaxRetryError) for arg in error.args):
            raise _Again(f"{host} cannot be reached; is there a network?", unreachable=True) from None
        raise _Again(f"{host} closed the connection without an answer") from None
    except (requests.RequestException, ValueError) as error:
        raise TransferError(f"{redact(url)} cannot be fetched ({type(error).__name__})") from None


def _place(job, answer, file, start, note):
    """Put the partial file where the answer begins; return the size of the whole, None if unsaid."""
    status = answer.status_code
    phrase = f"{status} {answer.reason}".strip()
    if status == HTTPStatus.OK:
        file.truncate(0)
        _write_note(note, job.url, answer)
        length = answer.headers.get("Content-Length", "")
        return int(length) if length.isdecimal() else None
    if status in (HTTPStatus.PARTIAL_CONTENT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE) and start:
        found = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+)", answer.headers.get("Content-Range", ""))
        begins = found and int(found[1] or found[2])
        if found and begins == start and _validator(answer) in (None, _read_note(note, job.url)):
            return int(found[2])
        file.truncate(0)
        raise _Again(f"the server changed the file meanwhile ({phrase}); begun afresh")
    if status in _REFUSED:
        raise TransferError(f"the server refuses it ({phrase}); {job.remedy}")
    if status in _ABSENT:
        raise TransferError(f"not on the server ({phrase}): {redact(job.url)}")
    if status in _PASSING:
        after = retry_after(answer.headers.get("Retry-After"))
        raise _Again(f"the server cannot serve now ({phrase})", after)
    raise TransferError(f"unexpected answer {phrase} from {redact(job.url)}")


def _accept(job, part, manifest):
    """Check what arrived, enter it in the manifest, give it its name."""
    size, sha256 = part.stat().st_size, sha256_of(part)
    try:
        if size == 0:
            raise TransferError("what arrived is empty")
        if job.size is not None and size != job.size:
            raise TransferError(f"{size:,} bytes arrived where {job.size:,} are expected")
        if job.sha256 is not None and sha256 != job.sha256.lower():
            raise TransferError(f"its sha256 is {sha256}, expected {job.sha256}")
        if job.check is not None:
            job.check(part)
    except SlamlibError as error:
        aside = rejected_of(job.path)
        aside.parent.mkdir(parents=True, exist_ok=True)
        part.replace(aside)
        _note_of(job.path).unlink(missing_ok=True)
        reason = redact(error).replace(str(part), job.path.name)
        raise TransferError(f"{reason}; set aside as {aside.parent.name}/{aside.name}") from None
    try:
        # First the row, then the name: if the row cannot be written, the partial file stays
        # and the next run needs no more than to ask whether it is whole.
        manifest.add(job.path.name, job.url, size, sha256)
        part.replace(job.path)
        _note_of(job.path).unlink(missing_ok=True)
    except OSError as error:
        raise _disk_error(error, job.path) from None


def _write(file, piece):
    view = memoryview(piece)
    while view:
        view = view[file.write(view) :]


def _disk_error(error, path):
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull("the disk is full; free some space and run this again")
    return TransferError(f"cannot write {path} ({os.strerror(error.errno) if error.errno else error})")


def _of(file, total):
    return f"{file.tell():,} of {total:,} bytes" if total is not None else f"{file.tell():,} bytes"


def _note_of(path):
    """Where it is noted which version of which address a partial file belongs to."""
    return path.parent / "partial" / f"{path.name}.source.part"


def _validator(answer):
    etag = answer.headers.get("ETag", "")
    # A weak ETag does not promise the same bytes, and If-Range does not take it.
    return answer.headers.get("Last-Modified") if not etag or etag.startswith("W/") else etag


def _write_note(note, url, answer):
    note.write_text(json.dumps({"url": redact(url), "validator": _validator(answer)}), encoding="utf-8")


def _read_note(note, url):
    try:
        known = json.loads(note.read_text(encoding="utf-8"))
        return known["validator"] if known["url"] == redact(url) else None
    except (OSError, ValueError, LookupError, TypeError):
        return None
