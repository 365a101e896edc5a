"""4. `warehouse/<d>_trips`: the month's rows in one table, told from other months' by `source_month`.

Before: `lake.py`. The checks on it are in `checks.py`.
"""

import dagster as dg

from taxi_platform.assets.metadata import attributes, column_lineage, preview, table_metadata
from taxi_platform.core.catalog import Catalog
from taxi_platform.core.catalog.model import TripContract
from taxi_platform.core.parquet import ParquetFile
from taxi_platform.failures import reported
from taxi_platform.months import partitions_of
from taxi_platform.resources import WarehouseResource


def build_warehouse_asset(contract: TripContract, catalog: Catalog) -> dg.AssetsDefinition:
    """The asset that keeps a dataset's months in the warehouse."""

    @dg.asset(
        **attributes(contract, "warehouse"),
        ins={"lake": dg.AssetIn(key=["lake", contract.table])},
        description=f"Every month in one table. {contract.title}: {contract.description}",
        partitions_def=partitions_of(contract),
        kinds={"warehouse", "table"},
        metadata=table_metadata(contract, contract.table_columns),
        io_manager_key="warehouse_io_manager",
        pool="warehouse",
    )
    def warehouse_trips(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource, lake: ParquetFile
    ) -> ParquetFile:
        # A month's object may be anybody's: that it is no Parquet file shows here.
        with reported(f"{contract.dataset} {context.partition_key}"):
            same = {column.name: [column.name] for column in contract.stored_columns}
            lineage = lake.known_lineage
            context.add_output_metadata(
                {
                    "dagster/table_name": warehouse.open(catalog).table_name(contract),
                    "source URL": lineage.source_url
                    if lineage
                    else "unknown: somebody else put the object into the lake",
                    "edition": lineage.edition if lineage else "unknown",
                    "preview": preview(lake),
                }
                | column_lineage("lake", contract, same)
            )
        return lake

    return warehouse_trips
