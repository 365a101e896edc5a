"""Whether a dataset is late: a check that goes by its newest month, not by when any month was fetched last.

Dagster's freshness policies go by the last materialization: a backfill of old months would make a late dataset fresh.
The publication sensor reports this check by itself; in the UI anybody can execute it. It is no part of the jobs, whose
runs are about one month and would say the same of the dataset each time.
"""

from collections.abc import Iterable
from datetime import date

import dagster as dg

from taxi_platform.automation import watch
from taxi_platform.automation.history import NEW_YORK, Clock, clock, months_of
from taxi_platform.automation.troubles import MONTH_DUE
from taxi_platform.core.catalog.model import TripContract
from taxi_platform.core.month import Month

#: The check's name, which is what it states.
NAME = "newest_month_is_here"


def key_of(contract: TripContract) -> dg.AssetCheckKey:
    """The check of a dataset, which is one on its raw asset."""
    return dg.AssetCheckKey(dg.AssetKey(["raw", contract.table]), NAME)


def build_lateness_check(contract: TripContract, now: Clock = clock) -> dg.AssetChecksDefinition:
    """The check that a dataset's newest month is here, unless TLC may still be about to publish it.

    Args:
        contract: The dataset.
        now: The clock.
    """

    @dg.asset_check(
        asset=key_of(contract).asset_key,
        name=NAME,
        description="The newest month that TLC has published even at its slowest was fetched, whatever came after it.",
    )
    def newest_month_is_here(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        here = months_of(context.instance, key_of(contract).asset_key)
        found = evaluation_of(contract, now().astimezone(NEW_YORK).date(), here)
        return dg.AssetCheckResult(
            passed=found.passed, severity=found.severity, description=found.description, metadata=found.metadata
        )

    return newest_month_is_here


def evaluation_of(contract: TripContract, today: date, here: Iterable[Month]) -> dg.AssetCheckEvaluation:
    """What the check finds, for who reports it without a run.

    Args:
        contract: The dataset.
        today: The date in New York.
        here: The months that were fetched.
    """
    here = set(here)
    is_late, says = watch.lateness(contract.first_month, today, here)
    check, due = key_of(contract), watch.due(contract.first_month, today)
    metadata: dict[str, dg.MetadataValue] = {"newest month": dg.MetadataValue.text(str(max(here)))} if here else {}
    if not here:
        metadata["judged"] = dg.MetadataValue.bool(False)
    elif due:
        metadata[MONTH_DUE] = dg.MetadataValue.text(str(due))
    return dg.AssetCheckEvaluation(
        asset_key=check.asset_key,
        check_name=check.name,
        passed=not is_late,
        severity=dg.AssetCheckSeverity.WARN,
        description=says,
        metadata=metadata,
    )
