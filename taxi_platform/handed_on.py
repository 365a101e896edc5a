"""The name of the content a run has handed on from one asset to the next: it stands in Dagster's own records.

There it outlives the process: a run that goes on after a failure takes what its predecessor has checked, or nothing.
"""

import dagster as dg

from taxi_platform.core.month import Month

#: The metadata by which a materialization names the content it made: the file's SHA-256, in hex.
CONTENT = "sha256"


def name_handed_on(context: dg.InputContext, month: Month) -> str | None:
    """What the run that made an input says it is; None where no run hands it on, as for somebody in a notebook."""
    try:
        run_id = context.upstream_output.run_id if context.upstream_output else ""
        return name_made(context.instance, run_id, context.asset_key, month) if run_id else None
    except dg.DagsterInvariantViolationError:  # Dagster's word for a context that has no run
        return None


def name_of_latest(instance: dg.DagsterInstance, key: dg.AssetKey, month: Month) -> tuple[str, int] | None:
    """What a month's asset was when it was last made, whoever made it and where, and its rows; None if it never was."""
    asked = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[str(month)])
    for record in instance.fetch_materializations(asked, limit=1).records:
        made = record.asset_materialization
        if made is not None and CONTENT in made.metadata:
            rows = made.metadata.get("dagster/partition_row_count")
            return str(made.metadata[CONTENT].value), int(str(rows.value)) if rows else -1
    return None


def name_made(instance: dg.DagsterInstance, run_id: str, key: dg.AssetKey, month: Month) -> str | None:
    """What a run has made of a month's asset; None if it has not made it."""
    made = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION, ascending=False)
    for record in made.records:
        event = record.event_log_entry.asset_materialization
        if event is not None and event.asset_key == key and event.partition == str(month) and CONTENT in event.metadata:
            return str(event.metadata[CONTENT].value)
    return None
