"""The promises as asset checks, made from the contracts; each looks at one month."""

import time
import warnings

import dagster as dg

from taxi_platform.core.catalog.model import TripContract
from taxi_platform.core.measures import measure_file
from taxi_platform.core.parquet import ParquetFile
from taxi_platform.core.source import RawFile
from taxi_platform.failures import reported
from taxi_platform.months import month_of, partitions_of
from taxi_platform.resources import LakeResource, WarehouseResource, WorkspaceResource


def build_checks(contract: TripContract) -> list[dg.AssetChecksDefinition]:
    """Every check on a dataset's assets."""
    with warnings.catch_warnings():
        # Checking one month at a time is what Dagster calls a preview; without it a check would load every month.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return [_rows_are_conserved(contract), _table_matches_lake(contract)]


def _rows_are_conserved(contract: TripContract) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=["cleaned", contract.table],
        additional_ins={
            "raw": dg.AssetIn(key=["raw", contract.table]),
            "quarantine": dg.AssetIn(key=["quarantine", contract.table]),
        },
        description="Rows of the source file = cleaned rows + quarantined rows: nothing is lost, nothing made up.",
        blocking=True,
        partitions_def=partitions_of(contract),
    )
    def rows_are_conserved(cleaned: ParquetFile, raw: RawFile, quarantine: ParquetFile) -> dg.AssetCheckResult:
        with reported(contract.dataset):
            same_file = raw.sha256 == cleaned.lineage.source_sha256 == quarantine.lineage.source_sha256
        conserved = raw.rows == cleaned.rows + quarantine.rows
        return dg.AssetCheckResult(
            passed=conserved and same_file,
            description=f"{raw.rows:,} rows in, {cleaned.rows:,} cleaned, {quarantine.rows:,} quarantined"
            + ("" if same_file else "; the files were not all made from the raw file that is here now"),
            metadata={
                "rows in the source file": raw.rows,
                "rows cleaned": cleaned.rows,
                "rows quarantined": quarantine.rows,
                "rows unaccounted for": raw.rows - cleaned.rows - quarantine.rows,
            },
        )

    return rows_are_conserved


def _table_matches_lake(contract: TripContract) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=["warehouse", contract.table],
        additional_deps=[["lake", contract.table]],
        description="The table's month equals the lake's: rows, and per column values that are not null and their sum.",
        blocking=True,
        partitions_def=partitions_of(contract),
    )
    def table_matches_lake(
        context: dg.AssetCheckExecutionContext,
        lake: LakeResource,
        warehouse: WarehouseResource,
        workspace: WorkspaceResource,
    ) -> dg.AssetCheckResult:
        with reported(contract.dataset):
            month = month_of(context, contract)
            store = warehouse.open()
            file = lake.open().get(contract, month)
            with workspace.folder_for(contract.dataset, f"{month}.measure") as work:
                in_lake = measure_file(file, contract.stored_columns, work)
            in_table = store.measure_month(contract, month)
            differences = list(in_table.differences(in_lake))
        if not differences:
            _say_how_it_went(context, contract, file, store.table_name(contract), in_table.rows)
        return dg.AssetCheckResult(
            passed=not differences,
            description="; ".join(differences) or f"{in_table.rows:,} rows, {len(in_table.columns)} columns agree",
            metadata={
                "rows in the table": in_table.rows,
                "rows in the lake": in_lake.rows,
                "columns compared": len(in_table.columns),
            },
        )

    return table_matches_lake


def _say_how_it_went(
    context: dg.AssetCheckExecutionContext, contract: TripContract, file: ParquetFile, table: str, rows: int
) -> None:
    """The last word of a run, for whoever reads its log: every job that fills a table ends with this check."""
    lineage = file.lineage
    record = context.instance.get_run_record_by_id(context.run.run_id)
    took = f", {time.time() - record.start_time:.1f} s" if record and record.start_time else ""
    context.log.info(
        f"{contract.dataset} {lineage.month}: {lineage.rows_in:,} rows in = {lineage.rows_cleaned:,} cleaned "
        f"+ {lineage.rows_quarantined:,} quarantined; {rows:,} rows in {table}{took}"
    )
