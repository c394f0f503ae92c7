"""VizieR through astroquery's client: any server, every column, and a clear word when it fails."""

import warnings
from typing import Any

import requests
import urllib3
from astroquery import cache_conf
from astroquery.exceptions import TableParseError
from astroquery.vizier import VizierClass
from requests.adapters import HTTPAdapter

from slamlib.errors import FileError
from slamlib.fetch.polite import USER_AGENT

SERVER = "https://vizier.cds.unistra.fr"


class Client(VizierClass):
    """astroquery's client for any address, http too, which tries again and raises when the server fails.

    Parameters
    ----------
    server : str
        Name or address of a VizieR server.
    manners : Manners
    """

    def __init__(self, server, manners):
        # "**" is every column; VizieR computes positions in degrees on demand.
        super().__init__(columns=["**", "_RAJ2000", "_DEJ2000"], row_limit=-1, timeout=manners.timeout)
        self.server = server.rstrip("/") if "://" in server else f"https://{server.rstrip('/')}"
        retry = urllib3.util.Retry(
            total=manners.attempts - 1,
            connect=min(manners.attempts - 1, 1),
            backoff_factor=manners.backoff / 2,
            backoff_jitter=manners.backoff / 2,
            backoff_max=manners.longest_wait,
            retry_after_max=int(manners.longest_wait),
            status_forcelist=(429, 500, 502, 503, 504),
            allowed_methods=None,
        )
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=retry))
        self._session.headers["User-Agent"] = f"{USER_AGENT} {self._session.headers['User-Agent']}"
        self._session.hooks["response"].append(lambda answer, *_, **__: answer.raise_for_status())

    def _server_to_url(self, return_type="votable"):
        return f"{self.server}/viz-bin/{return_type}"

    def tables(self, identifier):
        """Return all tables of a catalogue, as astroquery's TableList.

        Parameters
        ----------
        identifier : str
            Such as "J/ApJS/257/54".

        Raises
        ------
        FileError
            If the server cannot be reached, fails, or has no such tables.
        """
        host = self.server.split("://")[1]
        try:
            # astroquery would keep every answer, errors too, in a cache outside the project.
            with cache_conf.set_temp("cache_active", False), warnings.catch_warnings():
                # What cannot be parsed becomes a masked value; that is all the warnings say.
                warnings.simplefilter("ignore")
                tables = self.get_catalogs(identifier)
        except requests.HTTPError as error:
            answer: Any = error.response
            raise FileError(f"{host} answers {answer.status_code} {answer.reason}") from None
        except requests.exceptions.RetryError:
            raise FileError(f"{host} stays busy; run this again later") from None
        except requests.exceptions.ChunkedEncodingError:
            raise FileError(f"{host} cut the connection; run this again") from None
        except (requests.Timeout, requests.ConnectionError) as error:
            raise FileError(f"{host} {self._fault(error)}") from None
        except TableParseError:
            raise FileError(f"what {host} sent is cut or damaged; run this again") from None
        if tables is None:
            raise FileError(f"{host} sent a page instead of tables; check the server's address")
        if not len(tables):
            raise FileError(f"{host} has no tables of that identifier; check vizier_catalogues.ecsv")
        return tables

    def _fault(self, error):
        cause = error.args[0] if error.args else None
        cause = getattr(cause, "reason", cause)
        if isinstance(cause, (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)):
            return "cannot be reached; is there a network?"
        if isinstance(cause, urllib3.exceptions.ReadTimeoutError):
            return f"gave no answer for {self.TIMEOUT:g} s; run this again later"
        return "closed the connection; run this again"
