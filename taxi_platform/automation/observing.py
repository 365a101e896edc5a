"""What the source announces of a month is written down once per version: the history of TLC's file in the UI."""

import dagster as dg

from taxi_platform.assets.published import published_key
from taxi_platform.core.catalog.model import TripContract
from taxi_platform.core.month import Month
from taxi_platform.core.showing import LONGEST_TEXT, shown
from taxi_platform.core.source import Publication

_VERSION = "version"


def observation_of(
    instance: dg.DagsterInstance, contract: TripContract, month: Month, found: Publication
) -> dg.AssetObservation | None:
    """What the source announces of a month; None where that was observed last, too.

    Args:
        instance: Whose records say what was observed.
        contract: The dataset.
        month: The month.
        found: What the source announces.
    """
    key, version = published_key(contract), shown(found.version, LONGEST_TEXT)
    asked = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[str(month)])
    for record in instance.fetch_observations(asked, limit=1).records:
        before = record.event_log_entry.asset_observation
        if before is not None and before.metadata.get(_VERSION) == dg.MetadataValue.text(version):
            return None
    told = {
        _VERSION: version,
        "source URL": shown(found.url, LONGEST_TEXT),
        "ETag": shown(found.etag or "none"),
        "last modified": shown(found.last_modified or "unknown"),
    } | ({"bytes": found.bytes} if found.bytes is not None else {})
    return dg.AssetObservation(key, partition=str(month), metadata=told)
