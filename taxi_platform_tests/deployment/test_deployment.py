"""The deployment as a whole, without Docker: what docker-compose.yaml starts, on a real PostgreSQL, and what ends it.

`TAXI_AUTOMATION` is off but where a test says otherwise: the sample source has published every month there is, and the
sensors would fetch them all.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator
from typing import Any
from urllib.request import Request, urlopen

import psycopg
import pytest
import yaml
from psycopg import sql

from real_servers.postgres import PostgresServer, postgres_server
from taxi_platform.core.parquet import ParquetFile
from taxi_platform_tests.deployment.compose import COMPOSE_FILE, PATIENCE, ROOT, Deployment, deployment

pytestmark = [pytest.mark.timeout(900), pytest.mark.long]

ROWS = 300
HALF_A_YEAR = [f"2020-{month:02d}" for month in range(1, 7)]
FIVE_MONTHS = HALF_A_YEAR[:5]
#: Less waiting, and fewer months at once: a machine that runs tests may have two cores, and other tests on them. So
#: runs have enough time to start.
IMPATIENT = {
    "concurrency": {"runs": {"max_concurrent_runs": 2}},
    "run_monitoring": {"poll_interval_seconds": 2, "start_timeout_seconds": 45, "free_slots_after_run_end_seconds": 2},
    "run_queue": {"dequeue_interval_seconds": 1, "user_code_failure_retry_delay": 5},
}
CODE_LOCATION = """{
    workspaceOrError { ... on Workspace { locationEntries { name loadStatus locationOrLoadError {
        ... on PythonError { message }
        ... on RepositoryLocation { repositories {
            sensors { name sensorState { status } }
            schedules { name scheduleState { status } }
        } }
    } } } }
}"""
LAUNCH = """mutation($backfill: LaunchBackfillParams!) {
    launchPartitionBackfill(backfillParams: $backfill) {
        ... on LaunchBackfillSuccess { backfillId }
        ... on PythonError { message }
        ... on PartitionSetNotFoundError { message }
    }
}"""
BACKFILL = "query($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } } }"
RUNS = """query($filter: RunsFilter!) {
    runsOrError(filter: $filter) { ... on Runs { results { runId status tags { key value } } } }
}"""
FAILURES = """query($id: ID!) { logsForRun(runId: $id) { ... on EventConnection { events {
    ... on RunFailureEvent { message }
} } } }"""


@pytest.fixture(scope="module")
def postgres() -> Generator[PostgresServer, None, None]:
    """A server of its own, with the settings of docker-compose.yaml."""
    command = yaml.safe_load(COMPOSE_FILE.read_text(encoding="utf-8"))["services"]["postgres"]["command"]
    settings = dict(option.split("=") for option in command if "=" in option)
    settings["hba_file"] = str(ROOT / settings["hba_file"].replace("/opt/taxi", "deploy/compose"))
    with postgres_server(**settings) as server:
        yield server


@pytest.fixture(scope="module")
def taxi(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Generator[Deployment, None, None]:
    folder = tmp_path_factory.mktemp("deployment") / "host"
    settings = {"TAXI_SOURCE": "sample", "TAXI_SAMPLE_ROWS": str(ROWS), "TAXI_AUTOMATION": "off"}
    with deployment(folder, postgres, IMPATIENT, **settings) as taxi:
        for name in ("passwords", "databases", "migrate"):
            done = taxi.run(name)
            assert done.returncode == 0, done.stderr
        for name in ("code", "webserver", "daemon"):
            taxi.start(name)
        yield taxi


def test_every_probe_says_whether_its_service_is_there(taxi: Deployment) -> None:
    for name in ("postgres", "code", "webserver", "daemon"):
        assert taxi.is_healthy(name), name
    assert taxi.run("daemon", "dagster-daemon", "liveness-check").returncode == 0, "Dagster's own says the same"


def test_the_figures_are_served_at_a_port_of_their_own(taxi: Deployment) -> None:
    taxi.start("metrics")
    with urlopen(f"http://127.0.0.1:{taxi.ports[9108]}/metrics", timeout=60) as figures:
        told = figures.read().decode()
    assert 'taxi_months{dataset="yellow",layer="lake"} 0.0' in told
    assert 'taxi_daemon_healthy{daemon="sensor"} 1.0' in told
    assert taxi.stop("metrics") == 0


def test_the_webserver_shows_the_code_location_and_everything_in_it_off(taxi: Deployment) -> None:
    with urlopen(f"http://127.0.0.1:{taxi.ports[3000]}/", timeout=30) as page:
        assert page.headers["Content-Type"].startswith("text/html")
    statuses = automation(taxi)
    assert len(statuses) > 8
    assert {it for name, it in statuses.items() if name != "housekeeping"} == {"STOPPED"}
    validated = taxi.run("webserver", "dagster", "definitions", "validate", "-w", "deploy/compose/workspace.yaml")
    assert validated.returncode == 0, validated.stderr


@pytest.mark.campaign
def test_half_a_year_is_brought_in_though_the_daemon_and_the_code_server_are_killed_in_the_middle(
    taxi: Deployment, postgres: PostgresServer
) -> None:
    layers = ("raw", "cleaned", "quarantine", "lake", "warehouse")
    launched = graphql(
        taxi,
        LAUNCH,
        backfill={"partitionNames": HALF_A_YEAR, "assetSelection": [{"path": [it, "yellow_trips"]} for it in layers]},
    )["launchPartitionBackfill"]
    backfill = launched["backfillId"]

    def in_status(status: str) -> set[str]:
        return {run["runId"] for run in runs(taxi, backfill) if run["status"] == status}

    wait_until(lambda: in_status("SUCCESS"), taxi)
    before = in_status("STARTED")
    wait_until(lambda: in_status("STARTED") - before, taxi)  # one that has only just begun
    taxi.kill("code")
    taxi.kill("daemon")
    interrupted = in_status("STARTED")
    assert interrupted
    taxi.start("daemon")  # first: months whose turn comes while there is no code server must not be lost
    taxi.start("code")
    wait_until(lambda: backfill_status(taxi, backfill) not in ("REQUESTED", "FAILING"), taxi, patience=2 * PATIENCE)

    assert backfill_status(taxi, backfill) == "COMPLETED_SUCCESS"
    assert {month(run) for run in runs(taxi, backfill) if run["status"] == "SUCCESS"} == set(HALF_A_YEAR)
    assert interrupted <= in_status("FAILURE")
    for run in interrupted:
        told = [it["message"] for it in graphql(taxi, FAILURES, id=run)["logsForRun"]["events"] if it]
        reasons = ("the code server does not know the run: it was restarted", "the process that executed it is gone")
        assert any(reason in str(told) for reason in reasons)
    assert_every_month_is_there_once(taxi, postgres, "yellow", HALF_A_YEAR)


def test_stopping_lets_the_months_at_work_end_and_keeps_the_others_for_later(
    taxi: Deployment, postgres: PostgresServer
) -> None:
    command = ["dagster", "job", "backfill", "-w", "deploy/compose/workspace.yaml", "-j", "green_trips_job"]
    queued = taxi.run("webserver", *command, "--partitions", ",".join(FIVE_MONTHS), "--noprompt")
    assert queued.returncode == 0, queued.stderr

    def in_status(*statuses: str) -> set[str]:
        return {month(run) for run in runs(taxi, None, "green_trips_job") if run["status"] in statuses}

    wait_until(lambda: in_status("STARTED"), taxi)
    assert taxi.stop("daemon") == 0
    assert taxi.stop("code") == 0
    assert in_status("SUCCESS")
    assert in_status("SUCCESS", "QUEUED") == set(FIVE_MONTHS), "none is cut off in the middle, none is given up"

    for name in ("code", "daemon"):
        taxi.start(name)
    wait_until(lambda: in_status("SUCCESS") == set(FIVE_MONTHS), taxi, patience=2 * PATIENCE)
    assert len(runs(taxi, None, "green_trips_job")) == len(FIVE_MONTHS)
    assert_every_month_is_there_once(taxi, postgres, "green", FIVE_MONTHS)


def test_what_the_runs_printed_is_kept_where_the_webserver_finds_it(taxi: Deployment) -> None:
    kept = [path for path in (taxi.folder / "data" / "logs").rglob("*.err") if path.stat().st_size]
    assert kept
    assert not (taxi.folder / "home").exists()
    written = sorted(path.name for path in (taxi.folder / "taxi").iterdir())
    assert written == ["databases.sh", "deploy", "passwords.sh"], "nothing is written there"


def test_sensors_and_schedules_run_unless_env_says_otherwise(taxi: Deployment) -> None:
    taxi.stop("daemon")
    taxi.stop("code")
    del taxi.environ["TAXI_AUTOMATION"]
    taxi.start("code")

    wait_until(lambda: set(automation(taxi).values()) == {"RUNNING"}, taxi)


def test_the_lake_may_be_the_bucket_of_the_gcs_profile(taxi: Deployment) -> None:
    taxi.start("gcs")
    taxi.environ |= {"TAXI_LAKE_URL": "gs://taxi", "STORAGE_EMULATOR_HOST": "http://gcs:9023"}
    command = ["dagster", "job", "execute", "-m", "taxi_platform.definitions", "-j", "fhv_trips_job", "--tags"]
    done = taxi.run("code", *command, json.dumps({"dagster/partition": "2020-01"}))
    assert done.returncode == 0, done.stderr
    bucket = taxi.folder / "data" / ".cloudstorage" / "taxi"
    assert (bucket / "fhv_trips" / "source_month=2020-01" / "fhv_tripdata_2020-01.parquet").is_file()


def graphql(taxi: Deployment, query: str, **variables: Any) -> dict[str, Any]:
    """Ask the webserver, as the UI does."""
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = Request(f"http://127.0.0.1:{taxi.ports[3000]}/graphql", body, {"Content-Type": "application/json"})
    with urlopen(request, timeout=60) as reply:
        answer = json.load(reply)
    assert "errors" not in answer, answer["errors"]
    return answer["data"]


def automation(taxi: Deployment) -> dict[str, str]:
    """Every sensor and schedule, and whether it is on."""
    (location,) = graphql(taxi, CODE_LOCATION)["workspaceOrError"]["locationEntries"]
    assert location["name"] == "taxi_platform"
    assert "repositories" in location["locationOrLoadError"], location
    (repository,) = location["locationOrLoadError"]["repositories"]
    sensors = {it["name"]: it["sensorState"]["status"] for it in repository["sensors"]}
    return sensors | {it["name"]: it["scheduleState"]["status"] for it in repository["schedules"]}


def runs(taxi: Deployment, backfill: str | None, job: str | None = None) -> list[dict[str, Any]]:
    """The runs of a backfill or a job, retries among them."""
    tags = [{"key": "dagster/backfill", "value": backfill}] if backfill else []
    return graphql(taxi, RUNS, filter={"tags": tags, "pipelineName": job})["runsOrError"]["results"]


def backfill_status(taxi: Deployment, backfill: str) -> str:
    """How far it is."""
    return graphql(taxi, BACKFILL, id=backfill)["partitionBackfillOrError"]["status"]


def month(run: dict[str, Any]) -> str:
    """The month of a run."""
    return next(tag["value"] for tag in run["tags"] if tag["key"] == "dagster/partition")


def wait_until(true: Callable[[], object], taxi: Deployment, patience: float = PATIENCE) -> None:
    """Look again and again, and show what the daemon said if it takes too long."""
    deadline = time.monotonic() + patience
    while not true():
        assert time.monotonic() < deadline, taxi.log("daemon")
        time.sleep(1)


def assert_every_month_is_there_once(
    taxi: Deployment, postgres: PostgresServer, dataset: str, months: list[str]
) -> None:
    """Nothing is lost and nothing is doubled, from the source's rows to the table's."""
    url = postgres.url(
        "taxi", user="taxi", password=(taxi.folder / "secrets" / "warehouse_password").read_text().strip()
    )
    rows = sql.SQL("SELECT to_char(source_month, 'YYYY-MM'), count(*) FROM taxi.{} GROUP BY 1")
    with psycopg.connect(url) as warehouse:
        found = warehouse.execute(rows.format(sql.Identifier(f"{dataset}_trips"))).fetchall()
    data = taxi.folder / "data"
    cleaned, quarantined = (
        {month: ParquetFile(data / layer / dataset / f"{month}.parquet").rows for month in months}
        for layer in ("cleaned", "quarantine")
    )
    assert dict(found) == cleaned
    assert {month: cleaned[month] + quarantined[month] for month in months} == dict.fromkeys(months, ROWS)
