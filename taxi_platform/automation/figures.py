"""How the platform is: figures of each dataset, of the queue, of what runs by itself and of the disks.

They come from Dagster's instance, from the lake's own list of objects and from the disks. No table is asked: DuckDB
lets one process in at a time, and BigQuery would bill it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time

import dagster as dg

from taxi_platform.automation import watch
from taxi_platform.automation.choice import failures_of
from taxi_platform.automation.history import NEW_YORK, Clock, clock, latest, months_of
from taxi_platform.automation.runs import PARTITION
from taxi_platform.checks import build_checks
from taxi_platform.core.catalog import Catalog
from taxi_platform.core.catalog.model import TripContract
from taxi_platform.core.errors import LakeError
from taxi_platform.core.month import Month
from taxi_platform.core.room import Room, room_of
from taxi_platform.core.urls import duckdb_path, lake_folder
from taxi_platform.resources import lake_of
from taxi_platform.settings import Settings

LAYERS = ("raw", "cleaned", "quarantine", "lake", "warehouse")
_MOST_MONTHS = 1_000


@dataclass(frozen=True)
class DatasetFigures:
    """How a dataset is.

    Attributes:
        dataset: Which.
        months: Layer -> how many months it holds.
        newest: Its newest month; None: there is none.
        rows: Cleaned rows of that month.
        rejected_share: The share of its rows that were turned away, 0 to 1.
        age_seconds: How long ago that month ended.
        is_late: Whether a newer one should be here.
        failed: The months whose newest run failed, and why.
        outdated: The months that an older contract made.
        failing_checks: The checks whose newest result does not hold, and whether they are errors.
    """

    dataset: str
    months: Mapping[str, int]
    newest: Month | None = None
    rows: int = 0
    rejected_share: float = 0.0
    age_seconds: float = 0.0
    is_late: bool = False
    failed: Mapping[Month, str] = field(default_factory=dict[Month, str])
    outdated: Sequence[Month] = ()
    failing_checks: Mapping[str, bool] = field(default_factory=dict[str, bool])


@dataclass(frozen=True)
class Tick:
    """The last look of a sensor or schedule: its name, how it ended, and when, in seconds since 1970."""

    name: str
    status: str
    at: float


@dataclass(frozen=True)
class Figures:
    """How the platform is.

    Attributes:
        datasets: Of each.
        runs: State -> how many runs are in it.
        longest_wait_seconds: How long the oldest run in the queue has waited.
        ticks: The last looks.
        daemons: Daemon -> whether it is well.
        disks: What is kept there -> the room there.
        lake_answers: Whether the lake could be asked.
    """

    datasets: Sequence[DatasetFigures]
    runs: Mapping[str, int]
    longest_wait_seconds: float
    ticks: Sequence[Tick]
    daemons: Mapping[str, bool]
    disks: Mapping[str, Room]
    lake_answers: bool


def figures_of(
    instance: dg.DagsterInstance,
    settings: Settings,
    catalog: Catalog,
    datasets: Sequence[str] | None = None,
    now: Clock = clock,
) -> Figures:
    """Look at everything.

    Args:
        instance: Dagster's instance.
        settings: Where the lake and the disks are.
        catalog: The contracts.
        datasets: Which datasets; None: all.
        now: The clock.
    """
    contracts = [it for name, it in catalog.trips.items() if datasets is None or name in datasets]
    objects = {it.dataset: _objects(settings, it) for it in contracts}
    return Figures(
        datasets=[_of_dataset(instance, it, catalog, objects[it.dataset], now()) for it in contracts],
        runs={
            status.value.lower(): instance.get_runs_count(dg.RunsFilter(statuses=[status]))
            for status in dg.DagsterRunStatus
            if status is not dg.DagsterRunStatus.MANAGED
        },
        longest_wait_seconds=_longest_wait(instance, now()),
        ticks=_ticks(instance),
        daemons={kind: bool(it.healthy) for kind, it in instance.get_daemon_statuses().items()},
        disks=_disks(settings),
        lake_answers=None not in objects.values(),
    )


def _objects(settings: Settings, contract: TripContract) -> int | None:
    try:
        return len(lake_of(settings).open().versions(contract))
    except LakeError:
        return None


def _of_dataset(
    instance: dg.DagsterInstance, contract: TripContract, catalog: Catalog, objects: int | None, now: datetime
) -> DatasetFigures:
    keys = {layer: dg.AssetKey([layer, contract.table]) for layer in LAYERS}
    here = {layer: months_of(instance, key) for layer, key in keys.items()}
    months = {layer: len(found) for layer, found in here.items()}
    if objects is not None:
        months["lake"] = objects
    today = now.astimezone(NEW_YORK).date()
    is_late, _ = watch.lateness(contract.first_month, today, here["raw"])
    newest = max(here["cleaned"], default=None)
    known = sorted(set().union(*here.values(), _begun(instance, contract)))
    record = latest(instance, keys["cleaned"], newest) if newest else None
    rows_in = int(record.told.get("rows in", "0")) if record else 0
    rows = int(record.told.get("dagster/partition_row_count", "0")) if record else 0
    return DatasetFigures(
        dataset=contract.dataset,
        months=months,
        newest=newest,
        rows=rows,
        rejected_share=(rows_in - rows) / rows_in if rows_in else 0.0,
        age_seconds=_seconds_since(newest, now) if newest else 0.0,
        is_late=is_late,
        failed=failures_of(instance, contract, known) if known else {},
        outdated=_outdated(instance, contract, keys["cleaned"]),
        failing_checks=_failing(instance, contract, catalog),
    )


def _begun(instance: dg.DagsterInstance, contract: TripContract) -> set[Month]:
    """The months that ever failed: of some, nothing else is left."""
    failed = dg.RunsFilter(job_name=f"{contract.table}_job", statuses=[dg.DagsterRunStatus.FAILURE])
    keys = {it.tags.get(PARTITION, "") for it in instance.get_runs(failed, limit=_MOST_MONTHS)}
    return {Month.parse(it) for it in keys if it}


def _outdated(instance: dg.DagsterInstance, contract: TripContract, key: dg.AssetKey) -> list[Month]:
    newest: dict[str, str] = {}
    found = instance.fetch_materializations(dg.AssetRecordsFilter(asset_key=key), limit=_MOST_MONTHS)
    for record in found.records:
        made = record.asset_materialization
        if made is not None and made.partition and "contract version" in made.metadata:
            newest.setdefault(made.partition, str(made.metadata["contract version"].value))
    return sorted(Month.parse(month) for month, version in newest.items() if version != contract.version)


def _failing(instance: dg.DagsterInstance, contract: TripContract, catalog: Catalog) -> dict[str, bool]:
    found: dict[str, bool] = {}
    for spec in (spec for checks in build_checks(contract, catalog) for spec in checks.check_specs):
        record = instance.get_latest_asset_check_evaluation_record(spec.key)
        event = record.event.dagster_event if record and record.event else None
        if event is None or event.event_type is not dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            continue  # it was never judged, or its newest run did not come that far
        if (result := event.asset_check_evaluation_data) and not result.passed:
            found[spec.name] = result.severity == dg.AssetCheckSeverity.ERROR
    return found


def _seconds_since(month: Month, now: datetime) -> float:
    return (now - datetime.combine(month.next.first_day, time.min, NEW_YORK)).total_seconds()


def _longest_wait(instance: dg.DagsterInstance, now: datetime) -> float:
    queued = dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED])
    oldest = instance.get_run_records(queued, limit=1, ascending=True)
    created = oldest[0].create_timestamp if oldest else None
    if created is None:
        return 0.0
    return max(0.0, (now - (created if created.tzinfo else created.replace(tzinfo=UTC))).total_seconds())


def _ticks(instance: dg.DagsterInstance) -> list[Tick]:
    found: list[Tick] = []
    for state in instance.all_instigator_state():
        newest = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)
        found += [Tick(state.instigator_name, it.status.value.lower(), it.timestamp) for it in newest]
    return sorted(found, key=lambda it: it.name)


def _disks(settings: Settings) -> dict[str, Room]:
    database = duckdb_path(settings.warehouse_url)
    folders = {
        "data": settings.data_dir,
        "lake": lake_folder(settings.lake_url),
        "warehouse": database.parent if database else None,
    }
    return {name: room_of(folder) for name, folder in folders.items() if folder is not None}


def by_severity(it: DatasetFigures) -> Counter[str]:
    """How many checks do not hold, by whether they are errors or warnings."""
    return Counter("error" if is_error else "warning" for is_error in it.failing_checks.values())
