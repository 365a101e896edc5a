"""Checks that compare a month with those around it, judged once more when more of those are here.

A backfill brings one month after the other: the first has nothing to be compared with. Nothing is cleaned again; what
is compared stands in the files.
"""

from collections.abc import Mapping

import dagster as dg
from sqlalchemy.exc import IntegrityError

from taxi_platform.core.catalog.model import TripContract
from taxi_platform.core.catalog.published import published_near
from taxi_platform.core.findings import rejects_within_expectation, row_count_in_trend
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import Lineage
from taxi_platform.core.rejects import rejects
from taxi_platform.core.showing import told
from taxi_platform.resources import WorkspaceResource


def sides(near: Mapping[Month, Lineage], month: Month) -> tuple[list[Lineage], list[Lineage]]:
    """The months before and those after a month."""
    return [it for at, it in near.items() if at < month], [it for at, it in near.items() if at > month]


def evaluations_of(instance: dg.DagsterInstance, run: str) -> list[dg.AssetCheckEvaluation]:
    """What the checks of a run have found."""
    entries = instance.all_logs(run, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    return [it.dagster_event.asset_check_evaluation_data for it in entries if it.dagster_event]


def is_judged(check: dg.AssetCheckEvaluation) -> bool:
    """Whether a check had anything to judge by."""
    judged = check.metadata.get("judged")
    return judged is None or judged.value is not False


def judge_again(
    instance: dg.DagsterInstance,
    workspace: WorkspaceResource,
    contract: TripContract,
    month: Month,
    before: list[dg.AssetCheckEvaluation],
) -> list[dg.AssetCheckEvaluation]:
    """Compare a month with those that are here by now, and report what has become another answer.

    Args:
        instance: Where it is reported.
        workspace: The data folder; a month that is not in it stays as it was judged.
        contract: The dataset.
        month: The month.
        before: What its checks have found when it was run.

    Returns:
        What its checks find now: all of them.
    """
    cleaned = workspace.kept("cleaned", contract.dataset, month)
    quarantine = workspace.kept("quarantine", contract.dataset, month)
    if cleaned is None or quarantine is None:
        return before
    now = cleaned.lineage
    earlier, later = sides(workspace.lineages_near(contract.dataset, month), month)
    with workspace.folder_for(contract.dataset, f"{month}.again") as work:
        found = {
            "row_count_in_trend": row_count_in_trend(now, earlier, later, published_near(contract.dataset, month)),
            "rejects_within_expectation": rejects_within_expectation(
                contract, now, earlier, lambda: rejects(contract, quarantine, work), later
            ),
        }
    checks = list[dg.AssetCheckEvaluation]()
    for check in before:
        finding = found.get(check.check_name)
        says = told(finding.says if finding.judged else f"not judged: {finding.says}") if finding else ""
        if finding is None or check.description == says:
            checks.append(check)
            continue
        again = dg.AssetCheckEvaluation(
            asset_key=check.asset_key,
            check_name=check.check_name,
            passed=finding.holds,
            severity=dg.AssetCheckSeverity.WARN,
            description=says,
            metadata={
                name: dg.MetadataValue.text(it)
                if isinstance(it, str)
                else dg.MetadataValue.float(it)
                if isinstance(it, float)
                else dg.MetadataValue.int(it)
                for name, it in finding.figures.items()
            }
            | ({} if finding.judged else {"judged": dg.MetadataValue.bool(False)}),
            partition=str(month),
        )
        _report(instance, again)
        checks.append(again)
    return checks


def _report(instance: dg.DagsterInstance, check: dg.AssetCheckEvaluation) -> None:
    """Report an evaluation; where somebody who follows the same backfill does so at the same moment, once more."""
    try:
        instance.report_runless_asset_event(check)
    except IntegrityError:  # the first row about a check, which Dagster's storage looks for and then makes
        instance.report_runless_asset_event(check)
