"""What is particular to views in PostgreSQL: who may read them, what others built on them, how they are planned."""

from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import sql

from real_servers.postgres import PostgresServer
from taxi_platform.core.catalog import load_catalog
from taxi_platform.core.warehouse.postgres import PostgresWarehouse
from taxi_platform_tests.core.warehouse.months import FEBRUARY, JANUARY, contract_of, month_file

ZONES = load_catalog().zones
CONTRACT = contract_of({"trip_number": "int64", "pickup_location_id": "int32"})
VIEW = "taxi.probe_trips_with_zones"
#: The view as it was made before a trip was sure to be there once, in a store whose lookup has an id twice.
OF_OLD = f"""
    DROP VIEW {VIEW};
    CREATE VIEW {VIEW} AS SELECT trips.*, pickup.borough AS pickup_borough, pickup.zone AS pickup_zone,
        pickup.service_zone AS pickup_service_zone
    FROM taxi.probe_trips AS trips LEFT JOIN taxi.taxi_zones AS pickup ON pickup.location_id = trips.pickup_location_id;
    INSERT INTO taxi.taxi_zones VALUES (1, 'EWR', 'Newark Airport', 'EWR'), (1, 'EWR', 'Newark', 'EWR')
"""


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.new_database()


@pytest.fixture
def warehouse(url: str, tmp_path: Path) -> PostgresWarehouse:
    """One that holds a month of one trip."""
    warehouse = PostgresWarehouse(url, ZONES)
    load(warehouse, tmp_path)
    return warehouse


def load(warehouse: PostgresWarehouse, folder: Path) -> None:
    file = month_file(CONTRACT, JANUARY, [{"trip_number": 1, "pickup_location_id": 1}], folder / "month")
    warehouse.replace_month(CONTRACT, JANUARY, file)


def query(url: str, statement: LiteralString) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def administer(server: PostgresServer, url: str, statement: LiteralString) -> None:
    """Do something in the database as the server's administrator."""
    server.execute(sql.SQL(statement), url.rpartition("/")[2])


def test_a_view_of_an_older_version_is_replaced_under_whoever_reads_it_or_built_on_it(
    url: str, warehouse: PostgresWarehouse, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    query(url, OF_OLD)
    query(url, f"GRANT SELECT ON {VIEW} TO public")
    query(url, f"CREATE VIEW mine AS SELECT trip_number, pickup_borough FROM {VIEW}")
    assert query(url, "SELECT count(*) FROM mine") == [(2,)]

    load(warehouse, tmp_path)

    assert query(url, "SELECT * FROM mine") == [(1, "EWR")]
    assert query(url, f"SELECT has_table_privilege('public', '{VIEW}', 'SELECT')") == [(True,)]
    assert not caplog.messages


def test_a_view_that_is_what_it_should_be_is_left_alone(url: str, warehouse: PostgresWarehouse, tmp_path: Path) -> None:
    made = query(url, f"SELECT xmin, oid FROM pg_class WHERE oid = '{VIEW}'::regclass")
    load(warehouse, tmp_path)
    assert query(url, f"SELECT xmin, oid FROM pg_class WHERE oid = '{VIEW}'::regclass") == made


def test_a_view_that_may_not_be_changed_is_no_reason_to_have_no_new_rows(
    url: str, postgres: PostgresServer, warehouse: PostgresWarehouse, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    query(url, OF_OLD)
    administer(postgres, url, f"ALTER VIEW {VIEW} OWNER TO postgres; GRANT SELECT ON {VIEW} TO public")

    file = month_file(CONTRACT, FEBRUARY, [{"trip_number": 2}], tmp_path / "month")
    warehouse.replace_month(CONTRACT, FEBRUARY, file)

    assert query(url, "SELECT count(*) FROM taxi.probe_trips") == [(2,)]
    (warning,) = caplog.messages
    assert "probe_trips_with_zones stays as it is: must be owner of view" in warning
    totals = warehouse.measure_zone_view(CONTRACT, JANUARY)
    assert totals is not None
    assert (totals.rows, totals.repeated) == (2, 1)


def test_a_join_nobody_asks_for_is_left_out_and_the_others_are_no_loops_over_the_lookup(
    url: str, warehouse: PostgresWarehouse, tmp_path: Path
) -> None:
    columns = {"trip_number": "int64", "pickup_location_id": "int32", "dropoff_location_id": "int32"}
    contract = contract_of(columns, dataset="many")
    path = tmp_path / "many.parquet"
    many = month_file(contract, JANUARY, [{"pickup_location_id": it % 265} for it in range(20_000)], path)
    warehouse.replace_month(contract, JANUARY, many)
    query(url, "INSERT INTO taxi.taxi_zones SELECT it, 'B', 'Z', 'S' FROM generate_series(1, 265) AS it")
    view = "taxi.many_trips_with_zones"
    # As a server finds them right after a load, and later.
    for statement in ("SELECT 1", "ANALYZE"):
        query(url, statement)
        unasked = plan(url, f"SELECT count(*) FROM {view} WHERE source_month = DATE '2021-01-01'")
        asked = plan(url, f"SELECT pickup_zone, dropoff_zone, count(*) FROM {view} GROUP BY 1, 2")
        assert "taxi_zones" not in unasked
        assert asked.count("Hash") >= 2, asked
        assert "Nested Loop" not in asked, asked


def plan(url: str, statement: LiteralString) -> str:
    return "\n".join(line for (line,) in query(url, f"EXPLAIN {statement}"))
