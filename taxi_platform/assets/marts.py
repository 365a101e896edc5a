"""5. `marts/<name>`: what people ask of the tables, worked out in the warehouse and replaced month by month.

Before: `warehouse.py`. What a mart is stands in `marts/`. It follows its months by a sensor, `automation/marts.py`, not
as a part of their runs: a month is whole without it, costs no second more, and one run works out a mart for as many
months as have changed.
"""

import importlib.util
import time
import warnings
from typing import Any

import dagster as dg

from taxi_platform.assets.metadata import table_metadata
from taxi_platform.core.catalog import Catalog
from taxi_platform.core.month import Month
from taxi_platform.core.warehouse import Warehouse
from taxi_platform.failures import reported
from taxi_platform.marts import Mart
from taxi_platform.resources import WarehouseResource

#: The group of these assets.
MARTS = "marts"
_CHECK = "mart_adds_up"


def mart_key(mart: Mart) -> dg.AssetKey:
    """The key of a mart's asset."""
    return dg.AssetKey([MARTS, mart.name])


def build_mart_asset(mart: Mart, catalog: Catalog) -> dg.AssetsDefinition:
    """The asset that keeps a mart in the warehouse: all datasets that have a place in it, a month at a time."""
    with warnings.catch_warnings():
        # Months of a mart that a dataset has not, and one run for many months, are what Dagster calls beta.
        warnings.simplefilter("ignore", dg.BetaWarning)
        return _mart_asset(mart, catalog)


def _mart_asset(mart: Mart, catalog: Catalog) -> dg.AssetsDefinition:
    datasets = mart.datasets(catalog)
    first = min(it.first_month for it in datasets)
    months = dg.MonthlyPartitionsDefinition(start_date=first.first_day.strftime("%Y-%m"), fmt="%Y-%m")
    same_month = dg.TimeWindowPartitionMapping(allow_nonexistent_upstream_partitions=True)

    @dg.asset(
        key=mart_key(mart),
        deps=[dg.AssetDep(["warehouse", it.table], partition_mapping=same_month) for it in datasets],
        description=f"{mart.title}. {mart.description}",
        group_name=MARTS,
        owners=[mart.owner],
        tags={"taxi/layer": MARTS},
        kinds={"table", "sql"},
        partitions_def=months,
        # One run for as many months as are asked for: a month takes a fraction of what a run costs to begin.
        backfill_policy=dg.BackfillPolicy.single_run(),
        metadata=table_metadata(mart, mart.columns),
        check_specs=[
            dg.AssetCheckSpec(
                _CHECK,
                asset=mart_key(mart),
                description="Trips and sums of the mart are those of the tables, dataset by dataset.",
                blocking=True,  # no page of figures that are wrong
            )
        ],
    )
    def mart_of_months(context: dg.AssetExecutionContext, warehouse: WarehouseResource) -> dg.MaterializeResult:
        from taxi_platform.marts.query import query_of

        store, wrong = warehouse.open(catalog, context.run.run_id), list[str]()
        rows: dict[str, int] = {}
        started = time.monotonic()
        for key in context.partition_keys:
            with reported(f"{mart.name} {key}"):
                month = Month.parse(key)
                rows[key] = store.compute_month(mart, month, query_of(mart, catalog, store, month))
                wrong += [f"{key}: {it}" for it in differences(mart, catalog, store, month)]
                context.log.info(f"{mart.name} {key}: {rows[key]:,} rows in {store.table_name(mart)}")
        return dg.MaterializeResult(
            metadata={
                "rows": sum(rows.values()),
                "dagster/table_name": store.table_name(mart),
                "months": len(rows),
                "seconds": round(time.monotonic() - started, 3),
                "dagster/column_lineage": _lineage(mart, catalog),
            }
            | _picture(mart, store, Month.parse(max(rows))),
            check_results=[
                dg.AssetCheckResult(
                    check_name=_CHECK,
                    passed=not wrong,
                    severity=dg.AssetCheckSeverity.ERROR,
                    description="; ".join(wrong[:5]) or f"equal in {len(rows)} months",
                )
            ],
        )

    return mart_of_months


def differences(mart: Mart, catalog: Catalog, store: Warehouse, month: Month) -> list[str]:
    """In what a mart's month does not add up to the trips it is of, in words."""
    from taxi_platform.marts.query import conserved_query, unlike

    return [*unlike(store.ask(conserved_query(mart, catalog, store, month), f"{mart.name} {month}"), mart)]


def _picture(mart: Mart, store: Warehouse, month: Month) -> dict[str, Any]:
    """Metadata that shows a month of the mart; none where what draws it, the extra `report`, is not installed."""
    if not all(map(importlib.util.find_spec, ("altair", "vl_convert"))):
        return {}
    from taxi_platform.report.picture import picture_of

    with reported(f"{mart.name} {month}"):
        return {"picture": dg.MetadataValue.md(picture_of(mart, store, month))}


def _lineage(mart: Mart, catalog: Catalog) -> dg.TableColumnLineage:
    """Which columns of which tables each column comes from, as the mart's query says."""
    from taxi_platform.marts.query import column_sources

    layers = {catalog.zones.table: "reference"}
    return dg.TableColumnLineage(
        {
            column: [
                dg.TableColumnDep(dg.AssetKey([layers.get(table, "warehouse"), table]), name) for table, name in found
            ]
            for column, found in column_sources(mart, catalog).items()
        }
    )
