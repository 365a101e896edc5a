"""Is each value in the column its name says? A header may lack a name, and a file may have a second header inside."""

from __future__ import annotations

import json
from collections.abc import Iterable

import duckdb

from taxi_platform.core.catalog.model import TripContract, normalized
from taxi_platform.core.cleaning.fields import RawTable
from taxi_platform.core.engine import literal
from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.month import Month
from taxi_platform.core.source.contents import BOM
from taxi_platform.core.source.files import RawFile

#: Suspected lines looked at; a file of more headers than that is cut off here, its first ones have told enough.
_LOOKED_AT = 1_000
_SHOWN_NAMES = 30


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
        shown = ", ".join(field.name for field in table.fields[:_SHOWN_NAMES]) or "none"
        raise TaxiPlatformError(
            f"the file has no column for {', '.join(missing)}; it has {shown[:300]}",
            about=f"{contract.dataset} {month}",
            where=str(raw.path),
            cause="this is no file of this dataset, or TLC renamed a column",
            fix=f"if it was renamed, add the new name to the column's `names` in {contract.dataset}.yaml",
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


def find_headers(contract: TripContract, month: Month, raw: RawFile, con: duckdb.DuckDBPyConnection) -> list[int]:
    """The numbers of the rows that say the header again: rows whose values do not convert, in the quarantine as such.

    Raises:
        TaxiPlatformError: A row is a header of another order or of other names: what follows it is not what the first
            header says.
    """
    again: list[int] = []
    for number, said in _suspects(contract, con):
        is_same = all(normalized(_bare(value)) == normalized(_bare(name)) for name, value in said)
        values = [_bare(value) for _, value in said if value.strip()]
        if not is_same and sum(_named(contract, value) is not None for value in values) * 2 < len(values):
            continue  # a row with a name in it
        if not is_same:
            raise TaxiPlatformError(
                f"row {number:,} is a second header, and not that of the rows before it: {', '.join(values)[:300]}",
                about=f"{contract.dataset} {month}",
                where=str(raw.path),
                cause="files of different layouts were put one behind the other: what follows has other columns",
                fix="take the month from its own file",
            )
        again.append(number)
    return again


def _suspects(contract: TripContract, con: duckdb.DuckDBPyConnection) -> Iterable[tuple[int, list[tuple[str, str]]]]:
    """Rows in which a required column holds a name, and malformed lines that have one in them: (name, value) pairs."""
    names = [name for column in contract.columns for name in column.published_names]
    required = [name for column in contract.columns if column.required for name in column.published_names]
    rows = con.execute(
        f"""
        WITH shifts AS (  -- the scan numbers only the rows it yields; each malformed line before one shifts it
            SELECT row_number - row_number() OVER (ORDER BY row_number) + 1 AS from_rank FROM stage.malformed
        )
        SELECT trips.rowid + 1 + (SELECT count(*) FROM shifts WHERE from_rank <= trips.rowid + 1), original
        FROM stage.trips AS trips
        WHERE original IS NOT NULL AND unreadable_bits > 0 AND list_has_any(
            list_transform(json_extract_string(original, '$.*'), lambda it: trim(lower(it), ' "{BOM}')),
            [{_literals(names)}]
        )
        LIMIT {_LOOKED_AT}
        """
    ).fetchall()
    for number, original in rows:
        yield number, [(str(name), str(value or "")) for name, value in json.loads(original).items()]
    lines = con.execute(
        f"""
        SELECT row_number, line FROM stage.malformed
        WHERE list_has_any(
            list_transform(string_split(lower(line), ','), lambda it: trim(it, ' "{BOM}')), [{_literals(required)}]
        )
        LIMIT {_LOOKED_AT}
        """
    ).fetchall()
    for number, line in lines:
        yield number, [("", value) for value in line.split(",")]


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
