"""1. `raw/<d>_trips`: a month's file as TLC published it, verified, with its provenance.

Next: `cleaned.py`.
"""

import time

import dagster as dg

from taxi_platform.assets.metadata import attributes, raw_metadata
from taxi_platform.core.catalog import Catalog
from taxi_platform.core.catalog.model import TripContract
from taxi_platform.core.source import RawFile
from taxi_platform.failures import reported
from taxi_platform.months import month_of, partitions_of
from taxi_platform.resources import SourceResource


def build_raw_asset(contract: TripContract, catalog: Catalog) -> dg.AssetsDefinition:
    """The asset that fetches a dataset's months."""

    @dg.asset(
        **attributes(contract, "raw"),
        description=f"The month's file, as published. {contract.title}: {contract.description}",
        partitions_def=partitions_of(contract),
        kinds={"raw", "file"},
        metadata={"documentation": dg.MetadataValue.url(contract.documentation)},
        io_manager_key="raw_io_manager",
        pool="source",
    )
    def raw_trips(context: dg.AssetExecutionContext, source: SourceResource) -> RawFile:
        with reported(contract.dataset):
            month = month_of(context, contract)
            started = time.monotonic()
            fetched = source.open(catalog).fetch(contract, month, context.log)
            context.add_output_metadata(
                raw_metadata(fetched.raw, changed=fetched.changed, seconds=time.monotonic() - started)
            )
            if fetched.changed:
                context.log.info(f"{contract.dataset} {month}: {fetched.raw.rows:,} rows in {fetched.raw.path.name}")
            return fetched.raw

    return raw_trips
