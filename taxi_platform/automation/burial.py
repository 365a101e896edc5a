"""Runs whose process is gone: who executes a run is recorded on it, and whoever comes next buries the dead.

A process that is killed says nothing: its run would stay at work for ever, and keep its places in the pools. So every
run that begins (`executor.py`), the launcher behind the daemon and `make backfill` look for such runs first.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import dagster as dg
from filelock import FileLock, Timeout

from taxi_platform.automation.runs import BEGUN
from taxi_platform.core.processes import ProcessIdentity

#: The tag that says who executes a run.
EXECUTED_BY = "taxi/executed_by"
#: The tag of what `make run` and its like have started; all of that is executed by `executor.py`.
LAUNCHED = "taxi/launch"
#: Seconds in which a run that was begun records who executes it, even on a machine that is very busy.
_RECORDED_AFTER = 180.0
#: Seconds after its end in which a run nobody recorded gives back its places itself.
_FREED_AFTER = 60.0
_PATIENCE = 10.0


def record(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Write on a run that this process executes it."""
    told = {"run": run.run_id} | asdict(ProcessIdentity.current())
    instance.add_run_tags(run.run_id, {EXECUTED_BY: json.dumps(told)})


def executor_of(run: dg.DagsterRun) -> ProcessIdentity | None:
    """Who executes a run, or did; None if nobody has recorded it.

    A run that is done again has the tags of the one before it, and with them who executed that.
    """
    try:
        told = json.loads(run.tags.get(EXECUTED_BY, "{}"))
        return ProcessIdentity(**told) if told.pop("run", "") == run.run_id else None
    except (ValueError, TypeError, AttributeError):
        return None  # by a version that records something else


def bury(instance: dg.DagsterInstance, but: str = "") -> list[dg.DagsterRun]:
    """Fail the runs whose process is gone, and give back what ended runs still have of the pools.

    Args:
        instance: Dagster's instance.
        but: A run that is not looked at.

    Returns:
        The runs that were failed.
    """
    with _turn(instance) as is_ours:
        if not is_ours:
            return []  # somebody is at it
        found = instance.get_run_records(dg.RunsFilter(statuses=[*BEGUN]))
        dead = [it.dagster_run for it in found if it.dagster_run.run_id != but and _is_dead(it)]
        buried = [run for run in dead if _fail(instance, run)]
        _free_places(instance)
        return buried


def free(instance: dg.DagsterInstance, run_id: str) -> None:
    """Give back the places in pools of a run whose process is gone."""
    if instance.event_log_storage.supports_global_concurrency_limits:
        instance.event_log_storage.free_concurrency_slots_for_run(run_id)


def why(run: dg.DagsterRun) -> str:
    """What is said of a run whose process is gone."""
    executor = executor_of(run)
    where = f" (pid {executor.pid} on {executor.host.split()[0]})" if executor else ""
    return f"the process that executed it is gone{where}: it was killed, or the machine was restarted"


def _is_dead(record: dg.RunRecord) -> bool:
    run = record.dagster_run
    if executor := executor_of(run):
        return executor.has_ended()
    if run.status is dg.DagsterRunStatus.NOT_STARTED:
        # As Dagster's own run monitoring has it, where there is a daemon.
        return time.time() - record.create_timestamp.timestamp() > _RECORDED_AFTER
    is_launched = LAUNCHED in run.tags and run.status is dg.DagsterRunStatus.STARTED
    return is_launched and time.time() - (record.start_time or time.time()) > _RECORDED_AFTER


def _fail(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    # Only now: whoever has ended meanwhile had said before how.
    now = instance.get_run_by_id(run.run_id)
    if now is None or now.status not in BEGUN:
        return False
    if now.status is dg.DagsterRunStatus.CANCELING:
        instance.report_run_canceled(now, why(now))
    else:
        instance.report_run_failed(now, why(now))
    free(instance, run.run_id)
    return True


def _free_places(instance: dg.DagsterInstance) -> None:
    """Give back what runs that have ended did not: killed after their last word, or failed by somebody else."""
    storage = instance.event_log_storage
    if not storage.supports_global_concurrency_limits or not (holders := storage.get_concurrency_run_ids()):
        return
    ended = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
    for it in instance.get_run_records(dg.RunsFilter(run_ids=list(holders), statuses=ended)):
        executor = executor_of(it.dagster_run)
        seconds = time.time() - (it.end_time or time.time())
        if executor.has_ended() if executor else seconds > _FREED_AFTER:
            free(instance, it.dagster_run.run_id)


@contextmanager
def _turn(instance: dg.DagsterInstance) -> Iterator[bool]:
    """One at a time on this machine: a run is failed once, and told once."""
    lock = FileLock(Path(instance.root_directory) / ".burial.lock", timeout=_PATIENCE)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    except OSError:  # a folder nobody may write to: told twice is better than not at all
        yield True
        return
    try:
        yield True
    finally:
        lock.release()
