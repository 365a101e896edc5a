"""Files over HTTP: conditional, resumable, bounded, and careful about what a refusal means."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import requests
import tenacity

from taxi_platform.core.source.arrival import Arrival, discard
from taxi_platform.core.source.checksums import announced_checksum
from taxi_platform.core.source.errors import OverdueError, SourceError, UnavailableError
from taxi_platform.core.source.files import Publication
from taxi_platform.core.source.headers import can_be_sent, retry_after, whole_number
from taxi_platform.core.source.partial import Partial
from taxi_platform.core.source.retry import Deadline, RetryPolicy
from taxi_platform.core.source.web import exchange
from taxi_platform.core.urls import mask_url

_T = TypeVar("_T")
_CHUNK = 1 << 18


@dataclass(frozen=True)
class HttpOrigin:
    """Probes and downloads URLs."""

    retry: RetryPolicy = field(default_factory=RetryPolicy)

    def probe(self, url: str, about: str) -> Publication | None:
        """What the server announces at `url`, without its body; None where there is no such file.

        Raises:
            UnavailableError: The server throttles, fails or cannot be reached, after every retry, or is too slow.
            SourceError: The server refuses for good.
        """
        deadline = Deadline(self.retry.deadline)

        def ask() -> Publication | None:
            with self._exchange("HEAD", url, about, deadline) as response:
                if _is_whole(response):
                    return _publication(url, response)
                if response.status_code == 404:
                    return None
            # Signed and picky servers refuse HEAD for a file they would give: only a GET tells.
            with self._exchange("GET", url, about, deadline) as response:
                return None if _is_absent(response) else _publication(url, _checked(response, url, about))

        return self._retrying(ask, None, deadline, about, url)

    def download(
        self,
        url: str,
        part: Path,
        known: Publication | None,
        about: str,
        log: logging.Logger,
        deadline: Deadline | None = None,
    ) -> Publication | None:
        """Bring the file at `url` to `part`, taking up an interrupted download where the server allows it.

        Args:
            url: What to fetch.
            part: Where the bytes go. What an earlier attempt left there, in this process or one that died, is kept
                if the server still has the same version.
            known: The version that is here already, if any.
            about: What it is to people.
            log: For progress and retries.
            deadline: When it has to be here; what the retry policy says, counted from now, if nothing is said.

        Returns:
            What was fetched; `known` itself if that is still the current version; None where there is no such file.

        Raises:
            UnavailableError: The server throttles, fails, drops the line or cannot be reached, after every retry, or is
                too slow.
            SourceError: The server refuses for good.
            CorruptError: More came than was announced.
            DiskFullError: The disk of `part` has no room for it.
        """
        deadline = deadline or Deadline(self.retry.deadline)
        return self._retrying(
            lambda: self._download_once(url, part, known, about, log, deadline), log, deadline, about, url
        )

    def _download_once(
        self, url: str, part: Path, known: Publication | None, about: str, log: logging.Logger, deadline: Deadline
    ) -> Publication | None:
        resumed = Partial.left_at(part, url)
        asked = resumed.headers if resumed else _conditions(known)
        with self._exchange("GET", url, about, deadline, asked) as response:
            if response.status_code == 304 and known is not None:
                return known
            if resumed is not None and not resumed.is_served_by(response):
                discard(part)
                raise UnavailableError(
                    "the server cannot take up the interrupted download", about=about, where=mask_url(url)
                )
            if _is_absent(response):
                return None
            is_rest = resumed is not None and response.status_code == 206
            announced = _publication(url, response if is_rest else _checked(response, url, about))
            if known is not None and response.status_code == 200 and announced.is_same_version_as(known):
                return known
            here = 0
            if resumed is not None and is_rest:
                # The rest of a version says no more of the whole than its checksum.
                here = resumed.size
                announced = replace(resumed.publication, checksum=resumed.publication.checksum or announced.checksum)
            arrival = Arrival(part, announced.bytes, about, mask_url(url), deadline, log)
            arrival.find_room(here)
            if here:
                log.info(f"{about}: taking up the download at byte {here:,}")
            else:
                Partial.begin(part, announced)
            arrival.write(_body_of(response), here)
        got = part.stat().st_size
        if announced.bytes is None or got < announced.bytes:
            deadline.check(about, mask_url(url), got)  # at its end it is not the server that hangs up
        if announced.bytes is not None and got < announced.bytes:
            raise UnavailableError(
                f"the connection was dropped (expected {announced.bytes:,} bytes, got {got:,})",
                about=about,
                where=mask_url(url),
                fix="run the month again: it goes on where it stopped, if the server can",
            )
        Partial.forget(part)
        return announced

    def _exchange(
        self, method: str, url: str, about: str, deadline: Deadline, headers: dict[str, str] | None = None
    ) -> AbstractContextManager[requests.Response]:
        return exchange(method, url, about, headers or {}, self.retry.timeout, deadline)

    def _retrying(
        self, ask: Callable[[], _T], log: logging.Logger | None, deadline: Deadline, about: str, url: str
    ) -> _T:
        first, longest = self.retry.first_wait, self.retry.longest_wait
        backoff = tenacity.wait_exponential(multiplier=first, max=longest) + tenacity.wait_random(0, first)

        def may_pass(error: BaseException) -> bool:
            return isinstance(error, UnavailableError) and not isinstance(error, OverdueError)

        def wait(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked = error.retry_after if isinstance(error, UnavailableError) else None
            return min(longest, max(backoff(state), asked or 0.0))

        def is_over(state: tenacity.RetryCallState) -> bool:
            return state.attempt_number >= self.retry.attempts or state.upcoming_sleep >= deadline.left

        def give_up(state: tenacity.RetryCallState) -> _T:
            error = state.outcome.exception() if state.outcome else None
            if state.attempt_number < self.retry.attempts:
                deadline.failed_before = None  # the last attempt says it all
                raise deadline.overdue(about, mask_url(url), cause=f"at last: {error}") from error
            raise error or AssertionError

        def go_on(state: tenacity.RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            if isinstance(error, UnavailableError):
                deadline.failed_before = error
            if log is not None and state.next_action is not None:
                log.warning(f"{error} Trying again in {state.next_action.sleep:.1f} s.")

        return tenacity.Retrying(
            retry=tenacity.retry_if_exception(may_pass),
            stop=is_over,
            wait=wait,
            before_sleep=go_on,
            retry_error_callback=give_up,
        )(ask)


def _body_of(response: requests.Response) -> Iterator[bytes]:
    """The bytes as they are stored, as they arrive.

    A server may call a .csv.gz "encoded" and have it unpacked on the way; and what came before the line dropped is
    kept, to the last byte.
    """
    response.raw.enforce_content_length = False  # what is missing is counted by the caller, over all requests
    while chunk := response.raw.read1(_CHUNK, decode_content=False):
        yield chunk


def _is_whole(response: requests.Response) -> bool:
    """Whether the answer is the file: 200, or 203 if a proxy on the way has a hand in it."""
    return response.status_code in (200, 203)


def _is_absent(response: requests.Response) -> bool:
    """Whether the answer means "no such file": 404, 410, or S3's 403 for a key that does not exist.

    A 403 by any other server, CloudFront above all, is throttling and proves nothing (measured: TLC's bucket answers
    `server: AmazonS3` for months it has not published).
    """
    of_s3 = response.status_code == 403 and response.headers.get("server", "").startswith("AmazonS3")
    return response.status_code in (404, 410) or of_s3


def _checked(response: requests.Response, url: str, about: str) -> requests.Response:
    """The answer, if it is the file.

    Raises:
        UnavailableError: It says that the file may be had later.
        SourceError: It is neither the file nor a promise of it.
    """
    status = response.status_code
    if _is_whole(response):
        return response
    if status in (202, 403, 408, 425, 429) or status >= 500:
        error = UnavailableError(
            f"the server {'throttles' if status in (403, 429) else 'fails'} (HTTP {status})",
            about=about,
            where=mask_url(url),
            fix="run the month again later",
        )
        error.retry_after = retry_after(response.headers, datetime.now(UTC))
        raise error
    if status < 400:
        raise SourceError(
            f"the server answers without the file (HTTP {status})",
            about=about,
            where=mask_url(url),
            fix="open the address in a browser, and set TAXI_SOURCE to where the files are",
        )
    raise SourceError(f"the server refuses (HTTP {status})", about=about, where=mask_url(url), fix="check TAXI_SOURCE")


def _publication(url: str, response: requests.Response) -> Publication:
    headers = response.headers
    return Publication(
        url=mask_url(url),
        bytes=whole_number(headers.get("content-length")),
        etag=headers.get("etag"),
        last_modified=headers.get("last-modified"),
        checksum=announced_checksum(response),
    )


def _conditions(known: Publication | None) -> dict[str, str]:
    if known is None:
        return {}
    if can_be_sent(known.etag):
        return {"If-None-Match": known.etag or ""}
    return {"If-Modified-Since": known.last_modified or ""} if can_be_sent(known.last_modified) else {}
