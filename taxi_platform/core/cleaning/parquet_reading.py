"""How a Parquet file is read: by DuckDB where it can, else by pyarrow into a file that DuckDB can read.

A file was verified to its last page when it was fetched, so pyarrow can read it. What DuckDB has no exact type for, or
refuses (text that is not UTF-8, a codec), is written anew without it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from taxi_platform.core.cleaning.fields import RawTable, fields_of, is_wide, rows_at_once
from taxi_platform.core.engine import parquet
from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.parquet import read_footer, schema_of_arrow
from taxi_platform.core.source.files import RawFile
from taxi_platform.core.source.text import MOST_FIELDS

_BATCH_ROWS = 1 << 16
_OFFSET = re.compile(r"([+-])(\d{2}):?(\d{2})?(?::?00)?")
#: What stands in no text: the bytes of shapes and other machines' numbers have some.
_CONTROLS = "[\\x00-\\x08\\x0e-\\x1f]"
_PYTZ = re.compile(r"pytz\.FixedOffset\((-?\d{1,4})\)")
_NAMES_OF_UTC = ("utc", "z", "zulu", "gmt", "etc/utc", "etc/gmt", "universal", "etc/universal", "+00:00", "-00:00")
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
    footer = read_footer(raw.path)
    schema = footer.schema.to_arrow_schema()
    if len(schema.names) > MOST_FIELDS:
        raise TaxiPlatformError(
            f"the file has {len(schema.names):,} columns, and more than {MOST_FIELDS:,} are not read",
            where=str(raw.path),
            fix="take the month without the columns that were joined to it",
        )
    kinds: list[pa.DataType] = schema.types
    texts = _texts_in_bytes(raw.path, schema)
    # DuckDB would read a double where there are so many digits, and of a wide file too many rows at a time.
    if any(map(pa.types.is_decimal256, kinds)) or is_wide(len(kinds)) or texts:
        return _rewritten(raw, con, work, texts)
    return _table(raw.path, footer, con)


def rewritten_table(raw: RawFile, con: duckdb.DuckDBPyConnection, work: Path) -> RawTable:
    """A Parquet file that DuckDB does not read as it is, written anew; text that is not UTF-8 is read as latin-1."""
    return _rewritten(raw, con, work, _texts_in_bytes(raw.path, read_footer(raw.path).schema.to_arrow_schema()))


def _rewritten(raw: RawFile, con: duckdb.DuckDBPyConnection, work: Path, texts: set[str]) -> RawTable:
    path = work / "rewritten.parquet"
    odd: set[str] = set()
    # Times of 96 bits reach further than those that pyarrow would make of them.
    with pq.ParquetFile(raw.path, coerce_int96_timestamp_unit="us") as file:
        published = file.schema_arrow
        names = published.names
        kinds = [
            pa.string() if name in texts else _readable(it) for name, it in zip(names, published.types, strict=True)
        ]
        schema = pa.schema(list(zip(names, kinds, strict=True)))
        with pq.ParquetWriter(path, schema, compression="zstd", compression_level=1) as writer:
            for batch in cast(Any, file).iter_batches(rows_at_once(len(names), _BATCH_ROWS)):
                columns: list[Any] = []
                for name, values, kind in zip(names, batch.columns, kinds, strict=True):
                    readable, is_odd = _as_readable(values, kind)
                    columns.append(readable)
                    odd |= {name} if is_odd else set()
                writer.write_table(pa.Table.from_arrays(columns, schema=schema))
    told = [f"text of {name} that is not UTF-8 was read as latin-1" for name in names if name in odd]
    told += [f"{name} holds bytes, which are text and were read as such" for name in names if name in texts]
    return replace(_table(path, read_footer(raw.path), con), told=tuple(told))


def _texts_in_bytes(path: Path, schema: pa.Schema) -> set[str]:
    """The columns of bytes that hold nothing but text, as some programs write it without saying so."""
    kinds = zip(schema.names, cast(list[Any], schema.types), strict=True)
    texts = {
        name
        for name, kind in kinds
        if schema.names.count(name) == 1
        and (pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))
    }
    if not texts:
        return texts
    with pq.ParquetFile(path) as file:
        for batch in cast(Any, file).iter_batches(_BATCH_ROWS, columns=sorted(texts)):
            texts -= {name for name in texts if not _is_text(batch.column(name))}
    return texts


def _is_text(values: Any) -> bool:
    # Only who has such a column waits for pyarrow's functions to be imported.
    import pyarrow.compute as pc

    try:
        texts: Any = values.cast(pa.large_binary()).cast(pa.large_string())
    except pa.ArrowInvalid:
        return False
    return not cast(Any, pc).match_substring_regex(texts, _CONTROLS).true_count


def _table(path: Path, footer: pq.FileMetaData, con: duckdb.DuckDBPyConnection) -> RawTable:
    """A file that holds the columns of another's footer."""
    file, schema = parquet(path), footer.schema.to_arrow_schema()
    types = [kind for _, kind, *_ in con.execute(f"DESCRIBE SELECT * FROM {file}").fetchall()]
    # DuckDB renames columns that have no name, or one that another has but for its case.
    zones = list(_zones(footer))
    _require_known(zones, schema, path, con)
    fields = fields_of(schema.names, types, zones)
    columns = ", ".join(field.column for field in fields)
    return RawTable(fields, f"{file} AS raw({columns})")


def _zones(footer: pq.FileMetaData) -> Iterator[str]:
    """Each column's time zone, if it holds instants: as Arrow's schema says, or else as pandas does."""
    schema, told = footer.schema.to_arrow_schema(), _zones_of_pandas(footer)
    written: Any = schema_of_arrow(footer)
    # Times of the old 96 bits say nowhere that they are instants, as they are to those who write them.
    old = {
        column.path
        for column in map(footer.schema.column, range(footer.num_columns))
        if column.physical_type == "INT96"
    }
    for name, kind in zip(schema.names, cast(list[Any], schema.types), strict=True):
        zone = (kind.tz or "") if pa.types.is_timestamp(kind) else ""
        if name in old:
            meant = written.field(name).type if written is not None and name in written.names else None
            zone = UTC if meant is None else getattr(meant, "tz", None) or ""
        yield _zone_as_duckdb_knows_it(told.get(name, zone) if zone == UTC else zone)


def _zones_of_pandas(footer: pq.FileMetaData) -> dict[str, str]:
    told: dict[str, str] = {}
    metadata: dict[bytes, bytes] = footer.metadata or {}
    try:
        columns: list[dict[str, Any]] = json.loads(metadata.get(b"pandas", b"{}")).get("columns", [])
        for it in columns:
            about: dict[str, Any] = it.get("metadata") or {}
            if (zone := about.get("timezone")) is not None:
                told[str(it.get("field_name") or it.get("name"))] = str(zone)
    except (ValueError, AttributeError, TypeError):
        pass
    return told


def _zone_as_duckdb_knows_it(zone: str) -> str:
    """A zone's name, or its offset as ±HH:MM, however it is written."""
    if (minutes := _PYTZ.fullmatch(zone)) is not None:
        count = int(minutes[1])
        return f"{'-' if count < 0 else '+'}{abs(count) // 60:02}:{abs(count) % 60:02}"
    if (offset := _OFFSET.fullmatch(zone)) is not None:
        return f"{offset[1]}{offset[2]}:{offset[3] or '00'}"
    return UTC if zone.casefold() in _NAMES_OF_UTC else zone


def _require_known(zones: list[str], schema: pa.Schema, path: Path, con: duckdb.DuckDBPyConnection) -> None:
    named = {zone: name for zone, name in zip(zones, schema.names, strict=True) if zone and not _OFFSET.fullmatch(zone)}
    known = (
        {name for (name,) in con.execute("SELECT name FROM pg_timezone_names()").fetchall()} if named else set[str]()
    )
    for zone, name in named.items():
        if zone not in known:
            raise TaxiPlatformError(
                f"column {name} holds instants of a time zone nobody here knows, {zone!r}",
                where=str(path),
                fix="write the column with a zone of the tz database, such as America/New_York, or without one",
            )


def _readable(kind: Any) -> pa.DataType:
    """A type that DuckDB reads to the last digit."""
    if pa.types.is_dictionary(kind):
        return _readable(kind.value_type)
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return pa.string() if is_text or pa.types.is_decimal256(kind) else kind


def _as_readable(values: Any, kind: pa.DataType) -> tuple[Any, bool]:
    """The values in a type that DuckDB reads, and whether some text of them was not UTF-8."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if not pa.types.is_string(kind) or pa.types.is_decimal256(values.type):
        return values if values.type == kind else values.cast(kind), False
    # Few different words are decoded, however many rows have them.
    words = values.cast(pa.binary() if pa.types.is_string(values.type) else pa.large_binary()).dictionary_encode()
    published: list[bytes] = words.dictionary.to_pylist()
    texts = [_decoded(it) for it in published]
    is_odd = any(text.encode() != word for text, word in zip(texts, published, strict=True))
    return pa.array(texts, pa.string()).take(words.indices), is_odd


def _decoded(word: bytes) -> str:
    try:
        return word.decode()
    except UnicodeDecodeError:
        return word.decode("latin-1")
