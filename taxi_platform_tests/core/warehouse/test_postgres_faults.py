"""What a load into PostgreSQL makes of a server that restarts, dies, is full, forbids it or loses patience."""

import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pyarrow as pa
import pytest
from psycopg import sql

from real_servers.postgres import PASSWORD, PostgresServer, postgres_server
from taxi_platform.core.catalog import load_catalog
from taxi_platform.core.errors import WarehouseError
from taxi_platform.core.parquet import ParquetFile
from taxi_platform.core.warehouse.postgres import PostgresWarehouse
from taxi_platform_tests.core.warehouse.months import FEBRUARY, JANUARY, contract_of, month_file, numbered_file
from taxi_platform_tests.postgres_proxy import proxy

CONTRACT = contract_of()
OLD, NEW = 10, 600_000


@pytest.fixture(scope="module")
def server() -> Generator[PostgresServer, None, None]:
    """One that may be stopped and killed."""
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> ParquetFile:
    """A month that takes a moment to load."""
    return numbered_file(CONTRACT, JANUARY, NEW, "new", tmp_path_factory.mktemp("new") / "new.parquet")


def filled(url: str, folder: Path) -> PostgresWarehouse:
    """A warehouse that holds an old month."""
    warehouse = PostgresWarehouse(url)
    warehouse.replace_month(CONTRACT, JANUARY, numbered_file(CONTRACT, JANUARY, OLD, "old", folder / "old.parquet"))
    return warehouse


@contextmanager
def when_rows_are_on_their_way(server: PostgresServer, act: Callable[[int], object]) -> Generator[None, None, None]:
    """As soon as a load in this block sends rows, something happens; it is told the load's process."""

    def wait_and_act() -> None:
        copying = sql.SQL("SELECT pid FROM pg_stat_progress_copy WHERE tuples_processed > 50000")
        while not (found := server.execute(copying)):
            time.sleep(0.001)
        act(found[0][0])

    thread = threading.Thread(target=wait_and_act)
    thread.start()
    yield
    thread.join()


def rows_and_relations(warehouse: PostgresWarehouse) -> tuple[int, int]:
    """The rows of the month, and how many tables there are."""
    with psycopg.connect(warehouse.url) as connection:
        ((relations,),) = connection.execute(
            "SELECT count(*) FROM pg_class WHERE relnamespace = 'taxi'::regnamespace AND relkind IN ('r', 'p')"
        ).fetchall()
    return warehouse.measure_month(CONTRACT, JANUARY).rows, relations


@pytest.mark.parametrize("end", [PostgresServer.stop, PostgresServer.kill])
def test_a_load_is_taken_up_again_when_the_server_is_back(
    server: PostgresServer,
    new: ParquetFile,
    tmp_path: Path,
    end: Callable[[PostgresServer], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    warehouse = filled(server.new_database(), tmp_path)

    def restart(_: int) -> None:
        end(server)
        time.sleep(1.5)  # it is also looked for in vain
        server.start()

    with when_rows_are_on_their_way(server, restart):
        assert warehouse.replace_month(CONTRACT, JANUARY, new) == NEW

    assert rows_and_relations(warehouse) == (NEW, 2)
    assert re.search(r"the connection was lost: .*; trying again", caplog.text)


def test_a_load_is_taken_up_again_when_its_line_breaks(
    server: PostgresServer, new: ParquetFile, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = server.new_database()
    filled(url, tmp_path)
    with proxy(server.port, cut_after=10_000_000) as line:
        broken = PostgresWarehouse(url.replace(f":{server.port}/", f":{line.port}/"))
        assert broken.replace_month(CONTRACT, JANUARY, new) == NEW
    assert line.connections == 2
    assert re.search(r"the connection was lost: .*; trying again", caplog.text)
    assert rows_and_relations(PostgresWarehouse(url)) == (NEW, 2)


def test_a_load_that_an_administrator_ends_is_taken_up_again(
    server: PostgresServer, new: ParquetFile, tmp_path: Path
) -> None:
    warehouse = filled(server.new_database(), tmp_path)
    terminate = sql.SQL("SELECT pg_terminate_backend({})")
    with when_rows_are_on_their_way(server, lambda pid: server.execute(terminate.format(pid))):
        assert warehouse.replace_month(CONTRACT, JANUARY, new) == NEW
    assert rows_and_relations(warehouse) == (NEW, 2)


def test_a_load_that_an_administrator_cancels_ends_and_the_old_month_stands(
    server: PostgresServer, new: ParquetFile, tmp_path: Path
) -> None:
    warehouse = filled(server.new_database(), tmp_path)
    cancel = sql.SQL("SELECT pg_cancel_backend({})")
    with (
        when_rows_are_on_their_way(server, lambda pid: server.execute(cancel.format(pid))),
        pytest.raises(WarehouseError, match=r"the table is as it was.*canceling statement due to user request"),
    ):
        warehouse.replace_month(CONTRACT, JANUARY, new)
    assert rows_and_relations(warehouse) == (OLD, 2)


def test_a_server_that_is_gone_for_good_is_said_and_the_old_month_stands_when_it_is_back(
    server: PostgresServer, new: ParquetFile, tmp_path: Path
) -> None:
    warehouse = filled(server.new_database(), tmp_path)
    with (
        when_rows_are_on_their_way(server, lambda _: server.kill()),
        pytest.raises(WarehouseError, match=r"takes no connections .*refused") as raised,
    ):
        warehouse.replace_month(CONTRACT, JANUARY, new)
    server.start()
    assert raised.value.may_pass_later
    assert "Fix: see whether the server is up, then run the month again" in str(raised.value)
    assert PASSWORD not in str(raised.value)
    assert rows_and_relations(warehouse) == (OLD, 2)


def test_a_timeout_of_the_user_is_said_and_the_old_month_stands(
    server: PostgresServer, new: ParquetFile, tmp_path: Path
) -> None:
    url = server.new_database()
    warehouse = filled(url, tmp_path)
    hurried = PostgresWarehouse(url + "?options=-c%20statement_timeout%3D100")
    with pytest.raises(WarehouseError, match="canceling statement due to statement timeout") as raised:
        hurried.replace_month(CONTRACT, JANUARY, new)
    assert "SET statement_timeout = 0" in str(raised.value)
    assert rows_and_relations(warehouse) == (OLD, 2)


def test_a_full_disk_is_said_and_the_old_month_stands(server: PostgresServer, new: ParquetFile, tmp_path: Path) -> None:
    with small_disk(server, "16m"):
        name = "small_disk"
        server.execute(sql.SQL("CREATE DATABASE small_disk OWNER loader TABLESPACE small"))
        try:
            warehouse = filled(server.url(name), tmp_path)
            with pytest.raises(WarehouseError, match="No space left on device") as raised:
                warehouse.replace_month(CONTRACT, JANUARY, new)
            assert "Fix: make room on the server's disk, then run the month again" in str(raised.value)
            assert rows_and_relations(warehouse) == (OLD, 2)
        finally:
            server.execute(sql.SQL("DROP DATABASE small_disk WITH (FORCE)"))


@contextmanager
def small_disk(server: PostgresServer, size: str) -> Generator[None, None, None]:
    """A tablespace `small` on a disk of some size."""
    disk = server.data.parent / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        if server.user:
            shutil.chown(disk, server.user)
        server.execute(sql.SQL("CREATE TABLESPACE small OWNER loader LOCATION {}").format(str(disk)))
        yield
        server.execute(sql.SQL("DROP TABLESPACE small"))
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def test_what_a_user_may_not_do_is_said(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.new_database()
    database = urlsplit(url).path.removeprefix("/")
    file = month_file(CONTRACT, JANUARY, [{"trip_number": 1}], tmp_path / "month")
    postgres.execute(sql.SQL("CREATE ROLE guest LOGIN PASSWORD 'guest'"))
    guest = PostgresWarehouse(postgres.url(database, user="guest", password="guest"))

    def refusal() -> str:
        with pytest.raises(WarehouseError) as raised:
            guest.replace_month(CONTRACT, JANUARY, file)
        assert "Fix: let the user make the schema (GRANT CREATE ON DATABASE … TO …)" in str(raised.value)
        return str(raised.value)

    assert f"permission denied for database {database}" in refusal()
    filled(url, tmp_path)
    assert "permission denied for schema taxi" in refusal()
    with pytest.raises(WarehouseError, match="permission denied for schema taxi"):
        guest.read_months(CONTRACT, [JANUARY])
    postgres.execute(sql.SQL("GRANT ALL ON SCHEMA taxi TO guest"), database)
    assert "permission denied for table probe_trips" in refusal()
    assert rows_and_relations(PostgresWarehouse(url)) == (OLD, 2)

    postgres.execute(sql.SQL("DROP OWNED BY guest"), database)
    postgres.execute(sql.SQL("DROP ROLE guest"))


def test_a_server_that_only_reads_is_said_and_can_be_read(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.new_database()
    warehouse = filled(url, tmp_path)
    reading = PostgresWarehouse(url + "?options=-c%20default_transaction_read_only%3Don")
    file = month_file(CONTRACT, FEBRUARY, [], tmp_path / "month")
    for refused in (
        reading,
        PostgresWarehouse(postgres.new_database() + "?options=-c%20default_transaction_read_only%3Don"),
    ):
        with pytest.raises(WarehouseError, match="in a read-only transaction") as raised:
            refused.replace_month(CONTRACT, FEBRUARY, file)
        assert "Fix: name a server in TAXI_WAREHOUSE_URL that can be written to" in str(raised.value)
    assert reading.read_months(CONTRACT, [JANUARY]).num_rows == OLD
    assert rows_and_relations(warehouse) == (OLD, 2)


_DROPS_THE_SECOND = """
CREATE FUNCTION public.drop_second() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN IF NEW.trip_number = 2 THEN RETURN NULL; END IF; RETURN NEW; END $$;
CREATE FUNCTION public.watch_new_tables() RETURNS event_trigger LANGUAGE plpgsql AS
$$ DECLARE made record; BEGIN
    FOR made IN SELECT objid FROM pg_event_trigger_ddl_commands() WHERE command_tag = 'CREATE TABLE' LOOP
        EXECUTE format('CREATE TRIGGER watched BEFORE INSERT ON %s FOR EACH ROW EXECUTE FUNCTION public.drop_second()',
                       made.objid::regclass);
    END LOOP;
END $$;
CREATE EVENT TRIGGER watch ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION public.watch_new_tables()
"""


def test_rows_that_the_server_turned_away_by_its_own_count_are_an_error_and_the_old_month_stands(
    server: PostgresServer, tmp_path: Path
) -> None:
    url = server.new_database()
    warehouse = filled(url, tmp_path)
    server.execute(sql.SQL(_DROPS_THE_SECOND), urlsplit(url).path.removeprefix("/"))
    file = month_file(CONTRACT, JANUARY, [{"trip_number": number} for number in (1, 2, 3)], tmp_path / "month")
    with pytest.raises(WarehouseError, match="probe 2021-01: the store wrote 2 rows of 3; the table is as it was"):
        warehouse.replace_month(CONTRACT, JANUARY, file)
    assert rows_and_relations(warehouse) == (OLD, 2)


def test_a_lookup_whose_rows_a_trigger_turns_away_is_an_error_and_the_old_one_stands(
    server: PostgresServer, tmp_path: Path
) -> None:
    url = server.new_database()
    warehouse, zones = PostgresWarehouse(url), load_catalog().zones
    rows = pa.table({it.name: pa.array([None, None], it.type.arrow) for it in zones.columns})
    rows = rows.set_column(0, zones.key, pa.array([1, 2], rows.schema.field(zones.key).type))
    assert warehouse.replace_reference(zones, rows) == 2
    with psycopg.connect(url) as connection:
        connection.execute(
            "CREATE FUNCTION public.drop_first() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN IF NEW.location_id = 1 THEN RETURN NULL; END IF; RETURN NEW; END $$"
        )
        connection.execute(
            "CREATE TRIGGER watched BEFORE INSERT ON taxi.taxi_zones FOR EACH ROW EXECUTE FUNCTION public.drop_first()"
        )
    with pytest.raises(WarehouseError, match="wrote 1 rows of 2; the table is as it was"):
        warehouse.replace_reference(zones, rows)
    assert warehouse.read_reference(zones).num_rows == 2
