"""What `make dev` runs as the UI: Dagster's own, which answers people and its own pages, and no other page.

    python -m taxi_platform.ui PORT [OPTIONS OF dagster-webserver]

Dagster's UI has no login, and believes every request. So any page an operator has open could launch runs: a browser
sends a form's POST, or loads an image's address, from any page to `localhost`, and a name the page's owner makes point
to 127.0.0.1 reads the answers, too.
"""

import sys
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from dagster_webserver.cli import cli
from dagster_webserver.webserver import DagsterWebserver

from taxi_platform.settings import Settings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

_NAMES = ("localhost", "127.0.0.1", "[::1]")
_DEFAULT_PORTS = {"http": "80", "https": "443"}
#: What a browser sends from any page without asking the server first: https://fetch.spec.whatwg.org/#simple-header
_SENT_BY_ANY_PAGE = ("", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data")


@dataclass(frozen=True)
class Doorkeeper:
    """An ASGI application in front of another, for whom it turns away what no page of its own has sent.

    Programs other than browsers name no page they come from. They are let in, as anybody is who has an account on this
    machine, if they name a host that is served.

    Attributes:
        app: The one behind.
        origins: Where its pages are: `http://localhost:3000`.
    """

    app: App
    origins: frozenset[str]

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Let a request in or turn it away; see the ASGI specification."""
        if scope["type"] == "lifespan" or not (reason := self.why_not(scope)):
            return await self.app(scope, receive, send)
        if scope["type"] == "websocket":  # before it is accepted: the answer is 403
            return await send({"type": "websocket.close", "code": 1008})
        # Nothing of the request is repeated, so that it is nobody's page.
        text = f"{reason}. This UI is at {' and '.join(sorted(self.origins))}; TAXI_UI_URL names another address.\n"
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"x-content-type-options", b"nosniff")]
        await send({"type": "http.response.start", "status": 403, "headers": headers})
        return await send({"type": "http.response.body", "body": text.encode()})

    def why_not(self, scope: Message) -> str | None:
        """Why a request is turned away; None if it is not."""
        headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1").strip())

        hosts = {host for origin in self.origins for host in _hosts(origin)}
        if [host.lower() for host in headers.get("host", [])] not in [[host] for host in hosts]:
            return "The request is for another host"
        if not set(headers.get("origin", [])) <= self.origins:
            return "The request comes from a page of another origin"

        method = scope.get("method", "GET")  # a websocket has none
        is_visit = method in ("GET", "HEAD") and headers.get("sec-fetch-mode") == ["navigate"]
        is_visit = is_visit and headers.get("sec-fetch-dest") == ["document"]  # not a frame in somebody's page
        if not set(headers.get("sec-fetch-site", [])) <= {"same-origin", "none"} and not is_visit:
            return "The request comes from a page of another site"

        # The rest is for browsers that name no page of origin, and for pages that have them name none.
        kinds = {it.partition(";")[0].strip().lower() for it in headers.get("content-type", [""])}
        if method not in ("GET", "HEAD", "OPTIONS") and kinds & set(_SENT_BY_ANY_PAGE):
            return "The request may come from any page: it is sent as application/json by the UI's own"
        is_query = (
            scope["type"] == "http" and method in ("GET", "HEAD") and scope["path"].rstrip("/").endswith("/graphql")
        )
        if is_query and "text/html" not in ",".join(headers.get("accept", [])):
            return "The request may come from any page: GraphQL is asked by POST"
        return None


def main(arguments: Sequence[str]) -> None:
    """Serve the UI until the process is told to end."""
    port, *options = arguments
    addresses = [Settings.from_env().ui_url, *(f"http://{name}:{port}" for name in _NAMES)]
    origins = frozenset(_origin(address) for address in addresses)
    make = DagsterWebserver.create_asgi_app

    def make_guarded(self: DagsterWebserver, **kwargs: Any) -> Any:
        return Doorkeeper(make(self, **kwargs), origins)

    DagsterWebserver.create_asgi_app = make_guarded
    cli(["--port", port, *options], prog_name="dagster-webserver", auto_envvar_prefix="DAGSTER_WEBSERVER")


def _origin(url: str) -> str:
    """The origin of a web address, as browsers write it: without a port that goes without saying."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2].lower()
    return f"{parts.scheme}://{host.removesuffix(f':{_DEFAULT_PORTS[parts.scheme]}')}"


def _hosts(origin: str) -> set[str]:
    """What a request to an origin may name as its host: with a port that goes without saying, or without it."""
    scheme, _, host = origin.partition("://")
    has_port = ":" in host.rpartition("]")[2]
    return {host} if has_port else {host, f"{host}:{_DEFAULT_PORTS[scheme]}"}


if __name__ == "__main__":
    main(sys.argv[1:])
