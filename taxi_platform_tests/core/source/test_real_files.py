"""TLC's real files: their rows are counted as they are known to be. Skipped where the files are not at hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from taxi_platform.core.month import Month
from taxi_platform.core.source import Publication
from taxi_platform.core.source.inspection import inspect
from taxi_platform_tests.core.source.conftest import LOG, Fetcher

ROWS = {
    "green_tripdata_2020-03.csv.gz": 223_406,
    "green_tripdata_2020-04.csv.gz": 35_612,
    "green_tripdata_2020-04.parquet": 35_644,
    "green_tripdata_2020-05.csv.gz": 57_360,
    "green_tripdata_2020-10.csv.gz": 95_120,
    "green_tripdata_2020-11.csv.gz": 88_605,
    "green_tripdata_2020-12.csv.gz": 83_130,
    "green_tripdata_2021-01.parquet": 76_518,
    "green_tripdata_2023-01.parquet": 68_211,
    "green_tripdata_2023-03.parquet": 72_044,
    "green_tripdata_2024-01.parquet": 56_551,
    "green_tripdata_2025-01.parquet": 48_326,
}


@pytest.mark.parametrize(("name", "rows"), ROWS.items(), ids=ROWS)
def test_a_whole_month_has_the_rows_it_is_known_to_have(shared_data: Path, name: str, rows: int) -> None:
    path = shared_data / "trips" / name
    assert inspect(path, Publication(str(path), path.stat().st_size), name).rows == rows


def test_a_real_folder_gives_the_course_edition_where_it_has_both(fetch: Fetcher, shared_data: Path) -> None:
    source = fetch.source(str(shared_data / "trips"))
    both = source.fetch(fetch.contract, Month(2020, 4), LOG).raw
    later = source.fetch(fetch.contract, Month(2021, 1), LOG).raw
    assert (both.edition, both.rows) == ("csv", 35_612)
    assert (later.edition, later.rows) == ("parquet", 76_518)


def test_the_heads_of_old_files_are_counted_by_the_line(shared_data: Path) -> None:
    heads = sorted((shared_data / "heads").glob("*.csv"))
    assert len(heads) == 151
    for path in heads:
        lines = [line for line in path.read_bytes().split(b"\n") if line.rstrip(b"\r")]
        assert inspect(path, Publication(path.name, 1024), path.name).rows == len(lines) - 1, path.name


def test_a_month_that_was_cut_in_a_row_counts_the_rest_of_it_as_one(shared_data: Path) -> None:
    path = shared_data / "dirty" / "yellow_tripdata_2021-01.truncated.csv"
    assert inspect(path, Publication(path.name, path.stat().st_size), path.name).rows == 22_792 + 1


@pytest.mark.parametrize("name", ["taxi_zone_lookup.csv", "taxi_zone_lookup.old_wording.csv"])
def test_both_wordings_of_the_zone_lookup_have_every_zone(shared_data: Path, name: str) -> None:
    path = shared_data / "zones" / name
    assert inspect(path, Publication(name, path.stat().st_size), name).rows == 265
