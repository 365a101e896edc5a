"""What starts runs by itself: a month TLC published or replaced, and an object that arrived in the lake.

When to look at what is decided in `watch.py`; here the source, the lake and Dagster's history are asked.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import dagster as dg

from taxi_platform.automation import watch
from taxi_platform.automation.history import Record, latest, months_of, unfinished
from taxi_platform.automation.outcomes import DATASET
from taxi_platform.automation.watch import Seen, Watch
from taxi_platform.core.catalog import Catalog
from taxi_platform.core.catalog.model import TripContract
from taxi_platform.core.errors import LakeError
from taxi_platform.core.month import Month
from taxi_platform.core.source import NotPublishedError, RetryPolicy, SourceError, UnavailableError
from taxi_platform.io_managers.warehouse import LAKE_VERSION
from taxi_platform.resources import LakeResource, SourceResource

#: Where TLC is: a day ends when it ends there.
NEW_YORK = ZoneInfo("America/New_York")
#: A look at the source is one request a file: whoever does not answer is asked again at a later tick.
IMPATIENT = RetryPolicy(attempts=1, timeout=10.0, deadline=12.0)
#: Seconds after which no further month is asked for: Dagster gives a tick a minute, and forgets one that takes longer.
LONGEST_LOOK = 30.0
#: The tag that says why a run was started.
CAUSE = "taxi/cause"
_ARRIVALS_PER_TICK = 50

Clock = Callable[[], datetime]


def clock() -> datetime:
    """The time."""
    return datetime.now(UTC)


def build_publication_sensor(
    contract: TripContract, catalog: Catalog, status: dg.DefaultSensorStatus, now: Clock = clock
) -> dg.SensorDefinition:
    """The sensor that runs a dataset's months as TLC publishes them, and again when it replaces one.

    Args:
        contract: The dataset.
        catalog: The contracts.
        status: Whether it is on until somebody says otherwise.
        now: The clock.
    """
    raw, job = dg.AssetKey(["raw", contract.table]), f"{contract.table}_job"

    @dg.sensor(
        name=f"{contract.dataset}_publications",
        job_name=job,
        minimum_interval_seconds=3600,
        default_status=status,
        description=f"Runs {contract.dataset} months once TLC has published them, and again when it has replaced them.",
    )
    def publications(context: dg.SensorEvaluationContext, source: SourceResource) -> dg.SensorResult:
        memory, at = Watch.from_cursor(context.cursor), now()
        if memory.is_quiet(at.timestamp()):
            return dg.SensorResult(skip_reason=_left_alone(memory), cursor=memory.to_cursor())
        store, today, started = source.open(catalog, IMPATIENT), at.astimezone(NEW_YORK).date(), time.monotonic()
        # In this order: a month whose run ends in between is here.
        busy, here = unfinished(context.instance, contract), months_of(context.instance, raw)
        new = watch.new_months(contract.first_month, today, here | busy, memory)
        requests: list[dg.RunRequest] = []
        reasons: list[str] = []
        failed: SourceError | None = None
        for month in [*new, *watch.known_months((here | memory.months) - busy, memory)]:
            memory = memory.having_looked_at(month, is_new=month in new)
            try:
                found = store.probe(contract, month)
                record = latest(context.instance, raw, month)
                memory, is_due = memory.having_found(month, found, record and record.publication)
                if is_due:
                    cause = "republished" if record else "published"
                    requests.append(_request(contract, month, found.version, record, cause))
            except NotPublishedError:
                reasons.append(f"{month} is not published{' yet' if month in new else ' any more'}")
            except UnavailableError as error:
                context.log.warning(str(error))
                memory = memory.after_refusal(at.timestamp(), error.retry_after)
                reasons.append(_left_alone(memory))
                break
            except SourceError as error:  # of this month; the others shall not suffer for it
                context.log.warning(str(error))
                failed = error
            if time.monotonic() - started > LONGEST_LOOK:
                reasons.append("the source is slow; the other months are asked for next time")
                break
        else:
            memory = memory.after_answers()
        if failed and not requests:
            raise failed
        reason = None if requests else "; ".join(["nothing new", *reasons])
        return dg.SensorResult(run_requests=requests, cursor=memory.to_cursor(), skip_reason=reason)

    return publications


def _left_alone(memory: Watch) -> str:
    until = datetime.fromtimestamp(memory.quiet_until, NEW_YORK)
    return f"the source refused to answer; it is left alone until {until:%Y-%m-%d %H:%M %Z}"


def _request(contract: TripContract, month: Month, version: str, record: Record | None, cause: str) -> dg.RunRequest:
    """A run, once for this version in place of what is there: a version may go, and come back, and is due again."""
    return dg.RunRequest(
        run_key=f"{contract.dataset} {month} {version}{f' in place of {record.number}' if record else ''}",
        partition_key=str(month),
        tags={DATASET: contract.dataset, CAUSE: cause},
    )


def build_arrival_sensor(contract: TripContract, status: dg.DefaultSensorStatus) -> dg.SensorDefinition:
    """The sensor that loads a month into the warehouse when its object in the lake is one that was not loaded yet.

    It looks at the lake itself, so that it does not matter who put the object there, or how old the month is.

    Args:
        contract: The dataset.
        status: Whether it is on until somebody says otherwise.
    """
    table, job = dg.AssetKey(["warehouse", contract.table]), f"{contract.dataset}_to_warehouse_job"

    @dg.sensor(
        name=f"{contract.dataset}_arrivals",
        job_name=job,
        minimum_interval_seconds=120,
        default_status=status,
        description=f"Loads {contract.dataset} months into the warehouse when their objects in the lake are new.",
    )
    def arrivals(context: dg.SensorEvaluationContext, lake: LakeResource) -> dg.SensorResult:
        try:
            there = lake.open().versions(contract)
        except LakeError as error:
            if not error.may_pass_later:
                raise
            return dg.SensorResult(skip_reason=str(error))
        memory = Seen.from_cursor(context.cursor)
        arrived = memory.unseen(there)
        # A run that puts an object is about to load it, or not; when it has ended is time enough to know.
        busy = unfinished(context.instance, contract) if arrived else set[Month]()
        requests: list[dg.RunRequest] = []
        for month in sorted(set(arrived) - busy, reverse=True)[:_ARRIVALS_PER_TICK]:
            version = arrived[month]
            memory = memory.having_seen(month, version)
            record = latest(context.instance, table, month)
            if record is None or record.told.get(LAKE_VERSION) != version:
                requests.append(_request(contract, month, version, record, "arrived in the lake"))
        return dg.SensorResult(
            run_requests=requests,
            cursor=memory.to_cursor(),
            skip_reason=None if requests else "every object in the lake is loaded, or about to be",
        )

    return arrivals
