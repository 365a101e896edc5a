"""A PostgreSQL database as a warehouse.

Each dataset is a native partitioned table with one partition per `source_month`. A month is loaded into a table of its
own that nobody else sees, and takes its place by changing which table is the partition: readers wait for that instant
only. All of it is one transaction, so a load that dies, wherever it does, leaves neither half a month nor a leftover
table. `session.py` is the connection, `schema.py` what the tables are, `views.py` what stands beside them.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pgpq
import pyarrow as pa
import pyarrow.parquet as pq
from psycopg import sql
from psycopg.rows import dict_row

from taxi_platform.core.catalog.model import (
    SOURCE_MONTH,
    Column,
    ReferenceContract,
    TableContract,
    TripContract,
)
from taxi_platform.core.errors import WarehouseError
from taxi_platform.core.fingerprint import Fingerprint
from taxi_platform.core.measures import Measures, measured
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import ParquetFile
from taxi_platform.core.warehouse import absent, require_all
from taxi_platform.core.warehouse.base_view import is_report
from taxi_platform.core.warehouse.postgres.contents import fingerprint, measure
from taxi_platform.core.warehouse.postgres.schema import (
    SCHEMA,
    StoredTable,
    add_indexes,
    ensure,
    stage_for,
    stored,
    take_place,
    verbatim,
)
from taxi_platform.core.warehouse.postgres.session import Connection, Result, Session
from taxi_platform.core.warehouse.postgres.views import (
    ensure_base_view,
    ensure_bases,
    ensure_zone_view,
    zone_totals,
)
from taxi_platform.core.warehouse.zone_totals import ZoneTotals

#: Rows sent at a time: what a load holds in memory is one such batch and the pages of the file it is from.
_BATCH_ROWS = 65_536
_BINARY = sql.SQL("FORMAT binary")
_NOT_WRITTEN = "the rows could not be written; the table is as it was"
_NOT_READ = "the rows could not be read"


@dataclass(frozen=True)
class PostgresWarehouse:
    """Tables in the schema `taxi` of one PostgreSQL database.

    Attributes:
        url: A libpq connection URI; all of its options work.
        zones: The zone lookup, which the view `<table>_with_zones` joins to a table of trips.
        patience: Seconds to wait for readers and other loads to let go of a table.
        bases: The report of bases, for the views `fhv_bases` and `<table>_with_bases`.
    """

    url: str = field(repr=False)
    zones: ReferenceContract | None = None
    patience: float = 600.0
    bases: ReferenceContract | None = None

    def table_name(self, contract: TableContract) -> str:
        """See `Warehouse.table_name`."""
        return f"{SCHEMA}.{contract.table}"

    def replace_month(self, contract: TripContract, month: Month, file: ParquetFile) -> int:
        """See `Warehouse.replace_month`."""
        session, name = self._session, f"{contract.table}_{month}".replace("-", "_")

        def staged(connection: Connection) -> int:
            table = self._existing(connection, contract)
            stage = stage_for(connection, table, f"{name}_{uuid.uuid4().hex[:8]}", month.first_day)
            written = _fill(connection, contract, file, stage)
            require_all(contract, month, written, file)
            add_indexes(connection, table, stage)
            session.patiently(
                connection,
                self.table_name(contract),
                lambda: take_place(connection, table, stage, name, month.first_day),
            )
            return written

        def load(connection: Connection) -> int:
            ensure(session, connection, contract)
            ensure_zone_view(session, connection, contract, self.zones)
            ensure_base_view(session, connection, contract, self.bases)
            return session.bounded(connection, self.table_name(contract), lambda: staged(connection))

        return session.run(_NOT_WRITTEN, load)

    def read_months(self, contract: TripContract, months: Sequence[Month]) -> pa.Table:
        """See `Warehouse.read_months`."""
        columns = contract.table_columns
        condition = sql.SQL("WHERE {} = ANY({}::date[])").format(
            sql.Identifier(SOURCE_MONTH), sql.Literal([str(month.first_day) for month in months])
        )
        return self._read(contract, columns, condition)

    def measure_month(self, contract: TripContract, month: Month, only: Container[str] | None = None) -> Measures:
        """See `Warehouse.measure_month`."""
        columns = measured(contract.stored_columns, only)
        return self._look(
            contract, lambda connection: measure(connection, self._existing(connection, contract), columns, month)
        )

    def fingerprint_month(self, contract: TripContract, month: Month, nulls: Container[str] = ()) -> Fingerprint:
        """See `Warehouse.fingerprint_month`."""
        columns = contract.stored_columns
        return self._look(
            contract,
            lambda connection: fingerprint(connection, self._existing(connection, contract), columns, month, nulls),
        )

    def measure_zone_view(self, contract: TripContract, month: Month) -> ZoneTotals | None:
        """See `Warehouse.measure_zone_view`."""
        zones = self.zones
        if zones is None or not contract.zone_columns:
            return None

        def measured(connection: Connection) -> ZoneTotals | None:
            self._existing(connection, contract)
            return zone_totals(connection, contract, zones, month)

        return self._look(contract, measured)

    def replace_reference(self, contract: ReferenceContract, rows: pa.Table) -> int:
        """See `Warehouse.replace_reference`."""
        session = self._session

        def load(connection: Connection) -> None:
            ensure(session, connection, contract)
            if is_report(contract, self.bases):
                ensure_bases(session, connection, contract)
            name = self.table_name(contract)
            table = session.bounded(connection, name, lambda: self._existing(connection, contract))

            def replace() -> None:
                # Deleted and not truncated: readers go on reading the old rows meanwhile.
                connection.execute(sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(table.name))
                connection.execute(sql.SQL("DELETE FROM {}").format(table.name))
                written = _copy(connection, table.name, rows.schema, rows.to_batches())
                if written != rows.num_rows:
                    raise WarehouseError(
                        f"the server wrote {written:,} rows of {rows.num_rows:,}; the table is as it was",
                        about=contract.table,
                        where=session.where,
                        cause="a trigger or a rule of the table turns rows away",
                        fix="drop it (\\d of the table in psql shows it), then load the table again",
                    )

            session.patiently(connection, name, replace)

        session.run(_NOT_WRITTEN, load)
        return rows.num_rows

    def read_reference(self, contract: ReferenceContract) -> pa.Table:
        """See `Warehouse.read_reference`."""
        order = sql.SQL(", ").join(map(sql.Identifier, contract.keys))
        rows = self._read(contract, contract.columns, sql.SQL("ORDER BY {}").format(order))
        if not rows.num_rows:  # a view may have needed the table before anybody loaded it
            raise self._absent(contract)
        return rows

    @property
    def dialect(self) -> str:
        """See `Warehouse.dialect`."""
        return "postgres"

    def columns_of(self, contract: TableContract) -> frozenset[str]:
        """See `Warehouse.columns_of`."""
        table = self._look(contract, lambda connection: stored(connection, contract.table))
        return frozenset(table.columns) if table else frozenset()

    def compute_month(self, contract: TableContract, month: Month, query: str) -> int:
        """See `Warehouse.compute_month`."""
        session, name = self._session, self.table_name(contract)
        target = sql.Identifier(SCHEMA, contract.table)
        month_of = sql.SQL("DELETE FROM {} WHERE {} = %s").format(target, sql.Identifier(SOURCE_MONTH))
        columns = sql.SQL(", ").join(sql.Identifier(it.name) for it in contract.columns)
        insert = sql.SQL("INSERT INTO {} ({}) {}").format(target, columns, verbatim(query))

        def compute(connection: Connection) -> int:
            ensure(session, connection, contract)
            written = 0

            def replace() -> None:
                nonlocal written
                # One at a time; readers go on reading the old rows meanwhile.
                connection.execute(sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(target))
                connection.execute(month_of, [month.first_day])
                written = connection.execute(insert).rowcount

            session.patiently(connection, name, replace)
            return written

        return session.run(_NOT_WRITTEN, compute)

    def ask(self, query: str, about: str) -> list[dict[str, Any]]:
        """See `Warehouse.ask`."""

        def asked(connection: Connection) -> list[dict[str, Any]]:
            return connection.cursor(row_factory=dict_row).execute(verbatim(query)).fetchall()

        session = self._session
        return session.run(
            f"{about}: the question cannot be answered",
            lambda connection: session.bounded(connection, about, lambda: asked(connection)),
        )

    @property
    def _session(self) -> Session:
        return Session(self.url, self.patience)

    def _read(self, contract: TableContract, columns: tuple[Column, ...], condition: sql.Composable) -> pa.Table:
        def composed(connection: Connection) -> str:
            table = self._existing(connection, contract)
            query = sql.SQL("SELECT {} FROM {} {}").format(table.selected(columns), table.name, condition)
            connection.execute(sql.SQL("SELECT FROM {} LIMIT 0").format(table.name))  # waits here, where it has words
            return query.as_string(connection)

        query = self._look(contract, composed)
        return self._session.read(_NOT_READ, query, pa.schema([(it.name, it.type.arrow) for it in columns]))

    def _look(self, contract: TableContract, work: Callable[[Connection], Result]) -> Result:
        session = self._session
        return session.run(
            _NOT_READ,
            lambda connection: session.bounded(connection, self.table_name(contract), lambda: work(connection)),
        )

    def _existing(self, connection: Connection, contract: TableContract) -> StoredTable:
        table = stored(connection, contract.table)
        if table is None:
            raise self._absent(contract)
        return table

    def _absent(self, contract: TableContract) -> WarehouseError:
        return absent(self.table_name(contract), self._session.where)


def _fill(connection: Connection, contract: TripContract, file: ParquetFile, stage: sql.Identifier) -> int:
    """Send a file's rows into a table that this transaction has made; as many as the server then has."""
    stored_types = {column.name: column.type.arrow for column in contract.stored_columns}
    found_types = dict(zip(file.schema.names, file.schema.types, strict=True))
    schema = pa.schema([(name, stored_types.get(name, kind)) for name, kind in found_types.items()])
    # Frozen, so that whoever looks through an older snapshot finds the new month and not an empty one.
    frozen = sql.SQL("FORMAT binary, FREEZE")
    # Buffered ahead, every page of the file would stay in memory.
    with pq.ParquetFile(file.path, pre_buffer=False) as rows:
        batches = rows.iter_batches(_BATCH_ROWS)  # pyright: ignore[reportUnknownMemberType]
        return _copy(connection, stage, schema, batches, frozen)


def _copy(
    connection: Connection,
    table: sql.Identifier,
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    options: sql.SQL = _BINARY,
) -> int:
    """Send rows into a table; how many the server says that it wrote (the tag of COPY)."""
    encoder = pgpq.ArrowToPostgresBinaryEncoder(schema)
    columns = sql.SQL(", ").join(map(sql.Identifier, schema.names))
    statement = sql.SQL("COPY {} ({}) FROM STDIN ({})").format(table, columns, options)
    with connection.cursor() as cursor:
        with cursor.copy(statement) as copy:
            copy.write(encoder.write_header())
            for batch in batches:
                copy.write(encoder.write_batch(batch.cast(schema)))
            copy.write(encoder.finish())
        return cursor.rowcount
