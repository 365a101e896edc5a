"""Two editions of a month, row by row: what only one of them has, and what is another in one trip of both.

Rows are compared whole, as often as they occur, in the contract's columns and with those that rules turn away. What is
left on both sides is paired by the columns that identify a trip, as far as any do: TLC publishes no number of a trip.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from taxi_platform.core import engine
from taxi_platform.core.catalog.model import TripContract
from taxi_platform.core.cleaning import clean
from taxi_platform.core.engine import identifier
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import ParquetFile
from taxi_platform.core.source.files import RawFile

#: When, and from where to where.
_WAY = ("pickup_datetime", "dropoff_datetime", "pickup_location_id", "dropoff_location_id")
#: Whose trip it was, of a dataset those columns it has. The CSVs of 2020 lack the vendor of a third of green's rows, so
#: trips that find none of the same are paired by the way alone.
_WHOSE = ("vendor_id", "hvfhs_license_num", "dispatching_base_num", "affiliated_base_number")
#: Rows shown of each kind.
SAMPLES = 40
#: Days told of, the most different first.
_MOST_DAYS = 40

#: What is left of the two editions: both rows of a trip as `f` and `s`, or one row and nothing.
_PAIRS = """
    CREATE VIEW compared.pairs AS
    SELECT first AS f, second AS s
    FROM compared.found JOIN compared.first ON first.rowid = found.f JOIN compared.second ON second.rowid = found.s
    UNION ALL
    SELECT first, NULL FROM compared.first ANTI JOIN compared.found ON first.rowid = found.f
    UNION ALL
    SELECT NULL, second FROM compared.second ANTI JOIN compared.found ON second.rowid = found.s
"""

Row = dict[str, str]


@dataclass(frozen=True)
class Difference:
    """What is another in the second of two editions.

    Attributes:
        rows: Rows of the first and of the second.
        same: Rows that both have, equal in every column.
        only_first: Rows that only the first has.
        only_second: Rows that only the second has.
        changed: Trips that both have, with another value in some column.
        columns: Column -> in how many of the changed trips it is another.
        days: Day of the pickup, rows only in the first, only in the second, and changed, where there are any.
        by: The columns trips were paired by; where that left some, by the times and places among them.
        samples: Kind (`only_first`, `only_second`, `changed`) -> some rows of it; of a changed trip what identifies it,
            and `column` -> `first -> second`.
    """

    rows: tuple[int, int]
    same: int
    only_first: int
    only_second: int
    changed: int
    columns: dict[str, int] = field(default_factory=dict[str, int])
    days: list[tuple[str, int, int, int]] = field(default_factory=list[tuple[str, int, int, int]])
    by: tuple[str, ...] = ()
    samples: dict[str, list[Row]] = field(default_factory=dict[str, list[Row]])

    @property
    def says(self) -> str:
        """The difference in one line."""
        if not (self.only_first or self.only_second or self.changed):
            return f"the same {self.same:,} rows in both"
        columns = ", ".join(f"{name} {count:,}" for name, count in list(self.columns.items())[:5])
        return (
            f"{self.same:,} rows are the same, {self.only_first:,} are no more, {self.only_second:,} are new, "
            f"{self.changed:,} changed{f' ({columns})' if columns else ''}"
        )


def compare_editions(contract: TripContract, month: Month, first: RawFile, second: RawFile, work: Path) -> Difference:
    """Compare two raw files of a month, as they are in the contract's columns.

    Args:
        contract: The dataset's contract.
        month: The month.
        first: One edition.
        second: The other.
        work: An empty folder.

    Raises:
        TaxiPlatformError: One of them is no file of the dataset.
    """
    sides: list[tuple[ParquetFile, ParquetFile]] = []
    for name, raw in (("first", first), ("second", second)):
        folder = work / name
        folder.mkdir()
        result = clean(contract, month, raw, contract.actions(), folder)
        sides.append((result.cleaned, result.quarantine))
    return compare_rows(contract, sides[0], sides[1], work)


def compare_rows(
    contract: TripContract, first: Sequence[ParquetFile], second: Sequence[ParquetFile], work: Path
) -> Difference:
    """Compare the rows of two months' files.

    Args:
        contract: The dataset's contract.
        first: What was kept and what was turned away of the one.
        second: The same of the other.
        work: Folder for what does not fit into memory.
    """
    names = [column.name for column in contract.stored_columns]
    way = tuple(it for it in _WAY if it in names)
    by = (*(it for it in _WHOSE if it in names), *way)
    with engine.connect(work / "spill") as con:
        con.execute(f"ATTACH {engine.literal(str(work / 'compared.duckdb'))} AS compared")
        _leave_what_differs(con, names, first, second)
        con.execute("CREATE TABLE compared.found (f BIGINT, s BIGINT)")
        for columns in (by, way):
            _pair(con, names, columns)
        con.execute(_PAIRS)
        rows = (sum(it.rows for it in first), sum(it.rows for it in second))
        ((only_first, only_second, changed),) = con.execute(
            """
            SELECT count(*) FILTER (f IS NOT NULL AND s IS NULL),
                   count(*) FILTER (f IS NULL AND s IS NOT NULL),
                   count(*) FILTER (f IS NOT NULL AND s IS NOT NULL)
            FROM compared.pairs
            """
        ).fetchall()
        return Difference(
            rows=rows,
            same=rows[0] - only_first - changed,
            only_first=only_first,
            only_second=only_second,
            changed=changed,
            columns=_columns(con, names),
            days=_days(con),
            by=by,
            samples=_samples(con, names, way),
        )


def _leave_what_differs(
    con: duckdb.DuckDBPyConnection, names: Sequence[str], first: Sequence[ParquetFile], second: Sequence[ParquetFile]
) -> None:
    """Two tables of rows, `first` and `second`, without those that both have."""
    columns = ", ".join(map(identifier, names))

    def rows(files: Sequence[ParquetFile]) -> str:
        return " UNION ALL ".join(f"SELECT {columns} FROM {engine.parquet(it.path)}" for it in files)

    con.execute(f"CREATE TABLE compared.first AS ({rows(first)}) EXCEPT ALL ({rows(second)})")
    con.execute(f"CREATE TABLE compared.second AS ({rows(second)}) EXCEPT ALL ({rows(first)})")


def _pair(con: duckdb.DuckDBPyConnection, names: Sequence[str], by: Sequence[str]) -> None:
    """Find the two rows of a trip, among those that have found none.

    Of several alike in what identifies them, those stand together that come first in the order of all other columns.
    """
    keys = ", ".join(map(identifier, by))
    order = ", ".join(identifier(it) for it in names if it not in by) or "1"

    def numbered(table: str, side: str) -> str:
        return (
            f"SELECT rowid AS id, {keys}, row_number() OVER (PARTITION BY {keys} ORDER BY {order}) AS nth "
            f"FROM compared.{table} ANTI JOIN compared.found ON {table}.rowid = found.{side}"
        )

    same = " AND ".join(f"f.{identifier(it)} IS NOT DISTINCT FROM s.{identifier(it)}" for it in by)
    con.execute(
        f"""
        INSERT INTO compared.found
        SELECT f.id, s.id
        FROM ({numbered("first", "f")}) AS f JOIN ({numbered("second", "s")}) AS s ON f.nth = s.nth AND {same}
        """
    )


def _columns(con: duckdb.DuckDBPyConnection, names: Sequence[str]) -> dict[str, int]:
    counts = ", ".join(f"count(*) FILTER (f.{identifier(it)} IS DISTINCT FROM s.{identifier(it)})" for it in names)
    (row,) = con.execute(f"SELECT {counts} FROM compared.pairs WHERE f IS NOT NULL AND s IS NOT NULL").fetchall()
    found = {name: count for name, count in zip(names, row, strict=True) if count}
    return dict(sorted(found.items(), key=lambda it: -it[1]))


def _days(con: duckdb.DuckDBPyConnection) -> list[tuple[str, int, int, int]]:
    found = con.execute(
        f"""
        SELECT coalesce(coalesce(f.pickup_datetime, s.pickup_datetime)::DATE::VARCHAR, 'no day') AS day,
               count(*) FILTER (s IS NULL), count(*) FILTER (f IS NULL),
               count(*) FILTER (f IS NOT NULL AND s IS NOT NULL)
        FROM compared.pairs GROUP BY day ORDER BY count(*) DESC, day LIMIT {_MOST_DAYS}
        """
    ).fetchall()
    return sorted((str(day), int(a), int(b), int(c)) for day, a, b, c in found)


def _samples(con: duckdb.DuckDBPyConnection, names: Sequence[str], by: Sequence[str]) -> dict[str, list[Row]]:
    order = "ORDER BY coalesce(f.pickup_datetime, s.pickup_datetime), f, s"
    found: dict[str, list[Row]] = {}
    for kind, side, where in (("only_first", "f", "s IS NULL"), ("only_second", "s", "f IS NULL")):
        values = ", ".join(f"{side}.{identifier(it)}::VARCHAR" for it in names)
        rows = con.execute(f"SELECT {values} FROM compared.pairs WHERE {where} {order} LIMIT {SAMPLES}").fetchall()
        found[kind] = [_row(names, row) for row in rows]
    keys = ", ".join(f"f.{identifier(it)}::VARCHAR" for it in by)
    others = [it for it in names if it not in by]
    changes = ", ".join(
        f"CASE WHEN f.{identifier(it)} IS DISTINCT FROM s.{identifier(it)} THEN "
        f"coalesce(f.{identifier(it)}::VARCHAR, 'nothing') || ' -> ' || "
        f"coalesce(s.{identifier(it)}::VARCHAR, 'nothing') END"
        for it in others
    )
    rows = con.execute(
        f"SELECT {', '.join(filter(None, (keys, changes)))} FROM compared.pairs "
        f"WHERE f IS NOT NULL AND s IS NOT NULL {order} LIMIT {SAMPLES}"
    ).fetchall()
    found["changed"] = [_row([*by, *others], row) for row in rows]
    return found


def _row(names: Sequence[str], values: Sequence[Any]) -> Row:
    """What a row has, by column; what it has not is left out."""
    return {name: str(value) for name, value in zip(names, values, strict=True) if value is not None}
