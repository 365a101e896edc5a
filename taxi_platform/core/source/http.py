"""Files over HTTP: conditional, resumable, and careful about what a refusal means."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import requests
import tenacity
import urllib3
from requests.structures import CaseInsensitiveDict

from taxi_platform.core.files import write_text
from taxi_platform.core.source.errors import SourceError, UnavailableError
from taxi_platform.core.source.files import Publication
from taxi_platform.core.source.progress import Progress
from taxi_platform.core.source.retry import RetryPolicy
from taxi_platform.core.urls import mask_url

_T = TypeVar("_T")
_CHUNK = 1 << 18
_HEADERS = {"User-Agent": "taxi-platform (+https://www.nyc.gov/site/tlc)", "Accept-Encoding": "identity"}


@dataclass(frozen=True)
class HttpOrigin:
    """Probes and downloads URLs."""

    retry: RetryPolicy = field(default_factory=RetryPolicy)

    def probe(self, url: str, about: str) -> Publication | None:
        """What the server announces at `url`, without its body; None where there is no such file.

        Raises:
            UnavailableError: The server throttles, fails or cannot be reached, after every retry.
            SourceError: The server refuses for good.
        """

        def ask() -> Publication | None:
            with self._exchange("HEAD", url, about) as response:
                if response.ok:
                    return _publication(url, response)
                if response.status_code == 404:
                    return None
            # Signed and picky servers refuse HEAD for a file they would give: only a GET tells.
            with self._exchange("GET", url, about) as response:
                return None if _is_absent(response) else _publication(url, _checked(response, url, about))

        return self._retrying(ask, None)

    def download(
        self, url: str, part: Path, known: Publication | None, about: str, log: logging.Logger
    ) -> Publication | None:
        """Bring the file at `url` to `part`, taking up an interrupted download where the server allows it.

        Args:
            url: What to fetch.
            part: Where the bytes go. What an earlier attempt left there, in this process or one that died, is kept
                if the server still has the same version.
            known: The version that is here already, if any.
            about: What it is to people.
            log: For progress and retries.

        Returns:
            What was fetched; `known` itself if that is still the current version; None where there is no such file.

        Raises:
            UnavailableError: The server throttles, fails, drops the line or cannot be reached, after every retry.
            SourceError: The server refuses for good.
        """
        return self._retrying(lambda: self._download_once(url, part, known, about, log), log)

    def _download_once(
        self, url: str, part: Path, known: Publication | None, about: str, log: logging.Logger
    ) -> Publication | None:
        resumed = _Partial.left_at(part, url)
        with self._exchange("GET", url, about, resumed.headers if resumed else _conditions(known)) as response:
            if response.status_code == 304 and known is not None:
                return known
            if resumed is not None and not resumed.is_served_by(response):
                part.unlink(missing_ok=True)
                raise UnavailableError(
                    "the server cannot take up the interrupted download", about=about, where=mask_url(url)
                )
            if _is_absent(response):
                return None
            announced = _publication(url, _checked(response, url, about))
            if known is not None and response.status_code == 200 and announced.is_same_version_as(known):
                return known
            if resumed is not None and response.status_code == 206:
                announced = resumed.publication
                log.info(f"{about}: taking up the download at byte {resumed.size:,}")
            else:
                resumed = None
                _Partial.begin(part, announced)
            progress = Progress(log, about, announced.bytes, resumed.size if resumed else 0)
            response.raw.enforce_content_length = False  # what is missing is counted below, over all requests
            with part.open("ab" if resumed else "wb") as file:
                # The bytes as they are stored: a server may call a .csv.gz "encoded" and have it unpacked on the way.
                # And as they arrive: what came before the line dropped is kept, to the last byte.
                while chunk := response.raw.read1(_CHUNK, decode_content=False):
                    file.write(chunk)
                    progress.add(len(chunk))
        got = part.stat().st_size
        if announced.bytes is not None and got < announced.bytes:
            raise UnavailableError(
                f"the connection was dropped (expected {announced.bytes:,} bytes, got {got:,})",
                about=about,
                where=mask_url(url),
                fix="run the month again: it goes on where it stopped, if the server can",
            )
        _Partial.forget(part)
        return announced

    @contextmanager
    def _exchange(
        self, method: str, url: str, about: str, headers: dict[str, str] | None = None
    ) -> Generator[requests.Response, None, None]:
        try:
            with requests.request(
                method,
                url,
                headers=_HEADERS | (headers or {}),
                stream=True,
                allow_redirects=True,
                timeout=(min(10.0, self.retry.timeout), self.retry.timeout),
            ) as response:
                yield response
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise UnavailableError(
                f"the server could not be reached or dropped the line ({type(error).__name__})",
                about=about,
                where=mask_url(url),
                cause=mask_url(str(error)),
                fix="check the network and TAXI_SOURCE, then run the month again",
            ) from error

    def _retrying(self, ask: Callable[[], _T], log: logging.Logger | None) -> _T:
        first, longest = self.retry.first_wait, self.retry.longest_wait
        backoff = tenacity.wait_exponential(multiplier=first, max=longest) + tenacity.wait_random(0, first)

        def wait(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked = error.retry_after if isinstance(error, UnavailableError) else None
            return min(longest, max(backoff(state), asked or 0.0))

        def say(state: tenacity.RetryCallState) -> None:
            if log is not None and state.outcome is not None and state.next_action is not None:
                log.warning(f"{state.outcome.exception()} Trying again in {state.next_action.sleep:.1f} s.")

        return tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(UnavailableError),
            stop=tenacity.stop_after_attempt(self.retry.attempts),
            wait=wait,
            before_sleep=say,
            reraise=True,
        )(ask)


def _is_absent(response: requests.Response) -> bool:
    """Whether the answer means "no such file": 404, 410, or S3's 403 for a key that does not exist.

    A 403 by any other server, CloudFront above all, is throttling and proves nothing (measured: TLC's bucket answers
    `server: AmazonS3` for months it has not published).
    """
    of_s3 = response.status_code == 403 and response.headers.get("server", "").startswith("AmazonS3")
    return response.status_code in (404, 410) or of_s3


def _checked(response: requests.Response, url: str, about: str) -> requests.Response:
    status = response.status_code
    if response.ok:
        return response
    if status in (403, 408, 425, 429) or status >= 500:
        error = UnavailableError(
            f"the server {'throttles' if status in (403, 429) else 'fails'} (HTTP {status})",
            about=about,
            where=mask_url(url),
            fix="run the month again later",
        )
        waits = response.headers.get("retry-after", "")
        error.retry_after = float(waits) if waits.isdigit() else None
        raise error
    raise SourceError(f"the server refuses (HTTP {status})", about=about, where=mask_url(url), fix="check TAXI_SOURCE")


def _publication(url: str, response: requests.Response) -> Publication:
    headers: CaseInsensitiveDict[str] = response.headers
    length = headers.get("content-length", "")
    return Publication(
        url=mask_url(url),
        bytes=int(length) if length.isdigit() else None,
        etag=headers.get("etag"),
        last_modified=headers.get("last-modified"),
    )


def _conditions(known: Publication | None) -> dict[str, str]:
    if known is None:
        return {}
    if known.etag:
        return {"If-None-Match": known.etag}
    return {"If-Modified-Since": known.last_modified} if known.last_modified else {}


@dataclass(frozen=True)
class _Partial:
    """What an interrupted download left, and of which version it is a part."""

    publication: Publication
    size: int

    @property
    def headers(self) -> dict[str, str]:
        """Ask for the rest, if it is still the same version; a server that cannot do that sends all of it."""
        etag = self.publication.etag
        version = etag if etag and not etag.startswith("W/") else self.publication.last_modified
        return {"Range": f"bytes={self.size}-", "If-Range": version or ""}

    def is_served_by(self, response: requests.Response) -> bool:
        """Whether the answer can be used.

        It cannot if it refuses the range, or if it is the rest of another version: some servers ignore If-Range.
        """
        if response.status_code != 206:
            return response.status_code != 416
        headers, ours = response.headers, self.publication
        return (
            headers.get("content-range", "").startswith(f"bytes {self.size}-")
            and headers.get("etag", ours.etag) == ours.etag
            and headers.get("last-modified", ours.last_modified) == ours.last_modified
        )

    @classmethod
    def left_at(cls, part: Path, url: str) -> _Partial | None:
        record = _record_of(part)
        if not (part.exists() and record.exists()) or not (size := part.stat().st_size):
            return None
        publication = Publication(**json.loads(record.read_text(encoding="utf-8")))
        versioned = bool(publication.etag and not publication.etag.startswith("W/")) or bool(publication.last_modified)
        return cls(publication, size) if versioned and publication.url == mask_url(url) else None

    @staticmethod
    def begin(part: Path, publication: Publication) -> None:
        part.unlink(missing_ok=True)
        write_text(_record_of(part), json.dumps(publication.__dict__))

    @staticmethod
    def forget(part: Path) -> None:
        _record_of(part).unlink(missing_ok=True)


def _record_of(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")
