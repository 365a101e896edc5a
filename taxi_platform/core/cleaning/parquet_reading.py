"""How a Parquet file is read: by DuckDB where it can, else by pyarrow into a file that DuckDB can read.

A file was verified to its last page when it was fetched, so pyarrow can read it. What DuckDB has no exact type for, or
refuses (text that is not UTF-8, a codec), is written anew without it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from taxi_platform.core.cleaning.fields import RawTable, fields_of
from taxi_platform.core.engine import parquet
from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.parquet import read_footer
from taxi_platform.core.source.files import RawFile
from taxi_platform.core.source.text import MOST_FIELDS

_BATCH_ROWS = 1 << 16
#: The zone of an instant that names none.
UTC = "UTC"


def parquet_table(raw: RawFile, con: duckdb.DuckDBPyConnection, work: Path) -> RawTable:
    """A Parquet file as DuckDB reads it.

    Args:
        raw: The file.
        con: What will read it.
        work: A folder for the time of the reading.

    Raises:
        TaxiPlatformError: It has more columns than are read.
        duckdb.Error: DuckDB cannot read it; `rewritten_table` can.
    """
    schema = read_footer(raw.path).schema.to_arrow_schema()
    if len(schema.names) > MOST_FIELDS:
        raise TaxiPlatformError(
            f"the file has {len(schema.names):,} columns, and more than {MOST_FIELDS:,} are not read",
            where=str(raw.path),
            fix="take the month without the columns that were joined to it",
        )
    if any(pa.types.is_decimal256(it) for it in schema.types):
        return rewritten_table(raw, con, work)  # DuckDB would read a double
    return _table(raw.path, schema, con)


def rewritten_table(raw: RawFile, con: duckdb.DuckDBPyConnection, work: Path) -> RawTable:
    """A Parquet file that DuckDB does not read as it is, written anew; text that is not UTF-8 is read as latin-1."""
    path = work / "rewritten.parquet"
    with pq.ParquetFile(raw.path) as file:
        schema = pa.schema([pa.field(it.name, _readable(it.type)) for it in file.schema_arrow])
        with pq.ParquetWriter(path, schema, compression="zstd", compression_level=1) as writer:
            for batch in file.iter_batches(_BATCH_ROWS):
                columns = [_as_readable(it, kind) for it, kind in zip(batch.columns, schema.types, strict=True)]
                writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
    return _table(path, file.schema_arrow, con)


def _table(path: Path, schema: pa.Schema, con: duckdb.DuckDBPyConnection) -> RawTable:
    file = parquet(path)
    types = [kind for _, kind, *_ in con.execute(f"DESCRIBE SELECT * FROM {file}").fetchall()]
    # DuckDB renames columns that have no name, or one that another has but for its case.
    fields = fields_of(schema.names, types, list(_zones(schema)))
    columns = ", ".join(field.column for field in fields)
    return RawTable(fields, f"{file} AS raw({columns})")


def _zones(schema: pa.Schema) -> Iterator[str]:
    """Each column's time zone, if it holds instants: as pyarrow wrote it, or else as pandas says."""
    told: dict[str, str] = {}
    try:
        for it in json.loads((schema.metadata or {}).get(b"pandas", b"{}")).get("columns", []):
            if (zone := (it.get("metadata") or {}).get("timezone")) is not None:
                told[str(it.get("field_name") or it.get("name"))] = str(zone)
    except (ValueError, AttributeError):
        pass
    for field in schema:
        zone = field.type.tz or "" if isinstance(field.type, pa.TimestampType) else ""
        yield told.get(field.name, zone) if zone == UTC else zone


def _readable(kind: pa.DataType) -> pa.DataType:
    """A type that DuckDB reads to the last digit."""
    if pa.types.is_dictionary(kind):
        return _readable(kind.value_type)
    return pa.string() if pa.types.is_decimal256(kind) or _is_text(kind) else kind


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _as_readable(values: pa.Array[Any], kind: pa.DataType) -> pa.Array[Any]:
    if not pa.types.is_string(kind):
        return values if values.type == kind else values.cast(kind)
    if pa.types.is_decimal256(values.type):
        return values.cast(pa.string())
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    # Few different words are decoded, however many rows have them.
    words = values.cast(pa.binary() if pa.types.is_string(values.type) else pa.large_binary()).dictionary_encode()
    texts = pa.array([_decoded(it) for it in words.dictionary.to_pylist()], pa.string())
    return texts.take(words.indices)


def _decoded(word: bytes) -> str:
    try:
        return word.decode()
    except UnicodeDecodeError:
        return word.decode("latin-1")
