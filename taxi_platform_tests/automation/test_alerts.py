"""Who is told of what: of real runs, over a real connection, with a clock that can be set forward."""

import json
import logging
import random
import time
from collections.abc import Generator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
import yaml

from real_servers.postgres import PostgresServer
from taxi_platform.automation import alerts, telling
from taxi_platform.automation.alerts import QUIET
from taxi_platform.automation.jobs import build_jobs
from taxi_platform.automation.telling import MOST_SINGLE, Taken, send
from taxi_platform.core.catalog import load_catalog
from taxi_platform.core.month import Month
from taxi_platform.definitions import build_definitions
from taxi_platform.resources import AlertsResource
from taxi_platform.settings import Settings
from taxi_platform_tests.assets.platform import Platform
from taxi_platform_tests.automation.endless import endless_job
from taxi_platform_tests.automation.endpoint import Endpoint, running_endpoint
from taxi_platform_tests.automation.watching import Watch, instance_on_disk

# One of Apprise's hundred services looks for an old part of Python's library.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
MONTH = "2021-01"
RETRIES = "run_retries: {enabled: true, max_retries: 2, retry_on_asset_or_op_failure: false}\n"
GREEN = {"taxi/dataset": "green", "dagster/partition": MONTH}
WORDS = {"raw": "no such file", "warehouse": "no such table"}


@pytest.fixture
def instance(tmp_path: Path) -> Generator[dg.DagsterInstance, None, None]:
    with dg.DagsterInstance.ephemeral(str(tmp_path), settings=yaml.safe_load(RETRIES)) as it:
        yield it


def run(
    instance: dg.DagsterInstance,
    fails: str = "",
    dataset: str = "green",
    month: str = MONTH,
    layer: str = "",
    cause: str = "",
) -> dg.ExecuteInProcessResult:
    """A run like the platform's, which does nothing: of both layers, or of one; one of them may fail."""
    partitions = dg.MonthlyPartitionsDefinition(start_date="2021-01", fmt="%Y-%m")

    def asset(name: str) -> dg.AssetsDefinition:
        @dg.asset(key=[name, f"{dataset}_trips"], partitions_def=partitions, deps=before)
        def made() -> None:
            if name == fails:
                raise dg.Failure(f"{dataset} {month}: {WORDS[name]}\nand a second line", allow_retries=False)

        return made

    before: list[dg.AssetKey] = []
    raw = asset("raw")
    before = [dg.AssetKey(["raw", f"{dataset}_trips"])]
    warehouse = asset("warehouse")
    chosen = {"": (raw, warehouse), "raw": (raw,), "warehouse": (warehouse,)}[layer]
    job = dg.define_asset_job(
        {"": f"{dataset}_trips_job", "raw": f"{dataset}_to_lake_job"}.get(layer, f"{dataset}_to_warehouse_job"),
        selection=dg.AssetSelection.assets(*chosen),
        executor_def=dg.in_process_executor,
        tags={"taxi/dataset": dataset, **({"taxi/cause": cause} if cause else {})},
    )
    defs = dg.Definitions([raw, warehouse], jobs=[job])
    return defs.resolve_job_def(job.name).execute_in_process(
        instance=instance, partition_key=month, raise_on_error=False
    )


def test_a_month_that_failed_is_told_with_the_step_the_reason_and_where_to_look(
    tmp_path: Path, instance: dg.DagsterInstance, watch: Watch, endpoint: Endpoint
) -> None:
    (tmp_path / "source").mkdir()
    platform = Platform(tmp_path / "data", source=str(tmp_path / "source"))
    job = platform.defs.resolve_job_def("green_trips_job")
    failed = job.execute_in_process(instance=instance, partition_key=MONTH, raise_on_error=False)
    watch.look()

    ((title, text),) = endpoint.news()
    assert title == f"green {MONTH} failed: step raw__green_trips"
    reason, link = text.splitlines()
    assert reason.startswith(f"green {MONTH}: not published by this source at {tmp_path}/source/green_tripdata")
    assert link == f"http://ui:3000/runs/{failed.run_id}"


def test_a_check_that_blocks_a_month_is_told_with_what_it_found(
    tmp_path: Path, instance: dg.DagsterInstance, watch: Watch, endpoint: Endpoint
) -> None:
    platform = Platform(tmp_path / "data", source=str(tmp_path / "source"))
    header = platform.catalog.trips["green"].layout_of(Month.parse(MONTH), "csv").header
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / f"green_tripdata_{MONTH}.csv").write_text(f"{','.join(header)}\n{',' * (len(header) - 1)}\n")
    job = platform.defs.resolve_job_def("green_trips_job")
    failed = job.execute_in_process(instance=instance, partition_key=MONTH, raise_on_error=False)
    watch.look()

    ((title, text),) = endpoint.news()
    (check,) = [it for it in failed.get_asset_check_evaluations() if not it.passed and it.blocking]
    assert title == f"green {MONTH} failed: check required_values_present"
    assert text.splitlines() == [check.description, f"http://ui:3000/runs/{failed.run_id}"]


def test_the_alert_is_the_errors_first_line_and_no_longer_than_a_person_reads(
    instance: dg.DagsterInstance, watch: Watch, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(instance, fails="raw")
    monkeypatch.setitem(WORDS, "warehouse", "x" * 5_000)
    run(instance, fails="warehouse")
    watch.look()
    (_, first), (_, second) = endpoint.news()
    assert first.splitlines()[0] == f"green {MONTH}: no such file"
    assert len(second.splitlines()[0]) == 500


@pytest.mark.parametrize(
    ("fails", "of", "then", "recovered"),
    [
        ("raw", "", [""], True),
        ("raw", "", ["raw"], False),
        ("raw", "", ["raw", "warehouse"], True),
        ("warehouse", "", ["raw"], False),
        ("warehouse", "", ["warehouse"], True),
        ("warehouse", "warehouse", [""], True),
        ("raw", "raw", ["warehouse"], False),
    ],
)
def test_a_month_has_recovered_when_everything_that_was_missing_is_made(
    instance: dg.DagsterInstance,
    watch: Watch,
    endpoint: Endpoint,
    fails: str,
    of: str,
    then: list[str],
    recovered: bool,
) -> None:
    run(instance, fails=fails, layer=of)
    watch.look()
    assert len(endpoint.news()) == 1
    run(instance, month="2021-02")
    *_, last = [run(instance, layer=layer) for layer in then]
    watch.look()
    news = endpoint.news()
    assert [title for title, _ in news] == ([f"green {MONTH} recovered"] if recovered else [])
    assert all(last.run_id in text for _, text in news)
    run(instance)
    watch.look()
    assert len(endpoint.news()) == (0 if recovered else 1), "good news is told once"


def test_a_month_nobody_heard_of_does_not_recover(
    instance: dg.DagsterInstance, watch: Watch, endpoint: Endpoint
) -> None:
    run(instance)
    watch.look()
    assert endpoint.news() == []


def test_what_somebody_chose_in_the_ui_is_told_by_its_dataset(
    instance: dg.DagsterInstance, watch: Watch, endpoint: Endpoint
) -> None:
    key = dg.AssetKey(["raw", "green_trips"])
    job = build_definitions(Settings()).resolve_implicit_global_asset_job_def().get_subset(asset_selection={key})
    chosen = instance.create_run_for_job(job, asset_selection=frozenset({key}), tags={"dagster/partition": MONTH})
    instance.add_run_tags(chosen.run_id, {"dagster/max_retries": "0"})
    instance.report_run_failed(chosen, "the worker died")
    watch.look()
    ((title, text),) = endpoint.news()
    assert title == f"green {MONTH} failed: the run itself"
    assert text.startswith("the worker died\n")


def test_the_platforms_own_jobs_name_their_dataset() -> None:
    tags = {job.name: job.tags for job in build_jobs(load_catalog())}
    references = ("references_job", "taxi_zones_job", "taxi_zone_shapes_job", "tlc_reports_job")
    for of_none in (*references, "marts_job", "page_job", "report_job"):
        assert tags.pop(of_none) in (None, {})
    assert {name: (it or {})["taxi/dataset"] for name, it in tags.items()} == {
        name: name.split("_")[0] for name in tags
    }


def test_nobody_hears_twice_of_a_cause_in_the_quiet_period(
    instance: dg.DagsterInstance, watch: Watch, endpoint: Endpoint
) -> None:
    for _ in range(3):
        run(instance, fails="raw")
        watch.look()
    assert len(endpoint.news()) == 1

    run(instance, fails="warehouse")  # another cause
    run(instance, fails="raw", dataset="fhv")  # another dataset
    run(instance, fails="raw", month="2021-02")  # another month
    watch.look()
    assert endpoint.titles() == [
        f"green {MONTH} failed: step warehouse__green_trips",
        f"fhv {MONTH} failed: step raw__fhv_trips",
        "green 2021-02 failed: step raw__green_trips",
    ]
    watch.ahead += QUIET
    watch.look()
    assert endpoint.news() == [], "they know"
    run(instance, fails="raw")
    watch.look()
    assert len(endpoint.news()) == 1


def test_after_many_messages_what_is_new_waits_unless_there_is_too_much_of_it() -> None:
    memory, at = alerts.Memory(since=0), 1_700_000_000.0
    memory.sent = [at] * MOST_SINGLE
    assert memory.has_to_wait(50, at)
    assert not memory.has_to_wait(51, at)
    assert not memory.has_to_wait(50, at + alerts.GATHERING.total_seconds())


def test_that_alerts_were_given_up_is_told_once_also_by_a_look_that_is_done_again(
    instance: dg.DagsterInstance, endpoint: Endpoint
) -> None:
    services = AlertsResource(urls=endpoint.url(), ui_url="http://ui:3000")
    for _ in range(2):  # killed before its cursor was kept, it knows of them still
        assert send(services, [], Taken.of(instance, 7), {"0": 3})[0] == []
    assert endpoint.titles() == ["3 alerts were given up"]
    send(services, [], Taken.of(instance, 8), {"0": 3})
    assert endpoint.titles() == ["3 alerts were given up"], "another look has others to tell of"


def test_what_cannot_be_sent_in_the_time_a_look_has_waits(
    instance: dg.DagsterInstance, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "_SENDING_SECONDS", -1.0)
    queue = [(alerts.Alert("green 2021-01", "step raw", "why"), [0])]
    services = AlertsResource(urls=endpoint.url(), ui_url="http://ui:3000")
    assert send(services, queue, Taken.of(instance, 1), {}) == (queue, 0)
    assert endpoint.news() == []


def test_the_quiet_period_ends_with_its_last_second() -> None:
    memory, alert, began = alerts.Memory(since=0), alerts.Alert("green 2021-01", "step raw", "why"), 1_700_000_000.0
    ends = began + QUIET.total_seconds()
    told = [bool(memory.failed(alert, set(), {"raw"}, at)) for at in (began, ends - 1, ends, ends + 1)]
    assert told == [True, False, True, False]


def test_a_failure_that_nobody_heard_of_is_forgotten_when_it_has_recovered() -> None:
    memory, alert, began = alerts.Memory(since=0), alerts.Alert("green 2021-01", "step raw", "why"), 1_700_000_000.0
    assert memory.failed(alert, set(), {"raw"}, began)
    assert memory.succeeded(alert.about, {"raw"}, "well")
    assert not memory.failed(alert, set(), {"raw"}, began + 60), "so soon after, it waits"
    assert not memory.succeeded(alert.about, {"raw"}, "well")
    assert not memory.overdue(began + QUIET.total_seconds()), "and there is nothing left to tell"


def test_of_a_month_that_is_asked_for_until_it_arrives_nobody_hears_twice_of_the_same_cause(
    instance: dg.DagsterInstance, watch: Watch, endpoint: Endpoint
) -> None:
    for _ in range(4):
        run(instance, fails="warehouse", layer="warehouse", cause="arrived in the lake")
        watch.look()
        watch.ahead += 2 * QUIET
        watch.look()
    assert endpoint.titles() == [f"green {MONTH} failed: step warehouse__green_trips"]
    run(instance, fails="raw", cause="republished")  # another cause
    watch.look()
    assert endpoint.titles() == [f"green {MONTH} failed: step raw__green_trips"]
    run(instance, cause="republished")
    watch.look()
    assert endpoint.titles() == [f"green {MONTH} recovered"]
    watch.ahead += 2 * QUIET
    watch.look()
    run(instance, fails="warehouse", cause="republished")  # it was well in between
    watch.look()
    assert endpoint.titles() == [f"green {MONTH} failed: step warehouse__green_trips"]


def test_a_month_that_fails_again_and_again_is_told_once_and_never_left_for_well(
    instance: dg.DagsterInstance, watch: Watch, endpoint: Endpoint
) -> None:
    for _ in range(3):
        run(instance, fails="raw")
        watch.look()
        run(instance)
        watch.look()
    assert endpoint.titles() == [f"green {MONTH} failed: step raw__green_trips", f"green {MONTH} recovered"]

    run(instance, fails="raw")  # people think that all is well
    watch.look()
    assert endpoint.news() == []
    watch.ahead += QUIET
    watch.look()
    assert endpoint.titles() == [f"green {MONTH} failed: step raw__green_trips"]
    run(instance)
    watch.look()
    assert endpoint.titles() == [f"green {MONTH} recovered"]

    run(instance, fails="raw")
    run(instance)
    watch.ahead += QUIET
    watch.look()
    assert endpoint.titles() == [f"green {MONTH} failed: step raw__green_trips", f"green {MONTH} recovered"]


def test_what_a_service_did_not_take_it_gets_later_and_the_others_do_not_get_it_twice(
    instance: dg.DagsterInstance, watch: Watch, endpoint: Endpoint
) -> None:
    with running_endpoint() as other:
        watch.urls = f"{endpoint.url()} json://127.0.0.1:1/nobody unknown://service {other.url()}"
        endpoint.status = 500
        for layer in ("raw", "warehouse"):
            run(instance, fails=layer)
            watch.look()
            assert len(other.news()) == 1
        assert endpoint.news() == []
        endpoint.status = 200
        watch.look()
        watch.look()
        expected = [f"green {MONTH} failed: step {layer}__green_trips" for layer in ("raw", "warehouse")]
        assert endpoint.titles() == expected
        assert other.news() == []
        watch.urls = f"{endpoint.url()} {other.url()} {other.url()}"
        watch.look()
        assert other.titles() == [it for title in expected for it in (title, title)]


def test_a_service_that_is_down_is_asked_once_at_a_look_however_much_there_is_to_tell(
    instance: dg.DagsterInstance, watch: Watch, endpoint: Endpoint
) -> None:
    endpoint.status = 500
    for layer in ("raw", "warehouse"):
        run(instance, fails=layer)

    watch.look()
    assert endpoint.asked == 1
    endpoint.status = 200
    watch.look()
    assert endpoint.asked == 1 + 2


def test_a_failure_is_sent_as_bad_news_and_a_recovery_as_good(
    instance: dg.DagsterInstance, watch: Watch, endpoint: Endpoint
) -> None:
    run(instance, fails="raw")
    watch.look()
    run(instance)
    watch.look()

    assert endpoint.titles() == [f"green {MONTH} failed: step raw__green_trips", f"green {MONTH} recovered"]
    assert endpoint.gravities == ["failure", "success"]


def test_when_too_many_alerts_wait_the_oldest_are_given_up_by_name_and_the_newest_arrive(
    watch: Watch, endpoint: Endpoint, capfd: pytest.CaptureFixture[str]
) -> None:
    memory = json.loads(watch.cursor or "")
    waiting = [{"about": f"green month {number}", "cause": "a step", "text": "…"} for number in range(203)]
    watch.cursor = json.dumps(memory | {"undelivered": [[it, [0]] for it in waiting]})
    endpoint.status = 500

    watch.look()
    endpoint.status = 200
    watch.look()

    lost, gathered = endpoint.news()
    assert lost[0] == "3 alerts were given up"
    assert "200" in gathered[0]
    assert "green month 3 failed" in gathered[1]
    assert "green month 2 failed" not in gathered[1]
    (given_up,) = [line for line in capfd.readouterr().err.splitlines() if "given up" in line]
    assert given_up.endswith("; ".join(f"green month {number} failed: a step" for number in range(3)))


def test_who_begins_to_watch_hears_nothing_of_what_was_before(instance: dg.DagsterInstance, endpoint: Endpoint) -> None:
    run(instance, fails="raw")
    for cursor in (None, "of another version", '{"since": 0.5, "at_since": []}'):
        watch = Watch(instance, endpoint.url(), cursor=cursor)
        watch.look()
        watch.look()
    assert endpoint.news() == []
    run(instance, fails="raw")
    watch.look()
    assert len(endpoint.news()) == 1


@pytest.mark.parametrize(("storage", "zone"), [("sqlite", "Pacific/Auckland"), ("postgres", "America/New_York")])
def test_every_run_is_told_once_whatever_the_storage_the_time_zone_and_when_it_is_looked_at(
    tmp_path: Path,
    postgres: PostgresServer,
    endpoint: Endpoint,
    monkeypatch: pytest.MonkeyPatch,
    storage: str,
    zone: str,
) -> None:
    config = f"storage: {{postgres: {{postgres_url: '{postgres.new_database()}'}}}}\n" if storage == "postgres" else ""
    dice = random.Random(zone)
    with monkeypatch.context() as patch, instance_on_disk(tmp_path / "home", config + RETRIES) as instance:
        patch.setenv("TZ", zone)
        time.tzset()
        watch = Watch(instance, endpoint.url())
        watch.look()
        months = [f"2021-{number:02d}" for number in range(1, 6)]
        for month in months:
            failed = run(instance, fails="raw", month=month, layer="raw")
            for _ in range(dice.randint(0, 2)):
                watch.look()
            # Whoever adds a tag changes when the run was updated last.
            instance.add_run_tags(failed.run_id, {"looked at by": "Anna"})
        watch.look()
        watch.ahead += QUIET
        watch.look()
    monkeypatch.undo()
    time.tzset()
    assert endpoint.titles() == [f"green {month} failed: step raw__green_trips" for month in months]


def test_what_ended_this_very_moment_is_told_at_the_next_look(
    instance: dg.DagsterInstance, watch: Watch, endpoint: Endpoint
) -> None:
    watch.ahead = timedelta()
    run(instance, fails="raw")
    watch.look()
    assert endpoint.news() == []
    watch.ahead = timedelta(seconds=15)
    watch.look()
    assert len(endpoint.news()) == 1


def test_more_than_one_look_can_take_in_are_told_one_look_later(
    instance: dg.DagsterInstance, watch: Watch, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "_RUNS_PER_TICK", 4)
    months = [f"2014-{number:02d}" for number in range(1, 8)]
    for month in months:
        tags = {"taxi/dataset": "green", "dagster/partition": month, "dagster/max_retries": "0"}
        instance.report_run_failed(instance.create_run_for_job(endless_job, tags=tags))
    watch.look()
    assert len(endpoint.got) == 4
    watch.look()
    assert endpoint.titles() == [f"green {month} failed: the run itself" for month in months]


def test_a_run_that_another_comes_in_place_of_is_silent_and_the_last_one_tells(
    instance: dg.DagsterInstance, watch: Watch, endpoint: Endpoint
) -> None:
    run_ids: list[str] = []
    for _ in range(3):
        first, last = (run_ids[0], run_ids[-1]) if run_ids else (None, None)
        tags = GREEN | ({"dagster/root_run_id": first} if first else {})
        lost = instance.create_run_for_job(endless_job, root_run_id=first, parent_run_id=last, tags=tags)
        if run_ids:
            instance.add_run_tags(run_ids[-1], {"dagster/auto_retry_run_id": lost.run_id})
        run_ids.append(lost.run_id)
        watch.look()
        assert endpoint.news() == []
        instance.report_run_failed(lost, "the worker died")
    watch.look()
    ((title, text),) = endpoint.news()
    assert title == f"green {MONTH} failed: the run itself"
    assert text == f"the worker died\nhttp://ui:3000/runs/{run_ids[-1]}"


def test_a_run_that_was_to_be_tried_again_and_was_not_is_told_after_a_while(
    instance: dg.DagsterInstance, watch: Watch, endpoint: Endpoint
) -> None:
    lost = instance.create_run_for_job(endless_job, tags=GREEN)
    instance.report_run_failed(lost, "the worker died")
    run(instance, fails="raw", month="2021-02")
    watch.look()
    assert endpoint.news() == [], "one after the other"
    watch.ahead += timedelta(minutes=2)
    watch.look()
    assert endpoint.titles() == [
        f"green {MONTH} failed: the run itself",
        "green 2021-02 failed: step raw__green_trips",
    ]


def test_with_nobody_to_tell_it_does_no_harm_and_keeps_nothing_for_later(
    instance: dg.DagsterInstance, watch: Watch, endpoint: Endpoint
) -> None:
    urls, watch.urls = watch.urls, ""
    run(instance, fails="raw")
    assert watch.look() == "nobody to tell: TAXI_ALERT_URLS is empty"
    watch.urls = urls
    watch.look()
    assert endpoint.news() == []


@pytest.mark.parametrize("service", ["well", "down", "not understood"])
def test_a_password_in_the_urls_is_said_nowhere(
    tmp_path: Path,
    endpoint: Endpoint,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    service: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("urllib3").setLevel(logging.INFO)  # as everywhere: what is asked for is in its DEBUG log
    endpoint.status = 401 if service == "down" else 200
    urls = {"not understood": "slack://hunter2 tgram://hunter2/hunter2 hunter2://x"}.get(
        service, endpoint.url("anna:hunter2@")
    )
    monkeypatch.setenv("TAXI_ALERT_URLS", urls)
    monkeypatch.setenv("TAXI_DATA_DIR", str(tmp_path / "data"))
    settings = Settings.from_env()
    config = "python_logs: {managed_python_loggers: [root, apprise], python_log_level: DEBUG}\n"
    with instance_on_disk(tmp_path / "home", config) as instance:
        watch = Watch(instance, urls)
        watch.look()
        run(instance, fails="raw")
        watch.look()
    assert len(endpoint.news()) == (1 if service == "well" else 0)
    said = [
        *watch.said,
        *capfd.readouterr(),
        caplog.text,
        repr(settings),
        *(path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()),
    ]
    assert "hunter2" not in "".join(said)
    kept = json.loads(watch.cursor or "{}")
    assert kept["told"]
    assert bool(kept["undelivered"]) is (service != "well")
