"""Tables and views in a BigQuery dataset: made, and brought up to their contract."""

# Google's library is typed in part only.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

import tenacity
from google.api_core.exceptions import Conflict, NotFound, PreconditionFailed
from google.cloud import bigquery

from taxi_platform.core.catalog.model import (
    SOURCE_MONTH,
    Column,
    ColumnType,
    ReferenceContract,
    TableContract,
    TripContract,
)
from taxi_platform.core.errors import WarehouseError
from taxi_platform.core.warehouse import base_view
from taxi_platform.core.warehouse.bigquery import expiry
from taxi_platform.core.warehouse.bigquery.dataset import Dataset, identifier
from taxi_platform.core.warehouse.zone_view import view_name, zone_view

#: Times are DATETIME, not TIMESTAMP: New York's wall clock without a zone, as TLC publishes it.
TYPES = {
    ColumnType.STRING: "STRING",
    ColumnType.INT32: "INT64",
    ColumnType.INT64: "INT64",
    ColumnType.FLOAT64: "FLOAT64",
    ColumnType.TIMESTAMP: "DATETIME",
    ColumnType.DATE: "DATE",
}
# The API answers with the names of the older SQL.
_NAMES_IN_API = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}
#: A type -> DuckDB's whose Parquet BigQuery reads as it
#: (https://cloud.google.com/bigquery/docs/loading-data-cloud-storage-parquet#type_conversions).
_IN_DUCKDB = {
    "STRING": "VARCHAR",
    "BYTES": "BLOB",
    "INT64": "BIGINT",
    "FLOAT64": "DOUBLE",
    "BOOL": "BOOLEAN",
    "DATETIME": "TIMESTAMP",
    "TIMESTAMP": "TIMESTAMPTZ",
    "DATE": "DATE",
    "TIME": "TIME",
    "NUMERIC": "DECIMAL(38, 9)",
}
# https://cloud.google.com/bigquery/quotas#standard_tables
_LONGEST_DESCRIPTION = 1024
_CLUSTERED_BY = "pickup_location_id"
# Somebody else was faster: the table is there now (409), or is not any more what it was when it was read (412).
_looking_again = tenacity.retry(
    retry=tenacity.retry_if_exception_type((Conflict, PreconditionFailed)),
    stop=tenacity.stop_after_attempt(20),
    wait=tenacity.wait_random(0, 0.5),
    reraise=True,
)


def columns_of(contract: TableContract) -> tuple[Column, ...]:
    """The columns of a contract's table, in order."""
    return contract.table_columns if isinstance(contract, TripContract) else contract.columns


def find(dataset: Dataset, contract: TableContract) -> bigquery.Table | None:
    """A contract's table as it is now, if there is one.

    Raises:
        WarehouseError: It does not fit its contract.
        NotFound: There is not even the dataset.
    """
    table = _get(dataset, contract.table)
    if table is not None:
        _require_fit(dataset, contract, table)
    return table


@_looking_again
def prepare(dataset: Dataset, contract: TableContract) -> bigquery.Table:
    """Make a contract's table, or give it what its contract has gained; refuses one that expires.

    Not left to the load (`ALLOW_FIELD_ADDITION`), which adds columns but does not reword those that are there. What
    others change at the same time is seen by the table's etag, and looked at again.
    """
    table = find(dataset, contract)
    if table is None:
        return _made(dataset, _new_table(dataset, contract))
    expiry.require_kept(dataset, table)
    schema = _brought_up(table.schema, columns_of(contract))
    labels = {**table.labels, **labels_of(contract)}
    if (table.schema, table.description, table.labels) == (schema, contract.description, labels):
        return table
    table.schema, table.description, table.labels = schema, contract.description, labels
    changed = ["schema", "description", "labels"]
    return dataset.client.update_table(table, changed, retry=dataset.retry, timeout=dataset.timeout)


def prepare_view(dataset: Dataset, contract: TripContract, trips: bigquery.Table, zones: ReferenceContract) -> None:
    """Make the view that names the zones a trip began and ended in; the lookup may come later."""
    prepare(dataset, zones)
    tables = dataset.sql(contract.table), dataset.sql(zones.table)
    query = zone_view(contract, zones, *tables, columns=_columns_of(trips), quote=identifier)
    _prepare_view(dataset, view_name(contract), query)


def prepare_base_view(
    dataset: Dataset, contract: TripContract, trips: bigquery.Table, report: ReferenceContract
) -> None:
    """Make the view that names the bases of trips, and that of the bases; their report may come later."""
    prepare(dataset, report)
    prepare_bases(dataset, report)
    tables = dataset.sql(contract.table), dataset.sql(base_view.BASES)
    query = base_view.base_view(contract, *tables, columns=_columns_of(trips), quote=identifier)
    _prepare_view(dataset, base_view.view_name(contract), query)


def prepare_bases(dataset: Dataset, report: ReferenceContract) -> None:
    """Make the view of bases, of the table of their report."""
    _prepare_view(dataset, base_view.BASES, base_view.bases_view(dataset.sql(report.table), identifier))


def _columns_of(table: bigquery.Table) -> list[str]:
    """One by one: the schema that BigQuery shows of a view is the one of the day its SQL was set."""
    return [identifier(field.name) for field in table.schema]


@_looking_again
def _prepare_view(dataset: Dataset, name: str, query: str) -> None:
    view = _get(dataset, name)
    if view is None:
        view = bigquery.Table(dataset.table(name))
        view.view_query = query
        _made(dataset, view)
        return
    expiry.require_kept(dataset, view)
    if view.view_query != query:
        view.view_query = query
        dataset.client.update_table(view, ["view_query"], retry=dataset.retry, timeout=dataset.timeout)


def _made(dataset: Dataset, wanted: bigquery.Table) -> bigquery.Table:
    """Make a table or a view that does not expire, whatever the dataset or the project says."""
    expiry.require_kept_in(dataset, dataset.look())
    made = dataset.client.create_table(wanted, retry=dataset.retry, timeout=dataset.timeout)
    expiry.require_kept(dataset, made)
    return made


def others_of(
    dataset: Dataset, contract: TableContract, table: bigquery.Table | None, given: Collection[str]
) -> dict[str, str]:
    """The columns of a table that its contract does not have, as DuckDB's types, to be filled with nulls.

    Columns people have added, or an older contract had. Of a file that lacks columns that may be null the documentation
    (https://cloud.google.com/bigquery/docs/loading-data-cloud-storage-parquet#parquet_schemas) does not say whether a
    partition takes it, so none lacks any. Columns of types that Parquet has no plain value for are left to BigQuery.

    Args:
        dataset: Where the table is.
        contract: The table's contract.
        table: The table, if there is one.
        given: The columns that the rows to be loaded have.

    Raises:
        WarehouseError: The rows lack a column that must have a value in every row.
    """
    fields = table.schema if table is not None else ()
    required = [field.name for field in fields if field.mode == "REQUIRED" and field.name not in given]
    if required:
        raise WarehouseError(
            f"the table wants a value in columns that the rows do not have: {', '.join(required)}; it is as it was",
            where=f"{dataset.name}.{contract.table} in {dataset}",
            cause="the columns are REQUIRED in the table",
            fix="let them be null: "
            + "; ".join(
                f"ALTER TABLE {dataset.sql(contract.table)} ALTER COLUMN {identifier(name)} DROP NOT NULL"
                for name in required
            ),
        )
    known = {column.name for column in columns_of(contract)}
    return {
        field.name: kind
        for field in fields
        if field.name not in known
        and field.mode != "REPEATED"
        and (kind := _IN_DUCKDB.get(_NAMES_IN_API.get(field.field_type, field.field_type)))
    }


def columns_of_view(dataset: Dataset, name: str) -> frozenset[str] | None:
    """The columns of a view as it is now, if there is one."""
    view = _get(dataset, name)
    return None if view is None else frozenset(field.name for field in view.schema)


def labels_of(contract: TableContract) -> dict[str, str]:
    """What a contract's table and its jobs are labelled with, so that a bill can be told apart by dataset."""
    return {"dataset": contract.dataset if isinstance(contract, TripContract) else contract.table}


def label(text: str) -> str:
    """A text as the value of a label: lower case letters, digits, `_` and `-`, 63 at most."""
    return re.sub(r"[^a-z0-9_-]", "_", text.lower())[:63]


def _get(dataset: Dataset, name: str) -> bigquery.Table | None:
    try:
        return dataset.client.get_table(dataset.table(name), retry=dataset.retry, timeout=dataset.timeout)
    except NotFound:
        _ = dataset.found_location  # a missing dataset is another mistake than a missing table
        return None


def _new_table(dataset: Dataset, contract: TableContract) -> bigquery.Table:
    table = bigquery.Table(dataset.table(contract.table), schema=_brought_up([], columns_of(contract)))
    table.description = contract.description
    table.labels = labels_of(contract)
    if SOURCE_MONTH in (column.name for column in columns_of(contract)):
        table.time_partitioning = bigquery.TimePartitioning(bigquery.TimePartitioningType.MONTH, SOURCE_MONTH)
        if _CLUSTERED_BY in (column.name for column in columns_of(contract)):
            table.clustering_fields = [_CLUSTERED_BY]
    return table


def _brought_up(schema: Sequence[bigquery.SchemaField], columns: Sequence[Column]) -> list[bigquery.SchemaField]:
    """A schema with what the contract says of its columns; those it lacks come last, as BigQuery wants it."""
    words = {column.name: _shortened(column.full_description) for column in columns}
    there = [
        bigquery.SchemaField.from_api_repr({**field.to_api_repr(), "description": words[field.name]})
        if field.name in words
        else field
        for field in schema
    ]
    known = {field.name for field in schema}
    gained = [
        bigquery.SchemaField(column.name, TYPES[column.type], description=words[column.name])
        for column in columns
        if column.name not in known
    ]
    return there + gained


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_DESCRIPTION else f"{text[: _LONGEST_DESCRIPTION - 1]}…"


def _require_fit(dataset: Dataset, contract: TableContract, table: bigquery.Table) -> None:
    there = {field.name: _NAMES_IN_API.get(field.field_type, field.field_type) for field in table.schema}
    for column in columns_of(contract):
        kind = there.get(column.name, TYPES[column.type])
        if kind != TYPES[column.type]:
            raise WarehouseError(
                f"column {column.name} is {kind} in the table and {TYPES[column.type]} in the contract",
                where=f"{dataset.name}.{contract.table} in {dataset}",
                fix="drop or rename the table, then load its months again",
            )
    parts = table.time_partitioning
    by_month = SOURCE_MONTH in (it.name for it in columns_of(contract))
    if by_month and (parts is None or (parts.type_, parts.field) != ("MONTH", SOURCE_MONTH)):
        raise WarehouseError(
            f"the table is not partitioned by the month of {SOURCE_MONTH}, so its months cannot be replaced",
            where=f"{dataset.name}.{contract.table} in {dataset}",
            fix="drop or rename the table, then load its months again",
        )
