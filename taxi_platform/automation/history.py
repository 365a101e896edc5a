"""What Dagster's instance remembers of an asset's months, in the terms of the platform."""

from collections.abc import Mapping
from dataclasses import dataclass

import dagster as dg

from taxi_platform.core.catalog.model import TripContract
from taxi_platform.core.month import Month
from taxi_platform.core.source import Publication

#: The job that materializes what somebody chose in the UI.
_OF_THE_UI = "__ASSET_JOB"
_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def months_of(instance: dg.DagsterInstance, key: dg.AssetKey) -> set[Month]:
    """The months of an asset that were ever materialized."""
    return {Month.parse(it) for it in instance.get_materialized_partitions(key)}


@dataclass(frozen=True)
class Record:
    """A month's latest materialization.

    Attributes:
        number: What the storage counts it as; the next materialization has another.
        told: Its metadata, as text.
    """

    number: int
    told: Mapping[str, str]

    @property
    def publication(self) -> Publication:
        """What the source announced, of a raw asset; what it did not announce, or nobody recorded, is None."""
        etag, changed, size = (self.told.get(name) for name in ("ETag", "last modified", "bytes"))
        return Publication(
            url=self.told.get("source URL", ""),
            bytes=int(size) if size else None,
            etag=etag if etag != "none" else None,
            last_modified=changed if changed != "unknown" else None,
        )


def latest(instance: dg.DagsterInstance, key: dg.AssetKey, month: Month) -> Record | None:
    """A month's latest materialization; None where there is none."""
    found = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=key, asset_partitions=[str(month)]), limit=1
    ).records
    if not found or (materialization := found[0].asset_materialization) is None:
        return None
    told = {name: str(it.value) for name, it in materialization.metadata.items() if it.value is not None}
    return Record(found[0].storage_id, told)


def unfinished(instance: dg.DagsterInstance, contract: TripContract) -> set[Month]:
    """The months of a dataset that runs are queued or at work for, whoever started them."""
    jobs = {f"{contract.table}_job", f"{contract.dataset}_to_lake_job", f"{contract.dataset}_to_warehouse_job"}
    found: set[Month] = set()
    for job in (*jobs, _OF_THE_UI):
        for run in instance.get_runs(dg.RunsFilter(job_name=job, statuses=_UNFINISHED)):
            chosen = {key.path[-1] for key in run.asset_selection or ()}
            if (month := run.tags.get("dagster/partition")) and (job in jobs or contract.table in chosen):
                found.add(Month.parse(month))
    return found
