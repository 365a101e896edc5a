"""workspace.yaml, by hand: the commands that take it find the code location under its name."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import dagster as dg
import pytest

from taxi_platform_tests.deployment.compose import BIN, PATIENCE, ROOT, free_port


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment of its own, with the instance of a laptop."""
    shutil.copy(ROOT / "deploy" / "local" / "dagster.yaml", tmp_path)
    settings = {"DAGSTER_HOME": str(tmp_path), "TAXI_DATA_DIR": str(tmp_path / "data"), "TAXI_SOURCE": "sample"}
    return {"PATH": f"{BIN}:{os.defpath}", "HOME": str(tmp_path), **settings}


def test_definitions_validate_finds_nothing_wrong(environ: dict[str, str]) -> None:
    done = dagster(environ, "definitions", "validate", "-w", "workspace.yaml")
    assert done.returncode == 0, done.stderr
    assert "taxi_platform" in done.stdout + done.stderr


def test_job_backfill_queues_months_under_the_name_of_the_location(environ: dict[str, str], tmp_path: Path) -> None:
    months = ["2020-01", "2020-02"]
    given = ["-j", "green_trips_job", "--partitions", ",".join(months), "--noprompt"]

    done = dagster(environ, "job", "backfill", "-w", "workspace.yaml", *given)

    assert done.returncode == 0, done.stderr
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        runs = instance.get_runs()
    assert sorted(run.tags["dagster/partition"] for run in runs) == months
    assert {run.status for run in runs} == {dg.DagsterRunStatus.QUEUED}
    origins = [run.remote_job_origin for run in runs]
    assert {origin.location_name for origin in origins if origin} == {"taxi_platform"}


def test_the_webserver_shows_the_location(environ: dict[str, str]) -> None:
    port = free_port()
    command = [BIN / "dagster-webserver", "-w", "workspace.yaml", "-h", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as it:
        try:
            assert locations(port) == {"taxi_platform": "LOADED"}
        finally:
            it.terminate()


def dagster(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the project's folder."""
    command = [BIN / "dagster", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)


def locations(port: int) -> dict[str, str]:
    """The code locations and their states, as soon as the webserver answers."""
    query = "{ workspaceOrError { ... on Workspace { locationEntries { name loadStatus } } } }"
    body = json.dumps({"query": query}).encode()
    request = Request(f"http://127.0.0.1:{port}/graphql", body, {"Content-Type": "application/json"})
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with urlopen(request, timeout=30) as reply:
                answer: dict[str, Any] = json.load(reply)
        except URLError:
            assert time.monotonic() < deadline
            time.sleep(0.5)
        else:
            entries = answer["data"]["workspaceOrError"]["locationEntries"]
            return {entry["name"]: entry["loadStatus"] for entry in entries}
