"""The explorer's server: to this machine alone, and to who has the token."""

import json
import secrets
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from urllib.parse import parse_qsl, urlsplit

from slamlib.errors import InputError, SlamlibError

# The largest file that may be picked [bytes].
_LARGEST = 64 * 2**20
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # The page is one file; it fetches nothing but answers of this server.
    "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; connect-src 'self'; img-src data:",
}


class Server(ThreadingHTTPServer):
    """Serves an explorer at an address that holds a token, without which nothing is answered.

    Port 0 is any that is free; InputError if the port is none, or taken.
    """

    daemon_threads = True

    def __init__(self, explorer, port=0):
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except (OSError, OverflowError) as error:
            told = f"cannot serve at port {port} ({error}); choose another, such as PORT=8901"
            raise InputError(told) from None
        self.explorer, self.token = explorer, secrets.token_urlsafe(24)
        # Another name for this machine is that of a page elsewhere, which tries to reach us.
        self.hosts = {f"{name}:{self.server_port}" for name in ("127.0.0.1", "localhost")}
        self.address = f"http://127.0.0.1:{self.server_port}/?token={self.token}"


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    # An answer leaves in one piece, and at once.
    wbufsize, disable_nagle_algorithm = -1, True

    def do_GET(self):
        self._answer()

    def do_POST(self):
        size = self.headers.get("Content-Length", "")
        if not size.isdecimal() or int(size) > _LARGEST:
            self.close_connection = True  # what is not read must not be taken for the next request
            self._send(413, f"a file of at most {_LARGEST // 2**20} MB is taken")
            return
        self._answer(self.rfile.read(int(size)))

    def _answer(self, content=None):
        address = urlsplit(self.path)
        query = dict(parse_qsl(address.query))
        token = query.pop("token", "").encode()
        if self.headers.get("Host") not in self.server.hosts:
            self._send(403, "this server answers to 127.0.0.1 and localhost alone")
        elif not secrets.compare_digest(token, self.server.token.encode()):
            self._send(403, "the token is missing or wrong; use the address that was printed at the start")
        else:
            try:
                self._send(200, *self._found(address.path, query, content))
            except SlamlibError as error:  # the page tells it; to a browser it is no failure
                self._send(200, json.dumps({"problem": str(error)}), "application/json")

    def _found(self, path, query, content):
        """Return text and media type of what is asked for."""
        explorer = self.server.explorer
        if path == "/":
            page, script = (
                files("compendium.explorer").joinpath(name).read_text(encoding="utf-8")
                for name in ("page.html", "explorer.js")
            )
            return page.replace("/* explorer.js */", script), "text/html"
        answers = {
            "/start": lambda: explorer.start,
            "/look": lambda: explorer.look(query),
            "/save": lambda: {"ecsv": explorer.save(query)},
            "/file": lambda: explorer.take(
                query.get("name", "a file"), content or b"", query.get("told", "")
            ),
        }
        if path not in answers:
            raise InputError(f"no page {path}")
        return json.dumps(answers[path](), allow_nan=False), "application/json"

    def _send(self, status, text, kind="text/plain"):
        content = text.encode()
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """Write no line for each request."""
