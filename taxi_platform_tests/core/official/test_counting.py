"""Rows of months that the catalogue lacks: counted by range requests, a few kilobytes of each file."""

from __future__ import annotations

import io
import logging
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxi_platform.core.catalog.published import published_near, published_rows
from taxi_platform.core.month import Month
from taxi_platform.core.official.at_hand import OfficialFigures
from taxi_platform.core.official.counting import Counted, count, counts_of, place_of, read_counts, write_counts
from taxi_platform.core.source import RetryPolicy, Source, UnavailableError, open_source
from taxi_platform.core.source.http import HttpOrigin
from taxi_platform_tests.core.cleaning.months import CATALOG, GREEN
from taxi_platform_tests.core.source.server import Answer, Request, Server, running_server

LOG = logging.getLogger(__name__)
IMPATIENT = RetryPolicy(attempts=1, timeout=10.0)
JUNE, AUGUST = Month(2024, 6), Month(2024, 8)


def parquet(rows: int) -> bytes:
    """A file of some hundred kilobytes, the rows of which are in its last few."""
    file = io.BytesIO()
    numbers = pa.array([hash(str(it)) for it in range(rows)], pa.int64())
    pq.write_table(pa.table({"number": numbers}), file, compression="none")
    return file.getvalue()


def serve(server: Server, month: Month, body: bytes) -> str:
    def answer(request: Request) -> Answer:
        if "Range" not in request.headers:
            return Answer(body=body, headers={"ETag": '"v1"'})
        start = int(request.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        return Answer(206, body[start:], {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"})

    path = f"/green_tripdata_{month}.parquet"
    server.serve(path, answer)
    return path


def tlc_at(server: Server, raw_dir: Path) -> Source:
    """TLC's file server, on this machine."""
    return Source(HttpOrigin(IMPATIENT), lambda it: (f"{server.url}/{it.names[-1]}",), raw_dir)


def test_months_after_the_catalogue_are_counted_without_their_files_until_one_is_not_published(tmp_path: Path) -> None:
    assert published_rows("green", JUNE.previous) and published_rows("green", JUNE) is None
    with running_server() as server:
        sizes = {JUNE: 40_000, JUNE.next: 50_000}
        paths = [serve(server, month, parquet(rows)) for month, rows in sizes.items()]
        source = tlc_at(server, tmp_path / "raw")
        found = list(count(source, GREEN, {}, Month(2026, 10), LOG))

        assert [(it.dataset, it.month, it.rows, it.etag) for it in found] == [
            ("green", "2024-06", 40_000, '"v1"'),
            ("green", "2024-07", 50_000, '"v1"'),
        ]
        assert server.sent < 150_000 < sum(it.bytes for it in found)
        assert {it.path for it in server.requests} == {*paths, f"/green_tripdata_{AUGUST}.parquet"}

        write_counts(tmp_path, found)
        counts = OfficialFigures(tmp_path).counts
        assert published_rows("green", JUNE, counts) == 40_000
        assert published_near("green", AUGUST, counts)[-2:] == [40_000, 50_000]
        asked = len(server.requests)
        assert list(count(source, GREEN, counts, Month(2026, 10), LOG)) == []
        assert {it.path for it in server.requests[asked:]} == {f"/green_tripdata_{AUGUST}.parquet"}


def test_what_was_counted_before_the_source_stopped_answering_holds(tmp_path: Path) -> None:
    found: list[Counted] = []
    with running_server() as server:
        serve(server, JUNE, parquet(10))
        server.serve(f"/green_tripdata_{JUNE.next}.parquet", Answer(503))
        with pytest.raises(UnavailableError):
            for it in count(tlc_at(server, tmp_path / "raw"), GREEN, {}, AUGUST, LOG):
                found.append(it)
    assert [it.rows for it in found] == [10]


def test_a_file_that_does_not_tell_its_rows_is_passed_over_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with running_server() as server:
        serve(server, JUNE, b"no Parquet at all")
        serve(server, JUNE.next, parquet(10))
        found = list(count(tlc_at(server, tmp_path / "raw"), GREEN, {}, AUGUST, LOG))
    assert [it.month for it in found] == ["2024-07"]
    assert "green 2024-06" in caplog.text and "does not tell its rows" in caplog.text


def test_a_file_of_counts_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    counted = Counted("green", "2024-06", 5, 6, "", "https://example.com", "2026-11-25T00:00:00+00:00")
    write_counts(tmp_path, [counted])
    assert read_counts(tmp_path) == [counted]
    assert counts_of(read_counts(tmp_path)) == {("green", "2024-06"): 5}
    place_of(tmp_path).write_text("dataset,month,rows\ngreen,2024-06,many\n")
    assert read_counts(tmp_path) == []
    assert read_counts(tmp_path / "elsewhere") == []


def test_the_sample_source_is_not_counted(tmp_path: Path) -> None:
    source = open_source("sample", tmp_path, CATALOG, 100)
    assert [it.rows for it in count(source, GREEN, {}, JUNE, LOG)] == []
