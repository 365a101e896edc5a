"""`fhv_bases`: who stands behind the licence number of a base; `<table>_with_bases`: trips with the names of theirs.

In any warehouse, of the report of bases: its rows are of a base and a month, and a base has the name it was last called
by. A trip is there once, whatever the report holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from taxi_platform.core.catalog.model import ColumnType, ReferenceContract, TripContract
from taxi_platform.core.warehouse.zone_view import Quote

#: The view of bases, and its columns.
BASES = "fhv_bases"
BASE_COLUMNS = {
    "base_number": ColumnType.STRING,
    "base_name": ColumnType.STRING,
    "trade_name": ColumnType.STRING,
    "first_month": ColumnType.DATE,
    "last_month": ColumnType.DATE,
}
_NUMBER = re.compile(r"(\w+_base)_num(?:ber)?")
#: The report has high volume services by company, and not by base: whose base it is, a trip's licence says.
_COMPANY, _DISPATCHING = "hvfhs_license_num", "dispatching_base"
_PLAIN = re.compile(r"[A-Za-z0-9 -]+")


def view_name(contract: TripContract) -> str:
    """The name of the view of trips, without its schema."""
    return f"{contract.table}_with_bases"


def numbers_of(contract: TripContract) -> dict[str, str]:
    """The columns that hold the number of a base, by which base it is: `dispatching_base`; none without bases."""
    found = {column.name: _NUMBER.fullmatch(column.name) for column in contract.columns}
    return {match[1]: name for name, match in found.items() if match}


def name_columns(contract: TripContract) -> list[str]:
    """The columns the view of trips has after those of the table."""
    return [f"{which}_name" for which in numbers_of(contract)]


def bases_view(table: str, quote: Quote = str) -> str:
    """The query of `fhv_bases`: every base once, in capital letters, as it was last called.

    Args:
        table: The table of the report, as the warehouse's SQL takes it.
        quote: How the warehouse's SQL takes a name.
    """
    number, month = f"upper(trim({quote('base_number')}))", quote("report_month")
    name, trade = quote("base_name"), quote("trade_name")
    return f"""
        SELECT {", ".join(map(quote, BASE_COLUMNS))} FROM (
            SELECT {number} AS {quote("base_number")}, {name}, nullif({trade}, '') AS {trade},
                   min({month}) OVER (PARTITION BY {number}) AS {quote("first_month")},
                   max({month}) OVER (PARTITION BY {number}) AS {quote("last_month")},
                   row_number() OVER (PARTITION BY {number} ORDER BY {month} DESC, {name}, {trade}) AS place
            FROM {table}
        ) AS reported WHERE place = 1
    """


def base_view(
    contract: TripContract, trips: str, bases: str, *, columns: Iterable[str] = ("*",), quote: Quote = str
) -> str:
    """The query of the view of trips: every trip once, whether its bases are known or not.

    Args:
        contract: The trips' contract.
        trips: The table of trips, as the warehouse's SQL takes it.
        bases: The view `fhv_bases`, likewise.
        columns: The columns of the table of trips, likewise; all of them by default.
        quote: How the warehouse's SQL takes a name.
    """
    number, name = quote("base_number"), quote("base_name")
    company = _company_of(contract, quote)
    joins = [
        f"LEFT JOIN {bases} AS {quote(which)} ON {quote(which)}.{number} = upper(trim(trips.{quote(column)}))"
        for which, column in numbers_of(contract).items()
    ]
    names = {which: f"{quote(which)}.{name}" for which in numbers_of(contract)}
    if company and _DISPATCHING in names:
        joins.append(f"LEFT JOIN {bases} AS company ON company.{number} = {company}")
        names[_DISPATCHING] = f"coalesce({names[_DISPATCHING]}, company.{name})"
    selected = [f"trips.{it}" for it in columns]
    selected += [f"{value} AS {quote(f'{which}_name')}" for which, value in names.items()]
    return f"SELECT {', '.join(selected)} FROM {trips} AS trips {' '.join(joins)}"


def _company_of(contract: TripContract, quote: Quote) -> str:
    """What the report calls the company of a trip, as SQL; empty of a dataset that has no companies."""
    cases = [
        f"WHEN '{_plain(str(code))}' THEN '{_plain(meaning.upper())}'"
        for column in contract.columns
        if column.name == _COMPANY
        for code, meaning in column.codes.items()
    ]
    return f"CASE trips.{quote(_COMPANY)} {' '.join(cases)} END" if cases else ""


def _plain(text: str) -> str:
    """A text of a contract that needs no escape in any SQL: a view takes no parameters."""
    if _PLAIN.fullmatch(text) is None:
        raise ValueError(f"{text!r} cannot stand in the definition of a view")
    return text


def is_report(contract: ReferenceContract, bases: ReferenceContract | None) -> bool:
    """Whether that is the report that the views are of."""
    return bases is not None and contract.table == bases.table
