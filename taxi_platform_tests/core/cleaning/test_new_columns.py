"""Columns the contract does not know: the month succeeds, their values are kept, and move once it learns them."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxi_platform.core.catalog.model import Column, ColumnType, TripContract
from taxi_platform_tests.core.cleaning.months import (
    CATALOG,
    HEADER,
    YELLOW,
    Outcome,
    clean_file,
    clean_lines,
    trip,
    with_columns,
)

FHV = CATALOG.trips["fhv"]
#: Names that SQL, JSON or a JSON path would read as something else than a name.
HOSTILE_NAMES = [
    "",
    " ",
    "a.b",
    "$",
    "$.a",
    "/a",
    "#",
    "*",
    "[0]",
    'say "no"',
    '"',
    "it's",
    "'; DROP TABLE trips; --",
    "back\\slash",
    "back\\\\slash\\",
    "{curly}",
    "?",
    "select",
    "f0",
    "f1",
    "line",
    "row_number",
    "broken",
    "original",
    "extra_columns",
    "unreadable",
    "source_month",
    "ünïcödé 東京",
    "😀",
    "tab\there",
    "x" * 200,
    "(field 1)",
    "(field 2)",
]


def unknown_in_parquet(folder: Path, columns: dict[str, pa.Array], rows: int = 2) -> Outcome:
    """A month with one known column, and these."""
    path = folder / "yellow_tripdata_2021-01.parquet"
    pickups = pa.array([datetime(2021, 1, 5)] * rows, pa.timestamp("us"))
    names = ["tpep_pickup_datetime", *columns]
    pq.write_table(pa.Table.from_arrays([pickups, *columns.values()], names=names), path)
    return clean_file(path)


@pytest.mark.parametrize(
    ("values", "kept", "kind"),
    [
        (pa.array(["a", ""]), ["a", None], "VARCHAR"),
        (pa.array([1.5, None]), [1.5, None], "DOUBLE"),
        (pa.array([float("nan"), float("-inf")]), [None, "-inf"], "DOUBLE"),
        (pa.array([float("nan"), 2.5], pa.float32()), [None, 2.5], "FLOAT"),
        (pa.array([2**62, None]), [2**62, None], "BIGINT"),
        (pa.array([7, 0], pa.int8()), [7, 0], "TINYINT"),
        (pa.array([True, False]), [True, False], "BOOLEAN"),
        (pa.array([Decimal("1.10"), None]), [1.1, None], "DECIMAL(3,2)"),
        (pa.array([datetime(2021, 1, 5, 10), None], pa.timestamp("us")), ["2021-01-05 10:00:00", None], "TIMESTAMP"),
        (pa.array([b"\x01a", None]), ["\\x01a", None], "BLOB"),
        (pa.array([{"x": 1, "y": ["b"]}, None]), [{"x": 1, "y": ["b"]}, None], "STRUCT(x BIGINT, y VARCHAR[])"),
        (pa.array([[1, 2], []]), [[1, 2], []], "BIGINT[]"),
        (pa.array([[{"a": None}], None]), [[{"a": None}], None], 'STRUCT(a "NULL")[]'),
        (pa.nulls(2), [None, None], '"NULL"'),
    ],
    ids=lambda it: it if isinstance(it, str) else "",
)
def test_an_unknown_column_of_any_type_is_kept_as_json_and_named_with_its_type(
    values: pa.Array, kept: list[Any], kind: str, tmp_path: Path
) -> None:
    outcome = unknown_in_parquet(tmp_path, {"news": values})

    assert outcome.turned_away == []
    assert outcome.extras == [None if value is None else {"news": value} for value in kept]
    assert outcome.unknown_columns == {"news": kind}
    assert outcome.month.quarantine.lineage.unknown_columns == {"news": kind}


def test_extra_columns_are_json_that_any_reader_takes(tmp_path: Path) -> None:
    values = pa.array([1.0, float("inf"), float("nan"), None])
    outcome = unknown_in_parquet(tmp_path, {"news": values}, rows=4)

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    kept = [text and json.loads(text, parse_constant=refuse) for text in outcome.column("extra_columns")]
    assert kept == [{"news": 1.0}, {"news": "inf"}, None, None]


def test_only_the_unknown_columns_that_are_filled_are_in_a_rows_extras(tmp_path: Path) -> None:
    lines = [trip() + ",1,a", trip() + ",,b", trip() + ",2,", trip() + ",,"]
    outcome = clean_lines(tmp_path, lines, f"{HEADER},surge,Zone Name")

    assert outcome.extras == [{"surge": "1", "Zone Name": "a"}, {"Zone Name": "b"}, {"surge": "2"}, None]
    assert outcome.unknown_columns == {"surge": "VARCHAR", "Zone Name": "VARCHAR"}


def test_an_unknown_column_that_is_never_filled_is_still_told(tmp_path: Path) -> None:
    outcome = clean_lines(tmp_path, [trip() + ","], f"{HEADER},surge")

    assert outcome.unknown_columns == {"surge": "VARCHAR"}
    assert outcome.extras == [None]


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=lambda it: repr(it)[:20])
def test_an_unknown_column_may_have_any_name(name: str, tmp_path: Path) -> None:
    label = name if name.strip() else "(field 2)"
    (tmp_path / "csv").mkdir()

    outcome = unknown_in_parquet(tmp_path, {name: pa.array(["a", "b"])})
    assert outcome.extras == [{label: "a"}, {label: "b"}]
    assert outcome.unknown_columns == {label: "VARCHAR"}

    header = '"tpep_pickup_datetime","{}","passenger_count"'.format(name.replace('"', '""'))
    outcome = clean_lines(tmp_path / "csv", ['"2021-01-05","a","1"', '"2021-01-05","b","0"'], header)
    assert outcome.extras == [{label: "a"}]
    assert outcome.unknown_columns == {label: "VARCHAR"}
    (row,) = outcome.turned_away
    assert json.loads(row["original"]) == {"tpep_pickup_datetime": "2021-01-05", label: "b", "passenger_count": "0"}
    assert json.loads(row["extra_columns"]) == {label: "b"}


def test_all_hostile_names_at_once_are_told_apart(tmp_path: Path) -> None:
    names = [*HOSTILE_NAMES, *(name.upper() for name in HOSTILE_NAMES), "(field 3)", "a.b", "a.b (field 4)"]
    path = tmp_path / "yellow_tripdata_2021-01.parquet"
    arrays = [pa.array([f"value {number}"]) for number in range(len(names))]
    pickups = pa.array(["2021-01-05"])
    pq.write_table(pa.Table.from_arrays([pickups, *arrays], names=["pickup_datetime", *names]), path)
    outcome = clean_file(path)

    (extras,) = outcome.extras
    assert extras is not None
    assert list(extras.values()) == [f"value {number}" for number in range(len(names))]
    assert outcome.unknown_columns.keys() == extras.keys()


@pytest.mark.parametrize("edition", ["csv", "parquet"])
def test_of_two_columns_of_one_name_the_first_that_is_filled_wins_and_what_the_second_says_else_is_kept(
    edition: str, tmp_path: Path
) -> None:
    rows = [("1", "1"), ("1", "2"), (None, "2"), ("1", None)]
    if edition == "csv":
        lines = [f"2021-01-05,{first or ''},{second or ''}" for first, second in rows]
        outcome = clean_lines(tmp_path, lines, "tpep_pickup_datetime,extra,Extra ")
    else:
        path = tmp_path / "yellow_tripdata_2021-01.parquet"
        arrays = [pa.array(["2021-01-05"] * 4), *(pa.array(column) for column in zip(*rows, strict=True))]
        pq.write_table(pa.Table.from_arrays(arrays, names=["tpep_pickup_datetime", "extra", "Extra "]), path)
        outcome = clean_file(path)

    assert outcome.column("extra") == [1, 1, 2, 1]
    assert outcome.extras == [None, {"Extra (field 3)": "2"}, None, None]
    assert outcome.unknown_columns == {"Extra (field 3)": "VARCHAR"}
    assert outcome.month.sources["extra"] == ("extra (field 2)", "Extra (field 3)")


def test_of_three_columns_of_one_name_none_that_says_something_else_than_the_winner_is_lost(tmp_path: Path) -> None:
    lines = ["2021-01-05,,1,2", "2021-01-05,,,3", "2021-01-05,1,1,2", "2021-01-05,1,2,2", "2021-01-05,,1,1"]
    outcome = clean_lines(tmp_path, lines, "tpep_pickup_datetime,extra,extra,extra")

    assert outcome.column("extra") == [1, 3, 1, 1, 1]
    second, third = "extra (field 3)", "extra (field 4)"
    assert outcome.extras == [{third: "2"}, None, {third: "2"}, {second: "2", third: "2"}, None]


def test_two_unknown_columns_of_one_name_are_both_kept(tmp_path: Path) -> None:
    outcome = clean_lines(tmp_path, ["2021-01-05,a,b"], "tpep_pickup_datetime,news,NEWS")

    assert outcome.extras == [{"news (field 2)": "a", "NEWS (field 3)": "b"}]


def test_the_base_of_2018_stands_under_two_names_and_both_are_heeded(tmp_path: Path) -> None:
    bases = [("B02884", ""), ("", "B02510"), ("B02884", "B02884"), ("B02884", "B02510"), ("", "")]
    outcome = clean_lines(
        tmp_path,
        [f'"2018-01-30 21:06:50","{first}","{second}"' for first, second in bases],
        '"Pickup_DateTime","Dispatching_base_number","Dispatching_base_num"',
        contract=FHV,
        key="2018-01",
        name="fhv_tripdata_2018-01.csv",
    )

    assert outcome.column("dispatching_base_num") == ["B02884", "B02510", "B02884", "B02884", None]
    assert outcome.extras == [None, None, None, {"Dispatching_base_num": "B02510"}, None]
    assert outcome.unknown_columns == {"Dispatching_base_num": "VARCHAR"}


def learned(contract: TripContract, *columns: Column) -> TripContract:
    """The contract, with these columns more."""
    return with_columns(contract, (*contract.columns, *columns))


@pytest.mark.parametrize(
    ("published", "kind", "values"),
    [
        (pa.array([1.25, None, 3.0]), ColumnType.FLOAT64, [1.25, None, 3.0]),
        (pa.array([7, None, 9]), ColumnType.INT32, [7, None, 9]),
        (pa.array(["app", None, "hail"]), ColumnType.STRING, ["app", None, "hail"]),
        (pa.array(["2021-01-05 10:00:00", None, ""]), ColumnType.TIMESTAMP, [datetime(2021, 1, 5, 10), None, None]),
    ],
    ids=["double", "integer", "text", "timestamp"],
)
def test_once_the_contract_learns_a_column_its_values_move_there_from_the_same_raw_file(
    published: pa.Array, kind: ColumnType, values: list[Any], tmp_path: Path
) -> None:
    before = unknown_in_parquet(tmp_path, {"Surge Fee": published}, rows=3)
    column = Column(name="surge_fee", type=kind, description="What a surge cost.", names=("surge fee",))
    contract = learned(YELLOW, column)
    assert before.month.cleaned.lineage.contract_version == YELLOW.version
    (tmp_path / "yellow_tripdata_2021-01.parquet.work").rename(tmp_path / "before")
    after = clean_file(before.raw.path, contract)

    assert [it is not None for it in before.extras] == [bool(it) for it in published.to_pylist()]
    assert after.raw.sha256 == before.raw.sha256
    assert after.column("surge_fee") == values
    assert after.extras == [None] * 3
    assert after.unknown_columns == {}
    assert after.cleaned.schema.equals(contract.arrow_schema)
    known = [name for name in before.cleaned.column_names if name != "extra_columns"]
    assert after.cleaned.select(known).equals(before.cleaned.select(known))
    assert after.month.cleaned.lineage.contract_version == contract.version != YELLOW.version
