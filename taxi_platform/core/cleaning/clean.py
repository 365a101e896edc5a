"""Cleaning a month: one scan of the raw file, then every row goes to exactly one of two Parquet files.

    raw file --(convert, judge)--> stage --+--> cleaned.parquet      rows no rejecting rule fires on
                                           +--> quarantine.parquet   the others, and the lines that are no rows

The stage (`stage.py`) gives rows their numbers and lets them be counted and written without reading the raw file twice.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import duckdb

from taxi_platform.core import engine
from taxi_platform.core.catalog.model import EXTRA_COLUMNS, Rule, RuleAction, TripContract
from taxi_platform.core.cleaning.conversion import conversions, unknown_fields
from taxi_platform.core.cleaning.fields import RawTable
from taxi_platform.core.cleaning.headers import find_headers, require_whole_header
from taxi_platform.core.cleaning.judge import UNREADABLE, Judge, names_of
from taxi_platform.core.cleaning.placing import Placing
from taxi_platform.core.cleaning.reading import is_refusal, readers
from taxi_platform.core.cleaning.stage import fill_stage, mark_duplicates, numbered, staged_columns, unreadable_bits
from taxi_platform.core.cleaning.telling import told_of
from taxi_platform.core.engine import literal
from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.fingerprint import fingerprint_rows
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import Lineage, ParquetFile, copy_options
from taxi_platform.core.source.files import RawFile

#: Months up to this many rows are staged in memory, larger ones on disk: a little slower, and memory stays flat.
STAGE_IN_MEMORY_ROWS = 2_000_000


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
        zones: Where the ids of zones are from, in words; empty where they are TLC's, or the dataset has none.
    """

    cleaned: ParquetFile
    quarantine: ParquetFile
    counts: tuple[RuleCount, ...]
    sources: dict[str, tuple[str, ...]]
    seconds: float
    zones: str = ""

    @property
    def summary(self) -> str:
        """The outcome in one line."""
        # Malformed lines are turned away whatever the action of the rule: there is no row to keep.
        rejecting = [
            it
            for it in self.counts
            if it.rejected and (it.action is RuleAction.REJECT or it.rule.condition == UNREADABLE)
        ]
        reasons = ", ".join(f"{it.rule.name} {it.rejected:,}" for it in rejecting) or "nothing"
        return f"{self.cleaned.rows:,} rows cleaned, {self.quarantine.rows:,} quarantined ({reasons})"


def clean(
    contract: TripContract,
    month: Month,
    raw: RawFile,
    actions: dict[str, RuleAction],
    work: Path,
    *,
    fewer_rows_are_meant: bool = False,
    shapes: Path | None = None,
) -> CleanedMonth:
    """Clean a month into two Parquet files.

    Args:
        contract: The dataset's contract.
        month: The month of the file, whatever its rows say.
        raw: The file.
        actions: Each rule's action, as `TripContract.actions` gives it.
        work: An empty folder of this call's own; the two files are made in it.
        fewer_rows_are_meant: What `Lineage` says under that name.
        shapes: A file of the zones' shapes, by which trips with coordinates and no zones get these.

    Raises:
        TaxiPlatformError: The file lacks a column that the contract requires, or nobody can tell what its columns are.
    """
    started = time.monotonic()
    with engine.connect(work / "spill") as con:
        judge, placing = Judge(contract, actions), Placing(contract, shapes, con)
        stage = ":memory:" if raw.rows <= STAGE_IN_MEMORY_ROWS else str(work / "stage.duckdb")
        con.execute(f"ATTACH {literal(stage)} AS stage")
        table = _staged(con, contract, month, raw, judge, placing, work)
        staged = staged_columns(contract, table, judge, placing)
        headers = find_headers(contract, month, raw, table, con)
        if actions.get(judge.duplicate_rule, RuleAction.OFF) is not RuleAction.OFF:
            mark_duplicates(con, staged, judge)
        counts, rows_cleaned, rows_rejected, rows_malformed = _count(con, judge)
        unknown = _unknown_columns(con, contract, table, staged)
        kept = f"FROM stage.trips WHERE broken & {judge.rejecting} = 0"
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
            told=told_of(contract, raw, table, headers),
            fewer_rows_are_meant=fewer_rows_are_meant,
            zone_shapes=placing.shapes_of(table),
            fingerprint=fingerprint_rows(con, contract.stored_columns, staged, kept).digits,
        )
        columns = ", ".join(
            it.name if it.name in staged else f"NULL::{it.type.duckdb} AS {it.name}" for it in contract.stored_columns
        )
        cleaned, quarantine = work / "cleaned.parquet", work / "quarantine.parquet"
        options = copy_options(lineage, row_bytes=_row_bytes(con, staged))
        con.execute(f"COPY (SELECT {columns} {kept}) TO {literal(str(cleaned))} {options}")
        turned_away = _quarantine_sql(contract, raw, columns, judge)
        con.execute(f"COPY ({turned_away}) TO {literal(str(quarantine))} {options}")
    return CleanedMonth(
        cleaned=ParquetFile(cleaned),
        quarantine=ParquetFile(quarantine),
        counts=counts,
        sources={
            it.column.name: tuple(field.label for field in it.fields) for it in conversions(contract, table.fields)
        }
        | placing.sources(table),
        zones=placing.told(table),
        seconds=time.monotonic() - started,
    )


def _staged(
    con: duckdb.DuckDBPyConnection,
    contract: TripContract,
    month: Month,
    raw: RawFile,
    judge: Judge,
    placing: Placing,
    work: Path,
) -> RawTable:
    """Read the raw file into the stage, by the first reader that yields every row."""
    refused: duckdb.Error | None = None
    for read in readers(raw, con, work):
        try:
            table = read()
            require_whole_header(contract, month, raw, table)
            if fill_stage(con, contract, month, raw, table, judge, placing):
                for path in work.glob("plain.csv"):
                    path.unlink()  # unpacked, some ten times as large, and read
                return table
        except duckdb.Error as error:
            if not is_refusal(error):
                raise
            refused = refused or error
    if isinstance(refused, duckdb.OutOfMemoryException):
        raise refused
    raise TaxiPlatformError(
        f"not all of the file's {raw.rows:,} rows could be read",
        about=f"{contract.dataset} {month}",
        where=str(raw.path),
        cause=str(refused).splitlines()[0] if refused else "a reader lost rows",
        fix="fetch the month anew by deleting its folder; if it stays so, take it from another source, and report it",
    )


def _count(con: duckdb.DuckDBPyConnection, judge: Judge) -> tuple[tuple[RuleCount, ...], int, int, int]:
    """How often each rule fired among rejected and kept rows; rows cleaned, rows rejected, malformed lines."""
    rows = con.execute("SELECT broken, count(*) FROM stage.trips GROUP BY broken").fetchall()
    ((malformed,), *_) = con.execute("SELECT count(*) FROM stage.malformed").fetchall()

    def among(bits: int, *, rejected: bool) -> int:
        return sum(n for broken, n in rows if broken & bits == bits and (broken & judge.rejecting > 0) is rejected)

    counts = [
        # A malformed line is no row, so no rule was asked about it: it counts as unreadable.
        RuleCount(
            rule,
            judge.actions[rule.name],
            among(judge.bits[rule.name], rejected=True) + (malformed if rule.name == judge.unreadable_rule else 0),
            among(judge.bits[rule.name], rejected=False),
        )
        for rule in judge.rules
    ]
    return tuple(counts), among(0, rejected=False), among(0, rejected=True), malformed


def _row_bytes(con: duckdb.DuckDBPyConnection, staged: list[str]) -> int:
    """How large the texts of a row are; only what no contract knows may make them large."""
    if EXTRA_COLUMNS not in staged:
        return 0
    ((size,), *_) = con.execute(
        f"SELECT coalesce(avg(strlen({EXTRA_COLUMNS})), 0) + coalesce(avg(strlen(original)), 0) FROM stage.trips"
    ).fetchall()
    return int(size)


def _unknown_columns(
    con: duckdb.DuckDBPyConnection, contract: TripContract, table: RawTable, staged: list[str]
) -> dict[str, str]:
    """The columns whose values went to `extra_columns`, and their types.

    A field without a name counts only if it holds anything: the fields some eras have beyond their headers never do.
    """
    if EXTRA_COLUMNS not in staged:
        return {}
    types = {field.label: field.type for field in table.fields}
    filled = con.execute(
        f"SELECT DISTINCT unnest(json_keys({EXTRA_COLUMNS})) FROM stage.trips WHERE {EXTRA_COLUMNS} IS NOT NULL"
    ).fetchall()
    named = [field.label for field in unknown_fields(contract, table.fields) if field.name.strip()]
    return {label: types[label] for label in dict.fromkeys([*named, *sorted(label for (label,) in filled)])}


def _quarantine_sql(contract: TripContract, raw: RawFile, columns: str, judge: Judge) -> str:
    """The rows turned away, each with its reasons and the row as published, in the order of the file."""
    nothing = ", ".join(f"NULL::{column.type.duckdb} AS {column.name}" for column in contract.stored_columns)
    origin = f"{literal(raw.path.name)} AS source_file, {literal(contract.version)} AS contract_version"
    return f"""
        SELECT
            row_number,
            {judge.names} AS broken_rules,
            {names_of("unreadable_bits", unreadable_bits(contract))} AS unreadable_columns,
            {origin},
            {columns},
            original
        FROM ({numbered(f"broken & {judge.rejecting} > 0")})
        UNION ALL
        SELECT row_number, [{literal(judge.unreadable_rule)}], [], {origin},
               {nothing}, to_json({{"line": line}})::VARCHAR
        FROM stage.malformed
        ORDER BY row_number
    """
