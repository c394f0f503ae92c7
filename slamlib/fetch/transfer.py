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

import requests
import urllib3

from slamlib.errors import SlamlibError
from slamlib.fetch.manifest import sha256_of
from slamlib.fetch.policy import redact
from slamlib.fetch.session import PASSING, Hopeless, TransferError, reason
from slamlib.io import MAX_SIZE

# A piece that is not complete when the server falls silent is lost, so pieces are small.
_CHUNK = 1 << 14


@dataclass(frozen=True)
class Job:
    """One file to download.

    Attributes
    ----------
    url : str
        Without the token.
    path : Path
        Where it shall be; its name must tell apart whatever differs in content.
    token : str
        Sent as the parameter ``token`` of the query; shown nowhere.
    max_size : int
        Bytes that no file of its kind has: a larger one is stopped there, and not kept.
    sha256 : str, optional
        Checksum that it must have.
    check : callable, optional
        Called with the path of what arrived; raises SlamlibError if that is not what was asked for.
    remedy : str
        What to do if the server refuses (401, 403).
    """

    url: str
    path: Path
    token: str = field(default="", repr=False)
    max_size: int = MAX_SIZE
    sha256: str | None = None
    check: Callable[[Path], None] | None = None
    remedy: str = "check whether it is public"


class _Cut(Exception):  # noqa: N818
    """The transfer broke off: asking for the rest may help."""


def part_of(path, suffix=""):
    """Where a file lies until it is whole: a folder of its own, so that no pattern of names catches it."""
    return path.parent / "partial" / f"{path.name}{suffix}.part"


def transfer(job, session, limiter, policy, manifest, on_bytes):
    """Download one file into its folder, and enter it in the folder's manifest.

    `on_bytes` is called with the size of each piece that arrives. Raises TransferError, whose
    text is not yet redacted, if the file cannot be had, and Stopped if the limiter is stopped.
    """
    part = part_of(job.path)
    try:
        with _opened(part) as file:
            for attempt in range(1, policy.attempts + 1):
                try:
                    _receive(job, session, limiter, policy, file, on_bytes)
                    break
                except _Cut as cut:
                    if attempt == policy.attempts:
                        raise TransferError(str(cut)) from None
                    limiter.sleep(min(policy.backoff * 2 ** (attempt - 1), policy.longest_wait))
        _accept(job, part, manifest)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Hopeless("the disk is full; free some space and run this again") from None
        raise TransferError(f"cannot write {part} ({error.strerror or error})") from None


def _opened(part):
    part.parent.mkdir(parents=True, exist_ok=True)
    # Unbuffered: what is written is written, and a full disk is noticed at once.
    file = part.open("ab", buffering=0)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise TransferError("another download is fetching it") from None
    return file


def _receive(job, session, limiter, policy, file, on_bytes):
    """Ask for what is missing and append it to the open partial file."""
    start, headers = file.seek(0, os.SEEK_END), {}
    if start and (validator := _read_note(job)):
        headers = {"Range": f"bytes={start}-", "If-Range": validator}
    limiter.wait_turn()
    if job.token:
        session.tokens.add(job.token)
    try:
        answer = session.get(
            job.url,
            params={"token": job.token} if job.token else None,
            headers=headers,
            stream=True,
            timeout=policy.timeout,
        )
    except (requests.RequestException, ValueError) as error:
        raise reason(error, job.url, policy) from None
    with answer:
        total = _place(job, answer, file, start if headers else 0, policy)
        if (total or 0) > job.max_size:
            raise _too_large(job)
        try:
            if answer.status_code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                # The bytes as sent: a file that is gzipped stays so, whatever the headers claim.
                for piece in answer.raw.stream(_CHUNK, decode_content=False):
                    if file.tell() + len(piece) > job.max_size:
                        raise _too_large(job)
                    _write(file, piece)
                    on_bytes(len(piece))
                    limiter.sleep()
        except urllib3.exceptions.ReadTimeoutError:
            raise _Cut(f"stalled for {policy.timeout:g} s after {_of(file, total)}") from None
        except urllib3.exceptions.HTTPError:
            raise _Cut(f"connection cut after {_of(file, total)}") from None
    if total is not None and file.tell() < total:
        raise _Cut(f"connection cut after {_of(file, total)}")


def _place(job, answer, file, start, policy):
    """Put the partial file where the answer begins; return the size of the whole, None if unsaid."""
    status = answer.status_code
    # Shortened only when nothing secret is left in it to be cut in two.
    phrase = redact(f"{status} {answer.reason}".strip(), job.token)[:80]
    if status == HTTPStatus.OK:
        _restart(file)
        note = {"url": redact(job.url), "validator": _validator(answer)}
        part_of(job.path, ".source").write_text(json.dumps(note), encoding="utf-8")
        length = answer.headers.get("Content-Length", "")
        return int(length) if length.isdecimal() else None
    if status in (HTTPStatus.PARTIAL_CONTENT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE) and start:
        found = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+)", answer.headers.get("Content-Range", ""))
        begins = found and int(found[1] or found[2])
        if found and begins == start and _validator(answer) in (None, _read_note(job)):
            return int(found[2])
        _restart(file)
        raise _Cut(f"the server changed the file meanwhile ({phrase}); begun afresh")
    if status in (401, 403):
        raise TransferError(f"the server refuses it ({phrase}); {job.remedy}")
    if status in (404, 410):
        raise TransferError(f"not on the server ({phrase}): {job.url}")
    if status in PASSING:
        raise TransferError(f"the server cannot serve now ({phrase}; tried {policy.attempts} times)")
    raise TransferError(f"unexpected answer {phrase} from {job.url}")


def _too_large(job):
    for path in (part_of(job.path), part_of(job.path, ".source")):
        path.unlink(missing_ok=True)
    return TransferError(f"it is larger than {job.max_size:,} bytes, which no file of its kind is; not kept")


def _accept(job, part, manifest):
    """Check what arrived, enter it in the manifest, give it its name."""
    size, sha256 = part.stat().st_size, sha256_of(part)
    note = part_of(job.path, ".source")
    try:
        if size == 0:
            raise TransferError("what arrived is empty")
        if job.sha256 is not None and sha256 != job.sha256.lower():
            raise TransferError(f"its sha256 is {sha256}, but {job.sha256} is on record")
        if job.check is not None:
            job.check(part)
    except SlamlibError as error:
        aside = job.path.parent / "rejected" / f"{job.path.name}.rejected"
        aside.parent.mkdir(parents=True, exist_ok=True)
        part.replace(aside)
        note.unlink(missing_ok=True)
        text = str(error).replace(str(part), job.path.name)
        raise TransferError(f"{text}; set aside as {aside.parent.name}/{aside.name}") from None
    # First the row, then the name: if the row cannot be written, the partial file stays and
    # the next run needs no more than to ask whether it is whole.
    manifest.add(job.path.name, job.url, size, sha256)
    part.replace(job.path)
    note.unlink(missing_ok=True)


def _restart(file):
    file.seek(0)
    file.truncate()


def _write(file, piece):
    view = memoryview(piece)
    while view:
        view = view[file.write(view) :]


def _of(file, total):
    return f"{file.tell():,} of {total:,} bytes" if total is not None else f"{file.tell():,} bytes"


def _validator(answer):
    etag = answer.headers.get("ETag", "")
    # A weak ETag does not promise the same bytes, and If-Range does not take it.
    return answer.headers.get("Last-Modified") if not etag or etag.startswith("W/") else etag


def _read_note(job):
    """Return the version of the file that the partial one was begun with; None if it is unknown."""
    try:
        known = json.loads(part_of(job.path, ".source").read_text(encoding="utf-8"))
        return known["validator"] if known["url"] == redact(job.url) else None
    except (OSError, ValueError, LookupError, TypeError):
        return None
