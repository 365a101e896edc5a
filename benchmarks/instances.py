"""Dagster's instances: prepared as `make run` prepares them, given a history, asked what a run did.

    python -m benchmarks.instances prepare                 the instance of TAXI_DATA_DIR
    python -m benchmarks.instances verify HOME RUNS        so many runs succeeded, every check evaluated and passed
    python -m benchmarks.instances remember DATA MONTHS    so many months of each dataset, in a data folder's instance
    python -m benchmarks.instances tick HOME               one look of every sensor that looks for months
    python -m benchmarks.instances await HOME              until the daemon is at work

`HOME` is an instance's folder, `DATA` a data folder with its instance in `dagster`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from benchmarks.months import CATALOG, LATEST, YELLOW
from benchmarks.work import tell, work
from taxi_platform.core.lake import object_key, open_lake
from taxi_platform.io_managers.records import LAKE_VERSION

_LAYERS = ("raw", "cleaned", "quarantine", "lake", "warehouse")
_DAEMONS = ["BACKFILL", "QUEUED_RUN_COORDINATOR"]
_PATIENCE = 120.0
#: Generated rows are as many as are asked for, and not as TLC reports trips.
_OF_REAL_TRIPS = "agrees_with_tlc_report"


@contextmanager
def instance_at(home: str) -> Iterator[dg.DagsterInstance]:
    """The instance of a folder, which is DAGSTER_HOME for this process."""
    os.environ["DAGSTER_HOME"] = home
    with dg.DagsterInstance.get() as instance:
        yield instance


def prepare() -> None:
    """Make the instance by the code that `make run` makes it by."""
    from taxi_platform.cli.start import prepared

    prepared()


def verify(home: str, count: int) -> None:
    """See that runs did all they should, and tell when the first step of the first one began."""
    from taxi_platform.checks import build_checks

    expected = {spec.name for it in build_checks(YELLOW, CATALOG) for spec in it.check_specs}
    with instance_at(home) as instance:
        runs = instance.get_runs(dg.RunsFilter(job_name="yellow_trips_job"))
        if len(runs) != count:
            raise SystemExit(f"{len(runs)} runs instead of {count}")
        for run in runs:
            found = instance.all_logs(run.run_id, dg.DagsterEventType.ASSET_CHECK_EVALUATION)
            events = [it.dagster_event for it in found if it.dagster_event]
            checks = {it.asset_check_evaluation_data.check_name: it.asset_check_evaluation_data.passed for it in events}
            passed = {name for name, has_passed in checks.items() if has_passed or name == _OF_REAL_TRIPS}
            if run.status is not dg.DagsterRunStatus.SUCCESS or passed != expected:
                raise SystemExit(f"{run.tags.get('dagster/partition')}: {run.status}, checks {checks}")
        steps = instance.all_logs(runs[-1].run_id, dg.DagsterEventType.STEP_START)
        tell(first_step=min(it.timestamp for it in steps))


def remember(data: Path, count: int) -> None:
    """Months of each dataset up to 2020-12: materializations of every layer, and objects in the lake."""
    months = LATEST.minus(count).until(LATEST.previous)
    with instance_at(str(data / "dagster")) as instance:
        for contract in CATALOG.trips.values():
            for month in months:
                place = data / "lake" / object_key(contract, month)
                place.parent.mkdir(parents=True)
                place.touch()
            versions = open_lake(str(data / "lake"), data).versions(contract)
            for month in months:
                for layer in _LAYERS:
                    told = {
                        "source URL": "somewhere",
                        "ETag": f'"{month}"',
                        "bytes": 1,
                        LAKE_VERSION: versions.get(month, ""),
                    }
                    event = dg.AssetMaterialization([layer, contract.table], partition=str(month), metadata=told)
                    instance.report_runless_asset_event(event)


def tick(home: str) -> None:
    """A look of every sensor that looks for months, when they have seen what there is to see."""
    from taxi_platform.definitions import defs

    repository = defs.get_repository_def()
    resources = repository.get_top_level_resources()
    names = [f"{dataset}_{kind}" for dataset in CATALOG.trips for kind in ("publications", "arrivals")]
    cursors: dict[str, str | None] = {}

    def look(instance: dg.DagsterInstance) -> int:
        requests = 0
        for name in names:
            sensor = repository.get_sensor_def(name)
            wanted = {key: resources[key] for key in sensor.required_resource_keys}
            with dg.build_sensor_context(
                instance, cursors.get(name), repository_def=repository, resources=wanted, sensor_name=name
            ) as context:
                found = sensor.evaluate_tick(context)
            cursors[name] = found.cursor
            requests += len(found.run_requests or ())
        return requests

    with instance_at(home) as instance:
        while look(instance):
            pass
        with work():
            look(instance)


def await_daemons(home: str) -> None:
    """Wait until the daemons that run backfills have said that they are well."""
    end = time.monotonic() + _PATIENCE
    with instance_at(home) as instance:
        while not all(it.healthy for it in instance.get_daemon_statuses(_DAEMONS).values()):
            if time.monotonic() > end:
                raise SystemExit("the daemon does not come up")
            time.sleep(0.2)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["prepare"]:
            prepare()
        case ["verify", home, runs]:
            verify(home, int(runs))
        case ["remember", data, months]:
            remember(Path(data), int(months))
        case ["tick", home]:
            tick(home)
        case ["await", home]:
            await_daemons(home)
        case _:
            raise SystemExit(__doc__)
