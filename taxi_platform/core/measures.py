"""Figures by which two copies of a month are compared without comparing their rows."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from taxi_platform.core import engine
from taxi_platform.core.catalog.model import Column, ColumnType
from taxi_platform.core.parquet import ParquetFile

#: Doubles are added up as whole numbers of this part of one, which no order of the rows can change: 2 to the -40th.
PARTS = 1 << 40
#: Doubles that are larger, 2 to the 60th, are counted only: a sum of more than these fits no store's whole numbers.
LARGEST = 1 << 60


@dataclass(frozen=True)
class Measures:
    """What a store says of the rows it holds.

    Attributes:
        rows: How many.
        columns: Per column, how many values are not null and their sum, exact: of numbers; of the first 60 bits of the
            MD5 of texts; of the microseconds since 1970 of times.
    """

    rows: int
    columns: Mapping[str, tuple[int, int | Fraction]]

    def differences(self, other: Measures) -> Iterator[str]:
        """One sentence per figure in which `other` differs; columns only one of the two has are passed over."""
        if self.rows != other.rows:
            yield f"{self.rows:,} rows against {other.rows:,}"
        for name in self.columns.keys() & other.columns.keys():
            (filled, total), (other_filled, other_total) = self.columns[name], other.columns[name]
            if filled != other_filled:
                yield f"{name}: {filled:,} values that are not null against {other_filled:,}"
            if total != other_total:
                yield f"{name}: sum {_shown(total)} against {_shown(other_total)}"


def measured(columns: Iterable[Column], only: Container[str] | None) -> tuple[Column, ...]:
    """Those of the columns that are asked for; all if nothing is said."""
    return tuple(column for column in columns if only is None or column.name in only)


def duckdb_total(column: Column) -> str:
    """The sum of a column, in DuckDB's SQL; other stores have other words for the same figure."""
    match column.type:
        case ColumnType.FLOAT64:
            scaled = f"TRY_CAST(trunc({column.name} * {PARTS}) AS HUGEINT)"  # NaN may be evaluated, too
            return f"sum(CASE WHEN abs({column.name}) < {LARGEST} THEN {scaled} END)"
        case ColumnType.STRING:
            return total_of_texts(column, "('0x' || substr(md5(value), 1, 15))::BIGINT", "HUGEINT")
        case ColumnType.TIMESTAMP | ColumnType.DATE:
            return f"sum(epoch_us({column.name}::TIMESTAMP))"
        case _:
            return f"sum({column.name})"


def total_of_texts(column: Column, digest: str, wide: str) -> str:
    """The sum of the digests of a column of texts: each text is digested once, and most columns of them have few.

    Args:
        column: The column.
        digest: SQL for the whole number that a text, `value`, counts as.
        wide: A type in which the store multiplies and adds up such numbers.
    """
    texts = f"SELECT {column.name} AS value, count(*) AS times FROM trips GROUP BY {column.name}"
    return f"(SELECT sum(CAST(times AS {wide}) * {digest}) FROM ({texts}) AS texts)"


def select_measures(columns: Iterable[Column], total: Callable[[Column], str] = duckdb_total) -> str:
    """The select list of what `read_measures` reads, of a relation named `trips`."""
    return ", ".join(["count(*)", *(f"count({it.name}), coalesce({total(it)}, 0)" for it in columns)])


def measures_query(columns: Iterable[Column], rows: str) -> str:
    """DuckDB's query for the measures of the rows that another query gives."""
    return f"WITH trips AS NOT MATERIALIZED ({rows}) SELECT {select_measures(columns)} FROM trips"


def read_measures(columns: Iterable[Column], row: tuple[int | Decimal, ...]) -> Measures:
    """The one row that a query with `select_measures` gave."""
    rows, *figures = row
    pairs = zip(columns, figures[::2], figures[1::2], strict=True)
    return Measures(
        rows=int(rows),
        columns={
            it.name: (int(filled), Fraction(int(total), PARTS) if it.type is ColumnType.FLOAT64 else int(total))
            for it, filled, total in pairs
        },
    )


def measure_file(file: ParquetFile, columns: tuple[Column, ...], spill_to: Path) -> Measures:
    """Measure a Parquet file, by those of the columns it has: an older contract may have named fewer."""
    columns = tuple(it for it in columns if it.name in file.schema.names)
    with engine.connect(spill_to) as con:
        (row, *_) = con.execute(measures_query(columns, f"FROM {engine.parquet(file.path)}")).fetchall()
    return read_measures(columns, row)


def _shown(total: int | Fraction) -> str:
    return repr(float(total) if isinstance(total, Fraction) else total)
