"""Small months for the suites over lakes and warehouses: a contract with a column of every type, rows as one likes."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from taxi_platform.core.catalog.model import TripContract
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import Lineage, ParquetFile, copy_options

COLUMNS = {
    "pickup_datetime": "timestamp",
    "vendor_id": "int32",
    "trip_number": "int64",
    "fare_amount": "float64",
    "note": "string",
    "licensed_on": "date",
}
JANUARY, FEBRUARY, MARCH = Month(2021, 1), Month(2021, 2), Month(2021, 3)


def contract_of(
    columns: Mapping[str, str] = COLUMNS, dataset: str = "probe", description: str = "What a driver's meter says."
) -> TripContract:
    """A trip contract with columns of some types."""
    return TripContract.model_validate(
        {
            "kind": "trips",
            "dataset": dataset,
            "title": "Probe trips",
            "description": "Trips nobody made; it's a test's contract.",
            "owner": "team:data-platform",
            "documentation": "https://example.com/probe.pdf",
            "first_month": "2020-01",
            "columns": [{"name": name, "type": kind, "description": description} for name, kind in columns.items()],
            "rules": [
                {"name": "unreadable", "condition": "unreadable", "action": "reject", "description": "Not readable."}
            ],
            "layouts": [{"since": "2020-01", "format": "csv", "header": list(columns)}],
        }
    )


def month_file(contract: TripContract, month: Month, rows: Iterable[Mapping[str, Any]], path: Path) -> ParquetFile:
    """A cleaned month that holds `rows`; columns a row does not name are null."""
    table = pa.Table.from_pylist([dict(row) for row in rows], schema=contract.arrow_schema)
    path.parent.mkdir(parents=True, exist_ok=True)
    lineage = lineage_of(contract, month, table.num_rows)
    pq.write_table(table.replace_schema_metadata({"taxi_platform": lineage.to_json()}), path)
    return ParquetFile(path)


def numbered_file(contract: TripContract, month: Month, rows: int, note: str, path: Path) -> ParquetFile:
    """A cleaned month of many rows, each with its number and the same note."""
    path.parent.mkdir(parents=True, exist_ok=True)
    names = ", ".join(column.name for column in contract.stored_columns)
    duckdb.connect().execute(
        f"""
        COPY (
            SELECT {names} FROM (
                SELECT TIMESTAMP '{month.first_day}' + to_seconds(i % 2000000) AS pickup_datetime,
                       (i % 7)::INTEGER AS vendor_id, i AS trip_number, hash(i) / 1e15 AS fare_amount,
                       '{note}' AS note, DATE '2020-01-01' AS licensed_on, md5(i::VARCHAR) AS extra_columns
                FROM range({rows}) AS numbers(i)
            )
        ) TO '{path}' {copy_options(lineage_of(contract, month, rows))}
        """
    )
    return ParquetFile(path)


def lineage_of(contract: TripContract, month: Month, rows: int) -> Lineage:
    return Lineage(
        dataset=contract.dataset,
        month=str(month),
        source_url=f"https://example.com/{contract.dataset}_tripdata_{month}.csv.gz",
        source_sha256="0" * 64,
        edition="csv",
        contract_version=contract.version,
        rules=contract.actions(),
        rows_in=rows,
        rows_cleaned=rows,
        rows_quarantined=0,
    )


def rows_in(table: pa.Table, *names: str) -> list[tuple[Any, ...]]:
    """The rows of a table as tuples, in an order that does not depend on the store's."""
    columns = names or tuple(table.column_names)
    return sorted((tuple(row[name] for name in columns) for row in table.to_pylist()), key=repr)
