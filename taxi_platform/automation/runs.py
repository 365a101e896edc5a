"""How Dagster tells a run's month and backfill, and which of its states are not the last."""

import dagster as dg

#: The tags of the month a run is about, and of the backfill it belongs to.
PARTITION, BACKFILL = "dagster/partition", "dagster/backfill"
#: The tags of the first and the last month of a run that is about many.
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
#: States in which somebody is at work on a run, or should be.
BEGUN = (
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)
#: States after which something more becomes of a run.
UNFINISHED = (dg.DagsterRunStatus.QUEUED, *BEGUN)
