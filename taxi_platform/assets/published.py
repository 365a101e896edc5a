"""0. `tlc/<d>_trips`: the month's file where TLC has it. Nothing of ours makes it; the publication sensor observes it.

Next: `raw.py`.
"""

import dagster as dg

from taxi_platform.assets.metadata import attributes
from taxi_platform.core.catalog.model import TripContract
from taxi_platform.months import partitions_of

#: The layer before all others, which is not ours.
TLC = "tlc"


def published_key(contract: TripContract) -> dg.AssetKey:
    """The key of what TLC publishes of a dataset."""
    return dg.AssetKey([TLC, contract.table])


def build_published_asset(contract: TripContract) -> dg.AssetSpec:
    """What TLC publishes of a dataset, an external asset: the graph begins with it."""
    return dg.AssetSpec(
        **attributes(contract, TLC),
        description=f"The month's file at its source, as the source announces it. {contract.title}.",
        partitions_def=partitions_of(contract),
        kinds={"file"},
        metadata={"documentation": dg.MetadataValue.url(contract.documentation)},
    )
