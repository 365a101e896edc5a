"""Cleaning a month: one scan of the raw file, then every row goes to exactly one of two Parquet files.

    raw file --(convert, judge)--> stage --+--> cleaned.parquet      rows no rejecting rule fires on
                                           +--> quarantine.parquet   the others, and the lines that are no rows

The stage is a DuckDB table that lives as long as the cleaning: it gives rows their numbers and lets them be counted and
written without reading the raw file twice.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import duckdb

from taxi_platform.core import engine
from taxi_platform.core.catalog.model import EXTRA_COLUMNS, SOURCE_MONTH, Rule, RuleAction, TripContract
from taxi_platform.core.cleaning.conversion import conversions, extra_columns, unknown_fields
from taxi_platform.core.cleaning.reading import RawTable, are_lines_of, line_table, raw_table
from taxi_platform.core.engine import identifier, literal
from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import Lineage, ParquetFile, copy_options
from taxi_platform.core.source.files import RawFile

#: Months up to this many rows are staged in memory, larger ones on disk: a little slower, and memory stays flat.
STAGE_IN_MEMORY_ROWS = 2_000_000

_UNREADABLE = "unreadable"
_DUPLICATE = "duplicate"


@dataclass(frozen=True)
class RuleCount:
    """How often one rule fired in a month."""

    rule: Rule
    action: RuleAction
    rejected: int
    kept: int


@dataclass(frozen=True)
class CleanedMonth:
    """The outcome of cleaning a month.

    Attributes:
        cleaned: The rows that were kept.
        quarantine: The rows that were turned away.
        counts: How often each rule fired, in the contract's order. Rows that break several count in each.
        sources: Canonical column -> the published columns it was read from.
        seconds: How long it took.
    """

    cleaned: ParquetFile
    quarantine: ParquetFile
    counts: tuple[RuleCount, ...]
    sources: dict[str, tuple[str, ...]]
    seconds: float

    @property
    def summary(self) -> str:
        """The outcome in one line."""
        # Malformed lines are turned away whatever the action of the rule: there is no row to keep.
        rejecting = [
            it
            for it in self.counts
            if it.rejected and (it.action is RuleAction.REJECT or it.rule.condition == _UNREADABLE)
        ]
        reasons = ", ".join(f"{it.rule.name} {it.rejected:,}" for it in rejecting) or "nothing"
        return f"{self.cleaned.rows:,} rows cleaned, {self.quarantine.rows:,} quarantined ({reasons})"


def clean(
    contract: TripContract, month: Month, raw: RawFile, actions: dict[str, RuleAction], work: Path
) -> CleanedMonth:
    """Clean a month into two Parquet files.

    Args:
        contract: The dataset's contract.
        month: The month of the file, whatever its rows say.
        raw: The file.
        actions: Each rule's action, as `TripContract.actions` gives it.
        work: An empty folder of this call's own; the two files are made in it.

    Raises:
        TaxiPlatformError: The file does not have a column that the contract requires.
    """
    started = time.monotonic()
    with engine.connect(work / "spill") as con:
        table = raw_table(raw, con)
        _require_columns(contract, month, raw, table)
        judge = _Judge(contract, actions)
        stage = ":memory:" if raw.rows <= STAGE_IN_MEMORY_ROWS else str(work / "stage.duckdb")
        con.execute(f"ATTACH {literal(stage)} AS stage")
        readers = (lambda: table, lambda: line_table(raw, work))
        if not any(_fill_stage(con, contract, month, raw, read(), judge) for read in readers):
            raise TaxiPlatformError(
                f"not all of the file's {raw.rows:,} rows could be read",
                about=f"{contract.dataset} {month}",
                where=str(raw.path),
                fix="fetch the month anew by deleting its folder; if it stays so, this is a bug of the platform",
            )
        if actions.get(judge.duplicate_rule, RuleAction.OFF) is not RuleAction.OFF:
            con.execute(_mark_duplicates_sql(contract, judge))
        counts, rows_cleaned, rows_rejected, rows_malformed = _count(con, judge)
        unknown = _unknown_columns(con, contract, table)
        lineage = Lineage(
            dataset=contract.dataset,
            month=str(month),
            source_url=raw.publication.url,
            source_sha256=raw.sha256,
            edition=raw.edition,
            contract_version=contract.version,
            rules=actions,
            rows_in=raw.rows,
            rows_cleaned=rows_cleaned,
            rows_quarantined=rows_rejected + rows_malformed,
            unknown_columns=unknown,
            source_etag=raw.publication.etag or "",
        )
        # DuckDB would declare a column REQUIRED in months in which it happens to be full: another schema every month.
        con.execute("SET disabled_optimizers = 'statistics_propagation'")
        names = ", ".join(column.name for column in contract.stored_columns)
        cleaned, quarantine = work / "cleaned.parquet", work / "quarantine.parquet"
        con.execute(
            f"COPY (SELECT {names} FROM stage.trips WHERE broken & {judge.rejecting} = 0) "
            f"TO {literal(str(cleaned))} {copy_options(lineage)}"
        )
        turned_away = _quarantine_sql(contract, raw, names, judge)
        con.execute(f"COPY ({turned_away}) TO {literal(str(quarantine))} {copy_options(lineage)}")
    return CleanedMonth(
        cleaned=ParquetFile(cleaned),
        quarantine=ParquetFile(quarantine),
        counts=counts,
        sources={
            it.column.name: tuple(field.label for field in it.fields) for it in conversions(contract, table.fields)
        },
        seconds=time.monotonic() - started,
    )


class _Judge:
    """The contract's rules as bits: each row carries one integer that says which of them it breaks."""

    def __init__(self, contract: TripContract, actions: dict[str, RuleAction]) -> None:
        self.rules = contract.rules
        self.actions = actions
        self.bits = {rule.name: 1 << position for position, rule in enumerate(self.rules)}
        self.duplicate_rule = next((rule.name for rule in self.rules if rule.condition == _DUPLICATE), "")
        self.unreadable_rule = next((rule.name for rule in self.rules if rule.condition == _UNREADABLE), _UNREADABLE)
        self.rejecting = sum(bit for name, bit in self.bits.items() if actions[name] is RuleAction.REJECT)

    @property
    def keeps_unreadable(self) -> bool:
        """Whether rows with a value that does not convert are kept."""
        return self.actions.get(self.unreadable_rule) is not RuleAction.REJECT

    @property
    def broken(self) -> str:
        """SQL for a row's bits. Duplicates are found later: one row does not tell."""
        fired = [
            f"if({rule.condition}, {self.bits[rule.name]}, 0)"
            for rule in self.rules
            if self.actions[rule.name] is not RuleAction.OFF and rule.condition != _DUPLICATE
        ]
        return " | ".join(fired) or "0"

    @property
    def names(self) -> str:
        """SQL for the list of the names of the rules a row breaks."""
        named = ", ".join(f"if(broken & {bit} > 0, {literal(name)}, NULL)" for name, bit in self.bits.items())
        return f"list_filter([{named}], lambda name: name IS NOT NULL)"


_NO_LINES = "SELECT NULL::BIGINT AS row_number, NULL::VARCHAR AS line WHERE false"


def _fill_stage(
    con: duckdb.DuckDBPyConnection, contract: TripContract, month: Month, raw: RawFile, table: RawTable, judge: _Judge
) -> bool:
    """Scan the raw file into the stage.

    Returns:
        Whether every row arrived, and is known by its number.
    """
    try:
        con.execute(_stage_sql(contract, month, table, judge))
    except (duckdb.InvalidInputException, duckdb.OutOfMemoryException):
        return False  # bytes that DuckDB's CSV parser stops at, or looks past for the end of a line until memory ends
    con.execute(f"CREATE OR REPLACE TABLE stage.malformed AS {table.malformed or _NO_LINES}")
    ((rows,),) = con.execute("SELECT count(*) FROM stage.trips").fetchall()
    ((malformed, last),) = con.execute("SELECT count(*), max(row_number) FROM stage.malformed").fetchall()
    if rows + malformed != raw.rows:
        return False
    # DuckDB numbers blank lines too, and some line ends twice.
    numbered = con.execute("SELECT row_number, line FROM stage.malformed ORDER BY row_number")
    if malformed and not are_lines_of(raw, iter(numbered.fetchone, None)):
        return False
    if raw.cut_line is not None and (not malformed or last != raw.rows):
        con.execute("DELETE FROM stage.trips WHERE rowid = (SELECT max(rowid) FROM stage.trips)")
        con.execute("INSERT INTO stage.malformed VALUES (?, ?)", [raw.rows, raw.cut_line])
    return True


def _stage_sql(contract: TripContract, month: Month, table: RawTable, judge: _Judge) -> str:
    """The one scan: every field converted, every row judged, the original kept of those that will be turned away."""
    converted = conversions(contract, table.fields)
    values = ",\n".join(f"{it.value} AS {it.column.name}" for it in converted)
    unreadable = " OR ".join(it.is_broken for it in converted)
    broken_names = ", ".join(f"if({it.is_broken}, {literal(it.column.name)}, NULL)" for it in converted)
    fields = ", ".join(field.column for field in table.fields)
    names = ", ".join(column.name for column in contract.columns)
    # Which row is a later duplicate is not known yet; if such rows are to be turned away, every row keeps its original.
    every_original = judge.actions.get(judge.duplicate_rule) is RuleAction.REJECT
    turned_away = "true" if every_original else f"broken & {judge.rejecting} > 0"
    return f"""
        CREATE OR REPLACE TABLE stage.trips AS
        WITH converted AS (
            SELECT
                {values},
                {extra_columns(contract, table.fields, with_broken=judge.keeps_unreadable)} AS {EXTRA_COLUMNS},
                {unreadable} AS {_UNREADABLE},
                DATE '{month.first_day}' AS {SOURCE_MONTH},
                {fields}
            FROM {table.scan}
        ), judged AS (
            SELECT *, ({judge.broken})::INTEGER AS broken FROM converted
        )
        SELECT
            {names},
            {EXTRA_COLUMNS},
            broken,
            if({_UNREADABLE} AND {turned_away}, list_filter([{broken_names}], lambda name: name IS NOT NULL), NULL)
                AS unreadable_columns,
            if({turned_away}, {_original(table)}, NULL) AS original
        FROM judged
    """


def _original(table: RawTable) -> str:
    """SQL for the row as it was published: a JSON object of name to value, every value as text."""
    entries = ", ".join(f"{identifier(field.label)}: {field.column}::VARCHAR" for field in table.fields)
    return f"to_json({{{entries}}})::VARCHAR"


def _mark_duplicates_sql(contract: TripContract, judge: _Judge) -> str:
    """Mark every row that an earlier one is equal to. Only rows whose hash is not alone are compared in full."""
    names = ", ".join(column.name for column in contract.stored_columns)
    return f"""
        WITH hashed AS (
            SELECT rowid AS id, hash({names}) AS digest FROM stage.trips
        ), suspects AS (
            SELECT id FROM hashed WHERE digest IN (SELECT digest FROM hashed GROUP BY digest HAVING count(*) > 1)
        ), copies AS (
            SELECT rowid AS id, row_number() OVER (PARTITION BY {names} ORDER BY rowid) AS copy
            FROM stage.trips
            WHERE rowid IN (SELECT id FROM suspects)
        )
        UPDATE stage.trips SET broken = broken | {judge.bits[judge.duplicate_rule]}
        WHERE rowid IN (SELECT id FROM copies WHERE copy > 1)
    """


def _count(con: duckdb.DuckDBPyConnection, judge: _Judge) -> tuple[tuple[RuleCount, ...], int, int, int]:
    """How often each rule fired among rejected and kept rows; rows cleaned, rows rejected, malformed lines."""
    is_rejected = f"broken & {judge.rejecting} > 0"
    columns = ", ".join(
        f"count(*) FILTER (broken & {bit} > 0 AND {which})"
        for bit in judge.bits.values()
        for which in (is_rejected, f"NOT {is_rejected}")
    )
    query = f"SELECT count(*) FILTER (NOT {is_rejected}), count(*) FILTER ({is_rejected}), {columns} FROM stage.trips"
    (kept, rejected, *fired), *_ = con.execute(query).fetchall()
    ((malformed,), *_) = con.execute("SELECT count(*) FROM stage.malformed").fetchall()
    counts = [
        # A malformed line is no row, so no rule was asked about it: it counts as unreadable.
        RuleCount(
            rule,
            judge.actions[rule.name],
            fired[2 * position] + (malformed if rule.name == judge.unreadable_rule else 0),
            fired[2 * position + 1],
        )
        for position, rule in enumerate(judge.rules)
    ]
    return tuple(counts), kept, rejected, malformed


def _unknown_columns(con: duckdb.DuckDBPyConnection, contract: TripContract, table: RawTable) -> dict[str, str]:
    """The columns whose values went to `extra_columns`, and their types.

    A field without a name counts only if it holds anything: the fields some eras have beyond their headers never do.
    """
    types = {field.label: field.type for field in table.fields}
    filled = con.execute(
        f"SELECT DISTINCT unnest(json_keys({EXTRA_COLUMNS})) FROM stage.trips WHERE {EXTRA_COLUMNS} IS NOT NULL"
    ).fetchall()
    named = [field.label for field in unknown_fields(contract, table.fields) if field.name.strip()]
    return {label: types[label] for label in dict.fromkeys([*named, *sorted(label for (label,) in filled)])}


def _quarantine_sql(contract: TripContract, raw: RawFile, names: str, judge: _Judge) -> str:
    """The rows turned away, each with its reasons and the row as published, in the order of the file.

    The scan numbers only the rows it yields; each malformed line before a row shifts its number by one.
    """
    nothing = ", ".join(f"NULL::{column.type.duckdb} AS {column.name}" for column in contract.stored_columns)
    origin = f"{literal(raw.path.name)} AS source_file, {literal(contract.version)} AS contract_version"
    return f"""
        WITH shifts AS (
            SELECT row_number - n + 1 AS from_rank, n
            FROM (SELECT row_number, row_number() OVER (ORDER BY row_number) AS n FROM stage.malformed)
        ), steps AS (
            SELECT from_rank, max(n) AS shift FROM shifts GROUP BY from_rank
        ), rejected AS (
            SELECT rowid + 1 AS rank, * FROM stage.trips WHERE broken & {judge.rejecting} > 0
        )
        SELECT
            (rank + coalesce(shift, 0))::BIGINT AS row_number,
            {judge.names} AS broken_rules,
            coalesce(unreadable_columns, []) AS unreadable_columns,
            {origin},
            {names},
            original
        FROM rejected ASOF LEFT JOIN steps ON rank >= from_rank
        UNION ALL
        SELECT row_number, [{literal(judge.unreadable_rule)}], [], {origin},
               {nothing}, to_json({{"line": line}})::VARCHAR
        FROM stage.malformed
        ORDER BY row_number
    """


def _require_columns(contract: TripContract, month: Month, raw: RawFile, table: RawTable) -> None:
    missing = [it.column for it in conversions(contract, table.fields) if it.column.required and not it.fields]
    if missing:
        raise TaxiPlatformError(
            f"the file has no column for {', '.join(column.name for column in missing)}; "
            f"it has {', '.join(field.name for field in table.fields)[:300] or 'none'}",
            about=f"{contract.dataset} {month}",
            where=str(raw.path),
            cause="this is no file of this dataset, or TLC renamed a column",
            fix=f"if it was renamed, add the new name to the column's `names` in {contract.dataset}.yaml",
        )
