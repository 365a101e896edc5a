"""A BigQuery dataset as a warehouse.

A month is a partition, and is replaced by one load job: free, atomic, and without a query. Queries name their months,
so that those only are paid for, and what one of them may read is bounded.
"""

# Google's library is typed in part only.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

from collections.abc import Container, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import duckdb
import pyarrow as pa
from google.api_core.exceptions import BadRequest
from google.cloud import bigquery
from google.cloud.bigquery.retry import DEFAULT_JOB_RETRY
from google.cloud.bigquery.table import RowIterator

from taxi_platform.core.catalog.model import (
    SOURCE_MONTH,
    Column,
    ReferenceContract,
    TableContract,
    TripContract,
)
from taxi_platform.core.errors import WarehouseError
from taxi_platform.core.files import work_folder
from taxi_platform.core.fingerprint import Fingerprint
from taxi_platform.core.google import GoogleClients
from taxi_platform.core.measures import Measures, measured
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import ParquetFile
from taxi_platform.core.warehouse import absent, base_view
from taxi_platform.core.warehouse.bigquery import contents, expiry, staging, tables
from taxi_platform.core.warehouse.bigquery.dataset import Dataset, identifier
from taxi_platform.core.warehouse.bigquery.loads import Load
from taxi_platform.core.warehouse.zone_totals import ZoneTotals, money_column, read_totals, select_totals
from taxi_platform.core.warehouse.zone_view import view_name


@dataclass(frozen=True)
class BigQueryWarehouse:
    """Tables in one BigQuery dataset.

    Attributes:
        dataset: The dataset.
        zones: The zone lookup, which the view `<table>_with_zones` joins to a table of trips.
        labels: What every job is labelled with besides its dataset and month, such as the run it is part of.
        bases: The report of bases, for the views `fhv_bases` and `<table>_with_bases`.
    """

    dataset: Dataset
    zones: ReferenceContract | None = None
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    bases: ReferenceContract | None = None

    @classmethod
    def of_url(
        cls,
        url: str,
        zones: ReferenceContract | None,
        google: GoogleClients,
        labels: Mapping[str, str] | None = None,
        bases: ReferenceContract | None = None,
    ) -> Self:
        """The warehouse of `bigquery://project/dataset[?location=EU&maximum_bytes_billed=100000000000]`.

        Raises:
            WarehouseError: The URL is not written as it should be, or has an option nobody knows.
        """
        return cls(Dataset.of_url(url, google), zones, labels or {}, bases)

    def table_name(self, contract: TableContract) -> str:
        """See `Warehouse.table_name`."""
        return f"{self.dataset.name}.{contract.table}"

    def replace_month(self, contract: TripContract, month: Month, file: ParquetFile) -> int:
        """See `Warehouse.replace_month`."""
        with self._writing(), work_folder(file.path.parent, f"{file.path.name}.bigquery") as work:
            found = tables.find(self.dataset, contract)  # what cannot be done is said before minutes are spent on it
            if found is not None:
                expiry.require_kept(self.dataset, found)
            others = tables.others_of(self.dataset, contract, found, [SOURCE_MONTH, *file.schema.names])
            copy = staging.with_month(contract, month, file, others, work)
            table = tables.prepare(self.dataset, contract)
            if self.zones is not None and contract.zone_columns:
                tables.prepare_view(self.dataset, contract, table, self.zones)
            if self.bases is not None and base_view.numbers_of(contract):
                tables.prepare_base_view(self.dataset, contract, table, self.bases)
            target = f"{contract.table}${month.year:04d}{month.number:02d}"
            load = Load(self.dataset, table, target, self._labels(contract) | {"month": str(month)})
            if not file.rows:
                return load.empty()
            if not file.uri.startswith("gs://"):
                return load.run(copy, file.rows)
            with staging.loading_object(self.dataset, contract, month, file.uri, copy, load.call) as uri:
                return load.run(uri, file.rows)

    def read_months(self, contract: TripContract, months: Sequence[Month]) -> pa.Table:
        """See `Warehouse.read_months`."""
        columns = contract.table_columns
        schema = _schema(columns)
        with self._reading(contract) as there:
            if not months:
                return schema.empty_table()
            condition, parameters = of_months(months)
            query = f"SELECT {_select(columns, there)} FROM {self.dataset.sql(contract.table)} WHERE {condition}"
            rows = self._query(contract, query, parameters)
            # Not by the Storage API, which needs one more permission and one more library.
            return rows.to_arrow(create_bqstorage_client=False).cast(schema)

    def measure_month(self, contract: TripContract, month: Month, only: Container[str] | None = None) -> Measures:
        """See `Warehouse.measure_month`."""
        columns = measured(contract.stored_columns, only)
        with self._reading(contract) as there:
            return contents.measure(lambda it: self._of_month(contract, month, it), columns, there)

    def fingerprint_month(self, contract: TripContract, month: Month, nulls: Container[str] = ()) -> Fingerprint:
        """See `Warehouse.fingerprint_month`."""
        with self._reading(contract) as there:
            return contents.fingerprint(
                lambda it: self._of_month(contract, month, it), contract.stored_columns, there, nulls
            )

    def _of_month(self, contract: TripContract, month: Month, query: str) -> tuple[Any, ...]:
        """The one row of a query whose `{rows}` are a month's."""
        condition, parameters = of_months([month])
        rows = f"FROM {self.dataset.sql(contract.table)} WHERE {condition}"
        (row, *_) = self._query(contract, query.replace("{rows}", rows), parameters)
        return row.values()

    def measure_zone_view(self, contract: TripContract, month: Month) -> ZoneTotals | None:
        """See `Warehouse.measure_zone_view`."""
        if self.zones is None or not contract.zone_columns:
            return None
        with self._reading(contract):
            there = tables.columns_of_view(self.dataset, view_name(contract))
            if there is None:
                return None
            view, lookup = map(self.dataset.sql, (view_name(contract), self.zones.table))
            money = money_column(contract, there)
            query = select_totals(self.zones, month, money, view=view, lookup=lookup, quote=identifier)
            return read_totals(money, (row.values() for row in self._query(contract, query)))

    def replace_reference(self, contract: ReferenceContract, rows: pa.Table) -> int:
        """See `Warehouse.replace_reference`."""
        with self._writing(), TemporaryDirectory() as work:
            table = tables.prepare(self.dataset, contract)
            if base_view.is_report(contract, self.bases):
                tables.prepare_bases(self.dataset, contract)
            copy = staging.of_rows(rows, tables.others_of(self.dataset, contract, table, rows.schema.names), Path(work))
            return Load(self.dataset, table, contract.table, self._labels(contract)).run(copy, rows.num_rows)

    def read_reference(self, contract: ReferenceContract) -> pa.Table:
        """See `Warehouse.read_reference`."""
        with self._reading(contract) as there:
            select, order = _select(contract.columns, there), ", ".join(map(identifier, contract.keys))
            query = f"SELECT {select} FROM {self.dataset.sql(contract.table)} ORDER BY {order}"
            rows = self._query(contract, query)
            table = rows.to_arrow(create_bqstorage_client=False).cast(_schema(contract.columns))
        if not table.num_rows:  # a view may have needed the table before anybody loaded it
            raise self._absent(contract)
        return table

    @property
    def dialect(self) -> str:
        """See `Warehouse.dialect`."""
        return "bigquery"

    def columns_of(self, contract: TableContract) -> frozenset[str]:
        """See `Warehouse.columns_of`."""
        with self.dataset.explained("the table could not be looked at"):
            table = tables.find(self.dataset, contract)
            return frozenset(column.name for column in table.schema) if table else frozenset()

    def compute_month(self, contract: TableContract, month: Month, query: str) -> int:
        """See `Warehouse.compute_month`.

        What the query gives is fetched and loaded into the month's partition: a few thousand rows at most, and a load
        is free and replaces the partition whole, where statements that change rows are paid for.
        """
        with self._writing(), TemporaryDirectory() as work:
            table = tables.prepare(self.dataset, contract)
            rows = self._query(contract, query).to_arrow(create_bqstorage_client=False).cast(_schema(contract.columns))
            load = Load(
                self.dataset, table, f"{contract.table}${month.year:04d}{month.number:02d}", self._labels(contract)
            )
            if not rows.num_rows:
                return load.empty()
            others = tables.others_of(self.dataset, contract, table, rows.schema.names)
            return load.run(staging.of_rows(rows, others, Path(work)), rows.num_rows)

    def ask(self, query: str, about: str) -> list[dict[str, Any]]:
        """See `Warehouse.ask`."""
        with self.dataset.explained(f"{about}: the question cannot be answered"):
            return [dict(row.items()) for row in self._query(None, query)]

    def _query(
        self, contract: TableContract | None, query: str, parameters: Sequence[bigquery.ScalarQueryParameter] = ()
    ) -> RowIterator:
        """The rows of a query, which fetch themselves page by page."""
        dataset = self.dataset
        config = bigquery.QueryJobConfig(
            maximum_bytes_billed=dataset.maximum_bytes_billed,
            query_parameters=list(parameters),
            labels=self._labels(contract),
        )
        where = f"{self.table_name(contract)} in {dataset}" if contract else str(dataset)
        try:
            return dataset.client.query_and_wait(
                query,
                job_config=config,
                location=dataset.location,
                api_timeout=dataset.timeout,
                wait_timeout=dataset.patience,
                retry=dataset.retry,
                job_retry=DEFAULT_JOB_RETRY.with_timeout(dataset.persistence),
            )
        except TimeoutError:
            raise WarehouseError(
                f"a query had no answer after {dataset.patience:.0f} s",
                where=where,
                cause="BigQuery is slow",
                fix="run it again",
                may_pass_later=True,
            ) from None
        except BadRequest as error:
            if not any(it.get("reason") == "bytesBilledLimitExceeded" for it in error.errors):
                raise
            raise WarehouseError(
                f"a query would read more than the {dataset.maximum_bytes_billed:,} bytes it may; it cost nothing",
                where=where,
                cause=error.message,
                fix="ask for fewer months at once, or raise maximum_bytes_billed in TAXI_WAREHOUSE_URL",
            ) from None

    def _labels(self, contract: TableContract | None) -> dict[str, str]:
        of_table = tables.labels_of(contract) if contract else {}
        return {key: tables.label(value) for key, value in {**self.labels, **of_table}.items()}

    @contextmanager
    def _writing(self) -> Generator[None, None, None]:
        try:
            with self.dataset.explained("the rows could not be written"):
                yield
        except duckdb.Error as error:
            raise WarehouseError(
                "the month's file cannot be read; the table is as it was",
                where=str(self.dataset),
                cause=str(error).splitlines()[0],
                fix="see that the disk has room and the month's file is whole, then run the month again",
            ) from error

    @contextmanager
    def _reading(self, contract: TableContract) -> Generator[frozenset[str], None, None]:
        """Yields the names of the columns that the table has."""
        with self.dataset.explained("the table could not be read"):
            table = tables.find(self.dataset, contract)
            if table is None:
                raise self._absent(contract)
            yield frozenset(column.name for column in table.schema)

    def _absent(self, contract: TableContract) -> WarehouseError:
        return absent(self.table_name(contract), str(self.dataset))


def of_months(months: Sequence[Month]) -> tuple[str, list[bigquery.ScalarQueryParameter]]:
    """The condition that says which partitions are read, and so what is paid for; and its parameters.

    By plain comparisons with parameters: of those the documentation says that they leave out partitions
    (https://cloud.google.com/bigquery/docs/querying-partitioned-tables#use_a_constant_filter_expression), of
    `IN UNNEST(…)` it does not. Months that follow each other are one range.
    """
    conditions: list[str] = []
    parameters: list[bigquery.ScalarQueryParameter] = []
    for number, (first, last) in enumerate(_ranges(months)):
        if first == last:
            conditions.append(f"{SOURCE_MONTH} = @month_{number}")
            parameters.append(bigquery.ScalarQueryParameter(f"month_{number}", "DATE", first.first_day))
        else:
            conditions.append(f"{SOURCE_MONTH} BETWEEN @first_{number} AND @last_{number}")
            parameters.append(bigquery.ScalarQueryParameter(f"first_{number}", "DATE", first.first_day))
            parameters.append(bigquery.ScalarQueryParameter(f"last_{number}", "DATE", last.first_day))
    return " OR ".join(conditions), parameters


def _ranges(months: Sequence[Month]) -> list[tuple[Month, Month]]:
    """The first and last of each run of months."""
    ranges: list[tuple[Month, Month]] = []
    for month in sorted(set(months)):
        if ranges and ranges[-1][1].next == month:
            ranges[-1] = ranges[-1][0], month
        else:
            ranges.append((month, month))
    return ranges


def _schema(columns: Sequence[Column]) -> pa.Schema:
    return pa.schema([pa.field(column.name, column.type.arrow) for column in columns])


def _select(columns: Sequence[Column], there: frozenset[str]) -> str:
    """The select list; a column the contract gained since the last load reads as null."""
    return ", ".join(
        identifier(it.name) if it.name in there else f"CAST(NULL AS {tables.TYPES[it.type]}) AS {identifier(it.name)}"
        for it in columns
    )
