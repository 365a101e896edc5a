"""Sensors and schedules driven tick by tick, as Dagster's daemon does it, on the platform of a test's own."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import dagster as dg
from dagster._core.definitions.schedule_definition import ScheduleExecutionData
from dagster._core.definitions.sensor_definition import SensorExecutionData

from taxi_platform.automation import sensors
from taxi_platform.core.month import Month
from taxi_platform.resources import AlertsResource
from taxi_platform_tests.assets.platform import Platform

RUN_KEY, SENSOR, SCHEDULE = "dagster/run_key", "dagster/sensor_name", "dagster/schedule_name"
JANUARY_2026 = datetime(2026, 1, 15, 12, tzinfo=sensors.NEW_YORK)


@dataclass
class Clock:
    """A clock that stands until a test sets it."""

    at: datetime = JANUARY_2026

    def __call__(self) -> datetime:
        return self.at


@dataclass
class Automation:
    """What is on, what it remembers, and what it has asked for.

    Attributes:
        platform: What it works for.
        clock: The time it believes in.
        alerts: Who is told of failures, if not who the platform's settings say.
        cursors: What the sensors remember, by name.
        refused: Run requests that the daemon dropped, because there is a run with their key.
    """

    platform: Platform
    clock: Clock = field(default_factory=Clock)
    alerts: AlertsResource | None = None
    cursors: dict[str, str | None] = field(default_factory=dict[str, str | None])
    refused: list[dg.RunRequest] = field(default_factory=list[dg.RunRequest])

    def __post_init__(self) -> None:
        catalog, stopped = self.platform.catalog, dg.DefaultSensorStatus.STOPPED
        self.repository = self.platform.defs.get_repository_def()
        shared = self.repository.get_top_level_resources()
        self._resources = {
            "source": shared["source"],
            "lake": shared["lake"],
            "warehouse": shared["warehouse"],
            "alerts": self.alerts or shared["alerts"],
            "workspace": shared["workspace"],
        }
        self._sensors = {
            sensor.name: sensor
            for contract in catalog.trips.values()
            for sensor in (
                sensors.build_publication_sensor(contract, catalog, stopped, self.clock),
                sensors.build_arrival_sensor(contract, stopped, self.clock),
            )
        }

    def look(self, name: str) -> SensorExecutionData:
        """One evaluation of a sensor; what it remembers is kept."""
        sensor = self._sensors.get(name) or self.repository.get_sensor_def(name)
        with dg.build_sensor_context(
            self.platform.instance,
            self.cursors.get(name),
            repository_def=self.repository,
            resources=self._resources,
            sensor_name=name,
        ) as context:
            found = sensor.evaluate_tick(context)
        self.cursors[name] = found.cursor
        return found

    def skip_reason(self, name: str) -> str:
        """Why a sensor asks for nothing."""
        found = self.look(name)
        assert not found.run_requests
        assert found.skip_message
        return found.skip_message

    def admitted(self, name: str) -> list[dg.RunRequest]:
        """One evaluation of a sensor, and what the daemon would run of what it asks for."""
        return self._admitted(self.look(name).run_requests or [], {SENSOR: name})

    def months(self, name: str) -> list[str]:
        """The months of that; the runs all end at once, and bring nothing."""
        admitted = self.admitted(name)
        for request in admitted:
            self.fail(name, request)
        return [it.partition_key or "" for it in admitted]

    def fail(self, name: str, request: dg.RunRequest) -> None:
        """The run of a request ends at once, and brings nothing."""
        job = self.repository.get_sensor_def(name).job_name or ""
        self.platform.instance.create_run_for_job(
            self.platform.defs.resolve_job_def(job), tags=dict(request.tags), status=dg.DagsterRunStatus.FAILURE
        )

    def told(self, name: str) -> list[dg.AssetCheckEvaluation]:
        """One evaluation of a sensor, and what it says of its dataset."""
        return [it for it in self.look(name).asset_events if isinstance(it, dg.AssetCheckEvaluation)]

    def observed(self, name: str) -> list[dg.AssetObservation]:
        """One evaluation of a sensor, and what it has seen of what is not ours; the daemon writes it down."""
        found = [it for it in self.look(name).asset_events if isinstance(it, dg.AssetObservation)]
        for it in found:
            self.platform.instance.report_runless_asset_event(it)
        return found

    def tick(self, name: str) -> list[dg.ExecuteInProcessResult]:
        """One evaluation of a sensor, and the runs it asks for, to their end."""
        return self.execute(name, self.admitted(name))

    def execute(self, name: str, requests: Sequence[dg.RunRequest]) -> list[dg.ExecuteInProcessResult]:
        """The runs a sensor asked for, to their end."""
        job = self.repository.get_sensor_def(name).job_name or ""
        return [self._execute(request, job) for request in requests]

    def scheduled(self, name: str, at: datetime) -> ScheduleExecutionData:
        """One evaluation of a schedule."""
        schedule = self.repository.get_schedule_def(name)
        # Dagster lets a schedule have an instance only if another process could open it too: `Platform.is_kept`.
        given = dg.build_schedule_context(
            self.platform.instance, at, repository_def=self.repository, resources=self._resources
        )
        with given as context:
            return schedule.evaluate_tick(context)

    def scheduled_runs(self, name: str, at: datetime) -> list[dg.ExecuteInProcessResult]:
        """One evaluation of a schedule, and the runs it asks for, to their end."""
        schedule = self.repository.get_schedule_def(name)
        requests = self._admitted(self.scheduled(name, at).run_requests or [], {SCHEDULE: name})
        return [self._execute(request, schedule.job_name) for request in requests]

    def _admitted(self, requests: Sequence[dg.RunRequest], owner: dict[str, str]) -> list[dg.RunRequest]:
        """The requests for which the daemon finds no run of the same sensor or schedule with the same key."""
        admitted: list[dg.RunRequest] = []
        for request in requests:
            tags = {RUN_KEY: request.run_key or "", **owner}
            if self.platform.instance.get_runs(dg.RunsFilter(tags=tags), limit=1):
                self.refused.append(request)
            else:
                admitted.append(request.with_replaced_attrs(tags={**request.tags, **tags}))
        return admitted

    def _execute(self, request: dg.RunRequest, job: str) -> dg.ExecuteInProcessResult:
        return self.repository.get_job(job).execute_in_process(
            instance=self.platform.instance,
            partition_key=request.partition_key,
            tags=dict(request.tags),
            raise_on_error=False,
        )


def report(platform: Platform, layer: str, dataset: str, month: Month | str, **told: Any) -> None:
    """A month is here, by somebody's word."""
    platform.instance.report_runless_asset_event(
        dg.AssetMaterialization([layer, f"{dataset}_trips"], partition=str(month), metadata=told)
    )


def bring(platform: Platform, dataset: str, month: Month | str, **told: Any) -> None:
    """A month was fetched, and is in the lake, by somebody's word; an object is there."""
    report(platform, "raw", dataset, month, **told)
    report(platform, "lake", dataset, month)
    path = platform.in_lake(dataset, str(month)).path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def runs_of(platform: Platform, job: str) -> list[dg.DagsterRun]:
    """The runs of a job, oldest first."""
    return list(reversed(platform.instance.get_runs(dg.RunsFilter(job_name=job))))


def start(platform: Platform, job: str, month: str) -> dg.DagsterRun:
    """A run that is at work, and never done."""
    return platform.instance.create_run_for_job(
        platform.defs.resolve_job_def(job), tags={"dagster/partition": month}, status=dg.DagsterRunStatus.STARTED
    )
