"""Old runs, what they printed and old copies go; no month is lost by it."""

import os
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from real_servers.postgres import PostgresServer
from taxi_platform.automation.housekeeping import (
    TICK_LOGS,
    build_housekeeping_sensor,
    forget_copies,
    forget_runs,
    forget_tick_logs,
)
from taxi_platform.automation.outcomes import DATASET
from taxi_platform_tests.automation.test_troubles import tick

ROOT = Path(__file__).parents[2]
LATER = datetime.now(UTC) + timedelta(days=1)
KEY = dg.AssetKey(["warehouse", "green_trips"])
OURS = {DATASET: "green"}


@dg.asset(key=KEY, partitions_def=dg.StaticPartitionsDefinition(["2020-01", "2020-02"]))
def trips(context: dg.AssetExecutionContext) -> None:
    print("printed")
    if "fails" in context.run.tags:
        raise dg.Failure("no")


@dg.asset_check(asset=KEY, blocking=True)
def is_right() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


@dg.asset
def zones() -> None:
    print("printed")


@pytest.fixture
def instance(tmp_path: Path) -> Generator[dg.DagsterInstance, None, None]:
    (tmp_path / "dagster.yaml").write_bytes((ROOT / "deploy" / "local" / "dagster.yaml").read_bytes())
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        yield instance


@pytest.fixture
def deployed(
    tmp_path: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> Generator[dg.DagsterInstance, None, None]:
    """The deployment's instance, whose records are in PostgreSQL."""
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", postgres.new_database())
    monkeypatch.setenv("DAGSTER_COMPUTE_LOGS", str(tmp_path / "logs"))
    (tmp_path / "dagster.yaml").write_bytes((ROOT / "deploy" / "compose" / "dagster.yaml").read_bytes())
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        yield instance


def run(instance: dg.DagsterInstance, month: str | None, *, fails: bool = False, ours: bool = True) -> str:
    tags = (OURS if ours else {}) | ({"fails": "yes"} if fails else {})
    done = dg.materialize(
        [trips, is_right] if month else [zones], instance=instance, partition_key=month, tags=tags, raise_on_error=False
    )
    assert done.success is not fails
    return done.run_id


def test_old_runs_go_and_the_one_that_made_a_months_latest_version_stays(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    older, newer = run(instance, "2020-01"), run(instance, "2020-01")
    failed, other = run(instance, "2020-01", fails=True), run(instance, "2020-02")
    old_zones, new_zones, foreign = run(instance, None), run(instance, None), run(instance, "2020-02", ours=False)
    shards = tmp_path / "history" / "runs"
    assert (shards / f"{older}.db").exists()
    assert (tmp_path / "storage" / older).exists()

    assert forget_runs(instance, LATER - timedelta(days=2)) == 0
    assert forget_runs(instance, LATER) == 4

    kept = {it.run_id for it in instance.get_runs()}
    assert kept == {newer, new_zones, foreign}
    assert instance.get_materialized_partitions(KEY) == {"2020-01", "2020-02"}
    assert forget_runs(instance, LATER) == 0
    for gone in (older, failed, other, old_zones):
        assert list(shards.glob(f"{gone}*")) == [], "its events take no room"
    for ended in (older, newer, failed):
        assert not (tmp_path / "storage" / ended).exists(), "what it printed takes no room"
    assert (tmp_path / "storage" / foreign).exists(), "of others nothing is touched"
    assert instance.all_logs(newer, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)


def test_in_postgresql_old_runs_their_events_and_what_they_printed_go_and_every_month_keeps_its_latest_records(
    deployed: dg.DagsterInstance, tmp_path: Path
) -> None:
    gone = [run(deployed, "2020-01"), run(deployed, "2020-02", fails=True)]
    kept, other = run(deployed, "2020-01"), run(deployed, "2020-02")

    @dg.job
    def work() -> None: ...

    at_work = deployed.create_run_for_job(work, tags=OURS, status=dg.DagsterRunStatus.STARTED)
    logged = ["taxi_platform", "green_publications", "1"]
    printed = (tmp_path / "logs").joinpath(*logged).with_suffix(".err")  # where the deployment's class puts it
    printed.parent.mkdir(parents=True)
    printed.write_text("no answer")
    tick(deployed, "no answer", logged=logged, age=timedelta(days=3))

    sensor = build_housekeeping_sensor(tmp_path / ".lake", 1, lambda: LATER + timedelta(days=1))
    with dg.build_sensor_context(instance=deployed) as context:
        sensor(context)

    assert {it.run_id for it in deployed.get_runs()} == {kept, other, at_work.run_id}
    for run_id in gone:
        assert not deployed.all_logs(run_id)
        assert not (tmp_path / "logs" / run_id).exists()
    assert not list((tmp_path / "logs").rglob("*.err"))
    assert deployed.get_materialized_partitions(KEY) == {"2020-01", "2020-02"}
    newest = deployed.get_latest_materialization_event(KEY)
    assert newest is not None
    assert newest.run_id == other
    check = deployed.get_latest_asset_check_evaluation_record(dg.AssetCheckKey(KEY, "is_right"))
    assert check is not None
    assert check.run_id == other
    for run_id in (kept, other):
        assert deployed.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)


def test_what_a_tick_logged_goes_after_two_days_and_each_look_goes_on_where_the_last_one_ended(
    instance: dg.DagsterInstance,
) -> None:
    for number, days in enumerate((5, 3, 1)):
        tick(instance, "no answer", logged=["taxi_platform", "it", str(number)], age=timedelta(days=days))
    tick(instance, "", age=timedelta(days=4))
    now = datetime.now(UTC)
    assert forget_tick_logs(instance, None, now - TICK_LOGS) == 2
    assert forget_tick_logs(instance, now - timedelta(days=4), now - TICK_LOGS) == 1
    assert forget_tick_logs(instance, now - TICK_LOGS, now - TICK_LOGS) == 0


def test_a_run_at_work_is_not_thrown_away(instance: dg.DagsterInstance) -> None:
    @dg.job
    def work() -> None: ...

    at_work = instance.create_run_for_job(work, tags=OURS, status=dg.DagsterRunStatus.STARTED)
    assert forget_runs(instance, LATER) == 0
    assert instance.get_run_by_id(at_work.run_id)


def test_copies_that_nobody_has_used_for_long_go(tmp_path: Path) -> None:
    old, used, new = (tmp_path / "bucket" / name for name in ("old", "used", "new"))
    old.parent.mkdir()
    for path in (old, used, new):
        path.write_text("copy")
    os.utime(old, (0, 0))
    os.utime(used, (LATER.timestamp(), 0))

    assert forget_copies(tmp_path, LATER - timedelta(days=91)) == 1
    assert not old.exists()
    assert used.exists()
    assert new.exists()
    assert forget_copies(tmp_path / "nothing", LATER) == 0


@pytest.mark.parametrize(("days", "runs_left"), [(0, 2), (1, 2)])
def test_the_sensor_keeps_what_the_setting_says(
    instance: dg.DagsterInstance, tmp_path: Path, days: int, runs_left: int
) -> None:
    for _ in range(2):
        run(instance, "2020-01")
    sensor = build_housekeeping_sensor(tmp_path / ".lake", days)
    assert (sensor.default_status is dg.DefaultSensorStatus.RUNNING) == bool(days)
    with dg.build_sensor_context(instance=instance) as context:
        told = sensor(context)
    assert isinstance(told, dg.SkipReason)
    assert told.skip_message is not None
    assert ("keeps everything" in told.skip_message) == (days == 0)
    assert instance.get_runs_count() == runs_left
