"""Who is told of what no run fails by: checks that warn, ticks that fail, daemons that do not beat; and of many."""

import sys
from collections.abc import Generator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    ScheduleInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._daemon.types import DaemonHeartbeat
from dagster_shared.error import SerializableErrorInfo

from taxi_platform.automation import alerts
from taxi_platform.automation.alerts import GATHERING, QUIET
from taxi_platform.automation.lateness import evaluation_of
from taxi_platform.automation.lateness import key_of as lateness_check_of
from taxi_platform.automation.troubles import SILENT, judged_again_of
from taxi_platform.cli.silence import say_if_nobody_looks
from taxi_platform.core.catalog import load_catalog
from taxi_platform.core.month import Month
from taxi_platform.definitions import build_definitions
from taxi_platform.resources import AlertsResource
from taxi_platform.settings import Settings
from taxi_platform_tests.automation.endless import endless_job
from taxi_platform_tests.automation.endpoint import Endpoint, running_endpoint
from taxi_platform_tests.automation.watching import Watch, instance_on_disk

# One of Apprise's hundred services looks for an old part of Python's library.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
MONTH = "2021-01"
ABOUT = f"green {MONTH}: cleaned/known_columns_only"


@pytest.fixture
def instance(tmp_path: Path) -> Generator[dg.DagsterInstance, None, None]:
    with instance_on_disk(tmp_path / "home", "") as it:
        yield it


def check(
    instance: dg.DagsterInstance,
    finds: str,
    month: str = MONTH,
    *,
    judged: bool = True,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.WARN,
) -> dg.ExecuteInProcessResult:
    """A run that makes a month, and checks it: the check holds if it finds nothing."""
    key = dg.AssetKey(["cleaned", "green_trips"])

    @dg.asset(
        key=key,
        partitions_def=dg.MonthlyPartitionsDefinition(start_date="2014-01", fmt="%Y-%m"),
        check_specs=[dg.AssetCheckSpec("known_columns_only", asset=key)],
    )
    def made() -> dg.MaterializeResult:
        found = dg.AssetCheckResult(
            passed=not finds, severity=severity, description=finds, metadata={} if judged else {"judged": False}
        )
        return dg.MaterializeResult(check_results=[found])

    job = dg.define_asset_job("green_trips_job", selection=[made], tags={"taxi/dataset": "green"})
    defs = dg.Definitions([made], jobs=[job])
    return defs.resolve_job_def(job.name).execute_in_process(instance=instance, partition_key=month)


def fail(instance: dg.DagsterInstance, month: str) -> None:
    tags = {"taxi/dataset": "green", "dagster/partition": month}
    instance.report_run_failed(instance.create_run_for_job(endless_job, tags=tags))


def months(count: int) -> list[str]:
    return [f"{2014 + number // 12}-{number % 12 + 1:02d}" for number in range(count)]


def tick(
    instance: dg.DagsterInstance,
    says: str,
    name: str = "green_publications",
    kind: str = "SENSOR",
    status: InstigatorStatus = InstigatorStatus.DECLARED_IN_CODE,
    logged: list[str] | None = None,
    age: timedelta = timedelta(0),
    location: str = "taxi_platform",
) -> None:
    """A tick as the daemon writes it down: it failed, if it says something; what it has logged is under a key."""
    target = LoadableTargetOrigin(executable_path=sys.executable, module_name="taxi_platform.definitions")
    place = ManagedGrpcPythonEnvCodeLocationOrigin(loadable_target_origin=target, location_name=location)
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(place, "__repository__"), name)
    data = ScheduleInstigatorData("0 6 20 * *") if kind == "SCHEDULE" else None
    state = InstigatorState(origin, InstigatorType(kind), status, data)
    if instance.get_instigator_state(state.instigator_origin_id, state.selector_id):
        instance.update_instigator_state(state)
    else:
        instance.add_instigator_state(state)
    instance.create_tick(
        TickData(
            state.instigator_origin_id,
            name,
            state.instigator_type,
            TickStatus.FAILURE if says else TickStatus.SKIPPED,
            (datetime.now(UTC) - age).timestamp(),
            log_key=logged,
            error=SerializableErrorInfo(f"ValueError: {says}\n", [], "ValueError") if says else None,
            selector_id=state.selector_id,
        )
    )


def beat(instance: dg.DagsterInstance, watch: Watch, *kinds: str) -> None:
    """A beat of some daemons, at the time the watch believes in."""
    at = (datetime.now(UTC) + watch.ahead).timestamp()
    for kind in kinds:
        instance.add_daemon_heartbeat(DaemonHeartbeat(at, kind, "one", None))


def test_a_warning_is_told_once_per_month_and_cause_and_that_it_holds_again(
    instance: dg.DagsterInstance, watch: Watch, endpoint: Endpoint
) -> None:
    first = check(instance, "one column is new: tip\nand more")
    watch.look()
    assert endpoint.news() == [
        (f"{ABOUT} does not hold", f"one column is new: tip\nhttp://ui:3000/runs/{first.run_id}")
    ]
    assert endpoint.gravities == ["warning"]
    watch.ahead += QUIET * 2
    check(instance, "one column is new: tip")
    watch.look()
    assert endpoint.news() == [], "they know, however long ago they heard"
    check(instance, "one column is new: toll")
    watch.look()
    assert endpoint.titles() == [f"{ABOUT} does not hold"]
    check(instance, "", "2021-02")
    check(instance, "")
    check(instance, "")
    watch.look()
    assert endpoint.titles() == [f"{ABOUT} holds again"]
    assert endpoint.gravities[-1] == "success"


def test_a_check_that_could_not_judge_is_neither_a_warning_nor_good_news(
    instance: dg.DagsterInstance, watch: Watch, endpoint: Endpoint
) -> None:
    check(instance, "a column is missing", judged=False)
    watch.look()
    assert endpoint.news() == []
    check(instance, "one column is new")
    check(instance, "", judged=False)
    watch.look()
    assert endpoint.titles() == [f"{ABOUT} does not hold"]


def test_a_grave_check_that_blocks_nothing_is_told_as_a_failure(
    instance: dg.DagsterInstance, watch: Watch, endpoint: Endpoint
) -> None:
    check(instance, "rows are missing", severity=dg.AssetCheckSeverity.ERROR)
    watch.look()
    assert endpoint.titles() == [f"{ABOUT} does not hold"]
    assert endpoint.gravities == ["failure"]


def test_many_months_that_warn_come_in_one_message_that_has_an_end(
    instance: dg.DagsterInstance, watch: Watch, endpoint: Endpoint
) -> None:
    for month in months(15):
        check(instance, f"columns are new in {month}: {'x' * 300}", month)
    fail(instance, "2020-01")
    watch.look()
    ((title, text),) = endpoint.news()
    assert title == "16 alerts at once (failures: 1, warnings: 15)"
    first, *lines, more, link = text.splitlines()
    assert first.startswith("green 2020-01 failed: the run itself")
    assert len(text) < 2_100
    assert more == f"and {15 - len(lines)} more"
    assert link == "http://ui:3000/runs"
    assert endpoint.gravities == ["failure"], "as grave as the gravest in it"
    watch.look()
    assert endpoint.news() == []


def test_what_comes_month_by_month_is_gathered_once_many_messages_were_sent(
    instance: dg.DagsterInstance, watch: Watch, endpoint: Endpoint
) -> None:
    for month in months(9):
        check(instance, "one column is new", month)
        watch.look()
    assert len(endpoint.news()) == 5
    watch.ahead += GATHERING
    watch.look()
    assert len(endpoint.news()) == 4, "few are told one by one"
    for month in months(20)[9:]:
        check(instance, "one column is new", month)
        watch.look()
    watch.ahead += GATHERING
    watch.look()
    *_, last = endpoint.titles()
    assert last == "10 alerts at once (warnings: 10)"


@pytest.mark.parametrize(("kind", "name"), [("SENSOR", "green_publications"), ("SCHEDULE", "green_monthly")])
def test_a_tick_that_fails_is_told_once_per_cause_and_that_it_works_again(
    instance: dg.DagsterInstance, watch: Watch, endpoint: Endpoint, kind: str, name: str
) -> None:
    about = f"{kind.lower()} {name}"
    for number in range(3):
        tick(instance, f"no answer after {number}.5 s", name, kind)
        watch.look()
        watch.ahead += QUIET
    ((title, text),) = endpoint.news()
    assert title == f"{about} fails"
    assert "no answer after 0.5 s" in text
    assert text.endswith("UTC, http://ui:3000/automation")
    tick(instance, "the key is wrong", name, kind)
    watch.look()
    assert endpoint.titles() == [f"{about} fails"]
    for _ in range(2):
        tick(instance, "", name, kind)
        watch.look()
    assert endpoint.titles() == [f"{about} works again"]
    assert endpoint.gravities == ["failure", "failure", "success"]


def test_a_sensor_that_is_off_is_not_missed(instance: dg.DagsterInstance, watch: Watch, endpoint: Endpoint) -> None:
    tick(instance, "no answer", status=InstigatorStatus.STOPPED)
    watch.look()
    assert endpoint.news() == []


def test_of_an_installation_that_was_moved_what_it_was_before_is_not_told(
    instance: dg.DagsterInstance, watch: Watch, endpoint: Endpoint
) -> None:
    tick(instance, "no answer", location="where_it_was", age=timedelta(hours=1))
    tick(instance, "")
    watch.look()
    assert endpoint.news() == []


def test_who_begins_to_look_gives_daemons_the_time_to_beat(instance: dg.DagsterInstance, endpoint: Endpoint) -> None:
    watch = Watch(instance, endpoint.url())
    ahead, watch.ahead = watch.ahead, -SILENT * 2
    beat(instance, watch, "BACKFILL")
    watch.ahead = ahead
    watch.look()
    assert endpoint.news() == []
    watch.look()
    assert endpoint.titles() == ["daemon BACKFILL is down"]


def test_what_a_run_has_judged_is_the_runs_to_tell(instance: dg.DagsterInstance) -> None:
    check(instance, "one column is new")
    key = dg.AssetCheckKey(dg.AssetKey(["cleaned", "green_trips"]), "known_columns_only")
    newest, states = judged_again_of(instance, [key], "http://ui:3000", 0)
    assert newest > 0
    assert states == []


def test_a_daemon_that_is_down_is_told_once_and_that_it_is_back(
    instance: dg.DagsterInstance, watch: Watch, endpoint: Endpoint
) -> None:
    beat(instance, watch, "SENSOR", "BACKFILL")
    for _ in range(4):
        watch.look()
        watch.ahead += SILENT * 0.6
        beat(instance, watch, "SENSOR")
    ((title, text),) = endpoint.news()
    assert title == "daemon BACKFILL is down"
    assert "heard of last at" in text
    beat(instance, watch, "BACKFILL")
    watch.look()
    watch.look()
    assert endpoint.titles() == ["daemon BACKFILL works again"]
    assert endpoint.gravities == ["failure", "success"]


def test_a_daemon_that_was_down_says_from_when_to_when_nobody_looked(
    instance: dg.DagsterInstance, watch: Watch, endpoint: Endpoint
) -> None:
    beat(instance, watch, "SENSOR", "BACKFILL")
    watch.look()
    watch.ahead += timedelta(hours=3)
    beat(instance, watch, "SENSOR")  # the others have not had the time yet
    watch.look()
    assert endpoint.titles() == ["daemon was down, and is back"]
    assert endpoint.gravities == ["info"]


def test_a_sensor_that_is_killed_before_its_cursor_is_kept_tells_nothing_twice(
    instance: dg.DagsterInstance, watch: Watch, endpoint: Endpoint
) -> None:
    with running_endpoint() as other:
        watch.urls = f"{endpoint.url()} {other.url()}"
        other.status = 500
        check(instance, "one column is new")
        before = watch.cursor
        for _ in range(3):
            watch.cursor = before  # as the daemon does that knows of no end of that look
            watch.look()
        assert len(endpoint.news()) == 1
        other.status = 200
        watch.look()
        watch.look()
        assert len(other.news()) == 1
        assert endpoint.news() == []


def test_of_more_than_200_that_wait_the_oldest_are_given_up_and_the_service_hears_how_many(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "_RUNS_PER_TICK", 300)
    instance = dg.DagsterInstance.ephemeral()
    watch = Watch(instance, endpoint.url())
    watch.look()
    endpoint.status = 500
    for month in months(207):
        fail(instance, month)
    said = watch.look()
    waiting = said.removeprefix("waiting: ").split("; ")
    assert len(waiting) == 207
    assert len(alerts.Memory.from_cursor(watch.cursor, instance).undelivered) == 200
    endpoint.status = 200
    watch.look()
    (lost, _), (title, text) = endpoint.news()
    assert lost == "7 alerts were given up"
    assert title == "200 alerts at once (failures: 200)"
    assert months(8)[7] in text
    assert months(7)[6] not in text, "the oldest are given up"
    watch.look()
    assert endpoint.news() == []


def test_a_service_that_is_down_is_left_alone_until_the_next_look(
    instance: dg.DagsterInstance, watch: Watch, endpoint: Endpoint
) -> None:
    endpoint.status = 500
    for month in months(4):
        fail(instance, month)
    watch.look()
    assert endpoint.asked == 1


def test_what_an_older_version_kept_is_read(instance: dg.DagsterInstance, watch: Watch, endpoint: Endpoint) -> None:
    watch.cursor = (
        '{"since": 0, "told": {}, "failing": {"green 2021-01": ["raw/green_trips"]}, "hushed": {}, '
        '"undelivered": [[{"about": "green 2020-12", "cause": "step raw", "text": "no file"}, [0]]]}'
    )
    watch.look()
    assert endpoint.titles() == ["green 2020-12 failed: step raw"]
    assert endpoint.gravities == ["failure"]


def late_by(instance: dg.DagsterInstance, here: list[str], today: date) -> None:
    """What the publication sensor reports of green on a day."""
    contract = load_catalog().trips["green"]
    instance.report_runless_asset_event(evaluation_of(contract, today, map(Month.parse, here)))


def test_a_late_dataset_is_told_once_per_month_that_is_due_and_that_it_is_late_no_more(
    instance: dg.DagsterInstance, watch: Watch, endpoint: Endpoint
) -> None:
    watch.checks = (lateness_check_of(load_catalog().trips["green"]),)
    watch.look()
    late_by(instance, [], date(2026, 1, 15))
    watch.look()
    assert endpoint.news() == [], "nobody has fetched any of it: it is not judged"
    late_by(instance, ["2025-06"], date(2026, 1, 15))
    for _ in range(3):
        watch.look()
        watch.ahead += QUIET * 2
    ((title, text),) = endpoint.news()
    assert title == "green: raw/newest_month_is_here does not hold"
    assert "the newest month is 2025-06; 2025-09 should be here" in text
    assert text.endswith("http://ui:3000/assets/raw/green_trips")
    late_by(instance, ["2025-06", "2025-08"], date(2026, 1, 16))
    watch.look()
    assert endpoint.news() == [], "another sentence, and the same month that is due"
    late_by(instance, ["2025-08"], date(2026, 2, 20))
    watch.look()
    assert "2025-10 should be here" in endpoint.news()[0][1]
    late_by(instance, ["2025-10"], date(2026, 2, 21))
    watch.look()
    watch.look()
    assert endpoint.titles() == ["green: raw/newest_month_is_here holds again"]
    assert endpoint.gravities == ["warning", "warning", "success"]


def test_the_sensor_of_the_platform_looks_at_every_dataset_s_lateness(
    instance: dg.DagsterInstance, endpoint: Endpoint
) -> None:
    settings = Settings(alert_urls=(endpoint.url(),), ui_url="http://ui:3000")
    sensor = build_definitions(settings).get_repository_def().get_sensor_def("alerts")
    late_by(instance, ["2025-06"], date(2026, 1, 15))
    resources = {"alerts": AlertsResource(urls=endpoint.url(), ui_url="http://ui:3000")}
    with dg.build_sensor_context(instance, resources=resources) as context:
        sensor.evaluate_tick(context)
    assert endpoint.titles() == ["green: raw/newest_month_is_here does not hold"]


def test_who_is_up_says_that_no_daemon_was_heard_of_since_when(
    instance: dg.DagsterInstance, watch: Watch, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TAXI_ALERT_URLS", "json://localhost")
    say_if_nobody_looks(instance)
    beat(instance, watch, "SENSOR")
    say_if_nobody_looks(instance)
    assert capfd.readouterr().err == "", "there never was one; there is one"
    watch.ahead = -SILENT * 2
    beat(instance, watch, "SENSOR")
    say_if_nobody_looks(instance)
    assert capfd.readouterr().err.startswith("no daemon was heard of since ")
    monkeypatch.delenv("TAXI_ALERT_URLS")
    say_if_nobody_looks(instance)
    assert capfd.readouterr().err == "", "nobody waits for its word"
