"""`reference/taxi_zones`: what location ids stand for. It has no months."""

import dagster as dg
import pyarrow as pa

from taxi_platform.assets.metadata import table_metadata
from taxi_platform.core.catalog import Catalog
from taxi_platform.core.editions import held_still
from taxi_platform.core.reference import read_reference_file
from taxi_platform.failures import reported
from taxi_platform.resources import SourceResource


def build_zones_asset(catalog: Catalog) -> dg.AssetsDefinition:
    """The asset that fetches the zone lookup into the warehouse."""
    contract = catalog.zones

    @dg.asset(
        key=["reference", contract.table],
        description=f"{contract.title}. {contract.description}",
        group_name="reference",
        owners=[contract.owner],
        tags={"taxi/layer": "reference"},
        kinds={"table"},
        metadata=table_metadata(contract, contract.columns),
        io_manager_key="reference_io_manager",
    )
    def taxi_zones(context: dg.AssetExecutionContext, source: SourceResource) -> pa.Table:
        with reported(contract.table):
            raw = source.open(catalog).fetch_reference(contract, context.log).raw
            context.add_output_metadata({"source URL": raw.publication.url, "SHA-256": raw.sha256})
            with held_still(contract.table, raw):
                zones = read_reference_file(contract, raw)
            context.log.info(f"{contract.table}: {zones.num_rows} rows from {raw.publication.url}")
            return zones

    return taxi_zones
