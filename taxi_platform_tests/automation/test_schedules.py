"""The schedules: the safety net, once a month, in New York's time."""

from collections.abc import Generator
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path

import dagster as dg
import pytest
from dagster._utils.schedules import schedule_execution_time_iterator

from taxi_platform.automation.schedules import turn_of
from taxi_platform.automation.sensors import NEW_YORK
from taxi_platform.core.lake import open_lake
from taxi_platform.core.lake.layers import MonthLayers
from taxi_platform.core.month import Month
from taxi_platform.definitions import build_definitions
from taxi_platform.settings import Settings
from taxi_platform_tests.assets.platform import Platform, checks_of
from taxi_platform_tests.automation.ticks import Automation, report, start
from taxi_platform_tests.core.source.server import Answer, Server, StoredFile, running_server

GREEN, JOB = "green_monthly", "green_trips_job"
#: On this day the months up to August have been over for more than 106 days.
DECEMBER = datetime(2025, 12, 20, 6, tzinfo=NEW_YORK)


@pytest.fixture
def server() -> Generator[Server, None, None]:
    with running_server() as running:
        yield running


@pytest.fixture
def automation(server: Server, tmp_path: Path) -> Automation:
    automation = Automation(Platform(tmp_path / "data", source=server.url, is_kept=True))
    for month in ("2025-04", "2025-05"):
        report(automation.platform, "warehouse", "green", month)
    return automation


def publish(server: Server, *months: str) -> None:
    for month in months:
        server.serve(path(month), StoredFile(b"x"))


def path(month: str) -> str:
    return f"/green_tripdata_{month}.csv.gz"


def requested(automation: Automation, at: datetime = DECEMBER) -> list[str]:
    return [it.partition_key or "" for it in automation.scheduled(GREEN, at).run_requests or []]


def test_every_month_since_the_last_one_that_should_be_there_by_now_is_run(
    automation: Automation, server: Server
) -> None:
    publish(server, "2025-06", "2025-07", "2025-08", "2025-09", "2025-10")
    found = automation.scheduled(GREEN, DECEMBER).run_requests or []
    assert [it.partition_key for it in found] == ["2025-06", "2025-07", "2025-08"]
    assert [it.run_key for it in found] == [
        f"green {month} due 2025-12-20" for month in ("2025-06", "2025-07", "2025-08")
    ]
    assert found[0].tags["taxi/dataset"] == "green"
    assert found[0].tags["taxi/cause"] == "overdue"
    assert found[0].tags["dagster/partition"] == "2025-06"


def test_a_month_that_never_reached_the_table_is_run_again_though_others_have_since(
    automation: Automation, server: Server
) -> None:
    publish(server, "2025-06", "2025-07", "2025-08")
    report(automation.platform, "raw", "green", "2025-06")  # fetched, and failed on its way to the table
    report(automation.platform, "warehouse", "green", "2025-08")
    assert requested(automation) == ["2025-06", "2025-07"]


def test_what_is_here_is_not_run_again(automation: Automation, server: Server) -> None:
    publish(server, "2025-06", "2025-07", "2025-08")
    for month in ("2025-06", "2025-07", "2025-08"):
        report(automation.platform, "warehouse", "green", month)
    assert automation.scheduled(GREEN, DECEMBER).skip_message == "every month due is here, or on its way"
    assert server.requests == []


def test_a_month_that_is_due_and_not_published_is_a_skip_that_says_so(automation: Automation, server: Server) -> None:
    assert automation.scheduled(GREEN, DECEMBER).skip_message == (
        "not published, though it should be: 2025-06, 2025-07, 2025-08"
    )
    publish(server, "2025-07")
    assert requested(automation) == ["2025-07"]


def test_a_month_that_is_pinned_is_not_run(automation: Automation, server: Server) -> None:
    publish(server, "2025-06", "2025-07", "2025-08")
    lake = open_lake(str(automation.platform.data_dir / "lake"), automation.platform.data_dir / ".lake")
    for month in ("2025-06", "2025-07", "2025-08"):
        layers = MonthLayers(lake, "green", Month.parse(month))
        layers.choose("0" * 64, pinned=month != "2025-07")
    assert requested(automation) == ["2025-07"]
    report(automation.platform, "warehouse", "green", "2025-07")
    assert automation.scheduled(GREEN, DECEMBER).skip_message == (
        "every month due is here, or on its way; pinned: 2025-06, 2025-08"
    )


def test_every_month_of_the_table_is_verified_in_as_few_weeks_as_can_be() -> None:
    months = Month(2020, 1).until(Month(2020, 11))
    sunday = date(2025, 12, 21)
    weeks = [turn_of(months, sunday + timedelta(weeks=it)) for it in range(4)]
    assert sorted(it for week in weeks for it in week) == months
    assert max(map(len, weeks)) == 3
    assert turn_of(months, sunday + timedelta(weeks=4)) == weeks[0] == turn_of(months, sunday + timedelta(days=3))
    assert turn_of([], sunday) == []


def test_a_week_verifies_months_that_are_there_and_finds_one_that_was_changed(tmp_path: Path) -> None:
    automation = Automation(Platform(tmp_path / "data", sample_rows=50, is_kept=True))
    automation.platform.run(JOB, "2021-01")
    day = datetime(2025, 12, 21, 4, tzinfo=NEW_YORK)
    (run,) = automation.scheduled_runs("green_verify_weekly", day)
    assert checks_of(run) == {"table_matches_lake": True}
    assert automation.scheduled_runs("green_verify_weekly", day) == []

    automation.platform.sql("UPDATE taxi.green_trips SET fare_amount = fare_amount + 1 WHERE rowid = 7")
    (run,) = automation.scheduled_runs("green_verify_weekly", day + timedelta(weeks=1))
    assert checks_of(run) == {"table_matches_lake": False}
    assert not run.success
    skipped = automation.scheduled("yellow_verify_weekly", day).skip_message
    assert skipped == "no month is in the table that no run is at work on"


def test_months_that_are_on_their_way_are_left_alone(automation: Automation, server: Server) -> None:
    publish(server, "2025-06", "2025-07", "2025-08")
    start(automation.platform, JOB, "2025-06")
    start(automation.platform, "green_to_lake_job", "2025-07")
    start(automation.platform, "yellow_trips_job", "2025-08")
    assert requested(automation) == ["2025-08"]


def test_a_source_that_refuses_for_a_moment_is_asked_again_at_once(automation: Automation, server: Server) -> None:
    refusal = Answer(503)
    server.serve(path("2025-06"), refusal, refusal, StoredFile(b"x"))
    assert requested(automation) == ["2025-06"]


def test_of_a_source_that_does_not_answer_the_runs_ask_more_patiently(automation: Automation, server: Server) -> None:
    publish(server, "2025-08")
    server.serve(path("2025-07"), Answer(429))
    assert requested(automation) == ["2025-07", "2025-08"]  # June is certainly not there
    assert server.asked(path("2025-08")) == []


def test_where_nothing_is_known_the_newest_month_due_is_run(server: Server, tmp_path: Path) -> None:
    automation = Automation(Platform(tmp_path / "data", source=server.url, is_kept=True))
    publish(server, "2025-07", "2025-08", "2025-09")
    assert requested(automation) == ["2025-08"]


def test_a_month_that_failed_is_asked_for_again_a_month_later(automation: Automation, server: Server) -> None:
    publish(server, "2025-06")
    assert [it.success for it in automation.scheduled_runs(GREEN, DECEMBER)] == [False]  # it is no month
    assert automation.scheduled_runs(GREEN, DECEMBER) == []  # the same tick again, after a restart
    assert len(automation.scheduled_runs(GREEN, DECEMBER + timedelta(days=31))) == 1


def test_a_year_without_sensors_brings_every_month_once(tmp_path: Path) -> None:
    automation = Automation(Platform(tmp_path / "data", is_kept=True))
    report(automation.platform, "warehouse", "green", "2023-12")
    asked = list[str]()
    for at in times("green_monthly", datetime(2024, 4, 1, tzinfo=NEW_YORK), 14):
        for month in requested(automation, at):
            asked.append(month)
            report(automation.platform, "warehouse", "green", month)
    assert asked == [str(it) for it in Month(2024, 1).until(Month(2025, 1))]


@pytest.mark.parametrize(("name", "hour"), [(GREEN, 6), ("taxi_zones_monthly", 5), ("tlc_reports_monthly", 4)])
def test_a_schedule_keeps_new_yorks_hours_also_when_the_clocks_change(name: str, hour: int) -> None:
    found = times(name, datetime(2025, 1, 1, tzinfo=NEW_YORK), 12)
    assert [(it.day, it.hour, it.minute) for it in found] == [(20, hour, 0)] * 12
    in_utc = [it.astimezone(UTC).hour for it in found]
    assert in_utc == [hour + 5] * 2 + [hour + 4] * 8 + [hour + 5] * 2  # summer time from 9 March to 2 November


def test_a_tick_that_comes_late_goes_by_the_time_it_was_meant_for(automation: Automation, server: Server) -> None:
    publish(server, "2025-06", "2025-07", "2025-08", "2025-09")
    assert requested(automation, DECEMBER.astimezone(UTC)) == ["2025-06", "2025-07", "2025-08"]
    # Before midnight in New York, after it in Greenwich: the 106 days of August are over on the 16th of December.
    night = datetime(2025, 12, 15, 23, 30, tzinfo=NEW_YORK)
    assert requested(automation, night.astimezone(UTC)) == ["2025-06", "2025-07"]
    assert requested(automation, night + timedelta(hours=1)) == ["2025-06", "2025-07", "2025-08"]


@pytest.mark.parametrize(
    ("on", "sensors", "schedules"),
    [
        (True, dg.DefaultSensorStatus.RUNNING, dg.DefaultScheduleStatus.RUNNING),
        (False, dg.DefaultSensorStatus.STOPPED, dg.DefaultScheduleStatus.STOPPED),
    ],
)
def test_what_is_on_by_itself_is_a_setting(
    on: bool, sensors: dg.DefaultSensorStatus, schedules: dg.DefaultScheduleStatus
) -> None:
    repository = build_definitions(Settings(automation=on)).get_repository_def()
    assert {it.default_status for it in repository.sensor_defs if it.name != "housekeeping"} == {sensors}
    assert {it.default_status for it in repository.schedule_defs} == {schedules}
    datasets = ["yellow", "green", "fhv", "fhvhv"]
    assert {it.name for it in repository.schedule_defs} == {
        *(f"{it}_monthly" for it in datasets),
        *(f"{it}_verify_weekly" for it in datasets),
        "taxi_zones_monthly",
        "tlc_reports_monthly",
    }


@pytest.mark.parametrize("name", ["taxi_zones", "tlc_reports"])
def test_the_zones_and_tlcs_reports_are_fetched_every_month(automation: Automation, name: str) -> None:
    (request,) = automation.scheduled(f"{name}_monthly", DECEMBER).run_requests or []
    assert request.partition_key is None
    assert automation.repository.get_schedule_def(f"{name}_monthly").job_name == f"{name}_job"


def times(name: str, since: datetime, count: int) -> list[datetime]:
    """When a schedule's next ticks are, in its own time zone."""
    schedule = build_definitions(Settings()).get_repository_def().get_schedule_def(name)
    assert schedule.execution_timezone == "America/New_York"
    ticks = schedule_execution_time_iterator(since.timestamp(), schedule.cron_schedule, schedule.execution_timezone)
    return list(islice(ticks, count))
