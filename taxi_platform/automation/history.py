"""What Dagster's instance remembers of an asset's months, in the terms of the platform."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import dagster as dg

from taxi_platform.automation.freshness import UNKNOWN, Request, Statement
from taxi_platform.automation.outcomes import DATASET
from taxi_platform.automation.runs import PARTITION, UNFINISHED
from taxi_platform.core.catalog.model import TripContract
from taxi_platform.core.month import Month
from taxi_platform.core.source import Publication
from taxi_platform.io_managers.records import LAKE_VERSION, RAW_SHA256, STORE

#: Where TLC is: a day ends when it ends there.
NEW_YORK = ZoneInfo("America/New_York")
#: The tags of a run the platform asked for by itself: why; which content it is to bring; the how manieth request for it
#: that was; and when it was made, in seconds since 1970 by the clock of who asked.
CAUSE, WANTED, ATTEMPT, ASKED_AT = "taxi/cause", "taxi/wanted", "taxi/attempt", "taxi/asked_at"
#: Why runs are asked for.
PUBLISHED, REPUBLISHED, NOT_IN_LAKE, ARRIVED, OVERDUE = CAUSES = (
    "published",
    "republished",
    "not in the lake",
    "arrived in the lake",
    "overdue",
)
#: The job that materializes what somebody chose in the UI.
_OF_THE_UI = "__ASSET_JOB"

Clock = Callable[[], datetime]


def clock() -> datetime:
    """The time."""
    return datetime.now(UTC)


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


def statement_of(
    instance: dg.DagsterInstance,
    contract: TripContract,
    month: Month,
    *,
    stored: str | None,
    store: str,
    unnamed_counts: bool = True,
) -> Statement:
    """What is where of a month, by what the records of its layers say.

    Args:
        instance: Whose records.
        contract: The dataset.
        month: The month.
        stored: The version of the lake's object; None if there is none, `UNKNOWN` if nobody could ask.
        store: The name of the store whose table it is about.
        unnamed_counts: Whether a record of a load that names no store is this store's.
    """
    raw, lake, table = (
        latest(instance, dg.AssetKey([layer, contract.table]), month) for layer in ("raw", "lake", "warehouse")
    )
    is_here = table is not None and is_of_store(table, store, unnamed_counts=unnamed_counts)
    return Statement(
        published=raw.publication if raw else None,
        fetched=raw.told.get("SHA-256", UNKNOWN) if raw else None,
        cleaned=lake.told.get(RAW_SHA256, UNKNOWN) if lake else None,
        stored=stored,
        loaded=table.told.get(LAKE_VERSION, UNKNOWN) if table and is_here else None,
        loaded_raw=table.told.get(RAW_SHA256, UNKNOWN) if table and is_here else None,
    )


def is_of_store(table: Record, store: str, *, unnamed_counts: bool = True) -> bool:
    """Whether a record of a load is of this store; versions of the platform before this one did not name theirs."""
    named = table.told.get(STORE)
    return unnamed_counts if named is None else named == store


def last_request(instance: dg.DagsterInstance, job: str, contract: TripContract, month: Month) -> Request | None:
    """The newest run of a month that a sensor or schedule asked for by itself; None where there is none."""
    tags = {DATASET: contract.dataset, PARTITION: str(month), CAUSE: list(CAUSES)}
    found = instance.get_runs(dg.RunsFilter(job_name=job, tags=tags), limit=1)
    if not found:
        return None
    told = found[0].tags
    try:
        return Request(found[0].run_id, told.get(WANTED, ""), int(told[ATTEMPT]), float(told[ASKED_AT]))
    except (KeyError, ValueError):  # a version of the platform before this one asked for it
        return Request(found[0].run_id, "", 0, 0.0)


def run_request(
    contract: TripContract, month: Month, cause: str, wanted: str, attempt: int, last: Request | None, now: float
) -> dg.RunRequest:
    """A request for a run; whoever makes it anew, without knowing of the run there is, is refused by its key.

    Args:
        contract: The dataset.
        month: The month.
        cause: One of `CAUSES`.
        wanted: The name of the content it is to bring.
        attempt: What `next_attempt` says.
        last: The newest request for the month.
        now: Seconds since 1970.
    """
    return dg.RunRequest(
        run_key=f"{contract.dataset} {month} {wanted}{f' after {last.run}' if last else ''}",
        partition_key=str(month),
        tags={
            DATASET: contract.dataset,
            CAUSE: cause,
            WANTED: wanted,
            ATTEMPT: str(attempt),
            ASKED_AT: f"{now:.0f}",
        },
    )


def unfinished(instance: dg.DagsterInstance, contract: TripContract) -> set[Month]:
    """The months of a dataset that runs are queued or at work for, whoever started them."""
    jobs = {f"{contract.table}_job", f"{contract.dataset}_to_lake_job", f"{contract.dataset}_to_warehouse_job"}
    found: set[Month] = set()
    for job in (*jobs, _OF_THE_UI):
        for run in instance.get_runs(dg.RunsFilter(job_name=job, statuses=[*UNFINISHED])):
            chosen = {key.path[-1] for key in run.asset_selection or ()}
            if (month := run.tags.get(PARTITION)) and (job in jobs or contract.table in chosen):
                found.add(Month.parse(month))
    return found
