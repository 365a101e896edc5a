"""What nobody will miss is thrown away: old runs and what they printed, and objects that were only brought here.

Deleting a run in Dagster deletes its materializations with it, and a month whose latest one is deleted would count as
never made. So the run that made the latest version of any asset's month stays, however old: there are no more of those
than months.
"""

import os
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

from taxi_platform.automation.burial import EXECUTED_BY
from taxi_platform.automation.outcomes import DATASET

#: Runs deleted in one look, and the seconds it takes at most: a sensor has not all day. The next look goes on.
_RUNS, _SECONDS = 200, 20.0
#: Runs looked at in one look: more than there are months, so that those that stay are not all it sees.
_SEEN = 5_000
_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


def build_housekeeping_sensor(cache: Path, days: int) -> dg.SensorDefinition:
    """The sensor that throws away what is older than some days; it runs nothing.

    Args:
        cache: Where objects are that were brought here from the lake.
        days: How long things are kept; 0 for ever.
    """

    @dg.sensor(
        name="housekeeping",
        minimum_interval_seconds=3_600,
        default_status=dg.DefaultSensorStatus.RUNNING if days else dg.DefaultSensorStatus.STOPPED,
        description="Throws away old runs that made no month's latest version, what old runs printed, and old copies.",
    )
    def housekeeping(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        if not days:
            return dg.SkipReason("TAXI_KEEP_DAYS=0 keeps everything")
        before = datetime.now(UTC) - timedelta(days=days)
        runs, copies = forget_runs(context.instance, before), forget_copies(cache, before)
        return dg.SkipReason(f"thrown away: {runs} runs and {copies} copies of more than {days} days")

    return housekeeping


def forget_runs(instance: dg.DagsterInstance, before: datetime) -> int:
    """Delete the platform's runs that ended long ago, and what they printed.

    Args:
        instance: Dagster's instance; runs of others in it are not touched.
        before: What ended later stays.

    Returns:
        How many runs are no more. Of those that stay for a month's sake, only what they printed is.
    """
    old = instance.get_runs(dg.RunsFilter(statuses=_ENDED, updated_before=before), limit=_SEEN, ascending=True)
    old = [run for run in old if EXECUTED_BY in run.tags or DATASET in run.tags]
    if not old:
        return 0
    latest, end, deleted = _runs_of_latest(instance), time.monotonic() + _SECONDS, 0
    for run in old:
        if deleted == _RUNS or time.monotonic() > end:
            break
        instance.compute_log_manager.delete_logs(prefix=[run.run_id])
        if run.run_id not in latest:
            instance.delete_run(run.run_id)
            deleted += 1
    return deleted


def forget_copies(folder: Path, before: datetime) -> int:
    """Delete files below a folder that nobody has written or read for long; they can be brought here again.

    Returns:
        How many.
    """
    deleted = 0
    for parent, _, names in os.walk(folder, topdown=False):
        for path in (Path(parent, name) for name in names):
            with suppress(OSError):  # somebody else was faster, or may do what we may not
                found = path.lstat()
                if max(found.st_atime, found.st_mtime) < before.timestamp():
                    path.unlink()
                    deleted += 1
    return deleted


def _runs_of_latest(instance: dg.DagsterInstance) -> set[str]:
    """The runs that made the latest version of anything."""
    found: set[str] = set()
    for key in instance.get_asset_keys():
        records = instance.fetch_materializations(dg.AssetRecordsFilter(asset_key=key), limit=1).records
        newest = instance.event_log_storage.get_latest_storage_id_by_partition(
            key, dg.DagsterEventType.ASSET_MATERIALIZATION
        )
        if ids := list(newest.values()):
            these = dg.AssetRecordsFilter(asset_key=key, storage_ids=ids)
            records = [*records, *instance.fetch_materializations(these, limit=len(ids)).records]
        found |= {it.event_log_entry.run_id for it in records}
    return found
