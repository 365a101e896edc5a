"""The jobs: a run is one dataset and one month, the whole chain in one process."""

from typing import TYPE_CHECKING

import dagster as dg

from taxi_platform.assets.marts import MARTS
from taxi_platform.assets.reference import COUNTS, SHAPES
from taxi_platform.assets.report import PAGE
from taxi_platform.automation import lateness
from taxi_platform.automation.executor import recording_executor
from taxi_platform.automation.outcomes import DATASET
from taxi_platform.core.catalog import Catalog
from taxi_platform.core.catalog.model import TripContract
from taxi_platform.core.month import Month
from taxi_platform.months import partitions_of

#: The check that a run of `<d>_verify_job` consists of.
VERIFYING = "table_matches_lake"

if TYPE_CHECKING:
    from taxi_platform.dagster_internals import UnresolvedAssetJobDefinition as Job


#: For what may pass by itself; an error that says it will not is not tried again (`failures.py`).
RETRIES = dg.RetryPolicy(max_retries=2, delay=10, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)


def build_jobs(catalog: Catalog, retries: dg.RetryPolicy = RETRIES) -> list["Job"]:
    """Every job, by the names of the README.

    Args:
        catalog: The contracts.
        retries: How often a step is tried again, and when.
    """

    def job(name: str, selection: dg.AssetSelection, description: str) -> "Job":
        return dg.define_asset_job(
            name, selection, description=description, executor_def=recording_executor, op_retry_policy=retries
        )

    zones, shapes = (dg.AssetSelection.assets(["reference", it]) for it in (catalog.zones.table, SHAPES))
    reports = dg.AssetSelection.assets(*(["reference", it] for it in (*catalog.reports, COUNTS)))
    marts, page = dg.AssetSelection.groups(MARTS), dg.AssetSelection.assets(PAGE)
    return [
        *(it for contract in catalog.trips.values() for it in _jobs_of(contract, retries)),
        job("taxi_zones_job", zones, "Fetches the zone lookup into the warehouse."),
        job(
            "taxi_zone_shapes_job",
            shapes,
            "Fetches the shapes of the zones, for maps and for trips without zones.",
        ),
        job("tlc_reports_job", reports, "Fetches TLC's own figures: its monthly report, and the report of the bases."),
        job("references_job", zones | shapes | reports, "Fetches every table and file that has no months."),
        job("marts_job", marts, "Works the marts out, for a month or for many in one run."),
        job("page_job", page, "Makes the page of what the marts hold."),
        job(
            "report_job",
            marts | page,
            "Works the marts out, for one month or many, and makes the page of them.",
        ),
    ]


def _jobs_of(contract: TripContract, retries: dg.RetryPolicy) -> list["Job"]:
    to_lake = ("raw", "cleaned", "quarantine", "lake")
    of_the_dataset = dg.AssetSelection.checks(lateness.key_of(contract))  # which a run of one month is not about

    def job(name: str, layers: tuple[str, ...], description: str) -> "Job":
        return dg.define_asset_job(
            name,
            selection=dg.AssetSelection.assets(*([layer, contract.table] for layer in layers)) - of_the_dataset,
            description=description,
            executor_def=recording_executor,
            op_retry_policy=retries,
            config=newest_first,
            tags={DATASET: contract.dataset},
        )

    newest_first = dg.PartitionedConfig(
        partitions_of(contract),
        run_config_for_partition_key_fn=lambda _: {},
        tags_for_partition_key_fn=_tags_of,
    )
    verify = dg.define_asset_job(
        f"{contract.dataset}_verify_job",
        selection=dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey(["warehouse", contract.table]), VERIFYING)),
        description=f"Holds a month of {contract.dataset} in the table against the lake, each by all it holds.",
        executor_def=recording_executor,
        op_retry_policy=retries,
        config=newest_first,
        tags={DATASET: contract.dataset},
    )
    return [
        verify,
        job(f"{contract.table}_job", (*to_lake, "warehouse"), f"A month of {contract.dataset}, from source to table."),
        job(f"{contract.dataset}_to_lake_job", to_lake, f"A month of {contract.dataset}, from source to lake."),
        job(f"{contract.dataset}_to_warehouse_job", ("warehouse",), f"A month of {contract.dataset}, lake to table."),
    ]


def _tags_of(key: str) -> dict[str, str]:
    """What the run queue goes by: of a backfill, the newest months are what people wait for."""
    month = Month.parse(key)
    return {"dagster/priority": str(month.year * 12 + month.number)}
