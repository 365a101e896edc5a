"""Figures that tell two copies of a month apart: equal copies agree, and what differs is named."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxi_platform.core.measures import PARTS, Measures, measure_file, read_measures
from taxi_platform.core.parquet import ParquetFile
from taxi_platform_tests.core.cleaning.months import YELLOW

COLUMNS = YELLOW.stored_columns
NAMES = [column.name for column in COLUMNS]
Row = dict[str, object]


def some_rows() -> list[Row]:
    return [
        {
            **dict.fromkeys(NAMES),
            "vendor_id": 1 + number % 2,
            "pickup_datetime": datetime(2021, 1, 1) + timedelta(seconds=number),
            "passenger_count": number % 3,
            "fare_amount": 0.1 * number,
            "store_and_fwd_flag": "Y" if number % 7 else "N",
        }
        for number in range(1_000)
    ]


def measured(folder: Path, rows: list[Row]) -> Measures:
    path = folder / "month.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=YELLOW.arrow_schema), path)
    return measure_file(ParquetFile(path), COLUMNS, folder)


def test_equal_files_agree_in_every_figure(tmp_path: Path) -> None:
    first, second = measured(tmp_path, some_rows()), measured(tmp_path, some_rows())

    assert list(first.differences(second)) == []
    assert first.rows == 1_000
    assert list(first.columns) == NAMES


def test_the_order_of_rows_does_not_matter(tmp_path: Path) -> None:
    assert list(measured(tmp_path, some_rows()).differences(measured(tmp_path, some_rows()[::-1]))) == []


def test_figures_are_what_plain_python_counts(tmp_path: Path) -> None:
    figures = measured(tmp_path, some_rows()).columns

    assert figures["passenger_count"] == (1_000, sum(number % 3 for number in range(1_000)))
    assert figures["fare_amount"] == (1_000, exact_sum(0.1 * number for number in range(1_000)))
    assert figures["store_and_fwd_flag"] == (1_000, sum(digest("Y" if number % 7 else "N") for number in range(1_000)))
    start = int((datetime(2021, 1, 1) - datetime(1970, 1, 1)).total_seconds()) * 1_000_000
    assert figures["pickup_datetime"] == (1_000, 1_000 * start + 1_000_000 * sum(range(1_000)))
    assert figures["airport_fee"] == (0, 0)


def digest(text: str) -> int:
    return int(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:15], 16)


def exact_sum(values: Iterable[float]) -> Fraction:
    return sum((Fraction(math.trunc(Fraction(value) * PARTS), PARTS) for value in values), Fraction())


def change(name: str, value: object) -> Callable[[list[Row]], None]:
    return lambda rows: rows[500].update({name: value})


@pytest.mark.parametrize(
    ("alter", "told"),
    [
        (change("fare_amount", 50.01), ["fare_amount: sum"]),
        (change("vendor_id", 2), ["vendor_id: sum"]),
        (change("pickup_datetime", datetime(2021, 1, 1, 0, 8, 20, 1)), ["pickup_datetime: sum"]),
        (change("fare_amount", 50.0 + 2**-40), ["fare_amount: sum"]),
        (change("store_and_fwd_flag", "no"), ["store_and_fwd_flag: sum"]),
        (change("store_and_fwd_flag", "N"), ["store_and_fwd_flag: sum"]),
        (change("fare_amount", None), ["fare_amount: 1,000 values that are not null against 999", "fare_amount: sum"]),
        (change("airport_fee", 0.0), ["airport_fee: 0 values that are not null against 1"]),
        (change("extra_columns", "{}"), ["extra_columns: 0 values", "extra_columns: sum 0 against "]),
    ],
    ids=[
        "number",
        "a last digit",
        "code",
        "a microsecond",
        "text",
        "a text as long",
        "nulled",
        "filled",
        "an extra column",
    ],
)
def test_a_value_that_was_changed_is_named(alter: Callable[[list[Row]], None], told: list[str], tmp_path: Path) -> None:
    rows = some_rows()
    alter(rows)
    differences = list(measured(tmp_path, some_rows()).differences(measured(tmp_path, rows)))

    assert len(differences) == len(told)
    assert all(
        difference.startswith(start) for difference, start in zip(sorted(differences), sorted(told), strict=True)
    )


def test_a_missing_row_is_named(tmp_path: Path) -> None:
    differences = list(measured(tmp_path, some_rows()).differences(measured(tmp_path, some_rows()[:-1])))

    assert differences[0] == "1,000 rows against 999"


def test_an_empty_month_has_figures_too(tmp_path: Path) -> None:
    empty = measured(tmp_path, [])

    assert empty.rows == 0
    assert set(empty.columns.values()) == {(0, 0)}


def test_columns_only_one_side_has_are_passed_over() -> None:
    ours, theirs = Measures(1, {"a": (1, 2), "b": (1, 3)}), Measures(1, {"a": (1, 2)})

    assert list(ours.differences(theirs)) == list(theirs.differences(ours)) == []


@pytest.mark.parametrize("large", [1e17, 1e18, 1e300, math.inf, math.nan])
def test_equal_rows_agree_however_large_their_values_and_whatever_their_order(large: float, tmp_path: Path) -> None:
    rows = some_rows()
    for place, value in ((3, large), (400, -large), (700, large), (701, 0.1)):
        rows[place]["fare_amount"] = value
    assert list(measured(tmp_path, rows).differences(measured(tmp_path, rows[::-1]))) == []


def test_a_cent_shows_beside_the_largest_values_whose_sum_it_would_be_lost_in(tmp_path: Path) -> None:
    rows = some_rows()
    rows[3]["fare_amount"], rows[400]["fare_amount"] = 1e17, 1e17
    before = measured(tmp_path, rows)
    rows[500]["fare_amount"] = 50.01
    (told,) = before.differences(measured(tmp_path, rows))
    assert told.startswith("fare_amount: sum ")


def test_what_is_far_beyond_money_is_counted(tmp_path: Path) -> None:
    rows = some_rows()
    rows[3]["fare_amount"] = 1e300
    filled, total = measured(tmp_path, rows).columns["fare_amount"]
    assert (filled, total) == (1_000, exact_sum(0.1 * number for number in range(1_000) if number != 3))


def test_whole_sums_of_any_store_are_compared_as_integers() -> None:
    column = YELLOW.column("vendor_id")
    huge = 2**60 + 1

    assert read_measures([column], (Decimal(3), Decimal(2), Decimal(huge))).columns == {"vendor_id": (2, huge)}
    assert isinstance(read_measures([column], (3, 2, Decimal(huge))).columns["vendor_id"][1], int)
