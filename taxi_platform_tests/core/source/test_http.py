"""Fetching over HTTP: what is published, what is current, what is refused, what is broken."""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from taxi_platform.core.source import CorruptError, NotPublishedError, RetryPolicy, SourceError, UnavailableError
from taxi_platform_tests.core.source import months
from taxi_platform_tests.core.source.conftest import IMPATIENT, LOG, MONTH, Fetcher
from taxi_platform_tests.core.source.server import Answer, Server, StoredFile

CSV_GZ, CSV, PARQUET = f"/{months.CSV_GZ}", f"/{months.CSV}", f"/{months.PARQUET}"
MAINTENANCE = b"\n<!DOCTYPE html><html><body>Down for maintenance</body></html>"
MONDAY = "Mon, 04 Jul 2022 10:00:00 GMT"
TUESDAY = "Tue, 05 Jul 2022 10:00:00 GMT"


def test_a_published_month_is_fetched_verified_and_recorded(fetch: Fetcher, server: Server) -> None:
    body = months.csv_gz(500)
    server.serve(CSV_GZ, StoredFile(body, last_modified=MONDAY))

    fetched = fetch(server.url)

    raw = fetched.raw
    assert fetched.changed
    assert raw.path == fetch.folder / months.CSV_GZ
    assert raw.path.read_bytes() == body
    assert (raw.rows, raw.bytes, raw.encoding, raw.edition) == (500, len(body), "utf-8", "csv")
    assert raw.sha256 == hashlib.sha256(body).hexdigest()
    assert raw.publication.url == f"{server.url}{CSV_GZ}"
    assert (raw.publication.etag, raw.publication.last_modified) == ('"v1"', MONDAY)
    assert fetch.left == {months.CSV_GZ, "provenance.json"}


def test_the_provenance_reads_back_as_it_was_written(fetch: Fetcher, server: Server) -> None:
    server.serve(CSV_GZ, StoredFile(months.csv_gz(5), last_modified=MONDAY))
    raw = fetch(server.url).raw
    assert type(raw).in_folder(fetch.folder) == raw
    assert raw.fetched_at.endswith("+00:00")


def test_a_raw_file_that_was_cut_or_removed_after_it_was_recorded_is_fetched_again(
    fetch: Fetcher, server: Server
) -> None:
    body = months.csv_gz(50)
    server.serve(CSV_GZ, StoredFile(body))
    raw = fetch(server.url).raw

    raw.path.write_bytes(body[:-1])
    assert fetch(server.url).changed
    raw.path.unlink()
    assert fetch(server.url).changed
    assert raw.path.read_bytes() == body


def test_a_raw_file_that_was_changed_and_is_as_long_as_before_is_fetched_again(fetch: Fetcher, server: Server) -> None:
    body = months.csv_gz(50)
    server.serve(CSV_GZ, StoredFile(body))
    raw = fetch(server.url).raw

    raw.path.write_bytes(body[:-9] + bytes([body[-9] ^ 1]) + body[-8:])
    again = fetch(server.url)

    assert again.changed
    assert raw.path.read_bytes() == body


def test_an_unchanged_month_is_asked_for_by_its_etag_and_no_body_is_sent(fetch: Fetcher, server: Server) -> None:
    server.serve(CSV_GZ, StoredFile(months.csv_gz(50)))
    first = fetch(server.url)
    sent = server.sent

    second = fetch(server.url)

    assert not second.changed
    assert second.raw == first.raw
    assert server.sent == sent
    assert server.asked(CSV_GZ)[-1].headers["If-None-Match"] == '"v1"'


def test_a_republished_month_replaces_the_one_that_is_here(fetch: Fetcher, server: Server) -> None:
    server.serve(CSV_GZ, StoredFile(months.csv_gz(50)))
    fetch(server.url)
    server.serve(CSV_GZ, StoredFile(months.csv_gz(60, seed=1), etag='"v2"'))

    fetched = fetch(server.url)

    assert fetched.changed
    assert fetched.raw.rows == 60
    assert fetch.left == {months.CSV_GZ, "provenance.json"}


def test_without_etags_the_same_size_and_time_of_change_mean_unchanged_and_the_body_is_not_read(
    fetch: Fetcher, server: Server
) -> None:
    # More than a socket can hold: it is either read or left unsent.
    body = months.csv(1) + (b"2," + b"x" * 1_000_000 + b"\r\n") * 32
    server.serve(CSV, Answer(200, body, {"Last-Modified": MONDAY}))
    first = fetch(server.url)
    sent = server.sent

    second = fetch(server.url)

    assert not second.changed
    assert second.raw == first.raw
    assert server.asked(CSV)[-1].headers["If-Modified-Since"] == MONDAY
    assert server.sent - sent < len(body) / 2


@pytest.mark.parametrize(
    "changed",
    [Answer(200, months.csv(9), {"Last-Modified": TUESDAY}), Answer(200, months.csv(10), {"Last-Modified": MONDAY})],
    ids=["another time", "another size"],
)
def test_without_etags_another_size_or_time_of_change_means_changed(
    fetch: Fetcher, server: Server, changed: Answer
) -> None:
    server.serve(CSV, Answer(200, months.csv(9), {"Last-Modified": MONDAY}))
    fetch(server.url)
    server.serve(CSV, changed)
    assert fetch(server.url).changed


def test_a_body_of_unknown_length_is_fetched(fetch: Fetcher, server: Server) -> None:
    server.serve(CSV_GZ, Answer(200, months.csv_gz(50), names_length=False))
    raw = fetch(server.url).raw
    assert raw.rows == 50
    assert raw.publication.bytes is None


def test_a_redirect_is_followed_and_the_first_address_is_the_one_recorded(fetch: Fetcher, server: Server) -> None:
    server.serve(CSV_GZ, Answer(302, headers={"Location": f"{server.url}/signed?X-Amz-Signature=abc"}))
    server.serve("/signed?X-Amz-Signature=abc", StoredFile(months.csv_gz(50)))
    raw = fetch(server.url).raw
    assert raw.path.name == months.CSV_GZ
    assert raw.publication.url == f"{server.url}{CSV_GZ}"


def test_the_forms_of_a_month_are_tried_packed_first_then_plain_then_parquet(fetch: Fetcher, server: Server) -> None:
    server.serve(PARQUET, StoredFile(months.parquet(7)))
    raw = fetch(server.url).raw
    assert [request.path for request in server.requests] == [CSV_GZ, CSV, PARQUET]
    assert (raw.rows, raw.edition) == (7, "parquet")


def test_a_month_that_is_nowhere_is_not_published_and_leaves_no_folder(fetch: Fetcher, server: Server) -> None:
    with pytest.raises(NotPublishedError, match="green 2020-04: not published by this source") as error:
        fetch(server.url)
    assert not error.value.may_pass_later
    assert "TLC publishes a month" in str(error.value)
    assert not fetch.folder.exists()


def test_a_403_of_s3_means_not_published_and_is_asked_once(fetch: Fetcher, server: Server) -> None:
    for path in (CSV_GZ, CSV, PARQUET):
        server.serve(path, Answer(403, b"<Error><Code>AccessDenied</Code></Error>", {"Server": "AmazonS3"}))
    with pytest.raises(NotPublishedError):
        fetch(server.url)
    assert [request.path for request in server.requests] == [CSV_GZ, CSV, PARQUET]


def test_a_403_of_another_server_is_throttling_retried_and_then_unavailable(fetch: Fetcher, server: Server) -> None:
    server.serve(CSV_GZ, Answer(403, headers={"Server": "CloudFront"}))
    with pytest.raises(UnavailableError, match=r"throttles \(HTTP 403\)") as error:
        fetch(server.url)
    assert error.value.may_pass_later
    assert len(server.requests) == IMPATIENT.attempts
    assert not fetch.folder.exists()


def test_a_month_already_here_is_kept_when_it_is_published_no_more(fetch: Fetcher, server: Server) -> None:
    server.serve(CSV_GZ, StoredFile(months.csv_gz(50)))
    raw = fetch(server.url).raw
    server.serve(CSV_GZ, Answer(404))
    with pytest.raises(NotPublishedError):
        fetch(server.url)
    assert type(raw).in_folder(fetch.folder) == raw


def test_a_server_that_fails_twice_is_asked_a_third_time(
    fetch: Fetcher, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.serve(CSV_GZ, Answer(503), Answer(503), StoredFile(months.csv_gz(50)))
    with caplog.at_level(logging.WARNING):
        assert fetch(server.url).raw.rows == 50
    assert len(server.requests) == 3
    assert sum("HTTP 503" in message and "Trying again in" in message for message in caplog.messages) == 2


@pytest.mark.parametrize(("longest_wait", "at_least", "less_than"), [(60.0, 1.0, 10.0), (0.2, 0.2, 1.0)])
def test_retry_after_is_honoured_up_to_the_longest_wait(
    fetch: Fetcher, server: Server, longest_wait: float, at_least: float, less_than: float
) -> None:
    server.serve(CSV_GZ, Answer(503, headers={"Retry-After": "1"}), StoredFile(months.csv_gz(50)))
    fetch(server.url, RetryPolicy(attempts=2, first_wait=0.001, longest_wait=longest_wait))
    first, second = server.requests
    assert at_least <= second.at - first.at < less_than


def test_a_retry_after_that_is_a_date_is_no_obstacle(fetch: Fetcher, server: Server) -> None:
    server.serve(CSV_GZ, Answer(429, headers={"Retry-After": MONDAY}), StoredFile(months.csv_gz(50)))
    assert fetch(server.url).raw.rows == 50


@pytest.mark.parametrize("status", [202, 408, 425, 429, 500, 502, 503, 504])
def test_an_answer_that_promises_better_times_is_asked_for_again(fetch: Fetcher, server: Server, status: int) -> None:
    server.serve(CSV_GZ, Answer(status), StoredFile(months.csv_gz(50)))
    assert fetch(server.url).raw.rows == 50
    assert len(server.requests) == 2


def test_a_retry_after_that_is_a_coming_date_is_honoured_up_to_the_longest_wait(fetch: Fetcher, server: Server) -> None:
    coming = format_datetime(datetime.now(UTC) + timedelta(days=1), usegmt=True)
    server.serve(CSV_GZ, Answer(503, headers={"Retry-After": coming}), StoredFile(months.csv_gz(50)))
    fetch(server.url, RetryPolicy(attempts=2, first_wait=0.001, longest_wait=0.2))
    first, second = server.requests
    assert second.at - first.at >= 0.2  # it would be at most 0.002 s, were the date not understood


def test_a_server_that_always_fails_is_unavailable_after_every_attempt(fetch: Fetcher, server: Server) -> None:
    server.serve(CSV_GZ, Answer(503))
    with pytest.raises(UnavailableError, match=r"the server fails \(HTTP 503\)"):
        fetch(server.url)
    assert len(server.requests) == IMPATIENT.attempts


def test_a_refusal_for_good_is_not_retried(fetch: Fetcher, server: Server) -> None:
    server.serve(CSV_GZ, Answer(401))
    with pytest.raises(SourceError, match=r"refuses \(HTTP 401\)") as error:
        fetch(server.url)
    assert not error.value.may_pass_later
    assert len(server.requests) == 1


def test_a_server_that_is_not_there_is_unavailable(fetch: Fetcher) -> None:
    with socket.socket() as taken:  # bound and not listening: nobody else gets the port, and nobody answers
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(UnavailableError, match="could not be reached") as error:
            fetch(f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert error.value.may_pass_later
    assert not fetch.folder.exists()


_FULL = months.csv_gz(2000)
BROKEN = {
    "a web page": (CSV_GZ, MAINTENANCE, "a web page came instead of the file"),
    "an S3 error": (CSV, b"<Error><Code>NoSuchKey</Code></Error>", "a web page came instead of the file"),
    "a web page with a comment first": (PARQUET, b"<!-- 503 --><html></html>", "a web page came instead of the file"),
    "a cut gzip": (CSV_GZ, _FULL[: len(_FULL) // 2], "does not read to its end"),
    "a gzip without its last byte": (CSV_GZ, _FULL[:-1], "does not read to its end"),
    "a gzip with a wrong byte": (CSV_GZ, _FULL[:9000] + bytes([_FULL[9000] ^ 1]) + _FULL[9001:], "does not read"),
    "a Parquet without footer": (
        PARQUET,
        months.parquet(5)[:-12],
        "neither text nor Parquet|the Parquet file is damaged",
    ),
    "a Parquet with a garbled footer": (
        PARQUET,
        b"PAR1" + b"\x99" * 96 + b"\x50\0\0\0PAR1",
        "the Parquet file is damaged",
    ),
    "a text called Parquet": (PARQUET, b"Not found" * 50, "a text came instead of the file: 'Not found"),
    "nothing": (CSV, b"", "the file is empty"),
    "nothing, packed": (CSV_GZ, gzip.compress(b""), "the file has no header"),
    "blanks": (CSV, b"\r\n" * 400, "the file has no header"),
}


@pytest.mark.parametrize(("path", "body", "message"), BROKEN.values(), ids=BROKEN)
def test_what_is_not_the_file_is_corrupt_not_retried_and_leaves_nothing(
    fetch: Fetcher, server: Server, path: str, body: bytes, message: str
) -> None:
    server.serve(path, StoredFile(body))
    with pytest.raises(CorruptError, match=message) as error:
        fetch(server.url)
    assert not error.value.may_pass_later
    assert len(server.asked(path)) == 1
    assert not fetch.folder.exists()


@pytest.mark.parametrize("body", [MAINTENANCE, _FULL[:-100]], ids=["a web page", "a cut gzip"])
def test_a_good_file_is_kept_when_a_broken_one_is_published(fetch: Fetcher, server: Server, body: bytes) -> None:
    server.serve(CSV_GZ, StoredFile(_FULL))
    good = fetch(server.url).raw
    server.serve(CSV_GZ, StoredFile(body, etag='"v2"'))

    with pytest.raises(CorruptError):
        fetch(server.url)

    assert type(good).in_folder(fetch.folder) == good
    assert good.path.read_bytes() == _FULL
    assert fetch.left == {months.CSV_GZ, "provenance.json"}


def test_a_packed_file_that_the_server_calls_encoded_is_kept_as_it_is_stored(fetch: Fetcher, server: Server) -> None:
    headers = {"Content-Encoding": "gzip", "Content-Type": "text/csv"}
    server.serve(CSV_GZ, Answer(200, _FULL, headers))
    assert fetch(server.url).raw.path.read_bytes() == _FULL
    assert server.requests[0].headers["Accept-Encoding"] == "identity"


def test_when_another_edition_becomes_the_months_file_the_old_one_goes(fetch: Fetcher, server: Server) -> None:
    server.serve(PARQUET, StoredFile(months.parquet(7)))
    fetch(server.url)
    server.serve(CSV_GZ, StoredFile(_FULL))
    assert fetch(server.url).changed
    assert fetch.left == {months.CSV_GZ, "provenance.json"}


SECRETIVE = {
    "fails": (Answer(503), UnavailableError),
    "refuses": (Answer(400), SourceError),
    "drops the line": (Answer(200, _FULL, cut_at=1000), UnavailableError),
    "has a web page": (Answer(200, MAINTENANCE), CorruptError),
    "has nothing": (Answer(404), NotPublishedError),
    "redirects to nowhere": (Answer(302, headers={"Location": "http://127.0.0.1:9/x?sig=s3cr"}), UnavailableError),
}


@pytest.mark.parametrize(("answer", "kind"), SECRETIVE.values(), ids=SECRETIVE)
def test_a_password_is_in_no_error_and_no_log(
    fetch: Fetcher, server: Server, caplog: pytest.LogCaptureFixture, answer: Answer, kind: type[SourceError]
) -> None:
    server.serve(CSV_GZ, answer)
    address = server.url.replace("http://", "http://reader:s3cr%2Ft%40home@")
    with caplog.at_level(logging.INFO, logger=LOG.name), pytest.raises(kind) as error:
        fetch(address)
    assert "***" in str(error.value)
    assert "s3cr" not in str(error.value)
    assert "s3cr" not in "".join(record.getMessage() for record in caplog.records if record.name == LOG.name)


def test_a_password_is_sent_and_neither_announced_nor_recorded(fetch: Fetcher, server: Server) -> None:
    server.serve(CSV_GZ, StoredFile(_FULL))
    address = server.url.replace("http://", "http://reader:s3cr%2Ft%40home@")

    found = fetch.source(address).probe(fetch.contract, MONTH)
    raw = fetch(address).raw
    again = fetch(address)

    assert all(request.headers["Authorization"].startswith("Basic ") for request in server.requests)
    masked = server.url.replace("http://", "http://reader:***@") + CSV_GZ
    assert found.url == raw.publication.url == masked
    assert not again.changed
    record = (fetch.folder / "provenance.json").read_text(encoding="utf-8")
    assert "s3cr" not in record
    assert json.loads(record)["publication"]["url"] == masked
