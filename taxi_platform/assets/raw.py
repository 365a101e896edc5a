"""1. `raw/<d>_trips`: a month's file as TLC published it, verified, with its provenance.

Next: `cleaned.py`.
"""

import time
from datetime import timedelta

import dagster as dg

from taxi_platform.assets.metadata import attributes, raw_metadata
from taxi_platform.core.catalog import Catalog
from taxi_platform.core.catalog.model import TripContract
from taxi_platform.core.source import RawFile
from taxi_platform.failures import reported
from taxi_platform.months import month_of, partitions_of
from taxi_platform.resources import SourceResource

#: TLC publishes a month 48 to 106 days after its end, so up to 89 days may pass between one month and the next. Dagster
#: counts when any month was materialized last: a backfill of old ones hides for a while that the newest is late.
FRESH = dg.FreshnessPolicy.time_window(warn_window=timedelta(days=65), fail_window=timedelta(days=95))


def build_raw_asset(contract: TripContract, catalog: Catalog) -> dg.AssetsDefinition:
    """The asset that fetches a dataset's months."""

    @dg.asset(
        **attributes(contract, "raw"),
        description=f"The month's file, as published. {contract.title}: {contract.description}",
        partitions_def=partitions_of(contract),
        kinds={"raw", "file"},
        metadata={"documentation": dg.MetadataValue.url(contract.documentation)},
        io_manager_key="raw_io_manager",
        freshness_policy=FRESH,
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
