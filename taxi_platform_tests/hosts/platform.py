"""The platform over several machines: what they share at one address, and workers that have nothing else in common."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import requests
import yaml

from real_servers.postgres import PostgresServer, free_port, postgres_server
from real_servers.s3 import S3Server, s3_server
from real_servers.valkey import Valkey, valkey_server
from taxi_platform_tests.hosts.network import Host, Network, network

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy" / "compose"
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent
_LAUNCH = """
mutation($job: String!, $tags: [ExecutionTag!]) {
  launchRun(executionParams: {
    selector: {repositoryName: "__repository__", repositoryLocationName: "taxi_platform", jobName: $job}
    runConfigData: {}
    executionMetadata: {tags: $tags}
  }) { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } }
}
"""
_TERMINATE = """
mutation($run: String!, $policy: TerminateRunPolicy!) {
  terminateRun(runId: $run, terminatePolicy: $policy) { __typename }
}
"""
_LOGS = "query($key: [String!]!) { capturedLogs(logKey: $key) { stderr stdout } }"


@dataclass
class Cluster:
    """Everything that is up.

    Attributes:
        shared: The environment of every process.
        instance: Dagster's records, as anybody finds them.
    """

    network: Network
    postgres: PostgresServer
    s3: S3Server
    broker: Valkey
    warehouse: str
    lake_bucket: str
    shared: dict[str, str] = field(repr=False)
    instance: dg.DagsterInstance
    web_port: int
    folder: Path

    def boot(self, host: Host, *options: str) -> None:
        """Switch a machine on: a worker with two places, and an empty data folder unless it had one."""
        command = [sys.executable, "-m", "taxi_platform.worker", "--concurrency", "2", *options]
        host.boot(self.worker_environment(host.folder), *command)

    def environment(self, folder: Path) -> dict[str, str]:
        """Of a process of Dagster's, on the first machine: what all have, and folders of its own."""
        return self.shared | dagster_home(folder) | {"TAXI_DATA_DIR": str(folder / "data")}

    def worker_environment(self, folder: Path) -> dict[str, str]:
        """Of another machine: what the image has, with folders of its own, and what the page on workers says to set."""
        broker = self.shared["DAGSTER_CELERY_BROKER_URL"].replace("://", f"://:{self.broker.password}@")
        told = {name: self.shared[name] for name in told_to_set() - {"DAGSTER_CELERY_BROKER_URL"}}
        of_the_image = dagster_home(folder) | {
            "TAXI_DATA_DIR": str(folder / "data"),
            "DAGSTER_CELERY_PASSWORD_FILE": "",
        }
        assert {*of_the_image} == {*re.findall(r"^(?:ENV|   ) ((?:DAGSTER|TAXI)_\w+)=", DOCKERFILE, re.MULTILINE)}
        here = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "TAXI_SAMPLE_ROWS": self.shared["TAXI_SAMPLE_ROWS"],
        }
        return here | of_the_image | told | {"DAGSTER_CELERY_BROKER_URL": broker}

    def launch(self, month: str, job: str = "green_trips_job") -> str:
        """Have a month run, as the button in the UI does."""
        said = self._ask(_LAUNCH, job=job, tags=[{"key": "dagster/partition", "value": month}])["launchRun"]
        assert said["__typename"] == "LaunchRunSuccess", said
        return said["run"]["runId"]

    def terminate(self, run: str, *, by_force: bool = False) -> None:
        """End a run, as the button in the UI does; one that waits for a worker it ends by force alone."""
        policy = "MARK_AS_CANCELED_IMMEDIATELY" if by_force else "SAFE_TERMINATE"
        assert self._ask(_TERMINATE, run=run, policy=policy)["terminateRun"]["__typename"] == "TerminateRunSuccess"

    def logs(self, run: str) -> str:
        """What a run printed, as the UI shows it."""
        (event,) = self.instance.all_logs(run, of_type=dg.DagsterEventType.LOGS_CAPTURED)[:1]
        key = event.get_dagster_event().logs_captured_data.file_key
        return self._ask(_LOGS, key=[run, "compute_logs", key])["capturedLogs"]["stderr"]

    def run(self, run: str) -> dg.DagsterRun:
        """A run as it is now."""
        found = self.instance.get_run_by_id(run)
        assert found is not None
        return found

    def host_of(self, run: str) -> Host | None:
        """The machine that executes a run, or did; None before it has begun."""
        return self._host_of(self.run(run))

    def _host_of(self, run: dg.DagsterRun) -> Host | None:
        told = json.loads(run.tags.get("taxi/executed_by", "{}"))
        if told.get("run") != run.run_id:  # of the run that this one tries again
            return None
        return next(it for it in self.network.hosts if it.name == told["host"].split()[0])

    def pid_of(self, run: str) -> int:
        """The number of a run's process on its machine."""
        return json.loads(self.run(run).tags["taxi/executed_by"])["pid"]

    def last_of(self, run: str) -> dg.DagsterRun:
        """The run, or the last that tried it again."""
        again = self.instance.get_runs(dg.RunsFilter(tags={"dagster/root_run_id": run}))
        return max(again, key=lambda it: int(it.tags.get("dagster/retry_number", 0)), default=self.run(run))

    def wait_for_success(self, runs: list[str], seconds: float) -> None:
        """Wait until every run has succeeded, or what tried it again has."""
        last: list[dg.DagsterRun] = []

        def all_have() -> bool:
            last[:] = [self.last_of(run) for run in runs]
            return all(it.status is dg.DagsterRunStatus.SUCCESS for it in last)

        wait(all_have, seconds, lambda: "\n".join(f"{it.tags['dagster/partition']}: {it.status.value}" for it in last))

    def table(self) -> dict[str, int]:
        """Rows of each month in the warehouse."""
        import psycopg

        with psycopg.connect(self.warehouse) as con:
            found = con.execute("SELECT source_month, count(*) FROM taxi.green_trips GROUP BY 1").fetchall()
        return {f"{month:%Y-%m}": rows for month, rows in found}

    def objects(self) -> dict[str, str]:
        """The months in the lake, each with what its bytes are."""
        found = self.s3.client().list_objects_v2(Bucket=self.lake_bucket, Prefix="green_trips/").get("Contents", [])
        return {it["Key"].rpartition("_")[2].removesuffix(".parquet"): it["ETag"] for it in found}

    def why_failed(self, run: str) -> str:
        """Why a run failed, as the UI says it."""
        (event,) = self.instance.all_logs(run, of_type=dg.DagsterEventType.RUN_FAILURE)[-1:]
        return event.user_message or event.message

    def at_work(self, runs: list[str], host: Host | None = None) -> list[str]:
        """Those of some runs that are at work, on one machine or on any."""
        begun = self.instance.get_runs(dg.RunsFilter(run_ids=runs, statuses=[dg.DagsterRunStatus.STARTED]))
        return [it.run_id for it in begun if (there := self._host_of(it)) and host in (None, there)]

    def worker_answers(self, host: Host) -> bool:
        """Whether a machine's worker is healthy, as the deployment asks it."""
        command = [sys.executable, "-I", DEPLOY / "probe.py", "worker", host.name]
        return not subprocess.run(command, env=self.shared, capture_output=True, check=False).returncode

    def _ask(self, query: str, **variables: Any) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self.web_port}/graphql"
        said = requests.post(url, json={"query": query, "variables": variables}, timeout=60).json()
        assert "errors" not in said, said
        return said["data"]


def told_to_set() -> set[str]:
    """The variables of a worker on another machine, as docs/scaling.md has them."""
    page = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    (section,) = re.findall(r"^\*\*Another machine\*\*(.*?)^What a month prints", page, re.MULTILINE | re.DOTALL)
    found = re.findall(r"^([A-Z_]+)=", section, re.MULTILINE)
    assert len(found) == 7
    return {*found}


def dagster_home(folder: Path) -> dict[str, str]:
    """A Dagster folder of a machine's own, with the deployment's settings."""
    home = folder / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    told = (DEPLOY / "workers" / "dagster.yaml").read_text(encoding="utf-8")
    # A machine that is gone is noticed as late as ever; what is waited for beside that is not what is tested.
    assert "poll_interval_seconds: 10" in told
    (home / "dagster.yaml").write_text(told.replace("poll_interval_seconds: 10", "poll_interval_seconds: 2"))
    return {"DAGSTER_HOME": str(home), "DAGSTER_COMPUTE_LOGS": str(folder / "logs")}


def wait(condition: Callable[[], object], seconds: float, told: Callable[[], str] = str) -> None:
    """Wait until something holds.

    Args:
        condition: What is to hold.
        seconds: For how long.
        told: What is said where it did not.
    """
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds:.0f} s in vain\n{told()}"
        time.sleep(0.2)


@contextmanager
def cluster(folder: Path, *names: str, rows: int) -> Generator[Cluster, None, None]:
    """The platform over machines by these names, which are still off; months come from the sample source."""
    with ExitStack() as stack:
        net = stack.enter_context(network(folder, *names))
        postgres = stack.enter_context(postgres_server(net.address))
        s3 = stack.enter_context(s3_server(net.address))
        broker = stack.enter_context(valkey_server(net.address))
        records, warehouse, bucket = postgres.new_database(), postgres.new_database(), s3.new_bucket()
        centre = folder / "centre"
        centre.mkdir()
        (centre / "password").write_text(broker.password)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("TAXI_", "DAGSTER_", "PYTEST_", "AWS_"))}
        shared = kept | s3.environment() | {
            "PYTHONPATH": str(ROOT),
            "DAGSTER_POSTGRES_URL": records,
            "DAGSTER_CELERY_BROKER_URL": broker.url,
            "DAGSTER_CELERY_PASSWORD_FILE": str(centre / "password"),
            "DAGSTER_CODE_HOST": net.address,
            "DAGSTER_CODE_PORT": str(free_port()),
            "TAXI_SOURCE": "sample",
            "TAXI_SAMPLE_ROWS": str(rows),
            "TAXI_LAKE_URL": s3.url(bucket),
            "TAXI_WAREHOUSE_URL": warehouse,
        }  # fmt: skip
        told = {"storage": {"postgres": {"postgres_url": records}}, "telemetry": {"enabled": False}}
        (centre / "dagster.yaml").write_text(yaml.safe_dump(told))
        instance = stack.enter_context(dg.DagsterInstance.from_config(str(centre)))
        up = Cluster(net, postgres, s3, broker, warehouse, bucket, shared, instance, free_port(), centre)
        module = ["--module-name", "taxi_platform.definitions", "--location-name", "taxi_platform"]
        code = [
            "python",
            "-m",
            "taxi_platform.code_server",
            "api",
            "grpc",
            "--host",
            net.address,
            "--port",
            shared["DAGSTER_CODE_PORT"],
            *module,
        ]
        workspace = ["--workspace", str(DEPLOY / "workspace.yaml")]
        web = ["dagster-webserver", "--host", "127.0.0.1", "--port", str(up.web_port), *workspace]
        probe = [sys.executable, DEPLOY / "probe.py", "grpc", f"{net.address}:{shared['DAGSTER_CODE_PORT']}"]
        stack.enter_context(_process(up, "code", code))
        for host in net.hosts:
            up.boot(host)
        wait(lambda: not subprocess.run(probe, capture_output=True, check=False).returncode, 120)
        stack.enter_context(_process(up, "web", web))
        stack.enter_context(_process(up, "daemon", ["dagster-daemon", "run", *workspace]))
        wait(lambda: _answers(up.web_port), 120)
        for host in net.hosts:
            wait(lambda host=host: "ready." in host.said(), 120, host.said)
        yield up


def _answers(port: int) -> bool:
    with suppress(requests.RequestException):
        return requests.get(f"http://127.0.0.1:{port}/server_info", timeout=5).ok
    return False


@contextmanager
def _process(up: Cluster, name: str, command: list[str]) -> Generator[None, None, None]:
    folder = up.folder / name
    environment = up.environment(folder)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([BIN / command[0], *command[1:]], cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.kill()
            process.wait(30)
