"""What starts runs by itself: a month TLC published or replaced, and an object that arrived in the lake.

When to look at what is decided in `watch.py`; here the source, the lake and Dagster's history are asked.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime

import dagster as dg

from taxi_platform.automation import history, watch
from taxi_platform.automation.freshness import UNKNOWN, Loaded, asked_again_at, name_of, next_attempt
from taxi_platform.automation.history import (
    NEW_YORK,
    Clock,
    clock,
    is_of_store,
    last_request,
    latest,
    months_of,
    run_request,
    statement_of,
    unfinished,
)
from taxi_platform.automation.lateness import evaluation_of
from taxi_platform.automation.observing import observation_of
from taxi_platform.automation.watch import Turn, Watch
from taxi_platform.core.catalog import Catalog
from taxi_platform.core.catalog.model import TripContract
from taxi_platform.core.errors import LakeError
from taxi_platform.core.month import Month
from taxi_platform.core.showing import listed
from taxi_platform.core.source import NotPublishedError, Publication, RetryPolicy, SourceError, UnavailableError
from taxi_platform.io_managers.records import LAKE_VERSION
from taxi_platform.resources import LakeResource, SourceResource, WarehouseResource

#: A look at the source is one request a file: whoever does not answer is asked again at a later tick.
IMPATIENT = RetryPolicy(attempts=1, timeout=10.0, deadline=12.0)
#: Seconds after which no further month is asked for: Dagster gives a tick a minute, and forgets one that takes longer.
LONGEST_LOOK = 30.0
_ARRIVALS_PER_TICK = 50


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
    def publications(
        context: dg.SensorEvaluationContext, source: SourceResource, lake: LakeResource, warehouse: WarehouseResource
    ) -> dg.SensorResult:
        memory, at = Watch.from_cursor(context.cursor), now()
        today, started = at.astimezone(NEW_YORK).date(), time.monotonic()
        # In this order: a month whose run ends in between is here.
        busy, ever = unfinished(context.instance, contract), months_of(context.instance, raw)
        # Somebody may have reported what is no month of the dataset; a request for one would end the tick.
        here = {it for it in ever if contract.first_month <= it < Month(today.year, today.month)}
        judged = evaluation_of(contract, today, here)
        told: list[dg.AssetCheckEvaluation | dg.AssetObservation] = []
        if judged.description != memory.judged:
            told.append(judged)
        memory = replace(memory, judged=judged.description or "")
        if memory.is_quiet(at.timestamp()):
            return dg.SensorResult(skip_reason=_left_alone(memory), cursor=memory.to_cursor(), asset_events=told)
        store, there = source.open(catalog, IMPATIENT), objects(context, lake, contract)
        requests: list[dg.RunRequest] = []
        reasons: list[str] = []
        failed: SourceError | None = None
        for month, turn in _turns(contract, today, here, busy, memory):
            memory = memory.having_looked_at(month, turn)
            if is_pinned(context, lake, contract, month):
                reasons.append(f"{month} is pinned")
                continue
            try:
                found = store.probe(contract, month)
                if (observed := observation_of(context.instance, contract, month, found)) is not None:
                    told.append(observed)
                stored = UNKNOWN if there is None else there.get(month)
                statement = statement_of(context.instance, contract, month, stored=stored, store=warehouse.store)
                memory, differs = memory.having_found(month, found, statement)
                if differs:
                    asked = _asked_for(
                        context, job, contract, month, _cause(found, statement.published), found.version, at
                    )
                    if isinstance(asked, dg.RunRequest):
                        requests.append(asked)
                    else:
                        reasons.append(asked)
            except NotPublishedError:
                memory = memory.having_gone(month)
                reasons.append(f"{month} is not published{' yet' if turn == 'new' else ' any more'}")
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
        return dg.SensorResult(run_requests=requests, cursor=memory.to_cursor(), skip_reason=reason, asset_events=told)

    return publications


def _turns(
    contract: TripContract, today: date, here: set[Month], busy: set[Month], memory: Watch
) -> Iterator[tuple[Month, Turn]]:
    """The months to look at, each once: what is new, what did not agree at the last look, and some of the others."""
    looked_at = busy.copy()
    turns: list[tuple[Turn, list[Month]]] = [
        ("new", watch.new_months(contract.first_month, today, here | busy, memory)),
        ("unsettled", watch.unsettled_months(memory, busy)),
        ("known", watch.known_months(here - busy, memory)),
    ]
    for turn, months in turns:
        for month in months:
            if month not in looked_at:
                looked_at.add(month)
                yield month, turn


def objects(
    context: dg.SensorEvaluationContext | dg.ScheduleEvaluationContext, lake: LakeResource, contract: TripContract
) -> dict[Month, str] | None:
    """The objects in the lake; None while it cannot be asked, which keeps nobody from asking the source."""
    try:
        return lake.open().versions(contract)
    except LakeError as error:
        context.log.warning(str(error))
        return None


def is_pinned(
    context: dg.SensorEvaluationContext | dg.ScheduleEvaluationContext,
    lake: LakeResource,
    contract: TripContract,
    month: Month,
) -> bool:
    """Whether a month stays what it is, whatever the source publishes; a run would not change it either."""
    try:
        return lake.layers(contract.dataset, month).is_pinned
    except LakeError as error:
        context.log.warning(str(error))
        return False


def _cause(found: Publication, before: Publication | None) -> str:
    if before is None:
        return history.PUBLISHED
    return history.NOT_IN_LAKE if watch.is_changed(before, found) is False else history.REPUBLISHED


def _asked_for(
    context: dg.SensorEvaluationContext,
    job: str,
    contract: TripContract,
    month: Month,
    cause: str,
    version: str,
    at: datetime,
) -> dg.RunRequest | str:
    """A request for a content, or when it is time to ask for it once more."""
    last, wanted = last_request(context.instance, job, contract, month), name_of(version)
    attempt = next_attempt(last, wanted, at.timestamp())
    if attempt:
        return run_request(contract, month, cause, wanted, attempt, last, at.timestamp())
    until = datetime.fromtimestamp(asked_again_at(last) if last else 0.0, NEW_YORK)
    return f"{month} was asked for and did not arrive; it is asked for again from {until:%Y-%m-%d %H:%M %Z}"


def _left_alone(memory: Watch) -> str:
    until = datetime.fromtimestamp(memory.quiet_until, NEW_YORK)
    return f"the source refused to answer; it is left alone until {until:%Y-%m-%d %H:%M %Z}"


def build_arrival_sensor(
    contract: TripContract, status: dg.DefaultSensorStatus, now: Clock = clock
) -> dg.SensorDefinition:
    """The sensor that loads a month into the warehouse when the lake's object is one the table was not loaded from.

    It looks at the lake itself, so that it does not matter who put the object there, or how old the month is.

    Args:
        contract: The dataset.
        status: Whether it is on until somebody says otherwise.
        now: The clock.
    """
    table, job = dg.AssetKey(["warehouse", contract.table]), f"{contract.dataset}_to_warehouse_job"

    @dg.sensor(
        name=f"{contract.dataset}_arrivals",
        job_name=job,
        minimum_interval_seconds=120,
        default_status=status,
        description=f"Loads {contract.dataset} months into the warehouse until its table has what the lake holds.",
    )
    def arrivals(
        context: dg.SensorEvaluationContext, lake: LakeResource, warehouse: WarehouseResource
    ) -> dg.SensorResult:
        try:
            there = lake.open().versions(contract)
        except LakeError as error:
            if not error.may_pass_later:
                raise
            return dg.SensorResult(skip_reason=str(error))
        store, at, started = warehouse.store, now(), time.monotonic()
        memory = Loaded.from_cursor(context.cursor, store)
        unsettled = memory.unsettled(there)
        # A run that puts an object is about to load it, or not; when it has ended is time enough to know.
        busy = unfinished(context.instance, contract) if unsettled else set[Month]()
        requests: list[dg.RunRequest] = []
        reasons: list[str] = []
        for month in sorted(set(unsettled) - busy, reverse=True):
            version = unsettled[month]
            record = latest(context.instance, table, month)
            is_here = record is not None and is_of_store(record, store, unnamed_counts=memory.is_first_store)
            if record and is_here and record.told.get(LAKE_VERSION) == version:
                memory = memory.having_agreed(month, version)
                continue
            wanted = f"{version} in {store}"
            asked = _asked_for(context, job, contract, month, history.ARRIVED, wanted, at)
            if isinstance(asked, dg.RunRequest):
                requests.append(asked)
            else:
                reasons.append(asked)
            if len(requests) == _ARRIVALS_PER_TICK or time.monotonic() - started > LONGEST_LOOK:
                break
        settled = "every object in the lake is loaded, or about to be"
        return dg.SensorResult(
            run_requests=requests,
            cursor=memory.to_cursor(),
            skip_reason=None if requests else listed(reasons, "; ") or settled,
        )

    return arrivals
