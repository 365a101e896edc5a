"""1. `raw/<d>_trips`: a month's file as TLC published it, verified, with its provenance.

Before: `published.py`. Next: `cleaned.py`.
"""

import time

import dagster as dg

from taxi_platform.assets.metadata import attributes, raw_metadata
from taxi_platform.assets.published import published_key
from taxi_platform.core.catalog import Catalog
from taxi_platform.core.catalog.model import TripContract
from taxi_platform.core.lake.layers import Choice
from taxi_platform.core.month import Month
from taxi_platform.core.source import Fetched, RawFile, Source
from taxi_platform.failures import reported
from taxi_platform.months import month_of, partitions_of
from taxi_platform.resources import LakeResource, SourceResource


def build_raw_asset(contract: TripContract, catalog: Catalog) -> dg.AssetsDefinition:
    """The asset that fetches a dataset's months."""

    @dg.asset(
        **attributes(contract, "raw"),
        deps=[published_key(contract)],
        description=f"The month's file, as published. {contract.title}: {contract.description}",
        partitions_def=partitions_of(contract),
        kinds={"raw", "file"},
        metadata={"documentation": dg.MetadataValue.url(contract.documentation)},
        io_manager_key="raw_io_manager",
        pool="source",
    )
    def raw_trips(context: dg.AssetExecutionContext, source: SourceResource, lake: LakeResource) -> RawFile:
        with reported(contract.dataset):
            month = month_of(context, contract)
            started = time.monotonic()
            fetched, pin = _fetched(context, contract, month, source.open(catalog), lake)
            context.add_output_metadata(
                raw_metadata(fetched.raw, changed=fetched.changed, seconds=time.monotonic() - started)
                | {"pinned": f"since {pin.since}; `{_let_go(contract, month)}` lets go" if pin else "no"}
            )
            if fetched.changed:
                context.log.info(f"{contract.dataset} {month}: {fetched.raw.rows:,} rows in {fetched.raw.path.name}")
            return fetched.raw

    return raw_trips


def _fetched(
    context: dg.AssetExecutionContext, contract: TripContract, month: Month, source: Source, lake: LakeResource
) -> tuple[Fetched, Choice | None]:
    """The month's file, and the pin if it is pinned: then it is the lake's, and the source is not asked."""
    layers, here = lake.layers(contract.dataset, month), RawFile.in_folder(source.folder_of(contract, month))
    if here is not None and here.is_whole:
        layers.keep(here)  # what a platform fetched that kept no editions would be lost with its successor
    choice = layers.choice()
    if choice is None or not choice.pinned:
        return source.fetch(contract, month, context.log), None
    context.log.warning(f"{layers.about} is pinned to {choice.sha256[:12]}; {_let_go(contract, month)} lets go")
    raw = layers.bring(choice.sha256, source.raw_dir, context.log)
    return Fetched(raw, changed=here is None or here.sha256 != raw.sha256), choice


def _let_go(contract: TripContract, month: Month) -> str:
    return f"taxi rollback {contract.dataset} {month} latest"
