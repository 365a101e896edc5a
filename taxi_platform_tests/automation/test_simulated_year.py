"""A year of TLC's publications, with everything on: late, out of order, republished, throttled."""

import random
from collections import Counter
from collections.abc import Generator
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq
import pytest

from taxi_platform.automation.alerts import GATHERING
from taxi_platform.automation.sensors import NEW_YORK
from taxi_platform.automation.watch import KNOWN_PER_TICK, UNSETTLED_PER_TICK
from taxi_platform.core.catalog import Catalog, load_catalog
from taxi_platform.core.cleaning import clean
from taxi_platform.core.files import sha256_of
from taxi_platform.core.month import Month
from taxi_platform.core.source import Publication, RawFile
from taxi_platform.core.source.inspection import inspect
from taxi_platform.core.source.sample import write_month
from taxi_platform.resources import AlertsResource
from taxi_platform_tests.assets.platform import Platform, metadata_of
from taxi_platform_tests.automation.endpoint import running_endpoint
from taxi_platform_tests.automation.test_agreement import refused
from taxi_platform_tests.automation.ticks import Automation, runs_of
from taxi_platform_tests.automation.watching import Watch as Alerts
from taxi_platform_tests.core.source.server import Answer, Behaviour, Request, Server, StoredFile, running_server
from taxi_platform_tests.core.warehouse.months import rows_in

pytestmark = [
    pytest.mark.long,
    # Minutes each; what a year is made of is tested day by day in test_sensors, test_agreement and test_arrivals.
    pytest.mark.campaign,
    # One of Apprise's hundred services looks for an old part of Python's library.
    pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning"),
]
DATASETS = ["yellow", "green", "fhv", "fhvhv"]
MONTHS = Month(2023, 11).until(Month(2024, 10))
#: Published after its successor.
OVERTAKEN = ("green", Month(2024, 4))
REPUBLISHED, THROTTLED = 6, 20
ROWS, FEWER_ROWS = 30, 20


@dataclass
class Tlc:
    """TLC as a web server: what it publishes when, and how often it refuses.

    Attributes:
        server: What it answers with.
        catalog: The contracts, by which its files are made.
        folder: Where they are made.
        calendar: What is to be published, by day.
        refusals: The refusals that are still to come, each with the day from which on.
        published: What it has published: dataset and month -> the versions of the file.
        refused: How often it has refused.
        today: The date.
    """

    server: Server
    catalog: Catalog
    folder: Path
    calendar: dict[date, list[tuple[str, Month]]]
    refusals: list[tuple[date, Answer]]
    published: dict[tuple[str, Month], list[StoredFile]] = field(
        default_factory=dict[tuple[str, Month], list[StoredFile]]
    )
    refused: int = 0
    today: date = date.min

    def turn_to(self, day: date) -> None:
        """Publish what this day brings; a month that was there is replaced by one with fewer rows."""
        self.today = day
        for dataset, month in self.calendar.get(day, []):
            versions = self.published.setdefault((dataset, month), [])
            path = self.folder / f"{dataset}_tripdata_{month}.csv.gz"
            write_month(self.catalog.trips[dataset], month, FEWER_ROWS if versions else ROWS, path)
            versions.append(StoredFile(path.read_bytes(), f'"{dataset} {month} {len(versions) + 1}"', f"{day}"))
            self.server.serve(f"/{path.name}", self._unless_it_refuses(versions[-1]))
        for dataset in DATASETS:
            for month in MONTHS:
                if (dataset, month) not in self.published:
                    self.server.serve(f"/{dataset}_tripdata_{month}.csv.gz", self._unless_it_refuses(Answer(404)))

    def _unless_it_refuses(self, behaviour: Behaviour) -> Behaviour:
        def answer(request: Request) -> Answer:
            # Whoever is refused by HEAD asks once more by GET: the two are one refusal.
            if self.refusals and self.refusals[0][0] <= self.today:
                if request.method == "HEAD":
                    return self.refusals[0][1]
                self.refused += 1
                return self.refusals.pop(0)[1]
            return behaviour(request)

        return answer


def calendar_of(seed: int) -> dict[date, list[tuple[str, Month]]]:
    """What is published on which day: each month 48 to 106 days after its end, six of them twice."""
    chance = random.Random(seed)
    calendar: dict[date, list[tuple[str, Month]]] = {}
    days: dict[tuple[str, Month], date] = {}
    for dataset in DATASETS:
        for month in MONTHS:
            lag = 106 if (dataset, month) == OVERTAKEN else chance.choice([48, 50, 52, 52, 55, 60, 75, 106])
            days[dataset, month] = month.next.first_day + timedelta(days=lag)
    overtaking = OVERTAKEN[0], OVERTAKEN[1].next
    days[overtaking] = overtaking[1].next.first_day + timedelta(days=48)
    for key, day in days.items():
        calendar.setdefault(day, []).append(key)
    for key in chance.sample([it for it in days if it[1] <= Month(2024, 8)], REPUBLISHED):
        calendar.setdefault(days[key] + timedelta(days=chance.randint(10, 60)), []).append(key)
    assert days[overtaking] < days[OVERTAKEN]
    return calendar


@pytest.fixture
def tlc(tmp_path: Path) -> Generator[Tlc, None, None]:
    calendar = calendar_of(seed=5)
    first, last = min(calendar), max(calendar)
    chance = random.Random(7)
    kinds = [Answer(403, headers={"Server": "CloudFront"}), Answer(429, headers={"Retry-After": "7200"})]
    days = sorted(first + timedelta(days=chance.randint(0, (last - first).days)) for _ in range(THROTTLED))
    with running_server() as server:
        refusals = [(day, kinds[number % 2]) for number, day in enumerate(days)]
        (tmp_path / "published").mkdir()
        yield Tlc(server, load_catalog(), tmp_path / "published", calendar, refusals)


@pytest.mark.timeout(1200)  # it takes a minute and a half; on a machine that is busy with other things, several
def test_a_year_of_publications_lands_once_each_without_a_failure(tlc: Tlc, tmp_path: Path) -> None:
    with running_endpoint() as somebody:
        alerts = AlertsResource(urls=somebody.url(), ui_url="http://localhost:3000")
        automation = Automation(Platform(tmp_path / "data", source=tlc.server.url, is_kept=True), alerts=alerts)
        live_through_a_year(tlc, automation, tmp_path)
    assert "failure" not in somebody.gravities


def live_through_a_year(tlc: Tlc, automation: Automation, tmp_path: Path) -> None:
    platform, runs = automation.platform, list[dg.ExecuteInProcessResult]()
    alerts = list[str | None]()
    alerts.append(automation.look("alerts").skip_message)  # from now on
    first, last = min(tlc.calendar) - timedelta(days=3), max(tlc.calendar) + timedelta(days=7)
    for number in range((last - first).days):
        day = first + timedelta(days=number)
        tlc.turn_to(day)
        if number % 2 and day.day != 20:
            continue  # looking every second day shows as much, in half the time
        automation.clock.at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
        for dataset in DATASETS:
            known = {str(month) for name, month in tlc.published if name == dataset and is_here(platform, name, month)}
            asked = len(tlc.server.requests)
            found = automation.admitted(f"{dataset}_publications")
            walked = {it.path[-14:-7] for it in tlc.server.requests[asked:]} & known
            assert len(walked) <= KNOWN_PER_TICK + UNSETTLED_PER_TICK
            runs += automation.execute(f"{dataset}_publications", found)
            if day.day == 20:
                morning = datetime(day.year, day.month, day.day, 6, tzinfo=NEW_YORK)
                runs += automation.scheduled_runs(f"{dataset}_monthly", morning)
            runs += automation.tick(f"{dataset}_arrivals")
        alerts.append(automation.look("alerts").skip_message)

    assert tlc.refused == THROTTLED
    assert len(tlc.published) == 48
    landed = Counter(
        (it.dagster_run.job_name, it.dagster_run.tags["dagster/partition"], told["ETag"])
        for it in runs
        for told in [metadata_of(it, "raw", f"{it.dagster_run.tags['taxi/dataset']}_trips")]
    )
    versions = {
        (f"{dataset}_trips_job", str(month), version.etag)
        for (dataset, month), files in tlc.published.items()
        for version in files
    }
    assert landed == Counter(versions)
    assert len(versions) == 48 + REPUBLISHED
    assert all(run.success for run in runs)
    assert automation.refused == []
    causes = Counter(run.dagster_run.tags["taxi/cause"] for run in runs)
    assert causes == {"published": 48, "republished": REPUBLISHED}
    for dataset in DATASETS:
        assert runs_of(platform, f"{dataset}_to_warehouse_job") == []
    titles = [
        title for it in alerts if it and it.startswith("told: ") for title in it.removeprefix("told: ").split("; ")
    ]
    assert all(title.endswith(("does not hold", "holds again")) for title in titles), "these months are small"
    for (dataset, month), files in tlc.published.items():
        warned = Counter(it for it in titles if it.startswith(f"{dataset} {month}: ") and it.endswith("does not hold"))
        assert max(warned.values(), default=0) <= len(files), "once per file"
    for (dataset, month), files in tlc.published.items():
        assert table_of(platform, dataset, month) == rows_of(tlc.catalog, dataset, month, files[-1].body, tmp_path)
    republished = [run for run in runs if run.dagster_run.tags["taxi/cause"] == "republished"]
    for run in republished:
        change = metadata_of(run, "cleaned", f"{run.dagster_run.tags['taxi/dataset']}_trips")["change"]
        assert f"| rows in | {ROWS} | {FEWER_ROWS} | {FEWER_ROWS - ROWS:+} |" in change


def is_here(platform: Platform, dataset: str, month: Month) -> bool:
    return platform.raw_folder(dataset, str(month)).exists()


def table_of(platform: Platform, dataset: str, month: Month) -> list[tuple[object, ...]]:
    return rows_in(platform.table(dataset, str(month)).drop_columns(["source_month"]))


def rows_of(catalog: Catalog, dataset: str, month: Month, body: bytes, folder: Path) -> list[tuple[object, ...]]:
    """The rows a published file holds, cleaned without the platform."""
    contract = catalog.trips[dataset]
    path, work = folder / f"{dataset}_tripdata_{month}.csv.gz", folder / f"{dataset} {month}"
    path.write_bytes(body)
    work.mkdir()
    publication = Publication(f"https://example.com/{path.name}", len(body))
    found = inspect(path, publication, f"{dataset} {month}")
    raw = RawFile(path, publication, sha256_of(path), len(body), found.rows, found.encoding, "")
    return rows_in(pq.read_table(clean(contract, month, raw, contract.actions(), work).cleaned.path))


@pytest.mark.timeout(1200)  # as above
def test_a_year_in_which_every_tenth_load_meets_an_outage_ends_whole_by_itself_and_no_alert_comes_twice(
    tlc: Tlc, tmp_path: Path
) -> None:
    with running_endpoint() as endpoint:
        automation = Automation(Platform(tmp_path / "data", source=tlc.server.url, is_kept=True))
        platform, started, failed = automation.platform, 0, list[str]()
        alerts = Alerts(platform.instance, endpoint.url())
        alerts.look()  # from now on

        def execute(name: str) -> None:
            nonlocal started
            for request in automation.admitted(name):
                started += 1
                with refused(platform) if started % 10 == 3 else nullcontext():
                    (run,) = automation.execute(name, [request])
                if not run.success:
                    failed.append(f"{run.dagster_run.tags['taxi/dataset']} {request.partition_key}")

        first, last = min(tlc.calendar) - timedelta(days=3), max(tlc.calendar) + timedelta(days=14)
        for number in range(0, (last - first).days, 2):
            for day in (first + timedelta(days=number - 1), first + timedelta(days=number)):
                tlc.turn_to(day)
            automation.clock.at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
            for dataset in DATASETS:
                execute(f"{dataset}_publications")
                execute(f"{dataset}_arrivals")
            alerts.look()
        alerts.ahead += GATHERING  # what comes in quick succession here comes in one message
        alerts.look()
    looks = [it.removeprefix("told: ").split("; ") for it in alerts.said if it.startswith("told: ")]
    # These months are small, and some warn of it.
    told = Counter(it for titles in looks for it in titles if not it.endswith(("does not hold", "holds again")))

    versions = 48 + REPUBLISHED
    assert len(failed) >= versions // 10
    assert started <= versions + len(failed), "nothing is asked for but what differs"
    for (dataset, month), files in tlc.published.items():
        assert table_of(platform, dataset, month) == rows_of(tlc.catalog, dataset, month, files[-1].body, tmp_path)
        assert automation.skip_reason(f"{dataset}_arrivals") == "every object in the lake is loaded, or about to be"
    assert automation.refused == []
    assert set(told.values()) == {1}
    assert {title.partition(" failed")[0] for title in told if " failed" in title} == set(failed)
    assert {title.removesuffix(" recovered") for title in told if "recovered" in title} == set(failed)
