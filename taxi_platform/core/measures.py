"""Figures by which two copies of a month are compared without comparing their rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from taxi_platform.core import engine
from taxi_platform.core.catalog.model import Column, ColumnType
from taxi_platform.core.parquet import ParquetFile

#: Stores add doubles in different orders; the sums may differ in the last digits.
_RELATIVE_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Measures:
    """What a store says of the rows it holds.

    Attributes:
        rows: How many.
        columns: Per column, how many values are not null and their sum (of numbers; of the characters of texts; of the
            microseconds since 1970 of times).
    """

    rows: int
    columns: Mapping[str, tuple[int, float | int]]

    def differences(self, other: Measures) -> Iterator[str]:
        """One sentence per figure in which `other` differs; columns only one of the two has are passed over."""
        if self.rows != other.rows:
            yield f"{self.rows:,} rows against {other.rows:,}"
        for name in self.columns.keys() & other.columns.keys():
            (filled, total), (other_filled, other_total) = self.columns[name], other.columns[name]
            if filled != other_filled:
                yield f"{name}: {filled:,} values that are not null against {other_filled:,}"
            if not _agree(total, other_total):
                yield f"{name}: sum {total!r} against {other_total!r}"


def duckdb_addend(column: Column) -> str:
    """What is summed up of a column, in DuckDB's SQL; other stores have other words for the same figure."""
    match column.type:
        case ColumnType.STRING:
            return f"length({column.name})"
        case ColumnType.TIMESTAMP | ColumnType.DATE:
            return f"epoch_us({column.name}::TIMESTAMP)"
        case _:
            return column.name


def select_measures(columns: Iterable[Column], addend: Callable[[Column], str] = duckdb_addend) -> str:
    """The select list of what `read_measures` reads."""
    return ", ".join(
        ["count(*)", *(f"count({it.name}), coalesce(sum({addend(it)}), 0)" for it in columns)],
    )


def read_measures(columns: Iterable[Column], row: tuple[int | float | Decimal, ...]) -> Measures:
    """The one row that a query with `select_measures` gave."""
    rows, *figures = row
    pairs = zip(columns, figures[::2], figures[1::2], strict=True)
    return Measures(
        rows=int(rows),
        columns={
            it.name: (int(filled), total if isinstance(total, float) else int(total)) for it, filled, total in pairs
        },
    )


def measure_file(file: ParquetFile, columns: tuple[Column, ...], spill_to: Path) -> Measures:
    """Measure a Parquet file, by those of the columns it has: an older contract may have named fewer."""
    columns = tuple(it for it in columns if it.name in file.schema.names)
    with engine.connect(spill_to) as con:
        query = f"SELECT {select_measures(columns)} FROM {engine.parquet(file.path)}"
        (row, *_) = con.execute(query).fetchall()
    return read_measures(columns, row)


def _agree(total: float, other_total: float) -> bool:
    if isinstance(total, int) and isinstance(other_total, int):
        return total == other_total  # a tolerance on the microseconds of a month would be weeks
    return math.isclose(total, other_total, rel_tol=_RELATIVE_TOLERANCE, abs_tol=1e-6)
