"""A table that is published by pages: whole, in order, of one version, or refused."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from taxi_platform.core.official.bases import read_base_report
from taxi_platform.core.source.errors import CorruptError, UnavailableError
from taxi_platform.core.source.files import Wanted
from taxi_platform.core.source.http import HttpOrigin
from taxi_platform.core.source.pages import PagedOrigin
from taxi_platform.core.source.source import Source, tlc_candidates
from taxi_platform_tests.core.source.conftest import IMPATIENT, LOG, Fetcher
from taxi_platform_tests.core.source.server import Answer, Request, Server

HEADER = b'"base_license_number","base_name","dba","year","month","month_name","total_dispatched_trips",' + (
    b'"total_dispatched_shared_trips","unique_dispatched_vehicles"\n'
)
PATH = "/resource/2v9c-2k7f.csv"
#: A name of two lines among them: a page has as many rows as its CSV, not as many lines.
ROWS = [
    f'"B{number:05d}","BASE\nNO. {number}, INC",,"2021","{1 + number % 12}","","1{number}","0","3"\n'.encode()
    for number in range(7)
]


def page(
    start: int, rows: list[bytes] = ROWS, limit: int = 3, changed: str = "Mon, 02 Nov 2026 10:00:00 GMT"
) -> Answer:
    return Answer(body=HEADER + b"".join(rows[start : start + limit]), headers={"Last-Modified": changed})


def serve(server: Server, answer: Callable[[int], Answer], pages: int = 4) -> None:
    for start in range(0, 3 * pages, 3):
        server.serve(f"{PATH}?$order=:id&$limit=3&$offset={start}", lambda request, start=start: answer(start))


def source(server: Server, raw_dir: Path) -> Source:
    origin = PagedOrigin(HttpOrigin(IMPATIENT), page_rows=3)
    return Source(origin, lambda wanted: (f"{server.url}{PATH}?$order=:id",), raw_dir)


def test_the_pages_of_a_table_are_one_file_which_is_not_new_until_a_row_is(server: Server, fetch: Fetcher) -> None:
    contract, pages = fetch.catalog.reports["fhv_base_report"], source(server, fetch.raw_dir)
    serve(server, page)

    first = pages.fetch_reference(contract, LOG)
    assert first.changed
    assert first.raw.path.read_bytes() == HEADER + b"".join(ROWS)
    assert [it.path.rpartition("=")[2] for it in server.requests] == ["0", "3", "6"]
    rows = read_base_report(contract, first.raw)
    assert rows["dispatched_trips"].to_pylist() == [10, 11, 12, 13, 14, 15, 16]
    assert str(rows["report_month"][6]) == "2021-07-01"

    again = pages.fetch_reference(contract, LOG)
    assert not again.changed
    assert {it.name for it in first.raw.path.parent.iterdir()} == {"2v9c-2k7f.csv", "provenance.json"}

    more = [*ROWS, *ROWS[:2]]  # nine rows: the last page is full, and the one after it has none
    serve(server, lambda start: page(start, more))
    assert pages.fetch_reference(contract, LOG).changed
    assert first.raw.path.read_bytes() == HEADER + b"".join(more)


@pytest.mark.parametrize(
    ("answer", "error", "cause"),
    [
        (lambda start: page(0), CorruptError, "page 2 is the one before it: the server knows no pages"),
        (lambda start: page(start, changed=f"day {start}"), UnavailableError, "changed while its pages were read"),
        (lambda start: Answer(body=b"a,b\n1,2\n" if start else page(0).body), CorruptError, "page 2 has other columns"),
        (lambda start: Answer(body=HEADER + b'"1",2,3\n'), CorruptError, "a page is no CSV"),
        (lambda start: Answer(body=b""), CorruptError, "a page is empty"),
        (lambda start: Answer(503) if start else page(0), UnavailableError, "HTTP 503"),
        (lambda start: Answer(404), Exception, "the source does not have it"),
    ],
    ids=["no pages", "changed", "other columns", "no csv", "empty", "fails", "absent"],
)
def test_pages_that_make_no_table_replace_nothing(
    server: Server, fetch: Fetcher, answer: Callable[[int], Answer], error: type[Exception], cause: str
) -> None:
    contract, pages = fetch.catalog.reports["fhv_base_report"], source(server, fetch.raw_dir)
    serve(server, page)
    before = pages.fetch_reference(contract, LOG).raw

    serve(server, answer)
    with pytest.raises(error, match=cause):
        pages.fetch_reference(contract, LOG)
    assert before.is_whole
    assert {it.name for it in before.path.parent.iterdir()} - {".2v9c-2k7f.csv.part"} == {
        "2v9c-2k7f.csv",
        "provenance.json",
    }


def test_the_reports_are_asked_for_where_tlc_and_the_city_publish_them() -> None:
    def of(name: str) -> tuple[str, ...]:
        return tlc_candidates(Wanted("a report", "a report", "", (name,)))

    assert of("data_reports_monthly.csv") == ("https://www.nyc.gov/assets/tlc/downloads/csv/data_reports_monthly.csv",)
    assert of("fhv_base_report.csv") == ("https://data.cityofnewyork.us/resource/2v9c-2k7f.csv?$order=:id",)


def test_a_server_that_gives_files_to_browsers_only_gives_them(server: Server, fetch: Fetcher) -> None:
    """As nyc.gov does, which answers 403 to whoever does not begin as browsers do."""

    def answer(request: Request) -> Answer:
        is_browser = request.headers["User-Agent"].startswith("Mozilla/5.0 (compatible; taxi-platform;")
        return Answer(body=b"Month/Year,License Class\n2022-03,Green\n") if is_browser else Answer(403)

    server.serve("/data_reports_monthly.csv", answer)
    contract = fetch.catalog.reports["tlc_monthly_report"]
    assert fetch.source(server.url).fetch_reference(contract, logging.getLogger()).raw.rows == 1
