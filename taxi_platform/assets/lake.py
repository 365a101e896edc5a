"""3. `lake/<d>_trips`: the cleaned month as an object in the data lake, where other programs find it.

Before: `cleaned.py`. Next: `warehouse.py`.
"""

import dagster as dg

from taxi_platform.assets.metadata import attributes, column_lineage, table_metadata
from taxi_platform.core.catalog.model import TripContract
from taxi_platform.core.parquet import ParquetFile
from taxi_platform.io_managers.records import FINGERPRINT, RAW_SHA256
from taxi_platform.months import partitions_of


def build_lake_asset(contract: TripContract) -> dg.AssetsDefinition:
    """The asset that keeps a dataset's months in the lake."""

    @dg.asset(
        **attributes(contract, "lake"),
        ins={"cleaned": dg.AssetIn(key=["cleaned", contract.table])},
        description=f"The cleaned month in the data lake, in Hive layout. {contract.title}.",
        partitions_def=partitions_of(contract),
        kinds={"lake", "parquet"},
        metadata=table_metadata(contract, contract.stored_columns),
        io_manager_key="lake_io_manager",
        pool="lake",
    )
    def lake_trips(context: dg.AssetExecutionContext, cleaned: ParquetFile) -> ParquetFile:
        same = {column.name: [column.name] for column in contract.stored_columns}
        context.add_output_metadata(
            {"dagster/partition_row_count": cleaned.rows, RAW_SHA256: cleaned.lineage.source_sha256}
            | {FINGERPRINT: cleaned.lineage.fingerprint}
            | column_lineage("cleaned", contract, same)
        )
        return cleaned

    return lake_trips
