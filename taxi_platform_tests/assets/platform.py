"""The whole platform in a folder of a test's own: real definitions, real files, an instance that forgets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pyarrow as pa

from taxi_platform.core.catalog import Catalog, load_catalog
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import ParquetFile
from taxi_platform.core.warehouse import open_warehouse
from taxi_platform.definitions import build_definitions
from taxi_platform.settings import Settings

#: The checks on each layer, and whether they block.
CHECKS = {
    "raw": {"agrees_with_tlc_report": False},
    "cleaned": {
        "rows_are_conserved": True,
        "schema_matches_contract": True,
        "required_values_present": True,
        "month_has_not_shrunk": True,
        "file_is_plain": False,
        "known_columns_only": False,
        "known_codes_only": False,
        "pickups_inside_month": False,
        "rejects_within_expectation": False,
        "row_count_as_published": False,
        "row_count_in_trend": False,
    },
    "lake": {"lake_matches_cleaned": True},
    "warehouse": {"table_matches_lake": True, "zone_view_matches_table": False},
}
#: The checks on each layer that are about the dataset, not about one of its months: no run of a month evaluates them.
CHECKS_OF_THE_DATASET = {"raw": {"newest_month_is_here": False}}
#: What `checks_of` says of a month nothing is wrong with.
ALL_PASS = {name: True for checks in CHECKS.values() for name in checks}


@dataclass(frozen=True)
class Platform:
    """The definitions over a data folder, and ways to run them and to look at what they made."""

    data_dir: Path
    source: str = "sample"
    sample_rows: int = 2_000
    catalog: Catalog = field(default_factory=load_catalog)
    lake_url: str = ""
    warehouse_url: str = ""
    #: Whether Dagster's records are in files, which takes twice as long: another process, or a schedule, can open them.
    is_kept: bool = False

    @cached_property
    def instance(self) -> dg.DagsterInstance:
        # Beside the data, where pytest clears away: a folder of its own making the instance would not.
        folder = self.data_dir.parent / ".dagster"
        if self.is_kept:
            folder.mkdir(parents=True, exist_ok=True)
            return dg.DagsterInstance.local_temp(str(folder))
        return dg.DagsterInstance.ephemeral(tempdir=str(folder))

    @cached_property
    def defs(self) -> dg.Definitions:
        settings = Settings(
            data_dir=self.data_dir,
            source=self.source,
            sample_rows=self.sample_rows,
            lake_url=self.lake_url,
            warehouse_url=self.warehouse_url,
        )
        return build_definitions(settings, self.catalog)

    def run(
        self,
        job: str,
        month: str | None = None,
        *,
        config: Mapping[str, Any] | None = None,
        defs: dg.Definitions | None = None,
        succeeds: bool = True,
    ) -> dg.ExecuteInProcessResult:
        """Run a job in this process; the outcome must be the one expected."""
        result = (
            (defs or self.defs)
            .resolve_job_def(job)
            .execute_in_process(instance=self.instance, partition_key=month, run_config=config, raise_on_error=succeeds)
        )
        assert result.success is succeeds
        return result

    def load(self, layer: str, dataset: str, month: str, as_type: type | None = None) -> Any:
        """What somebody in a notebook gets."""
        return self.defs.load_asset_value(
            [layer, f"{dataset}_trips"], python_type=as_type, instance=self.instance, partition_key=month
        )

    def raw_folder(self, dataset: str, month: str) -> Path:
        return self.data_dir / "raw" / dataset / month

    def parquet(self, layer: str, dataset: str, month: str) -> ParquetFile:
        return ParquetFile(self.data_dir / layer / dataset / f"{month}.parquet")

    def in_lake(self, dataset: str, month: str) -> ParquetFile:
        folder = self.data_dir / "lake" / f"{dataset}_trips" / f"source_month={month}"
        return ParquetFile(folder / f"{dataset}_tripdata_{month}.parquet")

    def table(self, dataset: str, *months: str) -> pa.Table:
        warehouse = open_warehouse(f"duckdb:///{self.data_dir / 'warehouse.duckdb'}")
        return warehouse.read_months(self.catalog.trips[dataset], [Month.parse(month) for month in months])

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Do something to the DuckDB file that the platform does not know of."""
        with duckdb.connect(str(self.data_dir / "warehouse.duckdb")) as con:
            return con.execute(statement).fetchall()

    def files(self) -> list[str]:
        """Every file below the data folder, except locks."""
        paths = self.data_dir.rglob("*")
        return sorted(str(it.relative_to(self.data_dir)) for it in paths if it.is_file() and it.suffix != ".lock")


def metadata_of(result: dg.ExecuteInProcessResult, *key: str) -> dict[str, Any]:
    """The metadata of a materialization, as plain values; tables and other rich ones as they are."""
    (event,) = [it for it in result.get_asset_materialization_events() if it.asset_key == dg.AssetKey(key)]
    return {name: getattr(value, "value", value) for name, value in event.materialization.metadata.items()}


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    """What a person reads of the step that failed."""
    (event, *_) = [it for it in result.all_events if it.is_step_failure]
    failure = event.step_failure_data
    return (failure.user_failure_data.description if failure.user_failure_data else None) or str(failure.error)


def checks_of(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    """Whether each check passed."""
    return {it.check_name: it.passed for it in result.get_asset_check_evaluations()}


def check_of(result: dg.ExecuteInProcessResult, name: str) -> dg.AssetCheckEvaluation:
    """What one check found."""
    (found,) = [it for it in result.get_asset_check_evaluations() if it.check_name == name]
    return found


def figures_of(check: dg.AssetCheckEvaluation) -> dict[str, Any]:
    """The figures of a check, as plain values."""
    return {name: value.value for name, value in check.metadata.items()}


def steps_of(result: dg.ExecuteInProcessResult) -> list[str]:
    """The steps that were executed, in order."""
    return [str(it.step_key) for it in result.all_events if it.event_type == dg.DagsterEventType.STEP_START]
