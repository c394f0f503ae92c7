"""Manners towards a server: how often to ask, how long to wait, what not to say aloud."""

import logging
import re
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import slamlib
from slamlib.errors import InputError

USER_AGENT = (
    f"slamlib/{slamlib.__version__} (research compendium of Guo et al. 2021, ApJS 257, 54; python-requests)"
)
# Query parameters whose values are nobody's business.
_SECRET = re.compile(r"((?:token|api_?key|key|password|passwd|secret)=)[^&\s'\"]*", re.IGNORECASE)
_USER = re.compile(r"(://)[^/@\s]+@")


@dataclass(frozen=True)
class Manners:
    """How a download treats the servers it asks.

    Attributes
    ----------
    workers : int
        Files fetched at a time.
    interval : float
        Least time between two requests to one host [s].
    attempts : int
        How often a file is tried before it counts as failed.
    backoff : float
        Wait before the second attempt [s]; doubled for each further one, times a random
        factor of 1 to 1.5, so that many clients do not come back at once.
    longest_wait : float
        A server that asks to come back later than this [s] is given up.
    timeout : float
        Longest silence of a server [s].
    seed : int
        Seed of the random factor.

    Raises
    ------
    InputError
        If a number makes no sense.
    """

    workers: int = 4
    interval: float = 0.5
    attempts: int = 5
    backoff: float = 2.0
    longest_wait: float = 300.0
    timeout: float = 60.0
    seed: int = 257

    def __post_init__(self):
        """Check the numbers before anything is asked for."""
        for name in ("workers", "attempts"):
            if not getattr(self, name) >= 1:
                raise InputError(f"{name}={getattr(self, name)} must be 1 or more")
        for name in ("interval", "backoff", "longest_wait"):
            if not getattr(self, name) >= 0:
                raise InputError(f"{name}={getattr(self, name)} must not be negative")
        if not self.timeout > 0:
            raise InputError(f"timeout={self.timeout} must be positive")

    def pause(self, attempt, rng):
        """Time to wait [s] after the failed attempt number `attempt`, counted from 0."""
        return min(self.backoff * 2**attempt * rng.uniform(1, 1.5), self.longest_wait)


class Stopped(Exception):  # noqa: N818
    """The download was told to stop; not an error of the file at hand."""


class Pace:
    """Turns at asking each host, shared by all workers; also the place where they are stopped.

    Parameters
    ----------
    interval : float
        Least time between two requests to one host [s].
    """

    def __init__(self, interval):
        self.interval = interval
        self._next = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def wait_turn(self, url):
        """Wait until the host of `url` may be asked again.

        Raises
        ------
        Stopped
            If the download is stopped meanwhile.
        """
        host = urlsplit(url).netloc
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next.get(host, now))
            self._next[host] = turn + self.interval
        self.sleep(turn - now)

    def hold(self, url, seconds):
        """Let nobody ask the host of `url` for a while: it said that it has enough."""
        host = urlsplit(url).netloc
        with self._lock:
            self._next[host] = max(self._next.get(host, 0.0), time.monotonic() + seconds)

    def sleep(self, seconds):
        """Wait, unless the download is stopped meanwhile (raises Stopped)."""
        if self._stop.wait(max(seconds, 0.0)):
            raise Stopped

    def check(self):
        """Raise Stopped if the download was stopped."""
        self.sleep(0.0)

    def stop(self):
        """Stop every worker at its next step."""
        self._stop.set()


def retry_after(value, now=None):
    """Return the seconds that a Retry-After header asks for; None if there is none to read.

    Parameters
    ----------
    value : str or None
        Seconds or an HTTP date (RFC 9110, section 10.2.3).
    now : datetime, optional
        The present, for a date; the clock's by default.

    Examples
    --------
    >>> retry_after("120")
    120.0
    >>> retry_after("Fri, 31 Dec 1999 23:59:59 GMT", datetime(1999, 12, 31, 23, 59, 29, tzinfo=UTC))
    30.0
    """
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max((moment - (now or datetime.now(UTC))).total_seconds(), 0.0)


def redact(text):
    """Hide what is secret in a text with URLs: tokens, keys, passwords.

    Examples
    --------
    >>> redact("https://me:pw@www.lamost.org/fits?obsid=7&token=F00&x=1")
    'https://www.lamost.org/fits?obsid=7&token=***&x=1'
    """
    return _USER.sub(r"\1", _SECRET.sub(r"\1***", str(text)))


def _redact_record(record):
    record.msg, record.args = redact(record.getMessage()), ()
    return True


# urllib3 logs every path it asks for, query and all, when somebody turns its logging on.
for _name in ("urllib3.connectionpool", "urllib3.util.retry"):
    logging.getLogger(_name).addFilter(_redact_record)
