"""Cleaning the same file again gives the same bytes: that is how a lake knows that it has a month already."""

from pathlib import Path

from taxi_platform.core.cleaning import clean
from taxi_platform.core.month import Month
from taxi_platform.core.source.sample import write_month
from taxi_platform_tests.core.cleaning.months import YELLOW, raw_file


def test_a_month_of_several_row_groups_is_the_same_file_whenever_it_is_cleaned(tmp_path: Path) -> None:
    path = tmp_path / "yellow_tripdata_2021-01.csv.gz"
    write_month(YELLOW, Month(2021, 1), 600_000, path)
    raw = raw_file(path)
    found: set[tuple[str, str]] = set()
    for attempt in range(3):
        work = tmp_path / str(attempt)
        work.mkdir()
        cleaned = clean(YELLOW, Month(2021, 1), raw, YELLOW.actions(), work)
        found.add((cleaned.cleaned.sha256, cleaned.quarantine.sha256))
    assert len(found) == 1
