"""The stage: the rows of one raw file, converted and judged, in DuckDB tables that live as long as a cleaning.

`stage.trips` has the rows in the order of the file: the columns the file has anything for; `broken`, the rules a row
breaks; `unreadable_bits`, the columns whose value did not convert; and `original`, the row as published, of those that
will be turned away. `stage.malformed` has the lines that are no rows, and `stage.steps` by how many of those the
numbers of later rows are shifted.
"""

from __future__ import annotations

import duckdb

from taxi_platform.core.catalog.model import EXTRA_COLUMNS, SOURCE_MONTH, RuleAction, TripContract
from taxi_platform.core.cleaning.conversion import NO_EXTRA, conversions, extra_columns
from taxi_platform.core.cleaning.fields import RawTable, is_wide
from taxi_platform.core.cleaning.judge import UNREADABLE, Judge
from taxi_platform.core.cleaning.placing import Placing
from taxi_platform.core.cleaning.reading import is_every_row
from taxi_platform.core.engine import identifier
from taxi_platform.core.month import Month
from taxi_platform.core.source.files import RawFile

#: So many columns make the digest by which duplicates are suspected; TLC's first ones tell most rows apart.
_DIGESTED = 6

_MALFORMED = "SELECT row_number, line FROM stage.malformed"
_NO_LINES = "SELECT NULL::BIGINT AS row_number, NULL::VARCHAR AS line WHERE false"


def fill_stage(
    con: duckdb.DuckDBPyConnection,
    contract: TripContract,
    month: Month,
    raw: RawFile,
    table: RawTable,
    judge: Judge,
    placing: Placing,
) -> bool:
    """Scan the raw file into the stage.

    Returns:
        Whether every row arrived, and is known by its number.

    Raises:
        duckdb.Error: The reader stops at the file's bytes (`reading.REFUSED`), or something is wrong with the platform.
    """
    _set_up(con, table)
    con.execute(_stage_sql(contract, month, table, judge, placing))
    con.execute(f"CREATE OR REPLACE TABLE stage.malformed AS {table.malformed or _NO_LINES}")
    ((rows,),) = con.execute("SELECT count(*) FROM stage.trips").fetchall()
    if not is_every_row(raw, rows, con, _MALFORMED if table.malformed else None):
        return False
    ((malformed, last),) = con.execute("SELECT count(*), max(row_number) FROM stage.malformed").fetchall()
    if raw.cut_line is not None and (not malformed or last != raw.rows):
        con.execute("DELETE FROM stage.trips WHERE rowid = (SELECT max(rowid) FROM stage.trips)")
        con.execute("INSERT INTO stage.malformed VALUES (?, ?)", [raw.rows, raw.cut_line])
    con.execute("""
        CREATE OR REPLACE TABLE stage.steps AS
        SELECT row_number - n + 1 AS from_rank, max(n) AS shift
        FROM (SELECT row_number, row_number() OVER (ORDER BY row_number) AS n FROM stage.malformed)
        GROUP BY from_rank
    """)
    return True


def numbered(condition: str) -> str:
    """A query for the staged rows of which a condition is true, with `row_number`: their number in the file, 1-based.

    The scan numbers only the rows it yields; each malformed line before a row shifts its number by one.
    """
    return f"""
        SELECT (rank + coalesce(shift, 0))::BIGINT AS row_number, chosen.*
        FROM (SELECT rowid + 1 AS rank, * FROM stage.trips WHERE {condition}) AS chosen
        ASOF LEFT JOIN stage.steps ON rank >= from_rank
    """


def mark_duplicates(con: duckdb.DuckDBPyConnection, staged: list[str], judge: Judge) -> None:
    """Mark every row that an earlier one is equal to. Only rows whose digest is not alone are compared in full."""
    con.execute(f"""
        WITH hashed AS (
            SELECT rowid AS id, hash({", ".join(staged[:_DIGESTED])}) AS digest FROM stage.trips
        ), suspects AS (
            SELECT id FROM hashed WHERE digest IN (SELECT digest FROM hashed GROUP BY digest HAVING count(*) > 1)
        ), copies AS (
            SELECT rowid AS id, row_number() OVER (PARTITION BY {", ".join(staged)} ORDER BY rowid) AS copy
            FROM stage.trips
            WHERE rowid IN (SELECT id FROM suspects)
        )
        UPDATE stage.trips SET broken = broken | {judge.bits[judge.duplicate_rule]}
        WHERE rowid IN (SELECT id FROM copies WHERE copy > 1)
    """)


def staged_columns(contract: TripContract, table: RawTable, judge: Judge, placing: Placing) -> list[str]:
    """The stored columns that the file has anything for."""
    placed = placing.values(table)
    names = [it.column.name for it in conversions(contract, table.fields) if it.fields or it.column.name in placed]
    has_extra = extra_columns(contract, table.fields, with_broken=judge.keeps_unreadable) != NO_EXTRA
    return [*names, EXTRA_COLUMNS] if has_extra else names


def unreadable_bits(contract: TripContract) -> dict[str, int]:
    """The bit that says of a row that its value of a column did not convert."""
    return {column.name: 1 << place for place, column in enumerate(contract.columns)}


def _set_up(con: duckdb.DuckDBPyConnection, table: RawTable) -> None:
    # DuckDB would declare a column REQUIRED in months in which it happens to be full: another schema every month.
    # And where a file's own statistics say that all its times are in range, it would not look.
    switched_off = ["statistics_propagation"]
    if is_wide(len(table.fields)):
        switched_off.append("common_subexpressions")  # its time is quadratic in their number
        con.execute("SET threads = 1")  # each has buffers of its own for every expression
    con.execute(f"SET disabled_optimizers = '{','.join(switched_off)}'")


def _stage_sql(contract: TripContract, month: Month, table: RawTable, judge: Judge, placing: Placing) -> str:
    """The one scan: every field converted, every row judged, the original kept of those that will be turned away.

    Columns the file does not have are known to the rules, as null, and are not stored.
    """
    converted = conversions(contract, table.fields)
    casts = {alias: cast for it in converted for alias, cast in it.casts.items()}
    parts = {alias: part for it in converted for alias, part in it.parts.items()}
    values = ",\n".join(f"{it.value} AS {it.column.name}" for it in converted)
    extra = extra_columns(contract, table.fields, with_broken=judge.keeps_unreadable)
    placed = _named(placing.values(table))
    bits = unreadable_bits(contract)
    broken = [f"if({it.is_broken}, {bits[it.column.name]}, 0)" for it in converted]
    # Which row is a later duplicate is not known yet; if such rows are to be turned away, every row keeps its original.
    every_original = judge.actions.get(judge.duplicate_rule) is RuleAction.REJECT
    # A row without a readable pickup may be a second header, whatever becomes of it.
    nameless = sum(bit for name, bit in bits.items() if contract.column(name).required)
    turned_away = "true" if every_original else f"broken & {judge.rejecting} > 0 OR unreadable_bits & {nameless} > 0"
    return f"""
        CREATE OR REPLACE TABLE stage.trips AS
        WITH casts AS (
            SELECT {_named({field.column: field.column for field in table.fields} | casts)}
            FROM {table.scan}
        ), parts AS (
            SELECT *, {_named(parts)} FROM casts
        ), converted AS (
            SELECT
                {values},
                {extra} AS {EXTRA_COLUMNS},
                ({" | ".join(broken)})::BIGINT AS unreadable_bits,
                DATE '{month.first_day}' AS {SOURCE_MONTH},
                {", ".join(field.column for field in table.fields)}
            FROM parts
        ), placed AS (
            SELECT *{f" REPLACE ({placed})" if placed else ""} FROM converted
        ), judged AS (
            SELECT *, unreadable_bits > 0 AS {UNREADABLE}, ({judge.broken})::INTEGER AS broken FROM placed
        )
        SELECT
            {", ".join(staged_columns(contract, table, judge, placing))},
            broken,
            unreadable_bits,
            if({turned_away}, {_original(table)}, NULL) AS original
        FROM judged
    """


def _named(expressions: dict[str, str]) -> str:
    """A select list."""
    return ",\n".join(f"{expression} AS {name}" for name, expression in expressions.items())


def _original(table: RawTable) -> str:
    """SQL for the row as it was published: a JSON object of name to value, every value as text."""
    entries = ", ".join(f"{identifier(field.label)}: {field.column}::VARCHAR" for field in table.fields)
    return f"to_json({{{entries}}})::VARCHAR"
