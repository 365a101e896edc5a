"""TLC's own row counts, as the project ships them."""

from __future__ import annotations

import csv
from importlib import resources
from pathlib import Path

import pytest

from taxi_platform.core.catalog.published import published_rows
from taxi_platform.core.month import Month
from taxi_platform_tests.core.cleaning.months import CATALOG, REAL_DATA

#: 3.7 billion rows in all.
TOTALS = {"yellow": 1_753_861_220, "green": 83_109_529, "fhv": 758_801_924, "fhvhv": 1_098_184_332}
FACTS = resources.files("taxi_platform.core.catalog") / "published_rows.csv"


@pytest.mark.parametrize(
    ("dataset", "month", "rows"),
    [
        ("green", Month(2021, 1), 76_518),
        ("green", Month(2023, 1), 68_211),
        ("green", Month(2024, 1), 56_551),
        ("green", Month(2020, 4), 35_644),
        ("yellow", Month(2021, 1), 1_369_769),
        ("yellow", Month(2021, 3), 1_925_152),
    ],
)
def test_a_month_has_the_rows_it_is_known_to_have(dataset: str, month: Month, rows: int) -> None:
    assert published_rows(dataset, month) == rows


@pytest.mark.parametrize(
    ("dataset", "months", "rows"),
    [
        ("green", [Month(2020, number) for number in range(1, 13)], 1_734_176),
        ("yellow", [Month(2020, number) for number in range(1, 13)], 24_649_092),
        ("yellow", [Month(2019, 2), Month(2019, 3)], 14_915_990),
        ("fhv", [Month(2019, number) for number in range(1, 13)], 43_261_276),
        ("green", [Month(2020, number) for number in (10, 11, 12)], 266_855),
    ],
)
def test_whole_spans_add_up_to_what_they_are_known_to_have(dataset: str, months: list[Month], rows: int) -> None:
    assert sum(published_rows(dataset, month) or 0 for month in months) == rows


@pytest.mark.parametrize(
    ("dataset", "month"),
    [("green", Month(2013, 8)), ("green", Month(2030, 1)), ("fhvhv", Month(2019, 1)), ("boats", Month(2021, 1))],
)
def test_a_month_the_catalogue_does_not_have_has_no_count(dataset: str, month: Month) -> None:
    assert published_rows(dataset, month) is None


def test_the_catalogue_has_487_files_of_the_four_datasets_each_once() -> None:
    lines = list(csv.DictReader(FACTS.read_text(encoding="utf-8").splitlines()))

    assert len(lines) == len({(line["dataset"], line["month"]) for line in lines}) == 487
    assert {line["dataset"] for line in lines} == CATALOG.trips.keys()
    for line in lines:
        assert Month.parse(line["month"]) >= CATALOG.trips[line["dataset"]].first_month
        assert int(line["rows"]) > 0
    assert {it: sum(int(line["rows"]) for line in lines if line["dataset"] == it) for it in CATALOG.trips} == TOTALS


@pytest.mark.skipif(not REAL_DATA.exists(), reason="TLC's files are not beside the project")
def test_the_catalogue_says_what_tlcs_own_says() -> None:
    source: Path = REAL_DATA / "reference" / "tlc_parquet_rowcounts.csv"
    with source.open(encoding="utf-8", newline="") as file:
        theirs = list(csv.DictReader(file))

    assert len(theirs) == 487
    for line in theirs:
        assert published_rows(line["taxi"], Month(int(line["year"]), int(line["month"]))) == int(line["rows"])
