"""What Dagster is told: that it loads anywhere, what the asset graph is, and what holds for every asset of it.

The asset graph is kept in `snapshots/asset_graph.json`, so that a change to it shows in the diff. To renew it:

    .venv/bin/python -m taxi_platform_tests.test_definitions
"""

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.remote_representation.external_data import RepositorySnap

from taxi_platform.automation.executor import recording_executor
from taxi_platform.core.catalog import load_catalog
from taxi_platform.definitions import build_definitions
from taxi_platform.settings import Settings
from taxi_platform_tests.assets.platform import CHECKS, CHECKS_OF_THE_DATASET

ROOT = Path(__file__).parents[1]
SNAPSHOT = Path(__file__).parent / "snapshots" / "asset_graph.json"
RENEW = ".venv/bin/python -m taxi_platform_tests.test_definitions"
DATASETS = ["fhv", "fhvhv", "green", "yellow"]
MARTS = ["borough_flows", "daily_zone_trips", "hourly_trips", "month_quality", "payment_mix"]
#: What has no months, and is no part of a dataset.
REPORTS = ["reference/fhv_base_report", "reference/published_rows", "reference/tlc_monthly_report"]
WITHOUT_MONTHS = [*REPORTS, "reference/taxi_zone_shapes", "reference/taxi_zones", "report/page"]
LAYERS = ["raw", "cleaned", "quarantine", "lake", "warehouse"]
#: What no run of ours makes: TLC's files, and the views over the tables.
EXTERNAL = {f"tlc/{it}_trips" for it in DATASETS} | {f"views/{it}_trips_with_zones" for it in DATASETS}


def default_definitions() -> dg.Definitions:
    return build_definitions(Settings.from_env({}))


@pytest.fixture(scope="module")
def defs() -> dg.Definitions:
    return default_definitions()


@pytest.fixture(scope="module")
def specs(defs: dg.Definitions) -> list[dg.AssetSpec]:
    return list(defs.resolve_all_asset_specs())


@pytest.fixture(scope="module")
def jobs(defs: dg.Definitions) -> dict[str, dg.JobDefinition]:
    return {job.name: job for job in defs.resolve_all_job_defs() if not job.name.startswith("__")}


# Loading


_IN_A_FRESH_INTERPRETER = """
import socket, sys, time

def refuse(*arguments, **options):
    raise AssertionError(f"the network was used: {arguments[1:]}")

socket.socket.connect = socket.socket.connect_ex = refuse
socket.getaddrinfo = refuse

from taxi_platform.definitions import defs

assert defs.resolve_all_asset_specs()
heavy = ("google.cloud", "google.auth", "psycopg2", "psycopg", "matplotlib", "dagster_gcp", "apprise")
print([name for name in heavy if name in sys.modules])
print(time.process_time())
"""


def test_the_definitions_load_quickly_in_an_empty_environment_without_a_network_and_write_nothing(
    tmp_path: Path,
) -> None:
    done = subprocess.run(
        ["/usr/bin/env", "-i", "PATH=/usr/bin:/bin", sys.executable, "-c", _IN_A_FRESH_INTERPRETER],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    heavy, seconds = done.stdout.splitlines()
    assert heavy == "[]"  # imported where they are used: whoever stays local never pays for them
    # The processor's time of that process alone, not the clock's: other tests run beside this one. About 1.3 s on an
    # idle laptop core; the bound leaves room for a slow one and is still under what one Google client adds twice.
    assert float(seconds) < 6
    assert list(tmp_path.iterdir()) == []


def test_dagsters_own_validation_passes(tmp_path: Path) -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("dagster"), "definitions", "validate", "-w", "workspace.yaml"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "TAXI_DATA_DIR": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Validation successful for code location taxi_platform" in done.stdout + done.stderr
    assert not (tmp_path / "data").exists()


def test_the_code_location_has_one_name_everywhere() -> None:
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    (location,) = yaml.safe_load((ROOT / "workspace.yaml").read_text())["load_from"]
    modules = {
        tools["dagster"]["module_name"],
        tools["dg"]["project"]["code_location_target_module"],
        location["python_module"]["module_name"],
    }
    names = {
        tools["dagster"]["code_location_name"],
        tools["dg"]["project"]["code_location_name"],
        location["python_module"]["location_name"],
    }
    assert modules == {"taxi_platform.definitions"}
    assert names == {"taxi_platform"}


# The graph


def test_the_asset_graph_is_the_one_in_the_snapshot(defs: dg.Definitions) -> None:
    assert json.loads(SNAPSHOT.read_text()) == graph_of(defs), (
        f"The asset graph is not the one in {SNAPSHOT.relative_to(ROOT)}. "
        f"If it is meant to change, renew the file and let the diff be reviewed: {RENEW}"
    )


def test_the_asset_keys_are_the_public_ones(specs: list[dg.AssetSpec]) -> None:
    keys = {spec.key.to_user_string() for spec in specs}
    trips = {f"{layer}/{dataset}_trips" for dataset in DATASETS for layer in LAYERS}
    assert keys == trips | {f"marts/{it}" for it in MARTS} | {*WITHOUT_MONTHS} | EXTERNAL


def test_the_jobs_are_the_public_ones(jobs: dict[str, dg.JobDefinition]) -> None:
    marts = {f"marts/{it}" for it in MARTS}
    expected = {
        "taxi_zones_job": {"reference/taxi_zones"},
        "taxi_zone_shapes_job": {"reference/taxi_zone_shapes"},
        "tlc_reports_job": {*REPORTS},
        "references_job": {*REPORTS, "reference/taxi_zones", "reference/taxi_zone_shapes"},
        "marts_job": marts,
        "page_job": {"report/page"},
        "report_job": marts | {"report/page"},
    }
    for dataset in load_catalog().trips:
        layers = [f"{layer}/{dataset}_trips" for layer in LAYERS]
        expected |= {
            f"{dataset}_trips_job": set(layers),
            f"{dataset}_to_lake_job": set(layers[:-1]),
            f"{dataset}_to_warehouse_job": set(layers[-1:]),
            f"{dataset}_verify_job": set(),
        }
    assert {name: {key.to_user_string() for key in keys_of(job)} for name, job in jobs.items()} == expected


def test_every_job_runs_in_one_process(defs: dg.Definitions, jobs: dict[str, dg.JobDefinition]) -> None:
    assert defs.executor is recording_executor
    assert {name for name, job in jobs.items() if job.executor_def.name != "in_process"} == set()


def test_jobs_have_the_months_of_their_assets(jobs: dict[str, dg.JobDefinition]) -> None:
    assert jobs["taxi_zones_job"].partitions_def is None
    for dataset, contract in load_catalog().trips.items():
        for name in (f"{dataset}_{it}_job" for it in ("trips", "to_lake", "to_warehouse", "verify")):
            months = jobs[name].partitions_def
            assert months is not None
            assert months.get_first_partition_key() == str(contract.first_month)


def test_the_first_months_are_those_tlc_published(specs: list[dg.AssetSpec]) -> None:
    first = {spec.key.path[-1]: spec.partitions_def.get_first_partition_key() for spec in specs if spec.partitions_def}
    assert first == dict.fromkeys(MARTS, "2009-01") | {
        "yellow_trips": "2009-01",
        "green_trips": "2013-08",
        "fhv_trips": "2015-01",
        "fhvhv_trips": "2019-02",
    }


# Invariants


def test_every_asset_is_described_owned_grouped_and_of_a_kind(specs: list[dg.AssetSpec]) -> None:
    for spec in specs:
        name = spec.key.to_user_string()
        assert spec.description and len(spec.description) > 20, name
        assert spec.owners, name
        assert spec.kinds, name
        assert spec.group_name == (dataset_of(spec) or spec.key.path[0]), name


def test_every_asset_of_a_dataset_and_every_mart_has_months(specs: list[dg.AssetSpec]) -> None:
    without = [spec.key.to_user_string() for spec in specs if spec.partitions_def is None]
    assert sorted(without) == sorted([*WITHOUT_MONTHS, *(it for it in EXTERNAL if it.startswith("views/"))])
    for spec in specs:
        if spec.partitions_def:
            assert isinstance(spec.partitions_def, dg.MonthlyPartitionsDefinition)
            assert spec.partitions_def.fmt == "%Y-%m"


def test_every_asset_that_holds_rows_has_a_column_schema_with_words_for_each_column(
    specs: list[dg.AssetSpec],
) -> None:
    for spec in specs:
        if spec.key.path[0] in ("tlc", "raw", "report") or spec.key.path[-1] in ("taxi_zone_shapes", "published_rows"):
            continue
        schema = spec.metadata["dagster/column_schema"]
        assert isinstance(schema, dg.TableSchema)
        assert len(schema.columns) > 3
        for column in schema.columns:
            assert column.description, f"{spec.key.to_user_string()}.{column.name}"
            assert column.type, f"{spec.key.to_user_string()}.{column.name}"


def test_every_asset_can_be_found_by_its_dataset_and_layer(specs: list[dg.AssetSpec]) -> None:
    def own(spec: dg.AssetSpec) -> dict[str, str]:
        return {name: value for name, value in spec.tags.items() if name.startswith("taxi/")}

    for spec in specs:
        dataset = {"taxi/dataset": it} if (it := dataset_of(spec)) else {}
        assert own(spec) == {"taxi/layer": spec.key.path[0], **dataset}, spec.key


def dataset_of(spec: dg.AssetSpec) -> str:
    """The dataset an asset is of; empty if it is of none."""
    layer, table = spec.key.path
    return table.partition("_trips")[0] if layer in (*LAYERS, "tlc", "views") else ""


def test_the_graph_begins_at_tlc_and_no_run_makes_what_is_not_ours(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    assert {it.to_user_string() for it in graph.external_asset_keys} == EXTERNAL
    for dataset in DATASETS:
        assert graph.get(dg.AssetKey(["raw", f"{dataset}_trips"])).parent_keys == {
            dg.AssetKey(["tlc", f"{dataset}_trips"])
        }


def test_what_many_runs_at_once_would_overrun_has_a_pool(defs: dg.Definitions) -> None:
    pools = {"raw": {"source"}, "lake": {"lake"}, "warehouse": {"warehouse"}}
    graph = defs.resolve_asset_graph()
    for dataset in DATASETS:
        for layer in LAYERS:
            assert graph.get(dg.AssetKey([layer, f"{dataset}_trips"])).pools == pools.get(layer, set())


def test_every_check_on_an_asset_with_months_looks_at_one_month(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    for check in graph.asset_check_keys:
        if check.asset_key.path[0] == "marts":
            continue  # a run of a mart is about as many months as have changed
        of_the_dataset = check.name in CHECKS_OF_THE_DATASET.get(check.asset_key.path[0], {})
        months = None if of_the_dataset else graph.get(check.asset_key).partitions_def
        assert graph.get(check).partitions_def == months, check


def test_what_is_promised_is_checked_and_only_a_broken_promise_stops_what_is_downstream(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    blocking = {key: graph.get(key).blocking for key in graph.asset_check_keys}
    assert blocking == {
        dg.AssetCheckKey(dg.AssetKey([layer, f"{dataset}_trips"]), name): blocks
        for dataset in DATASETS
        for layer, checks in [*CHECKS.items(), *CHECKS_OF_THE_DATASET.items()]
        for name, blocks in checks.items()
    } | {dg.AssetCheckKey(dg.AssetKey(["marts", it]), "mart_adds_up"): True for it in MARTS}
    said: dict[str, set[str | None]] = {}
    for key in graph.asset_check_keys:
        said.setdefault(key.name, set()).add(graph.get(key).description)
    for name, descriptions in said.items():
        (description,) = descriptions
        assert description and len(description) > 20 and description.endswith("."), name


def test_the_checks_of_an_asset_are_one_step(jobs: dict[str, dg.JobDefinition]) -> None:
    for dataset in DATASETS:
        steps = {node.name for node in jobs[f"{dataset}_trips_job"].nodes if node.name.startswith("check_")}
        assert steps == {
            f"check_{layer}_{dataset}_trips" for layer in CHECKS if layer != "raw"
        }  # its files are cleaned's


# Secrets


@pytest.mark.filterwarnings("ignore:Property `ScheduleDefinition.environment_vars`")  # the snapshot itself reads it
def test_a_secret_in_the_environment_is_in_nothing_dagster_stores_or_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "TAXI_WAREHOUSE_URL": "postgresql://taxi:hunter2@db.example.com/taxi",
        "TAXI_LAKE_URL": "gs://bucket/hunter2",
        "TAXI_SOURCE": "https://me:hunter2@mirror.example.com/trips",
        "TAXI_GCP_CREDENTIALS": '{"type": "service_account", "private_key": "hunter2"}',
        "TAXI_ALERT_URLS": "mailto://me:hunter2@example.com",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    defs = build_definitions(Settings.from_env(given))

    shown = dg.serialize_value(RepositorySnap.from_def(defs.get_repository_def()))

    assert "hunter2" not in shown
    for name in given.keys() - {"TAXI_ALERT_URLS"}:
        assert name in shown
    assert "hunter2" not in repr(defs.resources)


def test_a_url_from_the_environment_still_reaches_its_resource(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    monkeypatch.setenv("TAXI_WAREHOUSE_URL", f"duckdb:///{path}")
    defs = build_definitions(Settings.from_env({"TAXI_WAREHOUSE_URL": f"duckdb:///{path}", "TAXI_SOURCE": "sample"}))
    monkeypatch.setenv("TAXI_SOURCE", "sample")
    instance = dg.DagsterInstance.ephemeral(tempdir=str(tmp_path / ".dagster"))
    assert defs.resolve_job_def("taxi_zones_job").execute_in_process(instance=instance).success
    assert path.is_file()


# The snapshot


def graph_of(defs: dg.Definitions) -> dict[str, Any]:
    """The asset graph as plain values, in an order that only changes with the graph."""
    graph = defs.resolve_asset_graph()
    specs = sorted(defs.resolve_all_asset_specs(), key=lambda spec: spec.key)
    jobs = sorted(defs.resolve_all_job_defs(), key=lambda job: job.name)
    return {
        "assets": {
            spec.key.to_user_string(): {
                "deps": sorted(dep.asset_key.to_user_string() for dep in spec.deps),
                "group": spec.group_name,
                "kinds": sorted(spec.kinds),
                "owners": list(spec.owners),
                "partitions": (
                    f"monthly from {spec.partitions_def.get_first_partition_key()}" if spec.partitions_def else None
                ),
                "checks": {
                    key.name: "blocking" if graph.get(key).blocking else "not blocking"
                    for key in sorted(graph.asset_check_keys)
                    if key.asset_key == spec.key
                },
            }
            for spec in specs
        },
        "jobs": {
            job.name: sorted(key.to_user_string() for key in keys_of(job))
            for job in jobs
            if not job.name.startswith("__")
        },
    }


def keys_of(job: dg.JobDefinition) -> set[dg.AssetKey]:
    return set(job.asset_layer.selected_asset_keys)


if __name__ == "__main__":
    SNAPSHOT.write_text(json.dumps(graph_of(default_definitions()), indent=2) + "\n")
