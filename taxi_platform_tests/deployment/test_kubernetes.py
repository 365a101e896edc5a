"""What can be said of the values for Dagster's chart without a cluster."""

import re
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from taxi_platform.settings import Settings

ROOT = Path(__file__).parents[2]
VALUES: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "kubernetes" / "values.yaml").read_text(encoding="utf-8"))
CODE: dict[str, Any] = VALUES["dagster-user-deployments"]["deployments"][0]


def test_dagster_takes_the_settings_the_chart_makes_of_them(tmp_path: Path) -> None:
    """All but the launcher, which looks for its cluster when it is made."""
    daemon = VALUES["dagsterDaemon"]
    queue = in_dagsters_words(daemon["runCoordinator"]["config"]["queuedRunCoordinator"])
    told = {
        "run_coordinator": {
            "module": "dagster.core.run_coordinator",
            "class": daemon["runCoordinator"]["type"],
            "config": queue,
        },
        "telemetry": {"enabled": False},
        **VALUES["additionalInstanceConfig"],
    }
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(told))
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        limits = instance.get_concurrency_config()
        assert limits.run_queue_config is not None
        assert limits.run_queue_config.max_concurrent_runs == 8
        assert limits.pool_config.default_pool_limit == 4
        assert instance.run_monitoring_enabled
        assert instance.run_retries_enabled
        assert type(instance.run_coordinator).__name__ == "QueuedRunCoordinator"


def test_the_stores_they_name_are_not_refused_where_each_month_is_a_job(tmp_path: Path) -> None:
    launcher = VALUES["runLauncher"]["type"]
    (tmp_path / "dagster.yaml").write_text(f"run_launcher: {{module: dagster_k8s, class: {launcher}}}\n")
    environ = {**CODE["env"], "TAXI_WAREHOUSE_URL": "postgresql://db/taxi", "DAGSTER_HOME": str(tmp_path)}
    environ["TAXI_LAKE_URL"] = environ["TAXI_LAKE_URL"].replace("BUCKET", "bucket").replace("REGION", "region")
    assert Settings.from_env(environ).automation


def test_a_job_has_the_memory_a_month_was_measured_to_take() -> None:
    results = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    measured = re.search(r"\| peak memory, most rows \| [^|]* \| ([\d.]+) GB", results)
    assert measured is not None
    asked = VALUES["runLauncher"]["config"]["k8sRunLauncher"]["resources"]
    assert asked["requests"]["memory"] == "1Gi"
    assert float(measured[1]) * 10**9 < 2**30 < 1536 * 2**20


def test_the_code_is_started_as_in_the_deployment_of_one_machine() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yaml").read_text(encoding="utf-8"))
    assert " ".join(CODE["dagsterApiGrpcArgs"]) in " ".join(compose["services"]["code"]["command"])


def in_dagsters_words(told: dict[str, Any]) -> dict[str, Any]:
    """The chart's names as its template writes them into `dagster.yaml`."""
    return {re.sub("[A-Z]", lambda it: f"_{it[0].lower()}", name): value for name, value in told.items()}
