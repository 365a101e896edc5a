"""What a published value becomes: missing, converted, or broken and told."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest

from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform_tests.core.cleaning.months import HEADER, TRIP, clean_lines, clean_parquet, trip

PICKUP = "tpep_pickup_datetime"


@pytest.mark.parametrize("text", ["1", "1.0", " 1 ", "1.000", "+1", "01"])
def test_an_integer_may_be_written_in_many_ways(text: str, tmp_path: Path) -> None:
    outcome = clean_lines(tmp_path, [trip(passenger_count=text)])

    assert outcome.column("passenger_count") == [1]


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("passenger_count", "1.5"),
        ("passenger_count", "one"),
        ("passenger_count", "99999999999"),
        ("fare_amount", "$8"),
        ("fare_amount", "8,0".replace(",", ";")),
        ("fare_amount", "inf"),
        ("fare_amount", "-Infinity"),
        ("fare_amount", "nan"),
        ("tpep_dropoff_datetime", "2021-02-30 00:00:00"),
        ("tpep_dropoff_datetime", "2021-01-05 25:00:00"),
        ("tpep_dropoff_datetime", "yesterday"),
        ("tpep_dropoff_datetime", "2021-01-05 10:10:00 PM"),
        ("tpep_dropoff_datetime", "2021-01-05 1:10:00PM"),
        ("tpep_dropoff_datetime", "2021-01-05 10:10:00+02:00"),
        ("tpep_dropoff_datetime", "2021-01-05 10:10:00 EST"),
        ("tpep_dropoff_datetime", "2021-01-05 10:10:00 nonsense"),
        ("tpep_dropoff_datetime", "20210-01-05 10:10:00"),
        ("tpep_dropoff_datetime", "infinity"),
        ("tpep_dropoff_datetime", "44197.5"),
    ],
)
def test_a_value_that_does_not_convert_is_quarantined_with_the_name_of_its_column(
    column: str, text: str, tmp_path: Path
) -> None:
    outcome = clean_lines(tmp_path, [trip(), trip(**{column: text}), trip(extra="1")])

    (row,) = outcome.turned_away
    canonical = column.removeprefix("tpep_")
    assert (row["row_number"], row["broken_rules"][0]) == (2, "unreadable")
    assert row["unreadable_columns"] == [canonical]
    assert row[canonical] is None
    assert json.loads(row["original"]) == TRIP | {column: text}


def test_every_column_that_did_not_convert_is_named(tmp_path: Path) -> None:
    outcome = clean_lines(tmp_path, [trip(extra="x", RatecodeID="y", DOLocationID="z")])

    assert outcome.turned_away[0]["unreadable_columns"] == ["rate_code_id", "dropoff_location_id", "extra"]


def test_a_flag_that_arrives_as_a_number_is_its_digits_as_long_as_a_double_tells_them_all(tmp_path: Path) -> None:
    numbers = {1.0: "1", -999_999_999_999_999.0: "-999999999999999", 1e15: "1000000000000000.0", 1e300: "1e+300"}

    outcome = clean_parquet(tmp_path, {"store_and_fwd_flag": pa.array(numbers)})

    assert outcome.column("store_and_fwd_flag") == [*numbers.values()]
    assert outcome.turned_away == []


@pytest.mark.parametrize("action", ["warn", "off"])
def test_a_value_that_does_not_convert_is_not_lost_where_unreadable_rows_are_kept(action: str, tmp_path: Path) -> None:
    outcome = clean_lines(tmp_path, [trip(extra="x"), trip(extra="1")], actions={"unreadable": action})

    assert outcome.column("extra") == [None, 1.0]
    assert outcome.column("extra_columns") == ['{"extra":"x"}', None]
    assert outcome.turned_away == []
    assert outcome.counts() == ({"unreadable": (0, 1)} if action == "warn" else {})


def test_a_column_without_a_name_that_holds_more_than_row_numbers_is_kept(tmp_path: Path) -> None:
    outcome = clean_lines(tmp_path, ["0," + trip(), "keep me," + trip(extra="1")], "," + HEADER)

    assert outcome.column("extra_columns") == [None, '{"(field 1)":"keep me"}']
    assert outcome.month.cleaned.lineage.unknown_columns == {"(field 1)": "VARCHAR"}


@pytest.mark.parametrize(
    "text", ["2021-01-05 10:10:00", "2021-01-05 10:10", "2021-1-5 9:10:00", "2021-01-05T10:10:00.5"]
)
def test_a_time_may_be_written_in_a_few_ways(text: str, tmp_path: Path) -> None:
    (value,) = clean_lines(tmp_path, [trip(tpep_dropoff_datetime=text)]).column("dropoff_datetime")

    assert (value.day, value.minute) == (5, 10)


def test_a_quarantined_row_keeps_its_values_and_its_text_as_published(tmp_path: Path) -> None:
    outcome = clean_lines(tmp_path, [trip(passenger_count="0.0", fare_amount=" 8.10", extra="")])

    (row,) = outcome.turned_away
    assert json.loads(row["original"]) == TRIP | {"passenger_count": "0.0", "fare_amount": " 8.10", "extra": None}
    assert (row["passenger_count"], row["fare_amount"], row["extra"]) == (0, 8.1, None)
    assert row["pickup_datetime"] == datetime(2021, 1, 5, 10)
    assert row["unreadable_columns"] == []


@pytest.mark.parametrize(
    "text",
    ["2001-01-01 00:00:00", "2041-07-04 12:30:01", "3019-12-31 23:59:59.999999", "2021-01-05 10:00:00.000001"],
)
def test_a_timestamp_of_any_year_is_kept_to_the_microsecond(text: str, tmp_path: Path) -> None:
    outcome = clean_lines(tmp_path, [trip(**{PICKUP: text})])

    assert outcome.column("pickup_datetime") == [datetime.fromisoformat(text)]


def test_texts_lose_their_blanks_and_an_empty_text_is_null(tmp_path: Path) -> None:
    texts = ["Y", " Y ", " ", ""]
    outcome = clean_lines(tmp_path, [trip(store_and_fwd_flag=text) for text in texts])

    assert outcome.column("store_and_fwd_flag") == ["Y", "Y", None, None]


def test_a_header_is_read_without_regard_to_blanks_and_case(tmp_path: Path) -> None:
    header = ", ".join(name.upper() for name in TRIP) + " "
    outcome = clean_lines(tmp_path, [trip()], header)

    assert outcome.column("pickup_location_id") == [142]
    assert outcome.unknown_columns == {}


def test_columns_may_come_in_any_order(tmp_path: Path) -> None:
    names, values = list(reversed(TRIP)), list(reversed(TRIP.values()))
    ordered = clean_lines(tmp_path, [trip()])
    (tmp_path / "reversed").mkdir()
    reordered = clean_lines(tmp_path / "reversed", [",".join(values)], ",".join(names))

    assert reordered.cleaned.equals(ordered.cleaned)


def test_a_column_that_is_published_under_its_canonical_name_is_known(tmp_path: Path) -> None:
    outcome = clean_lines(tmp_path, ["2021-01-05 10:00:00,7"], "pickup_datetime,passenger_count")

    assert outcome.column("passenger_count") == [7]


def test_an_optional_column_the_file_does_not_have_is_null(tmp_path: Path) -> None:
    outcome = clean_lines(tmp_path, ["2021-01-05 10:00:00"], PICKUP)

    (row,) = outcome.rows
    assert {name for name, value in row.items() if value is not None} == {"pickup_datetime"}


def test_a_file_without_a_required_column_is_an_error_that_names_the_column_and_the_file(tmp_path: Path) -> None:
    with pytest.raises(TaxiPlatformError) as error:
        clean_lines(tmp_path, ["1,2"], "VendorID,passenger_count")

    for word in (
        "yellow 2021-01",
        "no column for pickup_datetime",
        "it has VendorID, passenger_count",
        str(tmp_path / "yellow_tripdata_2021-01.csv"),
        "`names` in yellow.yaml",
    ):
        assert word in str(error.value)


def test_values_of_an_unknown_column_are_kept_as_json(tmp_path: Path) -> None:
    lines = [trip() + ",1.50,he said no", trip() + ",,", trip() + ",2,"]
    outcome = clean_lines(tmp_path, lines, f'{HEADER},surge,O\'Neill "x"'.replace('"', "`"))

    assert outcome.unknown_columns == {"surge": "VARCHAR", "O'Neill `x`": "VARCHAR"}
    assert outcome.extras == [{"surge": "1.50", "O'Neill `x`": "he said no"}, None, {"surge": "2"}]


@pytest.mark.parametrize("index", ["", "__index_level_0__", "Unnamed: 0"])
def test_an_index_column_is_no_unknown_column(index: str, tmp_path: Path) -> None:
    outcome = clean_lines(tmp_path, [f"{number},{trip(extra=str(number))}" for number in range(3)], f"{index},{HEADER}")

    assert outcome.unknown_columns == {}
    assert outcome.column("extra") == [0.0, 1.0, 2.0]
    assert outcome.column("extra_columns") == [None] * 3


def test_a_row_that_fills_a_field_without_a_name_is_turned_away_whole(tmp_path: Path) -> None:
    lines = [trip() + ",,", trip() + ",junk,", trip() + ",,"]
    outcome = clean_lines(tmp_path, lines)

    assert outcome.is_conserved
    assert outcome.column("fare_amount") == [8.0] * 2
    assert [(row["row_number"], json.loads(row["original"])) for row in outcome.turned_away] == [
        (2, {"line": lines[1]})
    ]
    assert outcome.unknown_columns == {}
