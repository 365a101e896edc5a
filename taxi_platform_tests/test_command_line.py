"""The command people type, as they type it: what a run says when it goes well, and when it was asked for nonsense."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from taxi_platform_tests.assets.platform import Platform

ROOT = Path(__file__).parents[1]
DAGSTER = Path(sys.executable).with_name("dagster")


@dataclass(frozen=True)
class Call:
    """One `dagster job execute`, and what is expected of it.

    Attributes:
        says: What its output must hold; `{folder}` stands for the test's own folder.
        tags: The run's tags.
        environment: Variables set for it; `{folder}` as in `says`.
        config: The run config, as YAML.
    """

    says: tuple[str, ...]
    tags: dict[str, str] = field(default_factory=lambda: {"dagster/partition": "2021-01"})
    environment: dict[str, str] = field(default_factory=dict)
    config: str = ""


def month(key: str) -> dict[str, str]:
    return {"dagster/partition": key}


BAD_CALLS = {
    "no month": Call(
        ("green_trips: the run has no month", """--tags '{{"dagster/partition": "2021-01"}}'"""),
        tags={},
    ),
    "a month before the first": Call(
        ("1999-01 is outside the dataset's months", "2013-08 to the last whole one"), tags=month("1999-01")
    ),
    "a month there is not": Call(("2021-13", "%Y-%m"), tags=month("2021-13")),
    "a month that is not published": Call(
        ("green 2021-01: not published by this source at {folder}/source/green_tripdata_2021-01.csv.gz", "Fix: "),
        environment={"TAXI_SOURCE": "{folder}/source"},
    ),
    "a source folder that is not there": Call(
        ("green 2021-01: the source folder does not exist at {folder}/nowhere", "Fix: set TAXI_SOURCE"),
        environment={"TAXI_SOURCE": "{folder}/nowhere"},
    ),
    "a data folder that is a file": Call(
        ("TAXI_DATA_DIR='{folder}/file' is not usable", "Fix: set TAXI_DATA_DIR to a folder"),
        environment={"TAXI_DATA_DIR": "{folder}/file"},
    ),
    "a data folder nobody can make": Call(
        ("TAXI_DATA_DIR='{folder}/file/data' is not usable", "Fix: set TAXI_DATA_DIR to a folder"),
        environment={"TAXI_DATA_DIR": "{folder}/file/data"},
    ),
    "a lake nobody can make": Call(
        ("TAXI_LAKE_URL='{folder}/file/lake' is not usable", "Fix: set TAXI_LAKE_URL to a folder"),
        environment={"TAXI_LAKE_URL": "{folder}/file/lake"},
    ),
    "a lake nobody can write to": Call(
        ("green 2021-01: Not a directory at {folder}/file/lake", "TAXI_LAKE_URL"),
        environment={"TAXI_LAKE_URL": "file://{folder}/file/lake"},
    ),
    "a warehouse that is no database": Call(
        ("green 2021-01: the warehouse file cannot be opened at {folder}/file", "Fix: point TAXI_WAREHOUSE_URL"),
        environment={"TAXI_WAREHOUSE_URL": "duckdb:///{folder}/file"},
    ),
    "a lake of no known kind": Call(
        ("TAXI_LAKE_URL='hdfs://bucket' is not usable", "gs://bucket"), environment={"TAXI_LAKE_URL": "hdfs://bucket"}
    ),
    "a warehouse of no known kind": Call(
        ("TAXI_WAREHOUSE_URL='mysql://me:***@host/db' is not usable", "duckdb:///path"),
        environment={"TAXI_WAREHOUSE_URL": "mysql://me:hunter2@host/db"},
    ),
    "a source of no known kind": Call(
        ("TAXI_SOURCE='ftp://host/trips' is not usable", "https://"), environment={"TAXI_SOURCE": "ftp://host/trips"}
    ),
    "a rule there is not": Call(
        ('unexpected config entry "zero_passenger" at path root:ops:clean_green_trips:config:rules', "zero_passengers"),
        config="ops: {clean_green_trips: {config: {rules: {zero_passenger: warn}}}}",
    ),
}


def test_a_month_is_brought_in_and_the_last_line_says_how_it_went(tmp_path: Path) -> None:
    done = execute(tmp_path, Call(()))

    assert done.returncode == 0, done.stderr
    platform = Platform(tmp_path / "data")
    cleaned = platform.parquet("cleaned", "green", "2021-01").rows
    summary = (
        rf"green 2021-01: 500 rows in = {cleaned} cleaned \+ {500 - cleaned} quarantined; "
        rf"{cleaned} rows in taxi\.green_trips, \d+\.\d s"
    )
    lines = [line for line in done.stderr.splitlines() if " - dagster - " in line]
    assert re.search(summary, lines[-1])
    assert len(lines) < 10, "a terminal shows what people need; every event is in the UI"
    assert platform.table("green", "2021-01").num_rows == cleaned


@pytest.mark.parametrize("call", BAD_CALLS.values(), ids=BAD_CALLS)
def test_nonsense_is_refused_with_a_message_and_leaves_nothing_half_done(tmp_path: Path, call: Call) -> None:
    done = execute(tmp_path, call)

    output = done.stdout + done.stderr
    assert done.returncode != 0, output
    for expected in call.says:
        assert expected.format(folder=tmp_path) in output
    assert "hunter2" not in output
    # Layers before the one that failed may be there, whole; the others are not, and neither is anything in between.
    assert (tmp_path / "file").read_text() == "not a folder, not a database"
    assert not (tmp_path / "data" / "warehouse.duckdb").exists()
    assert [path for path in tmp_path.rglob("*") if ".work-" in path.name or path.suffix == ".part"] == []
    if "lake" not in str(call.environment) and "duckdb" not in str(call.environment):
        written = [path for path in (tmp_path / "data").rglob("*") if path.is_file() and path.suffix != ".lock"]
        assert written == []


def execute(folder: Path, call: Call) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, with an environment of its own."""
    home = folder / "dagster"
    home.mkdir()
    shutil.copy(ROOT / "deploy" / "local" / "dagster.yaml", home)
    (folder / "source").mkdir()
    (folder / "file").write_text("not a folder, not a database")
    (folder / "config.yaml").write_text(call.config or "{}")
    environment = {
        "PATH": os.defpath,
        "HOME": str(folder),
        "DAGSTER_HOME": str(home),
        "TAXI_DATA_DIR": str(folder / "data"),
        "TAXI_SOURCE": "sample",
        "TAXI_SAMPLE_ROWS": "500",
        **{name: value.format(folder=folder) for name, value in call.environment.items()},
    }
    command = [DAGSTER, "job", "execute", "-m", "taxi_platform.definitions", "-j", "green_trips_job"]
    command += ["-c", folder / "config.yaml", "--tags", json.dumps(call.tags)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
