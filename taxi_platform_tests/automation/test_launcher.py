"""Whether a run is still at work is asked of real code servers, which are killed as power cuts and people kill them."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher.base import WorkerStatus
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._grpc.client import DagsterGrpcClient

from taxi_platform.automation.launcher import WatchedRunLauncher
from taxi_platform_tests.automation import endless

ROOT = Path(__file__).parents[2]


@pytest.fixture
def instance(tmp_path: Path) -> Generator[dg.DagsterInstance, None, None]:
    (tmp_path / "dagster.yaml").write_bytes((ROOT / "deploy" / "local" / "dagster.yaml").read_bytes())
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        yield instance


@pytest.fixture(params=["port", "socket"])
def client(request: pytest.FixtureRequest, tmp_path: Path) -> DagsterGrpcClient:
    """What asks the server: compose gives it a port, `make dev` a socket."""
    if request.param == "socket":
        return DagsterGrpcClient(socket=str(tmp_path / "server.sock"))
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return DagsterGrpcClient(port=it.getsockname()[1])


@contextmanager
def code_server(client: DagsterGrpcClient, home: str) -> Generator[subprocess.Popen[bytes], None, None]:
    """A code server at the client's address; it and its runs are gone when the block ends."""
    address = ["--socket", client.socket] if client.socket else ["--port", str(client.port)]
    command = [sys.executable, "-m", "taxi_platform.code_server", "api", "grpc", "-m", endless.__name__, *address]
    environ = {"PATH": os.defpath, "DAGSTER_HOME": home}
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=quiet, stderr=quiet, start_new_session=True)
    try:
        wait_until(lambda: answers(client))
        yield process
    finally:
        kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a server and its runs at once, as a power cut does."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)


def answers(client: DagsterGrpcClient) -> bool:
    try:
        return bool(client.ping("are you there?"))
    except DagsterUserCodeUnreachableError:
        return False


def start_run(instance: dg.DagsterInstance, client: DagsterGrpcClient) -> dg.DagsterRun:
    """Have the server run the job, as the daemon does; gives the run once it is at work."""
    location = GrpcServerCodeLocationOrigin(
        host="localhost", port=client.port, socket=client.socket, location_name="endless"
    )
    repository = RemoteRepositoryOrigin(code_location_origin=location, repository_name="__repository__")
    run = instance.create_run_for_job(
        endless.endless_job,
        remote_job_origin=RemoteJobOrigin(repository_origin=repository, job_name="endless_job"),
        job_code_origin=None,
    )
    WatchedRunLauncher.launch_run_from_grpc_client(instance, run, client)
    wait_until(lambda: found(instance, run).status == dg.DagsterRunStatus.STARTED)
    return found(instance, run)


def found(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRun:
    now = instance.get_run_by_id(run.run_id)
    assert now is not None
    return now


def parent_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """The command of the process that began the run's."""
    told: list[Any] = [it.dagster_event for it in instance.all_logs(run.run_id, dg.DagsterEventType.ENGINE_EVENT)]
    pid = next(it.event_specific_data.metadata["pid"].value for it in told if it.event_specific_data.metadata)
    status = Path(f"/proc/{pid}/status").read_text()
    parent = next(it.split()[1] for it in status.splitlines() if it.startswith("PPid:"))
    return Path(f"/proc/{parent}/cmdline").read_text()


def health(instance: dg.DagsterInstance, run: dg.DagsterRun) -> WorkerStatus:
    """What run monitoring is told."""
    assert isinstance(instance.run_launcher, WatchedRunLauncher)
    assert instance.run_launcher.supports_check_run_worker_health
    return instance.run_launcher.check_run_worker_health(run).status


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_run_is_at_work_until_its_server_is_gone_for_good(
    instance: dg.DagsterInstance, client: DagsterGrpcClient, tmp_path: Path
) -> None:
    with code_server(client, str(tmp_path)) as server:
        run = start_run(instance, client)
        assert health(instance, run) == WorkerStatus.RUNNING
        assert "multiprocessing.forkserver" in parent_of(instance, run)

        kill(server)
        # Another server may be about to come at a port; nobody ever comes back to a socket.
        assert health(instance, run) == (WorkerStatus.FAILED if client.socket else WorkerStatus.RUNNING)
        if client.socket:
            Path(client.socket).unlink()
            assert health(instance, run) == WorkerStatus.FAILED

    with code_server(client, str(tmp_path)):
        assert health(instance, run) == WorkerStatus.FAILED
    instance.report_run_failed(run)
    assert found(instance, run).tags["dagster/will_retry"] == "true"


def test_a_run_of_a_terminal_is_nobodys_to_judge(instance: dg.DagsterInstance) -> None:
    run = instance.create_run_for_job(endless.endless_job)
    assert health(instance, run) == WorkerStatus.RUNNING
