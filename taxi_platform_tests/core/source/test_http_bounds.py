"""A server may be wrong, slow or malicious: what it sends has bounds, and where it sends us has, too."""

from __future__ import annotations

import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from taxi_platform.core.errors import DiskFullError
from taxi_platform.core.source import CorruptError, RetryPolicy, SourceError, UnavailableError
from taxi_platform.core.source.retry import DEADLINE_SECONDS, LOCK_SECONDS
from taxi_platform_tests.core.source import months
from taxi_platform_tests.core.source.conftest import IMPATIENT, LOG, MONTH, Fetcher
from taxi_platform_tests.core.source.server import Answer, Request, Server, StoredFile, running_server
from taxi_platform_tests.disks import disk
from taxi_platform_tests.postgres_proxy import self_signed

PATH = f"/{months.CSV}"
PART, RECORD = f".{months.CSV}.part", f".{months.CSV}.part.json"
BODY = months.csv(8000)
HALF = len(BODY) // 2
LARGE = b"x" * 3_000_000
BRIEF = replace(IMPATIENT, attempts=50, deadline=1.0)
#: Far below what the tests would take if nothing ended them.
SOON = 30.0


def announcing(length: str, body: bytes = BODY, **headers: str) -> Answer:
    return Answer(200, body, {"Content-Length": length, **headers}, names_length=False)


def chunked(body: bytes, *, ended: bool = True) -> bytes:
    return b"%x\r\n%s\r\n" % (len(body), body) + (b"0\r\n\r\n" if ended else b"")


# Room


def test_a_server_that_announces_more_than_the_disk_holds_is_refused_before_the_first_byte(
    fetch: Fetcher, server: Server
) -> None:
    server.serve(PATH, announcing(str(10**16)))
    with pytest.raises(DiskFullError, match=r"green 2020-04: the disk has no room for the published file of 10\.0 PB"):
        fetch(server.url)
    assert fetch.left == set()
    assert len(server.asked(PATH)) == 1


def test_the_refusal_names_the_disk_and_its_figures_and_not_the_source(fetch: Fetcher, server: Server) -> None:
    server.serve(PATH, Answer(200, LARGE))
    with disk(fetch.raw_dir, "2m"):
        with pytest.raises(DiskFullError) as raised:
            fetch(server.url)
        assert fetch.left == set()
    told = str(raised.value)
    assert f"of 3.0 MB at {fetch.folder}. Cause: 2.1 MB are free, of which 104.9 kB are kept" in told
    assert "Fix: point TAXI_DATA_DIR" in told
    assert server.url not in told
    assert not raised.value.may_pass_later


def test_a_body_of_unknown_length_stops_at_the_reserve_and_leaves_nothing(fetch: Fetcher, server: Server) -> None:
    server.serve(PATH, Answer(200, BODY, {"ETag": '"v1"'}, names_length=False, repeats=True))
    with disk(fetch.raw_dir, "4m"):
        with pytest.raises(DiskFullError, match="whose size the source does not say"):
            fetch(server.url)
        assert fetch.left == set()
    assert len(server.asked(PATH)) == 1


def test_a_part_that_was_taken_up_goes_too_when_the_rest_finds_no_room(fetch: Fetcher, server: Server) -> None:
    server.serve(PATH, StoredFile(LARGE, cut_at=1_000_000))
    with disk(fetch.raw_dir, "8m") as small:
        with pytest.raises(UnavailableError):
            fetch(server.url, RetryPolicy(attempts=1))
        assert fetch.left == {PART, RECORD}
        (small / "others").write_bytes(b"x" * 6_000_000)
        server.serve(PATH, StoredFile(LARGE))
        with pytest.raises(DiskFullError, match=r"the rest of the published file, of 2\.0 MB"):
            fetch(server.url)
        assert fetch.left == set()


def test_what_is_here_of_a_part_is_not_asked_room_for_again(fetch: Fetcher, server: Server) -> None:
    server.serve(PATH, StoredFile(months.csv(40_000), cut_at=2_500_000))
    size = len(months.csv(40_000))
    with disk(fetch.raw_dir, str(size + 900_000)):
        with pytest.raises(UnavailableError):
            fetch(server.url, RetryPolicy(attempts=1))
        server.serve(PATH, StoredFile(months.csv(40_000)))
        assert fetch(server.url).raw.rows == 40_000


def test_a_disk_that_others_fill_meanwhile_is_told_as_full_at_its_path_and_the_part_goes(
    fetch: Fetcher, server: Server
) -> None:
    with disk(fetch.raw_dir, "1m", "nr_inodes=7"):  # enough for the folders and the locks, not for the record
        server.serve(PATH, StoredFile(BODY))
        with pytest.raises(DiskFullError, match="the disk takes no more files") as raised:
            fetch(server.url)
        assert str(fetch.folder) in str(raised.value)
        assert fetch.left == set()


def test_the_month_that_is_here_stands_when_its_successor_finds_no_room(fetch: Fetcher, server: Server) -> None:
    server.serve(PATH, StoredFile(BODY))
    raw = fetch(server.url).raw
    server.serve(PATH, announcing(str(10**16), ETag='"v2"'))
    with pytest.raises(DiskFullError):
        fetch(server.url)
    assert type(raw).in_folder(fetch.folder) == raw
    assert fetch.left == {months.CSV, "provenance.json"}


# More than announced


def test_more_than_announced_is_refused_at_once_and_leaves_nothing(fetch: Fetcher, server: Server) -> None:
    endless = chunked(BODY, ended=False)
    headers = {"Content-Length": str(HALF), "Transfer-Encoding": "chunked", "ETag": '"v1"'}
    server.serve(PATH, Answer(200, endless, headers, names_length=False, repeats=True))
    with pytest.raises(CorruptError, match=f"more came than was announced \\(expected {HALF:,} bytes, got "):
        fetch(server.url)
    assert fetch.left == set()
    assert len(server.asked(PATH)) == 1


def test_a_rest_that_is_longer_than_what_is_missing_is_refused(fetch: Fetcher, server: Server) -> None:
    span = {"ETag": '"v1"', "Content-Range": f"bytes {HALF}-{len(BODY) - 1}/*"}
    server.serve(PATH, StoredFile(BODY, cut_at=HALF), Answer(206, BODY, span))
    with pytest.raises(CorruptError, match="more came than was announced"):
        fetch(server.url)
    assert fetch.left == set()


def test_a_part_nobody_asked_for_is_not_taken_for_the_whole(fetch: Fetcher, server: Server) -> None:
    span = f"bytes 0-{HALF - 1}/{len(BODY)}"
    server.serve(PATH, Answer(206, BODY[:HALF], {"Content-Range": span}))
    with pytest.raises(SourceError, match=r"answers without the file \(HTTP 206\)"):
        fetch(server.url)


@pytest.mark.parametrize("status", [204, 205, 300, 302, 304])
def test_an_answer_that_is_neither_the_file_nor_an_error_is_not_taken_for_the_file(
    fetch: Fetcher, server: Server, status: int
) -> None:
    server.serve(PATH, Answer(status, names_length=False))
    with pytest.raises(SourceError, match=rf"answers without the file \(HTTP {status}\)"):
        fetch(server.url)
    with pytest.raises(SourceError, match="answers without the file"):
        fetch.source(server.url).probe(fetch.contract, MONTH)


# Time


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, BODY, {"ETag": '"v1"'}, pace=0.05),
        Answer(200, BODY, {"ETag": '"v1"'}, pace=0.05, names_length=False),
        Answer(200, b"1" * 4000, {"ETag": '"v1"', "Transfer-Encoding": "chunked"}, pace=0.05, names_length=False),
        Answer(200, b"0\r\nX: y\r\n", {"Transfer-Encoding": "chunked"}, pace=0.01, names_length=False, repeats=True),
        Answer(200, headers_pace=0.05, names_length=False),
        Answer(200, BODY, stall_at=HALF),
        Answer(503, headers={"Retry-After": "3600"}),
    ],
    ids=["bytes", "bytes of unknown number", "a chunk's size", "trailers", "headers", "a stall", "refusals"],
)
def test_one_deadline_ends_a_fetch_however_the_server_spends_the_time(
    fetch: Fetcher, server: Server, answer: Answer
) -> None:
    server.serve(PATH, answer)
    started = time.monotonic()
    with pytest.raises(UnavailableError, match="the source did not give the file within 1 s") as raised:
        fetch(server.url, replace(BRIEF, longest_wait=3600.0))
    assert time.monotonic() - started < SOON
    assert raised.value.may_pass_later
    assert "it goes on where it stopped" in str(raised.value)
    assert len(server.asked(PATH)) == 1


def test_the_deadline_counts_over_all_attempts(fetch: Fetcher, server: Server) -> None:
    server.serve(PATH, Answer(503))
    policy = RetryPolicy(attempts=10**6, first_wait=0.001, longest_wait=0.05, deadline=1.0)
    with pytest.raises(UnavailableError, match="within 1 s") as raised:
        fetch(server.url, policy)
    assert "HTTP 503" in str(raised.value)
    assert 1 < len(server.asked(PATH)) < 10**4


def test_a_deadline_that_ends_while_an_answer_is_awaited_tells_what_failed_before(
    fetch: Fetcher, server: Server
) -> None:
    def fails_and_then_says_nothing(_: Request) -> Answer:
        if len(server.asked(PATH)) > 1:
            server.closing.wait(10.0)
        return Answer(503)

    server.serve(PATH, fails_and_then_says_nothing)
    with pytest.raises(UnavailableError, match=r"does not come to the end of its headers; .*HTTP 503"):
        fetch(server.url, replace(BRIEF, attempts=5))


def test_the_deadline_counts_over_all_candidates(fetch: Fetcher, server: Server) -> None:
    def is_slow_to_say_no(request: Request) -> Answer:
        server.closing.wait(0.6)
        return Answer(404)

    for name in (months.CSV_GZ, months.CSV, months.PARQUET):
        server.serve(f"/{name}", is_slow_to_say_no)
    with pytest.raises(UnavailableError, match="within 1 s"):
        fetch(server.url, BRIEF)


def test_a_probe_has_a_deadline_too(fetch: Fetcher, server: Server) -> None:
    server.serve(f"/{months.CSV_GZ}", Answer(200, headers_pace=0.05, names_length=False))
    with pytest.raises(UnavailableError, match="within 1 s"):
        fetch.source(server.url, BRIEF).probe(fetch.contract, MONTH)


def test_what_came_before_the_deadline_is_taken_up_by_the_next_fetch(fetch: Fetcher, server: Server) -> None:
    server.serve(PATH, Answer(200, BODY, {"ETag": '"v1"'}, stall_at=HALF))
    with pytest.raises(UnavailableError, match="within 1 s"):
        fetch(server.url, BRIEF)
    assert fetch.left == {PART, RECORD}
    server.serve(PATH, StoredFile(BODY))
    assert fetch(server.url).raw.path.read_bytes() == BODY
    assert server.asked(PATH)[-1].headers["Range"] == f"bytes={HALF}-"


def test_another_run_waits_longer_for_the_month_than_a_fetch_may_take() -> None:
    assert RetryPolicy().deadline == DEADLINE_SECONDS < LOCK_SECONDS


def test_a_file_that_another_run_is_fetching_is_waited_for_with_words_and_an_end_and_may_be_had_later(
    fetch: Fetcher, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.serve(PATH, Answer(200, BODY, stall_at=HALF))
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(fetch, server.url, RetryPolicy(attempts=1, timeout=8.0))
        while not server.asked(PATH):
            time.sleep(0.01)
        waiting = replace(fetch.source(server.url), others=0.5)
        with pytest.raises(
            UnavailableError, match=r"another run has been fetching this file for over 0\.5 s"
        ) as raised:
            waiting.fetch(fetch.contract, MONTH, LOG)
        with pytest.raises(UnavailableError):
            other.result()
    assert raised.value.may_pass_later
    assert "waiting for another run that is fetching this file, for 0.5 s at most" in caplog.text
    server.serve(PATH, StoredFile(BODY))
    assert fetch(server.url).raw.path.read_bytes() == BODY


# Redirects


@pytest.fixture
def secure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Server, None, None]:
    """A server that speaks https, and that is trusted."""
    certificate = self_signed(tmp_path / "certificate.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with running_server(certificate) as server:
        yield server


def test_a_redirect_from_https_to_http_is_refused_with_both_addresses_and_without_their_secrets(
    fetch: Fetcher, secure: Server, server: Server
) -> None:
    there = f"{server.url}/plain?sig=s3cret"
    secure.serve(PATH, Answer(302, headers={"Location": there}))
    server.serve("/plain?sig=s3cret", StoredFile(BODY))

    with pytest.raises(SourceError, match="redirects from https to http") as raised:
        fetch(secure.url)

    assert f"{secure.url}{PATH} to {server.url}/plain?***" in str(raised.value)
    assert "s3cret" not in str(raised.value)
    assert not raised.value.may_pass_later
    assert server.requests == []
    assert len(secure.asked(PATH)) == 1
    with pytest.raises(SourceError, match="redirects from https to http"):
        fetch.source(secure.url).probe(fetch.contract, MONTH)


def test_a_downgrade_behind_other_redirects_is_refused_too(fetch: Fetcher, secure: Server, server: Server) -> None:
    server.serve(PATH, Answer(302, headers={"Location": f"{secure.url}/second"}))
    secure.serve("/second", Answer(307, headers={"Location": "/third"}))
    secure.serve("/third", Answer(308, headers={"Location": f"{server.url}/plain"}))
    with pytest.raises(SourceError, match="redirects from https to http"):
        fetch(server.url)
    assert server.asked("/plain") == []


def test_redirects_from_http_to_https_and_within_https_are_followed(
    fetch: Fetcher, secure: Server, server: Server
) -> None:
    server.serve(PATH, Answer(302, headers={"Location": f"{secure.url}/second"}))
    secure.serve("/second", Answer(302, headers={"Location": "third"}))
    secure.serve("/third", StoredFile(BODY))
    assert fetch(server.url).raw.path.read_bytes() == BODY


def test_redirects_in_a_circle_are_refused_after_a_few_and_not_tried_again(fetch: Fetcher, server: Server) -> None:
    server.serve(PATH, Answer(302, headers={"Location": PATH}))
    with pytest.raises(SourceError, match="redirects more than 10 times") as raised:
        fetch(server.url)
    assert not raised.value.may_pass_later
    assert len(server.asked(PATH)) == 11


@pytest.mark.parametrize("place", ["ftp://127.0.0.1/x", "file:///etc/passwd", "s3://bucket/key"])
def test_a_redirect_to_what_is_no_web_server_is_refused_by_name(fetch: Fetcher, server: Server, place: str) -> None:
    server.serve(PATH, Answer(302, headers={"Location": place}))
    with pytest.raises(SourceError, match="a place that is no web server") as raised:
        fetch(server.url)
    assert f"{server.url}{PATH} to {place}" in str(raised.value)
    assert len(server.asked(PATH)) == 1


@pytest.mark.parametrize("place", ["http://[::1", "http://127.0.0.1:port/", "http://.a/"])
def test_a_redirect_to_an_address_that_makes_no_sense_is_refused(fetch: Fetcher, server: Server, place: str) -> None:
    server.serve(PATH, Answer(302, headers={"Location": place}))
    with pytest.raises(SourceError, match=r"address (that )?makes no sense"):
        fetch(server.url)


def test_a_redirect_with_a_body_that_has_no_end_is_followed_without_reading_it(fetch: Fetcher, server: Server) -> None:
    headers = {"Location": f"{server.url}/file"}
    server.serve(PATH, Answer(302, LARGE, headers, names_length=False, repeats=True))
    server.serve("/file", StoredFile(BODY))
    assert fetch(server.url, BRIEF).raw.path.read_bytes() == BODY


# Headers


@pytest.mark.parametrize(
    "length",
    ["²", "9" * 5000, "-5", "", " ", "a lot", "1e3", "0x10", "٣", "5;6", "9" * 23],
)
def test_a_length_that_is_no_number_is_as_good_as_none(fetch: Fetcher, server: Server, length: str) -> None:
    as_sent = length.encode().decode("latin-1")
    server.serve(PATH, announcing(as_sent))
    raw = fetch(server.url).raw
    assert raw.path.read_bytes() == BODY
    assert raw.publication.bytes is None


def test_a_length_that_is_told_twice_alike_is_that_length(fetch: Fetcher, server: Server) -> None:
    server.serve(PATH, announcing(f"{len(BODY)}, {len(BODY)}"))
    assert fetch(server.url).raw.publication.bytes == len(BODY)


def test_a_length_is_read_as_the_library_reads_it_that_ends_the_body_there(fetch: Fetcher, server: Server) -> None:
    server.serve(PATH, announcing(f"+{len(BODY)}"))
    assert fetch(server.url).raw.publication.bytes == len(BODY)


@pytest.mark.parametrize("asked", ["²", "9" * 5000, "-5", "", " ", "soon", "1.5", "5, 6", "Mon, 99 Foo 2022"])
def test_a_pause_that_is_no_number_is_no_obstacle(fetch: Fetcher, server: Server, asked: str) -> None:
    server.serve(PATH, Answer(503, headers={"Retry-After": asked.encode().decode("latin-1")}), StoredFile(BODY))
    assert fetch(server.url).raw.path.read_bytes() == BODY
