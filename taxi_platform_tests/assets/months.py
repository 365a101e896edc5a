"""Small months for tests of whole runs: rows written by hand as TLC publishes them, and files changed afterwards."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

#: A green trip of January 2021 that breaks no rule, by published name.
TRIP = {
    "VendorID": "2",
    "lpep_pickup_datetime": "2021-01-05 10:00:00",
    "lpep_dropoff_datetime": "2021-01-05 10:10:00",
    "store_and_fwd_flag": "N",
    "RatecodeID": "1",
    "PULocationID": "43",
    "DOLocationID": "151",
    "passenger_count": "1",
    "trip_distance": "1.01",
    "fare_amount": "5.5",
    "extra": "0.5",
    "mta_tax": "0.5",
    "tip_amount": "0",
    "tolls_amount": "0",
    "ehail_fee": "",
    "improvement_surcharge": "0.3",
    "total_amount": "6.8",
    "payment_type": "2",
    "trip_type": "1",
    "congestion_surcharge": "0",
}


def trips(*changes: Mapping[str, str]) -> list[dict[str, str]]:
    """A trip per entry: `TRIP` with those changes, each at a second of its own."""
    return [
        {**TRIP, "lpep_pickup_datetime": f"2021-01-05 10:00:{number % 60:02}", **change}
        for number, change in enumerate(changes)
    ]


def write_green(source: Path, rows: Iterable[Mapping[str, str]], month: str = "2021-01") -> Path:
    """Publish a CSV month of green in a source folder."""
    source.mkdir(exist_ok=True)
    rows = list(rows)
    path = source / f"green_tripdata_{month}.csv"
    path.write_text("".join(f"{','.join(line)}\r\n" for line in (rows[0], *(row.values() for row in rows))))
    return path


def tamper(path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    """Change the rows of a Parquet file behind the platform's back; what it says of its origin stays."""
    table = pq.read_table(path)
    pq.write_table(change(table).replace_schema_metadata(table.schema.metadata), path)


def without_last_row(table: pa.Table) -> pa.Table:
    return table.slice(0, table.num_rows - 1)


def with_column(table: pa.Table, name: str, values: pa.Array | pa.ChunkedArray) -> pa.Table:
    """The table with other values in a column."""
    return table.set_column(table.column_names.index(name), name, values)
