"""The safety net below the sensors: once a month, whatever should be here by now and is not."""

import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import date

import dagster as dg

from taxi_platform.automation import watch
from taxi_platform.automation.freshness import UNKNOWN, name_of
from taxi_platform.automation.history import (
    NEW_YORK,
    OVERDUE,
    last_request,
    months_of,
    run_request,
    statement_of,
    unfinished,
)
from taxi_platform.automation.outcomes import DATASET
from taxi_platform.automation.sensors import LONGEST_LOOK, is_pinned, objects
from taxi_platform.core.catalog import Catalog
from taxi_platform.core.catalog.model import TripContract
from taxi_platform.core.month import Month
from taxi_platform.core.source import NotPublishedError, RetryPolicy, Source, UnavailableError
from taxi_platform.resources import LakeResource, SourceResource, WarehouseResource

#: A schedule does not come back for a month: a source that does not answer is asked again at once.
_PERSISTENT = RetryPolicy(attempts=3, longest_wait=2.0, timeout=10.0, deadline=25.0)

#: Months of a dataset that are verified in a week: with ten years of them, each has its turn every ten months.
_VERIFIED = 3


def build_monthly_schedule(
    contract: TripContract, catalog: Catalog, status: dg.DefaultScheduleStatus
) -> dg.ScheduleDefinition:
    """The schedule that asks for every month that TLC should have published by now and the warehouse does not have.

    Args:
        contract: The dataset.
        catalog: The contracts.
        status: Whether it is on until somebody says otherwise.
    """
    # What counts is the table: a month that failed on its way there is asked for again, once a month.
    table, job = dg.AssetKey(["warehouse", contract.table]), f"{contract.table}_job"

    # By the 20th, the month that ended 110 to 140 days before has been published even when TLC was at its slowest.
    @dg.schedule(
        name=f"{contract.dataset}_monthly",
        cron_schedule="0 6 20 * *",
        execution_timezone=str(NEW_YORK),
        job_name=job,
        default_status=status,
        description=f"Runs {contract.dataset} months that should be here by now: the safety net below the sensor.",
    )
    def monthly(
        context: dg.ScheduleEvaluationContext,
        source: SourceResource,
        lake: LakeResource,
        warehouse: WarehouseResource,
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        at = context.scheduled_execution_time.astimezone(NEW_YORK)
        busy = unfinished(context.instance, contract)  # first: a month whose run ends before the next line is here
        there, known = objects(context, lake, contract), months_of(context.instance, table)

        def is_loaded(month: Month) -> bool:
            stored = UNKNOWN if there is None else there.get(month)
            return not statement_of(
                context.instance, contract, month, stored=stored, store=warehouse.store
            ).table_is_behind

        due = watch.overdue(contract.first_month, at.date(), known, is_loaded)
        # What is pinned stays what it is: whoever pins it runs it, too.
        pinned = [month for month in due if month not in busy and is_pinned(context, lake, contract, month)]
        absent = [month for month in due if month not in busy and month not in pinned]
        versions = _versions(source.open(catalog, _PERSISTENT), contract, absent)
        late = [month for month in absent if versions.get(month, UNKNOWN) is None]
        told = f"not published, though it should be: {', '.join(map(str, late))}"
        for month in absent:
            if month not in late:
                last = last_request(context.instance, job, contract, month)
                wanted = name_of(versions.get(month) or (last.wanted if last else UNKNOWN))
                # Once a month it is asked for whatever the sensors wait for; they count on from there.
                attempt = last.attempt + 1 if last and last.wanted == wanted else 1
                request = run_request(contract, month, OVERDUE, wanted, attempt, last, at.timestamp())
                yield request.with_replaced_attrs(run_key=f"{contract.dataset} {month} due {at:%Y-%m-%d}")
        if late:
            context.log.warning(f"{contract.dataset}: {told}")
        if late == absent:
            stay = f"; pinned: {', '.join(map(str, pinned))}" if pinned else ""
            yield dg.SkipReason(f"{told if late else 'every month due is here, or on its way'}{stay}")

    return monthly


def build_verifying_schedule(contract: TripContract, status: dg.DefaultScheduleStatus) -> dg.ScheduleDefinition:
    """The schedule that holds a few months of the table against the lake, others every week until all had their turn.

    Args:
        contract: The dataset.
        status: Whether it is on until somebody says otherwise.
    """
    table = dg.AssetKey(["warehouse", contract.table])

    @dg.schedule(
        name=f"{contract.dataset}_verify_weekly",
        cron_schedule="0 4 * * 0",
        execution_timezone=str(NEW_YORK),
        job_name=f"{contract.dataset}_verify_job",
        default_status=status,
        description=f"Verifies {_VERIFIED} months of {contract.dataset} that are in the table, others every week.",
    )
    def verify_weekly(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        day = context.scheduled_execution_time.astimezone(NEW_YORK).date()
        busy = unfinished(context.instance, contract)
        held = sorted(it for it in months_of(context.instance, table) if it >= contract.first_month)
        turn = [month for month in turn_of(held, day) if month not in busy]
        for month in turn:
            yield dg.RunRequest(
                run_key=f"{contract.dataset} {month} verified {day}",
                partition_key=str(month),
                tags={DATASET: contract.dataset},
            )
        if not turn:
            yield dg.SkipReason("no month is in the table that no run is at work on")

    return verify_weekly


def turn_of(months: Sequence[Month], day: date) -> list[Month]:
    """Whose turn it is in a week: a few of some months, others every week, all of them in as few weeks as can be.

    Args:
        months: All of them, in order.
        day: Any day of the week.
    """
    weeks = -(-len(months) // _VERIFIED)
    return [*months[day.toordinal() // 7 % weeks :: weeks]] if weeks else []


def build_zones_schedule(status: dg.DefaultScheduleStatus) -> dg.ScheduleDefinition:
    """The schedule that fetches the zone lookup anew, which TLC changes now and then without a word."""
    return dg.ScheduleDefinition(
        name="taxi_zones_monthly",
        job_name="taxi_zones_job",
        cron_schedule="0 5 20 * *",
        execution_timezone=str(NEW_YORK),
        default_status=status,
        description="Fetches the zone lookup anew.",
    )


def build_reports_schedule(status: dg.DefaultScheduleStatus) -> dg.ScheduleDefinition:
    """The schedule that fetches TLC's reports anew: bases may report a month until the next one has ended."""
    return dg.ScheduleDefinition(
        name="tlc_reports_monthly",
        job_name="tlc_reports_job",
        cron_schedule="0 4 20 * *",
        execution_timezone=str(NEW_YORK),
        default_status=status,
        description="Fetches TLC's monthly report and the report of the bases anew.",
    )


def _versions(store: Source, contract: TripContract, months: Iterable[Month]) -> dict[Month, str | None]:
    """The versions of months that are published, and None for those that certainly are not.

    Of a source that does not answer, some are missing: the runs ask more patiently.
    """
    found: dict[Month, str | None] = {}
    started = time.monotonic()
    for month in months:
        try:
            found[month] = store.probe(contract, month).version
        except NotPublishedError:
            found[month] = None
        except UnavailableError:
            break
        if time.monotonic() - started > LONGEST_LOOK:
            break
    return found
