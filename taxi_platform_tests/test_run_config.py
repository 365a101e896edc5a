"""A run's config says nothing of where months come from and go to, and reads no variable of the run's process."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.remote_representation.external_data import RepositorySnap

from taxi_platform.definitions import build_definitions
from taxi_platform.settings import Settings

ROOT = Path(__file__).parents[1]
GIVEN = {
    "TAXI_SOURCE": "sample",
    "TAXI_LAKE_URL": "gs://bucket/planted",
    "TAXI_WAREHOUSE_URL": "postgresql://taxi:planted@localhost:1/taxi",
    "TAXI_GCP_CREDENTIALS": '{"type": "service_account", "private_key": "planted"}',
}
FIELDS = [
    ("workspace", "data_dir"),
    ("source", "location"),
    ("source", "raw_dir"),
    ("source", "sample_rows"),
    ("lake", "url"),
    ("lake", "cache_dir"),
    ("lake", "gcp_credentials"),
    *(("lake", f"azure_{it}") for it in ("name", "key", "connection_string")),
    ("warehouse", "url"),
    ("warehouse", "gcp_credentials"),
    *((f"{name}_io_manager", "base_dir") for name in ("raw", "parquet", "lake", "warehouse")),
]


@pytest.fixture
def defs(monkeypatch: pytest.MonkeyPatch) -> dg.Definitions:
    for name, value in {**GIVEN, "PGPASSWORD": "hunter2"}.items():
        monkeypatch.setenv(name, value)
    return build_definitions(Settings.from_env(GIVEN))


@pytest.mark.filterwarnings("ignore:Property `ScheduleDefinition.environment_vars`")  # the snapshot itself reads it
def test_every_field_of_every_resource_a_run_has_is_tried_here(defs: dg.Definitions) -> None:
    found = RepositorySnap.from_def(defs.get_repository_def()).resources or []
    of_runs = [it for it in found if it.name != "alerts"]
    assert {name for name, _ in FIELDS} | {"reference_io_manager"} == {it.name for it in of_runs}
    fields = {(it.name, field.name) for it in of_runs for field in it.config_field_snaps}
    assert fields == {field for field in FIELDS if field[1] != "base_dir"}


@pytest.mark.parametrize("value", [{"env": "PGPASSWORD"}, "hunter2", "/elsewhere", "duckdb:////elsewhere", 7, {}])
@pytest.mark.parametrize(("resource", "field"), FIELDS, ids=lambda it: str(it))
def test_a_run_config_that_sets_a_resource_is_refused(
    defs: dg.Definitions, resource: str, field: str, value: object
) -> None:
    job, config = defs.resolve_job_def("green_trips_job"), {"resources": {resource: {"config": {field: value}}}}
    with pytest.raises(dg.DagsterInvalidConfigError, match=resource) as raised:
        dg.validate_run_config(job, config)
    assert "planted" not in str(raised.value)


def test_a_run_whose_config_names_a_variable_does_not_begin_and_tells_nobody_its_value(tmp_path: Path) -> None:
    (home := tmp_path / "home").mkdir()
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"resources": {"warehouse": {"config": {"url": {"env": "PGPASSWORD"}}}}}))
    environment = {
        "DAGSTER_HOME": str(home),
        "TAXI_DATA_DIR": str(tmp_path / "data"),
        "TAXI_SOURCE": "sample",
        "PGPASSWORD": "hunter2",
    }
    command = [sys.executable, "-W", "ignore", "-m", "dagster", "job", "execute", "-m", "taxi_platform.definitions"]
    command += ["-j", "taxi_zones_job", "-c", str(config)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)

    assert done.returncode != 0
    assert "resources:warehouse:config" in done.stderr
    said = [done.stdout.encode(), done.stderr.encode(), *(it.read_bytes() for it in home.rglob("*") if it.is_file())]
    assert not [it for it in said if b"hunter2" in it]
    assert not (tmp_path / "data").exists()


@pytest.mark.filterwarnings("ignore:Property `ScheduleDefinition.environment_vars`")  # the snapshot itself reads it
def test_the_ui_shows_what_resources_are_set_to_and_of_variables_the_name(defs: dg.Definitions) -> None:
    shown: dict[str, Any] = {
        it.name: it.configured_values for it in RepositorySnap.from_def(defs.get_repository_def()).resources or []
    }
    assert shown["warehouse"]["url"].name == "TAXI_WAREHOUSE_URL"
    assert shown["lake"]["url"].name == "TAXI_LAKE_URL"
    assert shown["source"]["location"].name == "TAXI_SOURCE"
    assert shown["lake"]["gcp_credentials"].name == "TAXI_GCP_CREDENTIALS"
    assert shown["source"]["raw_dir"] == json.dumps(str(Settings.from_env(GIVEN).data_dir / "raw"))
