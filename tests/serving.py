"""A server on 127.0.0.1 in the layout of the official ones, which can be told to misbehave."""

import hashlib
import socket
import threading
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from urllib.parse import parse_qs, unquote_plus, urlsplit

import numpy as np
from astropy.io.votable import writeto
from astropy.io.votable.tree import Resource, TableElement, VOTableFile

from slamlib.mock.lamost_write import write_lrs, write_mrs
from slamlib.spectra.spectrum import Spectrum, air_from_vacuum


class Server(ThreadingHTTPServer):
    """Serves the files of a folder; a query ``obsid=N`` asks for file N of the path.

    `tricks` are what to do at the next requests of a path (functions of this module), before the
    file is served; paths that begin with one of `private` want the `token`; `catalogues` are
    {VizieR identifier: {name: Table}}; `ranges` and `validators` say whether parts of files and
    versions are served; `seen` holds path and headers of every request.
    """

    daemon_threads = True

    def __init__(self, folder):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = Path(folder)
        self.base = f"http://127.0.0.1:{self.server_address[1]}"
        self.tricks, self.catalogues, self.seen, self.sent = {}, {}, [], Counter()
        self.token, self.private = "", ()
        self.ranges = self.validators = True

    def handle_error(self, request, client_address):
        """Stay quiet: clients that go away are part of the play."""

    def put(self, path, content):
        target = self.folder / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)

    def count(self, path=""):
        """Return how many requests there were of paths that contain a text."""
        return sum(path in seen for seen, _ in self.seen)


@contextmanager
def serving(folder):
    server = Server(folder)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def spectrum(path, obsid, instrument="LRS"):
    """Return the bytes of a spectrum as LAMOST serves it."""
    edges = {"LRS": ((3.5682, 3.95, 1e-4),), "MRS": ((3.690, 3.731, 1e-5), (3.798, 3.836, 1e-5))}[instrument]
    wave = np.concatenate([air_from_vacuum(10 ** np.arange(*edge)) for edge in edges])
    ones, header = np.ones(wave.size), {"obsid": obsid, "snr_b": 9, "snr_r": 9}
    write = {"LRS": write_lrs, "MRS": write_mrs}[instrument]
    write(path, Spectrum(wave, ones, ones, np.zeros(wave.size, bool), header))
    return path.read_bytes()


# The tricks: each is called with the handler and the content that it should have served.


def status(code, phrase=None, **headers):
    """Answer with a status; header names with _ for -."""

    def trick(handler, content):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        handler.answer(code, b"", named, phrase=phrase)

    return trick


def echo(code):
    """Answer with a status whose phrase repeats the query, as careless servers do."""
    return lambda handler, _: handler.answer(code, b"", phrase=f"{handler.path} {unquote_plus(handler.path)}")


def redirect(base):
    """Send to the same path and query at another address."""
    return lambda handler, content: handler.answer(302, b"", {"Location": base + handler.path})


def page(handler, content):
    """Answer 200 with a web page, as LAMOST does for some errors."""
    handler.answer(200, b"<!DOCTYPE html><html>Please log in</html>", {"Content-Type": "text/html"})


def cut(fraction):
    """Promise all and hang up after a fraction of the bytes."""

    def trick(handler, content):
        handler.answer(200, content, send=content[: int(fraction * len(content))])
        handler.close_connection = True

    return trick


def short(fraction):
    """Serve a fraction as if it were all: a file that was truncated before it was sent."""

    def trick(handler, content):
        handler.answer(200, content[: int(fraction * len(content))])

    return trick


def wrong(handler, content):
    """Serve other bytes, as many as there should be."""
    handler.answer(200, bytes(255 - byte for byte in content))


def silent(handler, content):
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


def interrupting(action):
    """Send half, do `action`, send the rest slowly enough that the client can stop before it is whole."""

    def trick(handler, content):
        half = len(content) // 2
        handler.answer(200, content, send=content[:half])
        handler.wfile.flush()
        action()
        for start in range(half, len(content), max(half // 50, 1)):
            handler.wfile.write(content[start : start + max(half // 50, 1)])
            threading.Event().wait(0.02)

    return trick


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.seen.append((self.path, dict(self.headers)))
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path.startswith(self.server.private or ("\0",)) and query.get("token") != self.server.token:
            return self.answer(403, b"a token is needed")
        path = f"{parts.path}/{query['obsid']}" if "obsid" in query else parts.path
        content = self._votable(query["-source"]) if "-source" in query else self._content(path)
        tricks = self.server.tricks.get(path, [])
        if tricks:
            return tricks.pop(0)(self, content)
        if content is None:
            return self.answer(404, b"no such file")
        return self._whole_or_part(content)

    def _content(self, path):
        target = self.server.folder / path.lstrip("/")
        return target.read_bytes() if target.is_file() else None

    def _whole_or_part(self, content):
        asked = self.headers.get("Range") if self.server.ranges else None
        if asked is None or self.headers.get("If-Range", self._etag(content)) != self._etag(content):
            return self.answer(200, content)
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
        if start >= len(content):
            return self.answer(416, b"", {"Content-Range": f"bytes */{len(content)}"}, of=content)
        span = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        return self.answer(206, content[start:], span, of=content)

    def _etag(self, content):
        return f'"{hashlib.sha256(content).hexdigest()[:16]}"'

    def _votable(self, wanted):
        document = VOTableFile()
        for name, table in self.server.catalogues.get(wanted, {}).items():
            resource = Resource(name=wanted)
            element = TableElement.from_table(document, table)
            element.name = f"{wanted}/{name}"
            resource.tables.append(element)
            document.resources.append(resource)
        stream = BytesIO()
        writeto(document, stream)
        return stream.getvalue()

    def answer(self, code, content, headers=None, send=None, of=None, phrase=None):
        """Send an answer; `send` is what is really sent of the promised content, `of` the whole file."""
        self.send_response(code, phrase)
        self.send_header("Content-Length", str(len(content)))
        if code in (200, 206, 416) and self.server.validators:
            self.send_header("ETag", self._etag(content if of is None else of))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        sent = content if send is None else send
        self.server.sent[urlsplit(self.path).path] += len(sent)
        self.wfile.write(sent)
