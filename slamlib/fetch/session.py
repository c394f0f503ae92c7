"""A `requests` session that keeps to a policy: its pace, its waits, and tokens that stay with one server."""

from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

import slamlib
from slamlib.errors import SlamlibError
from slamlib.fetch.policy import redact

USER_AGENT = f"slamlib/{slamlib.__version__} (stellar labels; python-requests {requests.__version__})"
# Failures that time may cure.
PASSING = (408, 425, 429, 500, 502, 503, 504)


class TransferError(SlamlibError):
    """A file that cannot be had; the text is the reason."""


class Hopeless(TransferError):  # noqa: N818
    """No other file of this server can be had either: it cannot be reached, or the disk is full."""


class _Session(requests.Session):
    """A session that knows the `tokens` it was given, and takes none of them to another server."""

    def __init__(self):
        super().__init__()
        self.tokens = set()

    def get_redirect_target(self, resp):
        """Return where a redirect leads; to another server, or from https to http, no token goes along."""
        target = super().get_redirect_target(resp)
        if target and self.should_strip_auth(resp.url, urljoin(resp.url, target)):
            for token in self.tokens:
                target = redact(target, token)
        return target


def open_session(policy, limiter):
    """Return a session that tries again what may pass, after the wait that policy or server asks for.

    Stopping the `RateLimiter` ends every wait.
    """

    class PoliteRetry(urllib3.Retry):
        def sleep(self, response=None):
            """Wait as `limiter` does: urllib3's own sleep binds one worker and cannot be interrupted."""
            asked = None if response is None else self.get_retry_after(response)
            if asked is not None and asked > policy.longest_wait:
                raise TransferError(
                    f"the server is busy and asks to come back in {asked:.0f} s; run this again then"
                )
            if asked:
                limiter.hold(asked)
            backoff = min(max(policy.backoff, self.get_backoff_time()), policy.longest_wait)
            limiter.sleep(backoff if asked is None else asked)
            limiter.wait_turn()

    again = policy.attempts - 1
    retry = PoliteRetry(
        total=again,
        connect=min(again, 1),
        other=0,
        backoff_factor=policy.backoff,
        status_forcelist=PASSING,
        raise_on_status=False,
    )
    session = _Session()
    session.max_redirects = 5
    session.headers.update({"User-Agent": USER_AGENT, "Accept-Encoding": "identity"})
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=policy.workers, max_retries=retry))
    return session


def reason(error, url, policy):
    """Return the TransferError that says why a request had no answer."""
    host = urlsplit(url).hostname
    if isinstance(error, requests.exceptions.SSLError):
        return TransferError(f"the certificate of {host} is not accepted; check the address")
    cause = error.args[0] if error.args else None
    cause = getattr(cause, "reason", cause)
    if isinstance(cause, (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)):
        return Hopeless(f"{host} cannot be reached; is there a network?")
    if isinstance(cause, urllib3.exceptions.ReadTimeoutError):
        return TransferError(f"no answer from {host} for {policy.timeout:g} s")
    if isinstance(error, requests.ConnectionError):
        return TransferError(f"{host} closed the connection without an answer")
    return TransferError(f"{url} cannot be fetched ({type(error).__name__})")
