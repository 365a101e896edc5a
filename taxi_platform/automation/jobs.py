"""The jobs: a run is one dataset and one month, the whole chain in one process."""

from typing import TYPE_CHECKING

import dagster as dg

from taxi_platform.core.catalog import Catalog
from taxi_platform.core.catalog.model import TripContract

if TYPE_CHECKING:  # Dagster does not export the type of what it returns
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition as Job


def build_jobs(catalog: Catalog) -> list["Job"]:
    """Every job, by the names of the README."""
    zones = dg.define_asset_job(
        "taxi_zones_job",
        selection=dg.AssetSelection.assets(["reference", catalog.zones.table]),
        description="Fetches the zone lookup into the warehouse.",
        executor_def=dg.in_process_executor,
    )
    return [*(job for contract in catalog.trips.values() for job in _jobs_of(contract)), zones]


def _jobs_of(contract: TripContract) -> list["Job"]:
    to_lake = ("raw", "cleaned", "quarantine", "lake")

    def job(name: str, layers: tuple[str, ...], description: str) -> "Job":
        return dg.define_asset_job(
            name,
            selection=dg.AssetSelection.assets(*([layer, contract.table] for layer in layers)),
            description=description,
            executor_def=dg.in_process_executor,
        )

    return [
        job(f"{contract.table}_job", (*to_lake, "warehouse"), f"A month of {contract.dataset}, from source to table."),
        job(f"{contract.dataset}_to_lake_job", to_lake, f"A month of {contract.dataset}, from source to lake."),
        job(f"{contract.dataset}_to_warehouse_job", ("warehouse",), f"A month of {contract.dataset}, lake to table."),
    ]
