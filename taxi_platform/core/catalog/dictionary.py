"""The data dictionary: the contracts as a page people read.

python -m taxi_platform.core.catalog.dictionary > docs/data-dictionary.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from taxi_platform.core.catalog import Catalog, load_catalog
from taxi_platform.core.catalog.grammar import GRAMMAR
from taxi_platform.core.catalog.layout import Layout
from taxi_platform.core.catalog.model import Column, ReferenceContract, TableContract, TripContract, normalized

_HEAD = """# Data dictionary

Made from the contracts in `taxi_platform/core/catalog` by `make docs`; change those, not this page.

Every table of trips has one schema for all years. A column is null in the rows of months published without it.
"""

_GRAMMAR = """## What a text must be to be a value

The same in CSV and in Parquet, however a file is read. Blanks around a value say nothing, and a field that is empty or
holds nothing but blanks is null; so is NaN in a column of numbers. No word stands for null. What is none of these forms
is unreadable: its row is turned away and keeps the text as published. Texts lose the blanks and quotes around them.
A line ends with LF, CR LF or CR, is UTF-8 (a line that is not is read as latin-1), and its fields are separated by
commas; a field may be quoted.

| | form |
|---|---|"""


def render(catalog: Catalog) -> str:
    """The whole page, as Markdown."""
    grammar = [f"| {kind} | {words} |" for kind, (words, _) in GRAMMAR.items()]
    sections = [_section(contract) for contract in (*catalog.trips.values(), *catalog.references.values())]
    return "\n".join([_HEAD, _GRAMMAR, *grammar, "", *sections])


def _section(contract: TableContract) -> str:
    lines = [f"## {contract.table}", "", f"{contract.description} [TLC's page]({contract.documentation}).", ""]
    if isinstance(contract, TripContract):
        lines += [f"Months: {contract.first_month} on.", ""]
        columns = contract.table_columns
        lines += ["| column | type | unit | meaning | codes | published as |", "|---|---|---|---|---|---|"]
        lines += [f"{_cells(column)} {_names_over_time(contract, column)} |" for column in columns]
        lines += ["", "| rule | action | a row breaks it if |", "|---|---|---|"]
        lines += [f"| `{rule.name}` | {rule.action} | {rule.description} |" for rule in contract.rules]
    else:
        if isinstance(contract, ReferenceContract):
            within = f" within a `{contract.key_within}`" if contract.key_within else ""
            lines += [
                f"Key: `{contract.key}`{within}. A file with a row without it, or two with the same, is refused.",
                "",
            ]
        lines += ["| column | type | unit | meaning | codes |", "|---|---|---|---|---|"]
        lines += [_cells(column) for column in contract.columns]
    return "\n".join([*lines, ""])


def _cells(column: Column) -> str:
    codes = "<br>".join(f"{code} = {meaning}" for code, meaning in column.codes.items())
    words = ", ".join(f"{text} = {'no code' if code is None else code}" for text, code in column.texts.items())
    if words:
        codes += f"<br>words of 2009 to 2014: {words}"
    return f"| `{column.name}` | {column.type} | {column.unit or ''} | {column.description} | {codes} |"


def _names_over_time(contract: TripContract, column: Column) -> str:
    """The names a column had, each with the first month of the layouts that use it."""
    told: list[str] = []
    for edition, label in (("csv", "CSV"), ("parquet", "Parquet")):
        eras = list(_eras(column, [layout for layout in contract.layouts if layout.format == edition]))
        if eras:
            told.append(f"{label}: " + ", ".join(eras))
    return "<br>".join(told)


def _eras(column: Column, layouts: Iterable[Layout]) -> Iterator[str]:
    last: str | None = None
    for layout in layouts:
        name = next((it.strip() for it in layout.header if normalized(it) in column.published_names), None)
        if name != last:
            yield f"`{name}` from {layout.since}" if name else f"gone from {layout.since}"
        last = name


if __name__ == "__main__":
    sys.stdout.write(render(load_catalog()))
