"""`<table>_with_zones`: a table of trips with the names of the zones a trip began and ended in, in any warehouse."""

from __future__ import annotations

from taxi_platform.core.catalog.model import ReferenceContract, TripContract


def view_name(contract: TripContract) -> str:
    """The view's name, without its schema."""
    return f"{contract.table}_with_zones"


def zone_columns(contract: TripContract, zones: ReferenceContract) -> list[str]:
    """The columns the view has after those of the table."""
    _, *named = (column.name for column in zones.columns)
    return [f"{end}_{name}" for end in contract.zone_columns for name in named]


def zone_view(contract: TripContract, zones: ReferenceContract, trips: str, lookup: str) -> str:
    """The view's query: every trip once, whether its zones are known or not.

    Args:
        contract: The trips' contract.
        zones: The zone lookup's contract; its first column is its key.
        trips: The table of trips, as the warehouse's SQL takes it.
        lookup: The zone lookup's table, as the warehouse's SQL takes it.
    """
    key, *named = (column.name for column in zones.columns)
    columns = ", ".join(f"{end}.{name} AS {end}_{name}" for end in contract.zone_columns for name in named)
    joins = " ".join(
        f"LEFT JOIN {lookup} AS {end} ON {end}.{key} = trips.{column}" for end, column in contract.zone_columns.items()
    )
    return f"SELECT trips.*, {columns} FROM {trips} AS trips {joins}"
