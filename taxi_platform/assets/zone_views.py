"""4b. `views/<d>_trips_with_zones`: the view over a dataset's table that has the names of the zones.

The warehouse makes it with its tables, so that it always shows what they hold; here it has its place in the graph.
Before: `warehouse.py`, `reference.py`.
"""

import dagster as dg

from taxi_platform.assets.metadata import attributes, table_metadata
from taxi_platform.core.catalog import Catalog
from taxi_platform.core.catalog.model import TripContract
from taxi_platform.core.warehouse.zone_view import view_name, zone_columns

VIEWS = "views"


def build_zone_view_asset(contract: TripContract, catalog: Catalog) -> dg.AssetSpec:
    """The view of a dataset, an external asset: no run makes it, it is there with its table."""
    added = ", ".join(zone_columns(contract, catalog.zones))
    return dg.AssetSpec(
        **attributes(contract, VIEWS, view_name(contract)),
        deps=[["warehouse", contract.table], ["reference", catalog.zones.table]],
        description=f"Every trip of the table once, and besides its columns {added}. {contract.title}.",
        kinds={"view", "sql"},
        metadata=table_metadata(contract, contract.table_columns),
    )
