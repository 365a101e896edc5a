"""Is a Parquet file whole, to its last page?

Its footer says what should be in it; here every page is decoded and held against that. Pages may carry a CRC-32, which
the reader checks (those of TLC's files of 2011 to 2023-01 do); gzip and zstd check what they unpack; and a column's
smallest and largest value and its nulls stand in the footer of most files. A file that passes may still hold wrong
values where it has none of these.
"""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from taxi_platform.core.parquet import schema_of_arrow
from taxi_platform.core.source.contents import DamagedParquetError

#: Columns decoded at the same time; each holds one column of one row group in memory.
_THREADS = 2
_TIME_UNITS = {"TIMESTAMP_MILLIS": "milliseconds", "TIMESTAMP_MICROS": "microseconds"}


def verify_parquet(path: Path) -> int:
    """Decode every page of a Parquet file, and hold the values against its footer.

    Args:
        path: The file.

    Returns:
        How many rows it has.

    Raises:
        DamagedParquetError: It is damaged, or written in a way that nobody here can read.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            footer = file.metadata
            _require_sound_schema(footer)
            groups, columns = range(footer.num_row_groups), range(footer.num_columns)
            if sum(footer.row_group(group).num_rows for group in groups) != footer.num_rows:
                raise DamagedParquetError("the footer's row groups do not have the rows that it says")
        with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as threads:
            readers = [
                threads.submit(_verify_columns, path, [*product(groups, columns[first::_THREADS])])
                for first in range(_THREADS)
            ]
            for reader in readers:
                reader.result()
    except (pa.ArrowException, OSError, OverflowError, UnicodeDecodeError) as error:
        if getattr(error, "errno", None) is not None:  # the disk's trouble; Arrow's own OSErrors have no number
            raise
        raise DamagedParquetError(str(error).splitlines()[0] if str(error) else type(error).__name__) from error
    return footer.num_rows


def _verify_columns(path: Path, parts: list[tuple[int, int]]) -> None:
    """Decode some columns of some row groups. A reader is no two threads' at once, so this one has its own."""
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        for group, column in parts:
            # The values first: of a column that is encrypted, or damaged in the footer, they raise, and asking for its
            # metadata would end the process.
            values = file.reader.read_row_group(group, column_indices=[column], use_threads=False)
            chunk = file.metadata.row_group(group).column(column)
            if values.num_rows != file.metadata.row_group(group).num_rows:
                raise DamagedParquetError(
                    f"column {chunk.path_in_schema} has {values.num_rows:,} values in row group {group}, "
                    f"not {file.metadata.row_group(group).num_rows:,}"
                )
            if values.num_columns == 1 and not pa.types.is_nested(values.column(0).type):
                _require_statistics(chunk, values.column(0), group)


def _require_statistics(chunk: pq.ColumnChunkMetaData, values: pa.ChunkedArray[Any], group: int) -> None:
    """Hold a column's values against its smallest, largest and number of nulls, where the footer has them."""
    told = chunk.statistics if chunk.is_stats_set else None
    if told is None:
        return
    about = f"column {chunk.path_in_schema} of row group {group}"
    nulls: int | None = told.null_count if told.has_null_count else None  # pyright: ignore
    if nulls is not None and nulls != values.null_count:
        raise DamagedParquetError(f"{about} has {values.null_count:,} nulls, and its statistics say {nulls:,}")
    if not told.has_min_max or not _is_ordered(values.type):
        return
    found = pc.min_max(values)
    if pa.types.is_timestamp(values.type) and values.type.tz is None:
        _require_times(told, found, about)
        return
    for end, said in (("min", told.min), ("max", told.max)):
        if isinstance(said, float) and not math.isfinite(said):
            continue  # writers disagree on what NaN and infinity do to them
        actual = found[end].as_py()
        if actual != said and not (isinstance(actual, float) and math.isnan(actual)):
            raise DamagedParquetError(f"the {end}imum of {about} is {actual!r}, and its statistics say {said!r}")


def _require_times(told: Any, found: Any, about: str) -> None:
    """The same for times, which Python's own cannot always hold: as whole numbers of their unit."""
    for end in ("min", "max"):
        said, actual = getattr(told, f"{end}_raw"), found[end].value
        if isinstance(said, int) and said != actual and actual is not None:
            raise DamagedParquetError(f"the {end}imum of {about} is {actual!r}, and its statistics say {said!r}")


def _is_ordered(kind: pa.DataType) -> bool:
    """Whether all writers mean the same by the smallest and largest value of that type."""
    is_number = pa.types.is_signed_integer(kind) or pa.types.is_float64(kind) or pa.types.is_float32(kind)
    return is_number or (pa.types.is_timestamp(kind) and getattr(kind, "tz", None) is None)


def _require_sound_schema(footer: pq.FileMetaData) -> None:
    """The footer has no checksum of its own, but says some things twice: the names, and the unit of times."""
    for name, other in zip(
        footer.schema.to_arrow_schema().names, again.names if (again := schema_of_arrow(footer)) else [], strict=False
    ):
        # As long and not equal: no program renames a column so, but a flipped bit does.
        if name != other and len(name.encode()) == len(other.encode()):
            raise DamagedParquetError(f"a column is called {name!r} and {other!r} at once")
    for position in range(footer.num_columns):
        column = footer.schema.column(position)
        unit = _TIME_UNITS.get(column.converted_type or "")
        if unit and column.logical_type.type == "TIMESTAMP" and f"timeUnit={unit}" not in str(column.logical_type):
            raise DamagedParquetError(
                f"column {column.path} is {column.converted_type} and {column.logical_type} at once"
            )
