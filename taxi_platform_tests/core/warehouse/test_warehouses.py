"""What every warehouse promises. A new kind is one more entry of `WAREHOUSES`.

DuckDB and PostgreSQL are themselves; BigQuery is Google's client over HTTP and the stand-in `bigquery_server.py`, which
says what it imitates. With `TAXI_TEST_BIGQUERY_URL=bigquery://project/dataset` and credentials the suite is also run
over BigQuery itself (`-m live`).
"""

import math
import os
import random
import signal
import struct
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import duckdb
import psycopg
import pyarrow as pa
import pytest

from real_servers.postgres import PostgresServer
from taxi_platform.core.catalog import load_catalog
from taxi_platform.core.catalog.model import TripContract
from taxi_platform.core.errors import WarehouseError
from taxi_platform.core.fingerprint import Fingerprint, fingerprint_file
from taxi_platform.core.measures import measure_file
from taxi_platform.core.month import Month
from taxi_platform.core.warehouse import Warehouse, open_warehouse
from taxi_platform.core.warehouse.zone_totals import ZoneTotals
from taxi_platform_tests.core.warehouse.bigquery_live import VARIABLE, live_comments
from taxi_platform_tests.core.warehouse.bigquery_server import BigQueryServer
from taxi_platform_tests.core.warehouse.months import (
    COLUMNS,
    FEBRUARY,
    JANUARY,
    MARCH,
    contract_of,
    month_file,
    numbered_file,
    rows_in,
)
from taxi_platform_tests.core.warehouse.processes import SPAWN, at_once, replace_month

CONTRACT = contract_of()


@dataclass(frozen=True)
class Store:
    """A warehouse that holds nothing yet, and what the suite must see of it that the platform itself never asks.

    Attributes:
        url: Its URL.
        comments: The comment on each column of a table, and under "" that on the table.
        many: Rows that take it long enough to load to be killed in the middle.
    """

    url: str
    comments: Callable[[str], Mapping[str, str]]
    many: int = 1_500_000


def duckdb_store(request: pytest.FixtureRequest, folder: Path) -> Store:
    path = folder / "warehouse.duckdb"

    def comments(table: str) -> Mapping[str, str]:
        with duckdb.connect(str(path), read_only=True) as con:
            found = con.execute(
                "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = $1 "
                "UNION ALL SELECT '', comment FROM duckdb_tables() WHERE table_name = $1",
                [table],
            ).fetchall()
        return dict(found)

    return Store(f"duckdb:///{path}", comments)


def postgres_store(request: pytest.FixtureRequest, folder: Path) -> Store:
    server: PostgresServer = request.getfixturevalue("postgres")
    url = server.new_database()

    def comments(table: str) -> Mapping[str, str]:
        with psycopg.connect(url) as con:
            found = con.execute(
                "SELECT attname, col_description(attrelid, attnum) FROM pg_attribute "
                "WHERE attrelid = %(table)s::regclass AND attnum > 0 "
                "UNION ALL SELECT '', obj_description(%(table)s::regclass, 'pg_class')",
                {"table": f"taxi.{table}"},
            ).fetchall()
        return dict(found)

    return Store(url, comments)


def bigquery_store(request: pytest.FixtureRequest, folder: Path) -> Store:
    server: BigQueryServer = request.getfixturevalue("bigquery")
    url = server.url()
    return Store(url, lambda table: server.comments(url, table), many=150_000)


def live_bigquery_store(request: pytest.FixtureRequest, folder: Path) -> Store:
    url: str = request.getfixturevalue("bigquery_itself")
    return Store(url, lambda table: live_comments(url, table), many=150_000)


WAREHOUSES = [duckdb_store, postgres_store, bigquery_store]
LIVE = [pytest.param(live_bigquery_store, marks=pytest.mark.live)] if VARIABLE in os.environ else []


@pytest.fixture(params=[*WAREHOUSES, *LIVE])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return request.param(request, tmp_path)


@pytest.fixture
def url(store: Store) -> str:
    return store.url


@pytest.fixture
def warehouse(url: str) -> Warehouse:
    return open_warehouse(url)


def test_values_of_every_type_come_back_as_they_went_in(warehouse: Warehouse, tmp_path: Path) -> None:
    rows = [
        {
            "pickup_datetime": datetime(2021, 1, 31, 23, 59, 59, 999999),
            "vendor_id": 2**31 - 1,
            "trip_number": 2**63 - 1,
            "fare_amount": 0.1 + 0.2,
            "note": "Zürich → 東京 🚕 'quoted' \"twice\", a,b\tc\\N\nnext line",
            "licensed_on": date(2024, 2, 29),
            "extra_columns": '{"new": "1"}',
        },
        {
            "pickup_datetime": datetime(2041, 11, 17, 4, 59, 46),
            "vendor_id": -(2**31),
            "trip_number": -(2**63),
            "fare_amount": -1e300,
            "note": "",
            "licensed_on": date(2041, 11, 17),
        },
        {"pickup_datetime": datetime(3019, 2, 3), "fare_amount": -0.01, "licensed_on": date(3019, 2, 3)},
        {"pickup_datetime": datetime(1900, 1, 1), "note": "\\N", "licensed_on": date(1900, 1, 1)},
        {},
    ]

    written = warehouse.replace_month(CONTRACT, JANUARY, month_file(CONTRACT, JANUARY, rows, tmp_path / "month"))

    table = warehouse.read_months(CONTRACT, [JANUARY])
    assert written == len(rows)
    assert table.schema.remove_metadata() == pa.schema([pa.field("source_month", pa.date32()), *CONTRACT.arrow_schema])
    nulls = dict.fromkeys(CONTRACT.arrow_schema.names)
    expected = [{"source_month": JANUARY.first_day, **nulls, **row} for row in rows]
    assert rows_in(table) == sorted((tuple(row.values()) for row in expected), key=repr)


def test_a_month_of_no_rows_can_be_stored_and_empties_the_month(warehouse: Warehouse, tmp_path: Path) -> None:
    nothing = month_file(CONTRACT, JANUARY, [], tmp_path / "nothing")
    assert warehouse.replace_month(CONTRACT, JANUARY, nothing) == 0
    assert warehouse.read_months(CONTRACT, [JANUARY]).num_rows == 0

    load(warehouse, tmp_path, JANUARY, numbers=[1, 2])
    assert warehouse.replace_month(CONTRACT, JANUARY, nothing) == 0
    assert warehouse.read_months(CONTRACT, [JANUARY]).num_rows == 0


def test_a_rerun_replaces_the_month(warehouse: Warehouse, tmp_path: Path) -> None:
    for _ in range(3):
        assert load(warehouse, tmp_path, JANUARY, numbers=[1, 2, 3]) == 3
    assert numbers_of(warehouse, JANUARY) == [1, 2, 3]


def test_a_corrected_month_shrinks_and_grows_with_its_file(warehouse: Warehouse, tmp_path: Path) -> None:
    load(warehouse, tmp_path, JANUARY, numbers=[1, 2, 3])
    load(warehouse, tmp_path, JANUARY, numbers=[2])
    assert numbers_of(warehouse, JANUARY) == [2]
    load(warehouse, tmp_path, JANUARY, numbers=[2, 4, 5, 6])
    assert numbers_of(warehouse, JANUARY) == [2, 4, 5, 6]


def test_equal_rows_of_a_month_are_all_kept(warehouse: Warehouse, tmp_path: Path) -> None:
    load(warehouse, tmp_path, JANUARY, numbers=[7, 7, 7])
    assert numbers_of(warehouse, JANUARY) == [7, 7, 7]


def test_rows_with_a_pickup_in_another_month_belong_to_the_month_of_their_file(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    stray = {"pickup_datetime": datetime(2021, 2, 10), "trip_number": 100}
    usual = {"pickup_datetime": datetime(2021, 1, 10), "trip_number": 101}
    back = {"pickup_datetime": datetime(2021, 1, 10), "trip_number": 200}
    january = month_file(CONTRACT, JANUARY, [stray, usual], tmp_path / "january")
    february = month_file(CONTRACT, FEBRUARY, [back], tmp_path / "february")

    for month, file in [(JANUARY, january), (FEBRUARY, february), (JANUARY, january), (FEBRUARY, february)]:
        warehouse.replace_month(CONTRACT, month, file)

    assert numbers_of(warehouse, JANUARY) == [100, 101]
    assert numbers_of(warehouse, FEBRUARY) == [200]


def test_other_months_and_other_datasets_are_left_alone(warehouse: Warehouse, tmp_path: Path) -> None:
    other = contract_of(dataset="other")
    warehouse.replace_month(other, JANUARY, month_file(other, JANUARY, [{"trip_number": 9}], tmp_path / "other"))
    for month, numbers in [(JANUARY, [1]), (FEBRUARY, [2, 3]), (MARCH, [4]), (FEBRUARY, [5])]:
        load(warehouse, tmp_path, month, numbers=numbers)

    assert numbers_of(warehouse, JANUARY) == [1]
    assert numbers_of(warehouse, FEBRUARY) == [5]
    assert numbers_of(warehouse, MARCH) == [4]
    assert rows_in(warehouse.read_months(other, [JANUARY]), "trip_number") == [(9,)]


def test_several_months_are_read_together_and_told_apart(warehouse: Warehouse, tmp_path: Path) -> None:
    for month, numbers in [(JANUARY, [1]), (FEBRUARY, [2, 3]), (MARCH, [4])]:
        load(warehouse, tmp_path, month, numbers=numbers)

    both = warehouse.read_months(CONTRACT, [MARCH, JANUARY])

    assert rows_in(both, "source_month", "trip_number") == [(JANUARY.first_day, 1), (MARCH.first_day, 4)]


def test_a_month_the_table_does_not_hold_reads_as_no_rows(warehouse: Warehouse, tmp_path: Path) -> None:
    load(warehouse, tmp_path, JANUARY, numbers=[1])
    assert warehouse.read_months(CONTRACT, [MARCH]).num_rows == 0
    assert warehouse.read_months(CONTRACT, []).num_rows == 0
    assert warehouse.measure_month(CONTRACT, MARCH).rows == 0


def test_a_column_the_contract_gains_is_added_and_is_null_in_old_rows(warehouse: Warehouse, tmp_path: Path) -> None:
    load(warehouse, tmp_path, JANUARY, numbers=[1])
    grown = contract_of({**COLUMNS, "cbd_congestion_fee": "float64"})

    before = warehouse.read_months(grown, [JANUARY])
    assert rows_in(before, "trip_number", "cbd_congestion_fee") == [(1, None)]
    assert warehouse.measure_month(grown, JANUARY).columns["cbd_congestion_fee"] == (0, 0)

    rows = [{"trip_number": 2, "cbd_congestion_fee": 0.75}]
    warehouse.replace_month(grown, FEBRUARY, month_file(grown, FEBRUARY, rows, tmp_path / "grown"))
    after = warehouse.read_months(grown, [JANUARY, FEBRUARY])
    assert rows_in(after, "trip_number", "cbd_congestion_fee") == [(1, None), (2, 0.75)]


def test_a_month_cleaned_under_an_older_contract_still_loads(warehouse: Warehouse, tmp_path: Path) -> None:
    grown = contract_of({**COLUMNS, "cbd_congestion_fee": "float64"})
    old = month_file(CONTRACT, JANUARY, [{"trip_number": 1}], tmp_path / "old")
    warehouse.replace_month(grown, JANUARY, old)
    table = warehouse.read_months(grown, [JANUARY])
    assert rows_in(table, "trip_number", "cbd_congestion_fee") == [(1, None)]


def test_a_table_column_of_another_type_is_named_and_nothing_changes(warehouse: Warehouse, tmp_path: Path) -> None:
    load(warehouse, tmp_path, JANUARY, numbers=[1])
    retyped = contract_of({**COLUMNS, "vendor_id": "string"})
    file = month_file(retyped, JANUARY, [{"vendor_id": "CMT"}], tmp_path / "retyped")

    with pytest.raises(WarehouseError, match=r"column vendor_id is \w+ in the table and \w+ in the contract") as raised:
        warehouse.replace_month(retyped, JANUARY, file)

    assert "Fix: " in str(raised.value)
    assert warehouse.table_name(CONTRACT) in str(raised.value)
    assert numbers_of(warehouse, JANUARY) == [1]


def test_the_table_and_its_columns_carry_the_words_of_the_contract(
    warehouse: Warehouse, store: Store, tmp_path: Path
) -> None:
    load(warehouse, tmp_path, JANUARY, numbers=[1])
    comments = store.comments(CONTRACT.table)
    assert comments == {"": CONTRACT.description} | {
        column.name: column.full_description for column in CONTRACT.table_columns
    }

    reworded = contract_of(description="Reworded.")
    warehouse.replace_month(reworded, JANUARY, month_file(reworded, JANUARY, [], tmp_path / "reworded"))
    assert store.comments(CONTRACT.table)["vendor_id"] == "Reworded."


def test_a_month_that_cannot_be_read_leaves_the_old_one(warehouse: Warehouse, tmp_path: Path) -> None:
    load(warehouse, tmp_path, JANUARY, numbers=[1, 2])
    torn = numbered_file(CONTRACT, JANUARY, 500_000, "torn", tmp_path / "torn")
    with torn.path.open("r+b") as file:  # the footer is whole, most of the pages it points to are not
        file.seek(torn.bytes // 2)
        file.write(b"\xff" * (torn.bytes // 4))

    with pytest.raises(WarehouseError, match="the table is as it was"):
        warehouse.replace_month(CONTRACT, JANUARY, torn)

    assert numbers_of(warehouse, JANUARY) == [1, 2]


def test_reading_from_a_warehouse_that_holds_nothing_says_what_is_missing(warehouse: Warehouse, url: str) -> None:
    zones = load_catalog().zones
    for read in (
        lambda: warehouse.read_months(CONTRACT, [JANUARY]),
        lambda: warehouse.measure_month(CONTRACT, JANUARY),
        lambda: open_warehouse(url, zones).measure_zone_view(contract_of({**COLUMNS, **PLACES}), JANUARY),
        lambda: warehouse.read_reference(zones),
    ):
        with pytest.raises(WarehouseError, match=r"has no table .*(probe_trips|taxi_zones).* Fix: materialize"):
            read()


def test_reading_a_table_that_was_never_loaded_says_what_is_missing(warehouse: Warehouse, tmp_path: Path) -> None:
    load(warehouse, tmp_path, JANUARY, numbers=[1])
    never = contract_of(dataset="never_loaded")
    for read in (lambda: warehouse.read_months(never, [JANUARY]), lambda: warehouse.measure_month(never, JANUARY)):
        with pytest.raises(WarehouseError, match=r"has no table .*never_loaded_trips"):
            read()


def test_a_month_measures_the_same_in_the_store_as_in_its_file(warehouse: Warehouse, tmp_path: Path) -> None:
    file = numbered_file(CONTRACT, JANUARY, 20_000, "Zürich 🚕", tmp_path / "month")
    warehouse.replace_month(CONTRACT, JANUARY, file)
    load(warehouse, tmp_path, FEBRUARY, numbers=[1])

    in_store = warehouse.measure_month(CONTRACT, JANUARY)
    in_file = measure_file(file, CONTRACT.stored_columns, tmp_path)

    assert in_store.rows == 20_000
    assert in_store.columns.keys() == in_file.columns.keys()
    assert list(in_store.differences(in_file)) == []


def test_equal_rows_measure_the_same_in_the_store_however_large_their_values_and_whatever_their_order(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    fares = [0.1, 1e17, -0.7, -1e17, 1e17, 2.0**59 + 2**10, -(2.0**53), 1e300, -1e300, 5e-324, 2_047.999, 8.5e9, None]
    rows = [
        {"pickup_datetime": datetime(2021, 1, 10), "fare_amount": fare, "note": note}
        for fare, note in zip(fares, ["Y", "N", "", None, "Zürich 🚕", "it's", *["Y"] * 7], strict=True)
    ]
    warehouse.replace_month(CONTRACT, JANUARY, month_file(CONTRACT, JANUARY, rows, tmp_path / "stored"))
    in_file = measure_file(
        month_file(CONTRACT, JANUARY, rows[::-1], tmp_path / "file"), CONTRACT.stored_columns, tmp_path
    )

    in_store = warehouse.measure_month(CONTRACT, JANUARY)

    assert list(in_store.differences(in_file)) == []
    assert in_store.columns["fare_amount"][0] == 12


def test_one_value_that_differs_shows_in_the_measures(warehouse: Warehouse, tmp_path: Path) -> None:
    row = {
        "pickup_datetime": datetime(2021, 1, 10),
        "vendor_id": 1,
        "trip_number": 2**60,
        "fare_amount": 1.0,
        "note": "x",
        "licensed_on": date(2020, 1, 1),
    }
    other = {
        "pickup_datetime": datetime(2021, 1, 10, microsecond=1),
        "vendor_id": 2,
        "trip_number": 2**60 + 1,
        "fare_amount": 1.0 + 2**-40,
        "note": "y",
        "licensed_on": date(2020, 1, 2),
    }
    warehouse.replace_month(CONTRACT, JANUARY, month_file(CONTRACT, JANUARY, [row], tmp_path / "stored"))
    in_store = warehouse.measure_month(CONTRACT, JANUARY)

    for changed in other:
        for value in (other[changed], None):
            file = month_file(CONTRACT, JANUARY, [row | {changed: value}], tmp_path / "changed")
            differences = list(in_store.differences(measure_file(file, CONTRACT.stored_columns, tmp_path)))
            assert differences
            assert all(it.startswith(f"{changed}: ") for it in differences)


def test_a_month_has_one_fingerprint_in_every_store_and_in_its_file_whatever_its_values_and_order(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    seeded = random.Random(1)
    anything = (struct.unpack("d", seeded.randbytes(8))[0] for _ in range(300))
    money = (round(seeded.uniform(-300, 300), digits) for digits in (1, 2, 6, 9, 15) for _ in range(60))
    edges = [0.0, -0.0, 0.1 + 0.2, math.inf, -math.inf, math.nan, 1e300, 5e-324, 2.0**62, -(2.0**-66), 1e9, None]
    notes = ["Zürich 🚕", "~", "", None, "1:a", "it's", "出租车", ";"]
    days = [datetime(3019, 1, 1, microsecond=1), datetime(1969, 12, 31, 23, 59, 59, 999_999), datetime(2021, 1, 10)]
    rows = [
        {
            "pickup_datetime": days[number % 3],
            "trip_number": number - 2**62,
            "fare_amount": fare,
            "note": notes[number % 8],
            "licensed_on": date(2020, 1, 1) if number % 2 else None,
        }
        for number, fare in enumerate([*edges, *anything, *money])
    ]
    warehouse.replace_month(CONTRACT, JANUARY, month_file(CONTRACT, JANUARY, rows, tmp_path / "stored"))
    file = month_file(CONTRACT, JANUARY, rows[::-1], tmp_path / "file")

    in_file = fingerprint_file(file, CONTRACT.stored_columns, tmp_path)

    assert warehouse.fingerprint_month(CONTRACT, JANUARY) == in_file
    assert warehouse.fingerprint_month(CONTRACT, JANUARY, nulls={"note", "congestion_surcharge"}) == in_file
    assert warehouse.fingerprint_month(CONTRACT, MARCH) == Fingerprint(0, "0" * 15)


def test_values_swapped_between_rows_leave_every_sum_and_change_the_fingerprint(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    rows = [{"pickup_datetime": datetime(2021, 1, 10), "vendor_id": it, "fare_amount": 10.5 * it} for it in (1, 2, 3)]
    swapped = [row | {"fare_amount": fare} for row, fare in zip(rows, (21.0, 10.5, 31.5), strict=True)]
    warehouse.replace_month(CONTRACT, JANUARY, month_file(CONTRACT, JANUARY, swapped, tmp_path / "stored"))
    file = month_file(CONTRACT, JANUARY, rows, tmp_path / "file")

    sums = warehouse.measure_month(CONTRACT, JANUARY).differences(measure_file(file, CONTRACT.stored_columns, tmp_path))

    assert list(sums) == []
    assert warehouse.fingerprint_month(CONTRACT, JANUARY) != fingerprint_file(file, CONTRACT.stored_columns, tmp_path)


def test_a_reference_table_is_replaced_as_a_whole(warehouse: Warehouse) -> None:
    zones = load_catalog().zones

    def some(*ids: int) -> pa.Table:
        rows = [{"location_id": it, "borough": "N/A", "zone": "Governor's Island", "service_zone": None} for it in ids]
        return pa.Table.from_pylist(rows, pa.schema([(it.name, it.type.arrow) for it in zones.columns]))

    assert warehouse.replace_reference(zones, some(1, 2, 3)) == 3
    assert warehouse.replace_reference(zones, some(2, 4)) == 2
    assert warehouse.read_reference(zones).to_pylist() == some(2, 4).to_pylist()


PLACES = {"pickup_location_id": "int32", "dropoff_location_id": "int32"}


def with_places(url: str, folder: Path, *, unit: str = "USD", ids: Sequence[int] = (1, 2, 3)) -> TripContract:
    """Three trips a month, in a store that has a view with zones; and their contract."""
    bare = contract_of({**COLUMNS, **PLACES})
    priced = [it.model_copy(update={"unit": unit if it.name == "fare_amount" else None}) for it in bare.columns]
    contract = bare.model_copy(update={"columns": tuple(priced)})
    zones = load_catalog().zones
    warehouse = open_warehouse(url, zones)
    rows = [
        {"fare_amount": fare, "pickup_location_id": 1, "dropoff_location_id": place}
        for fare, place in ((1e17, 1), (-1e17, 2), (3.5, None))
    ]
    for month in (JANUARY, FEBRUARY):
        warehouse.replace_month(contract, month, month_file(contract, month, rows, folder / str(month)))
    named = [{"location_id": it, "borough": f"B{at}", "zone": "Z", "service_zone": "S"} for at, it in enumerate(ids)]
    if named:
        schema = pa.schema([(it.name, it.type.arrow) for it in zones.columns])
        warehouse.replace_reference(zones, pa.Table.from_pylist(named, schema))
    return contract


def test_a_view_with_zones_has_the_rows_and_the_money_of_its_table(url: str, tmp_path: Path) -> None:
    contract = with_places(url, tmp_path)
    warehouse = open_warehouse(url, load_catalog().zones)
    totals = warehouse.measure_zone_view(contract, JANUARY)

    assert totals is not None
    assert (totals.rows, totals.money_column, totals.turnover) == (3, "fare_amount", 2e17)
    assert (totals.zones, totals.repeated) == (3, 0)
    assert totals.agree(warehouse.measure_month(contract, JANUARY))


def test_a_lookup_with_repeated_ids_in_the_store_changes_neither_rows_nor_money(url: str, tmp_path: Path) -> None:
    contract = with_places(url, tmp_path, ids=(1, 1, 2, 1, 3))
    warehouse = open_warehouse(url, load_catalog().zones)
    totals = warehouse.measure_zone_view(contract, JANUARY)

    assert totals is not None
    assert (totals.rows, totals.zones, totals.repeated) == (3, 5, 2)
    assert totals.agree(warehouse.measure_month(contract, JANUARY))


def test_money_is_compared_only_where_a_dataset_has_any(url: str, tmp_path: Path) -> None:
    contract = with_places(url, tmp_path, unit="miles", ids=())
    totals = open_warehouse(url, load_catalog().zones).measure_zone_view(contract, JANUARY)

    assert totals == ZoneTotals(3, None, 0.0, 0.0, zones=0, repeated=0)


def test_a_month_the_store_does_not_hold_has_no_rows_in_the_view_either(url: str, tmp_path: Path) -> None:
    contract = with_places(url, tmp_path)
    totals = open_warehouse(url, load_catalog().zones).measure_zone_view(contract, MARCH)

    assert totals == ZoneTotals(0, "fare_amount", 0.0, 0.0, zones=3, repeated=0)


def test_a_store_or_a_dataset_without_a_view_with_zones_has_nothing_to_compare(url: str, tmp_path: Path) -> None:
    zones = load_catalog().zones
    placed = contract_of({**COLUMNS, **PLACES})
    file = month_file(placed, JANUARY, [{"trip_number": 1}], tmp_path / "month")
    open_warehouse(url).replace_month(placed, JANUARY, file)  # by a version that made no views
    bare = contract_of(dataset="nowhere")
    open_warehouse(url, zones).replace_month(bare, JANUARY, month_file(bare, JANUARY, [], tmp_path / "bare"))

    assert open_warehouse(url, zones).measure_zone_view(placed, JANUARY) is None
    assert open_warehouse(url, zones).measure_zone_view(bare, JANUARY) is None
    assert open_warehouse(url).measure_zone_view(placed, JANUARY) is None
    with pytest.raises(WarehouseError, match=r"has no table .*never_loaded_trips"):  # and not: it has no view
        open_warehouse(url, zones).measure_zone_view(contract_of({**COLUMNS, **PLACES}, "never_loaded"), JANUARY)


def test_different_months_from_two_processes_at_once_both_arrive(
    warehouse: Warehouse, url: str, tmp_path: Path
) -> None:
    # Nothing is there yet: both also want to make the store, the schema and the table.
    months = [JANUARY, FEBRUARY]
    files = {month: [numbered_file(CONTRACT, month, 1_000, str(month), tmp_path / str(month)).path] for month in months}

    at_once(replace_month, [(url, CONTRACT, month, files[month] * 3, None) for month in months])

    table = warehouse.read_months(CONTRACT, months)
    notes = Counter(rows_in(table, "source_month", "note"))
    assert notes == {(month.first_day, str(month)): 1_000 for month in months}


def test_the_same_month_from_two_processes_at_once_is_never_a_mix(
    warehouse: Warehouse, url: str, tmp_path: Path
) -> None:
    sizes = {"left": 3_000, "right": 2_000}
    files = {note: numbered_file(CONTRACT, JANUARY, rows, note, tmp_path / note) for note, rows in sizes.items()}
    warehouse.replace_month(CONTRACT, JANUARY, files["left"])

    writers = [
        SPAWN.Process(target=replace_month, args=(url, CONTRACT, JANUARY, [file.path] * 5, None))
        for file in files.values()
    ]
    for writer in writers:
        writer.start()
    seen = [Counter(note for (note,) in rows_in(warehouse.read_months(CONTRACT, [JANUARY]), "note"))]
    while any(writer.is_alive() for writer in writers):
        seen.append(Counter(note for (note,) in rows_in(warehouse.read_months(CONTRACT, [JANUARY]), "note")))
    seen.append(Counter(note for (note,) in rows_in(warehouse.read_months(CONTRACT, [JANUARY]), "note")))

    assert [writer.exitcode for writer in writers] == [0, 0]
    assert all(month in ({"left": 3_000}, {"right": 2_000}) for month in seen), seen


def test_a_process_killed_while_it_replaces_a_month_leaves_the_old_month_whole(
    warehouse: Warehouse, store: Store, url: str, tmp_path: Path
) -> None:
    load(warehouse, tmp_path, FEBRUARY, numbers=[1])
    old = numbered_file(CONTRACT, JANUARY, 1_000, "old", tmp_path / "old")
    new = numbered_file(CONTRACT, JANUARY, store.many, "new", tmp_path / "new")
    started_at = time.monotonic()
    warehouse.replace_month(CONTRACT, JANUARY, new)
    seconds = time.monotonic() - started_at
    warehouse.replace_month(CONTRACT, JANUARY, old)

    killed = 0
    for share in (0.15, 0.5, 0.85):
        started = tmp_path / f"started-{share}"
        process = SPAWN.Process(target=replace_month, args=(url, CONTRACT, JANUARY, [new.path], started))
        process.start()
        while not started.exists():
            time.sleep(0.001)
        time.sleep(seconds * share)
        process.kill()
        process.join()
        left = Counter(str(note) for note in warehouse.read_months(CONTRACT, [JANUARY]).column("note").to_pylist())
        assert left in (Counter({"old": 1_000}), Counter({"new": store.many})), f"killed at {share}"
        if left["new"]:  # it was done before the signal came
            warehouse.replace_month(CONTRACT, JANUARY, old)
        else:
            killed += process.exitcode == -signal.SIGKILL

    assert killed
    assert warehouse.replace_month(CONTRACT, JANUARY, new) == store.many
    assert warehouse.measure_month(CONTRACT, JANUARY).rows == store.many
    assert numbers_of(warehouse, FEBRUARY) == [1]


def load(warehouse: Warehouse, folder: Path, month: Month, numbers: list[int]) -> int:
    rows = [{"pickup_datetime": datetime(month.year, month.number, 15), "trip_number": number} for number in numbers]
    return warehouse.replace_month(CONTRACT, month, month_file(CONTRACT, month, rows, folder / "some.parquet"))


def numbers_of(warehouse: Warehouse, month: Month) -> list[int]:
    return [number for (number,) in rows_in(warehouse.read_months(CONTRACT, [month]), "trip_number")]
