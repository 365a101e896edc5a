"""Months that arrive as Parquet: the same canonical rows, whatever physical types TLC chose that month."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxi_platform_tests.core.cleaning.months import YELLOW, clean_file, clean_parquet


@pytest.mark.parametrize(
    "physical", [pa.int8(), pa.int32(), pa.int64(), pa.float32(), pa.float64(), pa.string()], ids=str
)
@pytest.mark.parametrize("column", ["passenger_count", "extra"])
def test_a_number_is_the_same_whatever_type_it_arrives_in(physical: pa.DataType, column: str, tmp_path: Path) -> None:
    numbers = pa.array([1, None, 6]).cast(physical)
    outcome = clean_parquet(tmp_path, {column: numbers})

    assert outcome.column(column) == [1, None, 6]
    assert outcome.cleaned.schema.equals(YELLOW.arrow_schema)
    assert outcome.counts().keys() <= {"missing_passengers"}


def test_a_column_of_the_null_type_is_null(tmp_path: Path) -> None:
    nulls = pa.nulls(2)
    outcome = clean_parquet(tmp_path, {"airport_fee": nulls, "passenger_count": nulls, "store_and_fwd_flag": nulls})

    assert outcome.column("airport_fee") == outcome.column("passenger_count") == [None, None]
    assert outcome.column("store_and_fwd_flag") == [None, None]
    assert outcome.turned_away == []


def test_nan_is_a_missing_number_and_infinity_a_broken_one(tmp_path: Path) -> None:
    numbers = pa.array([float("nan"), float("inf"), 2.0], from_pandas=False)
    outcome = clean_parquet(tmp_path, {"extra": numbers, "passenger_count": numbers})

    assert outcome.column("extra") == outcome.column("passenger_count") == [None, 2]
    (row,) = outcome.turned_away
    assert (row["row_number"], row["unreadable_columns"]) == (2, ["passenger_count", "extra"])


def test_a_double_that_is_not_whole_is_no_integer(tmp_path: Path) -> None:
    outcome = clean_parquet(tmp_path, {"passenger_count": pa.array([1.0, 1.5, 3e9])})

    assert outcome.column("passenger_count") == [1]
    assert [row["unreadable_columns"] for row in outcome.turned_away] == [["passenger_count"]] * 2


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()], ids=str)
def test_texts_may_be_large(kind: pa.DataType, tmp_path: Path) -> None:
    outcome = clean_parquet(tmp_path, {"store_and_fwd_flag": pa.array(["Y", " ", None], kind)})

    assert outcome.column("store_and_fwd_flag") == ["Y", None, None]


@pytest.mark.parametrize("kind", [pa.timestamp("ms"), pa.timestamp("us"), pa.timestamp("ns")], ids=str)
def test_timestamps_may_have_any_unit(kind: pa.DataType, tmp_path: Path) -> None:
    when = datetime(2021, 1, 5, 10, 0, 0, 1000)
    outcome = clean_parquet(tmp_path, {"tpep_pickup_datetime": pa.array([when], kind)})

    assert outcome.column("pickup_datetime") == [when]


def test_timestamps_may_be_texts_and_a_text_that_is_none_is_quarantined(tmp_path: Path) -> None:
    texts = ["2021-01-05 10:00:00", "2021-01-05", "2021-01-05T10:00:00.5", "soon", None]
    outcome = clean_parquet(tmp_path, {"tpep_pickup_datetime": pa.array(texts)})

    assert outcome.column("pickup_datetime") == [
        datetime(2021, 1, 5, 10),
        datetime(2021, 1, 5),
        datetime(2021, 1, 5, 10, 0, 0, 500_000),
    ]
    assert [row["broken_rules"][:2] for row in outcome.turned_away] == [
        ["unreadable", "missing_pickup"],
        ["missing_pickup", "missing_passengers"],
    ]


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        (pa.array(["a", None]), "a"),
        (pa.array([1.5, None]), 1.5),
        (pa.array([7, None]), 7),
        (pa.array([{"x": 1, "y": ["b"]}, None]), {"x": 1, "y": ["b"]}),
        (pa.array([[1, 2], None]), [1, 2]),
        (pa.array([True, None]), True),
    ],
    ids=["text", "double", "integer", "struct", "list", "boolean"],
)
def test_values_of_an_unknown_column_of_any_type_are_kept_as_json(values: pa.Array, kept: Any, tmp_path: Path) -> None:
    outcome = clean_parquet(tmp_path, {"news": values})

    first, second = outcome.column("extra_columns")
    assert json.loads(first) == {"news": kept}
    assert second is None
    assert outcome.unknown_columns.keys() == {"news"}


def test_an_index_column_of_pandas_is_no_unknown_column(tmp_path: Path) -> None:
    outcome = clean_parquet(tmp_path, {"extra": [1.0], "__index_level_0__": [0]})

    assert outcome.unknown_columns == {}
    assert outcome.column("extra_columns") == [None]


@pytest.mark.parametrize("name", ["airport_fee", "Airport_fee"])
def test_a_name_may_change_its_case(name: str, tmp_path: Path) -> None:
    outcome = clean_parquet(tmp_path, {name: [1.25]})

    assert outcome.column("airport_fee") == [1.25]
    assert outcome.unknown_columns == {}


def test_a_quarantined_row_of_a_parquet_file_holds_its_original_values_and_its_number(tmp_path: Path) -> None:
    outcome = clean_parquet(tmp_path, {"passenger_count": [1, 0, 2, 0], "news": [["a"], ["b"], None, None]})

    assert [row["row_number"] for row in outcome.turned_away] == [2, 4]
    first, second = (json.loads(row["original"]) for row in outcome.turned_away)
    assert first == {"tpep_pickup_datetime": "2021-01-05 10:00:01", "passenger_count": "0", "news": "[b]"}
    assert second["news"] is None
    assert outcome.is_conserved


def test_a_parquet_file_without_rows_gives_two_valid_empty_files(tmp_path: Path) -> None:
    outcome = clean_parquet(tmp_path, {"tpep_pickup_datetime": pa.array([], pa.timestamp("us"))})

    assert outcome.cleaned.schema.equals(YELLOW.arrow_schema)
    assert outcome.cleaned.num_rows == outcome.quarantine.num_rows == 0


def test_a_parquet_file_of_many_row_groups_keeps_its_order(tmp_path: Path) -> None:
    path = tmp_path / "yellow_tripdata_2021-01.parquet"
    rows = 30_000
    pickups = pa.array([datetime(2021, 1, 5)] * rows, pa.timestamp("us"))
    extras = pa.array(range(rows), pa.float64())
    table = pa.table({"tpep_pickup_datetime": pickups, "extra": extras, "passenger_count": [1, 0] * (rows // 2)})
    pq.write_table(table, path, row_group_size=1_000)
    outcome = clean_file(path)

    assert outcome.column("extra") == [float(number) for number in range(0, rows, 2)]
    assert outcome.quarantine["row_number"].to_pylist() == list(range(2, rows + 1, 2))


@pytest.mark.parametrize(
    "kind", [pa.binary(), pa.large_binary(), pa.binary(19)], ids=["bytes", "large bytes", "bytes of one length"]
)
def test_bytes_that_are_text_are_read_as_text_and_told(kind: pa.DataType, tmp_path: Path) -> None:
    """As programs write it that do not say which bytes are text."""
    times = pa.array([b"2021-01-05 10:00:00", None, b"2021-01-05 10:20:00"], kind)
    outcome = clean_parquet(tmp_path, {"tpep_dropoff_datetime": times})
    assert outcome.column("dropoff_datetime") == [datetime(2021, 1, 5, 10), None, datetime(2021, 1, 5, 10, 20)]
    assert outcome.month.cleaned.lineage.told == [
        "tpep_dropoff_datetime holds bytes, which are text and were read as such"
    ]


def test_numbers_and_codes_may_be_bytes_that_are_text(tmp_path: Path) -> None:
    outcome = clean_parquet(tmp_path, {"fare_amount": [b"1.5", b""], "store_and_fwd_flag": [b"Y", b" N "]})
    assert outcome.column("fare_amount") == [1.5, None]
    assert outcome.column("store_and_fwd_flag") == ["Y", "N"]


@pytest.mark.parametrize("shape", [b"\x01\x02\x00\x00\x00", b"\xff\xfe"], ids=["with a NUL", "not UTF-8"])
def test_bytes_that_are_no_text_are_kept_as_bytes_are_shown(shape: bytes, tmp_path: Path) -> None:
    outcome = clean_parquet(tmp_path, {"geometry": [shape, b"text"]})
    assert outcome.extras[0] == {"geometry": "".join(f"\\x{byte:02X}" for byte in shape)}
    assert outcome.unknown_columns == {"geometry": "BLOB"}


@pytest.mark.parametrize(
    "flags",
    [pa.array([True, False]), pa.array([["Y"], ["N"]]), pa.array([b"Y", b"\xe9"])],
    ids=["bool", "list", "bytes"],
)
def test_a_column_of_text_that_holds_something_else_is_told_by_its_type(flags: pa.Array, tmp_path: Path) -> None:
    outcome = clean_parquet(tmp_path, {"store_and_fwd_flag": flags})
    (told,) = outcome.month.cleaned.lineage.told
    assert "store_and_fwd_flag holds" in told
    assert "where text is due" in told


def test_times_of_96_bits_reach_as_far_where_the_file_is_written_anew(tmp_path: Path) -> None:
    """Bytes that are text make the platform write the file anew."""
    path = tmp_path / "yellow_tripdata_2021-01.parquet"
    times = [datetime(2021, 1, 5, 10), datetime(3019, 2, 3, 10, 5, 6)]
    flags = pa.array([b"Y", b"N"])
    table = pa.table(
        {"tpep_pickup_datetime": [times[0]] * 2, "tpep_dropoff_datetime": times, "store_and_fwd_flag": flags}
    )
    pq.write_table(table, path, use_deprecated_int96_timestamps=True)
    assert clean_file(path).column("dropoff_datetime") == times
