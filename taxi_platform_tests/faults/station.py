"""A platform whose sensors are on, published months, and a clock that is moved: what comes of them by itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg

from taxi_platform.automation.history import NEW_YORK
from taxi_platform.automation.jobs import RETRIES, build_jobs
from taxi_platform.automation.runs import UNFINISHED
from taxi_platform_tests.assets.platform import Platform
from taxi_platform_tests.automation.ticks import Automation, Clock
from taxi_platform_tests.core.source.server import Answer, Request, Server, StoredFile, running_server
from taxi_platform_tests.faults.months import Version
from taxi_platform_tests.faults.seen import COLUMNS, month_in, unlike
from taxi_platform_tests.faults.stores import DuckDBFile, FolderLake, Warehouse
from taxi_platform_tests.test_develop import until

ROOT = Path(__file__).parents[2]
PUBLICATIONS, ARRIVALS = SENSORS = ("green_publications", "green_arrivals")
HOUR = timedelta(hours=1)
#: So early in 2021 that the newest months of `MONTHS` are what TLC publishes now.
_BEGIN = datetime(2021, 4, 15, 12, tzinfo=NEW_YORK)
#: Hours without a run after which nothing more is asked for, and hours in which that must be so.
_QUIET, _LONGEST = 26, 24 * 14
#: Looks of a sensor in which every new month has its turn.
_LOOKS = 8


@dataclass
class Station:
    """The platform of green, from outside.

    Attributes:
        folder: Everything of it that is a file.
        web: Where months are published.
        instance: Dagster's, with the settings of `make dev`.
        warehouse: Where months are loaded.
        published: The newest version of each month.
    """

    folder: Path
    web: Server
    instance: dg.DagsterInstance
    warehouse: Warehouse
    published: dict[str, Version] = field(default_factory=dict[str, Version])

    def __post_init__(self) -> None:
        url = "" if isinstance(self.warehouse, DuckDBFile) else self.warehouse.url
        self.platform = Platform(self.folder / "data", self.web.url, warehouse_url=url)
        shared = self.platform.defs
        # With no time between the tries of a step: here the clock is moved, and nobody sleeps.
        at_once = build_jobs(self.platform.catalog, dg.RetryPolicy(max_retries=RETRIES.max_retries))
        self.platform.__dict__["defs"] = dg.Definitions(
            assets=shared.assets,
            asset_checks=shared.asset_checks,
            jobs=at_once,
            sensors=shared.sensors,
            resources=shared.resources,
        )
        self.platform.__dict__["instance"] = self.instance
        self.automation = Automation(self.platform, Clock(_BEGIN))

    @property
    def home(self) -> Path:
        """The folder of Dagster's instance."""
        return self.folder / "dagster"

    def publish(self, version: Version, *, stalls: bool = False) -> None:
        """A month appears, or is replaced; a server that stalls sends half of it, and nothing more."""
        stored = StoredFile(version.body, etag=f'"{version.name}"')

        def behaviour(request: Request) -> Answer:
            answer = stored(request)
            return replace(answer, stall_at=len(answer.body) // 2) if stalls else answer

        self.web.serve(f"/green_tripdata_{version.month}.csv.gz", behaviour)
        self.published[version.month] = version

    def settle(self) -> Iterator[str]:
        """Hours pass: the sensors look, what they ask for is run, until nothing is asked for. What is wrong then."""
        quiet = 0
        for _ in range(_LONGEST):
            ran = [run for name in SENSORS for run in self.automation.tick(name)]
            quiet = 0 if ran else quiet + 1
            if quiet > _QUIET:
                yield from self.wrong()
                return
            self.automation.clock.at += HOUR
        yield f"runs were still asked for after {_LONGEST} hours"

    def wrong(self) -> Iterator[str]:
        """In what the stores are not what was published, and what is left of runs."""
        objects, rows = FolderLake(self.platform.data_dir / "lake").objects(), self.warehouse.rows(COLUMNS)
        for month, version in self.published.items():
            found = month_in(self.platform.data_dir, objects, rows, month)
            yield from (f"{month}: {it}" for it in unlike(version, found))
            if found.files["lake"] != found.files["cleaned"]:
                yield f"{month}: the lake's object is not the file that was checked"
        if rows.keys() != self.published.keys():
            yield f"the table has the months {sorted(rows)}, not {sorted(self.published)}"
        if self.automation.refused:
            yield f"requests that the daemon dropped: {[it.run_key for it in self.automation.refused]}"
        for run in self.instance.get_runs(dg.RunsFilter(statuses=[*UNFINISHED])):
            yield f"run {run.run_id} of {run.tags.get('dagster/partition')} is still {run.status.value}"
        if taken := self.places_taken():
            yield f"{taken} places of pool 'source' are taken, and no run is at work"

    def places_taken(self) -> int:
        """How many places of the pool of the source are."""
        return len(self.instance.event_log_storage.get_concurrency_info("source").claimed_slots)

    @contextmanager
    def at_work(self, request: dg.RunRequest) -> Generator[subprocess.Popen[str], None, None]:
        """The run of a request in a process of its own, as `dagster job execute`; it is gone when the block ends."""
        others = ("TAXI_", "DAGSTER_", "PYTEST_", "MAKE")
        environ = {name: value for name, value in os.environ.items() if not name.startswith(others)} | {
            "DAGSTER_HOME": str(self.home),
            "PYTHONPATH": str(ROOT),
            "TAXI_DATA_DIR": str(self.platform.data_dir),
            "TAXI_SOURCE": self.web.url,
        }
        tags = {**request.tags, "dagster/partition": request.partition_key or ""}
        command = [str(Path(sys.executable).with_name("dagster")), "job", "execute", "-m", "taxi_platform.definitions"]
        command += ["-j", "green_trips_job", "--tags", json.dumps(tags)]
        with (
            (self.folder / f"{request.partition_key}.log").open("w") as log,
            subprocess.Popen(command, cwd=self.folder, env=environ, stderr=log, text=True) as process,
        ):
            try:
                yield process
            finally:
                process.kill()

    def killed_while_fetching(self, *versions: Version) -> Iterator[str]:
        """The sensor asks for months that are published; all of their runs are killed while they fetch."""
        for version in versions:
            self.publish(version, stalls=True)
        asked = self.asked_for(len(versions))
        if sorted(it.partition_key or "" for it in asked) != sorted(it.month for it in versions):
            yield f"{[it.partition_key for it in asked]} were asked for, not all that was published"
        with ExitStack() as stack:
            runs = [stack.enter_context(self.at_work(it)) for it in asked]
            until(lambda: self._are_fetching(len(runs)) or any(it.poll() is not None for it in runs))
        for version in versions:
            self.publish(version)
        if self.places_taken() != len(versions):
            yield f"{self.places_taken()} runs were killed while they fetched, not {len(versions)}"

    def asked_for(self, months: int) -> list[dg.RunRequest]:
        """What the sensor asks for as new; it asks for a few months at a time."""
        asked = list[dg.RunRequest]()
        for _ in range(_LOOKS):
            asked += self.automation.admitted(PUBLICATIONS)
            if len(asked) >= months:
                break
        return asked

    def _are_fetching(self, runs: int) -> bool:
        parts = list((self.platform.data_dir / "raw" / "green").glob("*/.*.part"))
        return self.places_taken() == runs == len(parts)


@contextmanager
def station(folder: Path, warehouse: Warehouse | None = None) -> Generator[Station, None, None]:
    """A platform that has done nothing yet, with a folder as lake.

    Args:
        folder: An empty folder, or none.
        warehouse: The warehouse; without one a DuckDB file.
    """
    (folder / "dagster").mkdir(parents=True)
    settings = (ROOT / "deploy" / "local" / "dagster.yaml").read_bytes()
    (folder / "dagster" / "dagster.yaml").write_bytes(settings)
    store = warehouse or DuckDBFile(folder / "data" / "warehouse.duckdb")
    with running_server() as web, dg.DagsterInstance.from_config(str(folder / "dagster")) as instance:
        yield Station(folder, web, instance, store)
