"""`<table>_with_zones`: a table of trips with the names of the zones a trip began and ended in, in any warehouse.

A trip is there once, whatever the lookup's table holds: one row of it speaks for each id, also where an older version,
or somebody by hand, has filled it with ids that repeat.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

from taxi_platform.core.catalog.model import ReferenceContract, TripContract

Quote = Callable[[str], str]
#: Makes of a reference table, as SQL takes it, one that has a row for each key: the first by its other columns.
OneForEach = Callable[[ReferenceContract, str, Quote], str]


def view_name(contract: TripContract) -> str:
    """The view's name, without its schema."""
    return f"{contract.table}_with_zones"


def zone_columns(contract: TripContract, zones: ReferenceContract) -> list[str]:
    """The columns the view has after those of the table."""
    return [f"{end}_{name}" for end in contract.zone_columns for name in _named(zones)]


def zone_view(
    contract: TripContract,
    zones: ReferenceContract,
    trips: str,
    lookup: str,
    *,
    columns: Iterable[str] = ("*",),
    quote: Quote = str,
    one_for_each: OneForEach | None = None,
) -> str:
    """The view's query: every trip once, whether its zones are known or not.

    Args:
        contract: The trips' contract.
        zones: The zone lookup's contract.
        trips: The table of trips, as the warehouse's SQL takes it.
        lookup: The zone lookup's table, as the warehouse's SQL takes it.
        columns: The columns of the table of trips, likewise; all of them by default.
        quote: How the warehouse's SQL takes a name.
        one_for_each: How the warehouse best picks a row for each id; by default `numbered`, which all understand.
    """
    ends = {end: quote(end) for end in contract.zone_columns}
    selected = [f"trips.{it}" for it in columns] + [
        f"{alias}.{quote(name)} AS {quote(f'{end}_{name}')}" for end, alias in ends.items() for name in _named(zones)
    ]
    unique = (one_for_each or numbered)(zones, lookup, quote)
    joins = [
        f"LEFT JOIN {unique} AS {alias} ON {alias}.{quote(zones.key)} = trips.{quote(contract.zone_columns[end])}"
        for end, alias in ends.items()
    ]
    return f"SELECT {', '.join(selected)} FROM {trips} AS trips {' '.join(joins)}"


def numbered(zones: ReferenceContract, lookup: str, quote: Quote) -> str:
    """A row for each key, by numbers; see `OneForEach`."""
    key, names, order = quote(zones.key), _list(zones, quote), _order(zones, quote)
    numbers = f"SELECT {names}, row_number() OVER (PARTITION BY {key} ORDER BY {order}) AS place FROM {lookup}"
    return f"(SELECT {names} FROM ({numbers}) AS numbered WHERE place = 1)"


def distinct(zones: ReferenceContract, lookup: str, quote: Quote) -> str:
    """A row for each key, by `DISTINCT ON`; see `OneForEach`."""
    key, names, order = quote(zones.key), _list(zones, quote), _order(zones, quote)
    return f"(SELECT DISTINCT ON ({key}) {names} FROM {lookup} ORDER BY {key}, {order})"


def definition(query: str) -> str:
    """Twelve hex digits that change whenever the view's query does, for a store that keeps it in words of its own."""
    return hashlib.sha256(query.encode()).hexdigest()[:12]


def _named(zones: ReferenceContract) -> list[str]:
    return [column.name for column in zones.columns if column.name != zones.key]


def _list(zones: ReferenceContract, quote: Quote) -> str:
    return ", ".join(quote(column.name) for column in zones.columns)


def _order(zones: ReferenceContract, quote: Quote) -> str:
    return ", ".join(f"{quote(name)} NULLS LAST" for name in _named(zones))
