"""A column nobody has heard of: kept, told, and moved to its own place once the contract has learned it."""

import json
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxi_platform.core.catalog import Catalog, load_catalog
from taxi_platform.core.catalog.model import Column, ColumnType
from taxi_platform.core.month import Month
from taxi_platform.core.source.sample import write_parquet_month
from taxi_platform_tests.assets.months import TRIP, write_green
from taxi_platform_tests.assets.platform import (
    ALL_PASS,
    Platform,
    check_of,
    checks_of,
    figures_of,
    metadata_of,
)

#: After the last month of TLC's catalogue, so that the number of rows is nothing to warn of.
MONTH = "2025-01"
ROWS = 40
NAMES = ["Driver Mood", "surge.factor", "stops"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A Parquet month of green with a text, a number and a nested value more than TLC ever published."""
    (tmp_path / "source").mkdir()
    path = tmp_path / "source" / f"green_tripdata_{MONTH}.parquet"
    write_parquet_month(load_catalog().trips["green"], Month.parse(MONTH), ROWS, path)
    table = pq.read_table(path)
    moods = pa.array([["calm", 'in "a" hurry', None, ""][number % 4] for number in range(ROWS)])
    stops = pa.array([{"count": number, "places": ["Bronx", None]} for number in range(ROWS)])
    for name, values in zip(NAMES, (moods, pa.array([1.25] * ROWS), stops), strict=True):
        table = table.append_column(name, values)
    pq.write_table(table, path)
    return path.parent


def learned(*columns: Column) -> Catalog:
    """The project's contracts, with further columns of green."""
    catalog = load_catalog()
    green = catalog.trips["green"]
    return Catalog(
        {**catalog.trips, "green": green.model_copy(update={"columns": (*green.columns, *columns)})}, catalog.zones
    )


def in_table(platform: Platform) -> list[dict[str, Any]]:
    """What the table holds of columns the contract does not know."""
    rows = platform.sql("SELECT extra_columns FROM taxi.green_trips")
    return [json.loads(text) if text else {} for (text,) in rows]


def test_columns_nobody_has_heard_of_reach_the_table_and_are_told(tmp_path: Path, source: Path) -> None:
    platform = Platform(tmp_path / "data", source=str(source))
    result = platform.run("green_trips_job", MONTH)

    rows = in_table(platform)
    assert len(rows) == platform.parquet("cleaned", "green", MONTH).rows > ROWS / 2
    assert {row.get("Driver Mood") for row in rows} == {"calm", 'in "a" hurry', None}
    assert {row["surge.factor"] for row in rows} == {1.25}
    assert all(row["stops"]["places"][0] == "Bronx" for row in rows)
    assert len({row["stops"]["count"] for row in rows}) == len(rows)

    assert checks_of(result) == ALL_PASS | {"known_columns_only": False}
    found = check_of(result, "known_columns_only")
    assert found.severity is dg.AssetCheckSeverity.WARN
    figures = figures_of(found)
    assert list(figures) == NAMES
    kind, _, values = figures["Driver Mood"].partition(": ")
    assert kind == "VARCHAR"
    assert set(values.split(", ")) == {"calm", 'in "a" hurry'}
    assert figures["surge.factor"] == "DOUBLE: 1.25"
    assert figures["stops"].startswith("STRUCT(")
    assert '"places"' in figures["stops"].partition(": ")[2]
    for name in NAMES:
        assert name in str(found.description)
    assert "Add them to green.yaml and run the month again" in str(found.description)
    assert metadata_of(result, "cleaned", "green_trips")["columns the contract does not know"] == ", ".join(NAMES)


def test_a_column_the_contract_has_learned_moves_to_its_own_place_without_a_download(
    tmp_path: Path, source: Path
) -> None:
    before = Platform(tmp_path / "data", source=str(source))
    before.run("green_trips_job", MONTH)
    counted = len(in_table(before))

    factor = Column(
        name="surge_factor", type=ColumnType.FLOAT64, description="What the fare is multiplied by.", names=(NAMES[1],)
    )
    after = Platform(tmp_path / "data", source=str(source), catalog=learned(factor))
    result = after.run("green_trips_job", MONTH)

    assert metadata_of(result, "raw", "green_trips")["fetched anew"] is False
    counts = "SELECT surge_factor, count(*) FROM taxi.green_trips GROUP BY ALL"
    assert after.sql(counts) == [(1.25, counted)]
    assert all("surge.factor" not in row and "stops" in row for row in in_table(after))
    assert list(figures_of(check_of(result, "known_columns_only"))) == ["Driver Mood", "stops"]

    mood = Column(name="driver_mood", type=ColumnType.STRING, description="A guess.", names=(NAMES[0],))
    stops = Column(name="stops", type=ColumnType.STRING, description="Where it stopped on the way.")
    all_learned = Platform(tmp_path / "data", source=str(source), catalog=learned(factor, mood, stops))
    result = all_learned.run("green_trips_job", MONTH)
    assert checks_of(result) == ALL_PASS | {"file_is_plain": False}  # the stops are a list, kept as text
    assert in_table(all_learned) == [{}] * counted
    assert all_learned.sql("SELECT DISTINCT driver_mood FROM taxi.green_trips ORDER BY 1 NULLS LAST") == [
        ("calm",),
        ('in "a" hurry',),
        (None,),
    ]


def test_a_csv_column_nobody_has_heard_of_is_told_even_if_it_is_never_filled(tmp_path: Path) -> None:
    source = tmp_path / "source"
    write_green(
        source, [{**TRIP, "cooling_fee": "0.25", "heating_fee": ""}, {**TRIP, "cooling_fee": "", "h": ""}], MONTH
    )
    platform = Platform(tmp_path / "data", source=str(source))

    result = platform.run("green_trips_job", MONTH)

    assert figures_of(check_of(result, "known_columns_only")) == {
        "cooling_fee": "VARCHAR: 0.25",
        "heating_fee": "VARCHAR: never filled",
    }
    assert sorted(map(str, in_table(platform))) == ["{'cooling_fee': '0.25'}", "{}"]


def test_a_file_of_known_columns_passes_in_words(tmp_path: Path) -> None:
    write_green(tmp_path / "source", [TRIP], MONTH)
    platform = Platform(tmp_path / "data", source=str(tmp_path / "source"))
    found = check_of(platform.run("green_trips_job", MONTH), "known_columns_only")
    assert found.passed
    assert found.description == "every column of the source file is in the contract"


def test_where_the_values_of_unknown_columns_came_from_is_in_the_lineage(tmp_path: Path, source: Path) -> None:
    platform = Platform(tmp_path / "data", source=str(source))
    lineage = metadata_of(platform.run("green_to_lake_job", MONTH), "cleaned", "green_trips")["dagster/column_lineage"]
    assert {it.column_name for it in lineage.deps_by_column["extra_columns"]} == {*NAMES}
