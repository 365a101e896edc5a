"""The warehouse: one table per dataset, replaced month by month. A new kind of warehouse is a module here."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any, Protocol

import pyarrow as pa

from taxi_platform.core.catalog.model import ReferenceContract, TableContract, TripContract
from taxi_platform.core.errors import WarehouseError
from taxi_platform.core.fingerprint import Fingerprint
from taxi_platform.core.google import ApplicationDefault, GoogleClients
from taxi_platform.core.measures import Measures
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import ParquetFile
from taxi_platform.core.urls import duckdb_path, mask_url
from taxi_platform.core.warehouse.zone_totals import ZoneTotals


class Warehouse(Protocol):
    """Keeps tables whose months are replaced whole: readers see a month's old rows or its new ones, never a mix."""

    def table_name(self, contract: TableContract) -> str:
        """How people name the table in SQL."""
        ...

    def replace_month(self, contract: TripContract, month: Month, file: ParquetFile) -> int:
        """Make a file's rows the month's only rows, and bring the table up to its contract.

        Returns:
            How many rows were written.

        Raises:
            WarehouseError: The store is locked, or holds a table that does not fit; nothing has changed.
        """
        ...

    def read_months(self, contract: TripContract, months: Sequence[Month]) -> pa.Table:
        """The rows of some months, in the columns of `TripContract.table_columns`."""
        ...

    def measure_month(self, contract: TripContract, month: Month, only: Container[str] | None = None) -> Measures:
        """Measure a month where it lies; zero rows if the store does not hold it.

        Args:
            contract: The dataset's contract.
            month: The month.
            only: The names of the columns that are asked for; all if nothing is said.
        """
        ...

    def fingerprint_month(self, contract: TripContract, month: Month, nulls: Container[str] = ()) -> Fingerprint:
        """The fingerprint of a month's content (docs/fingerprint.md), worked out where the rows lie.

        Args:
            contract: The dataset's contract.
            month: The month.
            nulls: Columns that are probably null throughout: that is cheaper to see than to tell their cells.
        """
        ...

    def measure_zone_view(self, contract: TripContract, month: Month) -> ZoneTotals | None:
        """Measure a month in the view that names its zones; None where there is no such view."""
        ...

    def replace_reference(self, contract: ReferenceContract, rows: pa.Table) -> int:
        """Make `rows` a reference table's only rows."""
        ...

    def read_reference(self, contract: ReferenceContract) -> pa.Table:
        """The rows of a reference table."""
        ...

    @property
    def dialect(self) -> str:
        """What sqlglot calls the SQL of this store."""
        ...

    def columns_of(self, contract: TableContract) -> frozenset[str]:
        """The columns that a table has; none if there is no such table."""
        ...

    def compute_month(self, contract: TableContract, month: Month, query: str) -> int:
        """Make what a query gives a month's only rows of a table, which is brought up to its contract.

        Args:
            contract: Of the table; `source_month` is among its columns.
            month: The month.
            query: In the store's SQL; it gives the columns of the contract, in order, of that month only.

        Returns:
            How many rows were written.

        Raises:
            WarehouseError: The query cannot be answered, or the rows not be written; nothing has changed.
        """
        ...

    def ask(self, query: str, about: str) -> list[dict[str, Any]]:
        """The rows of a query that gives few.

        Args:
            query: In the store's SQL.
            about: What is asked about, to people.

        Raises:
            WarehouseError: It cannot be answered.
        """
        ...


def open_warehouse(
    url: str,
    zones: ReferenceContract | None = None,
    google: GoogleClients | None = None,
    run: str = "",
    bases: ReferenceContract | None = None,
) -> Warehouse:
    """The warehouse that `TAXI_WAREHOUSE_URL` names.

    Args:
        url: What the setting says.
        zones: The zone lookup's contract, for the views that join it to each table of trips; without it there are none.
        google: Makes Google's clients; with the credentials their libraries find by default.
        run: What runs this, for warehouses that label their work.
        bases: The contract of the report of bases, for the views that name those of trips; without it there are none.

    Raises:
        WarehouseError: No warehouse of this kind is built in, or its URL has an option nobody knows.
    """
    if (path := duckdb_path(url)) is not None:
        from taxi_platform.core.warehouse.duckdb import DuckDBWarehouse

        return DuckDBWarehouse(path, zones, bases=bases)
    match url.partition("://")[0]:
        case "postgresql" | "postgres":  # both are libpq's
            from taxi_platform.core.warehouse.postgres import PostgresWarehouse

            return PostgresWarehouse(url, zones, bases=bases)
        case "bigquery":
            from taxi_platform.core.warehouse.bigquery import BigQueryWarehouse

            labels = {"run": run} if run else {}
            return BigQueryWarehouse.of_url(url, zones, google or ApplicationDefault(), labels, bases)
        case _:
            raise WarehouseError(
                "no warehouse of this kind is built in",
                where=mask_url(url),
                fix="set TAXI_WAREHOUSE_URL to duckdb:///path, postgresql://… or bigquery://project/dataset",
            )


def absent(name: str, where: str) -> WarehouseError:
    """The error for a table the warehouse does not hold.

    Args:
        name: What people call the table.
        where: The file, server or dataset it is not in.
    """
    return WarehouseError(
        f"the warehouse has no table {name}",
        where=where,
        cause="nothing was loaded into it yet",
        fix="materialize a month of its asset",
    )


def require_all(contract: TripContract, month: Month, written: int, file: ParquetFile) -> None:
    """Hold what a store says that it wrote against what the file says that it holds.

    Raises:
        WarehouseError: They differ.
    """
    if written != file.rows:
        raise WarehouseError(
            f"the store wrote {written:,} rows of {file.rows:,}; the table is as it was",
            about=f"{contract.dataset} {month}",
            where=file.uri,
            cause="a trigger or a rule of the store turns rows away, or the file is not what its footer says",
            fix="see what the store does with new rows of this table, then load the month again",
        )
