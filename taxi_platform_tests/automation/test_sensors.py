"""The publication sensors, driven tick by tick over a real web server and an instance that forgets."""

from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from taxi_platform.automation import sensors
from taxi_platform.automation.watch import KNOWN_PER_TICK, NEW_PER_TICK
from taxi_platform.core.month import Month
from taxi_platform.core.source import SourceError
from taxi_platform_tests.assets.platform import Platform, metadata_of
from taxi_platform_tests.automation.ticks import Automation, bring, runs_of, start
from taxi_platform_tests.core.source.server import Answer, Behaviour, Server, StoredFile, running_server

DATASETS = ["yellow", "green", "fhv", "fhvhv"]
GREEN, JOB = "green_publications", "green_trips_job"
#: On 2026-01-15 the newest month that can be published is November.
NEWEST = "2025-11"
CLOUDFRONT, S3 = {"Server": "CloudFront"}, {"Server": "AmazonS3"}


@pytest.fixture
def server() -> Generator[Server, None, None]:
    with running_server() as running:
        yield running


@pytest.fixture
def automation(server: Server, tmp_path: Path) -> Automation:
    return Automation(Platform(tmp_path / "data", source=server.url))


def path(month: str, dataset: str = "green", ending: str = "csv.gz") -> str:
    return f"/{dataset}_tripdata_{month}.{ending}"


def publish(server: Server, month: str, version: str = "v1", dataset: str = "green") -> None:
    """Announce a month; whoever fetches it finds out that it is none."""
    server.serve(path(month, dataset), StoredFile(b"x" * len(version), f'"{version}"', f"the day of {version}"))


def here(automation: Automation, first: str, last: str, version: str = "v1") -> None:
    """Months that came as far as the lake, as somebody published them."""
    for month in Month.parse(first).until(Month.parse(last)):
        bring(automation.platform, "green", month, ETag=f'"{version}"', bytes=len(version))


def asked_for(month: str, again: str) -> str:
    """What is said of a month that did not arrive."""
    return f"{month} was asked for and did not arrive; it is asked for again from 2026-01-15 {again} EST"


def request_of(automation: Automation) -> dg.RunRequest:
    (request,) = automation.look(GREEN).run_requests or []
    return request


def test_a_month_is_asked_for_when_it_is_published_and_not_again(automation: Automation, server: Server) -> None:
    here(automation, "2025-08", "2025-10")
    for month in ("2025-08", "2025-09", "2025-10"):
        publish(server, month)
    assert automation.skip_reason(GREEN) == f"nothing new; {NEWEST} is not published yet"

    publish(server, NEWEST)
    request = request_of(automation)
    assert request.partition_key == NEWEST
    assert request.run_key == f'green {NEWEST} "v1"'
    assert request.tags["taxi/dataset"] == "green"
    assert request.tags["taxi/cause"] == "published"
    assert request.tags["dagster/partition"] == NEWEST

    automation.fail(GREEN, request)
    for _ in range(3):
        assert automation.skip_reason(GREEN) == f"nothing new; {asked_for(NEWEST, '13:00')}"


def test_what_tlc_announces_is_written_down_once_for_each_version(automation: Automation, server: Server) -> None:
    publish(server, NEWEST)
    (seen,) = automation.observed(GREEN)
    assert (seen.asset_key, seen.partition) == (dg.AssetKey(["tlc", "green_trips"]), NEWEST)
    assert (seen.metadata["ETag"].value, seen.metadata["bytes"].value) == ('"v1"', 2)
    assert seen.metadata["source URL"].value == f"{server.url}{path(NEWEST)}"
    assert automation.observed(GREEN) == []

    publish(server, NEWEST, "v2")
    assert [it.metadata["ETag"].value for it in automation.observed(GREEN)] == ['"v2"']


def test_where_nothing_is_known_the_months_on_their_way_are_asked_for_and_no_history(
    automation: Automation, server: Server
) -> None:
    for month in Month.parse("2024-01").until(Month.parse("2025-10")):
        publish(server, str(month))
    assert automation.months(GREEN) == ["2025-09", "2025-10"]
    for _ in range(3):
        assert automation.skip_reason(GREEN).startswith(f"nothing new; {NEWEST} is not published yet; 2025-")


def test_a_month_published_after_its_successor_is_asked_for(automation: Automation, server: Server) -> None:
    here(automation, "2025-07", "2025-09")
    publish(server, NEWEST)
    assert automation.months(GREEN) == [NEWEST]
    assert "2025-10 is not published yet" in automation.skip_reason(GREEN)
    publish(server, "2025-10")
    assert automation.months(GREEN) == ["2025-10"]


@pytest.mark.parametrize("refusal", [Answer(404), Answer(410), Answer(403, headers=S3)])
def test_a_month_that_is_not_published_is_a_quiet_skip(
    automation: Automation, server: Server, refusal: Behaviour
) -> None:
    here(automation, "2025-10", "2025-10")
    publish(server, "2025-10")
    for ending in ("csv.gz", "csv", "parquet"):
        server.serve(path(NEWEST, ending=ending), refusal)
        server.serve(path("2025-09", ending=ending), refusal)
    assert automation.skip_reason(GREEN) == (
        f"nothing new; 2025-09 is not published yet; {NEWEST} is not published yet"
    )


def test_a_republished_month_is_run_again_with_its_new_etag_once(automation: Automation, server: Server) -> None:
    here(automation, "2025-01", NEWEST)
    for month in Month.parse("2025-01").until(Month.parse(NEWEST)):
        publish(server, str(month))
    for _ in range(4):  # a turn over all of them
        assert automation.skip_reason(GREEN) == "nothing new"

    publish(server, "2025-03", "v2")
    found = list[dg.RunRequest]()
    for _ in range(8):
        found += automation.admitted(GREEN)
        if len(found) == 1:
            automation.fail(GREEN, found[0])
    (request,) = found
    assert request.partition_key == "2025-03"
    assert request.run_key == 'green 2025-03 "v2"'
    assert request.tags["taxi/cause"] == "republished"


def test_a_month_that_is_only_stamped_anew_is_not_run_again(automation: Automation, server: Server) -> None:
    here(automation, NEWEST, NEWEST)
    server.serve(path(NEWEST), StoredFile(b"xx", '"v1"', "another day"))
    automation.skip_reason(GREEN)


@pytest.mark.parametrize("headers", [{}, {"Last-Modified": "the day of v1"}])
def test_a_server_without_etags_is_understood(automation: Automation, server: Server, headers: dict[str, str]) -> None:
    bring(automation.platform, "green", NEWEST, **{"ETag": "none", "bytes": 2, "last modified": "the day of v1"})
    server.serve(path(NEWEST), Answer(200, b"xx", headers))
    automation.skip_reason(GREEN)
    server.serve(path(NEWEST), Answer(200, b"xxx", headers))
    assert automation.months(GREEN) == [NEWEST]
    automation.skip_reason(GREEN)


def test_a_version_that_goes_and_comes_back_is_run_each_time(automation: Automation, server: Server) -> None:
    causes = list[str]()
    for version in ("v1", "v2", "v1", "v2"):
        publish(server, NEWEST, version)
        for _ in range(2):
            for request in automation.admitted(GREEN):
                automation.fail(GREEN, request)
                causes.append(str(request.tags["taxi/cause"]))
        here(automation, NEWEST, NEWEST, version)  # as the run would
        automation.skip_reason(GREEN)
    assert causes == ["published", "republished", "republished", "republished"]


def test_a_month_nobody_recorded_the_version_of_is_run_once_it_changes(automation: Automation, server: Server) -> None:
    bring(automation.platform, "green", NEWEST)  # "Report materialization" in the UI
    publish(server, NEWEST)
    for _ in range(2):
        automation.skip_reason(GREEN)
    publish(server, NEWEST, "v2")
    assert automation.months(GREEN) == [NEWEST]
    automation.skip_reason(GREEN)


def test_a_month_that_was_withdrawn_is_said_and_left_as_it_is(automation: Automation) -> None:
    here(automation, "2025-09", NEWEST)
    assert automation.skip_reason(GREEN) == (
        f"nothing new; 2025-09 is not published any more; 2025-10 is not published any more; "
        f"{NEWEST} is not published any more"
    )


def test_a_month_somebody_materialized_before_the_sensor_saw_it_is_not_run_again(tmp_path: Path) -> None:
    automation = Automation(Platform(tmp_path / "data", sample_rows=50))
    for month in ("2025-09", "2025-10", NEWEST):
        automation.platform.run(JOB, month)
    for _ in range(2):
        assert automation.skip_reason(GREEN) == "nothing new"


@pytest.mark.parametrize("job", [JOB, "green_to_lake_job"])
def test_a_month_that_a_run_is_at_work_for_is_left_to_it(automation: Automation, server: Server, job: str) -> None:
    here(automation, "2025-10", "2025-10")
    publish(server, "2025-10")
    publish(server, NEWEST)
    run = start(automation.platform, job, NEWEST)
    assert automation.skip_reason(GREEN) == "nothing new; 2025-09 is not published yet"
    assert server.asked(path(NEWEST)) == []

    automation.platform.instance.report_run_failed(run)
    assert automation.months(GREEN) == [NEWEST]


def test_what_somebody_materializes_in_the_ui_is_left_to_that_run(automation: Automation, server: Server) -> None:
    publish(server, NEWEST)
    for table, asked in (("green_trips", []), ("yellow_trips", [NEWEST])):
        run = automation.platform.instance.create_run_for_job(
            automation.repository.get_implicit_job_def_for_assets([dg.AssetKey(["raw", table])])
            or automation.platform.defs.resolve_implicit_global_asset_job_def(),
            tags={"dagster/partition": NEWEST},
            status=dg.DagsterRunStatus.STARTED,
            asset_selection=frozenset({dg.AssetKey(["raw", table])}),
        )
        assert automation.months(GREEN) == asked
        automation.platform.instance.report_run_canceled(run)
        automation.cursors.clear()


def test_a_restart_without_its_cursor_asks_for_nothing_twice(tmp_path: Path, server: Server) -> None:
    automation = Automation(Platform(tmp_path / "data", source=server.url))
    for month in ("2025-09", "2025-10"):
        publish(server, month)  # no whole file: their runs fail
    assert [run.success for run in automation.tick(GREEN)] == [False, False]

    automation.cursors.clear()
    assert automation.tick(GREEN) == []
    assert automation.refused == []
    assert len(runs_of(automation.platform, JOB)) == 2


def test_a_run_that_failed_is_asked_for_again_after_growing_pauses_and_at_once_when_the_file_changes(
    automation: Automation, server: Server
) -> None:
    here(automation, "2025-08", "2025-10")
    server.serve(path(NEWEST), StoredFile(b"<html>We'll be back soon</html>", '"maintenance"'))
    for hours in (1, 6, 24, 72, 168, 168):
        (run,) = automation.tick(GREEN)
        assert not run.success
        for _ in range(2):
            assert automation.tick(GREEN) == []
        automation.clock.at += timedelta(hours=hours, minutes=-1)
        assert automation.tick(GREEN) == []
        automation.clock.at += timedelta(minutes=1)
    assert automation.refused == []

    assert len(automation.tick(GREEN)) == 1
    publish(server, NEWEST, "v1")
    assert [it for _ in range(3) for it in automation.months(GREEN)] == [NEWEST]


def test_a_throttled_source_is_left_alone_and_what_it_said_before_counts(
    automation: Automation, server: Server
) -> None:
    publish(server, "2025-09")
    server.serve(path("2025-10"), Answer(403, headers=CLOUDFRONT))
    assert automation.months(GREEN) == ["2025-09"]
    asked = len(server.requests)

    automation.clock.at += timedelta(minutes=14)
    assert automation.skip_reason(GREEN) == "the source refused to answer; it is left alone until 2026-01-15 12:15 EST"
    assert len(server.requests) == asked

    automation.clock.at += timedelta(minutes=1)
    publish(server, NEWEST)
    assert automation.months(GREEN) == [NEWEST]  # its turn: the month that refused comes last
    automation.clock.at += timedelta(minutes=29)
    assert "left alone until 2026-01-15 12:45 EST" in automation.skip_reason(GREEN)


def test_a_source_that_says_when_to_come_back_is_obeyed(automation: Automation, server: Server) -> None:
    refusal = Answer(429, headers={"Retry-After": "7200"})
    server.serve(path("2025-09"), refusal, refusal, StoredFile(b"x"))  # to HEAD, and to GET
    assert "left alone until 2026-01-15 14:00 EST" in automation.skip_reason(GREEN)
    automation.clock.at += timedelta(minutes=119)
    assert "left alone until 2026-01-15 14:00 EST" in automation.skip_reason(GREEN)
    assert len(server.requests) == 2
    automation.clock.at += timedelta(minutes=1)
    assert automation.months(GREEN) == ["2025-09"]


def test_a_server_that_is_not_there_is_left_alone_too(tmp_path: Path) -> None:
    automation = Automation(Platform(tmp_path / "data", source="http://127.0.0.1:9"))
    assert "refused to answer" in automation.skip_reason(GREEN)


def test_a_month_that_is_refused_for_good_does_not_keep_the_others_back(automation: Automation, server: Server) -> None:
    server.serve(path("2025-09"), Answer(401))
    publish(server, "2025-10")
    assert automation.months(GREEN) == ["2025-10"]
    with pytest.raises(SourceError, match="refuses"):  # and it is seen: the tick fails
        automation.look(GREEN)


def test_a_slow_source_is_asked_for_less_at_a_time(
    automation: Automation, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensors, "LONGEST_LOOK", 0.0)
    for month in ("2025-09", "2025-10", NEWEST):
        publish(server, month)
    assert [automation.months(GREEN) for _ in range(3)] == [["2025-09"], ["2025-10"], [NEWEST]]


@pytest.mark.parametrize("refusal", [Answer(404), Answer(403, headers=S3)])
def test_a_tick_asks_for_a_few_months_whatever_is_missing(
    automation: Automation, server: Server, refusal: Answer
) -> None:
    here(automation, "2014-01", "2024-12")  # all of them withdrawn, and a year missing
    for month in Month.parse("2014-01").until(Month.parse(NEWEST)):
        for ending in ("csv.gz", "csv", "parquet"):
            server.serve(path(str(month), ending=ending), refusal)
    automation.look(GREEN)
    assert len({request.path.split(".")[0] for request in server.requests}) == NEW_PER_TICK + KNOWN_PER_TICK
    # A file that is not there is asked for in three places, and S3's 403 has to be seen by GET.
    assert len(server.requests) <= (NEW_PER_TICK + KNOWN_PER_TICK) * 3 * (1 if refusal.status == 404 else 2)


def test_a_tick_over_the_whole_history_of_all_datasets_costs_a_few_questions(
    automation: Automation, server: Server
) -> None:
    platform, months = automation.platform, Month.parse("2009-04").until(Month.parse(NEWEST))
    assert len(months) == 200
    for dataset in DATASETS:
        for month in months:
            publish(server, str(month), dataset=dataset)
            bring(platform, dataset, month, ETag='"v1"', bytes=2)
    with counted_queries() as queries:
        for dataset in DATASETS:
            assert automation.skip_reason(f"{dataset}_publications") == "nothing new"

    assert len(server.requests) == len(DATASETS) * KNOWN_PER_TICK
    # Of each dataset a dozen, and four of each month that is looked at; of 200 months one each would be 800.
    assert len(queries) <= len(DATASETS) * (12 + 6 * KNOWN_PER_TICK)


def test_the_run_of_a_republished_month_shows_what_changed(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    automation = Automation(Platform(tmp_path / "data", source=str(source)))
    file = source / "green_tripdata_2025-11.csv"
    header = "VendorID,lpep_pickup_datetime,lpep_dropoff_datetime,PULocationID,DOLocationID,trip_distance,total_amount"
    trip = "2,2025-11-05 10:00:{:02},2025-11-05 10:20:00,43,151,1.5,9.5"
    file.write_text("\r\n".join([header, *(trip.format(it) for it in range(5)), "2,rubbish,rubbish,1,1,1,1", ""]))
    (first,) = automation.tick(GREEN)
    file.write_text("\r\n".join([header, *(trip.format(it) for it in range(3)), ""]))
    (second,) = automation.tick(GREEN)

    assert first.success and second.success
    assert second.dagster_run.tags["taxi/cause"] == "republished"
    assert metadata_of(first, "cleaned", "green_trips")["replaces"] == "nothing"
    change = metadata_of(second, "cleaned", "green_trips")["change"]
    assert "| rows in | 6 | 3 | -3 |" in change
    assert "| cleaned | 5 | 3 | -2 |" in change
    assert "| quarantined | 1 | 0 | -1 |" in change


@contextmanager
def counted_queries() -> Generator[list[str], None, None]:
    """What the storages of this process's instances are asked for in the block, in SQL."""
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        asked.extend([statement] if statement.startswith("SELECT") else [])

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(Engine, "before_cursor_execute", note)
