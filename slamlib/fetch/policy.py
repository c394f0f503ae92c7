"""How often servers are asked, how long they are waited for, and what no message may show."""

import logging
import re
import threading
import time
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

from slamlib.errors import InputError

# Query parameters whose values are secret.
_SECRET = re.compile(r"((?:token|api_?key|key|password|passwd|secret)=)[^&\s'\"]*", re.IGNORECASE)
_USER = re.compile(r"(://)[^/@\s]+@")


@dataclass(frozen=True)
class RequestPolicy:
    """How a download treats the server it asks.

    Attributes
    ----------
    workers : int
        Files fetched at a time.
    interval, timeout : float
        Least time between two requests, and longest silence of a server [s].
    attempts : int
        How often a request is made, and a file that broke off is taken up.
    backoff : float
        Wait before the second attempt [s]; doubled for each further one.
    longest_wait : float
        A server that asks to come back later than this [s] is given up.
    """

    workers: int = 4
    interval: float = 0.5
    attempts: int = 5
    backoff: float = 2.0
    longest_wait: float = 300.0
    timeout: float = 60.0

    def __post_init__(self):
        """Check the numbers before anything is asked for."""
        for name, value in vars(self).items():
            if not (value >= 0 if name in ("interval", "backoff") else value > 0):
                raise InputError(f"{name}={value} must be positive")


class Stopped(Exception):  # noqa: N818
    """The download was told to stop; not an error of the file at hand."""


class RateLimiter:
    """Turns at asking a server, at least `interval` seconds apart, for all workers; it also stops them."""

    def __init__(self, interval):
        self._interval, self._next = interval, 0.0
        self._lock, self._stop = threading.Lock(), threading.Event()

    def wait_turn(self):
        """Wait until the next request may be made; raise Stopped if the download is stopped."""
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next)
            self._next = turn + self._interval
        self.sleep(turn - now)

    def hold(self, seconds):
        """Let no worker take its turn for a while: the server said that it has enough."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)

    def sleep(self, seconds=0.0):
        """Wait; raise Stopped if the download is stopped."""
        if self._stop.wait(max(seconds, 0.0)):
            raise Stopped

    def stop(self):
        """Stop every worker at its next step."""
        self._stop.set()


def redact(text, secret=""):
    """Hide what is secret in a text: passwords and tokens in URLs, and `secret` wherever it stands.

    Examples
    --------
    >>> redact("https://me:pw@www.lamost.org/fits?obsid=7&token=F00&x=1")
    'https://www.lamost.org/fits?obsid=7&token=***&x=1'
    >>> redact("403 no user has F00", "F00")
    '403 no user has ***'
    """
    text = str(text)
    for form in {secret, quote(secret, safe=""), quote_plus(secret)} - {""}:
        text = text.replace(form, "***")
    return _USER.sub(r"\1", _SECRET.sub(r"\1***", text))


def _redact_record(record):
    record.msg, record.args = redact(record.getMessage()), ()
    return True


# urllib3 logs every path it asks for, query and all, when somebody turns its logging on.
for _name in ("urllib3.connectionpool", "urllib3.util.retry"):
    logging.getLogger(_name).addFilter(_redact_record)
