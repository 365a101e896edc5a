"""Marts follow their months: which are behind, and the sensor that has them worked out.

It compares, month by month, what was loaded last with what was worked out last. Dagster's declarative conditions tell
of updates since a mart was handled, and forget one that comes in the very minute in which it is (tried): the mart would
be stale for good.
"""

from collections.abc import Iterator, Mapping, Sequence

import dagster as dg

from taxi_platform.assets.marts import mart_key
from taxi_platform.automation.history import Clock, clock
from taxi_platform.automation.runs import RANGE_END, RANGE_START, UNFINISHED
from taxi_platform.core.catalog import Catalog
from taxi_platform.core.month import Month
from taxi_platform.marts import Mart

#: The jobs that work marts out.
_JOBS = ("marts_job", "report_job")
#: Runs asked for in one look, each about months that follow each other; the newest first.
_MOST = 12
_LOOK_SECONDS = 60


def months_behind(instance: dg.DagsterInstance, catalog: Catalog, marts: Sequence[Mart]) -> dict[Month, int]:
    """The months of which a table was loaded after a mart was worked out, or that a mart lacks.

    Returns:
        Month -> what the storage counts the load as that came last; a later one has a higher number.
    """
    behind: dict[Month, int] = {}
    loads = {
        contract.dataset: _newest(instance, dg.AssetKey(["warehouse", contract.table]))
        for contract in catalog.trips.values()
    }
    for mart in marts:
        made = _newest(instance, mart_key(mart))
        for contract in mart.datasets(catalog):
            for month, number in loads[contract.dataset].items():
                if number > made.get(month, 0):
                    key = Month.parse(month)
                    behind[key] = max(behind.get(key, 0), number)
    return dict(sorted(behind.items()))


def build_marts_sensor(
    catalog: Catalog, marts: Sequence[Mart], status: dg.DefaultSensorStatus, now: Clock = clock
) -> dg.SensorDefinition:
    """The sensor that has the months worked out that are behind; until they are, it asks again every hour."""

    @dg.sensor(
        name="marts",
        job_name=_JOBS[0],
        minimum_interval_seconds=_LOOK_SECONDS,
        default_status=status,
        description="Works the marts out for months that were loaded since, however old they are.",
    )
    def follow(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        instance = context.instance
        if any(instance.get_runs_count(dg.RunsFilter(job_name=it, statuses=[*UNFINISHED])) for it in _JOBS):
            yield dg.SkipReason("marts are being worked out")
            return
        behind = months_behind(instance, catalog, marts)
        if not behind:
            yield dg.SkipReason("every mart has every month that is loaded")
        for first, last in list(reversed(_ranges([*behind])))[:_MOST]:
            newest = max(number for month, number in behind.items() if first <= month <= last)
            yield dg.RunRequest(
                run_key=f"{first} {last} {newest} {now():%Y-%m-%dT%H}",
                tags={RANGE_START: str(first), RANGE_END: str(last)},
            )

    return follow


def _newest(instance: dg.DagsterInstance, key: dg.AssetKey) -> Mapping[str, int]:
    """Month -> the number of the last materialization of it."""
    return instance.event_log_storage.get_latest_storage_id_by_partition(key, dg.DagsterEventType.ASSET_MATERIALIZATION)


def _ranges(months: Sequence[Month]) -> list[tuple[Month, Month]]:
    """The first and last of each run of months, of months in order."""
    ranges: list[tuple[Month, Month]] = []
    for month in months:
        if ranges and ranges[-1][1].next == month:
            ranges[-1] = ranges[-1][0], month
        else:
            ranges.append((month, month))
    return ranges
