"""An asset as the type its reader asks for: a DataFrame, an Arrow table, a DuckDB relation, or the file itself."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pandas as pd
import pyarrow as pa

from taxi_platform.core import engine
from taxi_platform.core.catalog.model import SOURCE_MONTH
from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import ParquetFile

#: By the reader's annotation; no annotation means a DataFrame.
_TYPES: dict[Any, Callable[[duckdb.DuckDBPyRelation], Any]] = {
    pd.DataFrame: lambda relation: relation.df(),
    pa.Table: lambda relation: relation.to_arrow_table(),
    duckdb.DuckDBPyRelation: lambda relation: relation,
}
_DEFAULT = _TYPES[pd.DataFrame]


def months_of(context: dg.InputContext) -> list[Month]:
    """The months of the asset that are to be loaded, oldest first."""
    return [Month.parse(key) for key in sorted(context.asset_partition_keys)]


def load_relation(relation: duckdb.DuckDBPyRelation, context: dg.InputContext) -> Any:
    """The relation as the type the reader asks for.

    Raises:
        TaxiPlatformError: The reader asks for a type that rows cannot be loaded as; names those that can.
    """
    asked = context.dagster_type.typing_type
    convert = _DEFAULT if asked is Any else _TYPES.get(asked)
    if convert is None:
        raise TaxiPlatformError(
            f"cannot be loaded as {getattr(asked, '__name__', asked)}",
            about="/".join(context.asset_key.path),
            fix="annotate the input as pd.DataFrame, pa.Table or duckdb.DuckDBPyRelation",
        )
    return convert(relation)


def load_files(files: Mapping[Month, ParquetFile], context: dg.InputContext, spill_to: Path) -> Any:
    """One month's file itself if the reader asks for a `ParquetFile`, else the rows of all of them.

    Rows come with `source_month` in front, so that months can be told apart.
    """
    if context.dagster_type.typing_type is ParquetFile and len(files) == 1:
        return next(iter(files.values()))
    months = " UNION ALL BY NAME ".join(
        f"SELECT DATE '{month.first_day}' AS {SOURCE_MONTH}, * FROM {engine.parquet(file.path)}"
        for month, file in files.items()
    )
    return load_relation(engine.connect(spill_to).sql(months), context)
