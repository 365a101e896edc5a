"""A DuckDB file as a warehouse.

DuckDB lets one process at a time into a file. Runs that come at once wait for each other: the file is opened for no
longer than one transaction takes, and whoever finds it taken tries again for a while.
"""

from __future__ import annotations

import logging
from collections.abc import Container, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import tenacity

from taxi_platform.core import engine, engine_errors
from taxi_platform.core.catalog.model import SOURCE_MONTH, Column, ReferenceContract, TableContract, TripContract
from taxi_platform.core.engine import identifier, literal
from taxi_platform.core.errors import WarehouseError
from taxi_platform.core.fingerprint import Fingerprint, fingerprint_rows
from taxi_platform.core.measures import Measures, measured, measures_query, read_measures
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import ParquetFile
from taxi_platform.core.warehouse import absent, base_view, require_all
from taxi_platform.core.warehouse.base_view import is_report
from taxi_platform.core.warehouse.zone_totals import ZoneTotals, money_column, read_totals, select_totals
from taxi_platform.core.warehouse.zone_view import view_name, zone_view

_SCHEMA = "taxi"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DuckDBWarehouse:
    """Tables in the schema `taxi` of one DuckDB file.

    Attributes:
        path: The file; made when the first month comes.
        zones: The zone lookup, which the view `<table>_with_zones` joins to a table of trips.
        patience: Seconds to wait for another process to let go of the file.
        bases: The report of bases, for the views `fhv_bases` and `<table>_with_bases`.
    """

    path: Path
    zones: ReferenceContract | None = None
    patience: float = 600.0
    bases: ReferenceContract | None = None

    def table_name(self, contract: TableContract) -> str:
        """See `Warehouse.table_name`."""
        return f"{_SCHEMA}.{contract.table}"

    def replace_month(self, contract: TripContract, month: Month, file: ParquetFile) -> int:
        """See `Warehouse.replace_month`."""
        with self._transaction() as con:
            table = self._prepare(con, contract, contract.table_columns)
            self._prepare_views(con, contract)
            # A table has no order. To keep the file's, two threads would fill row groups in part, and the checkpoint at
            # the end would write all of them again.
            con.execute("SET preserve_insertion_order = false")
            con.execute(f"DELETE FROM {table} WHERE {SOURCE_MONTH} = ?", [month.first_day])
            ((written,), *_) = con.execute(
                f"INSERT INTO {table} BY NAME SELECT ?::DATE AS {SOURCE_MONTH}, * FROM {engine.parquet(file.path)}",
                [month.first_day],
            ).fetchall()
            require_all(contract, month, int(written), file)
        return int(written)

    def read_months(self, contract: TripContract, months: Sequence[Month]) -> pa.Table:
        """See `Warehouse.read_months`."""
        with self._reading(contract) as con:
            return con.sql(
                f"SELECT {_names(contract.table_columns)} FROM {self._rows(contract, contract.table_columns)} "
                f"WHERE list_contains(?::DATE[], {SOURCE_MONTH})",
                params=[[month.first_day for month in months]],
            ).to_arrow_table()

    def measure_month(self, contract: TripContract, month: Month, only: Container[str] | None = None) -> Measures:
        """See `Warehouse.measure_month`."""
        columns = measured(contract.stored_columns, only)
        with self._reading(contract) as con:
            rows = self._rows(contract, contract.table_columns)
            query = measures_query(columns, f"FROM {rows} WHERE {SOURCE_MONTH} = ?")
            (row, *_) = con.execute(query, [month.first_day]).fetchall()
        return read_measures(columns, row)

    def fingerprint_month(self, contract: TripContract, month: Month, nulls: Container[str] = ()) -> Fingerprint:
        """See `Warehouse.fingerprint_month`."""
        columns = contract.stored_columns
        with self._reading(contract) as con:
            rows = (
                f"FROM {self._rows(contract, contract.table_columns)} WHERE {SOURCE_MONTH} = DATE '{month.first_day}'"
            )
            return fingerprint_rows(con, columns, {it.name for it in columns}, rows, nulls)

    def measure_zone_view(self, contract: TripContract, month: Month) -> ZoneTotals | None:
        """See `Warehouse.measure_zone_view`."""
        if self.zones is None or not contract.zone_columns:
            return None
        with self._reading(contract) as con:
            con.execute(f"SELECT 1 FROM {self.table_name(contract)} LIMIT 0")  # else it is not the view that is missing
            found = con.execute(
                "SELECT column_name FROM duckdb_columns() "
                "WHERE database_name = current_database() AND schema_name = ? AND table_name = ?",
                [_SCHEMA, view_name(contract)],
            ).fetchall()
            if not found:
                return None
            view, lookup = (f"{_SCHEMA}.{identifier(name)}" for name in (view_name(contract), self.zones.table))
            money = money_column(contract, {name for (name,) in found})
            query = select_totals(self.zones, month, money, view=view, lookup=lookup)
            try:
                return read_totals(money, con.execute(query).fetchall())
            except duckdb.Error as error:
                raise WarehouseError(
                    f"the view {_SCHEMA}.{view_name(contract)} cannot be read",
                    where=str(self.path),
                    cause=str(error).splitlines()[0],
                    fix="load the month again, which makes the view anew",
                ) from error

    def replace_reference(self, contract: ReferenceContract, rows: pa.Table) -> int:
        """See `Warehouse.replace_reference`."""
        with self._transaction() as con:
            table = self._prepare(con, contract, contract.columns)
            if is_report(contract, self.bases):
                self._prepare_bases(con, contract)
            con.execute(f"DELETE FROM {table}")
            con.register("new_rows", rows)
            con.execute(f"INSERT INTO {table} BY NAME SELECT * FROM new_rows")
            con.unregister("new_rows")
        return rows.num_rows

    def read_reference(self, contract: ReferenceContract) -> pa.Table:
        """See `Warehouse.read_reference`."""
        with self._reading(contract) as con:
            rows, order = self._rows(contract, contract.columns), ", ".join(contract.keys)
            table = con.sql(f"SELECT {_names(contract.columns)} FROM {rows} ORDER BY {order}").to_arrow_table()
        if not table.num_rows:  # a view may have needed the table before anybody loaded it
            raise self._absent(contract)
        return table

    @property
    def dialect(self) -> str:
        """See `Warehouse.dialect`."""
        return "duckdb"

    def columns_of(self, contract: TableContract) -> frozenset[str]:
        """See `Warehouse.columns_of`."""
        query = (
            "SELECT column_name FROM duckdb_columns() "
            "WHERE database_name = current_database() AND schema_name = ? AND table_name = ?"
        )
        if not self.path.exists():
            return frozenset()
        with self._reading(contract) as con:
            return frozenset(name for (name,) in con.execute(query, [_SCHEMA, contract.table]).fetchall())

    def compute_month(self, contract: TableContract, month: Month, query: str) -> int:
        """See `Warehouse.compute_month`."""
        with self._transaction() as con:
            table = self._prepare(con, contract, contract.columns)
            con.execute(f"DELETE FROM {table} WHERE {SOURCE_MONTH} = ?", [month.first_day])
            ((written,),) = con.execute(f"INSERT INTO {table} BY NAME {query}").fetchall()
        return int(written)

    def ask(self, query: str, about: str) -> list[dict[str, Any]]:
        """See `Warehouse.ask`."""
        with self._connect(read_only=True) as con:
            try:
                return con.sql(query).to_arrow_table().to_pylist()
            except duckdb.Error as error:
                raise WarehouseError(
                    "the question cannot be answered",
                    about=about,
                    where=str(self.path),
                    cause=str(error).splitlines()[0],
                    fix="see that the months and the marts it reads are loaded",
                    may_pass_later=engine_errors.may_pass_later(error),
                ) from error

    def _rows(self, contract: TableContract, columns: tuple[Column, ...]) -> str:
        """The `FROM` clause for a table's rows; a column the contract gained since the last load reads as null."""
        nulls = ", ".join(f"NULL::{it.type.duckdb} AS {it.name}" for it in columns)
        return f"(FROM {self.table_name(contract)} UNION ALL BY NAME SELECT {nulls} WHERE false)"

    @contextmanager
    def _transaction(self) -> Generator[duckdb.DuckDBPyConnection, None, None]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self._connect(read_only=False) as con:
                con.begin()
                yield con
                con.commit()  # an exception before this closes the connection, which forgets the transaction
        except duckdb.Error as error:
            raise WarehouseError(
                "the rows could not be written; the table is as it was",
                where=str(self.path),
                cause=str(error).splitlines()[0],
                fix="see that the disk has room and the month's file is whole, then run the month again",
                may_pass_later=engine_errors.may_pass_later(error),
            ) from error

    @contextmanager
    def _reading(self, contract: TableContract) -> Generator[duckdb.DuckDBPyConnection, None, None]:
        if not self.path.exists():
            raise self._absent(contract)
        with self._connect(read_only=True) as con:
            try:
                yield con
            except duckdb.CatalogException as error:
                raise self._absent(contract) from error

    def _absent(self, contract: TableContract) -> WarehouseError:
        return absent(self.table_name(contract), str(self.path))

    def _connect(self, *, read_only: bool) -> duckdb.DuckDBPyConnection:
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_lock_error),
            stop=tenacity.stop_after_delay(self.patience),
            wait=tenacity.wait_random(0.05, 0.4),
            before_sleep=self._say_waiting,
            reraise=True,
        )
        config = engine.settings(self.path.with_name(f"{self.path.name}.spill"))
        try:
            return attempts(duckdb.connect, str(self.path), read_only=read_only, config=config)
        except duckdb.Error as error:
            if not _is_lock_error(error):
                raise WarehouseError(
                    "the warehouse file cannot be opened",
                    where=str(self.path),
                    cause=str(error).splitlines()[0],
                    fix="point TAXI_WAREHOUSE_URL at a DuckDB file this process can write to and has not open already",
                    may_pass_later=engine_errors.may_pass_later(error),
                ) from error
            raise WarehouseError(
                f"another process has held the warehouse for over {self.patience:.0f} s",
                where=str(self.path),
                cause=str(error).splitlines()[0],
                fix="close the program that has the file open (a DuckDB shell, a notebook), then run again",
                may_pass_later=True,
            ) from error

    def _say_waiting(self, state: tenacity.RetryCallState) -> None:
        if state.attempt_number in (10, 200) and state.outcome:
            waited, told = state.seconds_since_start or 0, str(state.outcome.exception()).splitlines()[0]
            _log.warning(
                "%s is in use: waiting (%.0f s, of %.0f s at most); DuckDB says: %s",
                *(self.path, waited, self.patience, told),
            )

    def _prepare(self, con: duckdb.DuckDBPyConnection, contract: TableContract, columns: tuple[Column, ...]) -> str:
        """Make the table, or give it what its contract has gained; names it as SQL takes it."""
        table = f"{_SCHEMA}.{identifier(contract.table)}"
        con.execute(f"CREATE SCHEMA IF NOT EXISTS {_SCHEMA}")
        definitions = ", ".join(f"{it.name} {it.type.duckdb}" for it in columns)
        con.execute(f"CREATE TABLE IF NOT EXISTS {table} ({definitions})")
        found = con.execute(
            "SELECT column_name, data_type, comment FROM duckdb_columns() "
            "WHERE database_name = current_database() AND schema_name = ? AND table_name = ?",
            [_SCHEMA, contract.table],
        ).fetchall()
        there = {name: (kind, comment) for name, kind, comment in found}
        for column in columns:
            kind, comment = there.get(column.name, (None, None))
            if kind is None:
                con.execute(f"ALTER TABLE {table} ADD COLUMN {column.name} {column.type.duckdb}")
            elif kind != column.type.duckdb:
                raise WarehouseError(
                    f"column {column.name} is {kind} in the table and {column.type.duckdb} in the contract",
                    where=f"{self.table_name(contract)} in {self.path}",
                    fix="drop or rename the table, then load its months again",
                )
            if comment != column.full_description:
                con.execute(f"COMMENT ON COLUMN {table}.{column.name} IS {literal(column.full_description)}")
        con.execute(f"COMMENT ON TABLE {table} IS {literal(contract.description)}")
        return table

    def _prepare_views(self, con: duckdb.DuckDBPyConnection, contract: TripContract) -> None:
        """Make the views that name a trip's zones, and its bases; what names them may come later."""
        trips = f"{_SCHEMA}.{identifier(contract.table)}"
        if self.zones is not None and contract.zone_columns:
            zones = self._prepare(con, self.zones, self.zones.columns)
            view = f"{_SCHEMA}.{identifier(view_name(contract))}"
            con.execute(f"CREATE OR REPLACE VIEW {view} AS {zone_view(contract, self.zones, trips, zones)}")
        if self.bases is not None and base_view.numbers_of(contract):
            bases = self._prepare_bases(con, self.bases)
            view = f"{_SCHEMA}.{identifier(base_view.view_name(contract))}"
            con.execute(f"CREATE OR REPLACE VIEW {view} AS {base_view.base_view(contract, trips, bases)}")

    def _prepare_bases(self, con: duckdb.DuckDBPyConnection, contract: ReferenceContract) -> str:
        """Make the view of bases; names it as SQL takes it."""
        report, view = self._prepare(con, contract, contract.columns), f"{_SCHEMA}.{identifier(base_view.BASES)}"
        con.execute(f"CREATE OR REPLACE VIEW {view} AS {base_view.bases_view(report)}")
        return view


def _names(columns: tuple[Column, ...]) -> str:
    return ", ".join(column.name for column in columns)


def _is_lock_error(error: BaseException) -> bool:
    # The whole phrase: the path is in the message too, and may well have "lock" in it.
    return isinstance(error, duckdb.IOException) and "Could not set lock on file" in str(error)
