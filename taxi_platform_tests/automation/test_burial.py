"""Runs are killed as people and power cuts kill them; whoever comes next finds nothing in the way."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.launcher.base import WorkerStatus

from taxi_platform.automation import burial
from taxi_platform.automation.burial import EXECUTED_BY, bury, executor_of
from taxi_platform.automation.launcher import WatchedRunLauncher
from taxi_platform.automation.outcomes import failure_of
from taxi_platform.core.processes import ProcessIdentity
from taxi_platform_tests.automation import endless
from taxi_platform_tests.test_develop import until
from taxi_platform_tests.test_launch import KEPT, ROOT

pytestmark = [pytest.mark.timeout(600), pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc")]
DAGSTER = str(Path(sys.executable).with_name("dagster"))
STARTED = [dg.DagsterRunStatus.STARTED]
MONTHS = ["2020-01", "2020-02", "2020-03", "2020-04"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "dagster").mkdir()
    told = (ROOT / "deploy" / "local" / "dagster.yaml").read_bytes()
    (tmp_path / "dagster" / "dagster.yaml").write_bytes(told)
    return tmp_path / "dagster"


@pytest.fixture
def instance(home: Path) -> Generator[dg.DagsterInstance, None, None]:
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


@pytest.fixture
def silent_source() -> Generator[str, None, None]:
    """A server that takes whoever comes, and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as it:
        yield f"http://127.0.0.1:{it.getsockname()[1]}"


@contextmanager
def started(folder: Path, month: str, source: str = "sample") -> Generator["subprocess.Popen[str]", None, None]:
    """A bare `dagster job execute` of a month; it is gone when the block ends."""
    command = [DAGSTER, "job", "execute", "-m", "taxi_platform.definitions", "-j", "green_trips_job"]
    tags = ["--tags", json.dumps({"dagster/partition": month})]
    environ = KEPT | {"DAGSTER_HOME": str(folder / "dagster"), "TAXI_DATA_DIR": str(folder), "TAXI_SOURCE": source}
    environ |= {"TAXI_SAMPLE_ROWS": "300"}
    with subprocess.Popen([*command, *tags], cwd=ROOT, env=environ, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def claimed(instance: dg.DagsterInstance) -> int:
    return len(instance.event_log_storage.get_concurrency_info("source").claimed_slots)


def status_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRunStatus:
    now = instance.get_run_by_id(run.run_id)
    assert now is not None
    return now.status


def run_of(instance: dg.DagsterInstance, executor: ProcessIdentity) -> dg.DagsterRun:
    """A run that is at work, by whom is said."""
    run = instance.create_run_for_job(endless.endless_job, status=dg.DagsterRunStatus.STARTED)
    instance.add_run_tags(run.run_id, {EXECUTED_BY: json.dumps({"run": run.run_id} | asdict(executor))})
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found


@pytest.fixture
def other() -> Generator["subprocess.Popen[bytes]", None, None]:
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def identity(process: "subprocess.Popen[bytes]") -> ProcessIdentity:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return replace(ProcessIdentity.current(), pid=process.pid, started=fields[19])


def test_four_runs_killed_while_they_fetch_keep_no_fifth_from_its_place(
    tmp_path: Path, instance: dg.DagsterInstance, silent_source: str
) -> None:
    with ExitStack() as stack:
        runs = [stack.enter_context(started(tmp_path, it, silent_source)) for it in MONTHS]
        until(lambda: claimed(instance) == len(MONTHS) or any(it.poll() is not None for it in runs))
        for it in runs:
            it.send_signal(signal.SIGKILL)
            it.wait(30)
    assert claimed(instance) == len(MONTHS)
    dead = instance.get_runs(dg.RunsFilter(statuses=STARTED))
    assert len(dead) == len(MONTHS)

    with started(tmp_path, "2020-05") as fifth:
        _, said = fifth.communicate(timeout=240)
    assert fifth.returncode == 0, said
    assert "green 2020-01: run " in said
    assert "the process that executed it is gone" in said
    assert {status_of(instance, it) for it in dead} == {dg.DagsterRunStatus.FAILURE}
    assert claimed(instance) == 0


def test_a_run_that_waits_says_for_what_and_a_signal_ends_it(
    tmp_path: Path, instance: dg.DagsterInstance, other: "subprocess.Popen[bytes]"
) -> None:
    instance.event_log_storage.initialize_concurrency_limit_to_default("source")
    for number in range(4):
        run = run_of(instance, identity(other))
        assert instance.event_log_storage.claim_concurrency_slot("source", run.run_id, f"step {number}").is_claimed

    with started(tmp_path, "2020-05") as waiting:
        assert waiting.stderr is not None
        said = ""
        while "waiting for a place in pool 'source'" not in said:
            said = waiting.stderr.readline()
            assert said, "it ended"
        assert "its 4 places are taken by endless_job (run " in said
        assert "s at most" in said
        waiting.send_signal(signal.SIGINT)
        waiting.communicate(timeout=60)
    assert waiting.returncode not in (None, 0, -signal.SIGKILL)
    (ended,) = instance.get_runs(dg.RunsFilter(job_name="green_trips_job"))
    assert ended.status == dg.DagsterRunStatus.FAILURE
    assert claimed(instance) == 4, "the runs at work keep their places"


@pytest.mark.campaign
def test_a_run_that_waits_gets_the_place_of_one_that_is_killed_meanwhile(
    tmp_path: Path, instance: dg.DagsterInstance, other: "subprocess.Popen[bytes]"
) -> None:
    instance.event_log_storage.initialize_concurrency_limit_to_default("source")
    for number in range(4):
        run = run_of(instance, identity(other))
        instance.event_log_storage.claim_concurrency_slot("source", run.run_id, f"step {number}")

    with started(tmp_path, "2020-05") as waiting:
        assert waiting.stderr is not None
        while "waiting for a place" not in (said := waiting.stderr.readline()):
            assert said, "it ended"
        other.kill()
        _, said = waiting.communicate(timeout=120)
    assert waiting.returncode == 0, said


def test_waiting_for_a_place_ends_with_an_error_that_names_who_has_it(
    instance: dg.DagsterInstance, home: Path, other: "subprocess.Popen[bytes]"
) -> None:
    instance.event_log_storage.initialize_concurrency_limit_to_default("source")
    for number in range(4):
        run = run_of(instance, identity(other))
        instance.event_log_storage.claim_concurrency_slot("source", run.run_id, f"step {number}")
    script = (
        "import taxi_platform.automation.executor as it; it.LONGEST_WAIT = 1.0\n"
        "import sys; from dagster._cli import main\n"
        "sys.argv = ['dagster', 'job', 'execute', '-m', 'taxi_platform.definitions', '-j', 'green_trips_job',"
        """ '--tags', '{"dagster/partition": "2020-05"}']\n"""
        "main()"
    )
    environ = KEPT | {"DAGSTER_HOME": str(home), "TAXI_DATA_DIR": str(home.parent), "TAXI_SOURCE": "sample"}
    command = [sys.executable, "-W", "ignore", "-c", script]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=240)
    assert done.returncode != 0
    assert (
        "green 2020-05: no place in pool 'source' in 1 s. Cause: its 4 places are taken by endless_job" in done.stderr
    )
    (run,) = instance.get_runs(dg.RunsFilter(job_name="green_trips_job"))
    assert run.status == dg.DagsterRunStatus.FAILURE
    assert failure_of(instance, run)[1].startswith("green 2020-05: no place in pool 'source' in 1 s. Cause: ")


def test_a_run_whose_process_is_alive_is_left_alone(
    instance: dg.DagsterInstance, other: "subprocess.Popen[bytes]"
) -> None:
    run = run_of(instance, identity(other))
    assert bury(instance) == []
    other.kill()
    until(lambda: identity_is_gone(other))  # nobody has asked yet how it ended: a zombie is dead, too
    assert [it.run_id for it in bury(instance)] == [run.run_id]
    assert status_of(instance, run) == dg.DagsterRunStatus.FAILURE
    assert bury(instance) == []


def identity_is_gone(process: "subprocess.Popen[bytes]") -> bool:
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


@pytest.mark.parametrize(
    ("change", "is_dead"),
    [
        ({"boot": "another"}, True),
        ({"started": "1"}, True),
        ({"boot": ""}, False),
        ({"started": ""}, False),
        ({"host": "another"}, False),
        ({"host": "another", "boot": "another"}, False),
        ({"space": "pid:[1]"}, False),
    ],
)
def test_a_number_that_another_process_has_now_and_a_restart_are_an_end_and_another_host_is_not_ours_to_judge(
    instance: dg.DagsterInstance, other: "subprocess.Popen[bytes]", change: dict[str, str], is_dead: bool
) -> None:
    run = run_of(instance, replace(identity(other), **change))
    launcher = instance.run_launcher
    assert isinstance(launcher, WatchedRunLauncher)
    told = launcher.check_run_worker_health(run).status
    assert told == (WorkerStatus.FAILED if is_dead else WorkerStatus.RUNNING)
    assert bool(bury(instance)) == is_dead


def test_a_run_that_is_done_again_is_not_judged_by_who_executed_it_before(
    instance: dg.DagsterInstance, other: "subprocess.Popen[bytes]"
) -> None:
    before = run_of(instance, replace(identity(other), boot="another"))
    again = instance.create_run_for_job(endless.endless_job, tags=dict(before.tags), status=dg.DagsterRunStatus.STARTED)
    assert executor_of(again) is None
    assert [it.run_id for it in bury(instance)] == [before.run_id]


def test_a_run_that_was_to_be_cancelled_when_it_died_is_cancelled(
    instance: dg.DagsterInstance, other: "subprocess.Popen[bytes]"
) -> None:
    run = run_of(instance, replace(identity(other), boot="another"))
    instance.report_run_canceling(run)
    bury(instance)
    assert status_of(instance, run) == dg.DagsterRunStatus.CANCELED


def test_places_of_a_run_that_has_ended_and_whose_process_is_gone_are_given_back(
    instance: dg.DagsterInstance, other: "subprocess.Popen[bytes]"
) -> None:
    instance.event_log_storage.initialize_concurrency_limit_to_default("source")
    alive, dead = (run_of(instance, it) for it in (identity(other), replace(identity(other), boot="another")))
    for run in (alive, dead):
        instance.event_log_storage.claim_concurrency_slot("source", run.run_id, "step")
        instance.report_run_failed(run)
    bury(instance)
    assert claimed(instance) == 1


def test_a_run_killed_before_it_began_does_not_stay_for_ever(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = instance.create_run_for_job(endless.endless_job)
    assert bury(instance) == []
    monkeypatch.setattr(burial, "_RECORDED_AFTER", -1.0)
    assert [it.run_id for it in bury(instance)] == [run.run_id]


def test_two_that_bury_at_once_fail_a_run_once(home: Path, instance: dg.DagsterInstance) -> None:
    run = run_of(instance, replace(ProcessIdentity.current(), boot="another"))
    script = (
        "import dagster as dg; from taxi_platform.automation.burial import bury\n"
        "with dg.DagsterInstance.get() as instance: print(len(bury(instance)))"
    )
    environ = dict(os.environ) | {"DAGSTER_HOME": str(home)}
    command = [sys.executable, "-W", "ignore", "-c", script]
    with ExitStack() as stack:
        both = [
            stack.enter_context(subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True))
            for _ in range(3)
        ]
        buried = [int(it.communicate(timeout=120)[0]) for it in both]
    assert sorted(buried) == [0, 0, 1]
    assert len(instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)) == 1


def test_a_month_of_make_run_that_is_killed_is_failed_at_once(tmp_path: Path, silent_source: str) -> None:
    environ = KEPT | {"TAXI_DATA_DIR": str(tmp_path), "TAXI_SOURCE": silent_source}
    command = [sys.executable, "-m", "taxi_platform.cli", "run", "green", "2020-01"]
    with subprocess.Popen(command, cwd=ROOT, env=environ, stderr=subprocess.PIPE, text=True) as launched:
        until(lambda: (tmp_path / "dagster" / ".prepared").exists() or launched.poll() is not None)
        with dg.DagsterInstance.from_config(str(tmp_path / "dagster")) as instance:
            until(lambda: claimed(instance) == 1 or launched.poll() is not None)
            (run,) = instance.get_runs()
        executor = executor_of(run)
        assert executor is not None
        pid = executor.pid
        os.kill(pid, signal.SIGKILL)
        _, said = launched.communicate(timeout=120)
    assert launched.returncode == 128 + signal.SIGKILL
    assert any(line.startswith("the process that executed it is gone (pid ") for line in said.splitlines()), said
    with dg.DagsterInstance.from_config(str(tmp_path / "dagster")) as instance:
        (run,) = instance.get_runs()
        assert run.status == dg.DagsterRunStatus.FAILURE
        assert claimed(instance) == 0
