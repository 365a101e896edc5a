"""A web server on this machine that behaves as it is told, and remembers what it was asked.

A path is served by a list of behaviours, one for each request; the last one serves all further requests. A path
nobody mentioned is 404. Another kind of misbehaviour is another field of `Answer`.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_CHUNK = 1 << 16


@dataclass(frozen=True)
class Request:
    """What a client asked, and when (seconds of a monotonic clock)."""

    method: str
    path: str
    headers: Mapping[str, str]
    at: float


@dataclass(frozen=True)
class Answer:
    """One answer.

    Attributes:
        status: HTTP status.
        body: What `Content-Length` promises.
        headers: Further headers.
        cut_at: The line drops after so many bytes of the body.
        stall_at: The body stops for a while after so many bytes.
        stall_seconds: For how long.
        names_length: Whether the answer says how long it is.
        repeats: The body is sent again and again, for as long as the client takes it.
        pace: Seconds before each byte of the body; all at once if 0.
        headers_pace: Seconds between two bytes of a header that has no end; such a header is not sent if 0.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_at: int | None = None
    stall_at: int | None = None
    stall_seconds: float = 3600.0
    names_length: bool = True
    repeats: bool = False
    pace: float = 0.0
    headers_pace: float = 0.0

    def __call__(self, request: Request) -> Answer:
        """An answer is the simplest behaviour: the same whatever was asked."""
        return self


Behaviour = Callable[[Request], Answer]


@dataclass(frozen=True)
class StoredFile:
    """A file as a good server gives it: with ETag, 304, ranges and If-Range.

    Attributes:
        ignores_if_range: Gives the asked range of the present version, whichever version the client holds.
    """

    body: bytes
    etag: str | None = '"v1"'
    last_modified: str | None = None
    cut_at: int | None = None
    ignores_if_range: bool = False

    def __call__(self, request: Request) -> Answer:
        """The whole file, the rest of it, or nothing if the client has it."""
        named = {"ETag": self.etag, "Last-Modified": self.last_modified}
        headers = {name: value for name, value in named.items() if value is not None}
        asked = request.headers
        if self.etag and asked.get("If-None-Match") == self.etag:
            return Answer(304, headers=headers)
        same = self.ignores_if_range or asked.get("If-Range") in (self.etag, self.last_modified)
        if "Range" not in asked or not same:
            return Answer(200, self.body, headers, cut_at=self.cut_at)
        start = int(asked["Range"].removeprefix("bytes=").removesuffix("-"))
        if start >= len(self.body):
            return Answer(416, headers={"Content-Range": f"bytes */{len(self.body)}"})
        span = f"bytes {start}-{len(self.body) - 1}/{len(self.body)}"
        return Answer(206, self.body[start:], headers | {"Content-Range": span}, cut_at=self.cut_at)


class Server:
    """The server as a test sees it.

    Attributes:
        url: Its base URL, without a slash at the end.
        requests: What it was asked, in order.
        sent: Bytes of bodies that left it.
        closing: Set when it closes; stalled answers end then.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[Request] = []
        self.sent = 0
        self.closing = threading.Event()
        self._behaviours: defaultdict[str, list[Behaviour]] = defaultdict(list)
        self._lock = threading.Lock()

    def serve(self, path: str, *behaviours: Behaviour) -> None:
        """Serve a path, from now on, by these behaviours one after the other."""
        with self._lock:
            self._behaviours[path] = list(behaviours)

    def asked(self, path: str) -> list[Request]:
        """The requests for a path, in order."""
        return [request for request in self.requests if request.path == path]

    def answer(self, request: Request) -> Answer:
        """What the request gets."""
        with self._lock:
            self.requests.append(request)
            behaviours = self._behaviours[request.path]
            behaviour = behaviours.pop(0) if len(behaviours) > 1 else (behaviours or [Answer(404)])[0]
        answer = behaviour(request)
        if request.method == "HEAD":
            return replace(answer, cut_at=0)
        return answer


@contextmanager
def running_server(certificate: Path | None = None) -> Generator[Server, None, None]:
    """A server on a free port, gone with all its threads and sockets when the block ends.

    Args:
        certificate: Its certificate and key, if it is to speak https.
    """

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            answer = server.answer(Request(self.command, self.path, dict(self.headers), time.monotonic()))
            self.send_response_only(answer.status)
            if answer.names_length and answer.status != 304:
                self.send_header("Content-Length", str(len(answer.body)))
            for name, value in answer.headers.items():
                self.send_header(name, value)
            with suppress(ConnectionError, ssl.SSLError):  # the client had enough
                if answer.headers_pace:
                    self.send_header("X-Without-End", "")
                    self.flush_headers()
                    while not server.closing.wait(answer.headers_pace):
                        self.wfile.write(b"x")
                    return
                self.end_headers()
                self._send(answer.body[: answer.cut_at], answer)
                while answer.repeats and not server.closing.is_set():
                    self._send(answer.body, answer)

        def _send(self, body: bytes, answer: Answer) -> None:
            stall_at = len(body) if answer.stall_at is None else answer.stall_at
            self._write(body[:stall_at], answer.pace)
            if stall_at < len(body):
                server.closing.wait(answer.stall_seconds)
                self._write(body[stall_at:], answer.pace)

        def _write(self, part: bytes, pace: float) -> None:
            size = 1 if pace else _CHUNK
            for start in range(0, len(part), size):
                if pace and server.closing.wait(pace):
                    return
                chunk = part[start : start + size]
                server.sent += len(chunk)  # before it is written: whoever has the last byte finds it counted
                self.wfile.write(chunk)

        do_GET = do_HEAD = _answer  # noqa: N815 (the base class wants these names)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet: what was asked is in `requests`."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = False  # joined when the block ends
        if certificate is not None:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(certificate)
            http.socket = tls.wrap_socket(http.socket, server_side=True)
        server = Server(f"http{'s' if certificate else ''}://127.0.0.1:{http.server_address[1]}")
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.closing.set()
            http.shutdown()
            thread.join()
