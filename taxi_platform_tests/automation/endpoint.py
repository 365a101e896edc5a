"""What receives alerts: Apprise's `json://`, a real HTTP endpoint on this machine."""

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Endpoint:
    """Somebody who is told.

    Attributes:
        port: On this machine.
        status: What it answers; any but 200 means it does not take the alert.
        got: Title and text of what it took, in order.
        kinds: What each of all these was called: "failure", or "success" if it was good news.
        asked: How often somebody wanted to tell it something, whether it took that or not.
    """

    port: int
    status: int = 200
    got: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    kinds: list[str] = field(default_factory=list[str])
    asked: int = 0

    def url(self, user: str = "") -> str:
        """How the platform is told of it."""
        return f"json://{user}127.0.0.1:{self.port}/alerts"

    def news(self) -> list[tuple[str, str]]:
        """What it took since it was asked last."""
        news, self.got = self.got, []
        return news

    def titles(self) -> list[str]:
        """As `news`, the titles only."""
        return [title for title, _ in self.news()]


@contextmanager
def running_endpoint() -> Generator[Endpoint, None, None]:
    """An endpoint on a free port, gone when the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            endpoint.asked += 1
            if endpoint.status == 200:
                endpoint.kinds.append(told["type"])
                endpoint.got.append((told["title"], told["message"]))
            self.send_response_only(endpoint.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Quiet: what it was told is in `got`."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        endpoint = Endpoint(http.server_address[1])
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield endpoint
        finally:
            http.shutdown()
            thread.join()
