"""What can be said of a month by looking at it: each function judges one statement, with the figures to judge it by.

They only look and count; what follows from a finding (a blocked run, a warning) is decided in `checks.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from taxi_platform.core import engine
from taxi_platform.core.catalog.model import EXTRA_COLUMNS, Column, TripContract
from taxi_platform.core.engine import literal
from taxi_platform.core.extras import usual_values
from taxi_platform.core.fingerprint import Fingerprint
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import Lineage, ParquetFile
from taxi_platform.core.rejects import Rejects
from taxi_platform.core.showing import LONGEST_TEXT, MOST_NAMED, cut_in_sql, escaped, listed, shown
from taxi_platform.core.source.files import RawFile

Figure = int | float | str

#: Share of pickups outside the month that is still usual; TLC's files hold a few strays (146 of 3.7 M in 2026).
USUAL_STRAYS = 0.001


@dataclass(frozen=True)
class Finding:
    """The answer to one statement about a month.

    Attributes:
        holds: Whether the statement is true; nothing speaks against one that is not judged.
        says: The answer in one sentence.
        figures: What a person needs to judge it.
        judged: Whether there was anything to judge it by: to people, what was not judged is no pass.
    """

    holds: bool
    says: str
    figures: dict[str, Figure] = field(default_factory=dict[str, Figure])
    judged: bool = True


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
        code_examples={name: escaped(text or "") for name, text in zip(names, examples, strict=True)},
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
    expected, found = _types(contract.arrow_schema), _types(cleaned.schema)
    nothing = "nothing"
    differences = [
        f"{shown(name)}: {found.get(name, nothing)} instead of {expected.get(name, nothing)}"
        for name in dict.fromkeys([*expected, *found])
        if found.get(name) != expected.get(name)
    ]
    if not differences and cleaned.schema.names != contract.arrow_schema.names:
        differences = ["the columns are in another order"]
    return Finding(
        holds=not differences,
        says=listed(differences, "; ") or f"{len(expected)} columns as in contract {contract.version}",
        figures={"columns": len(cleaned.schema.names), "contract version": contract.version},
    )


def required_values_present(profiled: Profile, rows_in: int, why: Callable[[], Rejects]) -> Finding:
    """No row lacks a value that a row means nothing without; a file with rows has not lost them all to a rule.

    Args:
        profiled: The cleaned month.
        rows_in: Rows of the source file.
        why: What rows were turned away for; asked where none is left.
    """
    if rows_in and not profiled.rows:
        return Finding(
            holds=False,
            says=f"not one of {rows_in:,} rows is left: {why()}",
            figures={"rows in the source file": rows_in},
        )
    lacking = {name: count for name, count in profiled.missing.items() if count}
    return _of_rows(
        profiled,
        holds=not lacking,
        says=", ".join(f"{name} is null in {count:,} rows" for name, count in lacking.items())
        or f"{', '.join(profiled.missing)} filled in all {profiled.rows:,} rows",
        figures={f"{name} missing": count for name, count in profiled.missing.items()},
    )


def file_is_plain(now: Lineage) -> Finding:
    """Nothing in the file had to be interpreted to be read: what was is said, so that people may see it otherwise."""
    return Finding(
        holds=not now.told,
        says=shown("; ".join(now.told), LONGEST_TEXT) or "the file is what its name and its columns say",
        figures={"things interpreted": len(now.told)},
    )


def known_columns_only(cleaned: ParquetFile, spill_to: Path) -> Finding:
    """The source file has no column the contract does not name."""
    unknown = cleaned.lineage.unknown_columns
    if not unknown:
        return Finding(holds=True, says="every column of the source file is in the contract")
    names = list(unknown)[:MOST_NAMED]
    values = [text or "never filled" for text in usual_values(cleaned, names, spill_to)]
    kinds = [shown(unknown[name]) for name in names]
    about = [f"{kind}: {value}" for kind, value in zip(kinds, values, strict=True)]
    told = [f"{shown(name)} ({kind}): {value}" for name, kind, value in zip(names, kinds, values, strict=True)]
    says = listed([*told, *[""] * (len(unknown) - len(told))], "; ", LONGEST_TEXT // 3)
    figures: dict[str, Figure] = dict(zip(map(shown, names), about, strict=True))
    if len(unknown) > len(names):
        figures["columns the contract does not know"] = len(unknown)
    return Finding(
        holds=False,
        says=f"kept in {EXTRA_COLUMNS}: {says}. Add them to {cleaned.lineage.dataset}.yaml and run the month again",
        figures=figures,
    )


def known_codes_only(profiled: Profile) -> Finding:
    """Columns that hold codes hold none that the contract does not explain."""
    unknown = {name: count for name, count in profiled.unknown_codes.items() if count}
    return _of_rows(
        profiled,
        holds=not unknown,
        says=", ".join(f"{name}: {count:,} rows ({profiled.code_examples[name]})" for name, count in unknown.items())
        or f"{len(profiled.unknown_codes)} columns hold known codes only",
        figures={f"{name}, rows with unknown codes": count for name, count in profiled.unknown_codes.items()},
    )


def pickups_inside_month(profiled: Profile) -> Finding:
    """All but a few pickups are in the month the file is for."""
    share = profiled.strays / profiled.rows if profiled.rows else 0.0
    return _of_rows(
        profiled,
        holds=share <= USUAL_STRAYS,
        says=f"{profiled.strays:,} of {profiled.rows:,} pickups ({share:.3%}) are in another month",
        figures={"pickups outside the month": profiled.strays, "share": share, "usual share": USUAL_STRAYS},
    )


def lake_matches_cleaned(cleaned: ParquetFile, in_lake: ParquetFile) -> Finding:
    """The object in the lake is the cleaned file, byte for byte."""
    same = cleaned.sha256 == in_lake.sha256
    return Finding(
        holds=same,
        says="the same bytes" if same else "the lake holds other bytes than the cleaned file; run the month again",
        figures={"SHA-256 of the cleaned file": cleaned.sha256, "SHA-256 of the lake's object": in_lake.sha256},
    )


def table_matches_lake(
    in_table: Fingerprint, in_lake: Fingerprint, differences: Callable[[], Iterable[str]]
) -> Finding:
    """The table's month equals the lake's, whatever the order of its rows.

    Args:
        in_table: What the store made of its own rows.
        in_lake: What was made of the object's.
        differences: Gives what is another, a sentence each, as far as rows and sums of columns tell.
    """
    holds = in_table == in_lake
    says = f"{in_table.rows:,} rows, fingerprint {in_table.digits} in both"
    if not holds:
        apart = f"fingerprint {in_table.digits} in the table, {in_lake.digits} in the lake"
        told = listed(differences(), "; ") or "as many rows and the same sums, but values stand in other rows"
        says = f"{told} ({apart})"
    return Finding(
        holds=holds,
        says=says,
        figures={
            "rows in the table": in_table.rows,
            "rows in the lake": in_lake.rows,
            "fingerprint of the table": in_table.digits,
            "fingerprint of the lake's object": in_lake.digits,
        },
    )


def _of_rows(profiled: Profile, *, holds: bool, says: str, figures: dict[str, Figure]) -> Finding:
    """A finding about each of a month's rows; where there are none, there is nothing to judge it by."""
    if not profiled.rows:
        return Finding(holds=True, says="the month has no rows", figures=figures, judged=False)
    return Finding(holds=holds, says=says, figures=figures)


def _types(schema: pa.Schema) -> dict[str, str]:
    return dict(zip(schema.names, map(str, schema.types), strict=True))


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
    return f"array_to_string(approx_top_k({cut_in_sql(value)}, 5) FILTER ({_is_unknown(column, words)}), ', ')"
