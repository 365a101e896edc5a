"""`<table>_with_zones`: a table of trips with the names of the zones a trip began and ended in, in any warehouse."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from taxi_platform.core.catalog.model import ReferenceContract, TripContract


def view_name(contract: TripContract) -> str:
    """The view's name, without its schema."""
    return f"{contract.table}_with_zones"


def zone_columns(contract: TripContract, zones: ReferenceContract) -> list[str]:
    """The columns the view has after those of the table."""
    _, *named = (column.name for column in zones.columns)
    return [f"{end}_{name}" for end in contract.zone_columns for name in named]


def zone_view(
    contract: TripContract,
    zones: ReferenceContract,
    trips: str,
    lookup: str,
    *,
    columns: Iterable[str] = ("*",),
    quote: Callable[[str], str] = str,
) -> str:
    """The view's query: every trip once, whether its zones are known or not.

    Args:
        contract: The trips' contract.
        zones: The zone lookup's contract; its first column is its key.
        trips: The table of trips, as the warehouse's SQL takes it.
        lookup: The zone lookup's table, as the warehouse's SQL takes it.
        columns: The columns of the table of trips, likewise; all of them by default.
        quote: How the warehouse's SQL takes a name.
    """
    key, *named = (column.name for column in zones.columns)
    ends = {end: quote(end) for end in contract.zone_columns}
    selected = [f"trips.{it}" for it in columns] + [
        f"{alias}.{quote(name)} AS {quote(f'{end}_{name}')}" for end, alias in ends.items() for name in named
    ]
    joins = [
        f"LEFT JOIN {lookup} AS {alias} ON {alias}.{quote(key)} = trips.{quote(contract.zone_columns[end])}"
        for end, alias in ends.items()
    ]
    return f"SELECT {', '.join(selected)} FROM {trips} AS trips {' '.join(joins)}"
