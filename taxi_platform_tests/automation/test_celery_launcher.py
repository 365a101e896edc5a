"""What the launcher of workers says and does, asked with a real broker; whole machines are in `hosts`."""

import sys
import time
from collections.abc import Generator
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher.base import LaunchRunContext, WorkerStatus
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin

from real_servers.valkey import Valkey, valkey_server
from taxi_platform import worker
from taxi_platform.automation import celery_launcher
from taxi_platform.automation.celery_launcher import WatchedCeleryRunLauncher
from taxi_platform.core.errors import SettingsError
from taxi_platform_tests.automation import endless

pytestmark = pytest.mark.filterwarnings("ignore::celery.exceptions.DuplicateTaskNameWarning")
TASK = "dagster-celery/task_id"


@pytest.fixture(scope="module")
def broker() -> Generator[Valkey, None, None]:
    with valkey_server() as server:
        yield server


@pytest.fixture
def instance(tmp_path: Path, broker: Valkey) -> Generator[dg.DagsterInstance, None, None]:
    (tmp_path / "password").write_text(f"{broker.password}\n")
    with instance_with(tmp_path, broker=broker.url, password_file=str(tmp_path / "password")) as instance:
        yield instance


def instance_with(folder: Path, **config: str) -> dg.DagsterInstance:
    launcher = {"module": celery_launcher.__name__, "class": "WatchedCeleryRunLauncher", "config": config}
    (folder / "dagster.yaml").write_text(yaml.safe_dump({"run_launcher": launcher, "telemetry": {"enabled": False}}))
    return dg.DagsterInstance.from_config(str(folder))


def launcher_of(instance: dg.DagsterInstance) -> WatchedCeleryRunLauncher:
    assert isinstance(instance.run_launcher, WatchedCeleryRunLauncher)
    return instance.run_launcher


def launched(instance: dg.DagsterInstance, tags: dict[str, str] | None = None) -> dg.DagsterRun:
    """A run that is given to the broker, which has no workers."""
    pointer = ModuleCodePointer(endless.__name__, "endless_job")
    origin = RepositoryPythonOrigin(sys.executable, pointer)
    run = instance.create_run_for_job(
        endless.endless_job, tags=tags or {}, job_code_origin=JobPythonOrigin("endless_job", origin)
    )
    instance.report_dagster_event(
        dg.DagsterEvent(dg.DagsterEventType.PIPELINE_STARTING.value, run.job_name), run_id=run.run_id
    )
    launcher_of(instance).launch_run(LaunchRunContext(now(instance, run), None))
    return now(instance, run)


def now(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRun:
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found


def test_a_run_that_no_worker_has_begun_is_cancelled_at_once(instance: dg.DagsterInstance) -> None:
    run = launched(instance)
    assert run.tags[TASK]
    assert launcher_of(instance).terminate(run.run_id)
    assert now(instance, run).status is dg.DagsterRunStatus.CANCELED
    assert not launcher_of(instance).terminate(run.run_id)


def test_a_run_that_is_on_its_way_to_the_broker_is_cancelled_at_once(instance: dg.DagsterInstance) -> None:
    run = instance.create_run_for_job(endless.endless_job, tags={TASK: ""})
    assert launcher_of(instance).terminate(run.run_id)
    assert now(instance, run).status is dg.DagsterRunStatus.CANCELED


def test_a_run_that_no_worker_knows_is_failed_after_a_silence(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(celery_launcher, "_ANSWER", 0.2)
    run = launched(instance)
    assert launcher_of(instance).check_run_worker_health(run).status is WorkerStatus.RUNNING
    monkeypatch.setattr(celery_launcher, "SILENCE", 0.0)
    found = launcher_of(instance).check_run_worker_health(run)
    assert found.status is WorkerStatus.FAILED
    assert found.msg
    assert found.msg.startswith("no worker knows the run for")


def test_a_run_that_is_tried_again_is_not_judged_by_the_task_of_the_one_before(instance: dg.DagsterInstance) -> None:
    before = launched(instance)
    again = launched(instance, {TASK: before.tags[TASK]})
    assert again.tags[TASK] not in ("", before.tags[TASK])


def test_a_run_of_a_terminal_is_nobodys_to_judge_or_to_end(instance: dg.DagsterInstance) -> None:
    run = instance.create_run_for_job(endless.endless_job)
    assert launcher_of(instance).check_run_worker_health(run).status is WorkerStatus.RUNNING
    assert not launcher_of(instance).terminate(run.run_id)


def test_while_the_broker_is_away_a_run_goes_back_into_the_queue(tmp_path: Path) -> None:
    with (
        valkey_server() as server,
        instance_with(tmp_path, broker=server.url.replace("://", f"://:{server.password}@")) as instance,
    ):
        server.kill()
        with pytest.raises(DagsterUserCodeUnreachableError, match="the broker takes no runs: ") as raised:
            launched(instance)
        assert server.password not in str(raised.value)
        server.start()
        assert launched(instance).tags[TASK]


def test_a_broker_that_is_away_is_no_silence_of_workers_until_they_have_come_back_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(celery_launcher, "_ANSWER", 0.2)
    monkeypatch.setattr(celery_launcher, "SILENCE", 0.0)
    with (
        valkey_server() as server,
        instance_with(tmp_path, broker=server.url.replace("://", f"://:{server.password}@")) as instance,
    ):
        run, launcher = launched(instance), launcher_of(instance)
        server.kill()
        assert launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING
        server.start()
        for _ in range(2):
            assert launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING
        launcher._nobody_heard_until = time.monotonic()
        time.sleep(0.01)
        launcher.check_run_worker_health(run)  # the silence begins
        assert launcher.check_run_worker_health(run).status is WorkerStatus.FAILED


def test_a_broker_nobody_names_and_a_password_nobody_can_read_are_told_by_name(tmp_path: Path) -> None:
    with (
        instance_with(tmp_path, broker="") as instance,
        pytest.raises(SettingsError, match="DAGSTER_CELERY_BROKER_URL"),
    ):
        _ = instance.run_launcher
    gone = str(tmp_path / "gone")
    with (
        instance_with(tmp_path, broker="redis://host:6379/0", password_file=gone) as instance,
        pytest.raises(SettingsError, match=f"cannot be read at {gone}"),
    ):
        _ = instance.run_launcher


def test_a_worker_does_not_start_where_runs_are_not_given_to_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with pytest.raises(SettingsError, match="its run_launcher is DefaultRunLauncher"):
        worker.main([])
