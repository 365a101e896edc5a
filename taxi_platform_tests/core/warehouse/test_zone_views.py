"""`<table>_with_zones`: every trip of a table once, with the names of the zones it began and ended in."""

import time
from importlib import resources
from pathlib import Path
from typing import Any, LiteralString, cast

import duckdb
import psycopg
import pyarrow as pa
import pytest

from real_servers.postgres import PostgresServer
from taxi_platform.core.catalog import load_catalog
from taxi_platform.core.errors import WarehouseError
from taxi_platform.core.reference import read_reference_file
from taxi_platform.core.warehouse import Warehouse, open_warehouse
from taxi_platform_tests.core.cleaning.months import raw_file
from taxi_platform_tests.core.warehouse.months import FEBRUARY, JANUARY, contract_of, month_file
from taxi_platform_tests.core.warehouse.processes import SPAWN, replace_month

ZONES = load_catalog().zones
COLUMNS = {
    "pickup_datetime": "timestamp",
    "trip_number": "int64",
    "pickup_location_id": "int32",
    "dropoff_location_id": "int32",
}
CONTRACT = contract_of(COLUMNS)
VIEW = "taxi.probe_trips_with_zones"
ZONE_RELATIONS = "SELECT table_name FROM information_schema.tables WHERE table_name LIKE '%zones'"


@pytest.fixture(params=["duckdb", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A warehouse that holds nothing yet."""
    if request.param == "duckdb":
        return f"duckdb:///{tmp_path / 'warehouse.duckdb'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture
def warehouse(url: str) -> Warehouse:
    return open_warehouse(url, ZONES)


@pytest.fixture
def trips(warehouse: Warehouse, tmp_path: Path) -> list[dict[str, Any]]:
    """A month with every kind of location there is, loaded."""
    ends = [(1, 265), (264, 1), (265, 264), (None, 1), (1, None), (None, None), (0, 266), (1, 1)]
    rows = [
        {"trip_number": number, "pickup_location_id": pickup, "dropoff_location_id": dropoff}
        for number, (pickup, dropoff) in enumerate(ends)
    ]
    warehouse.replace_month(CONTRACT, JANUARY, month_file(CONTRACT, JANUARY, rows, tmp_path / "month"))
    return rows


def zones() -> pa.Table:
    """The lookup that is shipped with the sample source."""
    with resources.as_file(resources.files("taxi_platform.core.source") / ZONES.file) as path:
        return read_reference_file(ZONES, raw_file(path))


def query(url: str, statement: LiteralString, *, read_only: bool = True) -> list[tuple[Any, ...]]:
    if url.startswith("duckdb"):
        with duckdb.connect(url.removeprefix("duckdb:///"), read_only=read_only) as con:
            return con.execute(statement).fetchall()
    with psycopg.connect(url) as con:
        cursor = con.execute(statement)
        return cursor.fetchall() if cursor.description else []


def test_names_are_joined_to_both_ends_and_a_trip_without_a_known_zone_stays(
    warehouse: Warehouse, url: str, trips: list[dict[str, Any]]
) -> None:
    warehouse.replace_reference(ZONES, zones())
    names: dict[int | None, tuple[str | None, str | None, str | None]] = {
        1: ("EWR", "Newark Airport", "EWR"),
        264: ("Unknown", "N/A", "N/A"),
        265: ("N/A", "Outside of NYC", "N/A"),
    }
    nothing = (None, None, None)
    found = query(
        url,
        f"""
        SELECT trip_number, pickup_borough, pickup_zone, pickup_service_zone,
               dropoff_borough, dropoff_zone, dropoff_service_zone
        FROM {VIEW} ORDER BY trip_number
        """,
    )
    assert found == [
        (
            row["trip_number"],
            *names.get(row["pickup_location_id"], nothing),
            *names.get(row["dropoff_location_id"], nothing),
        )
        for row in trips
    ]


def test_the_view_is_there_before_the_zones_are(warehouse: Warehouse, url: str, trips: list[dict[str, Any]]) -> None:
    count = f"SELECT count(*), count(pickup_zone) FROM {VIEW}"
    assert query(url, count) == [(len(trips), 0)]
    warehouse.replace_reference(ZONES, zones())
    assert query(url, count) == [(len(trips), 5)]


@pytest.mark.usefixtures("trips")
def test_zones_that_were_not_loaded_yet_are_missing_and_not_none(warehouse: Warehouse) -> None:
    # The view needs the table of zones, which is made empty with the first month.
    with pytest.raises(WarehouseError, match=r"taxi\.taxi_zones.*Fix: materialize"):
        warehouse.read_reference(ZONES)


def test_the_view_has_the_columns_of_the_table_first(
    warehouse: Warehouse, url: str, trips: list[dict[str, Any]]
) -> None:
    names = [
        name
        for (name,) in query(
            url,
            "SELECT column_name FROM information_schema.columns "
            "WHERE table_name = 'probe_trips_with_zones' ORDER BY ordinal_position",
        )
    ]
    table = [column.name for column in CONTRACT.table_columns]
    assert names[: len(table)] == table
    assert names[len(table) :] == [
        f"{end}_{name}" for end in ("pickup", "dropoff") for name in ("borough", "zone", "service_zone")
    ]
    assert warehouse.read_months(CONTRACT, [JANUARY]).column_names == table
    assert len(trips) == warehouse.measure_month(CONTRACT, JANUARY).rows


def test_the_view_has_a_column_the_contract_gains(
    warehouse: Warehouse, url: str, tmp_path: Path, trips: list[dict[str, Any]]
) -> None:
    warehouse.replace_reference(ZONES, zones())
    grown = contract_of({**COLUMNS, "cbd_congestion_fee": "float64"})
    rows = [{"trip_number": 100, "pickup_location_id": 1, "cbd_congestion_fee": 0.75}]
    warehouse.replace_month(grown, FEBRUARY, month_file(grown, FEBRUARY, rows, tmp_path / "grown"))

    found = query(url, f"SELECT cbd_congestion_fee, pickup_zone FROM {VIEW} WHERE trip_number IN (0, 100) ORDER BY 1")

    assert found == [(0.75, "Newark Airport"), (None, "Newark Airport")]
    assert query(url, f"SELECT count(*) FROM {VIEW}") == [(len(trips) + 1,)]


def test_a_dataset_that_only_knows_where_trips_began_has_a_view_of_that(
    warehouse: Warehouse, url: str, tmp_path: Path
) -> None:
    contract = contract_of({"trip_number": "int64", "pickup_location_id": "int32"}, dataset="half")
    rows = [{"trip_number": 1, "pickup_location_id": 265}]
    warehouse.replace_reference(ZONES, zones())
    warehouse.replace_month(contract, JANUARY, month_file(contract, JANUARY, rows, tmp_path / "month"))
    assert query(url, "SELECT pickup_zone FROM taxi.half_trips_with_zones") == [("Outside of NYC",)]


def test_a_dataset_without_places_has_no_view(warehouse: Warehouse, url: str, tmp_path: Path) -> None:
    contract = contract_of({"trip_number": "int64"}, dataset="nowhere")
    warehouse.replace_month(contract, JANUARY, month_file(contract, JANUARY, [{"trip_number": 1}], tmp_path / "month"))
    assert query(url, ZONE_RELATIONS) == []


def test_the_view_can_be_read_while_other_months_are_loaded(warehouse: Warehouse, url: str, tmp_path: Path) -> None:
    warehouse.replace_reference(ZONES, zones())
    trip = {"trip_number": 1, "pickup_location_id": 265}
    january = month_file(CONTRACT, JANUARY, [trip] * 10, tmp_path / "january")
    warehouse.replace_month(CONTRACT, JANUARY, january)
    february = [month_file(CONTRACT, FEBRUARY, [trip] * rows, tmp_path / str(rows)).path for rows in (20, 30)]

    writer = SPAWN.Process(target=replace_month, args=(url, CONTRACT, FEBRUARY, february * 3, None))
    writer.start()
    seen: set[tuple[int, int]] = set()
    while writer.is_alive():
        try:
            seen.update(
                query(url, f"SELECT count(*), count(*) FILTER (WHERE pickup_zone = 'Outside of NYC') FROM {VIEW}")
            )
        except duckdb.IOException as error:  # DuckDB lets one process at a time into a file
            assert "Could not set lock on file" in str(error)
        time.sleep(0.05)

    assert writer.exitcode == 0
    assert seen
    assert seen <= {(10, 10), (30, 30), (40, 40)}
    assert query(url, f"SELECT count(*) FROM {VIEW}") == [(40,)]


def test_a_warehouse_that_was_filled_before_there_were_views_gets_them_with_the_next_month(
    url: str, tmp_path: Path
) -> None:
    file = month_file(CONTRACT, JANUARY, [{"trip_number": 1, "pickup_location_id": 1}], tmp_path / "month")
    open_warehouse(url).replace_month(CONTRACT, JANUARY, file)
    assert query(url, ZONE_RELATIONS) == []

    later = open_warehouse(url, ZONES)
    later.replace_month(CONTRACT, FEBRUARY, file)
    later.replace_reference(ZONES, zones())

    assert query(url, f"SELECT count(*), count(pickup_zone) FROM {VIEW}") == [(2, 2)]


@pytest.mark.parametrize(
    ("url", "mend"),
    [
        ("duckdb", "DROP TABLE taxi.probe_trips"),
        ("duckdb", "ALTER TABLE taxi.probe_trips RENAME TO probe_trips_of_old"),
        ("postgres", "DROP TABLE taxi.probe_trips CASCADE"),
        ("postgres", "ALTER SCHEMA taxi RENAME TO taxi_of_old"),
    ],
    indirect=["url"],
)
@pytest.mark.usefixtures("trips")
def test_the_view_is_not_in_the_way_of_mending_a_table_whose_columns_changed(
    warehouse: Warehouse, url: str, tmp_path: Path, mend: LiteralString
) -> None:
    retyped = contract_of({**COLUMNS, "trip_number": "string"})
    rows = [{"trip_number": "seven", "pickup_location_id": 1}]
    file = month_file(retyped, JANUARY, rows, tmp_path / "retyped")
    with pytest.raises(WarehouseError, match=r"column trip_number is .* Fix: "):
        warehouse.replace_month(retyped, JANUARY, file)

    query(url, mend, read_only=False)
    warehouse.replace_month(retyped, JANUARY, file)
    warehouse.replace_reference(ZONES, zones())

    assert query(url, f"SELECT trip_number, pickup_zone FROM {VIEW}") == [("seven", "Newark Airport")]


def old_view() -> str:
    """The view as it was made before a trip was sure to be there once."""
    ends = {"pickup": "pickup_location_id", "dropoff": "dropoff_location_id"}
    names = ", ".join(f"{end}.{it} AS {end}_{it}" for end in ends for it in ("borough", "zone", "service_zone"))
    joins = " ".join(
        f"LEFT JOIN taxi.taxi_zones AS {end} ON {end}.location_id = trips.{id_}" for end, id_ in ends.items()
    )
    return f"SELECT trips.*, {names} FROM taxi.probe_trips AS trips {joins}"


def with_repeated_ids(warehouse: Warehouse, url: str) -> None:
    """Fill the lookup as an older version did from a file made of TLC's shapefile, with names that differ besides."""
    warehouse.replace_reference(ZONES, zones())
    query(
        url,
        """
        INSERT INTO taxi.taxi_zones
        SELECT location_id, 'Z' || borough, zone, service_zone FROM taxi.taxi_zones WHERE location_id IN (1, 264)
        UNION ALL SELECT location_id, NULL, NULL, NULL FROM taxi.taxi_zones WHERE location_id = 1
        UNION ALL SELECT NULL, 'No', 'No', 'No' FROM taxi.taxi_zones WHERE location_id < 3
        """,
        read_only=False,
    )


def test_a_lookup_in_which_ids_repeat_gives_every_trip_once_and_always_the_same_names(
    warehouse: Warehouse, url: str, trips: list[dict[str, Any]]
) -> None:
    with_repeated_ids(warehouse, url)

    found = query(url, f"SELECT trip_number, pickup_borough, dropoff_borough FROM {VIEW} ORDER BY 1")

    names = {1: "EWR", 264: "Unknown", 265: "N/A"}
    assert found == [
        (row["trip_number"], names.get(row["pickup_location_id"]), names.get(row["dropoff_location_id"]))
        for row in trips
    ]


def test_a_view_of_an_older_version_gives_every_trip_once_after_the_next_load(
    warehouse: Warehouse, url: str, tmp_path: Path, trips: list[dict[str, Any]]
) -> None:
    with_repeated_ids(warehouse, url)
    query(url, f"DROP VIEW {VIEW}", read_only=False)
    query(url, cast(LiteralString, f"CREATE VIEW {VIEW} AS {old_view()}"), read_only=False)
    count = f"SELECT count(*) FROM {VIEW} WHERE source_month = DATE '2021-01-01'"
    assert query(url, count) > [(len(trips),)]

    warehouse.replace_month(CONTRACT, FEBRUARY, month_file(CONTRACT, FEBRUARY, trips, tmp_path / "february"))

    assert query(url, count) == [(len(trips),)]


@pytest.mark.usefixtures("trips")
def test_the_view_shows_the_table_that_took_the_place_of_a_renamed_one(
    warehouse: Warehouse, url: str, tmp_path: Path
) -> None:
    query(url, "ALTER TABLE taxi.probe_trips RENAME TO probe_trips_of_old", read_only=False)
    file = month_file(CONTRACT, FEBRUARY, [{"trip_number": 7}], tmp_path / "month")
    warehouse.replace_month(CONTRACT, FEBRUARY, file)
    assert query(url, f"SELECT trip_number FROM {VIEW}") == [(7,)]
