"""The statements about a month that are checked at every run, made from the contracts.

What each looks at is in `core/findings.py`; here is what follows from it. A blocking check that fails stops what is
downstream; a warning lets the month pass and shows it.
"""

import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import dagster as dg

from taxi_platform.core import findings, trends, verifying
from taxi_platform.core.catalog import Catalog
from taxi_platform.core.catalog.model import TripContract
from taxi_platform.core.catalog.published import published_near, published_rows
from taxi_platform.core.editions import held_still, require_name
from taxi_platform.core.errors import ReplacedError, WarehouseError
from taxi_platform.core.findings import Finding
from taxi_platform.core.month import Month
from taxi_platform.core.official.finding import agrees_with_tlc_report
from taxi_platform.core.parquet import ParquetFile
from taxi_platform.core.rejects import rejects
from taxi_platform.core.showing import told
from taxi_platform.core.shrinking import month_has_not_shrunk, rows_beside
from taxi_platform.core.source import RawFile
from taxi_platform.core.warehouse import Warehouse
from taxi_platform.core.warehouse.zone_totals import zone_view_matches_table
from taxi_platform.failures import reported
from taxi_platform.handed_on import name_made
from taxi_platform.judged_again import sides
from taxi_platform.months import month_of, partitions_of
from taxi_platform.resources import LakeResource, WarehouseResource, WorkspaceResource


@dataclass(frozen=True)
class _Check:
    """A check's name is a statement; the description says more."""

    name: str
    description: str
    blocking: bool = False


_CLEANED = (
    _Check("rows_are_conserved", "Rows of the source file = cleaned rows + quarantined rows.", blocking=True),
    _Check("schema_matches_contract", "The cleaned file has the contract's columns, and no others.", blocking=True),
    _Check("required_values_present", "No row lacks a value that it means nothing without.", blocking=True),
    _Check(
        "month_has_not_shrunk",
        "The file has rows, not far fewer than the lake, TLC or the months beside it have; unless the run says so.",
        blocking=True,
    ),
    _Check("file_is_plain", "Nothing in the file had to be interpreted: no time zone, encoding, or second header."),
    _Check("known_columns_only", "The source file has no column the contract does not name."),
    _Check("known_codes_only", "Columns of codes hold none that the contract does not explain."),
    _Check("pickups_inside_month", "All but a few pickups are in the month the file is for."),
    _Check("rejects_within_expectation", "The share of rejected rows is small, and like that of the months around it."),
    _Check("row_count_as_published", "The file has as many rows as TLC's own catalogue of its Parquet files says."),
    _Check("row_count_in_trend", "The month is not much larger or smaller than those around it."),
)
_RAW = (_Check("agrees_with_tlc_report", "The file has the trips and the money TLC reports, within 5 %."),)
#: What is asked of a month's files on this machine, by the layer that is judged.
_OF_FILES = {"raw": _RAW, "cleaned": _CLEANED}
_LAKE = (_Check("lake_matches_cleaned", "The lake's object is the cleaned file, byte for byte.", blocking=True),)
_WAREHOUSE = (
    _Check(
        "table_matches_lake",
        "The table's month has the rows of the lake's, every value in its row: both have the same fingerprint.",
        blocking=True,
    ),
    # A warning: the table is right whatever the view shows, and what stands downstream of it reads the table.
    _Check("zone_view_matches_table", "The view with zones has the month's rows, each once, and their money."),
)


def names_of() -> list[tuple[str, str]]:
    """Layer and name of every check on a dataset's months."""
    layers = {"raw": _RAW, "cleaned": _CLEANED, "lake": _LAKE, "warehouse": _WAREHOUSE}
    return [(layer, it.name) for layer, checks in layers.items() for it in checks]


def build_checks(contract: TripContract, catalog: Catalog) -> list[dg.AssetChecksDefinition]:
    """Every check on a dataset's assets: one step per asset, one result per check."""
    with warnings.catch_warnings():
        # Checking one month at a time is what Dagster calls a preview; without it a check would load every month.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return [_cleaned_checks(contract), _lake_checks(contract), _warehouse_checks(contract, catalog)]


def _specs(contract: TripContract, layer: str, checks: Iterable[_Check], *deps: str) -> list[dg.AssetCheckSpec]:
    return [
        dg.AssetCheckSpec(
            check.name,
            asset=[layer, contract.table],
            additional_deps=[[dep, contract.table] for dep in deps],
            description=check.description,
            blocking=check.blocking,
            partitions_def=partitions_of(contract),
        )
        for check in checks
    ]


def _results(
    context: dg.AssetCheckExecutionContext,
    contract: TripContract,
    layer: str,
    checks: Iterable[_Check],
    found: Mapping[str, Callable[[], Finding]],
    look: Callable[[], None],
) -> Iterator[dg.AssetCheckResult]:
    """Judge a layer; nothing is said of files before `look` has seen that they are still those that were read."""
    for check in checks:
        finding = found[check.name]()
        look()
        says = told(finding.says if finding.judged else f"not judged: {finding.says}")
        if not finding.holds:
            context.log.warning(f"{layer}/{contract.table}: {check.name} does not hold: {says}")
        elif not finding.judged:
            context.log.info(f"{layer}/{contract.table}: {check.name} {says}")
        yield dg.AssetCheckResult(
            check_name=check.name,
            asset_key=[layer, contract.table],
            passed=finding.holds,
            severity=dg.AssetCheckSeverity.ERROR if check.blocking else dg.AssetCheckSeverity.WARN,
            description=says,
            metadata=finding.figures if finding.judged else {**finding.figures, "judged": False},
        )


def _cleaned_checks(contract: TripContract) -> dg.AssetChecksDefinition:
    @dg.multi_asset_check(
        name=f"check_cleaned_{contract.table}",
        specs=[
            *_specs(contract, "raw", _RAW, "cleaned", "quarantine"),
            *_specs(contract, "cleaned", _CLEANED, "raw", "quarantine"),
        ],
        ins={layer: dg.AssetIn(key=[layer, contract.table]) for layer in ("raw", "cleaned", "quarantine")},
        can_subset=True,  # or the UI could not execute one of them alone
    )
    def cleaned_checks(
        context: dg.AssetCheckExecutionContext,
        workspace: WorkspaceResource,
        lake: LakeResource,
        raw: RawFile,
        cleaned: ParquetFile,
        quarantine: ParquetFile,
    ) -> Iterator[dg.AssetCheckResult]:
        with reported(contract.dataset):
            month = month_of(context, contract)
            files = workspace.files(contract.dataset, month)
            cleaned_here = name_made(
                context.instance, context.run.run_id, dg.AssetKey(["cleaned", contract.table]), month
            )
            if cleaned_here and raw.sha256 != cleaned.lineage.source_sha256:
                raise ReplacedError(files.about, str(raw.path))  # by another run's fetch, since this one has cleaned
            with (
                held_still(files.about, raw, cleaned, quarantine) as look,
                workspace.folder_for(contract.dataset, f"{month}.checks") as work,
            ):
                near, now = lake.lineages_near(workspace, contract.dataset, month), cleaned.lineage
                before, after = sides(near, month)
                schema = findings.schema_matches_contract(contract, cleaned)
                counted = workspace.official.counts
                published = published_rows(contract.dataset, month, counted)
                profiled = cache(lambda: findings.profile(contract, month, cleaned, work))
                why = cache(lambda: rejects(contract, quarantine, work))

                def of_rows(judge: Callable[[], Finding]) -> Callable[[], Finding]:
                    # What is asked of the rows takes the contract's columns for granted.
                    return judge if schema.holds else lambda: Finding(holds=False, says=schema.says, judged=False)

                found = {
                    "rows_are_conserved": lambda: findings.rows_are_conserved(raw, cleaned, quarantine),
                    "schema_matches_contract": lambda: schema,
                    "required_values_present": of_rows(
                        lambda: findings.required_values_present(profiled(), raw.rows, why)
                    ),
                    "month_has_not_shrunk": lambda: month_has_not_shrunk(
                        now, lake.held(contract, month), published, why, rows_beside(month, now, near, counted)
                    ),
                    "file_is_plain": lambda: findings.file_is_plain(now),
                    "known_columns_only": of_rows(lambda: findings.known_columns_only(cleaned, work)),
                    "known_codes_only": of_rows(lambda: findings.known_codes_only(profiled())),
                    "pickups_inside_month": of_rows(lambda: findings.pickups_inside_month(profiled())),
                    "rejects_within_expectation": lambda: trends.rejects_within_expectation(
                        contract, now, before, why, after
                    ),
                    "row_count_as_published": lambda: trends.row_count_as_published(raw, published),
                    "row_count_in_trend": lambda: trends.row_count_in_trend(
                        now, before, after, published_near(contract.dataset, month, counted)
                    ),
                }
                on_trial = {
                    "agrees_with_tlc_report": lambda: agrees_with_tlc_report(
                        contract,
                        month,
                        raw,
                        (cleaned, quarantine),
                        lambda: lake.files_beside(workspace, contract, month),
                        workspace.official,
                        work,
                    )
                }
                asked = {key.name for key in context.selected_asset_check_keys}
                due = {layer: [it for it in checks if it.name in asked] for layer, checks in _OF_FILES.items()}
                yield from _results(context, contract, "raw", due["raw"], on_trial, look)
                yield from _results(context, contract, "cleaned", due["cleaned"], found, look)

    return cleaned_checks


def _lake_checks(contract: TripContract) -> dg.AssetChecksDefinition:
    @dg.multi_asset_check(
        name=f"check_lake_{contract.table}",
        specs=_specs(contract, "lake", _LAKE, "cleaned"),
        ins={layer: dg.AssetIn(key=[layer, contract.table]) for layer in ("cleaned", "lake")},
    )
    def lake_checks(
        context: dg.AssetCheckExecutionContext, cleaned: ParquetFile, lake: ParquetFile
    ) -> Iterator[dg.AssetCheckResult]:
        found = {"lake_matches_cleaned": lambda: findings.lake_matches_cleaned(cleaned, lake)}
        with (
            reported(contract.dataset),
            held_still(f"{contract.dataset} {context.partition_key}", cleaned, lake) as look,
        ):
            yield from _results(context, contract, "lake", _LAKE, found, look)

    return lake_checks


def _warehouse_checks(contract: TripContract, catalog: Catalog) -> dg.AssetChecksDefinition:
    @dg.multi_asset_check(
        name=f"check_warehouse_{contract.table}",
        specs=_specs(contract, "warehouse", _WAREHOUSE, "lake"),
        can_subset=True,  # as above
    )
    def warehouse_checks(
        context: dg.AssetCheckExecutionContext,
        lake: LakeResource,
        warehouse: WarehouseResource,
        workspace: WorkspaceResource,
    ) -> Iterator[dg.AssetCheckResult]:
        with reported(contract.dataset):
            month = month_of(context, contract)
            store = warehouse.open(catalog)
            about = f"{contract.dataset} {month}"
            loaded = name_made(context.instance, context.run.run_id, dg.AssetKey(["warehouse", contract.table]), month)

            def table_matches_lake() -> Finding:
                file = lake.open().get(contract, month)
                require_name(about, file, loaded or file.sha256)
                with (
                    held_still(about, file),
                    workspace.folder_for(contract.dataset, f"{month}.checks") as work,
                ):
                    # Of what this run has brought there it knows the fingerprint; else nothing is taken for granted.
                    finding = verifying.table_matches_lake(contract, month, store, file, work, anew=loaded is None)
                if not finding.holds:  # another run's, maybe, which has just loaded what it brought to the lake
                    require_name(about, lake.open().get(contract, month), file.sha256)
                if finding.holds:
                    _say_how_it_went(context, contract, file, store.table_name(contract), file.rows)
                return finding

            found = {
                "table_matches_lake": table_matches_lake,
                "zone_view_matches_table": lambda: _zone_view_matches_table(contract, month, store),
            }
            asked = {key.name for key in context.selected_asset_check_keys}
            due = [it for it in _WAREHOUSE if it.name in asked]
            yield from _results(context, contract, "warehouse", due, found, lambda: None)

    return warehouse_checks


def _zone_view_matches_table(contract: TripContract, month: Month, store: Warehouse) -> Finding:
    """A view that cannot be read is warned of as well: a month whose table is right does not fail by it."""

    def compared() -> Finding:
        in_view = store.measure_zone_view(contract, month)
        money = [in_view.money_column] if in_view and in_view.money_column else []
        return zone_view_matches_table(contract, in_view, store.measure_month(contract, month, money))

    try:
        finding = compared()
        # The month may have been replaced since the view was measured.
        return finding if finding.holds else compared()
    except WarehouseError as error:
        if error.may_pass_later:
            raise
        return Finding(holds=False, says=f"not compared: {error}")


def _say_how_it_went(
    context: dg.AssetCheckExecutionContext, contract: TripContract, file: ParquetFile, table: str, rows: int
) -> None:
    """The last word of a run, for whoever reads its log: every job that fills a table ends with this check."""
    lineage = file.known_lineage
    came = (
        f"{lineage.rows_in:,} rows in = {lineage.rows_cleaned:,} cleaned + {lineage.rows_quarantined:,} quarantined"
        if lineage
        else f"{file.rows:,} rows in an object somebody else put into the lake"
    )
    record = context.instance.get_run_record_by_id(context.run.run_id)
    took = f", {time.time() - record.start_time:.1f} s" if record and record.start_time else ""
    month = context.partition_key
    context.log.info(f"{contract.dataset} {month}: {came}; {rows:,} rows in {table}{took}")
