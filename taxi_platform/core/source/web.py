"""One request over HTTP: where it may be redirected to, and how long it may take to be answered at all."""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from taxi_platform.core.source.errors import SourceError, UnavailableError
from taxi_platform.core.source.retry import Deadline
from taxi_platform.core.urls import mask_text, mask_url

#: Redirects that are followed: a release on GitHub takes one, a mirror behind a few front doors two or three.
MOST_REDIRECTS = 10
#: Who asks. nyc.gov refuses (403) whoever does not begin as browsers do; robots that say who they are begin so, too.
_USER_AGENT = "Mozilla/5.0 (compatible; taxi-platform; +https://www.nyc.gov/site/tlc)"
_HEADERS = {"User-Agent": _USER_AGENT, "Accept-Encoding": "identity"}
_LONGEST_CONNECT = 10.0
_NONSENSE = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    urllib3.exceptions.LocationValueError,
)


@contextmanager
def exchange(
    method: str, url: str, about: str, headers: Mapping[str, str], timeout: float, deadline: Deadline
) -> Generator[requests.Response, None, None]:
    """Ask, and give the answer with its body still to come.

    Args:
        method: GET or HEAD.
        url: What to ask for.
        about: What it is to people.
        headers: Headers of the request, beside those every request has.
        timeout: Seconds without a byte after which the line counts as dropped.
        deadline: When the answer, with all that the block does with it, has to be here.

    Raises:
        UnavailableError: The server cannot be reached, drops the line, or is too slow.
        SourceError: It redirects to where nobody should follow, or the URL makes no sense.
    """
    try:
        with _answer(method, url, about, headers, timeout, deadline) as response, deadline.ending(_hang_up(response)):
            yield response
    # None of these is raised from what it tells of: that repeats the address, with what may be a password in it.
    except requests.TooManyRedirects:
        raise SourceError(
            f"the server redirects more than {MOST_REDIRECTS} times",
            about=about,
            where=mask_url(url),
            cause="its redirects go round in a circle",
            fix="open the address in a browser, and set TAXI_SOURCE to where it ends",
        ) from None
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        if not deadline.left:
            raise deadline.overdue(about, mask_url(url)) from None
        if isinstance(error, _NONSENSE):
            raise SourceError(
                "the address makes no sense",
                about=about,
                where=mask_url(url),
                cause=mask_text(str(error)),
                fix="check TAXI_SOURCE, and where it redirects to",
            ) from None
        raise UnavailableError(
            f"the server could not be reached or dropped the line ({type(error).__name__})",
            about=about,
            where=mask_url(url),
            cause=mask_text(str(error)),
            fix="check the network and TAXI_SOURCE, then run the month again",
        ) from None


def _answer(
    method: str, url: str, about: str, headers: Mapping[str, str], timeout: float, deadline: Deadline
) -> requests.Response:
    """The answer's status and headers.

    They are waited for in a thread: `timeout` is for each byte, and a server that sends its headers byte by byte could
    go on for weeks. Such a thread is left behind; it ends with the server's patience, or with the process.
    """
    deadline.check(about, mask_url(url))
    answers: list[requests.Response] = []
    errors: list[Exception] = []
    abandoned = threading.Event()

    def ask() -> None:
        # The timeouts are also those of the body, byte by byte.
        most = max(0.001, min(timeout, deadline.left))
        try:
            with _session(about) as session:
                answer = session.request(
                    method,
                    url,
                    headers=_HEADERS | dict(headers),
                    stream=True,
                    allow_redirects=True,
                    timeout=(min(_LONGEST_CONNECT, most), most),
                )
        except Exception as error:  # noqa: BLE001 (raised again where it is waited for)
            errors.append(error)
        else:
            answers.append(answer)
            if abandoned.is_set():
                answer.close()

    asking = threading.Thread(target=ask, name=f"{method} {mask_url(url)}", daemon=True)
    asking.start()
    asking.join(min(deadline.left, threading.TIMEOUT_MAX))
    if errors:
        raise errors[0]
    if answers:
        return answers[0]
    abandoned.set()
    for answer in answers:  # it came between the last look and the word that nobody waits
        answer.close()
    raise deadline.overdue(about, mask_url(url), cause="the server does not come to the end of its headers")


def _hang_up(response: requests.Response) -> Any:
    """A function that ends the waiting for a body's next byte."""

    def hang_up() -> None:
        try:
            response.raw.shutdown()
        except (OSError, ValueError, RuntimeError):  # it has ended meanwhile
            return

    return hang_up


def _session(about: str) -> requests.Session:
    session = _Session(about)
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter())
    return session


class _Adapter(HTTPAdapter):
    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        """Drop a redirect's body unread: requests would read it all, and it may have no end."""
        response = super().send(*args, **kwargs)
        if response.is_redirect:
            response.raw.close()
        return response


class _Session(requests.Session):
    """Follows redirects, as long as they lead to a place that is as safe as the one before."""

    def __init__(self, about: str) -> None:
        super().__init__()
        self.max_redirects = MOST_REDIRECTS
        self._about = about

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Where an answer redirects to; None if it does not.

        Raises:
            SourceError: It leads from https to http, where anybody on the way may change the file, or to a place that
                is no web server.
        """
        try:
            target = super().get_redirect_target(resp)
            told = urljoin(resp.url, target or "")
            before, after = urlsplit(resp.url).scheme.lower(), urlsplit(told).scheme.lower()
        except ValueError as error:
            raise SourceError(
                "the server redirects to an address that makes no sense",
                about=self._about,
                where=mask_url(resp.url),
                cause=mask_text(str(error)),
                fix="open the address in a browser, and set TAXI_SOURCE to where the files are",
            ) from None
        if not target:
            return None
        way = f"{mask_url(resp.url)} to {mask_url(told)}"
        if after not in ("http", "https"):
            raise SourceError(
                f"the server redirects to a place that is no web server, {way}",
                about=self._about,
                fix="set TAXI_SOURCE to an https:// address that holds the files",
            )
        if (before, after) == ("https", "http"):
            raise SourceError(
                f"the server redirects from https to http, {way}",
                about=self._about,
                cause="on the way of an unencrypted answer anybody may change the file",
                fix="set TAXI_SOURCE to an https:// address that does not redirect to http",
            )
        return target
