"""The stores a run writes to, read by other means than the platform's. A combination is an entry of `COMBINATIONS`."""

from __future__ import annotations

import os
import shutil
import threading
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Protocol, Self, TypeVar, cast
from uuid import uuid4

import duckdb
import psycopg
from google.cloud import bigquery
from psycopg import sql

from real_servers.postgres import postgres_server
from real_servers.s3 import S3Server, s3_server
from taxi_platform_tests.core.lake.gcs_server import GoogleStorage, running_storage
from taxi_platform_tests.core.warehouse.bigquery_server import PROJECT, BigQueryServer, bigquery_server
from taxi_platform_tests.faults import points
from taxi_platform_tests.faults.tracer import Point

Row = tuple[Any, ...]
Server = TypeVar("Server")

#: Seconds a reader may be kept waiting by what a dead process left.
_PATIENCE = 10
#: Seconds a load takes at Google at least, so that there is time to die in it.
_SLOW = 0.4
_LONG_AGO = timedelta(days=2)


class Lake(Protocol):
    """A lake, seen from outside."""

    @property
    def url(self) -> str:
        """What `TAXI_LAKE_URL` says."""
        ...

    def objects(self) -> Mapping[str, bytes]:
        """What is in the lake, by its key."""
        ...

    def age(self) -> None:
        """Make what is in it look two days older."""
        ...


class Warehouse(Protocol):
    """A warehouse, seen from outside."""

    @property
    def url(self) -> str:
        """What `TAXI_WAREHOUSE_URL` says."""
        ...

    def rows(self, columns: Iterable[str]) -> Mapping[str, list[Row]]:
        """The rows of the table by month, in no order."""
        ...

    def names(self) -> set[str]:
        """Every table, view and constraint that is there, and everybody who might hold a lock on them."""
        ...


@dataclass
class FolderLake:
    """A lake in a folder."""

    root: Path

    @property
    def url(self) -> str:
        """See `Lake.url`."""
        return str(self.root)

    def objects(self) -> Mapping[str, bytes]:
        """See `Lake.objects`; what is half done has another suffix."""
        files = {str(path.relative_to(self.root)): path for path in self.root.rglob("*") if path.is_file()}
        layers = {name for name in files if name.startswith("_") and "/." not in name}
        return {name: it.read_bytes() for name, it in files.items() if name in layers or name.endswith(".parquet")}

    def age(self) -> None:
        """See `Lake.age`: nothing here has an age that counts."""


@dataclass
class GcsLake:
    """A lake in a bucket."""

    google: GoogleStorage
    bucket: str = field(default_factory=lambda: f"lake-{uuid4().hex[:8]}")

    def __post_init__(self) -> None:
        self.google.create_bucket(self.bucket)

    @property
    def url(self) -> str:
        """See `Lake.url`."""
        return f"gs://{self.bucket}"

    def objects(self) -> Mapping[str, bytes]:
        """See `Lake.objects`. What is to be loaded is beside the months and younger than a day."""
        return {
            name: self.google.content(self.bucket, name)
            for name in self.google.names(self.bucket)
            if not (name.startswith(".loading/") and self._age(name) < timedelta(days=1))
        }

    def age(self) -> None:
        """See `Lake.age`."""
        created = (datetime.now(UTC) - _LONG_AGO).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        with self.google.lock:
            for held in self.google.storage.objects[self.bucket].values():
                held["timeCreated"] = created

    def _age(self, name: str) -> timedelta:
        return datetime.now(UTC) - datetime.fromisoformat(self.google.object(self.bucket, name)["timeCreated"])


@dataclass
class S3Bucket:
    """A lake in an S3."""

    server: S3Server
    bucket: str = ""

    def __post_init__(self) -> None:
        self.bucket = self.server.new_bucket()

    @property
    def url(self) -> str:
        """See `Lake.url`."""
        return self.server.url(self.bucket)

    def objects(self) -> Mapping[str, bytes]:
        """See `Lake.objects`."""
        client = self.server.client()
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        names = [it["Key"] for page in pages for it in page.get("Contents", [])]
        return {name: client.get_object(Bucket=self.bucket, Key=name)["Body"].read() for name in names}

    def age(self) -> None:
        """See `Lake.age`: nothing here has an age that counts."""


@dataclass
class DuckDBFile:
    """A DuckDB file."""

    path: Path

    @property
    def url(self) -> str:
        """See `Warehouse.url`."""
        return f"duckdb:///{self.path}"

    def rows(self, columns: Iterable[str]) -> Mapping[str, list[Row]]:
        """See `Warehouse.rows`."""
        with duckdb.connect(str(self.path), read_only=True) as con:
            return _by_month(con.execute(f"SELECT source_month, {', '.join(columns)} FROM taxi.green_trips").fetchall())

    def names(self) -> set[str]:
        """See `Warehouse.names`."""
        with duckdb.connect(str(self.path), read_only=True) as con:
            found = con.execute("SELECT table_schema, table_name FROM information_schema.tables").fetchall()
        return {f"{schema}.{name}" for schema, name in found}


@dataclass
class PostgresDatabase:
    """A PostgreSQL database."""

    url: str

    def rows(self, columns: Iterable[str]) -> Mapping[str, list[Row]]:
        """See `Warehouse.rows`."""
        selected = sql.SQL(", ").join(map(sql.Identifier, ("source_month", *columns)))
        with self._connect() as con:
            return _by_month(con.execute(sql.SQL("SELECT {} FROM taxi.green_trips").format(selected)).fetchall())

    def names(self) -> set[str]:
        """See `Warehouse.names`; of tables also what they are a partition for."""
        with self._connect() as con:
            found = con.execute(
                """
                SELECT concat_ws(' ', relkind, relname, pg_get_expr(relpartbound, oid)) FROM pg_class
                WHERE relnamespace = 'taxi'::regnamespace AND relkind NOT IN ('i', 'I')
                UNION ALL SELECT concat_ws(' ', contype, conname, conrelid::regclass) FROM pg_constraint
                WHERE connamespace = 'taxi'::regnamespace
                UNION ALL SELECT concat_ws(' ', 'somebody is connected:', pid, state, query) FROM pg_stat_activity
                WHERE pid <> pg_backend_pid() AND datname = current_database() AND backend_type = 'client backend'
                """
            ).fetchall()
        return {name for (name,) in found}

    def _connect(self) -> psycopg.Connection[Row]:
        return psycopg.connect(self.url, options=f"-c lock_timeout={_PATIENCE}s")


@dataclass
class BigQueryDataset:
    """A dataset of the stand-in for BigQuery."""

    server: BigQueryServer

    def __post_init__(self) -> None:
        self.url = self.server.url()
        self._dataset = self.url.rpartition("/")[2]

    def rows(self, columns: Iterable[str]) -> Mapping[str, list[Row]]:
        """See `Warehouse.rows`."""
        query = f"SELECT source_month, {', '.join(columns)} FROM `{PROJECT}.{self._dataset}.green_trips`"
        with bigquery.Client(project=PROJECT) as client:
            rows = client.query_and_wait(query, location=self.server.store.datasets[self._dataset])
            return _by_month(cast(Any, row).values() for row in rows)

    def names(self) -> set[str]:
        """See `Warehouse.names`."""
        return {name for dataset, name in self.server.store.tables if dataset == self._dataset}


def _by_month(rows: Iterable[Row]) -> Mapping[str, list[Row]]:
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for month, *values in rows:
        found[f"{cast(date, month):%Y-%m}"].append(tuple(values))
    return found


@contextmanager
def _google() -> Generator[tuple[GoogleStorage, BigQueryServer], None, None]:
    """The two of them; the environment of this process and its children points to them."""
    folder = Path(mkdtemp(prefix="taxi-bigquery-"))
    before = os.environ.get("STORAGE_EMULATOR_HOST")
    try:
        with running_storage() as storage, bigquery_server(folder) as warehouse:
            os.environ["STORAGE_EMULATOR_HOST"] = storage.endpoint
            warehouse.store.slow = _SLOW
            yield storage, warehouse
    finally:
        os.environ.pop("STORAGE_EMULATOR_HOST", None)
        if before is not None:
            os.environ["STORAGE_EMULATOR_HOST"] = before
        shutil.rmtree(folder)


@contextmanager
def _s3() -> Generator[S3Server, None, None]:
    """An S3; the environment of this process and its children has its account."""
    with s3_server() as server:
        account = server.environment()
        before = {name: os.environ.get(name) for name in account}
        os.environ.update(account)
        try:
            yield server
        finally:
            for name, value in before.items():
                os.environ.pop(name)
                if value is not None:
                    os.environ[name] = value


class Servers:
    """The servers behind the stores, each started when it is first asked for."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._lock = threading.Lock()
        self._running: dict[object, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def running(self, kind: Callable[[], AbstractContextManager[Server]]) -> Server:
        """The server that `kind` starts."""
        with self._lock:
            if kind not in self._running:
                self._running[kind] = self._stack.enter_context(kind())
            return self._running[kind]


@dataclass(frozen=True)
class Combination:
    """A lake, a warehouse, and where runs that write to them are killed.

    Attributes:
        stores: Makes a lake and a warehouse that hold nothing, if need be below a folder.
        points: Where runs are killed.
    """

    stores: Callable[[Servers, Path], tuple[Lake, Warehouse]]
    points: tuple[Point, ...]


def _in_google(servers: Servers) -> tuple[Lake, Warehouse]:
    storage, warehouse = servers.running(_google)
    return GcsLake(storage), BigQueryDataset(warehouse)


COMBINATIONS = {
    "folder+duckdb": Combination(
        lambda servers, folder: (FolderLake(folder / "lake"), DuckDBFile(folder / "warehouse.duckdb")),
        (*points.FOLDER, *points.DUCKDB),
    ),
    "folder+postgres": Combination(
        lambda servers, folder: (
            FolderLake(folder / "lake"),
            PostgresDatabase(servers.running(postgres_server).new_database()),
        ),
        (*points.FOLDER, *points.POSTGRES),
    ),
    "s3+postgres": Combination(
        lambda servers, folder: (
            S3Bucket(servers.running(_s3)),
            PostgresDatabase(servers.running(postgres_server).new_database()),
        ),
        (*points.S3, *points.POSTGRES),
    ),
    "gcs+bigquery": Combination(lambda servers, folder: _in_google(servers), (*points.GCS, *points.BIGQUERY)),
}
