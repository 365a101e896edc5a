"""Stores that only one machine has are refused where runs may land on several.

Each machine would have a DuckDB file or a lake folder of its own: months would be stored, every run would succeed, and
no machine would have them all.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from taxi_platform.core.errors import SettingsError
from taxi_platform.core.lake.places import ACCEPTED
from taxi_platform.core.urls import duckdb_path, lake_folder, mask_url

#: What the names of launchers have in common that give runs to other machines: `CeleryRunLauncher` and those made of
#: it, `K8sRunLauncher`, `CeleryK8sRunLauncher`, `EcsRunLauncher`, `RayRunLauncher`.
_SPREADING = ("celery", "k8s", "ecsrun", "rayrun")


def refuse_stores_of_one_machine(dagster_home: Path | None, lake_url: str, warehouse_url: str) -> None:
    """Refuse a DuckDB file as warehouse, and a folder as lake, where Dagster gives runs to other machines.

    Args:
        dagster_home: Dagster's folder, whose `dagster.yaml` names who launches runs; None: there is none.
        lake_url: What `TAXI_LAKE_URL` says.
        warehouse_url: What `TAXI_WAREHOUSE_URL` says.

    Raises:
        SettingsError: Such a store is set; names it, the launcher and the fix.
    """
    launcher = launcher_in(dagster_home) if dagster_home else ""
    if not any(it in launcher.lower() for it in _SPREADING):
        return
    for name, value, only_here, what, fix in (
        (
            "TAXI_WAREHOUSE_URL",
            warehouse_url,
            duckdb_path(warehouse_url) is not None,
            "a DuckDB file, which one machine has and one run at a time may write",
            "postgresql://… or bigquery://project/dataset",
        ),
        ("TAXI_LAKE_URL", lake_url, lake_folder(lake_url) is not None, "a folder, which one machine has", ACCEPTED),
    ):
        if only_here:
            raise SettingsError(
                f"{name}={mask_url(value)!r} is not usable where {launcher} gives runs to several machines",
                where=str(Path(dagster_home or "") / "dagster.yaml"),
                cause=f"it is {what}",
                fix=f"set {name} to {fix}, or remove run_launcher from dagster.yaml",
            )


def launcher_in(dagster_home: Path) -> str:
    """The class that Dagster's settings name to launch runs; empty if they name none or cannot be read."""
    try:
        told: Any = yaml.safe_load((dagster_home / "dagster.yaml").read_text(encoding="utf-8"))
        return str(told["run_launcher"]["class"])
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError):
        return ""  # Dagster says better what is wrong with them
