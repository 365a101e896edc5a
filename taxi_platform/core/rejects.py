"""Why rows of a month were turned away, in the words that let somebody mend it.

Which rules did it; and of values that did not convert the columns, a sample and the form that is expected. All of it
stands in the quarantine; it is counted in SQL, and of each column one row is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from taxi_platform.core import engine
from taxi_platform.core.catalog.model import ColumnType, RuleAction, TripContract, normalized
from taxi_platform.core.cleaning.judge import UNREADABLE
from taxi_platform.core.engine import literal
from taxi_platform.core.parquet import ParquetFile
from taxi_platform.core.showing import cut_in_sql, escaped

#: Columns told of: where one thing is wrong with a file it is in a few, and where all is wrong a few tell it.
_WORST_COLUMNS = 3
#: Characters of a published name that matter here: it is compared with the contract's, which are shorter.
_NAME = 100

#: What a value has to look like, by type; texts always convert.
_FORMS = {
    ColumnType.INT32: "a whole number",
    ColumnType.INT64: "a whole number",
    ColumnType.FLOAT64: "a number with a decimal point",
    ColumnType.TIMESTAMP: "a time as YYYY-MM-DD HH:MM:SS",
    ColumnType.DATE: "a date as YYYY-MM-DD",
}


@dataclass(frozen=True)
class BadColumn:
    """A column with values that did not convert.

    Attributes:
        name: The contract's name of it.
        published_as: The file's; empty where it is not known.
        values: How many of its values did not convert.
        sample: The first of them, cut.
        row_number: The row it is in.
        form: What a value has to look like.
    """

    name: str
    published_as: str
    values: int
    sample: str
    row_number: int
    form: str

    def __str__(self) -> str:
        name = f"{self.name} (published as {self.published_as})" if self.published_as else self.name
        return f"{name}: {self.values:,} values are not {self.form}, such as '{self.sample}' in row {self.row_number:,}"


@dataclass(frozen=True)
class Rejects:
    """What a quarantine says.

    Attributes:
        by_rule: Rule that turns rows away -> rows, the most frequent first. A row may break several.
        by_contract: Rows turned away by a rule that does so in the contract, and not by this run's own choice alone.
        columns: The columns with the most values that did not convert.
        no_rows: Lines that are no rows: too few or too many fields, or bytes that are no text.
        line: The first of those lines, cut, and its number; empty where there is none.
    """

    by_rule: dict[str, int]
    by_contract: int
    columns: tuple[BadColumn, ...]
    no_rows: int
    line: str

    def __str__(self) -> str:
        rules = ", ".join(f"{name} {rows:,}" for name, rows in self.by_rule.items())
        lines = f"{self.no_rows:,} lines are no rows, such as {self.line}" if self.no_rows else ""
        return "; ".join(filter(None, [f"turned away by {rules or 'nothing'}", *map(str, self.columns), lines]))


def rejects(contract: TripContract, quarantine: ParquetFile, spill_to: Path) -> Rejects:
    """Look at every row that was turned away, once, and at one of each of the worst columns.

    Args:
        contract: The dataset's contract.
        quarantine: The rows that were turned away.
        spill_to: Folder for what does not fit into memory.
    """
    rules = quarantine.lineage.rules
    # Lines that are no rows are turned away whatever the action of the rule, and under the names of these.
    unreadable = {rule.name for rule in contract.rules if rule.condition == UNREADABLE} | {UNREADABLE}
    rejecting = unreadable | {name for name, action in rules.items() if action is RuleAction.REJECT}
    usual = unreadable | {rule.name for rule in contract.rules if rule.action is RuleAction.REJECT}
    source = engine.parquet(quarantine.path)
    # Of a line that is no row there is nothing but the line: no column of it was ever looked at.
    is_no_row = f"len(unreadable_columns) = 0 AND broken_rules = [{literal(_unreadable_rule(contract))}]"
    with engine.connect(spill_to) as con:
        by_rule = con.execute(f"""
            SELECT rule, count(*) FROM (SELECT unnest(broken_rules) AS rule FROM {source})
            WHERE rule IN ({_names(rejecting)}) GROUP BY rule ORDER BY count(*) DESC, rule
        """).fetchall()
        ((by_contract, no_rows, first_line), *_) = con.execute(f"""
            SELECT
                count(*) FILTER (list_has_any(broken_rules, [{_names(rejecting & usual)}])),
                count(*) FILTER ({is_no_row}),
                min(row_number) FILTER ({is_no_row})
            FROM {source}
        """).fetchall()
        worst = con.execute(f"""
            SELECT name, count(*), min(row_number)
            FROM (SELECT unnest(unreadable_columns) AS name, row_number FROM {source})
            GROUP BY name ORDER BY count(*) DESC, name LIMIT {_WORST_COLUMNS}
        """).fetchall()
        known = {column.name for column in contract.columns}
        columns = [_bad_column(con, contract, source, *it) for it in worst if it[0] in known]
        line = ""
        if no_rows:
            ((_, text), *_) = _original(con, source, first_line)
            line = f"'{text}', which is line {first_line:,}"
    return Rejects(dict(by_rule), by_contract, tuple(columns), no_rows, line)


def _bad_column(
    con: duckdb.DuckDBPyConnection, contract: TripContract, source: str, name: str, values: int, row_number: int
) -> BadColumn:
    column = contract.column(name)
    names = column.published_names
    filled = [(key, text) for key, text in _original(con, source, row_number) if _published(key) in names and text]
    published_as, sample = next(iter(filled), ("", ""))
    return BadColumn(name, published_as, values, sample, row_number, _FORMS.get(column.type, "what it should be"))


def _original(con: duckdb.DuckDBPyConnection, source: str, row_number: int) -> list[tuple[str, str]]:
    """A row as it was published: names and texts, both as people are shown them."""
    entries = con.execute(f"""
        SELECT left(entry.key, {_NAME}), {cut_in_sql("trim(entry.value)")}
        FROM (
            SELECT unnest(map_entries(original::JSON::MAP(VARCHAR, VARCHAR))) AS entry
            FROM {source} WHERE row_number = {row_number}
        )
    """).fetchall()
    return [(escaped(key), escaped(text or "")) for key, text in entries]


def _published(label: str) -> str:
    """The name a field goes by in the contract; the place that tells it from others of that name is no part of it."""
    return normalized(label.partition(" (field ")[0])


def _unreadable_rule(contract: TripContract) -> str:
    return next((rule.name for rule in contract.rules if rule.condition == UNREADABLE), UNREADABLE)


def _names(names: set[str]) -> str:
    return ", ".join(map(literal, sorted(names)))
