"""What is particular to PostgreSQL as a warehouse: partitions, who waits for whom, what others do with its tables."""

import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, LiteralString
from urllib.parse import urlsplit

import psycopg
import pyarrow as pa
import pytest
from psycopg import sql

from real_servers.postgres import PostgresServer
from taxi_platform.core.catalog import load_catalog
from taxi_platform.core.catalog.model import SOURCE_MONTH
from taxi_platform.core.errors import WarehouseError
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import ParquetFile
from taxi_platform.core.warehouse.postgres import PostgresWarehouse
from taxi_platform.core.warehouse.postgres.session import Connection, Session
from taxi_platform.marts import load_marts
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
#: Somebody waits for a lock.
WAITING = "SELECT FROM pg_locks WHERE NOT granted"
JANUARYS_ROWS = "SELECT note, count(*) FROM taxi.probe_trips WHERE source_month = '2021-01-01' GROUP BY note"


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.new_database()


@pytest.fixture
def warehouse(url: str) -> PostgresWarehouse:
    return PostgresWarehouse(url)


def query(url: str, statement: LiteralString) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def load(warehouse: PostgresWarehouse, folder: Path, month: Month, note: str, rows: int = 10) -> None:
    warehouse.replace_month(CONTRACT, month, numbered_file(CONTRACT, month, rows, note, folder / f"{note}.parquet"))


@contextmanager
def loading(url: str, folder: Path, note: str, rows: int) -> Generator[Future[None], None, None]:
    """January is replaced meanwhile; at the end of the block it has to be done sooner or later."""
    file = numbered_file(CONTRACT, JANUARY, rows, note, folder / f"{note}.parquet")
    with ThreadPoolExecutor(1) as pool:
        load = pool.submit(replace_month, url, CONTRACT, JANUARY, [file.path], None)
        yield load
        load.result()


def longest_read(url: str, going_on: Callable[[], bool], seen: set[tuple[Any, ...]]) -> float:
    """Read January again and again; the seconds it took when it took longest."""
    longest = 0.0
    with psycopg.connect(url, autocommit=True, options="-c lock_timeout=5s") as reader:
        while going_on():
            started = time.monotonic()
            seen.update(reader.execute(JANUARYS_ROWS).fetchall() or [()])
            longest = max(longest, time.monotonic() - started)
    return longest


# ---- what is in the database


def test_each_month_is_a_partition_with_its_index_and_nothing_else_is_left(
    url: str, warehouse: PostgresWarehouse, tmp_path: Path
) -> None:
    for month in (JANUARY, FEBRUARY, JANUARY, JANUARY):
        load(warehouse, tmp_path, month, "some")

    relations = query(
        url,
        """
        SELECT relname, relkind, pg_get_expr(relpartbound, oid), pg_get_partkeydef(oid)
        FROM pg_class WHERE relnamespace = 'taxi'::regnamespace AND relkind IN ('r', 'p') ORDER BY 1
        """,
    )
    assert relations == [
        ("probe_trips", "p", None, "LIST (source_month)"),
        ("probe_trips_2021_01", "r", "FOR VALUES IN ('2021-01-01')", None),
        ("probe_trips_2021_02", "r", "FOR VALUES IN ('2021-02-01')", None),
    ]
    indexes = query(
        url,
        """
        SELECT indrelid::regclass::text, indisvalid, substring(pg_get_indexdef(indexrelid) FROM 'USING .*'),
               inhparent::regclass::text
        FROM pg_index JOIN pg_class ON pg_class.oid = indrelid LEFT JOIN pg_inherits ON inhrelid = indexrelid
        WHERE relnamespace = 'taxi'::regnamespace ORDER BY 1
        """,
    )
    parent = "taxi.probe_trips_pickup_datetime_idx"
    assert indexes == [
        ("taxi.probe_trips", True, "USING brin (pickup_datetime)", None),
        ("taxi.probe_trips_2021_01", True, "USING brin (pickup_datetime)", parent),
        ("taxi.probe_trips_2021_02", True, "USING brin (pickup_datetime)", parent),
    ]
    assert query(url, "SELECT conname FROM pg_constraint WHERE connamespace = 'taxi'::regnamespace") == []
    assert (
        query(
            url,
            "SELECT adrelid FROM pg_attrdef JOIN pg_class ON pg_class.oid = adrelid "
            "WHERE relnamespace = 'taxi'::regnamespace",
        )
        == []
    )


def test_a_month_is_replaced_also_where_days_are_written_otherwise(url: str, tmp_path: Path) -> None:
    warehouse = PostgresWarehouse(f"{url}?options=-cdatestyle%3DSQL%2CDMY")
    for note in ("old", "new"):
        load(warehouse, tmp_path, JANUARY, note)
    assert query(url, JANUARYS_ROWS) == [("new", 10)]


def test_a_query_for_a_month_reads_its_partition_only(url: str, warehouse: PostgresWarehouse, tmp_path: Path) -> None:
    for month in (JANUARY, FEBRUARY, MARCH):
        load(warehouse, tmp_path, month, "some")
    plan = query(url, "EXPLAIN SELECT * FROM taxi.probe_trips WHERE source_month = DATE '2021-02-01'")
    assert set(re.findall(r"probe_trips_\d{4}_\d\d", str(plan))) == {"probe_trips_2021_02"}


@pytest.mark.parametrize(
    ("made", "wrong"),
    [
        ("TABLE taxi.probe_trips (source_month date)", "the table is not partitioned"),
        ("VIEW taxi.probe_trips AS SELECT DATE '2021-01-01' AS source_month", "the table is not partitioned"),
        (
            "TABLE taxi.probe_trips (pickup_datetime timestamp) PARTITION BY RANGE (pickup_datetime)",
            "the table is partitioned by RANGE (pickup_datetime)",
        ),
    ],
)
def test_a_table_that_somebody_else_made_otherwise_is_refused(
    url: str, warehouse: PostgresWarehouse, tmp_path: Path, made: LiteralString, wrong: str
) -> None:
    query(url, "CREATE SCHEMA taxi")
    query(url, "CREATE " + made)
    with pytest.raises(WarehouseError, match=re.escape(wrong)) as raised:
        load(warehouse, tmp_path, JANUARY, "some")
    assert "taxi.probe_trips" in str(raised.value)
    assert "Fix: DROP TABLE taxi.probe_trips CASCADE" in str(raised.value)


def test_a_name_that_is_taken_is_said_and_nothing_changes(
    url: str, warehouse: PostgresWarehouse, tmp_path: Path
) -> None:
    load(warehouse, tmp_path, JANUARY, "old")
    query(url, "ALTER TABLE taxi.probe_trips DETACH PARTITION taxi.probe_trips_2021_01")
    with pytest.raises(WarehouseError, match='relation "probe_trips_2021_01" already exists') as raised:
        load(warehouse, tmp_path, JANUARY, "new")
    assert "Fix: drop what has the name, or give it another one" in str(raised.value)
    assert query(url, "SELECT DISTINCT note FROM taxi.probe_trips_2021_01") == [("old",)]


def test_columns_and_indexes_that_others_added_stay_and_work(
    url: str, warehouse: PostgresWarehouse, tmp_path: Path
) -> None:
    load(warehouse, tmp_path, JANUARY, "old")
    query(
        url,
        """
        ALTER TABLE taxi.probe_trips
            ADD COLUMN mistake text,
            ADD COLUMN remark text,
            ADD COLUMN loaded_by text NOT NULL DEFAULT current_user,
            ADD COLUMN fare_in_cents bigint GENERATED ALWAYS AS (fare_amount * 100) STORED,
            ADD COLUMN "Double" bigint GENERATED ALWAYS AS (trip_number * 2) VIRTUAL;
        ALTER TABLE taxi.probe_trips DROP COLUMN mistake;
        CREATE INDEX ON taxi.probe_trips (vendor_id DESC, lower(note)) WHERE trip_number > 3;
        CREATE UNIQUE INDEX ON taxi.probe_trips (source_month, trip_number)
        """,
    )
    query(url, "UPDATE taxi.probe_trips SET remark = 'mine'")

    load(warehouse, tmp_path, FEBRUARY, "new")

    rows = query(
        url,
        """
        SELECT note, remark, loaded_by, bool_and(fare_in_cents = round(fare_amount * 100)),
               bool_and("Double" = trip_number * 2)
        FROM taxi.probe_trips GROUP BY 1, 2, 3 ORDER BY 1 DESC
        """,
    )
    assert rows == [("old", "mine", "loader", True, True), ("new", None, "loader", True, True)]
    indexes = query(
        url,
        "SELECT indrelid::regclass::text, count(*) FROM pg_index JOIN pg_inherits ON inhrelid = indexrelid GROUP BY 1",
    )
    assert sorted(indexes) == [("taxi.probe_trips_2021_01", 3), ("taxi.probe_trips_2021_02", 3)]


# ---- readers


def test_readers_of_a_month_that_is_replaced_see_a_whole_one_and_hardly_wait(
    url: str, warehouse: PostgresWarehouse, tmp_path: Path
) -> None:
    load(warehouse, tmp_path, JANUARY, "before", rows=50_000)
    sizes = {"a": 60_000, "b": 70_000}
    files = [numbered_file(CONTRACT, JANUARY, rows, note, tmp_path / note).path for note, rows in sizes.items()]
    seen: set[tuple[Any, ...]] = set()

    process = SPAWN.Process(target=replace_month, args=(url, CONTRACT, JANUARY, files * 8, None))
    process.start()
    longest = longest_read(url, process.is_alive, seen)

    assert process.exitcode == 0
    assert seen == {("before", 50_000), *sizes.items()}
    assert longest < 2.5


def test_readers_do_not_wait_for_the_making_of_an_index(url: str, warehouse: PostgresWarehouse, tmp_path: Path) -> None:
    load(warehouse, tmp_path, JANUARY, "old")
    query(
        url,
        """
        CREATE FUNCTION slow(bigint) RETURNS bigint IMMUTABLE LANGUAGE plpgsql
            AS $$ BEGIN PERFORM pg_sleep(0.1); RETURN $1; END $$;
        CREATE INDEX ON taxi.probe_trips (slow(trip_number))
        """,
    )
    seen: set[tuple[Any, ...]] = set()
    with loading(url, tmp_path, "new", rows=15) as load_of_new:
        assert longest_read(url, lambda: not load_of_new.done(), seen) < 1
    assert seen <= {("old", 10), ("new", 15)}


def test_whoever_looks_through_an_older_snapshot_sees_a_whole_month(
    url: str, warehouse: PostgresWarehouse, tmp_path: Path
) -> None:
    load(warehouse, tmp_path, JANUARY, "old")
    with psycopg.connect(url) as reader:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        reader.execute("SELECT 1")  # takes the snapshot, and no lock
        load(warehouse, tmp_path, JANUARY, "new", rows=20)
        assert reader.execute(JANUARYS_ROWS).fetchall() == [("new", 20)]


def test_a_load_waits_for_a_reader_that_is_not_done_and_other_readers_hardly_do(
    url: str, warehouse: PostgresWarehouse, tmp_path: Path
) -> None:
    load(warehouse, tmp_path, JANUARY, "old")
    with loading(url, tmp_path, "new", rows=20) as load_of_new, psycopg.connect(url) as reader:
        reader.execute(JANUARYS_ROWS)
        wait_for(url, WAITING)
        seen: set[tuple[Any, ...]] = set()
        enough = time.monotonic() + 5
        assert longest_read(url, lambda: time.monotonic() < enough, seen) < 2.5
        assert seen == {("old", 10)}
        assert not load_of_new.done()
    assert query(url, JANUARYS_ROWS) == [("new", 20)]


def test_a_reader_that_is_never_done_is_named_and_the_old_month_stands(url: str, tmp_path: Path) -> None:
    warehouse = PostgresWarehouse(url, patience=1)
    load(warehouse, tmp_path, JANUARY, "old")
    other = contract_of(dataset="other")
    warehouse.replace_month(other, JANUARY, month_file(other, JANUARY, [], tmp_path / "other"))
    with psycopg.connect(url, application_name="a notebook") as reader, psycopg.connect(url) as elsewhere:
        reader.execute(JANUARYS_ROWS)
        elsewhere.execute("SELECT count(*) FROM taxi.other_trips")
        with pytest.raises(WarehouseError, match=r"others have held taxi\.probe_trips for over 1 s") as raised:
            load(warehouse, tmp_path, JANUARY, "new")
        told, pid = str(raised.value), reader.info.backend_pid
        assert f"pid {pid} (loader, a notebook, idle in transaction, for 00:00:0" in told
        assert f"pid {elsewhere.info.backend_pid} " not in told
        assert "Fix: end them (SELECT pg_terminate_backend(pid)), or wait for them" in told
        assert raised.value.may_pass_later
        assert reader.execute(JANUARYS_ROWS).fetchall() == [("old", 10)]
    assert [
        name for (name,) in query(url, "SELECT relname FROM pg_class WHERE relname ~ '^probe_trips_2021_01_.*[^x]$'")
    ] == []


def test_a_reader_of_one_partition_alone_is_named_too(url: str, tmp_path: Path) -> None:
    warehouse = PostgresWarehouse(url, patience=1)
    load(warehouse, tmp_path, JANUARY, "old")
    with psycopg.connect(url, application_name="a notebook") as reader:
        reader.execute("SELECT count(*) FROM taxi.probe_trips_2021_01")
        with pytest.raises(WarehouseError) as raised:
            load(warehouse, tmp_path, JANUARY, "new")
        assert f"pid {reader.info.backend_pid} (loader, a notebook, idle in transaction" in str(raised.value)


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(lambda it, _: it.measure_month(CONTRACT, JANUARY), id="measure"),
        pytest.param(lambda it, _: it.read_months(CONTRACT, [JANUARY]), id="read"),
        pytest.param(lambda it, folder: load(it, folder, JANUARY, "new"), id="load"),
    ],
)
def test_whoever_has_the_whole_table_is_waited_for_with_words_and_not_for_ever(
    url: str, tmp_path: Path, use: Callable[[PostgresWarehouse, Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    warehouse = PostgresWarehouse(url, patience=1)
    load(warehouse, tmp_path, JANUARY, "old")
    with psycopg.connect(url, application_name="VACUUM FULL by hand") as other:
        other.execute("LOCK TABLE taxi.probe_trips IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(WarehouseError, match=r"others have held taxi\.probe_trips for over 1 s") as raised:
            use(warehouse, tmp_path)
        assert f"pid {other.info.backend_pid} (loader, VACUUM FULL by hand" in str(raised.value)
        assert raised.value.may_pass_later
        assert f"others hold taxi.probe_trips: pid {other.info.backend_pid} " in caplog.text
        assert "of 1 s at most" in caplog.text
    assert warehouse.measure_month(CONTRACT, JANUARY).rows == 10


def test_a_table_that_is_taken_after_it_was_looked_at_is_not_waited_for_for_ever(url: str, tmp_path: Path) -> None:
    load(PostgresWarehouse(url), tmp_path, JANUARY, "old")
    with psycopg.connect(url) as other, ThreadPoolExecutor(1) as pool:
        other.execute("LOCK TABLE taxi.probe_trips IN ACCESS EXCLUSIVE MODE")
        read = "SELECT note FROM taxi.probe_trips"
        reading = pool.submit(Session(url, patience=0.3).read, "no rows", read, pa.schema([("note", pa.string())]))
        try:
            with pytest.raises(WarehouseError, match=r"no rows.*lock timeout"):
                reading.result(timeout=60)
        finally:
            other.rollback()


def test_a_deadlock_with_others_is_undone_and_tried_again(postgres: PostgresServer, url: str) -> None:
    query(url, "CREATE TABLE public.one (); CREATE TABLE public.two ()")
    name = urlsplit(url).path.removeprefix("/")
    # The server sees after so long who waits for whom, and ends whoever has asked: others shall not be it.
    postgres.execute(sql.SQL("ALTER DATABASE {} SET deadlock_timeout = '50ms'").format(sql.Identifier(name)))
    session, tries = Session(url, patience=60), list[int]()
    with (
        psycopg.connect(url, autocommit=True) as ours,
        psycopg.connect(host=str(postgres.data), port=postgres.port, user="postgres", dbname=name) as other,
        ThreadPoolExecutor(1) as pool,
    ):
        other.execute("SET deadlock_timeout = '1h'")
        other.execute("LOCK TABLE public.one")

        def both() -> None:
            ours.execute("SET LOCAL lock_timeout = '60s'")
            tries.append(1)
            ours.execute("LOCK TABLE public.two")
            if len(tries) == 1:
                pool.submit(lambda: (other.execute("LOCK TABLE public.two"), other.commit()))
                wait_for(url, "SELECT FROM pg_locks WHERE NOT granted AND relation = 'public.two'::regclass")
            ours.execute("LOCK TABLE public.one")

        session.patiently(ours, "public.two", both)
    assert len(tries) == 2


def test_whose_turn_it_is_to_change_tables_is_named(url: str, tmp_path: Path) -> None:
    warehouse = PostgresWarehouse(url, patience=1)
    load(warehouse, tmp_path, JANUARY, "old")
    query(url, "ALTER TABLE taxi.probe_trips DROP COLUMN note CASCADE")
    with psycopg.connect(url, application_name="another load") as other:
        other.execute("SELECT pg_advisory_xact_lock(31345)")
        with pytest.raises(WarehouseError) as raised:
            load(warehouse, tmp_path, JANUARY, "new")
        assert f"pid {other.info.backend_pid} (loader, another load" in str(raised.value)


def test_the_bound_of_waiting_ends_with_the_work_as_others_have_the_connection_later(url: str, tmp_path: Path) -> None:
    warehouse = PostgresWarehouse(url, patience=1)
    load(warehouse, tmp_path, JANUARY, "old")
    session = Session(url, patience=1)

    def bounds(connection: Connection) -> tuple[str, str]:
        def bound() -> str:
            ((told,),) = connection.execute("SHOW lock_timeout").fetchall()
            return str(told)

        return session.bounded(connection, "taxi.probe_trips", bound), bound()

    assert session.run("nothing", bounds) == ("1s", "0")


def test_the_first_load_of_a_month_waits_for_no_reader(url: str, tmp_path: Path) -> None:
    warehouse = PostgresWarehouse(url, patience=0)
    load(warehouse, tmp_path, JANUARY, "january")
    with psycopg.connect(url) as reader:
        reader.execute(JANUARYS_ROWS)
        load(warehouse, tmp_path, FEBRUARY, "february")
        assert reader.execute("SELECT count(*) FROM taxi.probe_trips").fetchall() == [(20,)]


# ---- loads at the same time


def test_months_from_six_processes_at_once_all_arrive(url: str, warehouse: PostgresWarehouse, tmp_path: Path) -> None:
    # Nothing is there yet: all of them also want to make the schema and the table.
    months = [Month(2021, number) for number in range(1, 7)]
    files = {month: numbered_file(CONTRACT, month, 1_000, str(month), tmp_path / str(month)).path for month in months}

    at_once(replace_month, [(url, CONTRACT, month, [files[month]] * 3, None) for month in months])

    notes = Counter(rows_in(warehouse.read_months(CONTRACT, months), "source_month", "note"))
    assert notes == {(month.first_day, str(month)): 1_000 for month in months}


def test_first_months_that_come_at_the_same_moment_all_arrive(
    url: str, warehouse: PostgresWarehouse, tmp_path: Path
) -> None:
    months = [Month(2021, number) for number in range(1, 13)]
    together = threading.Barrier(len(months))
    file = month_file(CONTRACT, JANUARY, [{"trip_number": 1}], tmp_path / "month")

    def load_one(month: Month) -> int:
        together.wait()
        return warehouse.replace_month(CONTRACT, month, file)

    with ThreadPoolExecutor(len(months)) as pool:
        assert list(pool.map(load_one, months)) == [1] * len(months)
    assert query(url, "SELECT count(DISTINCT source_month), count(*) FROM taxi.probe_trips") == [(12, 12)]


def test_a_column_may_come_while_a_month_is_on_its_way(url: str, warehouse: PostgresWarehouse, tmp_path: Path) -> None:
    load(warehouse, tmp_path, JANUARY, "old")
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE ONLY taxi.probe_trips IN SHARE UPDATE EXCLUSIVE MODE")
        with loading(url, tmp_path, "new", rows=20):
            wait_for(url, WAITING)
            other.execute("ALTER TABLE taxi.probe_trips ADD COLUMN tip_amount double precision")
            other.commit()
    assert query(url, "SELECT note, tip_amount, count(*) FROM taxi.probe_trips GROUP BY 1, 2") == [("new", None, 20)]


@pytest.mark.parametrize("options", ["", "?options=-c%20default_transaction_isolation%3Dserializable"])
def test_a_load_replaces_the_month_that_came_while_it_was_on_its_way(
    url: str, warehouse: PostgresWarehouse, tmp_path: Path, options: str
) -> None:
    load(warehouse, tmp_path, FEBRUARY, "february")
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE ONLY taxi.probe_trips IN SHARE UPDATE EXCLUSIVE MODE")
        with loading(url + options, tmp_path, "new", rows=20):
            wait_for(url, WAITING)
            other.execute("CREATE TABLE mine PARTITION OF taxi.probe_trips FOR VALUES IN ('2021-01-01')")
            other.commit()
    assert query(url, JANUARYS_ROWS) == [("new", 20)]
    assert query(url, "SELECT to_regclass('mine')") == [(None,)]


def test_a_contract_grows_while_others_load(url: str, warehouse: PostgresWarehouse, tmp_path: Path) -> None:
    load(warehouse, tmp_path, JANUARY, "old")
    grown = contract_of({**COLUMNS, "tip_amount": "float64"})
    few = month_file(grown, FEBRUARY, [{"trip_number": 2, "tip_amount": 0.75}], tmp_path / "few")
    with loading(url, tmp_path, "new", rows=300_000):
        warehouse.replace_month(grown, FEBRUARY, few)
    found = query(url, "SELECT source_month, tip_amount, count(*) FROM taxi.probe_trips GROUP BY 1, 2 ORDER BY 1")
    assert found == [(JANUARY.first_day, None, 300_000), (FEBRUARY.first_day, 0.75, 1)]


# ---- what others hang on the tables


def test_a_view_that_others_built_on_the_zone_view_is_not_in_the_way(
    url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    warehouse = PostgresWarehouse(url, load_catalog().zones)
    columns = {"trip_number": "int64", "pickup_location_id": "int32"}

    def load_one(month: Month, **gained: str) -> None:
        contract = contract_of(columns | gained)
        file = month_file(contract, month, [{"trip_number": 1}], tmp_path / "month")
        warehouse.replace_month(contract, month, file)

    load_one(JANUARY)
    query(url, "CREATE VIEW mine AS SELECT trip_number, pickup_zone FROM taxi.probe_trips_with_zones")

    load_one(FEBRUARY, tip_amount="float64")

    assert query(url, "SELECT count(*) FROM mine") == [(2,)]
    assert "tip_amount" not in columns_of(url, "taxi.probe_trips_with_zones")
    assert "tip_amount" in columns_of(url, "taxi.probe_trips")
    (warning,) = caplog.messages
    assert "probe_trips_with_zones stays as it is" in warning
    assert "view mine depends on view taxi.probe_trips_with_zones" in warning

    query(url, "DROP VIEW mine")
    load_one(MARCH, tip_amount="float64")
    assert "tip_amount" in columns_of(url, "taxi.probe_trips_with_zones")
    assert len(caplog.messages) == 1


@pytest.mark.parametrize(
    "made",
    [
        "MATERIALIZED VIEW mine AS SELECT count(*) FROM taxi.probe_trips_2021_01",
        "VIEW mine AS SELECT * FROM taxi.probe_trips_2021_01",
    ],
)
def test_what_depends_on_a_partition_is_named_and_the_old_month_stands(
    url: str, warehouse: PostgresWarehouse, tmp_path: Path, made: LiteralString
) -> None:
    load(warehouse, tmp_path, JANUARY, "old")
    query(url, "CREATE " + made)
    with pytest.raises(WarehouseError, match=r"mine depends on table taxi\.probe_trips_2021_01") as raised:
        load(warehouse, tmp_path, JANUARY, "new")
    assert "Fix: drop what depends on it, or let it depend on the whole table" in str(raised.value)
    assert query(url, JANUARYS_ROWS) == [("old", 10)]


def test_a_foreign_key_to_a_partition_is_named_and_the_old_month_stands(
    url: str, warehouse: PostgresWarehouse, tmp_path: Path
) -> None:
    load(warehouse, tmp_path, JANUARY, "old")
    query(
        url,
        """
        CREATE UNIQUE INDEX mine_number ON taxi.probe_trips_2021_01 (trip_number);
        CREATE TABLE mine (number bigint REFERENCES taxi.probe_trips_2021_01 (trip_number))
        """,
    )
    with pytest.raises(WarehouseError, match="constraint mine_number_fkey on table mine depends on") as raised:
        load(warehouse, tmp_path, JANUARY, "new")
    assert "Fix: drop what depends on it" in str(raised.value)
    assert query(url, JANUARYS_ROWS) == [("old", 10)]


def test_a_view_of_the_whole_table_is_not_in_the_way(url: str, warehouse: PostgresWarehouse, tmp_path: Path) -> None:
    load(warehouse, tmp_path, JANUARY, "old")
    query(url, "CREATE MATERIALIZED VIEW mine AS SELECT count(*) FROM taxi.probe_trips")
    load(warehouse, tmp_path, JANUARY, "new", rows=20)
    query(url, "REFRESH MATERIALIZED VIEW mine")
    assert query(url, "SELECT * FROM mine") == [(20,)]


# ---- rows


def test_text_that_postgres_cannot_store_is_said_with_its_row_and_column(
    url: str, warehouse: PostgresWarehouse, tmp_path: Path
) -> None:
    load(warehouse, tmp_path, JANUARY, "old")
    file = month_file(CONTRACT, JANUARY, [{"note": "fine"}, {"note": "not\0fine"}], tmp_path / "month")
    with pytest.raises(WarehouseError, match="line 2, column note") as raised:
        warehouse.replace_month(CONTRACT, JANUARY, file)
    assert "keeps no NUL character" in str(raised.value)
    assert "contains(column, chr(0))" in str(raised.value)
    assert query(url, JANUARYS_ROWS) == [("old", 10)]


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_a_bigger_month_takes_no_more_memory(postgres: PostgresServer, tmp_path: Path) -> None:
    few, many = (most_memory_to_load(postgres.new_database(), rows, tmp_path) for rows in (500_000, 3_000_000))
    assert many < 1.15 * few


def most_memory_to_load(url: str, rows: int, folder: Path) -> int:
    """What a process that does nothing else needs at most."""
    file = numbered_file(CONTRACT, JANUARY, rows, "some", folder / str(rows))
    with ProcessPoolExecutor(1, mp_context=SPAWN) as pool:
        return pool.submit(_load_and_measure, url, file.path).result()


def _load_and_measure(url: str, path: Path) -> int:
    PostgresWarehouse(url).replace_month(CONTRACT, JANUARY, ParquetFile(path))
    # Not by `getrusage`: there a child's peak begins at that of its parent.
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


def columns_of(url: str, relation: str) -> list[str]:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass", [relation])
        return [name for (name,) in found.fetchall()]


_HELD = """
CREATE TABLE public.may_go ();
CREATE FUNCTION public.held() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN WHILE NOT EXISTS (SELECT FROM public.may_go) LOOP PERFORM pg_sleep(0.02); END LOOP; RETURN NULL; END $$
"""
#: Somebody has written, and is held before he commits.
HELD = "SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"


@pytest.mark.parametrize("kind", ["reference", "mart"])
def test_of_two_loads_of_one_small_table_at_once_the_rows_of_the_last_are_all_there_is(
    warehouse: PostgresWarehouse, url: str, kind: str
) -> None:
    zones, mart = load_catalog().zones, load_marts()[0]
    values = {it.name: "DATE '2021-01-01'" if it.name == SOURCE_MONTH else "NULL" for it in mart.columns}
    rows = pa.table({it.name: pa.array([None, None], it.type.arrow) for it in zones.columns})

    def replace() -> int:
        if kind == "reference":
            return warehouse.replace_reference(zones, rows)
        return warehouse.compute_month(mart, JANUARY, f"SELECT {', '.join(values.values())} FROM generate_series(1, 2)")

    replace()
    table = zones.table if kind == "reference" else mart.table
    query(url, _HELD)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE TRIGGER it AFTER INSERT ON taxi.{} EXECUTE FUNCTION public.held()").format(
                sql.Identifier(table)
            )
        )
    with ThreadPoolExecutor(2) as pool, psycopg.connect(url, autocommit=True) as connection:
        loads = [pool.submit(replace)]
        wait_for(url, HELD)
        loads.append(pool.submit(replace))
        # By one connection: the second load waits for the first a little while at a time, and must be let go meanwhile.
        while not connection.execute(WAITING).fetchall():
            time.sleep(0.005)
        connection.execute("INSERT INTO public.may_go DEFAULT VALUES")
        assert [it.result() for it in loads] == [2, 2]
    with psycopg.connect(url) as connection:
        counted = sql.SQL("SELECT count(*) FROM taxi.{}").format(sql.Identifier(table))
        assert connection.execute(counted).fetchall() == [(2,)]


def wait_for(url: str, statement: LiteralString) -> None:
    """Wait until a query has rows."""
    with psycopg.connect(url, autocommit=True) as connection:
        while not connection.execute(statement).fetchall():
            time.sleep(0.01)
