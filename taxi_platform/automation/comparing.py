"""The months of a backfill are compared once more when it has ended, whoever began it and whether or not anybody looks.

What came first had nothing to be compared with (`judged_again.py`); the sensor here runs nothing and fetches nothing.
"""

import json
import time
from dataclasses import asdict, dataclass, field
from typing import Self

import dagster as dg

from taxi_platform.automation.history import Clock, clock
from taxi_platform.automation.outcomes import first_line, is_over, subject_of
from taxi_platform.automation.runs import BACKFILL, PARTITION
from taxi_platform.core.catalog import Catalog
from taxi_platform.core.month import Month
from taxi_platform.core.showing import shown
from taxi_platform.judged_again import Said, evaluations_of, judge_again, said_of
from taxi_platform.resources import LakeResource, WorkspaceResource

#: What Dagster calls a backfill that nothing more will become of.
ENDED = ("COMPLETED", "COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED")
#: Backfills looked at, the newest, and the seconds one look takes at most: a sensor has not all day.
_SEEN, _SECONDS = 50, 20.0
_LONGEST_TEXT = 500


@dataclass
class Compared:
    """What is remembered between two looks.

    Attributes:
        backfills: Those whose months were all compared.
        runs: Runs that were compared, of backfills whose months were not all.
    """

    backfills: list[str] = field(default_factory=list[str])
    runs: list[str] = field(default_factory=list[str])

    @classmethod
    def from_cursor(cls, cursor: str | None) -> Self | None:
        """Read what `to_cursor` wrote; None where nobody, or another version of the platform, did."""
        try:
            return cls(**json.loads(cursor)) if cursor else None
        except (ValueError, TypeError):
            return None

    def to_cursor(self) -> str:
        """The text a sensor keeps."""
        return json.dumps(asdict(self))


def build_comparing_sensor(catalog: Catalog, status: dg.DefaultSensorStatus, now: Clock = clock) -> dg.SensorDefinition:
    """The sensor that judges the months of a backfill again when it has ended.

    Args:
        catalog: The contracts.
        status: Whether it is on until somebody says otherwise.
        now: The clock.
    """

    @dg.sensor(
        name="comparisons",
        minimum_interval_seconds=60,
        default_status=status,
        description="When a backfill has ended, its months are compared with those that came after them.",
    )
    def comparisons(
        context: dg.SensorEvaluationContext, workspace: WorkspaceResource, lake: LakeResource
    ) -> dg.SensorResult:
        instance, at, end = context.instance, now().timestamp(), time.monotonic() + _SECONDS
        ended = [it.backfill_id for it in instance.get_backfills(limit=_SEEN) if it.status.value in ENDED]
        memory = Compared.from_cursor(context.cursor)
        if memory is None:  # who begins, begins with what ends from now on
            return dg.SensorResult(skip_reason="nothing has ended yet", cursor=Compared(ended).to_cursor())
        memory.backfills = [it for it in memory.backfills if it in ended]
        said, looked = dict[str, Said](), 0
        for backfill in (it for it in reversed(ended) if it not in memory.backfills):
            runs = last_runs(instance, backfill, at)
            if runs is None:
                continue  # one of its months may be run again
            for run in (it for it in runs if it.is_success and it.run_id not in memory.runs):
                if time.monotonic() > end:
                    return dg.SensorResult(skip_reason=f"{looked} months compared", cursor=memory.to_cursor())
                try:
                    judge_run_again(instance, workspace, lake, catalog, run, said)
                except Exception as error:  # noqa: BLE001 (the other months are compared, whatever it is)
                    why = shown(first_line(str(error), type(error).__name__), _LONGEST_TEXT)
                    context.log.warning(f"{subject_of(run)} was not compared again: {why}")
                memory.runs.append(run.run_id)
                looked += 1
            memory.backfills.append(backfill)
            memory.runs = [it for it in memory.runs if it not in {run.run_id for run in runs}]
        return dg.SensorResult(skip_reason=f"{looked} months compared", cursor=memory.to_cursor())

    return comparisons


def last_runs(instance: dg.DagsterInstance, backfill: str, now: float) -> list[dg.DagsterRun] | None:
    """The last run of each month of a backfill; None while one of them may come to another end."""
    records = instance.get_run_records(dg.RunsFilter(tags={BACKFILL: backfill}), ascending=True)
    if not all(is_over(instance, it.dagster_run, now - (it.end_time or 0.0)) for it in records):
        return None
    return list({subject_of(it.dagster_run): it.dagster_run for it in records}.values())


def judge_run_again(
    instance: dg.DagsterInstance,
    workspace: WorkspaceResource,
    lake: LakeResource,
    catalog: Catalog,
    run: dg.DagsterRun,
    said: dict[str, Said],
) -> list[dg.AssetCheckEvaluation]:
    """Judge the month of a run again.

    Args:
        instance: Dagster's instance.
        workspace: The data folder.
        lake: The lake.
        catalog: The contracts.
        run: A run that succeeded.
        said: Dataset -> what was said of it last; it is asked once, and kept here for the months after it.

    Returns:
        What the checks of the run find now.
    """
    checks, month = evaluations_of(instance, run.run_id), run.tags.get(PARTITION)
    for contract in catalog.trips.values():
        # By what was checked, not by the run's tag: the UI begins backfills of assets, whose runs carry none.
        of_it = [it for it in checks if it.asset_key.path[-1] == contract.table]
        if of_it and month:
            if contract.dataset not in said:
                said[contract.dataset] = said_of(instance, contract)
            again = judge_again(instance, workspace, lake, contract, Month.parse(month), of_it, said[contract.dataset])
            checks = [*(it for it in checks if it not in of_it), *again]
    return checks
