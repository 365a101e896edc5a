"""What can be said of a month by looking at it: each function judges one statement, with the figures to judge it by.

They only look and count; what follows from a finding (a blocked run, a warning) is decided in `checks.py`.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from taxi_platform.core import engine
from taxi_platform.core.catalog.model import EXTRA_COLUMNS, Column, TripContract
from taxi_platform.core.engine import literal
from taxi_platform.core.measures import Measures
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import Lineage, ParquetFile
from taxi_platform.core.source.files import RawFile
from taxi_platform.core.warehouse.zone_totals import ZoneTotals

Figure = int | float | str

#: Share of pickups outside the month that is still usual; TLC's files hold a few strays (146 of 3.7 M in 2026).
USUAL_STRAYS = 0.001
#: A month is expected to hold between half and twice the rows of the median of the months before it.
USUAL_CHANGE = 2.0
#: Rejected shares this close to those of earlier months, in share of rows, are never worth a warning.
USUAL_REJECTS = 0.01


@dataclass(frozen=True)
class Finding:
    """The answer to one statement about a month.

    Attributes:
        holds: Whether the statement is true.
        says: The answer in one sentence.
        figures: What a person needs to judge it.
    """

    holds: bool
    says: str
    figures: dict[str, Figure] = field(default_factory=dict[str, Figure])


@dataclass(frozen=True)
class Profile:
    """One scan of a cleaned month.

    Attributes:
        rows: Rows.
        missing: Required column -> rows in which it is null.
        strays: Rows whose pickup is outside the month.
        unknown_codes: Column with codes -> rows whose value is none of them.
        code_examples: Column with codes -> some of those values.
    """

    rows: int
    missing: dict[str, int]
    strays: int
    unknown_codes: dict[str, int]
    code_examples: dict[str, str]


def profile(contract: TripContract, month: Month, cleaned: ParquetFile, spill_to: Path) -> Profile:
    """Look at every row of a cleaned month, once."""
    required = [column for column in contract.columns if column.required]
    coded = [column for column in contract.columns if column.codes]
    words = {column.text_of: column for column in contract.columns if column.text_of}
    unknown = [_is_unknown(column, words.get(column.name)) for column in coded]
    query = f"""
        SELECT
            count(*),
            count(*) FILTER (date_trunc('month', pickup_datetime) <> DATE '{month.first_day}'),
            [{", ".join(f"count(*) - count({column.name})" for column in required)}],
            [{", ".join(f"count(*) FILTER ({it})" for it in unknown)}]::BIGINT[],
            [{", ".join(_examples(column, words.get(column.name)) for column in coded)}]::VARCHAR[]
        FROM {engine.parquet(cleaned.path)}
    """
    with engine.connect(spill_to) as con:
        ((rows, strays, missing, strangers, examples), *_) = con.execute(query).fetchall()
    names = [column.name for column in coded]
    return Profile(
        rows=rows,
        missing={column.name: count for column, count in zip(required, missing, strict=True)},
        strays=strays,
        unknown_codes=dict(zip(names, strangers, strict=True)),
        code_examples={name: text or "" for name, text in zip(names, examples, strict=True)},
    )


def rows_are_conserved(raw: RawFile, cleaned: ParquetFile, quarantine: ParquetFile) -> Finding:
    """Rows of the source file = cleaned rows + quarantined rows, both made by one cleaning of the file that is here."""
    same_file = raw.sha256 == cleaned.lineage.source_sha256 and cleaned.lineage == quarantine.lineage
    astray = raw.rows - cleaned.rows - quarantine.rows
    says = f"{raw.rows:,} rows in, {cleaned.rows:,} cleaned, {quarantine.rows:,} quarantined"
    return Finding(
        holds=astray == 0 and same_file,
        says=says if same_file else f"{says}; not all were made by one cleaning of the raw file that is here now",
        figures={
            "rows in the source file": raw.rows,
            "rows cleaned": cleaned.rows,
            "rows quarantined": quarantine.rows,
            "rows unaccounted for": astray,
        },
    )


def schema_matches_contract(contract: TripContract, cleaned: ParquetFile) -> Finding:
    """The file has the contract's columns, in its order and types, and no others."""
    expected, found = contract.arrow_schema, cleaned.schema
    differences = [
        f"{name}: {_type_in(found, name)} instead of {_type_in(expected, name)}"
        for name in dict.fromkeys([*expected.names, *found.names])
        if _type_in(found, name) != _type_in(expected, name)
    ]
    if not differences and found.names != expected.names:
        differences = ["the columns are in another order"]
    return Finding(
        holds=not differences,
        says="; ".join(differences) or f"{len(expected)} columns as in contract {contract.version}",
        figures={"columns": len(found.names), "contract version": contract.version},
    )


def required_values_present(profiled: Profile, rows_in: int) -> Finding:
    """No row lacks a value that a row means nothing without; a file with rows has not lost them all to a rule."""
    if rows_in and not profiled.rows:
        return Finding(
            holds=False,
            says=f"not one of {rows_in:,} rows is left: the file is not what the contract expects; see the quarantine",
            figures={"rows in the source file": rows_in},
        )
    lacking = {name: count for name, count in profiled.missing.items() if count}
    return Finding(
        holds=not lacking,
        says=", ".join(f"{name} is null in {count:,} rows" for name, count in lacking.items())
        or f"{', '.join(profiled.missing)} filled in all {profiled.rows:,} rows",
        figures={f"{name} missing": count for name, count in profiled.missing.items()},
    )


def known_columns_only(cleaned: ParquetFile, spill_to: Path) -> Finding:
    """The source file has no column the contract does not name."""
    unknown = cleaned.lineage.unknown_columns
    if not unknown:
        return Finding(holds=True, says="every column of the source file is in the contract")
    examples = _first_values(cleaned, list(unknown), spill_to)
    told = [f"{name} ({kind}): {examples[name] or 'never filled'}" for name, kind in unknown.items()]
    return Finding(
        holds=False,
        says=f"kept in {EXTRA_COLUMNS}: {'; '.join(told)}. Add them to {cleaned.lineage.dataset}.yaml "
        "and run the month again",
        figures={name: f"{kind}: {examples[name] or 'never filled'}" for name, kind in unknown.items()},
    )


def known_codes_only(profiled: Profile) -> Finding:
    """Columns that hold codes hold none that the contract does not explain."""
    unknown = {name: count for name, count in profiled.unknown_codes.items() if count}
    return Finding(
        holds=not unknown,
        says=", ".join(f"{name}: {count:,} rows ({profiled.code_examples[name]})" for name, count in unknown.items())
        or f"{len(profiled.unknown_codes)} columns hold known codes only",
        figures={f"{name}, rows with unknown codes": count for name, count in profiled.unknown_codes.items()},
    )


def pickups_inside_month(profiled: Profile) -> Finding:
    """All but a few pickups are in the month the file is for."""
    share = profiled.strays / profiled.rows if profiled.rows else 0.0
    return Finding(
        holds=share <= USUAL_STRAYS,
        says=f"{profiled.strays:,} of {profiled.rows:,} pickups ({share:.3%}) are in another month",
        figures={"pickups outside the month": profiled.strays, "share": share, "usual share": USUAL_STRAYS},
    )


def rejects_within_expectation(now: Lineage, before: Sequence[Lineage]) -> Finding:
    """The share of rejected rows is like that of the months before."""
    share = _rejected_share(now)
    figures: dict[str, Figure] = {"share rejected": share, "months compared with": len(before)}
    if not before:
        return Finding(holds=True, says=f"{share:.3%} rejected; no earlier month to compare with", figures=figures)
    usual = statistics.median(_rejected_share(it) for it in before)
    return Finding(
        holds=share <= usual * USUAL_CHANGE + USUAL_REJECTS,
        says=f"{share:.3%} rejected, against {usual:.3%} in the {len(before)} months before",
        figures=figures | {"usual share": usual},
    )


def row_count_as_published(raw: RawFile, published: int | None) -> Finding:
    """The file has as many rows as TLC's own catalogue says; the catalogue is of the Parquet edition."""
    if published is None or raw.edition != "parquet":
        why = "the catalogue does not have the month" if raw.edition == "parquet" else "the CSV edition is not in it"
        return Finding(holds=True, says=f"nothing to compare with: {why}", figures={"rows": raw.rows})
    return Finding(
        holds=raw.rows == published,
        says=f"{raw.rows:,} rows, {published:,} in TLC's catalogue",
        figures={"rows": raw.rows, "rows in the catalogue": published, "difference": raw.rows - published},
    )


def row_count_in_trend(now: Lineage, before: Sequence[Lineage]) -> Finding:
    """The month is not much larger or smaller than those before it."""
    figures: dict[str, Figure] = {"rows": now.rows_in, "months compared with": len(before)}
    if not before:
        return Finding(holds=True, says=f"{now.rows_in:,} rows; no earlier month to compare with", figures=figures)
    usual = statistics.median(it.rows_in for it in before)
    return Finding(
        holds=usual / USUAL_CHANGE <= now.rows_in <= usual * USUAL_CHANGE,
        says=f"{now.rows_in:,} rows, against {usual:,.0f} in the {len(before)} months before",
        figures=figures | {"usual rows": usual},
    )


def lake_matches_cleaned(cleaned: ParquetFile, in_lake: ParquetFile) -> Finding:
    """The object in the lake is the cleaned file, byte for byte."""
    same = cleaned.sha256 == in_lake.sha256
    return Finding(
        holds=same,
        says="the same bytes" if same else "the lake holds other bytes than the cleaned file; run the month again",
        figures={"SHA-256 of the cleaned file": cleaned.sha256, "SHA-256 of the lake's object": in_lake.sha256},
    )


def table_matches_lake(in_table: Measures, in_lake: Measures) -> Finding:
    """The table's month equals the lake's, by figures that each store computed from its own rows."""
    differences = list(in_table.differences(in_lake))
    return Finding(
        holds=not differences,
        says="; ".join(differences) or f"{in_table.rows:,} rows, {len(in_table.columns)} columns agree",
        figures={
            "rows in the table": in_table.rows,
            "rows in the lake": in_lake.rows,
            "columns compared": len(in_table.columns),
        },
    )


def _rejected_share(lineage: Lineage) -> float:
    return lineage.rows_quarantined / lineage.rows_in if lineage.rows_in else 0.0


def _type_in(schema: pa.Schema, name: str) -> str:
    types = dict(zip(schema.names, map(str, schema.types), strict=True))
    return types.get(name, "nothing")


def _is_unknown(column: Column, words: Column | None) -> str:
    """SQL that is true where a code is not in the contract, or neither is the word published instead of one."""
    codes = ", ".join(str(code) if isinstance(code, int) else literal(code) for code in column.codes)
    unknown = f"coalesce({column.name} NOT IN ({codes}), false)"
    if words is None:
        return unknown
    texts = ", ".join(literal(text.lower()) for text in column.texts)
    return f"{unknown} OR coalesce(lower({words.name}) NOT IN ({texts}), false)"


def _examples(column: Column, words: Column | None) -> str:
    """SQL for the unknown codes that are most frequent: at most a few are held in memory, however many there are."""
    value = f"{column.name}::VARCHAR" if words is None else f"coalesce({words.name}, {column.name}::VARCHAR)"
    return f"array_to_string(approx_top_k({value}, 5) FILTER ({_is_unknown(column, words)}), ', ')"


def _first_values(cleaned: ParquetFile, names: list[str], spill_to: Path) -> dict[str, str]:
    """Up to three different values of each unknown column, of the first thousand that are filled, as text."""
    queries: list[str] = []
    for name in names:
        # A name may hold any character; a JSON path would read some of them as its own.
        value = f"({EXTRA_COLUMNS}::JSON::MAP(VARCHAR, JSON))[{literal(name)}] ->> '$'"
        first = f"SELECT {value} AS value FROM {engine.parquet(cleaned.path)} WHERE {value} IS NOT NULL LIMIT 1000"
        queries.append(f"(SELECT array_to_string(list_slice(list_distinct(list(value)), 1, 3), ', ') FROM ({first}))")
    with engine.connect(spill_to) as con:
        (row, *_) = con.execute(f"SELECT {', '.join(queries)}").fetchall()
    return {name: text or "" for name, text in zip(names, row, strict=True)}


def zone_view_matches_table(contract: TripContract, in_view: ZoneTotals | None, in_table: Measures) -> Finding:
    """The view that names the zones has the rows of its table, each once, and their money; None without a view."""
    if in_view is None and not contract.zone_columns:
        return Finding(holds=True, says="no view to compare: this dataset does not say where its trips were")
    if in_view is None:
        says = "there is no view with zones beside the table, so nothing was compared: load the month again"
        return Finding(holds=False, says=says)
    holds, money = in_view.agree(in_table), in_view.money_in(in_table)
    sums = f", {in_view.money_column} {in_view.money:,.2f} and {money:,.2f} USD" if in_view.money_column else ""
    says = f"{in_view.rows:,} rows in the view and {in_table.rows:,} in the table{sums}"
    if not holds:
        says += "; the table is right: load the month again, which makes the view anew"
    if not in_view.zones:
        says += "; no zones were loaded yet, so the view names none"
    elif in_view.repeated:
        says += f"; {in_view.repeated:,} rows of the zone lookup repeat another's id: load the zones again"
    return Finding(
        holds=holds,
        says=says,
        figures={
            "rows in the view": in_view.rows,
            "rows in the table": in_table.rows,
            "USD in the view": in_view.money,
            "USD in the table": money,
            "zones in the lookup": in_view.zones,
            "zones whose id repeats": in_view.repeated,
        },
    )
