"""Is each value in the column its name says? A header may lack a name, and a file may have a second header inside."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

import duckdb

from taxi_platform.core.catalog.model import TripContract, normalized
from taxi_platform.core.cleaning.fields import RawTable
from taxi_platform.core.cleaning.stage import numbered
from taxi_platform.core.engine import literal
from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.month import Month
from taxi_platform.core.source.contents import BOM
from taxi_platform.core.source.files import RawFile

#: Suspected lines looked at; a file of more headers than that is cut off here, its first ones have told enough.
_LOOKED_AT = 1_000
_SHOWN_NAMES = 30
#: What stands between the fields of files that are called CSV and are none of ours.
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "`|`", ":": "colons"}
#: A number or a time; a blank and a letter's case are of no account.
_NO_NAME = re.compile(r"[\d.+:\s/-]*\d[\d.+:\s/-]*")


def require_whole_header(contract: TripContract, month: Month, raw: RawFile, table: RawTable) -> None:
    """A header that all columns the contract requires are named by, and that lacks none if rows are wider than it.

    Rows of some eras have empty fields beyond their header. A header that is not known from any era may as well lack a
    name in its middle, and then all values behind it would stand in the wrong columns.

    Raises:
        TaxiPlatformError: A required column is missing, or rows are wider than a header nobody knows.
    """
    here = {_named(contract, field.name) for field in table.fields}
    missing = [column.name for column in contract.columns if column.required and column.name not in here]
    if missing:
        names = [field.name for field in table.fields]
        cause, fix = _why_missing(contract, month, raw, names)
        has = ", ".join(names[:_SHOWN_NAMES])[:300] or "none"
        raise TaxiPlatformError(
            f"the file has no column for {', '.join(missing)}; it has {has}",
            about=f"{contract.dataset} {month}",
            where=str(raw.path),
            cause=cause,
            fix=fix,
        )
    if not table.surplus:
        return
    # The very columns of some year, in its order: the header of another year may be a part of this one's.
    columns = [_named(contract, field.name) for field in table.fields]
    if all([_named(contract, name) for name in layout.header] != columns for layout in contract.layouts):
        raise TaxiPlatformError(
            f"the header names {len(table.fields)} fields and the rows have {table.surplus} more, which are empty",
            about=f"{contract.dataset} {month}",
            where=str(raw.path),
            cause="the header is none that TLC ever wrote: it may lack a name, and values stand in the wrong columns",
            fix="mend the header, or take the month from another source",
        )


def _why_missing(contract: TripContract, month: Month, raw: RawFile, names: Sequence[str]) -> tuple[str, str]:
    """Why a header lacks what the contract requires, and what mends it."""
    line = ",".join(names)
    for separator, called in _SEPARATORS.items():
        if sum(_named(contract, name) is not None for name in line.split(separator)) > 1:
            return (
                f"its fields are separated by {called}, and those of a CSV are by commas",
                "write it with commas, or take the month from another source",
            )
    if any(_NO_NAME.fullmatch(_bare(name)) for name in names):
        header = ",".join(contract.layout_of(month, raw.edition).header)
        return (
            "its first line holds values and not names: the header is missing",
            f"write the month's header before it, {header}, or take the month from another source",
        )
    return (
        "this is no file of this dataset, or TLC renamed a column",
        f"if it was renamed, add the new name to the column's `names` in {contract.dataset}.yaml",
    )


def find_headers(
    contract: TripContract, month: Month, raw: RawFile, table: RawTable, con: duckdb.DuckDBPyConnection
) -> list[int]:
    """The numbers of the rows that say the header again: rows whose values do not convert, in the quarantine as such.

    Raises:
        TaxiPlatformError: A row is a header of another order or of other names: what follows it is not what the first
            header says.
    """
    header = [normalized(_bare(field.name)) for field in table.fields]
    again: list[int] = []
    for number, said in _suspects(contract, con):
        values = [_bare(value) for value in said]
        filled = [value for value in values if value]
        # Rows may be wider than their header, and the header again is as wide as ever or has commas at its end.
        if [normalized(value) for value in values[: len(header)]] == header and not any(values[len(header) :]):
            again.append(number)
        elif sum(_named(contract, value) is not None for value in filled) * 2 >= len(filled):
            raise TaxiPlatformError(
                f"row {number:,} is a second header, and not that of the rows before it: {', '.join(filled)[:300]}",
                about=f"{contract.dataset} {month}",
                where=str(raw.path),
                cause="files of different layouts were put one behind the other: what follows has other columns",
                fix="take the month from its own file",
            )
    return sorted(again)


def _suspects(contract: TripContract, con: duckdb.DuckDBPyConnection) -> Iterable[tuple[int, list[str]]]:
    """Rows in which a required column holds a name, and malformed lines that have one in them: number and values."""
    names = [name for column in contract.columns for name in column.published_names]
    required = [name for column in contract.columns if column.required for name in column.published_names]
    rows = con.execute(
        f"""
        SELECT row_number, original
        FROM ({numbered("original IS NOT NULL AND unreadable_bits > 0")})
        WHERE list_has_any(
            list_transform(json_extract_string(original, '$.*'), lambda it: trim(lower(it), ' "{BOM}')),
            [{_literals(names)}]
        )
        ORDER BY row_number
        LIMIT {_LOOKED_AT}
        """
    ).fetchall()
    for number, original in rows:
        yield number, [str(value or "") for value in json.loads(original).values()]
    lines = con.execute(
        f"""
        SELECT row_number, line FROM stage.malformed
        WHERE list_has_any(
            list_transform(string_split(lower(line), ','), lambda it: trim(it, ' "{BOM}')), [{_literals(required)}]
        )
        ORDER BY row_number
        LIMIT {_LOOKED_AT}
        """
    ).fetchall()
    for number, line in lines:
        yield number, line.split(",")


def _literals(names: Iterable[str]) -> str:
    return ", ".join(map(literal, names))


def _bare(value: str) -> str:
    return value.strip(f' "{BOM}')


def _named(contract: TripContract, name: str) -> str | None:
    """The canonical column that is published under a name; None where there is none."""
    try:
        return contract.published_as(_bare(name)).name
    except KeyError:
        return None
