"""What differs is asked for until it agrees: stores that refuse and come back, other stores, late datasets."""

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from taxi_platform.automation import lateness
from taxi_platform.automation.history import last_request
from taxi_platform.core.files import sha256_of
from taxi_platform.core.lake import open_lake
from taxi_platform.core.month import Month
from taxi_platform.core.warehouse.identity import store_of
from taxi_platform_tests.assets.platform import Platform, metadata_of
from taxi_platform_tests.automation.ticks import Automation, bring, report, runs_of, start
from taxi_platform_tests.core.source.server import Server, StoredFile, running_server

PUBLICATIONS, ARRIVALS, MONTHLY = "green_publications", "green_arrivals", "green_monthly"
CHAIN, LOAD = "green_trips_job", "green_to_warehouse_job"
NEWEST = "2025-11"
HOUR = timedelta(hours=1)
HEADER = "VendorID,lpep_pickup_datetime,lpep_dropoff_datetime,PULocationID,DOLocationID,trip_distance,total_amount"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


@pytest.fixture
def automation(tmp_path: Path, source: Path) -> Automation:
    return Automation(Platform(tmp_path / "data", source=str(source), is_kept=True))


def publish(source: Path, rows: int, month: str = NEWEST) -> None:
    """A month appears, or is replaced."""
    trips = [f"2,{month}-05 10:00:{it:02},{month}-05 10:20:00,43,151,1.5,9.5" for it in range(rows)]
    (source / f"green_tripdata_{month}.csv").write_text("\r\n".join([HEADER, *trips, ""]))


@contextmanager
def refused(platform: Platform) -> Generator[None, None, None]:
    """For a while the warehouse takes nothing: there is something else in the place of its file."""
    file = platform.data_dir / "warehouse.duckdb"
    kept = file.with_name("kept")
    platform.data_dir.mkdir(exist_ok=True)
    if file.exists():
        file.rename(kept)
    file.write_text("no database" * 1000)
    yield
    file.unlink()
    if kept.exists():
        kept.rename(file)


def outcomes(runs: list[dg.ExecuteInProcessResult]) -> list[bool]:
    return [it.success for it in runs]


def test_a_republished_month_whose_load_meets_one_refused_connection_is_loaded_by_itself(
    automation: Automation, source: Path
) -> None:
    publish(source, 9)
    assert outcomes(automation.tick(PUBLICATIONS)) == [True]
    publish(source, 8)
    with refused(automation.platform):
        assert outcomes(automation.tick(PUBLICATIONS)) == [False]
        assert automation.platform.in_lake("green", NEWEST).rows == 8
    assert outcomes(automation.tick(ARRIVALS)) == [True]
    assert automation.platform.table("green", NEWEST).num_rows == 8
    assert "nothing new" in automation.skip_reason(PUBLICATIONS)
    assert automation.tick(ARRIVALS) == []


@pytest.mark.campaign
def test_a_warehouse_that_is_refused_for_a_day_is_whole_again_by_itself_after_few_runs(
    automation: Automation, source: Path
) -> None:
    for month in ("2025-09", "2025-10", NEWEST):
        publish(source, 7, month)
    with refused(automation.platform):
        assert outcomes(automation.tick(PUBLICATIONS)) == [False] * 3
        for _ in range(24 * 3):
            assert not any(outcomes(automation.tick(ARRIVALS)))
            automation.clock.at += timedelta(minutes=20)
        assert len(runs_of(automation.platform, LOAD)) == 3 * 3  # now, after an hour, after six more
    while automation.clock.at.day < 18:
        automation.tick(ARRIVALS)
        automation.tick(PUBLICATIONS)
        automation.clock.at += HOUR
    for month in ("2025-09", "2025-10", NEWEST):
        assert automation.platform.table("green", month).num_rows == 7
    assert len(runs_of(automation.platform, LOAD)) == 3 * 4
    assert len(runs_of(automation.platform, CHAIN)) == 3, "what is in the lake is not made again"
    assert automation.refused == []


def test_a_month_that_was_fetched_and_got_no_further_is_asked_for_until_it_is_in_the_lake(
    automation: Automation, source: Path
) -> None:
    publish(source, 9)
    assert outcomes(automation.tick(PUBLICATIONS)) == [True]
    publish(source, 0)  # no rows where there were some: a check that blocks
    assert outcomes(automation.tick(PUBLICATIONS)) == [False]
    assert automation.tick(PUBLICATIONS) == automation.tick(ARRIVALS) == []
    automation.clock.at += HOUR
    (run,) = automation.tick(PUBLICATIONS)
    assert (run.success, run.dagster_run.tags["taxi/cause"]) == (False, "not in the lake")
    assert run.dagster_run.tags["taxi/attempt"] == "2"
    automation.cursors.clear()  # also where nobody remembers that it was asked for
    automation.clock.at += 6 * HOUR
    publish(source, 9)
    (run,) = automation.tick(PUBLICATIONS)
    assert run.success
    assert automation.skip_reason(PUBLICATIONS).startswith("nothing new")


def test_a_load_says_which_store_and_which_content_it_loaded(automation: Automation, source: Path) -> None:
    publish(source, 9)
    (run,) = automation.tick(PUBLICATIONS)
    platform = automation.platform
    told, raw = metadata_of(run, "warehouse", "green_trips"), sha256_of(source / f"green_tripdata_{NEWEST}.csv")
    assert told["store"] == f"duckdb:{platform.data_dir / 'warehouse.duckdb'}"
    assert told["sha256"] == platform.in_lake("green", NEWEST).sha256
    assert told["raw SHA-256"] == raw == metadata_of(run, "lake", "green_trips")["raw SHA-256"]
    lake = open_lake(str(platform.data_dir / "lake"), platform.data_dir)
    assert told["lake version"] == lake.versions(platform.catalog.trips["green"])[Month.parse(NEWEST)]


def with_other_warehouse(automation: Automation, url: str) -> Automation:
    """The same platform after its TAXI_WAREHOUSE_URL was changed: same folders, records and cursors."""
    platform = replace(automation.platform, warehouse_url=url)
    platform.__dict__["instance"] = automation.platform.instance
    other = Automation(platform, automation.clock)
    other.cursors = automation.cursors
    return other


def test_into_another_warehouse_every_month_is_loaded_though_the_records_say_it_was(
    automation: Automation, source: Path, tmp_path: Path
) -> None:
    months = ["2025-09", "2025-10", NEWEST]
    for month in months:
        publish(source, 7, month)
    assert outcomes(automation.tick(PUBLICATIONS)) == [True] * 3
    assert automation.tick(ARRIVALS) == []

    other = with_other_warehouse(automation, f"duckdb:///{tmp_path / 'other.duckdb'}")
    assert outcomes(other.tick(ARRIVALS)) == [True] * 3
    assert other.tick(ARRIVALS) == []
    shutil.copy(tmp_path / "other.duckdb", automation.platform.data_dir / "warehouse.duckdb")
    assert automation.platform.table("green", *months).num_rows == 21

    back = with_other_warehouse(automation, "")  # and back: nobody knows what became of it in between
    assert outcomes(back.tick(ARRIVALS)) == [True] * 3
    assert back.tick(ARRIVALS) == []


@pytest.mark.campaign
@pytest.mark.parametrize("names_its_store", [True, False])
def test_another_warehouse_is_filled_a_bounded_number_of_months_at_a_time(
    automation: Automation, tmp_path: Path, names_its_store: bool
) -> None:
    platform = automation.platform
    months = Month(2020, 1).until(Month(2024, 12))
    for month in months:
        bring(platform, "green", month)
    versions = open_lake(str(platform.data_dir / "lake"), tmp_path).versions(platform.catalog.trips["green"])
    store = {"store": store_of(f"duckdb:///{platform.data_dir / 'warehouse.duckdb'}")} if names_its_store else {}
    for month in months:  # a version of the platform before this one did not name its store
        report(platform, "warehouse", "green", month, **{"lake version": versions[month], **store})
    assert automation.admitted(ARRIVALS) == []

    other = with_other_warehouse(automation, f"duckdb:///{tmp_path / 'other.duckdb'}")
    asked = list[list[str]]()
    for _ in range(4):
        requests = other.admitted(ARRIVALS)
        asked.append([it.partition_key or "" for it in requests])
        for month in asked[-1]:
            start(platform, LOAD, month)  # it is under way, and is not asked for again
        assert len({it.run_key for it in requests}) == len(requests)
    assert [len(it) for it in asked] == [50, 10, 0, 0]
    assert [it for tick in asked for it in tick] == [str(it) for it in reversed(months)]


def test_a_new_lake_is_filled_from_what_was_fetched_a_few_months_at_a_time(automation: Automation) -> None:
    with running_server() as server:
        automation = Automation(replace(automation.platform, source=server.url))
        months = list(map(str, Month(2025, 1).until(Month(2025, 11))))
        for month in months:
            bring(automation.platform, "green", month, ETag='"v1"', bytes=1)
            serve(server, month)
        assert automation.months(PUBLICATIONS) == []
        shutil.rmtree(automation.platform.data_dir / "lake")
        asked = [automation.months(PUBLICATIONS) for _ in range(12)]
        assert max(map(len, asked)) <= 7
        assert sorted(month for tick in asked for month in tick) == months


def serve(server: Server, month: str) -> None:
    server.serve(f"/green_tripdata_{month}.csv.gz", StoredFile(b"x", '"v1"'))


def test_what_an_older_version_remembers_as_asked_for_is_looked_at_again(automation: Automation) -> None:
    """Its cursors said "once": a month that failed then is not stale for ever."""
    platform = automation.platform
    bring(platform, "green", "2025-10")
    version = open_lake(str(platform.data_dir / "lake"), platform.data_dir).versions(platform.catalog.trips["green"])
    report(platform, "warehouse", "green", "2025-10", **{"lake version": "an older one"})
    automation.cursors[ARRIVALS] = f'{{"2025-10": "{version[Month(2025, 10)]}"}}'
    assert automation.months(ARRIVALS) == ["2025-10"]

    with running_server() as server:
        automation = Automation(replace(platform, source=server.url))
        report(automation.platform, "raw", "green", NEWEST, ETag='"v0"')
        serve(server, NEWEST)
        automation.cursors[PUBLICATIONS] = f'{{"requested": {{"{NEWEST}": "\\"v1\\""}}, "walked": "{NEWEST}"}}'
        assert automation.months(PUBLICATIONS) == [NEWEST]


def test_the_run_an_older_version_asked_for_does_not_keep_its_month_from_being_asked_for(
    automation: Automation, source: Path
) -> None:
    publish(source, 3)
    (request,) = automation.admitted(PUBLICATIONS)
    old = {key: it for key, it in request.tags.items() if key not in ("taxi/wanted", "taxi/attempt", "taxi/asked_at")}
    automation.fail(PUBLICATIONS, request.with_replaced_attrs(tags=old))
    assert automation.months(PUBLICATIONS) == [NEWEST]
    assert automation.refused == []
    last = last_request(
        automation.platform.instance, CHAIN, automation.platform.catalog.trips["green"], Month(2025, 11)
    )
    assert last and last.attempt == 1


def test_the_schedule_asks_for_what_the_table_of_this_store_does_not_hold(
    automation: Automation, source: Path, tmp_path: Path
) -> None:
    day = automation.clock.at.replace(day=20, hour=6)
    publish(source, 7, "2025-09")
    assert outcomes(automation.scheduled_runs(MONTHLY, day)) == [True]
    assert automation.scheduled_runs(MONTHLY, day + timedelta(days=1)) == []

    other = with_other_warehouse(automation, f"duckdb:///{tmp_path / 'other.duckdb'}")
    assert [it.partition_key for it in other.scheduled(MONTHLY, day).run_requests or []] == ["2025-09"]

    publish(source, 6, "2025-09")
    with refused(automation.platform):
        automation.platform.run(CHAIN, "2025-09", succeeds=False)
    assert automation.scheduled(MONTHLY, day).run_requests, "the lake holds another content than the table"
    assert outcomes(automation.scheduled_runs(MONTHLY, day + timedelta(days=2))) == [True]
    assert automation.platform.table("green", "2025-09").num_rows == 6


def test_a_backfill_of_old_months_does_not_hide_that_the_newest_is_late(automation: Automation) -> None:
    platform = automation.platform
    report(platform, "raw", "green", "2025-08")
    (found,) = automation.told(PUBLICATIONS)
    assert (found.asset_key.path, found.check_name) == (["raw", "green_trips"], "newest_month_is_here")
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "the newest month is 2025-08; 2025-09 should be here" in (found.description or "")
    for month in Month(2020, 1).until(Month(2020, 12)):
        report(platform, "raw", "green", month)  # today
    assert automation.told(PUBLICATIONS) == [], "it has been said, and is as true"

    report(platform, "raw", "green", "2025-09")
    (found,) = automation.told(PUBLICATIONS)
    assert (found.passed, found.description) == (True, "the newest month is 2025-09")


def test_anybody_can_execute_the_check_of_the_newest_month(automation: Automation) -> None:
    platform, contract = automation.platform, automation.platform.catalog.trips["green"]
    report(platform, "raw", "green", "2025-08")
    check = lateness.build_lateness_check(contract, automation.clock)
    job = dg.define_asset_job("look", selection=dg.AssetSelection.checks(check))
    defs = dg.Definitions(
        [dg.AssetSpec(["raw", "green_trips"])], asset_checks=[check], jobs=[job], executor=dg.in_process_executor
    )
    run = defs.resolve_job_def("look").execute_in_process(instance=platform.instance)
    (found,) = run.get_asset_check_evaluations()
    assert not found.passed
    assert found.description and "2025-09 should be here" in found.description
