"""Stores of one machine are refused, by name, where runs may land on several."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from taxi_platform.core.errors import SettingsError
from taxi_platform.settings import Settings

POSTGRES = "postgresql://taxi:hunter2@db/taxi"
SPREADING = {
    "CeleryRunLauncher": "dagster_celery.launcher",
    "WatchedCeleryRunLauncher": "taxi_platform.automation.celery_launcher",
    "K8sRunLauncher": "dagster_k8s",
    "CeleryK8sRunLauncher": "dagster_celery_k8s",
    "EcsRunLauncher": "dagster_aws.ecs",
}


@pytest.mark.parametrize("launcher", SPREADING)
@pytest.mark.parametrize(
    ("stores", "name", "fix"),
    [
        (
            {},
            "TAXI_WAREHOUSE_URL='duckdb:///",
            "set TAXI_WAREHOUSE_URL to postgresql://… or bigquery://project/dataset",
        ),
        ({"TAXI_WAREHOUSE_URL": POSTGRES}, "TAXI_LAKE_URL='", "set TAXI_LAKE_URL to gs://bucket"),
        (
            {"TAXI_WAREHOUSE_URL": POSTGRES, "TAXI_LAKE_URL": "file:///srv/lake"},
            "TAXI_LAKE_URL='file:///srv/lake'",
            "az:",
        ),
    ],
)
def test_a_store_of_one_machine_is_refused_where_runs_may_land_on_several(
    tmp_path: Path, launcher: str, stores: dict[str, str], name: str, fix: str
) -> None:
    with pytest.raises(SettingsError) as raised:
        Settings.from_env(stores | home(tmp_path, launcher))
    told = str(raised.value)
    assert told.startswith(name)
    assert f"is not usable where {launcher} gives runs to several machines at {tmp_path}/dagster.yaml. Cause: " in told
    assert fix in told
    assert "hunter2" not in told


def test_stores_all_machines_have_are_not_refused(tmp_path: Path) -> None:
    for lake in ("gs://bucket", "s3://bucket/taxi", "az://container"):
        for warehouse in (POSTGRES, "bigquery://project/dataset"):
            stores = {"TAXI_LAKE_URL": lake, "TAXI_WAREHOUSE_URL": warehouse}
            assert Settings.from_env(stores | home(tmp_path, "CeleryRunLauncher")).lake_url == lake


@pytest.mark.parametrize("launcher", ["WatchedRunLauncher", "DefaultRunLauncher", "DockerRunLauncher"])
def test_on_one_machine_nothing_is_refused(tmp_path: Path, launcher: str) -> None:
    assert Settings.from_env(home(tmp_path, launcher)).warehouse_url.startswith("duckdb:///")


@pytest.mark.parametrize("told", ["", "run_launcher:", "run_launcher: {module: x}", "- a", "{", "\udcff"])
def test_settings_of_dagsters_that_name_no_launcher_are_left_to_dagster(tmp_path: Path, told: str) -> None:
    (tmp_path / "dagster.yaml").write_bytes(told.encode(errors="surrogateescape"))
    assert Settings.from_env({"DAGSTER_HOME": str(tmp_path)})


def test_the_code_location_does_not_start_with_a_store_of_one_machine(tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TAXI_", "DAGSTER_"))}
    environ = kept | home(tmp_path, "K8sRunLauncher") | {"TAXI_DATA_DIR": str(tmp_path / "data")}
    command = [sys.executable, "-c", "import taxi_platform.definitions"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "is not usable where K8sRunLauncher gives runs to several machines" in done.stderr


def home(folder: Path, launcher: str) -> dict[str, str]:
    module = SPREADING.get(launcher, "dagster")
    (folder / "dagster.yaml").write_text(f"run_launcher: {{module: {module}, class: {launcher}}}\n")
    return {"DAGSTER_HOME": str(folder)}
