"""Checks that compare a month with those around it, judged once more when more of those are here.

A backfill brings one month after the other: the first has nothing to be compared with. Nothing is cleaned again; what
is compared stands in the files. Who judges when is `automation/comparing.py` and `cli/following.py`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import dagster as dg

from taxi_platform.core.catalog.model import TripContract
from taxi_platform.core.catalog.published import published_near
from taxi_platform.core.findings import Figure, Finding
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import Lineage, ParquetFile
from taxi_platform.core.rejects import rejects
from taxi_platform.core.showing import told
from taxi_platform.core.shrinking import month_fits_those_beside, rows_beside
from taxi_platform.core.trends import rejects_within_expectation, row_count_in_trend
from taxi_platform.resources import LakeResource, WorkspaceResource

#: The checks whose answer depends on what other months are here.
RELATIVE = ("month_has_not_shrunk", "rejects_within_expectation", "row_count_in_trend")
#: Answers read at first, at once, and at most: what is asked for is mostly among the newest.
_FIRST, _PAGE, _MOST = 5, 200, 4_000

#: Check and month -> what was said of it last.
Said = Mapping[tuple[str, str], str]


@dataclass(frozen=True)
class Answer:
    """What a check said of a month.

    Attributes:
        number: What the storage counts it as; a later one has a higher number.
        run: The run it was judged in; "" for one that was judged again.
        check: What it found.
    """

    number: int
    run: str
    check: dg.AssetCheckEvaluation


def keys_of(contract: TripContract) -> list[dg.AssetCheckKey]:
    """A dataset's checks that are judged again."""
    return [dg.AssetCheckKey(dg.AssetKey(["cleaned", contract.table]), name) for name in RELATIVE]


def answers_of(instance: dg.DagsterInstance, key: dg.AssetCheckKey, after: int = 0) -> Iterator[Answer]:
    """What a check has said since some answer, newest first."""
    history, limit, before = instance.event_log_storage.get_asset_check_execution_history, _FIRST, None
    for _ in range(_MOST // _PAGE):
        records = history(key, limit=limit, cursor=before)
        for it in records:
            if it.id <= after:
                return
            event = it.event.dagster_event if it.event else None
            if event and event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
                yield Answer(it.id, it.run_id, event.asset_check_evaluation_data)
        if len(records) < limit:
            return
        limit, before = _PAGE, records[-1].id


def is_last(instance: dg.DagsterInstance, check: dg.AssetCheckEvaluation, run: str) -> bool:
    """Whether what a check has found in a run is the last that was said of the month."""
    if check.check_name not in RELATIVE or not check.partition:
        return True
    answers = answers_of(instance, check.asset_check_key)
    return next((it.run == run for it in answers if it.check.partition == check.partition), True)


def said_of(instance: dg.DagsterInstance, contract: TripContract) -> Said:
    """What the checks that are judged again have said last, month by month."""
    said: dict[tuple[str, str], str] = {}
    for key in keys_of(contract):
        for it in answers_of(instance, key):
            said.setdefault((key.name, it.check.partition or ""), it.check.description or "")
    return said


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
    lake: LakeResource,
    contract: TripContract,
    month: Month,
    before: list[dg.AssetCheckEvaluation],
    said: Said | None = None,
) -> list[dg.AssetCheckEvaluation]:
    """Compare a month with those that are here by now, and report what has become another answer.

    Args:
        instance: Where it is reported.
        workspace: The data folder.
        lake: The lake; a month that neither of the two has stays as it was judged.
        contract: The dataset.
        month: The month.
        before: What its checks have found when it was run.
        said: What was said of it last, as `said_of` has it: what was reported already is not reported again.

    Returns:
        What its checks find now: all of them.
    """
    if not any(it.check_name in RELATIVE for it in before):
        return before
    cleaned = workspace.kept("cleaned", contract.dataset, month) or lake.held(contract, month)
    quarantine = (
        workspace.kept("quarantine", contract.dataset, month) or lake.layers(contract.dataset, month).quarantine()
    )
    if cleaned is None or quarantine is None:
        return before
    found = _found(workspace, lake, contract, month, (cleaned.lineage, quarantine), before)
    checks = list[dg.AssetCheckEvaluation]()
    for check in before:
        finding = found.get(check.check_name)
        again = _evaluation(check, finding, month) if finding else check
        if again.description == check.description:
            again = check
        known = (said or {}).get((check.check_name, str(month)), check.description)
        if finding and again.description != known:
            _report(instance, again)
        checks.append(again)
    return checks


def _found(
    workspace: WorkspaceResource,
    lake: LakeResource,
    contract: TripContract,
    month: Month,
    files: tuple[Lineage, ParquetFile],
    before: list[dg.AssetCheckEvaluation],
) -> dict[str, Finding]:
    """What a month's checks find, of those whose answer depends on what is here."""
    now, quarantine = files
    near = lake.lineages_near(workspace, contract.dataset, month)
    earlier, later = sides(near, month)
    counted = workspace.official.counts
    published = published_near(contract.dataset, month, counted)
    with workspace.folder_for(contract.dataset, f"{month}.again") as work:
        found = {
            "row_count_in_trend": row_count_in_trend(now, earlier, later, published),
            "rejects_within_expectation": rejects_within_expectation(
                contract, now, earlier, lambda: rejects(contract, quarantine, work), later
            ),
        }
    beside = month_fits_those_beside(now, rows_beside(month, now, near, counted))
    # Where the run has seen those beside it, it was told what is meant, or has ended by it.
    has_seen = any(it.check_name == "month_has_not_shrunk" and {*beside.figures} <= {*it.metadata} for it in before)
    return found if beside.holds or has_seen else found | {"month_has_not_shrunk": beside}


def _evaluation(check: dg.AssetCheckEvaluation, finding: Finding, month: Month) -> dg.AssetCheckEvaluation:
    """A finding, as what the check says now; what is stored already is not kept out by it."""
    return dg.AssetCheckEvaluation(
        asset_key=check.asset_key,
        check_name=check.check_name,
        passed=finding.holds,
        severity=check.severity,
        description=told(finding.says if finding.judged else f"not judged: {finding.says}"),
        metadata={name: _shown(it) for name, it in finding.figures.items()}
        | ({} if finding.judged else {"judged": dg.MetadataValue.bool(False)}),
        partition=str(month),
    )


def _shown(figure: Figure) -> dg.MetadataValue:
    if isinstance(figure, str):
        return dg.MetadataValue.text(figure)
    return dg.MetadataValue.float(figure) if isinstance(figure, float) else dg.MetadataValue.int(figure)


def _report(instance: dg.DagsterInstance, check: dg.AssetCheckEvaluation) -> None:
    """Report an evaluation; where somebody else does so at the same moment, once more."""
    from sqlalchemy.exc import IntegrityError  # an eighth of what the definitions take to load

    try:
        instance.report_runless_asset_event(check)
    except IntegrityError:  # the first row about a check, which Dagster's storage looks for and then makes
        instance.report_runless_asset_event(check)
