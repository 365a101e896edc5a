"""What nobody will miss is thrown away: old runs and what they printed, and objects that were only brought here.

Deleting a run in Dagster deletes its materializations with it, and a month whose latest one is deleted would count as
never made. So the run that made the latest version of any asset's month stays, however old: there are no more of those
than months.
"""

import os
import time
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg

from taxi_platform.automation.burial import EXECUTED_BY
from taxi_platform.automation.history import Clock, clock
from taxi_platform.automation.outcomes import DATASET

#: Runs deleted in one look, and the seconds it takes at most: a sensor has not all day. The next look goes on.
_RUNS, _SECONDS = 200, 20.0
#: Runs looked at in one look: more than there are months, so that those that stay are not all it sees.
_SEEN = 5_000
#: What a tick logged is kept for so long: after three days Dagster forgets ticks, and their files would be nobody's.
TICK_LOGS = timedelta(days=2)
_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


def build_housekeeping_sensor(cache: Path, days: int, now: Clock = clock) -> dg.SensorDefinition:
    """The sensor that throws away what is older than some days; it runs nothing.

    Args:
        cache: Where objects are that were brought here from the lake.
        days: How long things are kept; 0 for ever.
        now: The clock.
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
        before, logged_before = now() - timedelta(days=days), now() - TICK_LOGS
        runs, copies = forget_runs(context.instance, before), forget_copies(cache, before)
        forget_tick_logs(context.instance, _time_in(context.cursor), logged_before)
        context.update_cursor(logged_before.isoformat())
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


def forget_tick_logs(instance: dg.DagsterInstance, after: datetime | None, before: datetime) -> int:
    """Delete what sensors and schedules logged; that they ticked, and their errors, Dagster keeps for longer.

    Args:
        instance: Dagster's instance.
        after: Ticks before it were looked at already.
        before: What was logged later stays.

    Returns:
        Of how many ticks.
    """
    deleted = 0
    since = after.timestamp() if after else None
    for state in instance.all_instigator_state():
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, before.timestamp(), since)
        for key in (it.log_key for it in ticks if it.log_key):
            instance.compute_log_manager.delete_logs(log_key=key)
            deleted += 1
    return deleted


def _time_in(cursor: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(cursor) if cursor else None
    except ValueError:  # another version of the platform wrote it
        return None


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
