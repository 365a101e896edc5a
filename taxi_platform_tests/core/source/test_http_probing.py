"""Asking whether a month is published, without fetching it."""

from __future__ import annotations

import pytest

from taxi_platform.core.source import NotPublishedError, Publication, SourceError, UnavailableError
from taxi_platform_tests.core.source import months
from taxi_platform_tests.core.source.conftest import MONTH, Fetcher
from taxi_platform_tests.core.source.server import Answer, Request, Server, StoredFile

CSV_GZ, CSV, PARQUET = f"/{months.CSV_GZ}", f"/{months.CSV}", f"/{months.PARQUET}"
MONDAY = "Mon, 04 Jul 2022 10:00:00 GMT"


def probe(fetch: Fetcher, setting: str) -> Publication:
    return fetch.source(setting).probe(fetch.contract, MONTH)


def test_a_published_month_is_announced_by_its_headers_alone(fetch: Fetcher, server: Server) -> None:
    body = months.csv_gz(50)
    server.serve(CSV_GZ, StoredFile(body, last_modified=MONDAY))

    found = probe(fetch, server.url)

    assert found == Publication(f"{server.url}{CSV_GZ}", len(body), '"v1"', MONDAY)
    assert [request.method for request in server.requests] == ["HEAD"]
    assert server.sent == 0
    assert not fetch.raw_dir.exists()


def test_what_a_probe_announces_is_what_a_fetch_then_records(fetch: Fetcher, server: Server) -> None:
    server.serve(CSV_GZ, StoredFile(months.csv_gz(50), last_modified=MONDAY))
    assert probe(fetch, server.url).is_same_version_as(fetch(server.url).raw.publication)


def test_a_month_that_is_nowhere_is_not_published(fetch: Fetcher, server: Server) -> None:
    with pytest.raises(NotPublishedError):
        probe(fetch, server.url)
    assert [(request.method, request.path) for request in server.requests] == [
        ("HEAD", CSV_GZ),
        ("HEAD", CSV),
        ("HEAD", PARQUET),
    ]


def test_a_403_of_s3_means_not_published(fetch: Fetcher, server: Server) -> None:
    for path in (CSV_GZ, CSV, PARQUET):
        server.serve(path, Answer(403, headers={"Server": "AmazonS3"}))
    with pytest.raises(NotPublishedError):
        probe(fetch, server.url)
    assert len([request for request in server.requests if request.method == "HEAD"]) == 3


def test_throttling_is_not_taken_for_not_published(fetch: Fetcher, server: Server) -> None:
    server.serve(CSV_GZ, Answer(403, headers={"Server": "CloudFront"}))
    with pytest.raises(UnavailableError):
        probe(fetch, server.url)


def test_a_refusal_for_good_is_an_error(fetch: Fetcher, server: Server) -> None:
    server.serve(CSV_GZ, Answer(401))
    with pytest.raises(SourceError, match="refuses"):
        probe(fetch, server.url)


def test_where_head_is_refused_a_get_tells_without_its_body(fetch: Fetcher, server: Server) -> None:
    body = b"x" * 32_000_000  # more than a socket can hold: it is either read or left unsent

    def refuses_head(request: Request) -> Answer:
        return Answer(405) if request.method == "HEAD" else Answer(200, body, {"ETag": '"v1"'})

    server.serve(CSV_GZ, refuses_head)

    assert probe(fetch, server.url) == Publication(f"{server.url}{CSV_GZ}", len(body), '"v1"')
    assert [request.method for request in server.requests] == ["HEAD", "GET"]
    assert server.sent < len(body) / 2
