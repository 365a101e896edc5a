"""Types and texts keep their meaning or are told: zones, decimals, booleans, nested values, damaged statistics."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import mkdtemp
from time import process_time
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from taxi_platform.core.catalog.grammar import GRAMMAR
from taxi_platform.core.cleaning import reading
from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform_tests.core.cleaning.months import (
    HEADER,
    Outcome,
    clean_bytes,
    clean_file,
    clean_lines,
    clean_parquet,
    trip,
)

PICKUP = "tpep_pickup_datetime"
WINTER, SUMMER = datetime(2021, 1, 5, 10), datetime(2021, 7, 5, 10, 30, 15, 123456)


def told(outcome: Outcome) -> str:
    return "; ".join(outcome.month.cleaned.lineage.told)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", ["America/New_York", "US/Eastern", "Asia/Tokyo", "-05:00", "+09:30", "-0500"])
def test_a_time_with_a_zone_is_the_wall_clock_of_that_zone(unit: Any, zone: str, tmp_path: Path) -> None:
    walls = [it.replace(microsecond=0) for it in (WINTER, SUMMER)]
    zone = zone if ":" in zone or "/" in zone else f"{zone[:3]}:{zone[3:]}"
    local: Any = pa.array(walls, pa.timestamp(unit))
    if "/" in zone:
        instants = pc.assume_timezone(local, zone)
    else:
        sign = -1 if zone.startswith("-") else 1
        offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:])) * sign
        instants = pa.array([(it - offset).replace(tzinfo=UTC) for it in walls], pa.timestamp(unit, zone))
    outcome = clean_parquet(tmp_path, {PICKUP: instants})

    assert outcome.column("pickup_datetime") == walls
    assert f"kept as the wall clock of the time zone it names, {zone}" in told(outcome)


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("zone", ["UTC", "Etc/UTC"])
def test_an_instant_of_utc_is_told_once_and_kept_as_a_clock_of_utc_shows_it(
    unit: Any, zone: str, tmp_path: Path
) -> None:
    instants = pa.array([WINTER, None], pa.timestamp(unit, zone))
    outcome = clean_parquet(tmp_path, {PICKUP: pa.array([WINTER] * 2), "tpep_dropoff_datetime": instants})

    assert outcome.column("dropoff_datetime") == [WINTER, None]
    assert told(outcome).count("time zone UTC") == 1


def test_an_instant_written_without_arrows_schema_has_the_zone_that_pandas_says(tmp_path: Path) -> None:
    pandas = {"columns": [{"field_name": PICKUP, "metadata": {"timezone": "America/New_York"}}]}
    path = tmp_path / "yellow_tripdata_2021-01.parquet"
    instants = pc.assume_timezone(pa.array([WINTER], pa.timestamp("us")), "America/New_York")
    table = pa.table({PICKUP: instants})
    with pq.ParquetWriter(path, table.schema, store_schema=False) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({"pandas": json.dumps(pandas)})
    assert clean_file(path).column("pickup_datetime") == [WINTER]


DIGITS = "12345678901234567890123456789012345"


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        (pa.array([Decimal("1234567890123456.7891")], pa.decimal128(38, 4)), "1234567890123456.7891"),
        (pa.array([Decimal("-0.10")], pa.decimal128(5, 2)), "-0.10"),
        (pa.array([Decimal(DIGITS + ".5")], pa.decimal256(60, 1)), f'"{DIGITS}.5"'),
        (pa.array([2**64 - 1], pa.uint64()), "18446744073709551615"),
        (pa.array([0.1 + 0.2]), "0.30000000000000004"),
        (pa.array([{"a": None, "b": [None, 1], "c": Decimal("0.10")}]), '{"a":null,"b":[null,1],"c":0.1}'),
        (pa.array([{"a": float("nan"), "b": 1.5}]), '{"a":"nan","b":"1.5"}'),
        (pa.array([[None, None]]), "[null,null]"),
        (pa.array([{}], pa.struct([("a", pa.string())])), '{"a":null}'),
        (pa.array([[("k", None)]], pa.map_(pa.string(), pa.int64())), '{"k":null}'),
    ],
    ids=["decimal", "scale", "256 bits", "unsigned", "double", "struct", "NaN inside", "list", "empty struct", "map"],
)
def test_an_unknown_column_keeps_every_digit_and_every_null(values: pa.Array, kept: str, tmp_path: Path) -> None:
    outcome = clean_parquet(tmp_path, {"news": values})
    assert outcome.column("extra_columns") == [f'{{"news":{kept}}}']


@pytest.mark.parametrize("edition", ["csv", "parquet"])
@pytest.mark.parametrize("columns", [200, 1_200])
def test_a_thousand_unknown_columns_are_kept(edition: str, columns: int, tmp_path: Path) -> None:
    names = [f"x{number}" for number in range(columns)]
    if edition == "csv":
        body = f"{PICKUP},{','.join(names)}\n2021-01-05 10:00:00,{','.join(map(str, range(columns)))}\n"
        outcome = clean_bytes(tmp_path, body.encode())
    else:
        outcome = clean_parquet(tmp_path, {name: [number] for number, name in enumerate(names)})
    (extras,) = outcome.extras
    assert extras is not None
    assert [int(it) for it in extras.values()] == list(range(columns))
    assert list(outcome.unknown_columns) == names


@pytest.mark.parametrize("edition", ["csv", "parquet"])
def test_four_times_the_unknown_columns_take_no_sixteen_times_the_work(edition: str, tmp_path: Path) -> None:
    def work(columns: int) -> float:
        """CPU seconds of cleaning so many unknown columns."""
        folder = Path(mkdtemp(dir=tmp_path))
        names = [f"x{number}" for number in range(columns)]
        begun = process_time()
        if edition == "csv":
            body = f"{PICKUP},{','.join(names)}\n2021-01-05 10:00:00,{','.join(map(str, range(columns)))}\n"
            clean_bytes(folder, body.encode())
        else:
            clean_parquet(folder, {name: [float(number)] for number, name in enumerate(names)})
        return process_time() - begun

    work(340)  # what is imported and compiled once
    assert work(1_360) < 9 * work(340)


NOT_NUMBERS: dict[str, Any] = {
    "booleans": pa.array([True, False]),
    "dates": pa.array([date(2021, 1, 5)] * 2),
    "times": pa.array([WINTER] * 2),
    "times of day": pa.array([time(1, 2)] * 2),
    "bytes": pa.array([b"\x01"] * 2),
    "lists": pa.array([[1]] * 2),
    "structs": pa.array([{"a": 1}] * 2),
}


@pytest.mark.parametrize("values", NOT_NUMBERS.values(), ids=NOT_NUMBERS)
@pytest.mark.parametrize("column", ["passenger_count", "fare_amount"])
def test_a_column_of_numbers_that_holds_something_else_is_unreadable_and_none_of_it_becomes_a_number(
    column: str, values: pa.Array, tmp_path: Path
) -> None:
    outcome = clean_parquet(tmp_path, {column: values})
    assert outcome.cleaned.num_rows == 0
    assert [row["unreadable_columns"] for row in outcome.turned_away] == [[column]] * 2
    assert all(json.loads(row["original"])[column] for row in outcome.turned_away)


@pytest.mark.parametrize(
    "values",
    [
        pa.array([1609840800] * 2),
        pa.array([44197.5] * 2),
        pa.array([True] * 2),
        pa.array([time(1, 2)] * 2),
        pa.array([[1]] * 2),
    ],
    ids=["epoch", "Excel's days", "booleans", "times of day", "lists"],
)
def test_a_column_of_times_that_holds_something_else_is_unreadable(values: pa.Array, tmp_path: Path) -> None:
    outcome = clean_parquet(tmp_path, {"tpep_dropoff_datetime": values})
    assert [row["unreadable_columns"] for row in outcome.turned_away] == [["dropoff_datetime"]] * 2


def test_dates_are_times_at_midnight(tmp_path: Path) -> None:
    outcome = clean_parquet(tmp_path, {PICKUP: pa.array([date(2021, 1, 5)])})
    assert outcome.column("pickup_datetime") == [datetime(2021, 1, 5)]


def test_nan_in_one_of_two_columns_of_a_name_is_no_value(tmp_path: Path) -> None:
    nan = float("nan")
    arrays = [pa.array(["2021-01-05"] * 3), pa.array([nan, 1.25, nan]), pa.array([2.5, nan, nan])]
    path = tmp_path / "yellow_tripdata_2021-01.parquet"
    pq.write_table(pa.Table.from_arrays(arrays, names=[PICKUP, "airport_fee", "Airport_fee"]), path)
    outcome = clean_file(path)
    assert outcome.column("airport_fee") == [2.5, 1.25, None]
    assert outcome.extras == [None, None, None]


def test_text_in_parquet_that_is_not_utf8_is_read_as_latin1_and_told(tmp_path: Path) -> None:
    flags = pa.array([b"N", b"\xe9", "\xe9".encode(), None])
    path = tmp_path / "yellow_tripdata_2021-01.parquet"
    texts = pa.Array.from_buffers(pa.string(), 4, flags.buffers())
    pq.write_table(pa.table({PICKUP: pa.array(["2021-01-05"] * 4), "store_and_fwd_flag": texts}), path)
    outcome = clean_file(path)
    assert outcome.column("store_and_fwd_flag") == ["N", "\xe9", "\xe9", None]
    assert told(outcome) == "text of store_and_fwd_flag that is not UTF-8 was read as latin-1"


def test_one_line_that_is_not_utf8_does_not_change_how_the_others_are_read(tmp_path: Path) -> None:
    flags = ["\u20ac".encode(), b"\xe9", "\U0001f695".encode()]
    rows = b"\n".join(trip(store_and_fwd_flag="?").encode().replace(b"?", it) for it in flags)
    outcome = clean_bytes(tmp_path, HEADER.encode() + b"\n" + rows + b"\n")
    assert outcome.column("store_and_fwd_flag") == ["\u20ac", "\xe9", "\U0001f695"]
    assert told(outcome) == "lines that are not UTF-8 were read as latin-1"


def test_a_field_as_long_as_a_line_may_be_is_the_same_to_both_readers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [
        trip(),
        trip(store_and_fwd_flag="x" * 3_000_000),
        f'{trip()[:-4]},"2.5"',
        trip(store_and_fwd_flag="y" * 200_000),
    ]
    (tmp_path / "fast").mkdir()
    (tmp_path / "sure").mkdir()
    fast = clean_lines(tmp_path / "fast", lines)
    monkeypatch.setattr(reading, "csv_table", reading.line_table)
    sure = clean_lines(tmp_path / "sure", lines)
    assert [len(it) for it in fast.column("store_and_fwd_flag")] == [1, 3_000_000, 1, 200_000]
    assert fast.cleaned.equals(sure.cleaned)


def test_times_out_of_range_are_broken_whatever_the_statistics_of_the_file_say(tmp_path: Path) -> None:
    times = pa.array([-377705116800000000, 253402300800000000, 0, 2**62], pa.int64()).cast(pa.timestamp("us"))
    outcome = clean_parquet(tmp_path, {PICKUP: pa.array([WINTER] * 4), "tpep_dropoff_datetime": times})
    assert outcome.column("dropoff_datetime") == [datetime(1970, 1, 1)]
    assert [row["row_number"] for row in outcome.turned_away] == [1, 2, 4]


def test_the_first_and_the_last_microsecond_of_years_1_to_9999_are_kept_and_their_neighbours_are_broken(
    tmp_path: Path,
) -> None:
    first, last = -62_135_596_800_000_000, 253_402_300_799_999_999
    times = pa.array([first - 1, first, last, last + 1], pa.int64()).cast(pa.timestamp("us"))
    outcome = clean_parquet(tmp_path, {PICKUP: pa.array([WINTER] * 4), "tpep_dropoff_datetime": times})
    assert outcome.column("dropoff_datetime") == [datetime.min, datetime.max]
    assert [row["row_number"] for row in outcome.turned_away] == [1, 4]


def test_the_data_dictionary_says_the_grammar_of_values() -> None:
    page = (Path(__file__).parents[3] / "docs" / "data-dictionary.md").read_text(encoding="utf-8")
    for words, _ in GRAMMAR.values():
        assert words in page


@pytest.mark.parametrize(
    ("zone", "hour"), [("Z", 15), ("utc", 15), ("-04", 11), ("+0530", 20), ("pytz.FixedOffset(-240)", 11)]
)
def test_a_zone_may_be_written_in_many_ways(zone: str, hour: int, tmp_path: Path) -> None:
    pandas = {"columns": [{"field_name": PICKUP, "metadata": {"timezone": zone}}]}
    path = tmp_path / "yellow_tripdata_2021-01.parquet"
    table = pa.table({PICKUP: pa.array([datetime(2021, 1, 5, 15)], pa.timestamp("us", "UTC"))})
    with pq.ParquetWriter(path, table.schema, store_schema=False) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({"pandas": json.dumps(pandas)})
    (value,) = clean_file(path).column("pickup_datetime")
    assert value.hour == hour


@pytest.mark.parametrize("zone", ["Mars/Phobos", "O'Brien", "Local"])
def test_a_zone_nobody_knows_is_told_by_column_and_zone(zone: str, tmp_path: Path) -> None:
    instants = pa.array([WINTER], pa.timestamp("us", zone))
    with pytest.raises(TaxiPlatformError, match=f"column {PICKUP} holds instants of a time zone nobody here knows"):
        clean_parquet(tmp_path, {PICKUP: instants})


def test_two_byte_order_marks_are_no_part_of_a_name(tmp_path: Path) -> None:
    outcome = clean_bytes(tmp_path, b"\xef\xbb\xbf" * 2 + f"{HEADER}\n{trip()}\n".encode())
    assert outcome.column("vendor_id") == [1]


@pytest.mark.parametrize("stores", [True, False], ids=["with Arrow's schema", "without"])
@pytest.mark.parametrize("zone", ["America/New_York", None])
def test_times_of_96_bits_are_instants_where_they_were_and_are_told_where_nobody_knows(
    zone: Any, stores: bool, tmp_path: Path
) -> None:
    local: Any = pa.array([WINTER], pa.timestamp("ns"))
    path = tmp_path / "yellow_tripdata_2021-01.parquet"
    table = pa.table({PICKUP: pc.assume_timezone(local, zone) if zone else local})
    pq.write_table(table, path, use_deprecated_int96_timestamps=True, store_schema=stores)
    outcome = clean_file(path)
    (value,) = outcome.column("pickup_datetime")
    assert value == (WINTER if stores or not zone else WINTER.replace(hour=15))
    assert bool(told(outcome)) is bool(zone or not stores)
