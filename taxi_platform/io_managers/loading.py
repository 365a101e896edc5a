"""An asset as the type its reader asks for: a DataFrame, an Arrow table, a DuckDB relation, or the file itself."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pyarrow as pa

from taxi_platform.core import engine
from taxi_platform.core.catalog.model import SOURCE_MONTH
from taxi_platform.core.cleaning.reading import rows_as_published
from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.files import work_folder
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import ParquetFile
from taxi_platform.core.source import RawFile

#: By the reader's annotation; a DataFrame is not among them (see `_is_dataframe`).
_TYPES: dict[Any, Callable[[duckdb.DuckDBPyRelation], Any]] = {
    pa.Table: lambda relation: relation.to_arrow_table(),
    duckdb.DuckDBPyRelation: lambda relation: relation,
}


def months_of(context: dg.InputContext) -> list[Month]:
    """The months of the asset that are to be loaded, oldest first."""
    return [Month.parse(key) for key in sorted(context.asset_partition_keys)]


def load_relation(relation: duckdb.DuckDBPyRelation, context: dg.InputContext) -> Any:
    """The relation as the type the reader asks for.

    Raises:
        TaxiPlatformError: The reader asks for a type that rows cannot be loaded as; names those that can.
    """
    asked = context.dagster_type.typing_type
    if asked is Any or _is_dataframe(asked):
        return relation.df()
    if asked not in _TYPES:
        raise not_loadable(context)
    return _TYPES[asked](relation)


def _is_dataframe(asked: Any) -> bool:
    """Whether a reader asks for a DataFrame: one who does has imported pandas, and no run of ours waits for it."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and asked is pandas.DataFrame


def not_loadable(context: dg.InputContext) -> TaxiPlatformError:
    """The error for an annotation the asset cannot be loaded as."""
    asked = context.dagster_type.typing_type
    return TaxiPlatformError(
        f"cannot be loaded as {getattr(asked, '__name__', asked)}",
        about="/".join(context.asset_key.path),
        fix="annotate the input as pd.DataFrame, pa.Table or duckdb.DuckDBPyRelation (one month of the lake also as "
        "str: its URI)",
    )


def load_files(files: Mapping[Month, ParquetFile], context: dg.InputContext, spill_to: Path) -> Any:
    """One month's file itself if the reader asks for a `ParquetFile`, else the rows of all of them.

    Rows come with `source_month` in front, so that months can be told apart.
    """
    if context.dagster_type.typing_type is ParquetFile and len(files) == 1:
        (file,) = files.values()
        _ = file.sha256  # what it is now: whoever reads it later sees by that whether it still is
        return file
    months = " UNION ALL BY NAME ".join(
        f"SELECT DATE '{month.first_day}' AS {SOURCE_MONTH}, * FROM {engine.parquet(file.path)}"
        for month, file in files.items()
    )
    return load_relation(engine.connect(spill_to).sql(months), context)


def load_raw(files: Mapping[Month, RawFile], context: dg.InputContext, spill_to: Path) -> Any:
    """One month's raw file itself if the reader asks for a `RawFile`, else the rows of all of them, as published.

    Columns have their published names; those of a CSV are text. Lines that are no rows are left out, which is logged:
    they are in the quarantine.
    """
    if context.dagster_type.typing_type is RawFile and len(files) == 1:
        return next(iter(files.values()))
    con = engine.connect(spill_to)
    for month, raw in files.items():
        with work_folder(spill_to, raw.path.name) as work:
            rows = rows_as_published(raw, work)
        if rows.num_rows < raw.rows:
            context.log.warning(f"{raw.path.name}: {raw.rows - rows.num_rows:,} of {raw.rows:,} lines are no rows")
        con.register(f"raw {month}", rows)
    months = " UNION ALL BY NAME ".join(
        f"SELECT DATE '{month.first_day}' AS {SOURCE_MONTH}, * FROM {engine.identifier(f'raw {month}')}"
        for month in files
    )
    return load_relation(con.sql(months), context)
