"""A month's file against TLC's report: which of them is off, by how much, and where."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxi_platform.core.catalog.published import published_months, published_rows
from taxi_platform.core.month import Month
from taxi_platform.core.official import holes
from taxi_platform.core.official.editions import other_edition
from taxi_platform.core.official.report import Report, shipped_report
from taxi_platform.core.official.verdict import Judgement, Verdict, judge
from taxi_platform.core.official.whereabouts import whereabouts
from taxi_platform.core.parquet import ParquetFile
from taxi_platform_tests.core.cleaning.months import YELLOW

PAGE = Path(__file__).parents[3] / "docs" / "known-holes.md"
MONTH = Month(2021, 3)
OFF_BY_MORE_THAN_5_PERCENT = {
    ("fhvhv", "2021-09"): Verdict.REPORT,
    **{("green", str(it)): Verdict.MORE for it in Month(2018, 12).until(Month(2020, 1))},
    **{("yellow", it): Verdict.LACKS for it in ("2012-01", "2012-02", "2012-04", "2012-05", "2013-08")},
}


def official(dataset: str, month: Month) -> Judgement:
    """The verdict on TLC's own Parquet."""
    rows = published_rows(dataset, month) or 0
    return judge(dataset, month, rows, shipped_report(), lambda it: published_rows(dataset, it))


def planted(rows: int, reported: dict[str, int], files: dict[str, int] | None = None) -> Judgement:
    """The verdict on a yellow file of so many rows, by a report and neighbours of these trips per day and rows."""
    report = Report({("Yellow", month): (trips, None) for month, trips in reported.items()})
    return judge("yellow", MONTH, rows, report, lambda it: (files or {}).get(str(it)))


def test_of_284_official_months_the_20_that_are_off_are_named_and_246_agree() -> None:
    judged = {(dataset, str(month)): official(dataset, month) for dataset, month in published_months()}
    compared = {of: it for of, it in judged.items() if it.verdict is not Verdict.UNJUDGED and of[0] != "fhv"}

    assert {of: it.verdict for of, it in compared.items() if not it.is_near} == OFF_BY_MORE_THAN_5_PERCENT
    assert len(compared) == 284
    assert Counter(it.verdict is Verdict.AGREES for it in compared.values()) == {True: 246, False: 38}


def test_a_file_that_lacks_trips_is_told_by_figures_and_by_its_other_edition() -> None:
    month = Month(2012, 1)
    rows = published_rows("yellow", month) or 0
    other = other_edition("yellow", month, "parquet")
    found = judge("yellow", month, rows, shipped_report(), lambda it: published_rows("yellow", it), other)
    assert found.says == (
        "13,058,348 rows, 14,967,141 trips in TLC's report (-12.75%): the file lacks trips, about 1,908,793; "
        "the CSV edition has 14,969,132 rows and is nearer"
    )


@pytest.mark.parametrize(
    ("rows", "verdict", "is_near", "words"),
    [
        (3_100_000, Verdict.AGREES, True, "as exactly as it tells"),
        (3_100_015, Verdict.AGREES, True, "as exactly as it tells"),
        (3_100_016, Verdict.AGREES, True, "they agree"),
        (3_115_500, Verdict.AGREES, True, "they agree"),
        (3_115_501, Verdict.MORE, True, "about 15,501"),
        (2_945_000, Verdict.LACKS, True, "about 155,000"),
        (2_944_999, Verdict.LACKS, False, "about 155,001"),
        (3_255_001, Verdict.MORE, False, "about 155,001"),
        (1_000_000, Verdict.LACKS, False, "about 2,100,000"),
        (300, Verdict.UNJUDGED, True, "an extract or a sample"),
        (0, Verdict.UNJUDGED, True, "an extract or a sample"),
    ],
)
def test_the_bands_are_the_rounding_half_a_percent_and_five(
    rows: int, verdict: Verdict, is_near: bool, words: str
) -> None:
    found = planted(rows, {"2021-02": 101_000, "2021-03": 100_000, "2021-04": 99_000})
    assert (found.verdict, found.is_near) == (verdict, is_near)
    assert words in found.says


@pytest.mark.parametrize("wrong", [1_000_000, 10_000, 83_000], ids=["a digit too many", "one too few", "a sixth less"])
@pytest.mark.parametrize("files", [{}, {"2021-02": 2_800_000, "2021-04": 3_000_000}], ids=["alone", "beside others"])
def test_a_report_that_fits_neither_its_neighbours_nor_the_file_is_named(wrong: int, files: dict[str, int]) -> None:
    found = planted(3_100_000, {"2021-02": 101_000, "2021-03": wrong, "2021-04": 99_000}, files)
    assert found.verdict is Verdict.REPORT
    assert "the report looks wrong" in found.says


def test_a_month_that_stands_apart_in_report_and_file_alike_is_no_wrong_report() -> None:
    """As April 2020, when the city stood still."""
    found = planted(600_000, {"2021-02": 101_000, "2021-03": 18_000, "2021-04": 99_000}, {"2021-02": 2_800_000})
    assert (found.verdict, found.is_near) == (Verdict.MORE, False)


def test_a_month_of_no_report_is_not_judged() -> None:
    assert planted(5, {"2021-02": 101_000}).verdict is Verdict.UNJUDGED
    assert planted(5, {"2021-03": 0}).verdict is Verdict.UNJUDGED


def month_of(month: Month, lost: date | None = None, doubled: date | None = None) -> dict[str, list[object]]:
    """100 trips a day, in turn of vendor 1 and 2; one day lost, another doubled."""
    days = [month.first_day + timedelta(days=it) for it in range(month.days)]
    times = [day for day in days if day != lost for _ in range(200 if day == doubled else 100)]
    return {
        "pickup_datetime": [datetime(it.year, it.month, it.day, 12) for it in times],
        "vendor_id": [1 + place % 2 for place in range(len(times))],
    }


def written(folder: Path, name: str, columns: dict[str, list[object]]) -> ParquetFile:
    path = folder / f"{name}.parquet"
    types = {"pickup_datetime": pa.timestamp("us"), "vendor_id": pa.int32()}
    pq.write_table(pa.table({it: pa.array(values, types[it]) for it, values in columns.items()}), path)
    return ParquetFile(path)


def told_of(folder: Path, columns: dict[str, list[object]]) -> str:
    beside = [written(folder, "before", month_of(MONTH.previous))]
    nothing = written(folder, "quarantine", {it: [] for it in columns})
    return whereabouts(YELLOW, MONTH, [written(folder, "month", columns), nothing], beside, folder / "spill")


def test_a_day_that_is_lost_or_doubled_is_named(tmp_path: Path) -> None:
    day, other = date(2021, 3, 9), date(2021, 3, 20)
    assert told_of(tmp_path, month_of(MONTH)) == ""
    assert told_of(tmp_path, month_of(MONTH, lost=day, doubled=other)) == (
        "2021-03-09 has 0 trips where 100 are usual, 2021-03-20 has 200 trips where 100 are usual"
    )


def test_a_vendor_that_is_lost_is_named(tmp_path: Path) -> None:
    columns = month_of(MONTH)
    kept = [time for time, vendor in zip(*columns.values(), strict=True) if vendor == 1]
    told = told_of(tmp_path, {"pickup_datetime": kept, "vendor_id": [1] * len(kept)})
    assert told == "vendor 2 has 0 trips where 775 are usual"


def test_a_file_that_stops_early_is_told_by_its_first_days(tmp_path: Path) -> None:
    columns = month_of(MONTH)
    told = told_of(tmp_path, {name: values[:2_200] for name, values in columns.items()})
    assert told.count("has 0 trips where 100 are usual") == 5
    assert told.endswith(", and 4 more")


def test_the_page_of_known_holes_is_the_one_the_figures_give() -> None:
    assert PAGE.read_text(encoding="utf-8") == holes.render(), "run `make docs` and commit docs/known-holes.md"
    for dataset, month in OFF_BY_MORE_THAN_5_PERCENT:
        assert f"| {dataset} | {month} |" in holes.render()
